"""Levels of BTCTurk's books and differences, each looked at closely (BTCTurk reference, section 4.4)."""

from __future__ import annotations

import msgspec

from tickrouter.core.market import Change
from tickrouter.errors import InvalidValue
from tickrouter.model.record import SIZE_ROUNDED, Level
from tickrouter.venues.btcturk.numbers import Text, price, size

REMOVED = 3
"""`CP` of a level that is gone."""
_SET = (0, 1)


class LevelTexts(msgspec.Struct, rename={"price": "P", "amount": "A", "change": "CP"}):
    price: Text
    amount: Text
    change: int | None = None


def read_levels(levels: list[LevelTexts]) -> tuple[tuple[Level, ...], bool]:
    """A side of a whole book, and True if a size was rounded.

    Raises:
        InvalidValue: a level that cannot be taken.
    """
    taken: list[Level] = []
    any_rounded = False
    for level in levels:
        amount, rounded = size("A", level.amount)
        if amount > 0:
            taken.append((price("P", level.price), amount))
            any_rounded |= rounded
    return tuple(taken), any_rounded


def read_changes(levels: list[LevelTexts]) -> tuple[tuple[Change, ...], bool]:
    """A side of a difference, and True if a size was rounded.

    Raises:
        InvalidValue: a level that cannot be taken.
    """
    taken: list[Change] = []
    any_rounded = False
    for level in levels:
        amount, rounded = size("A", level.amount)
        if level.change == REMOVED:
            # A removed level carries its last amount, not 0 (section 4.4).
            taken.append((price("P", level.price), 0.0))
        elif level.change in _SET:
            taken.append((price("P", level.price), amount))
            any_rounded |= rounded
        else:
            raise InvalidValue("CP", f"{level.change!r} is no known change")
    return tuple(taken), any_rounded


_side = msgspec.json.Decoder(list[LevelTexts])


def read_side(text: msgspec.Raw) -> tuple[tuple[Level, ...], int]:
    """A side of a whole book as it stood in its frame, and its flags.

    Raises:
        InvalidValue: it cannot be taken.
    """
    try:
        levels, is_rounded = read_levels(_side.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValue("levels", str(error)) from error
    return levels, SIZE_ROUNDED if is_rounded else 0

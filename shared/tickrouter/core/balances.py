"""Balances against the journal: what a venue says an account holds, and what its executions come to.

Only totals are compared: what is locked holds the venue's reserve for fees and the withdrawals of others, and moves
between free and locked change no total. A venue's figure and the executions that it includes do not come in step, so
nothing counts that has not stood for a while without an execution of the currency. A difference is told once; from
there on the venue's figure is the one to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from tickrouter.model.account import Balance
from tickrouter.model.contract import Contract
from tickrouter.model.fill import Fill
from tickrouter.model.money import plain

ROUNDING = Decimal("0.00000002")
"""By how much a venue's figure may differ for each execution: its fee and its tax are rounded to eight digits."""


def moves(contract: Contract, side: str, fill: Fill) -> dict[str, Decimal]:
    """What one execution adds to the totals, by currency."""
    sign = 1 if side == "b" else -1
    found = {contract.base: sign * fill.amount, contract.quote: -sign * fill.price * fill.amount}
    found[fill.fee_currency] = found.get(fill.fee_currency, Decimal(0)) - fill.fee
    return found


@dataclass(frozen=True, slots=True)
class Base:
    """A total that is agreed on: the venue's figure, and up to which fill of the epoch the executions are in it."""

    total: Decimal
    fill_seq: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What the venue says and what was expected do not agree."""

    currency: str
    expected: Decimal
    found: Decimal
    fills: int

    def __str__(self) -> str:
        return (
            f"balance of {self.currency}: expected {plain(self.expected)} (the last figure agreed on and {self.fills} "
            f"fills since); venue: {plain(self.found)}"
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """One currency: the base, what executions moved since, and what was read last and since when it stands."""

    base: Base | None = None
    moved: Decimal = Decimal(0)
    fills: int = 0
    last_fill: int | None = None
    read: Decimal | None = None
    since: int = 0


class Comparison:
    """The totals of one account. Times are in ns, of one clock that never goes back."""

    def __init__(self, settle: int, bases: Mapping[str, Base] | None = None) -> None:
        """`settle` is how long a figure must stand; `bases` are agreed on, with what was moved since to follow."""
        self._settle = settle
        self._lines = {currency: _Line(base) for currency, base in (bases or {}).items()}

    def executed(self, contract: Contract, side: str, fills: Iterable[Fill], now: int) -> None:
        """Executions that were journaled just now."""
        for fill in fills:
            for currency, amount in moves(contract, side, fill).items():
                self._move(currency, amount, now)

    def missed(self, contract: Contract, side: str, fill: Fill) -> None:
        """An execution of before this comparison began."""
        for currency, amount in moves(contract, side, fill).items():
            line = self._lines.get(currency)
            if line is not None and line.base is not None and fill.seq > line.base.fill_seq:
                self._lines[currency] = replace(line, moved=line.moved + amount, fills=line.fills + 1)

    def read(self, balances: Iterable[Balance], fill_seq: int, now: int) -> tuple[list[Difference], dict[str, Base]]:
        """Take a reading of the venue.

        Args:
            balances: as the venue has just said.
            fill_seq: number of the last fill published before it was asked.
            now: when it was asked.

        Returns:
            Differences to tell, and bases that are new.
        """
        differences: list[Difference] = []
        bases: dict[str, Base] = {}
        for balance in balances:
            line = self._lines.get(balance.currency, _Line())
            if line.read != balance.total:
                line = replace(line, read=balance.total, since=now)
            stands = now - line.since >= self._settle
            if stands and (line.last_fill is None or line.last_fill + self._settle <= now):
                difference = self._difference(balance, line)
                if difference is not None:
                    differences.append(difference)
                if line.base is None or difference is not None or line.fills:
                    bases[balance.currency] = Base(balance.total, fill_seq)
                    line = replace(line, base=bases[balance.currency], moved=Decimal(0), fills=0)
            self._lines[balance.currency] = line
        return differences, bases

    @property
    def is_unsettled(self) -> bool:
        """True if another reading soon would tell more."""
        return any(line.read is not None and self._is_open(line) for line in self._lines.values())

    @staticmethod
    def _is_open(line: _Line) -> bool:
        return line.base is None or line.fills > 0 or line.read != line.base.total

    @staticmethod
    def _difference(balance: Balance, line: _Line) -> Difference | None:
        if line.base is None:
            return None
        expected = line.base.total + line.moved
        if abs(balance.total - expected) <= ROUNDING * line.fills:
            return None
        return Difference(balance.currency, expected, balance.total, line.fills)

    def _move(self, currency: str, amount: Decimal, now: int) -> None:
        line = self._lines.get(currency, _Line())
        moved = line.moved + amount if line.base is not None else line.moved
        fills = line.fills + 1 if line.base is not None else 0
        self._lines[currency] = replace(line, moved=moved, fills=fills, last_fill=now)

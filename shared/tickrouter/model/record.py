"""What all market records share: the short list, the dictionary, and checks of numbers."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import msgspec

from tickrouter.errors import InvalidValue

Level = tuple[float, float]
"""Price and size of one book level."""

SIZE_ROUNDED = 1
"""Flag: a level's size had more than 15 significant digits and was rounded."""
STATISTIC_ROUNDED = 2
"""Flag: a 24-hour figure had more than 15 significant digits and was rounded."""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A market record: one entry of a stream, one document of a collection.

    The wire form is the short list: the form's version, then the fields in the order in which the class
    declares them. Fields are only ever appended, so a reader takes what it knows and ignores the rest.
    """

    def to_short_list(self) -> list[Any]:
        """The positional form, beginning with the version."""
        values: list[Any] = msgspec.to_builtins(self)
        return values

    @classmethod
    def from_short_list(cls, values: list[Any]) -> Self:
        """Inverse of `to_short_list`; what stands behind the known fields is ignored.

        Raises:
            InvalidValue: another version, too short, or a value of the wrong type.
        """
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise InvalidValue(cls.__name__, str(error)) from error

    def to_dict(self) -> dict[str, Any]:
        """Field names to values; levels as tuples of (price, size)."""
        return dict(zip(self.__struct_fields__, self.to_short_list()[1:], strict=True))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Inverse of `to_dict`; unknown keys are ignored, missing ones take their defaults.

        Raises:
            InvalidValue: a field without default is missing, or a value is of the wrong type.
        """
        values: list[Any] = [cls.__struct_config__.tag]
        for name, default, required in _fields(cls):
            if required and name not in fields:
                raise InvalidValue(f"{cls.__name__}.{name}", "missing")
            values.append(fields.get(name, default))
        return cls.from_short_list(values)


@cache
def _fields(kind: type[Record]) -> tuple[tuple[str, Any, bool], ...]:
    """Name, default, and whether it is required: asking msgspec costs more than all else in reading a record."""
    return tuple((info.name, info.default, info.required) for info in msgspec.structs.fields(kind))


def level_rows(levels: tuple[Level, ...]) -> list[list[float]]:
    """Levels as lists, for forms that know no tuples."""
    return [[price, size] for price, size in levels]

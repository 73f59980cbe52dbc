"""Arrays for a whole reading, which chunks are decoded straight into: neighbours are joined without a copy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa

from tickrouter.history.columns import Array
from tickrouter.history.names import TEXTS, WHOLE


class Slots:
    """One array a column, one part of it a chunk."""

    def __init__(self, rows: Sequence[int], names: Collection[str]) -> None:
        """Make them, for chunks of so many rows; texts are not numbers, and have none."""
        ends = list(accumulate(rows))
        self._parts = [slice(end - count, end) for end, count in zip(ends, rows, strict=True)]
        total = ends[-1] if ends else 0
        numbers = [name for name in names if name not in TEXTS]
        # From Arrow's pool, which keeps what is let go for the next reading: fetching fresh pages from the system costs
        # as much as decoding into them.
        block = np.frombuffer(pa.allocate_buffer(total * len(numbers) * 8), np.float64)
        self._arrays: dict[str, Array] = {
            name: block[total * place : total * (place + 1)].view(np.int64 if name in WHOLE else np.float64)
            for place, name in enumerate(numbers)
        }

    def of(self, number: int) -> dict[str, Array]:
        """The parts of one chunk, by column."""
        return {name: array[self._parts[number]] for name, array in self._arrays.items()}


def together(arrays: Sequence[Array]) -> Array:
    """Arrays one behind the other: a view where they are neighbours in one array, else a copy."""
    first = arrays[0]
    whole = first.base
    if len(arrays) == 1 or not isinstance(whole, np.ndarray) or not whole.flags.c_contiguous:
        return first if len(arrays) == 1 else np.concatenate(arrays)
    at = _address(first)
    start = at
    for array in arrays:
        if array.base is not whole or array.dtype != first.dtype or _address(array) != at:
            return np.concatenate(arrays)
        at += array.nbytes
    offset = start - _address(whole)
    return whole.view(np.uint8)[offset : offset + at - start].view(first.dtype)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])

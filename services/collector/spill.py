"""The spill of a sink: records that wait on disk, first in, first out, in checksummed segments.

`append` returns when the bytes are the kernel's: they outlive a kill -9 of the process, and what a crash of the machine
tears off is noticed by its checksum. What was settled is marked beside each segment, so that a start goes on there; a
block between the two is given out again, which every sink takes for what it is.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tickrouter import logs
from tickrouter.core.entry_ids import EntryId
from tickrouter.errors import Unreadable

from . import spill_block
from .item import LEDGER, Item
from .loss import Loss, losses_of

SEGMENT = 16 * 1024 * 1024
"""Bytes after which a segment is closed, so that what is settled can be removed."""
PARTS = 16
"""A bound holds that many segments at least: one is given up at once, not all."""

_log = logs.get("spill")


@dataclass(frozen=True, slots=True)
class _Block:
    segment: int
    offset: int
    size: int
    losses: tuple[Loss, ...]
    others: int
    """Records of the ledger in it."""


class Spill:
    """One sink's. Not for two threads at once; its owner holds a lock."""

    def __init__(self, folder: Path, bound: int, write: Callable[[int, bytes], int] = os.write) -> None:
        """Open, with what an earlier process left.

        Args:
            folder: of this spill alone.
            bound: bytes that may be on disk.
            write: for tests.

        Raises:
            OSError: the folder cannot be made or read.
        """
        self._folder = folder
        self._bound = bound
        self._segment_size = max(1, min(SEGMENT, bound // PARTS))
        self._write = write
        self._blocks: deque[_Block] = deque()
        self._sizes: dict[int, int] = {}
        self._file: int | None = None
        self._head: list[Item] | None = None
        self.counts: Counter[str] = Counter()
        """Records that wait, by kind."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.seg")):
            self._recover(int(file.stem), file)
        self._last = max(self._sizes, default=0)

    def __bool__(self) -> bool:
        """True while anything waits."""
        return bool(self._blocks)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    @property
    def segments(self) -> int:
        """Files on disk."""
        return len(self._sizes)

    def spans(self) -> dict[tuple[str, str], tuple[EntryId, EntryId]]:
        """First and last entry id that wait, by contract and kind."""
        found: dict[tuple[str, str], tuple[EntryId, EntryId]] = {}
        for loss in (loss for block in self._blocks for loss in block.losses):
            if loss.first is not None and loss.last is not None:
                first, last = found.get((loss.contract, loss.kind), (loss.first, loss.last))
                found[loss.contract, loss.kind] = min(first, loss.first), max(last, loss.last)
        return found

    def fits(self, size: int) -> bool:
        """True if so many bytes more stay within the bound."""
        return self.size + size <= self._bound

    def append(self, items: Sequence[Item]) -> None:
        """Put a block at the end: whole, or not at all.

        Raises:
            OSError: the disk did not take it; nothing has changed.
        """
        block = spill_block.encode(items)
        try:
            number, offset = self._open()
            self._write_all(block)
        except OSError:
            self._seal()
            raise
        self._sizes[number] = offset + len(block)
        self._note(_Block(number, offset, len(block), losses_of(items), sum(item.kind in LEDGER for item in items)))
        if self._sizes[number] >= self._segment_size:
            self._seal()

    def first(self) -> list[Item]:
        """The oldest block; the same until it is settled. Empty where none waits or the disk does not give it back."""
        if self._blocks and self._head is None:
            block = self._blocks[0]
            try:
                with self._path(block.segment).open("rb") as file:
                    file.seek(block.offset)
                    self._head = spill_block.decode(file.read(block.size))
            except (OSError, Unreadable) as error:
                _log.error("spilled records cannot be read", error=str(error), lost=str(block.losses))
                return []
        return self._head or []

    def settle(self) -> tuple[Loss, ...]:
        """The oldest block is done with; what it held, by contract and kind."""
        block = self._blocks[0]
        self._forget()
        is_last = not self._blocks or self._blocks[0].segment != block.segment
        if is_last and not (self._file is not None and block.segment == self._last):
            self._remove(block.segment)
        elif not self._blocks:
            self._seal()
            self._remove(block.segment)
        else:
            self._mark(block.segment, block.offset + block.size)
        return block.losses

    def give_up(self, *, is_held: bool = False) -> tuple[tuple[Loss, ...], list[Item]]:
        """Let the oldest segment go: what was lost with it, and what the ledger was to be told, which is not lost.

        Where the oldest block `is_held`, by a sink that has not settled it, it stays on disk: the rest of its segment
        goes, and the next one.
        """
        held, head = (self._blocks.popleft(), self._head) if is_held and self._blocks else (None, None)
        self._head = None
        losses: list[Loss] = []
        kept: list[Item] = []
        freed: int | None = None
        while self._blocks and freed in (None, self._blocks[0].segment):
            block = self._blocks[0]
            if block.others:
                kept += [item for item in self.first() if item.kind in LEDGER]
            if held is not None and block.segment == held.segment:
                losses += self._forget()
            else:
                freed = block.segment
                losses += self.settle()
        if held is not None:
            self._blocks.appendleft(held)
            self._head = head
        return tuple(losses), kept

    def close(self) -> None:
        """Let go of the file; what waits stays for the next start."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _forget(self) -> tuple[Loss, ...]:
        """Count the oldest block no more; what it held."""
        block = self._blocks.popleft()
        self._head = None
        for loss in block.losses:
            self.counts[loss.kind] -= loss.count
        return block.losses

    def _note(self, block: _Block) -> None:
        self._blocks.append(block)
        for loss in block.losses:
            self.counts[loss.kind] += loss.count

    def _recover(self, number: int, file: Path) -> None:
        data = file.read_bytes()
        done, end, found = self._done(number), 0, False
        for offset, size, items in spill_block.blocks(data):
            end = offset + size
            if offset >= done:
                found = True
                others = sum(item.kind in LEDGER for item in items)
                self._note(_Block(number, offset, size, losses_of(items), others))
        if end < len(data):
            _log.warning("the end of a spill file is torn", file=str(file), bytes=len(data) - end)
        self._sizes[number] = len(data)
        if not found:
            self._remove(number)

    def _open(self) -> tuple[int, int]:
        """Number and end of the segment that is written; a new one after a start, a full one, or a failure."""
        if self._file is None:
            self._last += 1
            with suppress(OSError):
                # A kill between two removals may have left it: it is no word on what is written now.
                self._path(self._last).with_suffix(".done").unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(self._path(self._last), flags, 0o600)
            self._sizes[self._last] = 0
        return self._last, self._sizes[self._last]

    def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self._file is not None:
            rest = rest[self._write(self._file, bytes(rest)) :]

    def _seal(self) -> None:
        """Write no more to the current segment; what stands behind its last whole block is torn, and passed over."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None
            if not any(block.segment == self._last for block in self._blocks):
                self._remove(self._last)

    def _remove(self, number: int) -> None:
        self._sizes.pop(number, None)
        for path in (self._path(number).with_suffix(".done"), self._path(number)):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _mark(self, number: int, done: int) -> None:
        try:
            self._path(number).with_suffix(".done").write_text(str(done))
        except OSError as error:
            _log.warning("not marked as done, may be given out again", error=str(error))

    def _done(self, number: int) -> int:
        try:
            return int(self._path(number).with_suffix(".done").read_text())
        except (OSError, ValueError):
            return 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.seg"

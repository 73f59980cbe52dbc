"""A block of a spill file: head with length, checksum and count, then the items, compressed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from tickrouter.bus.codec import pack_record, unpack_record
from tickrouter.errors import Unreadable

from .item import CLASSES, Item

_HEAD = struct.Struct(">4sIII")
_MAGIC = b"trs1"
_LEVEL = 1
"""zlib's fastest: ticks shrink to about a quarter."""
_Row = tuple[str, str, int | None, int | None, bytes]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_Row])


def encode(items: Sequence[Item]) -> bytes:
    """Items as one block."""
    rows: list[_Row] = [
        (item.contract, item.kind, *(item.id or (None, None)), pack_record(item.record)) for item in items
    ]
    payload = zlib.compress(_encoder.encode(rows), _LEVEL)
    return _HEAD.pack(_MAGIC, len(payload), zlib.crc32(payload), len(items)) + payload


def decode(block: bytes) -> list[Item]:
    """Inverse of `encode`.

    Raises:
        Unreadable: cut off, or not what was written.
    """
    if len(block) < _HEAD.size:
        raise Unreadable("block of a spill file: cut off in its head")
    magic, size, checksum, count = _HEAD.unpack_from(block)
    payload = block[_HEAD.size : _HEAD.size + size]
    if magic != _MAGIC or len(payload) != size or zlib.crc32(payload) != checksum:
        raise Unreadable("block of a spill file: cut off or damaged")
    try:
        rows = _decoder.decode(zlib.decompress(payload))
    except (zlib.error, msgspec.DecodeError) as error:
        raise Unreadable(f"block of a spill file: {error}") from error
    if len(rows) != count:
        raise Unreadable("block of a spill file: another number of records than it says")
    return [_item(*row) for row in rows]


def blocks(data: bytes) -> Iterator[tuple[int, int, list[Item]]]:
    """Offset, length and items of the blocks at the beginning of a file, up to its end or the first that is torn."""
    at = 0
    while at + _HEAD.size <= len(data):
        end = at + _HEAD.size + _HEAD.unpack_from(data, at)[1]
        try:
            items = decode(data[at:end])
        except Unreadable:
            return
        yield at, end - at, items
        at = end


def _item(contract: str, kind: str, ms: int | None, n: int | None, data: bytes) -> Item:
    if kind not in CLASSES:
        raise Unreadable(f"block of a spill file: no kind {kind!r}")
    entry_id = None if ms is None or n is None else (ms, n)
    return Item(contract, kind, entry_id, unpack_record(CLASSES[kind], data))

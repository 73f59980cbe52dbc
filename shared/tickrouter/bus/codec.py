"""Bytes on the wire: msgpack, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgpack
import msgspec

from tickrouter.errors import Unreadable
from tickrouter.model.record import Record

R = TypeVar("R", bound=Record)

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[Record], msgspec.msgpack.Decoder[Any]] = {}
_TEXT = frozenset({str})

pack_record: Callable[[Record], bytes] = _encoder.encode
"""A market record as the msgpack of its short list."""


def unpack_record(kind: type[R], data: bytes) -> R:
    """Inverse of `pack_record`.

    Raises:
        Unreadable: no msgpack, or not this kind's short list.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        record: R = decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(f"not a {kind.__name__}: {error}") from error
    return record


def pack_map(fields: dict[str, Any]) -> bytes:
    """A command, an event or any other map."""
    packed: bytes = msgpack.packb(fields)
    return packed


def unpack_map(data: bytes, limit: int = 256 * 1024) -> dict[str, Any]:
    """Inverse of `pack_map`, for bytes that anyone may have written.

    Raises:
        Unreadable: larger than `limit`, no msgpack, no map, or a key that is no text.
    """
    if len(data) > limit:
        raise Unreadable(f"{len(data)} bytes, more than {limit}")
    try:
        fields = msgpack.unpackb(data, strict_map_key=True)
    except Exception as error:  # msgpack raises many kinds, all of which mean the same here
        raise Unreadable(f"no msgpack: {type(error).__name__}: {str(error)[:200]}") from error
    if not isinstance(fields, dict) or not _TEXT.issuperset(map(type, fields)):
        raise Unreadable("no map with text keys")
    return fields

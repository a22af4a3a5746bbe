"""wire: the fields of a protobuf message, bounds-checked, without knowing the message.

Lets a reader look at a message's tags and skip what it does not want: an image's bytes are passed
over, never parsed. Values come as they lie: varints as unsigned integers, the rest as slices that
are within the message. Source: the protobuf encoding specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_SIZES = {FIXED64: 8, FIXED32: 4}


MOST_FIELDS = 1024
"""A message of more fields is none of ours: an event has some five, a value of a summary four.
Keeps a large record of the smallest fields from taking minutes."""


class WireError(ValueError):
    """The bytes are no message of ours.

    A length or a varint passes the end, there is no such wire type, or there are too many fields.
    """


class Field(NamedTuple):
    """One field: its number, and its content as a number (varints) or as bytes (all others)."""

    number: int
    kind: int
    varint: int
    content: memoryview


class CutField(NamedTuple):
    """A field that may be cut off: its number, its size, where it ends, and what is there of it."""

    number: int
    size: int
    end: int
    content: memoryview


_NOTHING = memoryview(b"")


def fields(message: memoryview, most: int = MOST_FIELDS) -> Iterator[Field]:
    """Yield the fields of a message in the order they lie.

    Args:
        message: its bytes.
        most: how many fields it may have.

    Raises:
        WireError: at the first byte that cannot be part of a message, or after too many fields.
    """
    position, end = 0, len(message)
    for _ in range(most):
        if position >= end:
            return
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield Field(key >> 3, kind, value, _NOTHING)
            continue
        size, position = _size(message, kind, position)
        if size > end - position:
            raise WireError(f"a field of {size} bytes passes the end")
        yield Field(key >> 3, kind, 0, message[position : position + size])
        position += size
    if position < end:
        raise WireError(f"a message of more than {most:,} fields")


def beginning(message: memoryview) -> Iterator[CutField]:
    """Yield the length-delimited fields at the beginning of a message that is cut off.

    The last one may itself be cut off: its `end`, counted from the message's beginning, then lies
    past what is there.

    Raises:
        WireError: where a key or a length is not whole.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            _, position = _varint(message, position)
            continue
        size, position = _size(message, kind, position)
        if kind == BYTES:
            yield CutField(key >> 3, size, position + size, message[position : position + size])
        position += size


def signed(value: int) -> int:
    """Read a varint's 64 bits as a signed integer (protobuf's int64)."""
    return value - (1 << 64) if value >> 63 else value


def _size(message: memoryview, kind: int, position: int) -> tuple[int, int]:
    if kind == BYTES:
        return _varint(message, position)
    if kind not in _SIZES:
        raise WireError(f"wire type {kind}")
    return _SIZES[kind], position


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    if position < len(message) and message[position] < 0x80:
        return message[position], position + 1
    value = shift = 0
    while shift < 70:
        if position >= len(message):
            raise WireError("a varint passes the end")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise WireError("a varint of more than ten bytes")

"""records: the framing of event files (TFRecord), as a push parser without a file handle.

    u64 length | u32 masked_crc32c(length) | payload | u32 masked_crc32c(payload)     little-endian
    mask(c) = ((c >> 15 | c << 17) + 0xa282ead8) mod 2^32

Bytes go in with `feed`, in any chunks; records and gaps come out. Rules:

- A length is believed only after its CRC, a payload is handed out only after its own.
- Where a CRC fails the parser resyncs: it goes on at the next offset where both CRCs hold, and
  reports what lies between as one `Gap`.
- An incomplete record at the end is neither: it is `pending`, and more bytes may complete it.
- A large payload may be declined after a look at its beginning. It is then not checked, and
  `declined` says how many coming bytes the caller may seek past instead of feeding.

Feeding in chunks of any size gives the same records and gaps. Source of the format: TensorFlow's
record_writer.h; the mask is that of LevelDB's log format.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import google_crc32c
import numpy as np
from numpy.typing import NDArray

HEADER = 12
FOOTER = 4

LARGE = 64 * 1024
"""A payload longer than this is offered to `wanted` before it is collected. A scalar event has
some 50 bytes, a hook's row some 500, an image at least thousands."""

PEEK = 4096
"""How much of a large payload `wanted` sees: room for the tags and types of its first values."""

LONGEST = 1 << 30
"""No longer record is ever collected: a writer's protobuf message cannot pass 2 GiB, and nothing
that is kept comes near. Keeps a forged length from claiming memory."""

FIRST_LOOK, LONGEST_LOOK = 1 << 9, 1 << 18
"""Offsets that a resync tries at once: few at first, since the next record is mostly near."""

Reason = Literal["bad length CRC", "bad payload CRC", "record too long"]


@dataclass(frozen=True, slots=True)
class Record:
    """A payload whose CRC holds, with the offset of its header in the file."""

    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that are no record: from `offset`, `length` of them, and what was wrong first."""

    offset: int
    length: int
    reason: Reason


def framed(payload: bytes) -> bytes:
    """Frame a payload as one record."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (
            length,
            struct.pack("<I", masked_crc(length)),
            payload,
            struct.pack("<I", masked_crc(payload)),
        )
    )


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that stands beside these bytes in a record."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class RecordParser:
    """Turns the bytes of one event file into records and gaps.

    Args:
        wanted: asked with the first bytes of each large payload and its length; False declines
            it.

    Attributes:
        declined: coming bytes that the parser will throw away; seek past them and say so with
            `sought`.
    """

    def __init__(self, wanted: Callable[[bytes, int], bool] = lambda *_: True) -> None:
        self._wanted = wanted
        self._buffer = bytearray()
        self._offset = 0
        self._lost: tuple[int, Reason] | None = None
        self._accepted = -1
        self._declined_from = 0
        self.declined = 0

    @property
    def pending(self) -> Gap | None:
        """What is left at the end of the bytes fed so far; None at a record's end.

        It is an incomplete record, or after a failed CRC bytes among which no record was found.
        """
        if self._lost:
            start, reason = self._lost
            return Gap(start, self._offset + len(self._buffer) - start, reason)
        if self._buffer or self.declined:
            start = self._declined_from if self.declined else self._offset
            return Gap(start, self._offset + len(self._buffer) - start, "bad payload CRC")
        return None

    @property
    def incomplete(self) -> bool:
        """Whether the bytes so far end within a record that was sound as far as it goes."""
        return self._lost is None and bool(self._buffer or self.declined)

    def sought(self, count: int) -> None:
        """Say that the caller went past `count` of the declined bytes without feeding them."""
        self.declined -= count
        self._offset += count

    def feed(self, data: bytes) -> Iterator[Record | Gap]:
        """Take the next bytes of the file; yield what they complete, in file order."""
        if self.declined:
            thrown = min(self.declined, len(data))
            self.sought(thrown)
            data = data[thrown:]
        self._buffer += data
        while True:
            found = self._resync() if self._lost else self._next()
            if found is None:
                return
            if isinstance(found, Record | Gap):
                yield found

    def _next(self) -> Record | bool | None:
        """Take one record off the buffer; True: did something else; None: needs more bytes."""
        if len(self._buffer) < HEADER:
            return None
        length = self._length_at(0)
        if length is None or length > LONGEST:
            return self._lose("bad length CRC" if length is None else "record too long")
        end = HEADER + length + FOOTER
        large = length > LARGE
        if len(self._buffer) < (HEADER + PEEK if large else end):
            return None
        if large and not self._accepts(length):
            return self._decline(end)
        return self._take(end) if len(self._buffer) >= end else None

    def _take(self, end: int) -> Record | bool:
        payload = self._payload_at(0, end - HEADER - FOOTER)
        if payload is None:
            return self._lose("bad payload CRC")
        record = Record(self._offset, payload)
        self._drop(end)
        return record

    def _accepts(self, length: int) -> bool:
        if self._accepted != self._offset:
            if not self._wanted(bytes(self._buffer[HEADER : HEADER + PEEK]), length):
                return False
            self._accepted = self._offset
        return True

    def _decline(self, end: int) -> bool:
        here = min(end, len(self._buffer))
        self._declined_from = self._offset
        self._drop(here)
        self.declined = end - here
        return True

    def _lose(self, reason: Reason) -> bool:
        self._lost = (self._offset, reason)
        self._drop(1)
        return True

    def _resync(self) -> Gap | None:
        """Look for the next sound record; what was passed over becomes a gap."""
        while True:
            position = _next_header(self._buffer)
            if position is None:
                self._drop(max(0, len(self._buffer) - HEADER + 1))
                return None
            self._drop(position)
            length = self._length_at(0) or 0
            if length > LONGEST:
                self._drop(1)
                continue
            if len(self._buffer) < HEADER + length + FOOTER:
                return None
            if self._payload_at(0, length) is not None and self._lost:
                (start, reason), self._lost = self._lost, None
                return Gap(start, self._offset - start, reason)
            self._drop(1)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count

    def _length_at(self, position: int) -> int | None:
        length, crc = struct.unpack_from("<QI", self._buffer, position)
        sound = masked_crc(bytes(self._buffer[position : position + 8])) == crc
        return int(length) if sound else None

    def _payload_at(self, position: int, length: int) -> bytes | None:
        start = position + HEADER
        payload = bytes(self._buffer[start : start + length])
        (crc,) = struct.unpack_from("<I", self._buffer, start + length)
        return payload if masked_crc(payload) == crc else None


def _next_header(buffer: bytearray) -> int | None:
    """Position of the first 12 bytes that are a plausible length with its CRC.

    The CRC of eight bytes is the exclusive or of one table entry for each of them, so all offsets
    are tried at once.
    """
    start, block = 0, FIRST_LOOK
    while start <= len(buffer) - HEADER:
        data = np.frombuffer(bytes(buffer[start : start + block + HEADER - 1]), dtype=np.uint8)
        count = len(data) - HEADER + 1
        upper = np.bitwise_or.reduce([data[byte : byte + count] for byte in range(4, 8)])
        candidates = np.flatnonzero((upper == 0) & (data[3 : 3 + count] <= LONGEST >> 24))
        crcs = _crc_of_eight(data, candidates)
        masked = ((crcs >> 15 | crcs << 17) + np.uint32(0xA282EAD8)).astype(np.uint32)
        expected = sum(
            data[candidates + 8 + byte].astype(np.uint32) << np.uint32(8 * byte)
            for byte in range(4)
        )
        sound = candidates[masked == expected]
        if len(sound):
            return start + int(sound[0])
        start += block
        block = min(2 * block, LONGEST_LOOK)
    return None


def _crc_of_eight(data: NDArray[np.uint8], starts: NDArray[np.intp]) -> NDArray[np.uint32]:
    tables, crc_of_zeros = _crc_tables()
    crcs = np.full(len(starts), crc_of_zeros, dtype=np.uint32)
    for byte in range(8):
        crcs ^= tables[byte][data[starts + byte]]
    return crcs


@cache
def _crc_tables() -> tuple[NDArray[np.uint32], np.uint32]:
    zeros = google_crc32c.value(bytes(8))
    tables = np.empty((8, 256), dtype=np.uint32)
    for byte in range(8):
        for value in range(256):
            eight = bytes(byte) + bytes([value]) + bytes(7 - byte)
            tables[byte, value] = google_crc32c.value(eight) ^ zeros
    return tables, np.uint32(zeros)

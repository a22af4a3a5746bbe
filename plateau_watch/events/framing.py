"""framing: how a record lies in an event file, and where in any bytes one may begin.

    u64 length | u32 masked_crc32c(length) | payload | u32 masked_crc32c(payload)     little-endian
    mask(c) = ((c >> 15 | c << 17) + 0xa282ead8) mod 2^32

Arithmetic on bytes; what follows from it is for `records`. Source of the format: TensorFlow's
record_writer.h; the mask is that of LevelDB's log format.
"""

from __future__ import annotations

import struct
from functools import cache

import google_crc32c
import numpy as np
from numpy.typing import NDArray

HEADER = 12
FOOTER = 4

LONGEST_SOUGHT = 1 << 24
"""Among bytes that are no record, only one shorter than this is looked for: 16 MiB. Images and
histograms that people log are far below; what is longer is passed over with the damage. Bounds
what is held while it is not known whether a record begins there."""


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


def length_at(buffer: bytearray, position: int) -> int | None:
    """Return the length in the header at a position; None where its CRC does not hold."""
    length, crc = struct.unpack_from("<QI", buffer, position)
    sound = masked_crc(bytes(buffer[position : position + 8])) == crc
    return int(length) if sound else None


def payload_at(buffer: bytearray, position: int, length: int) -> bytes | None:
    """Return the payload of the record at a position; None where its CRC does not hold."""
    start = position + HEADER
    payload = bytes(buffer[start : start + length])
    (crc,) = struct.unpack_from("<I", buffer, start + length)
    return payload if masked_crc(payload) == crc else None


def sound_headers(block: bytes) -> list[int]:
    """Return the positions at which 12 bytes are a length below `LONGEST_SOUGHT` with its CRC.

    The CRC of eight bytes is the exclusive or of one table entry for each of them, so all positions
    are tried at once.
    """
    count = len(block) - HEADER + 1
    if count <= 0:
        return []
    data = np.frombuffer(block, dtype=np.uint8)
    upper = np.bitwise_or.reduce([data[byte : byte + count] for byte in range(3, 8)])
    candidates = np.flatnonzero(upper == 0)
    crcs = _crc_of_eight(data, candidates)
    masked = ((crcs >> 15 | crcs << 17) + np.uint32(0xA282EAD8)).astype(np.uint32)
    expected = sum(
        data[candidates + 8 + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(4)
    )
    positions: list[int] = candidates[masked == expected].tolist()
    return positions


def _crc_of_eight(data: NDArray[np.uint8], starts: NDArray[np.intp]) -> NDArray[np.uint32]:
    """CRCs of eight bytes at each start, of which the last five are 0."""
    tables, crc_of_zeros = _crc_tables()
    crcs = np.full(len(starts), crc_of_zeros, dtype=np.uint32)
    for byte in range(3):
        crcs ^= tables[byte][data[starts + byte]]
    return crcs


@cache
def _crc_tables() -> tuple[NDArray[np.uint32], np.uint32]:
    zeros = google_crc32c.value(bytes(8))
    tables = np.empty((3, 256), dtype=np.uint32)
    for byte in range(3):
        for value in range(256):
            eight = bytes(byte) + bytes([value]) + bytes(7 - byte)
            tables[byte, value] = google_crc32c.value(eight) ^ zeros
    return tables, np.uint32(zeros)

"""Fuzz the reading of event files, guided by coverage (atheris, extra `fuzz`).

    make fuzz                                       the corpus grows in .fuzz/
    python -m tools.fuzz_reading .fuzz tests/corpus -max_total_time=600 -rss_limit_mb=2048

Any bytes go through framing, decoding and preemption; what must hold for them is written in
tests/reading_invariant.py. A checksum keeps plain mutations from ever reaching the decoder, so
three of four mutate a payload and frame it again. Options after the directories are libFuzzer's.
An input that breaks a promise is left as `crash-*`; add it to tests/corpus once that is mended.
"""

from __future__ import annotations

import random
import struct
import sys

import atheris

with atheris.instrument_imports(include=["plateau_watch"]):
    from plateau_watch.events.framing import framed
    from tests.reading_invariant import check_reading


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate the bytes of a file, or one of its payloads, or the order of its records."""
    dice = random.Random(seed)
    payloads = payloads_in(data)
    if not payloads or dice.random() < 0.25:
        return bytes(atheris.Mutate(data, max_size))
    chosen = dice.randrange(len(payloads))
    match dice.choice(["payload", "payload", "payload", "copy", "drop", "swap"]):
        case "payload":
            room = max(16, max_size - len(data))
            payloads[chosen] = bytes(
                atheris.Mutate(payloads[chosen], len(payloads[chosen]) + min(room, 256))
            )
        case "copy":
            payloads.insert(dice.randrange(len(payloads) + 1), payloads[chosen])
        case "drop":
            del payloads[chosen]
        case "swap":
            other = dice.randrange(len(payloads))
            payloads[chosen], payloads[other] = payloads[other], payloads[chosen]
    return b"".join(map(framed, payloads))[:max_size]


def payloads_in(data: bytes) -> list[bytes]:
    """Cut a file into payloads by its lengths alone, believing no checksum and needing none."""
    payloads, position = [], 0
    while position + 16 <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        if length > len(data) - position - 16:
            break
        payloads.append(data[position + 12 : position + 12 + length])
        position += 16 + length
    return payloads


def main() -> None:
    """Hand over to libFuzzer, which ends the process."""
    atheris.Setup(sys.argv, check_reading_of, custom_mutator=mutated)
    atheris.Fuzz()


def check_reading_of(data: bytes) -> None:
    """The fuzz target."""
    check_reading(data)


if __name__ == "__main__":
    main()

"""Soak: 500 runs that grow at once, tailed and replayed meanwhile; memory and descriptors watched.

    python tools/soak.py [SECONDS]          120 where none are said

One process appends to 500 event files, each flush cut at a random byte, so that records are whole
and half at every look. This one looks at all files again and again, and starts `plateau-watch
replay` on the directory every 20 seconds. Prints, every 10 seconds, the events taken, resident
memory (no point is kept) and open descriptors; and at the end whether every record that was written
was taken, and whether memory and descriptors stayed flat.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event as Stop
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from plateau_watch.events.framing import framed
from plateau_watch.events.tailed_file import TailedFile

RUNS = 500

SLACK = 24 << 20
"""Bytes by which memory may differ between the first third and the end: the allocator's own."""


def main() -> None:
    """Run the soak; exit with 1 where something was lost or grew."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    with tempfile.TemporaryDirectory() as directory:
        paths = [
            Path(directory) / f"run{number}" / "events.out.tfevents.1700000000.soak"
            for number in range(RUNS)
        ]
        files = [TailedFile(path) for path in paths]
        stop = multiprocessing.Event()
        writer = multiprocessing.Process(target=_write, args=(paths, stop))
        writer.start()
        try:
            taken, samples, replays = _watch(files, seconds, Path(directory))
        finally:
            stop.set()
            writer.join()
        written = sum(1 for path in paths for _ in TailedFile(path).look())
        taken += sum(1 for file in files for _ in file.look())
        damages = [line for file in files for line in file.damages()]
    early = [memory for memory, _ in samples[: len(samples) // 3 + 1]]
    flat = samples[-1][0] - max(early) <= SLACK
    descriptors = {open_now for _, open_now in samples}
    print(
        f"\n{taken} events taken of {written} written; {replays} replays; damages: {len(damages)}"
    )
    print(f"memory flat: {flat}; descriptors seen: {sorted(descriptors)}")
    sys.exit(0 if taken == written and flat and not damages and len(descriptors) == 1 else 1)


def _watch(
    files: list[TailedFile], seconds: float, directory: Path
) -> tuple[int, list[tuple[int, int]], int]:
    began, next_line, next_replay, taken, replays = time.monotonic(), 10.0, 20.0, 0, 0
    samples: list[tuple[int, int]] = []
    while (now := time.monotonic() - began) < seconds:
        taken += sum(1 for file in files for _ in file.look())
        if now >= next_line:
            samples.append((_resident(), len(os.listdir("/proc/self/fd"))))
            memory = samples[-1][0] >> 20
            print(f"{now:5.0f} s: {taken} events, {memory} MiB, {samples[-1][1]} descriptors")
            next_line += 10
        if now >= next_replay:
            _replay(directory)
            replays += 1
            next_replay += 20
        time.sleep(0.2)
    return taken, samples, replays


def _replay(directory: Path) -> None:
    command = [sys.executable, "-m", "plateau_watch", "replay", str(directory), "--format", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1) or "Traceback" in run.stderr:
        raise SystemExit(f"replay failed: {run.stderr[-500:]}")


def _write(paths: list[Path], stop: Stop) -> None:
    rng = random.Random(0)
    for path in paths:
        path.parent.mkdir()
    rest = dict.fromkeys(paths, b"")
    records = _records()
    while not stop.is_set():
        path = rng.choice(paths)
        data = rest[path] + b"".join(next(records) for _ in range(rng.randrange(1, 4)))
        cut = rng.randrange(len(data) + 1)
        _append(path, data[:cut])
        rest[path] = data[cut:]
        time.sleep(0.0005)
    for path, data in rest.items():
        _append(path, data)


def _records() -> Iterator[bytes]:
    step = 0
    while True:
        step += 1
        values = [
            Summary.Value(tag="val/loss", simple_value=1 / step),
            Summary.Value(tag="lr", simple_value=0.1),
        ]
        yield framed(
            Event(
                step=step, wall_time=time.time(), summary=Summary(value=values)
            ).SerializeToString()
        )


def _append(path: Path, data: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(data)


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()

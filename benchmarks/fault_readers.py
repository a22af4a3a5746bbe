"""The readers of the fault table: each returns the points of the tag `loss` in one log directory.

    python -m benchmarks.fault_readers NAME DIRECTORY     prints JSON

Each is asked the way its documentation says to get everything: no sampling, all the tags. The
process is the reader's own, so that it may crash, hang or run out of memory.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

MEMORY_LIMIT = 8 << 30
"""Bytes of address space for a reader: TensorBoard's data server reserves gigabytes at once."""

NO_TENSORFLOW = "TensorFlow installation not found - running with reduced feature set."
"""What TensorBoard says first in any case."""

Points = list[tuple[int, float]]


def plateau_watch(directory: Path) -> tuple[Points, list[str]]:
    """What replay and runs read, and what they say."""
    from plateau_watch.events.logdir import discover
    from plateau_watch.events.run_reader import read_trainings

    points: Points = []
    said: list[str] = []
    for run in discover(directory):
        for log in read_trainings(run):
            said += log.damages
            if series := log.series.get("loss"):
                points += zip(series.steps.tolist(), series.values.tolist(), strict=True)
                said += [f"{series.superseded} superseded"] if series.superseded else []
    return points, said


def python_loader(directory: Path) -> tuple[Points, list[str]]:
    """TensorBoard's EventAccumulator, what `tensorboard --load_fast=false` reads with."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    accumulator = EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    points: Points = []
    if "loss" in tags["scalars"]:
        points += [(each.step, each.value) for each in accumulator.Scalars("loss")]
    if "loss" in tags["tensors"]:
        points += [
            (each.step, float(make_ndarray(each.tensor_proto)))
            for each in accumulator.Tensors("loss")
        ]
    return points, []


def tbparse(directory: Path) -> tuple[Points, list[str]]:
    """The SummaryReader of tbparse; tensors of the scalars plugin are in a table of their own."""
    from tbparse import SummaryReader

    reader = SummaryReader(str(directory), event_types={"scalars", "tensors"})
    points: Points = []
    for table in (reader.scalars, reader.tensors):
        if len(table):
            of_loss = table[table["tag"] == "loss"]
            points += [
                (int(step), float(value))
                for step, value in zip(of_loss["step"], of_loss["value"], strict=True)
            ]
    return points, []


def fast_loader(directory: Path) -> tuple[Points, list[str]]:
    """A TensorBoard with its data server, asked over HTTP until its answer stays the same."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory), "--port", "0"]
    command += ["--host", "127.0.0.1", "--load_fast", "true", "--reload_interval", "1"]
    command += ["--samples_per_plugin", "scalars=1000000"]  # 0 is none here
    with tempfile.NamedTemporaryFile("r") as output:
        process = subprocess.Popen(
            command, stdout=output.fileno(), stderr=output.fileno(), start_new_session=True
        )
        try:
            points = _settled(_address(process, output.name))
            return points, _complaints(output.name)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _address(process: subprocess.Popen[bytes], output: str) -> str:
    while True:
        found = re.search(r"TensorBoard \S+ at (http://\S+/)", Path(output).read_text())
        if found:
            return found[1]
        if process.poll() is not None:
            raise RuntimeError(f"TensorBoard ends: {_complaints(output)[0]}")
        time.sleep(0.05)


def _complaints(output: str) -> list[str]:
    """What TensorBoard and its data server say beyond that they are there."""
    lines = Path(output).read_text().replace(NO_TENSORFLOW, "").splitlines()
    return [line for line in lines if line.strip() and " at http://" not in line]


def _settled(address: str) -> Points:
    """What it answers, once that has not changed for three seconds; six where it is nothing."""
    answer: Points | str = "none yet"
    since = time.monotonic()
    while True:
        try:
            now: Points | str = _answer(address)
        except urllib.error.HTTPError as error:
            now = f"HTTP {error.code}"
        except urllib.error.URLError as error:
            now = f"no answer ({error.reason})"
        if repr(now) != repr(answer):
            answer, since = now, time.monotonic()
        if time.monotonic() - since > (3 if answer else 6):
            break
        time.sleep(0.2)
    if isinstance(answer, str):
        raise RuntimeError(answer)  # noqa: TRY004  it is what the server said
    return answer


def _answer(address: str) -> Points:
    base = f"{address}data/plugin/scalars"
    with urllib.request.urlopen(f"{base}/tags") as answer:
        if not any("loss" in tags for tags in json.load(answer).values()):
            return []
    with urllib.request.urlopen(f"{base}/scalars?run=.&tag=loss") as answer:
        return [(int(step), float(value)) for _, step, value in json.load(answer)]


READERS = {
    "plateau-watch": plateau_watch,
    "TensorBoard, Python loader": python_loader,
    "TensorBoard, fast loader": fast_loader,
    "tbparse": tbparse,
}


def main() -> None:
    """Read one directory with one reader; exits with a traceback where the reader raises."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    points, said = READERS[sys.argv[1]](Path(sys.argv[2]))
    finite = [[step, value if math.isfinite(value) else str(value)] for step, value in points]
    print(json.dumps({"points": finite, "said": said}))


if __name__ == "__main__":
    main()

"""Write docs/faults.md: what each reader makes of each fault in an event file.

    make faults                                    in an environment of its own
    python -m benchmarks.faults docs/faults.md     where plateau-watch[faults] is installed

Each fault is read by each reader in a process of its own, with a limit of time and of memory.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from benchmarks.fault_files import MAKERS, Fault, make_all
from benchmarks.fault_readers import READERS

TIME_LIMIT = 60.0
"""Seconds for a reader: on a sound file each takes less than ten, most of them for imports."""

LONGEST_ERROR = 90
"""Characters of an error that stand in the table."""

INTRODUCTION = """\
# What readers make of broken event files

Written by `make faults` (`benchmarks/faults.py`); `benchmarks/fault_files.py` makes the files.
Every file logs a loss at 200 steps, and each reader was asked for all points of it: no sampling.
Each reads in a process of its own, with {limit:.0f} s and 8 GiB of address space.
"199 of 199" means: 199 sound points are there, and 199 were returned.

- *wrong*: a point that nobody logged. *replaced*: a point that a restart, or a later write of the
  same step, has made void; returned beside the one that replaced it.
- *says so*: the reader's result names what it did not read. For plateau-watch these are the
  warnings of its reports. Of the others, whatever they wrote to standard error that a sound file
  does not make them write counts as saying so.
- *hangs*: no answer in that time. *error*: reading, or TensorBoard's own conversion of the
  tensors it returned, raised this, and nothing was returned.
"""


def main() -> None:
    """Make the faults, ask all readers, write the table."""
    with tempfile.TemporaryDirectory() as top:
        rows = [[fault.name, *_cells(directory, fault)] for directory, fault in make_all(Path(top))]
    lines = [_row(["fault", *READERS]), _row(["---"] * (1 + len(READERS))), *map(_row, rows)]
    page = INTRODUCTION.format(limit=TIME_LIMIT) + "\n" + "\n".join(lines) + "\n\n" + _versions()
    Path(sys.argv[1]).write_text(page)


def _cells(directory: Path, fault: Fault) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        cells = list(pool.map(lambda name: _cell(name, directory, fault), READERS))
    print(f"{fault.name}: {' | '.join(cells)}", file=sys.stderr)
    return cells


def _cell(reader: str, directory: Path, fault: Fault) -> str:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.fault_readers"]
    process = subprocess.Popen(
        [*command, reader, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return "hangs"
    finally:
        _end_group(process)
    if process.returncode:
        return f"error: {_raised(errors, directory) or f'exit code {process.returncode}'}"
    answer = json.loads(output)
    points = [(step, float(value)) for step, value in answer["points"]]
    return _in_words(points, fault, says_so=bool(answer["said"] or errors.strip()))


def _end_group(process: subprocess.Popen[str]) -> None:
    """End the reader and what it has started; nothing where all of it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _in_words(points: list[tuple[int, float]], fault: Fault, *, says_so: bool) -> str:
    returned, there, replaced = (
        Counter(map(repr, each)) for each in (points, fault.there, fault.replaced)
    )
    right = sum((returned & there).values())
    void = sum((returned & replaced).values())
    wrong = len(points) - right - void
    said = [f"{right} of {len(fault.there)}"]
    said += [f"**{wrong} wrong**"] if wrong else []
    said += [f"{void} replaced"] if void else []
    return ", ".join(said) + ("; says so" if says_so else "")


def _raised(errors: str, directory: Path) -> str:
    """The exception of a traceback, without its module and the directory's name; shortened."""
    last = next((line for line in reversed(errors.splitlines()) if line.strip()), "")
    kind, _, message = last.replace(str(directory), "DIR").partition(": ")
    line = f"{kind.rpartition('.')[2]}: {message}".removesuffix(": ").replace("|", "/")
    return line if len(line) <= LONGEST_ERROR else line[:LONGEST_ERROR].rpartition(" ")[0] + " ..."


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _versions() -> str:
    names = [
        "plateau-watch",
        "tensorboard",
        "tensorboard-data-server",
        "tbparse",
        "protobuf",
        "numpy",
    ]
    known = ", ".join(f"{name} {version(name)}" for name in names)
    where = f"Python {platform.python_version()}, {platform.system()}"
    return f"{len(MAKERS)} files, with {known}, {where}.\n"


if __name__ == "__main__":
    main()

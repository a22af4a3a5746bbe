"""Record the logs in `replay_logs/` anew, by really training.

The runs are those of `recorded_runs.py`. Next to them go a README that says how they came about,
and the `plateau-watch.toml` that says what the plain ones do not record.

    python examples/record_replay_logs.py replay_logs
    python examples/record_replay_logs.py replay_logs --only 'foreign/keras*' --keras-python PYTHON

Keras' own TensorBoard callback needs TensorFlow: give a Python that has `tensorflow-cpu`,
`tensorboard` and `scikit-learn`, or the runs of Keras stay as they are. All together take about
four minutes on one CPU core.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from recorded_runs import (
    DIGITS_RUNS,
    FRAMEWORK_RUNS,
    KERAS_RUNS,
    DigitsRun,
    FrameworkRun,
    settings_for,
)
from replay_logs_readme import readme, stated_parameters, versions_in

Recorded = DigitsRun | FrameworkRun

README, TOML = "README.md", "plateau-watch.toml"

FIRST_LINES = {
    README: "# Recorded logs",
    TOML: "# What these logs do not record themselves: see README.md.",
}
"""By which an earlier version is known."""


def main() -> None:
    """Train, record and describe run by run: where one fails, it and those after it stay."""
    options = parse_options()
    for name in (README, TOML):
        check_ours(options.directory / name)
    for recorded in chosen_runs(options.only, options.keras_python):
        print(recorded.name, flush=True)
        with TemporaryDirectory() as scratch:
            recorded.record(Path(scratch), options.epochs)
            replace_event_files(Path(scratch), options.directory / recorded.name)
        describe(options.directory, recorded, options.epochs)


def chosen_runs(only: Sequence[str], keras_python: str | None) -> list[Recorded]:
    """Return the runs to record."""
    runs: list[Recorded] = [*DIGITS_RUNS, *FRAMEWORK_RUNS, *KERAS_RUNS]
    chosen = [run for run in runs if any(fnmatch(run.name, pattern) for pattern in only)]
    if keras_python is None:
        for run in KERAS_RUNS:
            if run in chosen:
                print(f"{run.name} stays as it is: it needs --keras-python")
                chosen.remove(run)
        return chosen
    return [
        replace(run, python=keras_python)
        if isinstance(run, FrameworkRun) and run in KERAS_RUNS
        else run
        for run in chosen
    ]


def describe(directory: Path, recorded: Recorded, epochs: int | None) -> None:
    """Write README and toml; what the README says of other runs stays."""
    path = directory / README
    versions = versions_in(path.read_text(encoding="utf-8")) if path.exists() else {}
    versions[recorded.name] = recorded.versions()
    path.write_text(readme(settings_for(epochs), versions), encoding="utf-8")
    (directory / TOML).write_text(stated_parameters(settings_for(epochs)), encoding="utf-8")


def replace_event_files(scratch: Path, directory: Path) -> None:
    """Put a finished run's event files in the place of older ones, below the same directories."""
    top = scratch / "log" if (scratch / "log").exists() else scratch
    new = sorted(top.rglob("events.out.tfevents.*"))
    if not new:
        raise SystemExit(f"{directory.name} wrote no event file: what was there stays")
    for old in directory.rglob("events.out.tfevents.*"):
        old.unlink()
    for written in new:
        to = directory / written.relative_to(top).with_name(without_machine(written.name))
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(written, to)


def without_machine(name: str) -> str:
    """Return an event file's name without host and process; its time and number stay.

    It is time.host.process.number; tensorboardX leaves the last two out, TensorFlow adds ".v2".
    """
    parts = re.fullmatch(r"(events\.out\.tfevents\.\d+)\..+?(\.\d+(\.\d+(\.v2)?))?", name)
    if parts is None:
        raise SystemExit(f"{name} is no event file's name that is known here")
    return f"{parts[1]}.example{f'.1{parts[3]}' if parts[3] else ''}"


def check_ours(path: Path) -> None:
    """Refuse to write over anything but an earlier version of README or toml."""
    if path.exists() and path.read_text(encoding="utf-8").splitlines()[:1] != [
        FIRST_LINES[path.name]
    ]:
        raise SystemExit(f"{path} is not a file of these logs: give a directory of their own")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Record the example logs anew, by really training.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the runs go")
    parser.add_argument("--epochs", type=int, help="of every run, instead of its own number")
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="runs whose name matches; repeatable"
    )
    parser.add_argument("--keras-python", metavar="PYTHON", help="a Python that has tensorflow-cpu")
    options = parser.parse_args()
    options.only = options.only or ["*"]
    return options


if __name__ == "__main__":
    main()

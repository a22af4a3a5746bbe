"""reporting: a log directory and what was said of it -> a report; shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from plateau_watch.commands.parameters import parse_ran_as, parse_ran_with
from plateau_watch.commands.reading import read_logdir, trainings
from plateau_watch.commands.stated import Stated
from plateau_watch.commands.told import recordings
from plateau_watch.comparison import compare
from plateau_watch.dialect_comparison import compare_by, with_dialects
from plateau_watch.dialects import DIALECTS, Config, dialect, dialect_of, nearest_of_torch
from plateau_watch.errors import ConfigError, NothingToReadError
from plateau_watch.reading import Reading
from plateau_watch.recording import Recording
from plateau_watch.report import NotReplayed, Report, RunReport
from plateau_watch.whatif import Overrides

Command = TypeVar("Command", bound=Callable[..., Any])

DUPLICATES = click.option(
    "--duplicates",
    type=click.Choice(["last", "first", "error"]),
    help="Which point counts where a step was written more than once; error: refuse where values "
    "differ. The last one if not said.",
)

_READING = (
    click.option("--metric", metavar="TAG", help="The scheduler's metric; found if not said."),
    click.option(
        "--lr", "lrs", metavar="TAG", multiple=True, help="The LR, once a group; found if not said."
    ),
    click.option(
        "--lr-logged",
        type=click.Choice(["before", "after", "late"]),
        help="Whether LRs are logged before or after the scheduler's step, or one step late; "
        "found out if not said.",
    ),
    click.option(
        "--skip-first",
        type=click.IntRange(min=0),
        default=0,
        help="Metric points at the beginning that the scheduler never saw.",
    ),
    click.option(
        "--every",
        type=click.IntRange(min=1),
        default=1,
        help="The scheduler saw every N-th metric point only.",
    ),
    click.option(
        "--repeat",
        type=click.IntRange(min=1),
        default=1,
        help="The scheduler stepped N times on each metric point.",
    ),
    click.option(
        "--alone",
        is_flag=True,
        help="Read every run by itself, even where it goes on from another one.",
    ),
    DUPLICATES,
    click.option("--run", "pattern", metavar="GLOB", help="Only runs with such a name."),
)

_CONFIGURATION = (
    click.option(
        "--ran-with",
        metavar="NAME=V,...",
        help="The real configuration, if not traced; fitted if not said.",
    ),
    click.option(
        "--dialect",
        metavar="NAME",
        default="torch",
        help="--ran-with is in the words of torch (as it is if not said), "
        f"{', '.join(list(DIALECTS)[1:])}; the run is replayed by its rules.",
    ),
)


def said_options(command: Command) -> Command:
    """Add the options that say what a log does not record."""
    for option in reversed((*_READING, *_CONFIGURATION)):
        command = option(command)
    return command


def reading_options(command: Command) -> Command:
    """Add the options that say which tags to look at and how to read them."""
    for option in reversed(_READING):
        command = option(command)
    return command


def reading_of(options: Mapping[str, Any]) -> Reading:
    """Collect how a log is said to be read."""
    return Reading(options["lr_logged"], options["skip_first"], options["every"], options["repeat"])


def report_on(
    logdir: Path,
    options: Mapping[str, Any],
    alternatives: Sequence[Overrides] | None,
    dialects: Sequence[str] = (),
) -> Report:
    """Read a log directory and compare every run with alternatives.

    Args:
        logdir: the log directory.
        options: those of `said_options`, by name.
        alternatives: what to change; None for a small set around each real configuration. A run
            of another framework has none, for they are torch's words.
        dialects: frameworks whose rules are followed beside the real ones, by name.

    Raises:
        NothingToReadError: no event file, run or tag of that name, or no scalar in any.
        ConfigError: a stated configuration that torch would refuse, or that no run can have.
    """
    said = _said(options)
    stderr = Console(stderr=True)
    logs = read_logdir(logdir, options["pattern"], stderr, options["duplicates"])
    told = recordings(trainings(logs, options["pattern"]), logdir, said, stderr)
    report = Report(
        logdir=str(logdir),
        runs=tuple(
            with_dialects(_compared(each.found, each.said, alternatives), dialects)
            for each in told
            if isinstance(each.found, Recording)
        ),
        not_replayed=tuple(each.found for each in told if isinstance(each.found, NotReplayed)),
        warnings=tuple(damage for log in logs for damage in log.damages),
    )
    if not report.runs and not report.not_replayed:
        raise NothingToReadError(f"no scalars in the event files below {report.logdir!r}")
    return report


def _compared(
    recording: Recording, said: Stated, alternatives: Sequence[Overrides] | None
) -> RunReport:
    """Compare a run by the rules it had; what the hook recorded had torch's."""
    if said.ran_as is None or recording.rows:
        return compare(recording, alternatives)
    report = compare_by(recording, said.ran_as, said.reading.logged)
    name = dialect_of(said.ran_as).name
    left_out = f"the alternatives are in torch's words, and left out for a run of {name}; see --as"
    return replace(report, warnings=(*report.warnings, *[left_out] * bool(alternatives)))


def _ran_as(options: Mapping[str, Any]) -> Config | None:
    """Read `--ran-with` in another framework's words; None where they are torch's.

    Raises:
        ConfigError: no such dialect, nothing stated in its words, or what it does not have.
    """
    name, ran_with = dialect(options["dialect"]).name, options["ran_with"]
    if name == "torch":
        return None
    if ran_with is None:
        raise ConfigError(
            f"--dialect {name} says in whose words --ran-with is: give that too "
            '(--ran-with "" for the defaults)'
        )
    return parse_ran_as(ran_with, name)


def _said(options: Mapping[str, Any]) -> Stated:
    """Collect what the options say."""
    ran_as, ran_with = _ran_as(options), options["ran_with"]
    config = None
    if ran_as is not None:
        config = nearest_of_torch(ran_as)
    elif ran_with is not None:
        config = parse_ran_with(ran_with)
    return Stated(
        metric=options["metric"],
        lrs=options["lrs"] or None,
        config=config,
        reading=reading_of(options),
        alone=options["alone"],
        ran_as=ran_as,
    )

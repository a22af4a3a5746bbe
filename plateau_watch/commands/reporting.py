"""reporting: a log directory and what was said of it -> a report; shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from plateau_watch.commands.parameters import parse_ran_with
from plateau_watch.commands.reading import read_logdir, recordings
from plateau_watch.commands.stated import Stated
from plateau_watch.comparison import compare
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.recording import Recording
from plateau_watch.report import NotReplayed, Report
from plateau_watch.whatif import Overrides

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--metric", metavar="TAG", help="The scheduler's metric, if not traced."),
    click.option("--lr", "lrs", metavar="TAG", multiple=True, help="The LR; once for each group."),
    click.option(
        "--ran-with",
        metavar="NAME=V,...",
        help="The real configuration, if not traced; fitted if not said.",
    ),
    click.option(
        "--lr-logged",
        type=click.Choice(["before", "after"]),
        help="Whether LRs are logged before or after the scheduler's step; found out if not said.",
    ),
    click.option("--run", "pattern", metavar="GLOB", help="Only runs with such a name."),
)


def said_options(command: Command) -> Command:
    """Add the options that say what a log does not record."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def report_on(
    logdir: Path, options: Mapping[str, Any], alternatives: Sequence[Overrides] | None
) -> Report:
    """Read a log directory and compare every run with alternatives.

    Args:
        logdir: the log directory.
        options: those of `said_options`, by name.
        alternatives: what to change; None for a small set around each real configuration.

    Raises:
        NothingToReadError: no event file, run or tag of that name.
        NotEnoughToldError: no run can be replayed; the message says what is missing.
        ConfigError: a stated configuration that torch would refuse.
    """
    said = _said(options)
    logs = read_logdir(logdir, options["pattern"], Console(stderr=True))
    found = recordings(logs, logdir, said)
    report = Report(
        logdir=str(logdir),
        runs=tuple(compare(item, alternatives) for item in found if isinstance(item, Recording)),
        not_replayed=tuple(item for item in found if isinstance(item, NotReplayed)),
        warnings=tuple(damage for log in logs for damage in log.damages),
    )
    if not report.runs:
        raise NotEnoughToldError(_nothing(report))
    return report


def _said(options: Mapping[str, Any]) -> Stated:
    ran_with = options["ran_with"]
    return Stated(
        metric=options["metric"],
        lrs=options["lrs"] or None,
        config=parse_ran_with(ran_with) if ran_with is not None else None,
        logged=options["lr_logged"],
    )


def _nothing(report: Report) -> str:
    if not report.not_replayed:
        return f"no scalars in the event files below {report.logdir!r}"
    first = report.not_replayed[0]
    tags = ", ".join(list(first.tags)[:8]) or "none"
    others = len(report.not_replayed) - 1
    more = f" (and {others} more such runs)" if others else ""
    return f"run {first.run!r} cannot be replayed{more}: {first.reason}; its tags: {tags}"

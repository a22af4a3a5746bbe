"""reading: a log directory -> its trainings: those that were asked for, and all others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import click
from rich.console import Console

from plateau_watch.commands.progress import reading
from plateau_watch.commands.stated import read_stated
from plateau_watch.errors import NothingToReadError
from plateau_watch.events.logdir import RunFiles, discover
from plateau_watch.events.related import related
from plateau_watch.events.run_reader import RunLog, read_trainings
from plateau_watch.render.printable import printable
from plateau_watch.series import Duplicates

Training = tuple[RunLog, ...]
"""The runs that one training wrote."""


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of a log directory.

    Attributes:
        asked: those that were asked for.
        every: all, from which one asked for may go on.
    """

    asked: tuple[Training, ...]
    every: tuple[Training, ...]


def read_logdir(
    logdir: Path, pattern: str | None, stderr: Console, duplicates: Duplicates | None = None
) -> tuple[RunLog, ...]:
    """Read all runs of a log directory, or those whose name matches a glob and what is beside them.

    Args:
        logdir: the log directory, which may hold a plateau-watch.toml.
        pattern: the glob; None for all.
        stderr: where progress is shown, and directories that cannot be read are named.
        duplicates: which write of a step counts; None for what the toml file says, or the last.

    Raises:
        NothingToReadError: there is no event file, or no run of that name.
        NotEnoughToldError: a step was written with two values, and duplicates may not differ.
        ConfigError: the log directory's plateau-watch.toml cannot be used.
    """
    unread: list[str] = []
    runs = _chosen(discover(logdir, unread.append), pattern)
    for line in unread:
        click.echo(f"plateau-watch: {printable(line)}", err=True)
    stated = read_stated(logdir)

    def chosen(run: str, directory: str) -> Duplicates:
        written = stated.about(run).duplicates or stated.about(directory).duplicates
        return duplicates or written or "last"

    total = sum(_size(path) for run in runs for path in run.files)
    with reading(total, stderr) as advance:
        return tuple(log for run in runs for log in read_trainings(run, advance, chosen))


def trainings(logs: Sequence[RunLog], pattern: str | None) -> Trainings:
    """Put together the runs that one training wrote; those that a name matches are asked for.

    Raises:
        NothingToReadError: no run has a name that matches.
    """
    every = tuple(related(logs))
    asked = [
        group for group in every if pattern is None or any(_matches(log, pattern) for log in group)
    ]
    if pattern is not None and not asked:
        names = nearest(pattern, [log.run for log in logs])
        raise NothingToReadError(f"no run is named {pattern!r}{names}")
    return Trainings(tuple(asked), every)


def _matches(log: RunLog, pattern: str) -> bool:
    return fnmatchcase(log.run, pattern) or fnmatchcase(log.directory, pattern)


def _chosen(runs: tuple[RunFiles, ...], pattern: str | None) -> tuple[RunFiles, ...]:
    """Choose the runs to read: those of that name, and those beside them, with the LR perhaps."""
    if pattern is None:
        return runs
    directory = pattern.rpartition("@")[0] or pattern
    named = {run.name for run in runs if fnmatchcase(run.name, directory)}
    named |= {run.name for run in runs if fnmatchcase(run.name, pattern)}
    if not named:
        if any(wildcard in pattern for wildcard in "*?["):
            return runs  # it may match a RUN@TIME, and those are known when all is read
        names = [run.name for run in runs]
        raise NothingToReadError(f"no run is named {pattern!r}{nearest(pattern, names)}")
    parents = {PurePosixPath(name).parent for name in named}
    return tuple(
        run
        for run in runs
        if run.name in named or PurePosixPath(run.name).parent in parents or _in(run.name, named)
    )


def _in(run: str, named: Iterable[str]) -> bool:
    return str(PurePosixPath(run).parent) in named


def nearest(name: str, names: Iterable[str]) -> str:
    """List what there is, nearest first."""
    names = list(names)
    near = get_close_matches(name, names, n=3, cutoff=0.3)
    listed = near + [other for other in names if other not in near]
    more = ", ..." if len(listed) > 8 else ""
    return f"; there are: {', '.join(map(repr, listed[:8]))}{more}" if listed else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

"""logdir: find the runs below a log directory; the only code that walks directories.

A run is a directory with at least one event file: a regular file whose name contains "tfevents",
as TensorBoard has it. Its name is the path below the log directory, "." for the directory itself.
Nothing is opened. Schedules that plateau-watch itself wrote are no runs.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plateau_watch.errors import NothingToReadError

WHATIF_MARK = "plateau_watch_whatif"
"""In the name of every event file that holds a schedule of ours."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run's name and its event files in name order, in which they are read.

    Numbers in names count as numbers: a process's 10th writer comes after its 9th.
    """

    name: str
    files: tuple[Path, ...]


def _nothing(_: str) -> None:
    pass


def discover(logdir: Path, passed_over: Callable[[str], object] = _nothing) -> tuple[RunFiles, ...]:
    """Find the runs of a log directory, in name order.

    Links are followed, each directory entered once. An event file is taken as a log directory
    that holds it alone.

    Args:
        logdir: the log directory.
        passed_over: told of each directory that cannot be read, in a line.

    Raises:
        NothingToReadError: there is no such path, or no event file below it.
    """
    try:
        is_directory = stat.S_ISDIR(logdir.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise NothingToReadError(f"there is no {str(logdir)!r}{_nearest(logdir)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NothingToReadError(f"cannot read {str(logdir)!r}: {reason}") from None
    if not is_directory:
        return _single(logdir)
    unread: list[str] = []
    runs = [run for directory in _directories(logdir, unread) if (run := _run(logdir, directory))]
    for line in unread:
        passed_over(line)
    if not runs:
        closed = f"; {unread[0]}" if unread else ""
        raise NothingToReadError(
            f"no event files below {str(logdir)!r} (files with 'tfevents' in their name, as "
            f"SummaryWriter makes them){closed}"
        )
    return tuple(sorted(runs, key=lambda run: _in_path_order(run.name)))


def is_event_file(path: Path) -> bool:
    """Whether a path is a regular file with an event file's name; links count as their target."""
    if "tfevents" not in path.name or WHATIF_MARK in path.name:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _single(path: Path) -> tuple[RunFiles, ...]:
    if not is_event_file(path):
        raise NothingToReadError(
            f"{str(path)!r} is no directory and no event file ('tfevents' is not in its name)"
        )
    return (RunFiles(".", (path,)),)


def _directories(top: Path, unread: list[str]) -> list[Path]:
    """Find all directories, however deep; of those that cannot be read, a line each."""
    found: list[Path] = []
    entered: set[tuple[int, int]] = set()
    ahead = [str(top)]
    while ahead:
        directory = ahead.pop()
        try:
            status = os.stat(directory)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(directory) as entries:
                names = sorted(entry.path for entry in entries if _is_directory(entry))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            unread.append(f"cannot read {directory!r}: {error.strerror}")
            continue
        found.append(Path(directory))
        ahead += reversed(names)
    return found


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _run(logdir: Path, directory: Path) -> RunFiles | None:
    try:
        names = sorted(os.listdir(directory), key=_in_counting_order)
    except OSError:
        return None
    files = tuple(path for name in names if is_event_file(path := directory / name))
    return RunFiles(directory.relative_to(logdir).as_posix(), files) if files else None


def _in_counting_order(name: str) -> list[str | int]:
    """Sort a writer's 10th file behind its 9th: numbers in a name count as numbers."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if position % 2 else part for position, part in enumerate(parts)]


def _in_path_order(name: str) -> list[str]:
    return [] if name == "." else name.split("/")


def _nearest(path: Path) -> str:
    """Say what there is in the nearest directory that exists."""
    parent = next(parent for parent in path.absolute().parents if parent.is_dir())
    try:
        names = sorted(child.name for child in parent.iterdir() if child.is_dir())
    except OSError:
        return ""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"; in {str(parent)!r} there are: {shown}" if shown else ""

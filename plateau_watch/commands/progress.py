"""progress: a bar on standard error for reading or fitting that takes longer than a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from plateau_watch.interruption import undone_if_interrupted

PATIENCE = 1.0
"""Seconds before the bar appears."""

TAKEN_AWAY = b"\r\x1b[2K\x1b[?25h"
"""Erases the line and shows the cursor again, without asking rich, which may be interrupted."""

Advance = Callable[[int], None]
"""To be told how much more was done."""


def reading(total: int, console: Console) -> AbstractContextManager[Advance]:
    """Yield a function to be told how many bytes were read.

    Args:
        total: bytes there are.
        console: standard error; nothing is shown where it is no terminal.
    """
    return _bar(total, console, (TextColumn("reading"), BarColumn(), DownloadColumn()))


def fitting(total: int, console: Console) -> AbstractContextManager[Advance]:
    """Yield a function to be told how many trainings were fitted.

    Args:
        total: trainings there are.
        console: standard error; nothing is shown where it is no terminal.
    """
    counted = TextColumn("{task.completed:.0f}/{task.total:.0f} trainings")
    return _bar(total, console, (TextColumn("fitting"), BarColumn(), counted))


@contextmanager
def _bar(total: int, console: Console, columns: tuple[ProgressColumn, ...]) -> Iterator[Advance]:
    started = time.monotonic()
    progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
    task = progress.add_task("", total=total)

    def advance(count: int) -> None:
        progress.update(task, advance=count)
        overdue = time.monotonic() - started > PATIENCE
        if overdue and console.is_terminal and not progress.live.is_started:
            progress.start()

    def take_away() -> None:
        if progress.live.is_started:
            os.write(console.file.fileno(), TAKEN_AWAY)

    with undone_if_interrupted(take_away):
        try:
            yield advance
        finally:
            if progress.live.is_started:
                progress.stop()

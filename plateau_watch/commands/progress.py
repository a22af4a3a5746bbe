"""progress: a bar on standard error for reading that takes longer than a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 1.0
"""Seconds before the bar appears."""


@contextmanager
def reading(total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """Yield a function to be told how many bytes were read.

    Args:
        total: bytes there are.
        console: standard error; nothing is shown where it is no terminal.
    """
    started = time.monotonic()
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("reading", total=total)

    def advance(count: int) -> None:
        progress.update(task, advance=count)
        overdue = time.monotonic() - started > PATIENCE
        if overdue and console.is_terminal and not progress.live.is_started:
            progress.start()

    try:
        yield advance
    finally:
        if progress.live.is_started:
            progress.stop()

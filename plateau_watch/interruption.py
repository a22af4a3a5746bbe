"""interruption: Ctrl-C ends the command at once, after undoing what is half done.

A KeyboardInterrupt would be raised inside whatever happens to run, and where that is a destructor
or a callback Python prints it and goes on. So the signal's own handler undoes and ends the process,
with the exit code that a shell gives to what SIGINT ended. Only the command asks for it; who
imports the library keeps Python's own handling.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""130."""

_half_done: list[Callable[[], None]] = []


def end_when_interrupted() -> None:
    """Let SIGINT end this process from now on, unless it was started to ignore it (nohup, &)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)


@contextmanager
def undone_if_interrupted(undo: Callable[[], None]) -> Iterator[None]:
    """Have something undone where an interruption comes within the block.

    Args:
        undo: is called between any two instructions of the block, so it asks what is there.
    """
    _half_done.append(undo)
    try:
        yield
    finally:
        _half_done.remove(undo)


def _end(_: int, __: FrameType | None) -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # a second one waits for nothing
    for undo in reversed(_half_done):
        with suppress(OSError):
            undo()
    os._exit(INTERRUPTED)

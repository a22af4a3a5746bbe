"""complaint: how the training side says that something went wrong, without ever raising.

Knows no scheduler, no log and no framework.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress


class PlateauWatchWarning(UserWarning):
    """The trace could not be written, or not wholly; the training is not affected."""


def complain(message: str, *, stacklevel: int = 1) -> None:
    """Warn; where warnings are made errors or cannot be shown, log instead, or else say nothing.

    Args:
        message: one clear line.
        stacklevel: whose line the warning names: 1 is the caller's.
    """
    try:
        warnings.warn(message, PlateauWatchWarning, stacklevel=stacklevel + 1)
    except Exception:  # noqa: BLE001  the user's own showwarning may raise anything
        with suppress(Exception):
            logging.getLogger("plateau_watch").warning(message)


class Faults:
    """The kinds of fault there were; each is said once.

    A kind is an exception's class, and for an error of the system its number.
    """

    def __init__(self) -> None:
        self._said: set[tuple[str, int | None]] = set()

    def say(self, error: Exception, *, stacklevel: int = 1) -> None:
        """Warn of a fault, unless one of its kind was said before; nothing is raised.

        Args:
            error: any exception, even one that cannot say what it is.
            stacklevel: whose line the warning names: 1 is the caller's.
        """
        name = type(error).__name__
        kind = (name, error.errno if isinstance(error, OSError) else None)
        if kind in self._said:
            return
        self._said.add(kind)
        try:
            what = str(error)
        except Exception:  # noqa: BLE001  its own __str__ may raise anything
            what = "it cannot say what"
        complain(
            f"plateau-watch cannot write its trace ({name}: {what}); training is not affected, "
            "scheduler steps will be missing from the log",
            stacklevel=stacklevel + 1,
        )

"""complaint: how the training side says that something went wrong, without ever raising.

Knows no scheduler, no log and no framework.
"""

from __future__ import annotations

import logging
import warnings


class PlateauWatchWarning(UserWarning):
    """The trace could not be written, or not wholly; the training is not affected."""


def complain(message: str, *, stacklevel: int = 1) -> None:
    """Warn; where warnings are made errors, log instead.

    Args:
        message: one clear line.
        stacklevel: whose line the warning names: 1 is the caller's.
    """
    try:
        warnings.warn(message, PlateauWatchWarning, stacklevel=stacklevel + 1)
    except PlateauWatchWarning:
        logging.getLogger("plateau_watch").warning(message)

"""event_file: append events to an event file of our own.

Used where there is no writer of the user's: a hook that was given a directory, and what-if
schedules. Each event is one `write` of one whole record, so that a reader sees it or not.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event

from plateau_watch.events.framing import framed

FILE_VERSION = "brain.Event:2"


class EventFile:
    """An event file being written; it begins with its `file_version`.

    Args:
        path: the file; its directory is made where it is missing, and an existing file is an
            error.
        wall_time: of the first event, seconds since the epoch; now where absent.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, wall_time: float | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("xb", buffering=0)
        started = time.time() if wall_time is None else wall_time
        try:
            self.add(Event(wall_time=started, file_version=FILE_VERSION))
        except BaseException:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    def add(self, event: Event) -> None:
        """Append one event, whole or not at all.

        Raises:
            OSError: it cannot be written (a full disk, a closed file).
        """
        record = framed(event.SerializeToString())
        size = self._file.tell()
        try:
            self._write_whole(record)
        except BaseException:  # an interrupt too
            with suppress(OSError):
                self._file.truncate(size)
                self._file.seek(size)
            raise

    def _write_whole(self, record: bytes) -> None:
        if self._file.write(record) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def fileno(self) -> int:
        """Return the file descriptor, to sync it."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

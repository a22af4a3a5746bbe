"""whole_file: files that appear whole, or not at all.

They are written and synced in a hidden directory beside the place where they will stand, and
renamed into it. A process that is killed leaves that directory behind; since it held a lock on it,
the next call for the same place can tell, and removes it. Where a file system has no locks (and on
Windows) what a killed process left has to be removed by hand.

Knows no formats. Source of the order (write, sync, rename, sync the directory): rename(2) and
fsync(2) of Linux.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plateau_watch.errors import OutputRefusedError, OutputUnfinishedError
from plateau_watch.interruption import undone_if_interrupted

UNFINISHED = ".plateau-watch-unfinished-"
"""What the hidden directories' names begin with; "tfevents" is not in it, so that TensorBoard never
reads what lies in one."""

_LOCK = "lock"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def cannot_write(place: Path, error: OSError) -> OutputRefusedError | OutputUnfinishedError:
    """Say why nothing was written to a place: it is no place to write to, or has no room."""
    reason = f"cannot write {str(place)!r}: {error.strerror or error}"
    if error.errno in _NO_ROOM:
        return OutputUnfinishedError(f"{reason}; make room there, or choose another place")
    return OutputRefusedError(reason)


@contextmanager
def unfinished(directory: Path) -> Iterator[Path]:
    """Yield a new hidden directory in a directory, to write files in before they are renamed.

    It is removed with what is still in it when the block ends or is interrupted. Files lie in it
    flat.

    Raises:
        OSError: it cannot be made.
    """
    _remove_abandoned(directory)
    hidden = directory / f"{UNFINISHED}{secrets.token_hex(8)}"
    with undone_if_interrupted(lambda: _remove(hidden)):
        try:
            with _held(hidden):
                yield hidden
        finally:
            _remove(hidden)


def sync(directory: Path) -> None:
    """Bring the names in a directory to the disk, where the system can.

    Raises:
        OSError: the disk failed.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _held(hidden: Path) -> Iterator[None]:
    """Make a hidden directory and hold its lock; a call that cleans up may be faster, and lose."""
    lock = None
    while lock is None:
        hidden.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            lock = os.open(hidden / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if lock is not None and not (_locked(lock, wait=True) and (hidden / _LOCK).exists()):
            os.close(lock)
            lock = None
    try:
        yield
    finally:
        os.close(lock)


def _remove(hidden: Path) -> None:
    """Remove a hidden directory; the lock last, so that what is left of it can be told."""
    with suppress(OSError):
        for path in sorted(hidden.iterdir(), key=lambda path: path.name == _LOCK):
            path.unlink()
        hidden.rmdir()


def _remove_abandoned(directory: Path) -> None:
    """Remove the hidden directories of our own that no process holds."""
    with suppress(OSError):
        for path in directory.iterdir():
            if path.name.startswith(UNFINISHED) and _is_ours(path):
                with suppress(OSError):
                    _remove_if_abandoned(path)


def _is_ours(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and (sys.platform == "win32" or found.st_uid == os.geteuid())


def _remove_if_abandoned(hidden: Path) -> None:
    try:
        lock = os.open(hidden / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        hidden.rmdir()  # killed before there was anything in it
        return
    try:
        if _locked(lock, wait=False):
            _remove(hidden)
    finally:
        os.close(lock)


if sys.platform == "win32":

    def _locked(_: int, *, wait: bool) -> bool:
        return wait

else:
    import fcntl

    def _locked(descriptor: int, *, wait: bool) -> bool:
        """Lock a file until it is closed; where there are no locks, who waits has it at once."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return wait
        return True

"""output_file: `-o FILE`, whole or not at all.

A link is followed; what stands there keeps its owner and permissions, but not its hard links. What
is no regular file (a FIFO, a device) and what is open already (/dev/stdout) is written to as it is.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from plateau_watch.errors import OutputRefusedError
from plateau_watch.whole_file import cannot_write, sync, unfinished

_OPEN_ALREADY = re.compile(r"/(dev|proc/(self|[0-9]+|thread-self))/fd/([0-9]+)")


def write_file(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        OutputRefusedError: it is a directory or an event file, or cannot be written.
        OutputUnfinishedError: there is no room.
        BrokenPipeError: nobody reads what is written to.
    """
    try:
        target = _followed(path)
        _refuse(path, target)
        if (descriptor := _open_already(target)) is not None:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(content)
        elif target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from None


def _followed(path: Path) -> Path:
    """Follow links, but not those by which a system names what a process has open."""
    seen: set[Path] = set()
    while path.is_symlink() and _open_already(path) is None and path not in seen:
        seen.add(path)
        path = Path(os.path.realpath(path.parent), os.readlink(path))
    if _open_already(path) is not None:
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _open_already(path: Path) -> int | None:
    """Return the descriptor of this process that a path names, if it names one."""
    match = _OPEN_ALREADY.fullmatch(os.path.normpath(path))
    ours = match is not None and match[2] in (None, "self", "thread-self", str(os.getpid()))
    return int(match[3]) if match is not None and ours else None


def _refuse(path: Path, target: Path) -> None:
    if str(path) in ("", ".") or target.is_dir():
        raise OutputRefusedError(f"cannot write {str(path)!r}: it is a directory")
    if "tfevents" in target.name:
        raise OutputRefusedError(
            f"cannot write {str(path)!r}: TensorBoard would read it as an event file"
        )


def _replace(target: Path, content: bytes) -> None:
    before = target.stat() if target.exists() else None
    if before is not None:
        os.close(os.open(target, os.O_WRONLY))  # who may not write to it may not replace it
    with unfinished(target.parent) as hidden:
        new = hidden / "content"
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            if before is not None:
                _give_to(file.fileno(), before)
            os.fsync(file.fileno())
        new.replace(target)
    sync(target.parent)


def _give_to(descriptor: int, before: os.stat_result) -> None:
    """Give a file the owner, as far as that is allowed, and the permissions of another one."""
    if hasattr(os, "fchown"):
        with suppress(PermissionError):
            os.fchown(descriptor, -1, before.st_gid)
        with suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, -1)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))

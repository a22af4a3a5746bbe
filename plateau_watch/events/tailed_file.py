"""tailed_file: one event file, read as far as it goes now, and on from there later.

    not there yet   -> nothing; looked for again
    grown           -> read from where the last whole record ended
    a CRC fails     -> the same bytes are read again, at once and for a while: a network disk shows
                       zeros where bytes have yet to come; then it is believed and passed over
    replaced, cut   -> it is another file: a new generation, read from its beginning
    gone            -> what was read of it counts on

Knows records and events; what they mean together is for `file_content`. Invariants: each whole
record is taken once in a generation, in file order; bytes whose CRC fails never become an event.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from plateau_watch.events.framing import HEADER
from plateau_watch.events.records import Gap, Record, RecordParser
from plateau_watch.events.summaries import Event, NotAnEventError, decode_event, may_hold_scalars

BLOCK = 1 << 20
"""Bytes read at a time."""

PATIENCE = 30.0
"""Seconds for which bytes whose CRC fails are read again: network disks settle within that."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
"""Seconds from one reading of such bytes to the next; each wait is twice the one before."""

MARK = 64
"""Bytes of a record by which it is known again: an event file's first holds when it was begun."""

Taken = tuple[int, Event]
"""An event, with the offset of its record."""


def _nothing(_: int) -> None:
    pass


class TailedFile:
    """Reads one event file, as often as it is looked at.

    Args:
        path: the file; it need not be there yet.
        patience: seconds for which bytes whose CRC fails are read again; 0 reads them once more.
        clock: the time in seconds, from anywhere.

    Attributes:
        generation: how often it turned out to be another file; what was read before is void then.
        due: when bytes whose CRC failed are to be read again, by the clock; None for none.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.generation = 0
        self.due: float | None = None
        self._patience = patience
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._parser = RecordParser(may_hold_scalars, hold=True)
        self._first: tuple[int, bytes] | None = None
        self._last: tuple[int, bytes] | None = None
        self._identity: tuple[int, int] | None = None
        self._gaps: list[Gap] = []
        self._undecodable = 0
        self._gone = False
        self._failed_at: float | None = None
        self._wait = FIRST_WAIT
        self.due = None

    def look(self, advance: Callable[[int], object] = _nothing) -> Iterator[Taken]:
        """Yield the events that have become whole since the last look.

        Args:
            advance: told the number of bytes passed, for a progress bar.

        Raises:
            OSError: it is there and cannot be read.
        """
        try:
            descriptor = _opened(self.path)
        except FileNotFoundError:
            self._gone = True
            return
        try:
            if self._is_another(descriptor):
                self.generation += 1
                self._begin()
            self._gone = False
            status = os.fstat(descriptor)
            self._identity = status.st_dev, status.st_ino
            yield from self._read(descriptor, status.st_size, advance)
        finally:
            os.close(descriptor)

    def end(self) -> Iterator[Taken]:
        """Yield what is left, where nothing more will come: there is no look after this."""
        yield from self._taken(self._parser.finish())

    def damages(self) -> list[str]:
        """Say what was passed over, and what is not whole yet, one line each."""
        said = [_skipped(self.path, gap) for gap in self._gaps]
        if self._undecodable:
            said.append(f"{self._undecodable} record(s) of {self.path} are no events")
        rest = self._parser.pending
        if rest and rest.length:
            said.append(
                f"{self.path} ends within a record ({rest.length:,} bytes at offset "
                f"{rest.offset:,}): still being written, or cut off"
                if self._parser.incomplete
                else _skipped(self.path, rest)
            )
        if self.generation:
            said.append(f"{self.path} was replaced or written anew while it was read")
        if self._gone:
            said.append(
                f"{self.path}: {os.strerror(errno.ENOENT)}"
                if self._first is None
                else f"{self.path} is no longer there; what was read of it counts"
            )
        return said

    def _read(
        self, descriptor: int, size: int, advance: Callable[[int], object]
    ) -> Iterator[Taken]:
        while True:
            if self._parser.suspect:
                believed = self._read_again(descriptor)
                if believed is None:
                    return
                yield from self._taken(believed)
                continue
            past = min(self._parser.declined, size - self._parser.position)
            if past > 0:
                self._parser.sought(past)
                advance(past)
            block = _at(descriptor, BLOCK, self._parser.position)
            if not block:
                return
            advance(len(block))
            yield from self._taken(self._parser.feed(block))

    def _read_again(self, descriptor: int) -> Iterable[Record | Gap] | None:
        """Read bytes whose CRC failed once more; None: wait. What comes out is taken."""
        offset, failed = self._parser.suspect_bytes()
        if _at(descriptor, len(failed), offset) != failed:
            self._failed_at, self.due = None, None
            self._parser = RecordParser(may_hold_scalars, start=offset, hold=True)
            return ()
        now = self._clock()
        if self._failed_at is None:
            self._failed_at, self._wait = now, FIRST_WAIT
        if now - self._failed_at >= self._patience:
            self._failed_at, self.due = None, None
            return self._parser.give_up()
        if self.due is None or now >= self.due:
            self.due = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        return None

    def _taken(self, found: Iterable[Record | Gap]) -> Iterator[Taken]:
        for item in found:
            if isinstance(item, Gap):
                self._gaps.append(item)
                continue
            self._last = item.offset, item.payload[:MARK]
            self._first = self._first or self._last
            try:
                event = decode_event(item.payload)
            except NotAnEventError:
                self._undecodable += 1
            else:
                yield item.offset, event

    def _is_another(self, descriptor: int) -> bool:
        """Whether this is not the file that was read: by its identity, or by what stands in it."""
        status = os.fstat(descriptor)
        if self._identity not in (None, (status.st_dev, status.st_ino)):
            return True
        marks = [mark for mark in (self._first, self._last) if mark]
        return any(
            _at(descriptor, len(beginning), offset + HEADER) != beginning
            for offset, beginning in marks
        )


def _at(descriptor: int, size: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def _opened(path: Path) -> int:
    """Open a regular file; what took its place since it was found is never waited for."""
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "no regular file")


def _skipped(path: Path, gap: Gap) -> str:
    return f"skipped {gap.length:,} bytes at offset {gap.offset:,} of {path} ({gap.reason})"

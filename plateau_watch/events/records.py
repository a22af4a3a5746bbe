"""records: the records of an event file, as a push parser without a file handle.

Bytes go in with `feed`, in any chunks; records and gaps come out. Rules:

- A length is believed only after its CRC, a payload is handed out only after its own.
- Where a CRC fails the parser resyncs: it goes on at the next offset where both CRCs hold, and
  reports what lies between as one `Gap`. With `hold` it waits before that: bytes on a network disk
  may be read again and be whole then.
- An incomplete record at the end is neither: it is `pending`, and more bytes may complete it. Where
  no more will come, `finish` looks for records in what a cut one claimed.
- A large payload may be declined after a look at its beginning. It is then not checked, and
  `declined` says how many coming bytes the caller may seek past instead of feeding.
- Time is bounded by the bytes fed, memory by the longest record that is kept.

Feeding in chunks of any size gives the same records and gaps. The format is that of `framing`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from plateau_watch.events.framing import (
    FOOTER,
    HEADER,
    LONGEST_SOUGHT,
    length_at,
    payload_at,
    sound_headers,
)

LARGE = 64 * 1024
"""A payload longer than this is offered to `wanted` before it is collected. A scalar event has
some 50 bytes, a hook's row some 500, an image at least thousands."""

PEEK = 4096
"""How much of a large payload `wanted` sees: room for the tags and types of its first values."""

LONGEST_KEPT = 1 << 26
"""No longer payload is ever collected: 64 MiB. A merged summary with images has some MiB."""

LONGEST = 1 << 31
"""What claims to be longer is no record: a protobuf message cannot pass 2 GiB."""

FIRST_LOOK, LONGEST_LOOK = 1 << 9, 1 << 18
"""Offsets that a resync tries at once: few at first, since the next record is mostly near."""

SMALL = 4096
"""Payloads up to this are always checked; of scalars and rows none is longer."""

VAIN_CHECKS = 16
"""Bytes of longer payloads that are checked in vain for each byte of the file, before no more are:
a hostile file could have each byte of it checked for each header that it forges."""

Reason = Literal[
    "bad length CRC", "bad payload CRC", "record too long", "record cut off", "longer than is kept"
]


@dataclass(frozen=True, slots=True)
class Record:
    """A payload whose CRC holds, with the offset of its header in the file."""

    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that are no record: from `offset`, `length` of them, and what was wrong first."""

    offset: int
    length: int
    reason: Reason


class RecordParser:
    """Turns the bytes of one event file into records and gaps.

    Args:
        wanted: asked with the first bytes of each large payload and its length; False declines
            it.
        start: offset in the file at which the bytes fed begin; a record begins there.
        hold: stop where a CRC fails, as `suspect`, until `give_up`.

    Attributes:
        declined: coming bytes that the parser will throw away; seek past them and say so with
            `sought`.
        suspect: where a CRC failed and the parser waits; None elsewhere.
    """

    def __init__(
        self,
        wanted: Callable[[bytes, int], bool] = lambda *_: True,
        *,
        start: int = 0,
        hold: bool = False,
    ) -> None:
        self._wanted = wanted
        self._hold = hold
        self._buffer = bytearray()
        self._offset = start
        self._start = start
        self._lost: tuple[int, Reason] | None = None
        self._sought_to = 0
        self._headers: deque[int] = deque()
        self._look = FIRST_LOOK
        self._in_vain = 0
        self._finishing = False
        self._accepted = -1
        self._declined_from = 0
        self.declined = 0
        self.suspect: tuple[int, Reason] | None = None

    @property
    def position(self) -> int:
        """Offset in the file of the next byte to feed."""
        return self._offset + len(self._buffer)

    @property
    def pending(self) -> Gap | None:
        """What is left at the end of the bytes fed so far; None at a record's end.

        It is an incomplete record, or after a failed CRC bytes among which no record was found.
        """
        failed = self._lost or self.suspect
        if failed:
            start, reason = failed
            return Gap(start, self.position - start, reason)
        if self._buffer or self.declined:
            start = self._declined_from if self.declined else self._offset
            return Gap(start, self.position - start, "bad payload CRC")
        return None

    @property
    def incomplete(self) -> bool:
        """Whether the bytes so far end within a record that was sound as far as it goes."""
        return not (self._lost or self.suspect) and bool(self._buffer or self.declined)

    def sought(self, count: int) -> None:
        """Say that the caller went past `count` of the declined bytes without feeding them."""
        self.declined -= count
        self._offset += count

    def feed(self, data: bytes) -> Iterator[Record | Gap]:
        """Take the next bytes of the file; yield what they complete, in file order."""
        if self.declined:
            thrown = min(self.declined, len(data))
            self.sought(thrown)
            data = data[thrown:]
        self._buffer += data
        while not self.suspect:
            found = self._resync() if self._lost else self._next()
            if found is None:
                return
            if isinstance(found, Record | Gap):
                yield found

    def suspect_bytes(self) -> tuple[int, bytes]:
        """Return the offset of what failed, and its bytes: a header, or the whole record.

        There must be a `suspect`.
        """
        if not self.suspect:
            raise ValueError("nothing failed")
        offset, reason = self.suspect
        length = length_at(self._buffer, 0) if reason == "bad payload CRC" else None
        extent = HEADER if length is None else HEADER + length + FOOTER
        return offset, bytes(self._buffer[:extent])

    def give_up(self) -> Iterator[Record | Gap]:
        """Believe that a CRC failed: go on behind it, with what was fed already."""
        if self.suspect:
            (_, reason), self.suspect = self.suspect, None
            self._lose_here(reason)
            yield from self.feed(b"")

    def finish(self) -> Iterator[Record | Gap]:
        """Say that no more bytes will come; yield the records that a cut one swallowed.

        Where there are none, it stays `pending` as it was. Nothing is fed after this.
        """
        self._finishing, self._hold = True, False
        yield from self.give_up()
        while self._buffer:
            cut = self.incomplete
            if cut and not self._swallows_a_record():
                return
            if cut:
                self._lose_here("record cut off")
            before = self.position, len(self._buffer)
            yield from self.feed(b"")
            if (self.position, len(self._buffer)) == before or self._lost:
                return

    def _next(self) -> Record | Gap | bool | None:
        """Take one record off the buffer; True: did something else; None: needs more bytes."""
        if len(self._buffer) < HEADER:
            return None
        length = length_at(self._buffer, 0)
        if length is None or length > LONGEST:
            return self._lose("bad length CRC" if length is None else "record too long")
        end = HEADER + length + FOOTER
        large = length > LARGE
        if len(self._buffer) < (HEADER + PEEK if large else end):
            return None
        if large and not self._accepts(length):
            return self._decline(end)
        if length > LONGEST_KEPT:
            gap = Gap(self._offset, end, "longer than is kept")
            self._decline(end)
            return gap
        return self._take(end) if len(self._buffer) >= end else None

    def _take(self, end: int) -> Record | bool | None:
        payload = self._checked(0, end - HEADER - FOOTER)
        if payload is None:
            return self._lose("bad payload CRC")
        record = Record(self._offset, payload)
        self._drop(end)
        return record

    def _accepts(self, length: int) -> bool:
        if self._accepted != self._offset:
            if not self._wanted(bytes(self._buffer[HEADER : HEADER + PEEK]), length):
                return False
            self._accepted = self._offset
        return True

    def _decline(self, end: int) -> bool:
        here = min(end, len(self._buffer))
        self._declined_from = self._offset
        self._drop(here)
        self.declined = end - here
        return True

    def _lose(self, reason: Reason) -> bool:
        if self._hold:
            self.suspect = (self._offset, reason)
        else:
            self._lose_here(reason)
        return True

    def _lose_here(self, reason: Reason) -> None:
        self._lost = (self._offset, reason)
        self._drop(1)
        self._headers.clear()
        self._sought_to = self._offset
        self._look = FIRST_LOOK

    def _resync(self) -> Gap | None:
        """Look for the next sound record; what was passed over becomes a gap."""
        while self._headers or self._seek_headers():
            self._drop(self._headers[0] - self._offset)
            length = length_at(self._buffer, 0) or 0
            whole = len(self._buffer) >= HEADER + length + FOOTER
            if not whole and not self._finishing:
                return None
            if whole and self._checked(0, length) is not None and self._lost:
                (start, reason), self._lost = self._lost, None
                return Gap(start, self._offset - start, reason)
            self._headers.popleft()
        self._drop(self._sought_to - self._offset)
        return None

    def _seek_headers(self) -> bool:
        """Look for plausible headers in bytes not looked at yet; False where there is none."""
        while self.position - self._sought_to >= HEADER:
            begin = self._sought_to - self._offset
            block = bytes(self._buffer[begin : begin + self._look + HEADER - 1])
            self._headers += [self._sought_to + at for at in sound_headers(block)]
            self._sought_to += len(block) - HEADER + 1
            self._look = min(2 * self._look, LONGEST_LOOK)
            if self._headers:
                return True
        return False

    def _swallows_a_record(self) -> bool:
        """Whether a sound record lies within the bytes of an incomplete one."""
        behind = RecordParser(start=self._offset + 1)
        behind._lose_here("record cut off")
        behind._finishing = True
        return any(isinstance(found, Record) for found in behind.feed(bytes(self._buffer[1:])))

    def _checked(self, position: int, length: int) -> bytes | None:
        """The payload, if its CRC holds; what fails again and again is not checked for ever."""
        spent = self._in_vain > VAIN_CHECKS * (self._offset - self._start) + LONGEST_SOUGHT
        if length > SMALL and spent:
            return None
        payload = payload_at(self._buffer, position, length)
        if payload is None and length > SMALL:
            self._in_vain += length
        return payload

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count

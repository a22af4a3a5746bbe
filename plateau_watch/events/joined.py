"""joined: the contents of files in reading order -> the series and traces of one training.

Here what was written is preempted: a SessionLog.START at step s voids earlier points at steps >= s,
then one write of each (tag, step) counts. A new attachment of the hook does as a restart does for
the rows of its trace; within one attachment all rows count, whatever their steps. Knows nothing of
files' names. Invariant: taking the events of two files one after the other, or taking each file's
and joining the two, ends in the same series and traces.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np

from plateau_watch.events.file_content import Entries, FileContent, Points, TraceEntry
from plateau_watch.events.restarts import lowest_from, restarts_at
from plateau_watch.events.trace_format import BadTraceError, parse_config, parse_row
from plateau_watch.precision import coarsest
from plateau_watch.recording import ConfigRecord, RecordedTrace, TraceRow
from plateau_watch.series import Restart, Series, alive, contradiction, surviving


class Write(NamedTuple):
    """Where a point was written: which file, and the how manieth of its tag there, from 0."""

    file: int
    number: int
    value: float


class Contradiction(NamedTuple):
    """A step of a tag with two values, the earlier written one first."""

    tag: str
    step: int
    first: Write
    second: Write


def series_of(
    contents: Sequence[FileContent], run: str, duplicates: Literal["last", "first"] = "last"
) -> dict[str, Series]:
    """Join files in reading order: the series of each tag after preemption."""
    lowest = lowest_from(content.restarts for content in contents)
    series = {}
    for tag in _tags(contents):
        column, restarts = _column(contents, tag, lowest)
        kept = surviving(column.steps, restarts, duplicates)
        series[tag] = Series(
            run=run,
            tag=tag,
            steps=np.array(column.steps, dtype=np.int64)[kept],
            wall_times=np.array(column.wall_times)[kept],
            values=np.array(column.values)[kept],
            precision=coarsest(column.precisions),
            superseded=len(column.steps) - len(kept),
        )
    return series


def contradictions(contents: Sequence[FileContent]) -> Iterator[Contradiction]:
    """Yield for each tag the lowest step that has two values, if any."""
    lowest = lowest_from(content.restarts for content in contents)
    for tag in _tags(contents):
        column, restarts = _column(contents, tag, lowest)
        found = contradiction(column.steps, column.values, restarts)
        if found:
            first, second = (_write(contents, tag, position) for position in found)
            yield Contradiction(tag, column.steps[found[0]], first, second)


def traces_of(contents: Sequence[FileContent], run: str) -> tuple[RecordedTrace, ...]:
    """Join files in reading order: the trace of each prefix after preemption."""
    lowest = lowest_from(content.restarts for content in contents)
    prefixes = dict.fromkeys(prefix for content in contents for prefix in content.entries)
    return tuple(_trace(contents, run, prefix, lowest) for prefix in prefixes)


_NO_POINTS = Points()


def _tags(contents: Sequence[FileContent]) -> list[str]:
    return list(dict.fromkeys(tag for content in contents for tag in content.points))


def _column(
    contents: Sequence[FileContent], tag: str, lowest: Sequence[int]
) -> tuple[Points, list[Restart]]:
    """The points of one tag of all files in the order written, and the restarts among them."""
    column = Points()
    marks: list[tuple[int, int]] = []
    restarts = 0
    for content in contents:
        points = content.points.get(tag, _NO_POINTS)
        before = len(column.steps)
        marks.append((before, restarts))
        marks += ((before + position, restarts + count) for position, count in points.marks)
        restarts += len(content.restarts)
        column.steps += points.steps
        column.wall_times += points.wall_times
        column.values += points.values
        column.precisions |= points.precisions
    return column, restarts_at(marks, len(column.steps), lowest)


def _write(contents: Sequence[FileContent], tag: str, position: int) -> Write:
    """Find the file that a position of a tag's column lies in."""
    lengths = [len(content.points.get(tag, _NO_POINTS)) for content in contents]
    begins = [0, *accumulate(lengths)]
    file = bisect_right(begins, position) - 1
    number = position - begins[file]
    return Write(file, number, contents[file].points[tag].values[number])


def _trace(
    contents: Sequence[FileContent], run: str, prefix: str, lowest: Sequence[int]
) -> RecordedTrace:
    rows = _Rows()
    nothing = Entries()
    before = 0
    for content in contents:
        column = content.entries.get(prefix, nothing)
        counts = dict(column.marks)
        rows.pass_restarts(before, lowest)
        for position, entry in enumerate(column.entries):
            if position in counts:
                rows.pass_restarts(before + counts[position], lowest)
            rows.take(entry)
        before += len(content.restarts)
    rows.pass_restarts(before, lowest)
    return rows.trace(run, prefix)


@dataclass(slots=True)
class _Rows:
    """The rows of one trace in the order written; a configuration holds until the next one."""

    rows: list[TraceRow] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    record: ConfigRecord | None = None
    attached: bool = False
    seen: int = 0

    def pass_restarts(self, count: int, lowest: Sequence[int]) -> None:
        """Take the restarts up to so many that were not taken yet."""
        if count > self.seen:
            self.restart(lowest[self.seen])
            self.seen = count

    def restart(self, step: int) -> None:
        """Take a restart; of several at one place only the lowest step matters."""
        if self.restarts and self.restarts[-1][0] == len(self.rows):
            step = min(step, self.restarts.pop()[1])
        self.restarts.append((len(self.rows), step))

    def take(self, entry: TraceEntry) -> None:
        if entry.is_config:
            self._configure(entry.document)
        else:
            self._add(entry)

    def _configure(self, document: str | None) -> None:
        try:
            self.record = parse_config(document or "")
        except BadTraceError as error:
            self.record = None
            self.problems.append(str(error))
            return
        self.attached |= self.record.reason == "attached"

    def _add(self, entry: TraceEntry) -> None:
        if entry.numbers is None:
            self.problems.append(f"row at step {entry.step}: no vector of doubles")
            return
        if self.record is None:
            self.problems.append(f"row at step {entry.step}: no usable configuration before it")
            return
        try:
            row = parse_row(entry.numbers, entry.step, entry.wall_time, self.record)
        except BadTraceError as error:
            self.problems.append(f"row at step {entry.step}: {error}")
            return
        if self.attached:
            self.restart(entry.step)
            self.attached = False
        self.rows.append(row)

    def trace(self, run: str, prefix: str) -> RecordedTrace:
        kept = alive([row.step for row in self.rows], self.restarts)
        return RecordedTrace(
            run=run,
            prefix=prefix,
            rows=tuple(self.rows[position] for position in kept),
            superseded=len(self.rows) - len(kept),
            problems=tuple(dict.fromkeys(self.problems)),
        )

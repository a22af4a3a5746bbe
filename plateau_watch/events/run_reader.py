"""run_reader: the event files of one run -> its series and traces.

Reads each file through a `RecordParser`, decodes what may hold scalars, and preempts: order is
(file name, offset), a SessionLog.START at step s voids earlier points at steps >= s, and then the
last write of a (tag, step) wins. A new attachment of the hook does the same for the rows of its
trace; within one attachment all rows count, whatever their steps. What was passed over is
counted, never guessed.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from plateau_watch.events import tensors
from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.records import Gap, Record, RecordParser
from plateau_watch.events.summaries import (
    Event,
    NotAnEventError,
    Value,
    decode_event,
    may_hold_scalars,
    plugin_of,
    scalar,
)
from plateau_watch.events.trace_format import PLUGIN, BadTraceError, parse_config, parse_row
from plateau_watch.precision import Precision, coarsest
from plateau_watch.recording import ConfigRecord, RecordedTrace, TraceRow
from plateau_watch.series import Restart, Series, alive, surviving

BLOCK = 1 << 20
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class RunLog:
    """What the event files of one run hold.

    Attributes:
        run: name of the run.
        files: the event files, in reading order.
        series: the scalars, by tag.
        traces: the hook's traces, one for each prefix.
        damages: what was passed over, one line each.
    """

    run: str
    files: tuple[Path, ...]
    series: dict[str, Series]
    traces: tuple[RecordedTrace, ...]
    damages: tuple[str, ...]


def read_run(run: RunFiles, advance: Callable[[int], object] = lambda _: None) -> RunLog:
    """Read a run whole.

    Args:
        run: its name and files.
        advance: told the number of bytes passed, for a progress bar.
    """
    collected = _Collected()
    for path in run.files:
        try:
            for event in _events(path, collected.damages, advance):
                collected.take(event)
        except OSError as error:
            collected.damages.append(f"{path}: {error.strerror or error}")
    return RunLog(
        run=run.name,
        files=run.files,
        series={tag: points.series(run.name, tag) for tag, points in collected.scalars.items()},
        traces=tuple(rows.trace(run.name, tag) for tag, rows in collected.traces.items()),
        damages=tuple(collected.damages),
    )


def _events(path: Path, damages: list[str], advance: Callable[[int], object]) -> Iterator[Event]:
    """Yield the events of a file; what lies between goes to `damages`."""
    undecodable = 0
    parser = RecordParser(may_hold_scalars)
    for found in _found(path, parser, advance):
        if isinstance(found, Gap):
            damages.append(_skipped(path, found))
            continue
        try:
            yield decode_event(found.payload)
        except NotAnEventError:
            undecodable += 1
    if undecodable:
        damages.append(f"{undecodable} record(s) of {path} are no events")
    if (rest := parser.pending) and rest.length:
        damages.append(
            f"{path} ends within a record ({rest.length:,} bytes at offset {rest.offset:,}): "
            "still being written, or cut off"
            if parser.incomplete
            else _skipped(path, rest)
        )


def _found(
    path: Path, parser: RecordParser, advance: Callable[[int], object]
) -> Iterator[Record | Gap]:
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        while block := file.read(BLOCK):
            yield from parser.feed(block)
            advance(len(block))
            past = min(parser.declined, size - file.tell())
            if past > 0:
                file.seek(past, 1)
                parser.sought(past)
                advance(past)


def _skipped(path: Path, gap: Gap) -> str:
    return f"skipped {gap.length:,} bytes at offset {gap.offset:,} of {path} ({gap.reason})"


def _restart(restarts: list[Restart], position: int, step: int) -> None:
    """Add a restart; of several at one position only the lowest step matters."""
    if restarts and restarts[-1][0] == position:
        step = min(step, restarts.pop()[1])
    restarts.append((position, step))


@dataclass(slots=True)
class _Points:
    """The points of one tag in the order written."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    wall_times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    precisions: set[Precision] = field(default_factory=set)
    restarts: list[Restart] = field(default_factory=list)

    def series(self, run: str, tag: str) -> Series:
        kept = surviving(self.steps, self.restarts)
        return Series(
            run=run,
            tag=tag,
            steps=np.array(self.steps, dtype=np.int64)[kept],
            wall_times=np.array(self.wall_times)[kept],
            values=np.array(self.values)[kept],
            precision=coarsest(self.precisions),
            superseded=len(self.steps) - len(kept),
        )


@dataclass(slots=True)
class _Rows:
    """The rows of one trace in the order written."""

    rows: list[TraceRow] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    record: ConfigRecord | None = None
    attached: bool = False

    def configure(self, document: str | None) -> None:
        try:
            self.record = parse_config(document or "")
        except BadTraceError as error:
            self.record = None
            self.problems.append(str(error))
            return
        self.attached |= self.record.reason == "attached"

    def add(self, numbers: tuple[float, ...] | None, event: Event) -> None:
        if numbers is None:
            self.problems.append(f"row at step {event.step}: no vector of doubles")
            return
        if self.record is None:
            self.problems.append(f"row at step {event.step}: no usable configuration before it")
            return
        try:
            row = parse_row(numbers, event.step, event.wall_time, self.record)
        except BadTraceError as error:
            self.problems.append(f"row at step {event.step}: {error}")
            return
        if self.attached:
            self.restarts.append((len(self.rows), event.step))
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


@dataclass(slots=True)
class _Collected:
    """What has been read of a run so far."""

    scalars: dict[str, _Points] = field(default_factory=dict)
    traces: dict[str, _Rows] = field(default_factory=dict)
    plugins: dict[str, str] = field(default_factory=dict)
    damages: list[str] = field(default_factory=list)

    def take(self, event: Event) -> None:
        if event.restart:
            for points in self.scalars.values():
                _restart(points.restarts, len(points.steps), event.step)
            for rows in self.traces.values():
                _restart(rows.restarts, len(rows.rows), event.step)
        for value in event.values:
            if value.metadata is not None:
                self.plugins[value.tag], _ = plugin_of(value.metadata)
            plugin = self.plugins.get(value.tag, "")
            if plugin == PLUGIN:
                self._take_trace(value, event)
            elif plugin in ("", "scalars"):
                self._take_scalar(value, event)

    def _take_scalar(self, value: Value, event: Event) -> None:
        found = scalar(value)
        if found is None:
            return
        points = self.scalars.setdefault(value.tag, _Points())
        number, precision = found
        points.steps.append(event.step)
        points.wall_times.append(event.wall_time)
        points.values.append(number)
        points.precisions.add(precision)

    def _take_trace(self, value: Value, event: Event) -> None:
        prefix, _, what = value.tag.rpartition("/")
        if value.tensor is None or what not in ("trace", "config"):
            return
        rows = self.traces.setdefault(prefix, _Rows())
        if what == "config":
            rows.configure(tensors.string(value.tensor))
        else:
            rows.add(tensors.doubles(value.tensor), event)

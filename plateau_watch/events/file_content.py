"""file_content: what one event file holds, as columns in the order written.

The step between events and series: nothing is preempted or thrown away here, so that files can
still be told apart, or put together, by what is in them. Knows nothing of files' names and bytes.
Invariant: taking the events of two files one after the other, or taking each file's and joining
the two, ends in the same series and traces.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from plateau_watch.events import tensors
from plateau_watch.events.hparams import PLUGIN as HPARAMS
from plateau_watch.events.hparams import Hparams, parse_hparams
from plateau_watch.events.summaries import Event, Value, plugin_of, scalar
from plateau_watch.events.trace_format import PLUGIN, BadTraceError, parse_config, parse_row
from plateau_watch.precision import Precision, coarsest
from plateau_watch.recording import ConfigRecord, RecordedTrace, TraceRow
from plateau_watch.series import Restart, Series, alive, surviving

TEXT = "text"
"""The plugin that texts are for."""

MOST_TEXTS = 32
"""Texts that are kept of a file: configurations are written first, and samples go on for ever.
Each is 64 KiB at most, as any tensor that is parsed."""


@dataclass(slots=True)
class Points:
    """The points of one tag in the order written."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    wall_times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    precisions: set[Precision] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One value of the hook's trace: a configuration's document, or the numbers of a row.

    Attributes:
        step: the training's step.
        wall_time: seconds since the epoch.
        is_config: it is a configuration.
        document: its JSON; None where it is no string.
        numbers: those of a row; None where they are no vector of doubles.
    """

    step: int
    wall_time: float
    is_config: bool
    document: str | None = None
    numbers: tuple[float, ...] | None = None


@dataclass(slots=True)
class FileContent:
    """What one event file holds.

    Attributes:
        points: the scalars, by tag.
        entries: the hook's traces, by prefix.
        restarts: for each SessionLog.START its step, and how much of each tag and trace was there.
        hparams: hyper-parameters that a framework stated (HParams), by name.
        texts: the first text of each tag, of so many tags as are kept.
        damages: what was passed over, one line each.
        plugins: the plugin of each tag, as far as it was said; files of one directory share it,
            since a writer may say it once.
    """

    points: dict[str, Points] = field(default_factory=dict)
    entries: dict[str, list[TraceEntry]] = field(default_factory=dict)
    restarts: list[tuple[int, dict[str, int], dict[str, int]]] = field(default_factory=list)
    hparams: Hparams = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    damages: list[str] = field(default_factory=list)
    plugins: dict[str, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Add what an event holds."""
        if event.restart:
            self.restarts.append((event.step, _lengths(self.points), _lengths(self.entries)))
        for value in event.values:
            if value.metadata is not None:
                self.plugins[value.tag], content = plugin_of(value.metadata)
                if self.plugins[value.tag] == HPARAMS:
                    self.hparams |= parse_hparams(content)
            plugin = self.plugins.get(value.tag, "")
            if plugin == PLUGIN:
                self._take_trace(value, event)
            elif plugin in ("", "scalars"):
                self._take_scalar(value, event)
            elif plugin == TEXT:
                self._take_text(value)

    def span(self) -> tuple[float, float] | None:
        """Return the lowest and highest wall time at which a tag begins or ends; None without."""
        times = [
            time
            for points in self.points.values()
            for time in (points.wall_times[0], points.wall_times[-1])
        ]
        times += [
            entry.wall_time
            for entries in self.entries.values()
            for entry in (entries[0], entries[-1])
        ]
        return (min(times), max(times)) if times else None

    def _take_scalar(self, value: Value, event: Event) -> None:
        found = scalar(value)
        if found is None:
            return
        points = self.points.setdefault(value.tag, Points())
        number, precision = found
        points.steps.append(event.step)
        points.wall_times.append(event.wall_time)
        points.values.append(number)
        points.precisions.add(precision)

    def _take_text(self, value: Value) -> None:
        if value.tensor is None or value.tag in self.texts or len(self.texts) >= MOST_TEXTS:
            return
        text = tensors.text(value.tensor)
        if text is not None:
            self.texts[value.tag] = text

    def _take_trace(self, value: Value, event: Event) -> None:
        prefix, _, what = value.tag.rpartition("/")
        if value.tensor is None or what not in ("trace", "config"):
            return
        is_config = what == "config"
        self.entries.setdefault(prefix, []).append(
            TraceEntry(
                event.step,
                event.wall_time,
                is_config,
                document=tensors.string(value.tensor) if is_config else None,
                numbers=None if is_config else tensors.doubles(value.tensor),
            )
        )


def series_of(contents: Sequence[FileContent], run: str) -> dict[str, Series]:
    """Join files in reading order: the series of each tag after preemption."""
    tags = dict.fromkeys(tag for content in contents for tag in content.points)
    return {tag: _series(contents, run, tag) for tag in tags}


def traces_of(contents: Sequence[FileContent], run: str) -> tuple[RecordedTrace, ...]:
    """Join files in reading order: the trace of each prefix after preemption."""
    prefixes = dict.fromkeys(prefix for content in contents for prefix in content.entries)
    return tuple(_trace(contents, run, prefix) for prefix in prefixes)


def _series(contents: Sequence[FileContent], run: str, tag: str) -> Series:
    steps, wall_times, values = array("q"), array("d"), array("d")
    precisions: set[Precision] = set()
    restarts: list[Restart] = []
    nothing = Points()
    for content in contents:
        for step, lengths, _ in content.restarts:
            _restart(restarts, len(steps) + lengths.get(tag, 0), step)
        points = content.points.get(tag, nothing)
        steps += points.steps
        wall_times += points.wall_times
        values += points.values
        precisions |= points.precisions
    kept = surviving(steps, restarts)
    return Series(
        run=run,
        tag=tag,
        steps=np.array(steps, dtype=np.int64)[kept],
        wall_times=np.array(wall_times)[kept],
        values=np.array(values)[kept],
        precision=coarsest(precisions),
        superseded=len(steps) - len(kept),
    )


def _trace(contents: Sequence[FileContent], run: str, prefix: str) -> RecordedTrace:
    rows = _Rows()
    for content in contents:
        pending = [(lengths.get(prefix, 0), step) for step, _, lengths in content.restarts]
        for position, entry in enumerate(content.entries.get(prefix, ())):
            while pending and pending[0][0] <= position:
                _restart(rows.restarts, len(rows.rows), pending.pop(0)[1])
            rows.take(entry)
        for _, step in pending:
            _restart(rows.restarts, len(rows.rows), step)
    return rows.trace(run, prefix)


def _restart(restarts: list[Restart], position: int, step: int) -> None:
    """Add a restart; of several at one position only the lowest step matters."""
    if restarts and restarts[-1][0] == position:
        step = min(step, restarts.pop()[1])
    restarts.append((position, step))


def _lengths(columns: dict[str, Points] | dict[str, list[TraceEntry]]) -> dict[str, int]:
    return {name: len(column) for name, column in columns.items()}


@dataclass(slots=True)
class _Rows:
    """The rows of one trace in the order written; a configuration holds until the next one."""

    rows: list[TraceRow] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    record: ConfigRecord | None = None
    attached: bool = False

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
            self.restarts.append((len(self.rows), entry.step))
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


@dataclass(frozen=True, slots=True)
class StepAxis:
    """How a tag's steps run: the lowest one, how many points, and what mostly lies between two."""

    lowest: int
    count: int
    stride: float


def step_axes(contents: Iterable[FileContent]) -> dict[str, StepAxis]:
    """Return the step axis of each tag of some files together; a trace counts as a tag."""
    columns: dict[str, list[int]] = {}
    for content in contents:
        for tag, points in content.points.items():
            columns.setdefault(tag, []).extend(points.steps)
        for prefix, entries in content.entries.items():
            columns.setdefault(f"{prefix}/trace", []).extend(entry.step for entry in entries)
    return {
        tag: StepAxis(min(steps), len(steps), float(np.median(np.diff(steps))) if steps[1:] else 0)
        for tag, steps in columns.items()
    }

"""file_content: what one event file holds, as columns in the order written.

The step between events and series: nothing is preempted here, so that files can still be told
apart, or put together (`joined`), by what is in them. What a hostile file would have kept without
end is left out, and counted. Knows nothing of files' names and bytes.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from plateau_watch.events import tensors
from plateau_watch.events.hparams import (
    LARGEST_HPARAMS,
    MOST_HPARAMS,
    Hparams,
    parse_hparams,
)
from plateau_watch.events.hparams import PLUGIN as HPARAMS
from plateau_watch.events.restarts import Marks, Restarts
from plateau_watch.events.summaries import (
    LONGEST_TAG,
    MOST_VALUES,
    Event,
    Value,
    plugin_of,
    scalar,
)
from plateau_watch.events.trace_format import PLUGIN
from plateau_watch.precision import Precision

TEXT = "text"
"""The plugin that texts are for."""

MOST_TEXTS = 32
"""Texts that are kept of a file: configurations are written first, and samples go on for ever.
Each is 64 KiB at most, as any tensor that is parsed."""

MOST_TAGS = 1 << 16
"""Tags of one directory that are kept, the first ones: logs with a tag for each parameter have some
thousands. Each takes some 700 bytes before it has a point."""

_TAGS = f"value(s) of tags beyond the first {MOST_TAGS:,}"
_LONG = f"value(s) whose tags have more than {LONGEST_TAG:,} bytes"
_CUT = f"record(s) behind their first {MOST_VALUES:,} values"
_LARGE = f"hyper-parameters of more than {LARGEST_HPARAMS:,} bytes"
_HPARAMS = f"hyper-parameter(s) beyond the first {MOST_HPARAMS:,}"


@dataclass(slots=True)
class Points:
    """The points of one tag in the order written."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    wall_times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    precisions: set[Precision] = field(default_factory=set)
    marks: Marks = field(default_factory=Marks)

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
class Entries:
    """The values of one of the hook's traces in the order written."""

    entries: list[TraceEntry] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(slots=True)
class FileContent:
    """What one event file holds.

    Attributes:
        points: the scalars, by tag.
        entries: the hook's traces, by prefix.
        restarts: each SessionLog.START.
        hparams: hyper-parameters that a framework stated (HParams), by name.
        texts: the first text of each tag, of so many tags as are kept.
        damages: what was passed over, one line each.
        plugins: the plugin of each tag that is kept, "" as long as none was said; files of one
            directory share it, since a writer may say it once.
        left_out: how much of what was not kept.
    """

    points: dict[str, Points] = field(default_factory=dict)
    entries: dict[str, Entries] = field(default_factory=dict)
    restarts: Restarts = field(default_factory=Restarts)
    hparams: Hparams = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    damages: list[str] = field(default_factory=list)
    plugins: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def take(self, event: Event) -> None:
        """Add what an event holds."""
        if event.restart:
            self.restarts.add(event.step)
        if event.long_tags:
            self.left_out[_LONG] += event.long_tags
        if event.cut:
            self.left_out[_CUT] += 1
        for value in event.values:
            if value.tag not in self.plugins:
                if len(self.plugins) >= MOST_TAGS:
                    self.left_out[_TAGS] += 1
                    continue
                self.plugins[value.tag] = ""
            self._take_value(value, event)

    def said_left_out(self) -> Iterator[str]:
        """Say what was not kept, if anything."""
        for what, count in self.left_out.items():
            yield f"{count:,} {what}"

    def span(self) -> tuple[float, float] | None:
        """Return the lowest and highest wall time at which a tag begins or ends; None without."""
        times = [
            time
            for points in self.points.values()
            for time in (points.wall_times[0], points.wall_times[-1])
        ]
        times += [
            entry.wall_time
            for column in self.entries.values()
            for entry in (column.entries[0], column.entries[-1])
        ]
        times = [time for time in times if math.isfinite(time)]
        return (min(times), max(times)) if times else None

    def _take_value(self, value: Value, event: Event) -> None:
        if value.metadata is not None:
            plugin, content = plugin_of(value.metadata)
            self.plugins[value.tag] = plugin
            if plugin == HPARAMS:
                self._take_hparams(content)
        plugin = self.plugins[value.tag]
        if plugin == PLUGIN:
            self._take_trace(value, event)
        elif plugin in ("", "scalars"):
            self._take_scalar(value, event)
        elif plugin == TEXT:
            self._take_text(value)

    def _take_scalar(self, value: Value, event: Event) -> None:
        found = scalar(value)
        if found is None:
            return
        points = self.points.setdefault(value.tag, Points())
        if self.restarts:
            points.marks.note(len(points), self.restarts.passed())
        number, precision = found
        points.steps.append(event.step)
        points.wall_times.append(event.wall_time)
        points.values.append(number)
        points.precisions.add(precision)

    def _take_hparams(self, content: memoryview) -> None:
        if len(content) > LARGEST_HPARAMS:
            self.left_out[_LARGE] += 1
            return
        found = parse_hparams(content)
        for name, value in found.items():
            if name in self.hparams or len(self.hparams) < MOST_HPARAMS:
                self.hparams[name] = value
            else:
                self.left_out[_HPARAMS] += 1

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
        column = self.entries.setdefault(prefix, Entries())
        column.marks.note(len(column), self.restarts.passed())
        column.entries.append(
            TraceEntry(
                event.step,
                event.wall_time,
                is_config,
                document=tensors.string(value.tensor) if is_config else None,
                numbers=None if is_config else tensors.doubles(value.tensor),
            )
        )

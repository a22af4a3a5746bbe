"""related: which runs of a log directory one training wrote.

Many frameworks spread a training over directories: `train` and `validation` (Keras), `train_log`,
`valid_log` and `_base_log` (Catalyst), a sub-run for each curve (`add_scalars`). Metric and LR may
then be in different runs. Runs belong together where they lie side by side or one in the other,
were written at the same time, no file name says that other processes wrote them, and either their
names say what part of a training they are, or one process wrote curves into sub-runs of its own.

Knows directories, file names and times; what is a metric or an LR is for others to say.
Invariant: every run is in exactly one group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from plateau_watch.events.run_reader import RunLog
from plateau_watch.events.told_apart import writer_of

_PART = re.compile(
    r"^_?(train(ing)?|val(id(ation)?)?|eval(uation)?|test(ing)?|dev|base)([_-]?logs?)?$",
    re.IGNORECASE,
)

MOST_TAGS_OF_A_CURVE = 2
"""Tags of a sub-run that `add_scalars` made: it has one."""


def related(logs: Sequence[RunLog]) -> list[tuple[RunLog, ...]]:
    """Group runs by the training that wrote them, in the order of the first run of each."""
    nearby = _Nearby.of(logs)
    group_of = {log.run: [log] for log in logs}
    for log in logs:
        for other in _partners(log, nearby):
            mine, its = group_of[log.run], group_of[other.run]
            if mine is not its:
                mine.extend(its)
                for member in its:
                    group_of[member.run] = mine
    groups = {id(group): group for group in group_of.values()}
    order = {log.run: position for position, log in enumerate(logs)}
    return [tuple(sorted(group, key=lambda log: order[log.run])) for group in groups.values()]


@dataclass(frozen=True, slots=True)
class _Nearby:
    """Where the partners of a run can lie: few places, however many runs there are.

    Attributes:
        parts: runs whose names say what part of a training they are, by the directory above.
        at: runs by their directory.
    """

    parts: dict[PurePosixPath, list[RunLog]]
    at: dict[PurePosixPath, list[RunLog]]

    @classmethod
    def of(cls, logs: Sequence[RunLog]) -> _Nearby:
        parts: dict[PurePosixPath, list[RunLog]] = {}
        at: dict[PurePosixPath, list[RunLog]] = {}
        for log in logs:
            path = PurePosixPath(log.directory)
            at.setdefault(path, []).append(log)
            if _PART.match(path.name):
                parts.setdefault(path.parent, []).append(log)
        return cls(parts, at)


def _partners(log: RunLog, nearby: _Nearby) -> list[RunLog]:
    """Runs of the same training: from each other directory the one that overlaps the most."""
    path = PurePosixPath(log.directory)
    candidates = list(nearby.parts.get(path.parent, ())) if _PART.match(path.name) else []
    if len(log.series) <= MOST_TAGS_OF_A_CURVE:
        above = (other for parent in path.parents for other in nearby.at.get(parent, ()))
        candidates += [other for other in above if _writers(log) & _writers(other)]
    best: dict[str, tuple[float, RunLog]] = {}
    for other in candidates:
        if other.directory == log.directory or _other_processes(log, other):
            continue
        shared = _overlap(log, other)
        if shared is not None and shared > best.get(other.directory, (-1.0, other))[0]:
            best[other.directory] = (shared, other)
    return [other for _, other in best.values()]


def _other_processes(log: RunLog, other: RunLog) -> bool:
    """Whether file names say that no process wrote both."""
    mine, its = _writers(log), _writers(other)
    return bool(mine and its and not mine & its)


def _writers(log: RunLog) -> set[tuple[str, str]]:
    """Host and process of each file whose name tells them."""
    writers = (writer_of(path.name) for path in log.files)
    return {(writer.host, writer.pid) for writer in writers if writer and writer.pid}


def _overlap(log: RunLog, other: RunLog) -> float | None:
    """How long two runs were written at the same time, in seconds; None if they were not."""
    mine, its = _span(log), _span(other)
    if mine is None or its is None:
        return None
    shared = min(mine[1], its[1]) - max(mine[0], its[0])
    return shared if shared >= 0 else None


def _span(log: RunLog) -> tuple[float, float] | None:
    times = [
        float(time)
        for series in log.series.values()
        if len(finite := series.wall_times[np.isfinite(series.wall_times)])
        for time in (finite.min(), finite.max())
    ]
    return (min(times), max(times)) if times else None

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
from pathlib import PurePosixPath

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
    group_of = {log.run: [log] for log in logs}
    for log in logs:
        for other in _partners(log, logs):
            mine, its = group_of[log.run], group_of[other.run]
            if mine is not its:
                mine.extend(its)
                for member in its:
                    group_of[member.run] = mine
    groups = {id(group): group for group in group_of.values()}
    order = {log.run: position for position, log in enumerate(logs)}
    return [tuple(sorted(group, key=lambda log: order[log.run])) for group in groups.values()]


def _partners(log: RunLog, logs: Sequence[RunLog]) -> list[RunLog]:
    """Runs of the same training: from each other directory the one that overlaps the most."""
    best: dict[str, tuple[float, RunLog]] = {}
    for other in logs:
        if other.directory == log.directory or not _belong(log, other):
            continue
        shared = _overlap(log, other)
        if shared is not None and shared > best.get(other.directory, (-1.0, other))[0]:
            best[other.directory] = (shared, other)
    return [other for _, other in best.values()]


def _belong(log: RunLog, other: RunLog) -> bool:
    mine, its = PurePosixPath(log.directory), PurePosixPath(other.directory)
    writers, others = _writers(log), _writers(other)
    if writers and others and not writers & others:
        return False
    beside = mine.parent == its.parent and "." not in (log.directory, other.directory)
    if beside and _PART.match(mine.name) and _PART.match(its.name):
        return True
    one_in_other = mine in its.parents or its in mine.parents
    curve = other if mine in its.parents else log
    return bool(writers & others) and one_in_other and len(curve.series) <= MOST_TAGS_OF_A_CURVE


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
        for time in (series.wall_times.min(), series.wall_times.max())
    ]
    return (min(times), max(times)) if times else None

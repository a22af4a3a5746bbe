"""Recording: a real run as a replay needs it, and how the hook's trace becomes one.

A `Recording` is what a log tells of one scheduler: the metric it was given, the configuration and
state it started from, what others changed on the way, and the LRs that resulted. Knows no files.
Invariant: all per-step columns have one length; index i is the i-th `scheduler.step`, from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Kind
from plateau_watch.precision import Precision
from plateau_watch.replay import Counters, OutsideChange
from plateau_watch.scheduler import LrDtype, PlateauState

Source = Literal["recorded", "given", "hparams", "fitted"]
"""Where a configuration comes from: the hook's trace, whoever asked, hyper-parameters that the log
states, or the log's metric and LR by `fit`."""

Meaning = Literal["before", "after", "late"]
"""What an LR logged beside a metric is: the one before the scheduler's step or after it; or "late":
the one before the step before (Keras on TF 1, which logs none beside the first metric)."""

CHANGES_SAID = 4
"""Outside changes that are said one by one; a warmup makes one at every step."""


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """What the hook wrote when it was attached, and whenever something changed from outside.

    Attributes:
        config: the hyper-parameters.
        counters: the state just before the next step.
        last_epoch: the scheduler's own count just before the next step.
        lrs: LR of each param group at that moment.
        lr_dtypes: into what each LR is rounded when written.
        groups: name of each param group.
        reason: "attached" by `watch`, or "changed" from outside.
    """

    config: PlateauConfig
    counters: Counters
    last_epoch: int
    lrs: tuple[float, ...]
    lr_dtypes: tuple[LrDtype, ...]
    groups: tuple[str, ...]
    reason: Literal["attached", "changed"]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One `scheduler.step` as the hook wrote it, with the configuration then in force.

    `before` and `counters` are the state before and after the step; `number` counts the rows of
    one `watch` from 1, so that a lost row is noticed.
    """

    step: int
    wall_time: float
    metric: float
    bar: float
    kind: Kind
    before: Counters
    counters: Counters
    last_epoch: int
    old_lrs: tuple[float, ...]
    new_lrs: tuple[float, ...]
    number: int
    record: ConfigRecord


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """The hook's trace in one run: its rows after preemption, in the order written.

    Attributes:
        run: name of the run.
        prefix: the tags' common prefix, "plateau" unless `watch` was told otherwise.
        rows: one for each `scheduler.step`; steps may repeat if the user's step axis does.
        superseded: rows that a later attempt at the same steps replaced.
        problems: what was found and could not be used, one line each.
    """

    run: str
    prefix: str
    rows: tuple[TraceRow, ...]
    superseded: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A real run as a replay needs it.

    Attributes:
        run: name of the run.
        metric_tag: the tag of the metric.
        steps: int64[n], the training's step at each scheduler step.
        wall_times: float64[n], seconds since the epoch.
        metric: float64[n], what the scheduler was given.
        precision: encoding in which the metric was logged.
        superseded: points or rows that were written again later.
        lr_tags: tag of each param group's LR.
        lr_precision: encoding in which the LRs were logged.
        logged: what a logged LR means.
        lrs: the logged LR of each group before each step and, last, after all of them: n + 1
            tuples, by what `logged` says they are; None where none was logged.
        config: the configuration at the first step.
        source: where it is from.
        start: the state before the first step.
        changes: what came from outside, in index order.
        rows: the hook's rows, where the run has them.
        guesses: what was found out about how the log is to be read, one line each.
        warnings: what a reader has to know, one line each.
        possible: of a fitted configuration, the whole set that it is the simplest member of.
    """

    run: str
    metric_tag: str
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    metric: NDArray[np.float64]
    precision: Precision
    superseded: int
    lr_tags: tuple[str, ...]
    lr_precision: Precision
    logged: Meaning
    lrs: tuple[tuple[float, ...] | None, ...]
    config: PlateauConfig
    source: Source
    start: PlateauState
    changes: tuple[OutsideChange, ...] = ()
    rows: tuple[TraceRow, ...] = ()
    guesses: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.metric)


def from_trace(trace: RecordedTrace) -> Recording:
    """Turn the hook's trace into a recording; the trace must have at least one row.

    Whatever differs between the state after one row and the state before the next was changed
    from outside. A resume that goes on where the earlier rows stopped is no change at all.
    """
    first, record = trace.rows[0], trace.rows[0].record
    changes = tuple(
        change
        for index in range(1, len(trace.rows))
        if (change := _outside_change(index, trace.rows[index - 1], trace.rows[index]))
    )
    groups = max((row.record.groups for row in trace.rows), key=len)
    return Recording(
        run=trace.run,
        metric_tag=f"{trace.prefix}/metric",
        steps=np.array([row.step for row in trace.rows], dtype=np.int64),
        wall_times=np.array([row.wall_time for row in trace.rows]),
        metric=np.array([row.metric for row in trace.rows]),
        precision="float64",
        superseded=trace.superseded,
        lr_tags=tuple(f"{trace.prefix}/lr/{name}" for name in groups),
        lr_precision="float64",
        logged="after",
        lrs=(first.old_lrs, *(row.new_lrs for row in trace.rows)),
        config=record.config,
        source="recorded",
        start=PlateauState(
            best=first.before.best,
            num_bad_epochs=first.before.num_bad_epochs,
            cooldown_counter=first.before.cooldown_counter,
            last_epoch=first.last_epoch - 1,
            lrs=first.old_lrs,
            lr_dtypes=record.lr_dtypes,
        ),
        changes=changes,
        rows=trace.rows,
        warnings=(
            *_shortened(list(trace.problems), "and such problems"),
            *_said_of(trace.rows, changes),
        ),
    )


def _outside_change(index: int, before: TraceRow, row: TraceRow) -> OutsideChange | None:
    record, old = row.record, before.record
    nothing = OutsideChange(index, before.counters, before.new_lrs)
    change = replace(
        nothing,
        config=record.config if record.config != old.config else None,
        counters=None if row.before.same(before.counters) else row.before,
        lrs=row.old_lrs if row.old_lrs != before.new_lrs else None,
        lr_dtypes=record.lr_dtypes if record.lr_dtypes != old.lr_dtypes else None,
        missing=_missing(before, row),
    )
    return None if change == nothing else change


def _missing(before: TraceRow, row: TraceRow) -> int:
    """How many rows were lost between two: the hook's count tells, or the scheduler's own."""
    if row.number > before.number:
        return row.number - before.number - 1
    return max(row.number - 1, row.last_epoch - before.last_epoch - 1, 0)


def _said_of(rows: Sequence[TraceRow], changes: Sequence[OutsideChange]) -> list[str]:
    """Say what is missing, and what was changed from outside where nothing is."""
    gaps = [(rows[change.index].step, change.missing) for change in changes if change.missing]
    if rows[0].number > 1:
        gaps.insert(0, (rows[0].step, rows[0].number - 1))
    missing = [
        f"{count} scheduler step(s) before step {step} are missing from the trace"
        for step, count in gaps
    ]
    outside = [change for change in changes if change.config or not change.missing]
    return _shortened(missing, "and scheduler steps are missing") + _shortened(
        [_change_in_words(rows, change) for change in outside], "and changed from outside"
    )


def _shortened(lines: list[str], more: str) -> list[str]:
    rest = len(lines) - CHANGES_SAID
    return lines[:CHANGES_SAID] + [f"... {more} {rest} more times"] * (rest > 0)


def _change_in_words(rows: Sequence[TraceRow], change: OutsideChange) -> str:
    row, before = rows[change.index], rows[change.index - 1]
    what = []
    if change.config is not None:
        changed = change.config.differences(before.record.config)
        what.append(", ".join(f"{name} to {value}" for name, value in changed.items()))
    if change.counters is not None and not change.missing:
        what.append("best and counters (a loaded state)")
    if change.lrs is not None and not change.missing:
        what.append(_lrs_in_words(before.new_lrs, change.lrs))
    if change.lr_dtypes is not None and len(change.lr_dtypes) == len(before.record.lr_dtypes):
        what.append(f"LR dtypes to {', '.join(change.lr_dtypes)}")
    return f"changed from outside before step {row.step}: {'; '.join(what)}"


def _lrs_in_words(was: Sequence[float], now: Sequence[float]) -> str:
    kept = now[: len(was)]
    said = [] if tuple(kept) == tuple(was) else [f"LR {_lrs(was)} to {_lrs(kept)}"]
    if len(now) > len(was):
        said.append(f"a param group was added, LR {_lrs(now[len(was) :])}")
    return ", ".join(said)


def _lrs(lrs: Iterable[float]) -> str:
    return ", ".join(f"{lr:.6g}" for lr in lrs)

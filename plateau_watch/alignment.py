"""Alignment: from a metric and LRs that were logged apart to the steps of a scheduler.

One job: make a `Recording` out of plain series and a stated configuration. What a logged LR means
(the one before the scheduler's step, or after it) is tried both ways and the one that fits is
kept; the caller can settle it. Knows no files. It assumes that the scheduler stepped once for
each metric point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plateau_watch.config import PlateauConfig
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.parity import lr_mismatches
from plateau_watch.precision import coarsest, shortest_decimal
from plateau_watch.recording import Meaning, Recording
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series


def from_series(
    metric: Series,
    lrs: Sequence[Series],
    config: PlateauConfig,
    logged: Meaning | None = None,
) -> Recording:
    """Turn logged series and a stated configuration into a recording.

    The starting LR is the first one logged, as the shortest decimal that is stored so.

    Args:
        metric: the metric that drove the scheduler, one point for each of its steps.
        lrs: the LR of each param group.
        config: the configuration the run is said to have had.
        logged: what a logged LR means; None to try both and keep the one that fits.

    Raises:
        NotEnoughToldError: a series without points, or no LR logged until the last metric step.
        ConfigError: a list `min_lr` that does not fit the number of LR series.
    """
    for series in (metric, *lrs):
        if len(series) == 0:
            raise NotEnoughToldError(f"tag {series.tag!r} of run {series.run!r} has no points")
    precision = coarsest([series.precision for series in lrs])
    join = _join(metric, lrs)
    recording = Recording(
        run=metric.run,
        metric_tag=metric.tag,
        steps=metric.steps,
        wall_times=metric.wall_times,
        metric=metric.values,
        precision=metric.precision,
        superseded=metric.superseded,
        lr_tags=tuple(series.tag for series in lrs),
        lr_precision=precision,
        logged=logged or "after",
        lrs=join.lrs,
        config=config,
        source="given",
        start=PlateauState.initial(
            config, (shortest_decimal(float(s.values[0]), s.precision) for s in lrs)
        ),
        warnings=join.warnings,
    )
    return recording if logged else _settled(recording, join.warnings)


def _settled(recording: Recording, warnings: tuple[str, ...]) -> Recording:
    """Choose what a logged LR means: the reading with fewer mismatches, "after" in a tie."""
    trace = replay(recording.config, recording.metric, recording.start)
    after = len(list(lr_mismatches(recording, trace, "after")))
    before = len(list(lr_mismatches(recording, trace, "before")))
    if after == before == 0:
        note = "the LR fits as logged before the step and after it; taken as after"
        return replace(recording, warnings=(*warnings, note))
    return replace(recording, logged="before" if before < after else "after")


@dataclass(frozen=True, slots=True)
class _Join:
    lrs: tuple[tuple[float, ...] | None, ...]
    warnings: tuple[str, ...]


def _join(metric: Series, lrs: Sequence[Series]) -> _Join:
    """Find the LR of each group at each metric step.

    It is the one logged at the same step, or where no step is shared at all the last one until
    then.
    """
    positions = [_positions(metric.steps, series.steps) for series in lrs]
    found = np.all([where >= 0 for where in positions], axis=0)
    warnings = []
    if not found.any():
        positions = [_last_until(metric.steps, series.steps) for series in lrs]
        found = np.all([where >= 0 for where in positions], axis=0)
        warnings.append("metric and LR share no step: each metric point takes the LR last logged")
    if not found.any():
        raise NotEnoughToldError(
            f"no LR is logged until the last point of {metric.tag!r}: nothing to compare with"
        )
    if not found.all():
        warnings.append(
            f"an LR is logged at {int(found.sum())} of {len(metric)} metric steps; "
            "only those are checked"
        )
    columns = [series.values[where] for series, where in zip(lrs, positions, strict=True)]
    rows = zip(*columns, strict=True)
    return _Join(
        tuple(tuple(map(float, row)) if ok else None for row, ok in zip(rows, found, strict=True)),
        tuple(warnings),
    )


def _positions(wanted: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.intp]:
    """Position of each wanted step among the steps; -1 where it is not there."""
    where = _last_until(wanted, steps)
    return np.where((where >= 0) & (steps[where] == wanted), where, -1)


def _last_until(wanted: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(steps, wanted, side="right") - 1

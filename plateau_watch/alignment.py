"""Alignment: from a metric and LRs that were logged apart to the steps of a scheduler.

One job: make a `Recording` out of plain series and a stated configuration. What a logged LR means
(the one before the scheduler's step, or after it) is tried both ways and the one that fits is
kept; the caller can settle it. Knows no files. It assumes that the scheduler stepped once for
each metric point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from plateau_watch.config import PlateauConfig
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.parity import lr_mismatches
from plateau_watch.precision import Precision, coarsest, preimage, shortest_decimal
from plateau_watch.recording import Meaning, Recording
from plateau_watch.replay import Trace, replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series


def from_series(
    metric: Series,
    lrs: Sequence[Series],
    config: PlateauConfig,
    logged: Meaning | None = None,
) -> Recording:
    """Turn logged series and a stated configuration into a recording.

    The starting LR is the first one logged, as the shortest decimal that is stored so; if that
    does not lead to the logged levels, one within its rounding that does.

    Args:
        metric: the metric that drove the scheduler, one point for each of its steps.
        lrs: the LR of each param group.
        config: the configuration the run is said to have had.
        logged: what a logged LR means; None to try both and keep the one that fits.

    Raises:
        NotEnoughToldError: a series without points, no LR logged until the last metric step, or
            an LR that changes where no metric point sees it.
        ConfigError: a list `min_lr` that does not fit the number of LR series.
    """
    recording = aligned(metric, lrs, config, logged or "after")
    return _settled(recording, (logged,) if logged else ("after", "before"))


def aligned(
    metric: Series, lrs: Sequence[Series], config: PlateauConfig, logged: Meaning
) -> Recording:
    """Join logged series into a recording, without asking whether the configuration fits.

    Arguments and errors as for `from_series`.
    """
    for series in (metric, *lrs):
        if len(series) == 0:
            raise NotEnoughToldError(f"tag {series.tag!r} of run {series.run!r} has no points")
    join = _join(metric, lrs)
    return Recording(
        run=metric.run,
        metric_tag=metric.tag,
        steps=metric.steps,
        wall_times=metric.wall_times,
        metric=metric.values,
        precision=metric.precision,
        superseded=metric.superseded,
        lr_tags=tuple(series.tag for series in lrs),
        lr_precision=coarsest([series.precision for series in lrs]),
        logged=logged,
        lrs=join.lrs,
        config=config,
        source="given",
        start=PlateauState.initial(
            config, (shortest_decimal(float(s.values[0]), s.precision) for s in lrs)
        ),
        warnings=(*_mixtures((metric, *lrs)), *join.warnings),
    )


def _settled(recording: Recording, meanings: Sequence[Meaning]) -> Recording:
    """Choose what a logged LR means, and where needed another starting LR, by what fits."""
    counted = [
        (len(list(lr_mismatches(candidate, _replayed(candidate), meaning))), meaning, candidate)
        for candidate in _starts(recording)
        for meaning in meanings
    ]
    fewest, meaning, chosen = min(counted, key=lambda attempt: attempt[0])
    fits = {meaning for count, meaning, candidate in counted if candidate is chosen and count == 0}
    notes = []
    if chosen is not recording and fewest == 0:
        lrs = ", ".join(f"{lr:.9g}" for lr in chosen.start.lrs)
        notes.append(f"the starting LR has more digits than were logged; one that fits is {lrs}")
    if len(fits) > 1:
        notes.append("the LR fits as logged before the step and after it; taken as after")
    if not fits and len(meanings) > 1:
        meaning, chosen = "after", recording
        notes.append(
            "it cannot be told whether LRs were logged before or after the scheduler's step; "
            "shown as after, so steps of reductions may be one late"
        )
    return replace(chosen, logged=meaning, warnings=(*recording.warnings, *notes))


def _replayed(recording: Recording) -> Trace:
    return replay(recording.config, recording.metric, recording.start)


def _starts(recording: Recording) -> Iterator[Recording]:
    """Yield the recording as it is, and with a starting LR that fits all its levels, if any."""
    yield recording
    lrs = starts_that_fit(recording, recording.config.factor)
    if lrs:
        yield replace(recording, start=replace(recording.start, lrs=lrs))


def starts_that_fit(recording: Recording, factor: float) -> tuple[float, ...] | None:
    """Return a starting LR of each group that leads to the logged levels; None if there is none.

    It is the middle of those that do: within the rounding of the first logged LR, and of every
    later level as long as they follow the factor.
    """
    columns = zip(*(lrs for lrs in recording.lrs if lrs is not None), strict=True)
    starts = [_start_that_fits(column, factor, recording.lr_precision) for column in columns]
    return None if None in starts else tuple(lr for lr in starts if lr is not None)


def _start_that_fits(logged: Sequence[float], factor: float, precision: Precision) -> float | None:
    levels = [level for level, _ in groupby(logged)]
    low, high = preimage(levels[0], precision)
    scale = 1.0
    for level in levels[1:]:
        scale *= factor
        level_low, level_high = preimage(level, precision)
        if scale <= 0 or level_high < low * scale or level_low > high * scale:
            break
        low, high = max(low, level_low / scale), min(high, level_high / scale)
    return (low + high) / 2 if low < high else None


def _mixtures(series: Iterable[Series]) -> list[str]:
    """Warn of series in which later writes replaced earlier ones: they may mix trainings."""
    return [
        f"{points.superseded} point(s) of {points.tag!r} were written again later (a restart, or "
        "several trainings in one directory); of each step the last write counts"
        for points in series
        if points.superseded
    ]


@dataclass(frozen=True, slots=True)
class _Join:
    lrs: tuple[tuple[float, ...] | None, ...]
    warnings: tuple[str, ...]


def _join(metric: Series, lrs: Sequence[Series]) -> _Join:
    """Find the LR of each group at each metric step.

    It is the one logged at the same step; or where that finds fewer, the last one logged since the
    metric point before. Where none was, none is made up.
    """
    positions = [_positions(metric.steps, series.steps) for series in lrs]
    found = np.all([where >= 0 for where in positions], axis=0)
    since = [_last_since(metric.steps, series.steps) for series in lrs]
    found_since = np.all([where >= 0 for where in since], axis=0)
    warnings = []
    if found_since.sum() > found.sum():
        shared = int(found.sum())
        positions, found = since, found_since
        warnings.append(
            f"metric and LR share {shared or 'no'} step{'s' * (shared > 1)}: "
            "each metric point takes the LR last logged"
        )
    if not found.any():
        raise NotEnoughToldError(
            f"no LR is logged until the last point of {metric.tag!r}: nothing to compare with"
        )
    if not found.all():
        warnings.append(
            f"an LR is logged at {int(found.sum())} of {len(metric)} metric steps; "
            "only those are checked"
        )
    for series, where in zip(lrs, positions, strict=True):
        warnings += _beyond(metric, series, series.values[where[found]])
    columns = [series.values[where] for series, where in zip(lrs, positions, strict=True)]
    rows = zip(*columns, strict=True)
    return _Join(
        tuple(tuple(map(float, row)) if ok else None for row, ok in zip(rows, found, strict=True)),
        tuple(warnings),
    )


def _beyond(metric: Series, series: Series, seen: NDArray[np.float64]) -> list[str]:
    """Say that the LR changed right after the last metric point, which nothing can check.

    Raises:
        NotEnoughToldError: it changes at other steps that no metric point sees: the two are
            logged on different axes.
    """
    following = int(np.searchsorted(series.steps, metric.steps[-1], side="right"))
    next_lr = series.values[following:][:1].tolist()
    all_levels = [level for level, _ in groupby(series.values.tolist())]
    seen_levels = [level for level, _ in groupby(seen.tolist())]
    if all_levels == seen_levels:
        return []
    if all_levels != [level for level, _ in groupby([*seen.tolist(), *next_lr])]:
        raise NotEnoughToldError(
            f"{series.tag!r} has {len(all_levels)} levels, and {metric.tag!r} sees "
            f"{len(seen_levels)} of them: they count steps differently (steps "
            f"{int(series.steps[0])} to {int(series.steps[-1])} and {int(metric.steps[0])} to "
            f"{int(metric.steps[-1])}), or the LR changed before the first metric point"
        )
    return [f"after the last metric point {series.tag!r} is {next_lr[0]:.6g}; that is not checked"]


def _positions(wanted: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.intp]:
    """Position of each wanted step among the steps; -1 where it is not there."""
    where = _last_until(wanted, steps)
    return np.where((where >= 0) & (steps[where] == wanted), where, -1)


def _last_since(wanted: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.intp]:
    """Position of the last step in (wanted step before, wanted step]; -1 where there is none."""
    where = _last_until(wanted, steps)
    first = _last_until(np.concatenate(([np.iinfo(np.int64).min], wanted[:-1])), steps)
    return np.where(where > first, where, -1)


def _last_until(wanted: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(steps, wanted, side="right") - 1

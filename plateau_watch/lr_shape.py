"""lr_shape: how an LR goes, and which kinds of schedule go like that.

A plateau scheduler multiplies an LR that stays for long by one factor, and so do steps by plan:
where the falls lie does not tell the two apart, for a metric that never improves makes them as even
as a plan, and milestones may lie anywhere. What goes otherwise is told for sure: a constant, a
warmup, what rises again, and falls by other ratios or at every point. Knows values alone; whether a
metric explains the falls is for `fit`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plateau_watch.decision import number
from plateau_watch.series import Series

STEPS = "a plateau scheduler or steps by plan"
"""The kind that shape alone cannot tell apart."""

FEWEST_AT_EVERY_POINT = 5
"""Falls, at every point there is, from which on nobody waited for a metric."""

_ROUNDING = 1e-6
"""How far a ratio may be off, in parts of itself: LRs are mostly stored in float32."""

_NEAREST_TO_1 = 0.999
"""A ratio nearer to 1 is nobody's factor, and float32 leaves too little of it to be told."""

_ALIKE = 0.01
"""How far a decay may be off a line or a cosine, in parts of its height, to be called one."""


def shape_of(series: Series) -> str:
    """Say in words how an LR goes: constant, or how often it falls and rises, and by what ratio."""
    changes = np.diff(series.values)
    if not changes.any():
        return "constant"
    falling, rises = np.flatnonzero(changes < 0), int((changes > 0).sum())
    ratio = _one_ratio(series.values)
    by = "" if ratio is None else f" by {number(ratio)}"
    evenly = " evenly" if len(set(np.diff(falling).tolist())) == 1 < len(falling) - 1 else ""
    parts = [f"falls {len(falling)}x{by}{evenly}"] * bool(len(falling))
    return ", ".join(parts + [f"rises {rises}x"] * bool(rises))


def kind_of(series: Series) -> str:
    """Say in words what kind of schedule an LR is; `STEPS` where its shape cannot tell."""
    changes = np.diff(series.values)
    if not changes.any():
        return "constant"
    falling = np.flatnonzero(changes < 0)
    if not len(falling):
        return "a warmup"
    first, last = falling[[0, -1]]
    if (changes[first:] > 0).any():
        return "goes up and down"
    warmup = "a warmup, then " if (changes[:first] > 0).any() else ""
    at_every_point = len(falling) == last - first + 1 >= FEWEST_AT_EVERY_POINT
    if at_every_point or _one_ratio(series.values) is None:
        levels = _beginnings(falling)
        return f"{warmup}{_decay(series.steps[levels], series.values[levels])} decay by plan"
    return f"{warmup}{STEPS}"


def falls_like_an_lr(series: Series) -> bool:
    """Whether values stay for long, and then fall by the same ratio each time, twice or more."""
    changes = np.diff(series.values)
    falls = changes < 0
    if (changes > 0).any() or not 2 <= falls.sum() <= len(series) / 3:
        return False
    ratios = _ratios(series.values)
    return bool(np.allclose(ratios, ratios[0], rtol=_ROUNDING))


def falls_unevenly(series: Series) -> bool:
    """Whether an LR falls several times, at few of its points and not every so many: by no plan."""
    falling = np.flatnonzero(series.values[1:] < series.values[:-1])
    few = 3 <= len(falling) <= len(series) / 3
    return few and len(set(np.diff(falling).tolist())) > 1


def _ratios(values: NDArray[np.float64]) -> NDArray[np.float64]:
    falls = np.diff(values) < 0
    return values[1:][falls] / values[:-1][falls]


def _one_ratio(values: NDArray[np.float64]) -> float | None:
    """Return the ratio by which values fall each time; None where there is more than one.

    Two falls that no point was logged between are one, by the ratio squared. The last fall may be
    shorter: something held it.
    """
    ratios = _ratios(values)
    if not len(ratios) or ratios.min() <= 0:
        return None
    ratio = float(ratios[:-1].max(initial=0.0) or ratios[-1])
    if ratio > _NEAREST_TO_1:
        return None
    times = np.log(ratios) / np.log(ratio)
    off = np.abs(times - times.round())
    fits = off <= _ROUNDING / abs(np.log(ratio))
    fits[-1] |= ratios[-1] > ratio
    return ratio if fits.all() else None


def _beginnings(falling: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where each level begins; the first one, which may have stayed for long, as if it had not."""
    length = int(np.median(np.diff(falling))) if len(falling) > 1 else 1
    return np.array([max(0, falling[0] + 1 - length), *(falling + 1)])


def _decay(steps: NDArray[np.int64], values: NDArray[np.float64]) -> str:
    """Name a decay that is a line, an exponential or half a cosine, if it is one of them."""
    if len(values) <= FEWEST_AT_EVERY_POINT:
        return "a"
    # Unsigned, since the difference of two int64 may not be one.
    passed = steps.astype(np.uint64) - steps[:1].astype(np.uint64)
    done = passed / passed[-1]
    if _runs_along(values, 1 - done):
        return "a linear"
    if values[-1] > 0 and _runs_along(np.log(values), 1 - done):
        return "an exponential"
    return "a cosine" if _runs_along(values, (1 + np.cos(np.pi * done)) / 2) else "a"


def _runs_along(values: NDArray[np.float64], from_1_to_0: NDArray[np.float64]) -> bool:
    """Whether values go from the first to the last as a template goes from 1 to 0."""
    height = values[0] - values[-1]
    return bool(np.abs((values - values[-1]) / height - from_1_to_0).max() <= _ALIKE)

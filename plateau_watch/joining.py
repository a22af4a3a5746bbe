"""joining: which logged LR stands beside which metric point.

Metric and LRs are logged at steps of their own, now and then on axes that have nothing in common.
Here each metric point gets the LR logged beside it, in one of four ways: at the same step, as the
last one in the steps since the metric point before, in the same order, or by the clock. What a LR
beside a metric means is for others to say (`alignment`). Knows no scheduler. Invariant: no LR is
made up, and a way in which some LR has no place is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plateau_watch.series import Series

Way = Literal["step", "since", "order", "clock"]
"""How LRs were joined to metric points: at the same step, the last since the metric point before,
the i-th to the i-th, or the last since then by wall time."""

WAYS: tuple[Way, ...] = ("step", "since", "order", "clock")

Beside = tuple[tuple[float, ...] | None, ...]
"""For each metric point the LR of each group; None where none was logged."""


@dataclass(frozen=True, slots=True)
class Joined:
    """LRs beside metric points.

    Attributes:
        way: how they came there.
        beside: one entry for each metric point.
        between: for each metric point what was logged strictly between the one before and it.
        following: the LR that was logged next after the last metric point; None if none was.
        beyond: what was logged after that.
    """

    way: Way
    beside: Beside
    between: tuple[frozenset[tuple[float, ...]], ...]
    following: tuple[float, ...] | None
    beyond: frozenset[tuple[float, ...]] = frozenset()

    @property
    def found(self) -> int:
        """How many metric points have an LR beside them."""
        return sum(lrs is not None for lrs in self.beside)


def joins(metric: Series, lrs: Sequence[Series]) -> Iterator[Joined]:
    """Yield the ways in which LRs can be joined to a metric, the likeliest first.

    Args:
        metric: at least one point.
        lrs: one series for each param group, at least one point each.
    """
    table = _table(lrs)
    if table is None:
        return
    steps, clock, rows = table
    yield from _by_axis("step", metric.steps, steps, rows, exact=True)
    yield from _by_axis("since", metric.steps, steps, rows, exact=False)
    yield from _in_order(len(metric), rows)
    times = metric.wall_times
    # Compared, not subtracted: wall times may be infinite.
    if (times[1:] > times[:-1]).all() and (clock[1:] >= clock[:-1]).all():
        yield from _by_axis("clock", metric.wall_times, clock, rows, exact=False)


def _table(
    lrs: Sequence[Series],
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[tuple[float, ...]]] | None:
    """One row for each step at which all groups were logged; None where there is no such step."""
    steps = lrs[0].steps
    for series in lrs[1:]:
        steps = np.intersect1d(steps, series.steps, assume_unique=True)
    if len(steps) == 0:
        return None
    columns = [series.values[np.searchsorted(series.steps, steps)] for series in lrs]
    clock = lrs[0].wall_times[np.searchsorted(lrs[0].steps, steps)]
    return steps, clock, [tuple(map(float, row)) for row in zip(*columns, strict=True)]


def _by_axis(
    way: Way,
    wanted: NDArray[np.int64] | NDArray[np.float64],
    axis: NDArray[np.int64] | NDArray[np.float64],
    rows: list[tuple[float, ...]],
    *,
    exact: bool,
) -> Iterator[Joined]:
    """Join along an axis: what lies at a metric point, or else the last since the one before."""
    ends = np.searchsorted(axis, wanted, side="right").tolist()
    begins = [0, *ends[:-1]]
    at_points = [
        end > begin and (not exact or axis[end - 1] == point)
        for begin, end, point in zip(begins, ends, wanted.tolist(), strict=True)
    ]
    if not any(at_points):
        return
    yield Joined(
        way,
        tuple(rows[end - 1] if there else None for end, there in zip(ends, at_points, strict=True)),
        tuple(
            frozenset(rows[begin : end - there])
            for begin, end, there in zip(begins, ends, at_points, strict=True)
        ),
        rows[ends[-1]] if ends[-1] < len(rows) else None,
        frozenset(rows[ends[-1] + 1 :]),
    )


def _in_order(points: int, rows: list[tuple[float, ...]]) -> Iterator[Joined]:
    """Join the i-th to the i-th, where their numbers differ by one at most."""
    nothing: tuple[frozenset[tuple[float, ...]], ...] = (frozenset(),) * points
    if len(rows) in (points, points + 1):
        yield Joined(
            "order", tuple(rows[:points]), nothing, rows[points] if rows[points:] else None
        )
    elif len(rows) == points - 1:
        yield Joined("order", (None, *rows), nothing, None)
        yield Joined("order", (*rows, None), nothing, None)

"""continuation: a training that goes on from another one, read as one.

A training resumed into a directory of its own begins where another one ended, with the same tags
and the same LR. Alone it cannot be replayed, for the scheduler's state came from a checkpoint.
Knows no files and no scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plateau_watch.series import Series

FEWEST_SHARED = 2
"""Tags, of several points each, that two trainings share at least."""

LARGEST_GAP = 3.0
"""Strides of a tag that may lie between the end of one and the beginning of the other."""


def goes_on_from(later: Sequence[Series], earlier: Sequence[Series]) -> bool:
    """Whether a training begins where another one ended: in steps and, for all tags, in order."""
    if not may_go_on(later):
        return False
    several = [series for series in later if len(series) > 1]
    before = {series.tag: series for series in earlier if len(series) > 1}
    shared = [(before[series.tag], series) for series in several if series.tag in before]
    return len(shared) >= FEWEST_SHARED and all(_follows(*both) for both in shared)


def may_go_on(series: Sequence[Series]) -> bool:
    """Whether a training can go on from any: one that begins at step 0 goes on from nothing."""
    return all(each.steps[0] > 0 for each in series if len(each) > 1)


def began(series: Sequence[Series]) -> float:
    """Return the wall time of a training's first point; there must be one at least."""
    return min(float(each.wall_times.min()) for each in series if len(each))


def begins_at(series: Sequence[Series]) -> int:
    """Return the first step of a training that may go on from another one."""
    return min(int(each.steps[0]) for each in series if len(each) > 1)


def continued(
    earlier: Sequence[Series], later: Sequence[Series], until: int | None = None
) -> list[Series]:
    """Join each tag of the later training to that of the earlier one, under the later's name.

    Where both have a step, the later one's point counts.

    Args:
        earlier: the training that was left.
        later: the one that went on from it.
        until: points of the earlier one at this step and beyond are left out: its checkpoint was
            written before the scheduler saw them. None to take all.
    """
    before = {series.tag: series for series in earlier}
    return [
        _joined(before[series.tag], series, until) if series.tag in before else series
        for series in later
    ]


def _follows(earlier: Series, later: Series) -> bool:
    gap = int(later.steps[0]) - int(earlier.steps[-1])
    if gap < 0 or later.wall_times[0] < earlier.wall_times[-1]:
        return False
    # As floats, for a difference of two int64 may be none.
    return gap <= LARGEST_GAP * float(np.median(np.diff(earlier.steps.astype(np.float64))))


def _joined(earlier: Series, later: Series, until: int | None) -> Series:
    end = int(later.steps[0]) if until is None else min(until, int(later.steps[0]))
    kept = earlier.steps < end
    return replace(
        later,
        steps=np.concatenate((earlier.steps[kept], later.steps)),
        wall_times=np.concatenate((earlier.wall_times[kept], later.wall_times)),
        values=np.concatenate((earlier.values[kept], later.values)),
        superseded=later.superseded + earlier.superseded + int((~kept).sum()),
    )

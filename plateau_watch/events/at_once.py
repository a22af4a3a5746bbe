"""at_once: whether two event files were written at the same time, and whether they contradict.

A training that was resumed writes after the one that was left, so its points are a later word on
the same steps. Of two writers at once (the ranks of a data parallel training that all log, a job
that was started twice) neither is the later: where their values differ, a series of both would be
nobody's. Where they are the same, either file tells all. Knows nothing of files' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plateau_watch.events.axes import Axes
from plateau_watch.events.file_content import FileContent, Points
from plateau_watch.series import surviving

SHARED_TIME = 0.5
"""Part of the shorter file's time in which both were written, for that to be at once. A resumed
training shares none, but for clocks of two machines that differ."""

Values = Literal["same", "others", "elsewhere"]
"""What two writers wrote at the steps they share: the same, other values; or they share none."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Two files that were written at the same time.

    Attributes:
        values: what they have at the steps they share.
        where: tag, step, and both values where they first differ; None where they do not.
    """

    values: Values
    where: tuple[str, int, float, float] | None = None


def written_at_once(earlier: Axes, later: Axes) -> bool:
    """Whether tags of several points that both have were written at the same time."""
    shared = earlier.keys() & later.keys()
    several = [tag for tag in shared if earlier[tag].count > 1 and later[tag].count > 1]
    if not several:
        return False
    spans = [
        (min(axes[tag].first for tag in several), max(axes[tag].last for tag in several))
        for axes in (earlier, later)
    ]
    together = min(last for _, last in spans) - max(first for first, _ in spans)
    return together > 0 and together >= SHARED_TIME * min(last - first for first, last in spans)


def compared(earlier: FileContent, later: FileContent) -> AtOnce:
    """Compare the values of two files at the steps that they share."""
    shares = False
    for tag in earlier.points.keys() & later.points.keys():
        steps, mine, its = _at_shared_steps(earlier.points[tag], later.points[tag])
        shares = shares or len(steps) > 0
        differ = np.flatnonzero((mine != its) & ~(np.isnan(mine) & np.isnan(its)))
        if len(differ):
            at = differ[0]
            return AtOnce("others", (tag, int(steps[at]), float(mine[at]), float(its[at])))
    return AtOnce("same" if shares else "elsewhere")


def _at_shared_steps(
    earlier: Points, later: Points
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the steps that both have, and the last value that each has there."""
    mine, its = surviving(earlier.steps), surviving(later.steps)
    steps, in_mine, in_its = np.intersect1d(
        np.array(earlier.steps, dtype=np.int64)[mine],
        np.array(later.steps, dtype=np.int64)[its],
        assume_unique=True,
        return_indices=True,
    )
    return steps, np.array(earlier.values)[mine[in_mine]], np.array(later.values)[its[in_its]]

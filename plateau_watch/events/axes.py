"""axes: along which steps, and in which time, each tag of some event files was written.

What files are told apart by, computed once for each file. Knows nothing of files' names.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from plateau_watch.events.file_content import FileContent


@dataclass(slots=True)
class Axis:
    """How a tag's steps and wall times run, in one file or in several that were joined.

    Attributes:
        lowest: the lowest step.
        count: how many points.
        first, last: lowest and highest wall time that is finite; infinite where none is.
    """

    lowest: int
    count: int
    first: float
    last: float
    _steps: list[Sequence[int]] = field(default_factory=list)
    _stride: float | None = None

    @property
    def stride(self) -> float:
        """What mostly lies between two steps; 0 where there is one point."""
        if self._stride is None:
            # As floats, for a difference of two int64 may be none.
            steps = np.concatenate([np.array(each, dtype=np.float64) for each in self._steps])
            self._stride = float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0
        return self._stride

    def joined_with(self, later: Axis) -> Axis:
        """Return the axis of both, one after the other."""
        return Axis(
            min(self.lowest, later.lowest),
            self.count + later.count,
            min(self.first, later.first),
            max(self.last, later.last),
            [*self._steps, *later._steps],
        )


Axes = dict[str, Axis]
"""The axis of each tag; a trace of the hook's counts as a tag."""


def axes_of(content: FileContent) -> Axes:
    """Return the axis of each tag of a file."""
    axes = {tag: _axis(points.steps, points.wall_times) for tag, points in content.points.items()}
    for prefix, column in content.entries.items():
        steps = array("q", (entry.step for entry in column.entries))
        axes[f"{prefix}/trace"] = _axis(steps, [entry.wall_time for entry in column.entries])
    return axes


def joined(earlier: Axes, later: Axes) -> Axes:
    """Return the axes of two files, or of some and one more, in reading order."""
    both = dict(earlier)
    for tag, axis in later.items():
        both[tag] = both[tag].joined_with(axis) if tag in both else axis
    return both


def of_several_points(earlier: Axes, later: Axes, shared: Iterable[str]) -> set[str]:
    """Return those tags that have more than one point somewhere; all where none has."""
    shared = set(shared)
    return {tag for tag in shared if earlier[tag].count > 1 or later[tag].count > 1} or shared


def _axis(steps: Sequence[int], wall_times: Sequence[float]) -> Axis:
    times = np.array(wall_times, dtype=np.float64)
    finite = times[np.isfinite(times)]
    return Axis(
        int(np.array(steps, dtype=np.int64).min()),
        len(steps),
        float(finite.min(initial=math.inf)),
        float(finite.max(initial=-math.inf)),
        [steps],
    )

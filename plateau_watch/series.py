"""Series: the points of one tag of one run, as columns, after preemption.

Knows nothing of files, protos or schedulers. Invariants of a `Series`: the three columns have
one length, steps strictly increase, and the arrays are read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plateau_watch.precision import Precision

Restart = tuple[int, int]
"""(position, step): just before the point at this position, points at steps >= step are void."""

Duplicates = Literal["last", "first", "error"]
"""Which point of a step counts where several were written: the last one, as in TensorBoard, or the
first; "error" where they may not differ."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The points of one tag, in step order.

    Attributes:
        run: name of the run; "." is the log directory itself.
        tag: the tag, as logged.
        steps: int64[n], strictly increasing.
        wall_times: float64[n], seconds since the epoch, as logged (may run backwards).
        values: float64[n]; each holds its stored value exactly.
        precision: the coarsest encoding among the points, in which values were stored.
        superseded: how many points were discarded: written again later, or void by a restart.
    """

    run: str
    tag: str
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]
    precision: Precision = "float64"
    superseded: int = 0

    def __post_init__(self) -> None:
        if not len(self.steps) == len(self.wall_times) == len(self.values):
            raise ValueError(f"columns of {self.tag!r} differ in length")
        if len(self.steps) > 1 and not (self.steps[1:] > self.steps[:-1]).all():
            raise ValueError(f"steps of {self.tag!r} do not strictly increase")
        for column in (self.steps, self.wall_times, self.values):
            column.setflags(write=False)

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        *,
        steps: ArrayLike | None = None,
        wall_times: ArrayLike | None = None,
        run: str = ".",
        tag: str = "metric",
        precision: Precision = "float64",
    ) -> Series:
        """Make a series from plain numbers; absent steps count from 0, absent times are 0."""
        column = np.array(values, dtype=np.float64)
        return cls(
            run=run,
            tag=tag,
            steps=np.arange(len(column)) if steps is None else np.array(steps, dtype=np.int64),
            wall_times=(
                np.zeros(len(column))
                if wall_times is None
                else np.array(wall_times, dtype=np.float64)
            ),
            values=column,
            precision=precision,
        )


def alive(steps: ArrayLike, restarts: Sequence[Restart] = ()) -> NDArray[np.intp]:
    """Positions of the points that no restart voids, in the order written.

    The rule is that of TensorBoard's data server: a restart at step s voids earlier points at
    steps >= s.

    Args:
        steps: int64[n], in the order written.
        restarts: positions (0..n, not decreasing) with the step each one starts again from.
    """
    column = np.asarray(steps, dtype=np.int64)
    if not restarts:
        return np.arange(len(column))
    positions, starts = np.array(restarts, dtype=np.int64).T
    lowest_from = np.minimum.accumulate(starts[::-1])[::-1]
    following = np.searchsorted(positions, np.arange(len(column)), side="right")
    before_one = following < len(positions)
    kept = ~before_one
    kept[before_one] = column[before_one] < lowest_from[following[before_one]]
    return np.flatnonzero(kept)


def surviving(
    steps: ArrayLike,
    restarts: Sequence[Restart] = (),
    duplicates: Literal["last", "first"] = "last",
) -> NDArray[np.intp]:
    """Positions of the points that count, in step order: alive, and the chosen write of a step.

    Arguments as for `alive`.
    """
    kept = alive(steps, restarts)
    column = np.asarray(steps, dtype=np.int64)[kept]
    # np.unique reports the first occurrence; seen from the end, that is the last write.
    if duplicates == "first":
        _, positions = np.unique(column, return_index=True)
    else:
        _, from_the_end = np.unique(column[::-1], return_index=True)
        positions = len(kept) - 1 - from_the_end
    survivors: NDArray[np.intp] = kept[positions]
    return survivors


def contradiction(
    steps: ArrayLike, values: ArrayLike, restarts: Sequence[Restart] = ()
) -> tuple[int, int] | None:
    """Positions of two living points with one step and different values; of the lowest such step.

    The same value written twice contradicts nothing, nor does NaN beside NaN.

    Args:
        steps: int64[n], in the order written.
        values: float64[n].
        restarts: as for `alive`.
    """
    kept = alive(steps, restarts)
    kept = kept[np.argsort(np.asarray(steps, dtype=np.int64)[kept], kind="stable")]
    sorted_steps = np.asarray(steps, dtype=np.int64)[kept]
    numbers = np.asarray(values, dtype=np.float64)[kept]
    differ = (numbers[1:] != numbers[:-1]) & ~(np.isnan(numbers[1:]) & np.isnan(numbers[:-1]))
    found = np.flatnonzero((sorted_steps[1:] == sorted_steps[:-1]) & differ)
    return (int(kept[found[0]]), int(kept[found[0] + 1])) if len(found) else None

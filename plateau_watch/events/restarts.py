"""restarts: where in the columns of some files a SessionLog.START stands.

A restart concerns every tag, and a file may have as many of them as it has points. So a file counts
its restarts once, and a column notes how many there had been only where that changed. Knows no
tags. Invariant: memory is in proportion to points and restarts, never to their product.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from plateau_watch.series import Restart


@dataclass(slots=True)
class Restarts:
    """The steps that a file's restarts start again from; those with nothing between them as one.

    Attributes:
        steps: in the order written; of several at one place the lowest, for it voids the most.
        highest: the highest of all; None without any.
    """

    steps: array[int] = field(default_factory=lambda: array("q"))
    highest: int | None = None
    _at_the_end: bool = False

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: int) -> None:
        """Take a restart."""
        self.highest = step if self.highest is None else max(step, self.highest)
        if self._at_the_end:
            self.steps[-1] = min(step, self.steps[-1])
            return
        self.steps.append(step)
        self._at_the_end = True

    def passed(self) -> int:
        """Say that something was written; return how many restarts there had been before it."""
        self._at_the_end = False
        return len(self.steps)


@dataclass(slots=True)
class Marks:
    """How many restarts there had been before the positions of a column, where that changed."""

    positions: array[int] = field(default_factory=lambda: array("q"))
    counts: array[int] = field(default_factory=lambda: array("q"))

    def note(self, position: int, count: int) -> None:
        """Take the count before the point at a position."""
        if count > (self.counts[-1] if self.counts else 0):
            self.positions.append(position)
            self.counts.append(count)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.positions, self.counts, strict=True)


def lowest_from(files: Iterable[Restarts]) -> array[int]:
    """Return for each restart of all files in order the lowest step of it and those behind it."""
    steps = array("q", (step for each in files for step in each.steps))
    steps.reverse()
    lowest = array("q", accumulate(steps, min))
    lowest.reverse()
    return lowest


def restarts_at(
    marks: Iterable[tuple[int, int]], length: int, lowest: Sequence[int]
) -> list[Restart]:
    """Return the restarts of one column.

    Args:
        marks: (position, count) of the column, positions and counts not decreasing.
        length: of the column.
        lowest: `lowest_from` all files.
    """
    found: list[Restart] = []
    seen = 0
    for position, count in (*marks, (length, len(lowest))):
        if count > seen:
            found.append((position, lowest[seen]))
            seen = count
    return found

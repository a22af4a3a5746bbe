"""levels_fit: which (factor, min_lr, eps) produce these LR levels.

The other part of the scheduler's inverse: not when it fired, but what firing did. Each group's LR
goes down a ladder: every level is the one before times the factor, but for a last one that
`min_lr` held up. Levels are known as they were stored, so parameters come as intervals that hold
every value that could have been meant. Knows no metric and no steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

from plateau_watch.intervals import Interval
from plateau_watch.precision import Precision, preimage

_ROUNDING = 1e-15
"""Relative width by which computed ends are moved outwards: more than their arithmetic errs."""

MOST_GROUPS = 6
"""Param groups for which each may or may not have come to its bound; more are too many ways."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """One way in which the LRs can have come down.

    Attributes:
        factor: interval; None where no LR ever changed.
        min_lrs: interval for each group.
        eps: interval.
        floored: later firings changed no LR, and so left no trace. For this eps and min_lr have
            to meet in each group: LR - max(LR * factor, min_lr) <= eps.
    """

    factor: Interval | None
    min_lrs: tuple[Interval, ...]
    eps: Interval
    floored: bool


def ladders(
    levels: Sequence[Sequence[float]], precision: Precision, *, rounded: bool = False
) -> list[Ladder]:
    """Find all ways in which LRs can have come down, the plainest first.

    Args:
        levels: for each group the LRs it had one after the other as they were logged, each below
            the one before.
        precision: in which they were logged.
        rounded: the scheduler itself held each LR in that precision (Keras, tensor LRs), so every
            level is exactly what the next one was made of.
    """
    if all(len(group) == 1 for group in levels):
        anything = tuple((0.0, math.inf) for _ in levels)
        return [Ladder(None, anything, (0.0, math.inf), floored) for floored in (False, True)]
    eps = (0.0, min(_smallest_drop(group, precision) for group in levels))
    found: list[Ladder] = []
    steps = max(map(len, levels))
    ways = [
        list(_ways_of(group, steps, precision, rounded=rounded)) for group in levels[:MOST_GROUPS]
    ]
    for chosen in product(*ways):
        factor = _common(way.factor for way in chosen)
        if factor is None:
            continue
        min_lrs = tuple(way.min_lr for way in chosen)
        found.append(Ladder(factor, min_lrs, eps, floored=True))
        if not all(way.held for way in chosen):
            found.append(Ladder(factor, min_lrs, eps, floored=False))
    return sorted(found, key=lambda ladder: ladder.floored)


def factor_from(start: float, group: Sequence[float], precision: Precision) -> Interval | None:
    """Return the factors that lead from an exactly known starting LR to a group's levels."""
    low, high = 0.0, 1.0
    for steps, level in enumerate(group[1:], start=1):
        level_low, level_high = preimage(level, precision)
        low = max(low, (max(level_low, 0.0) / start) ** (1 / steps))
        high = min(high, (level_high / start) ** (1 / steps))
    return (low, high) if low <= high else None


@dataclass(frozen=True, slots=True)
class _Way:
    """How one group came to its last level: times the factor, or held up by its bound."""

    factor: Interval
    min_lr: Interval
    held: bool


def _ways_of(
    group: Sequence[float], steps: int, precision: Precision, *, rounded: bool
) -> Iterator[_Way]:
    """Yield the ways of a group; one that stayed while another fell was held, by bound or eps."""
    low, high = preimage(group[-1], precision)
    if whole := _factor(group, precision, rounded=rounded):
        yield _Way(whole, (0.0, high), held=len(group) < steps)
    if len(group) == 1:
        yield _Way((0.0, 1.0), (low, math.inf), held=True)
    elif before := _factor(group[:-1], precision, rounded=rounded):
        largest = high / preimage(group[-2], precision)[0] * (1 + _ROUNDING)
        if before[0] <= largest:
            yield _Way((before[0], min(before[1], largest)), (low, high), held=True)


def _factor(group: Sequence[float], precision: Precision, *, rounded: bool) -> Interval | None:
    """Factors with which every level is an earlier one times a power of them."""
    if rounded:
        return _common(
            ((max(low, 0.0) / old) * (1 - _ROUNDING), (high / old) * (1 + _ROUNDING))
            for old, new in pairwise(group)
            if old > 0
            for low, high in [preimage(new, precision)]
        )
    stored_as = [preimage(level, precision) for level in group]
    low, high = 0.0, 1.0
    for (i, (from_low, from_high)), (j, (to_low, to_high)) in combinations(enumerate(stored_as), 2):
        if from_low <= 0:
            continue
        power = 1 / (j - i)
        low = max(low, (max(to_low, 0.0) / from_high) ** power * (1 - _ROUNDING))
        high = min(high, (to_high / from_low) ** power * (1 + _ROUNDING))
    return (low, high) if low <= high else None


def _smallest_drop(group: Sequence[float], precision: Precision) -> float:
    """The largest eps that lets every drop of a group be written."""
    return min(
        (preimage(old, precision)[1] - preimage(new, precision)[0] for old, new in pairwise(group)),
        default=math.inf,
    )


def _common(intervals: Iterable[Interval]) -> Interval | None:
    low, high = 0.0, 1.0
    for below, above in intervals:
        low, high = max(low, below), min(high, above)
    return (low, high) if low <= high else None

"""bars: under which thresholds a metric beats the best so far.

The bar moves one way with the threshold, so those under which a metric beats it are one interval,
and its end is found exactly (`intervals`). A metric that was logged rounded may have been any value
that is stored so; where that leaves the comparison open, a threshold counts on both sides. Knows
nothing of what follows from an improvement. Thresholds are 0 or more.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from plateau_watch.config import Mode, ThresholdMode
from plateau_watch.intervals import Interval, last_where

ALL_THRESHOLDS: Interval = (0.0, sys.float_info.max)

_ROUNDINGS = 2
"""Doubles by which a quotient is off at most from where its product turns."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The comparison of one mode and threshold_mode, as torch's."""

    mode: Mode
    threshold_mode: ThresholdMode

    @property
    def worst(self) -> Interval:
        """The best before any metric was seen."""
        worst = math.inf if self.mode == "min" else -math.inf
        return worst, worst

    def easiest(self, best: Interval, thresholds: Sequence[Interval]) -> float:
        """Return the bar that is easiest to beat among those of some thresholds.

        Args:
            best: what the best may have been before it was stored.
            thresholds: at least one interval, ascending.
        """
        ends = thresholds[0][0], thresholds[-1][1]
        if self.mode == "min":
            return max(_known(self.bar(best[1], end), math.inf) for end in ends)
        return min(_known(self.bar(best[0], end), -math.inf) for end in ends)

    @lru_cache(maxsize=1 << 15)  # noqa: B019  the few instances there are should share it
    def sides(self, metric: Interval, best: Interval) -> tuple[Interval | None, Interval | None]:
        """Return the thresholds under which a metric may beat the bar, and those where it may not.

        None where there are none.

        Args:
            metric: what it may have been before it was stored.
            best: likewise.
        """
        low, high = metric
        best_low, best_high = best
        if self.mode == "max":
            low, high, best_low, best_high = high, low, best_high, best_low
        return self._side(low, best_high, beats=True), self._side(high, best_low, beats=False)

    def bar(self, best: float, threshold: float) -> float:
        """As `PlateauConfig.bar`, without making a configuration for each threshold tried."""
        if self.threshold_mode == "rel":
            return best * (1.0 - threshold if self.mode == "min" else threshold + 1.0)
        return best - threshold if self.mode == "min" else best + threshold

    def _side(self, metric: float, best: float, *, beats: bool) -> Interval | None:
        """The thresholds under which the metric beats the bar (or does not)."""
        lower = self.mode == "min"

        def holds(threshold: float) -> bool:
            bar = self.bar(best, threshold)
            return (metric < bar if lower else metric > bar) == beats

        low, high = ALL_THRESHOLDS
        at_low, at_high = holds(low), holds(high)
        if at_low and at_high:
            return ALL_THRESHOLDS
        if not (at_low or at_high):
            return None
        guess = self._threshold_of(metric, best)
        if at_low:
            return low, last_where(holds, low, high, guess)
        return last_where(holds, high, low, guess), high

    def _threshold_of(self, metric: float, best: float) -> float:
        """About the threshold under which the comparison turns; most often that very one."""
        if not (math.isfinite(metric) and math.isfinite(best)):
            return math.nan
        lower = self.mode == "min"
        if self.threshold_mode == "abs":
            beyond = math.nextafter(metric, math.inf if lower else -math.inf)
            apart = best - metric if lower else metric - best
            return apart - abs(beyond - metric) / 2
        if best <= 0:
            return (best - metric if lower else metric - best) / (best or math.nan)
        below, above = _factors_between(metric, best, strict=lower)
        middle = (above - below) / 2
        return (1 - above) + middle if lower else (above - 1) - middle


def _factors_between(metric: float, best: float, *, strict: bool) -> Interval:
    """The two neighbouring factors of a positive best between which it comes to pass the metric."""

    def passes(factor: float) -> bool:
        return best * factor > metric if strict else best * factor >= metric

    factor = metric / best
    for _ in range(_ROUNDINGS):
        if passes(factor):
            factor = math.nextafter(factor, -math.inf)
    for _ in range(_ROUNDINGS):
        if not passes(following := math.nextafter(factor, math.inf)):
            factor = following
    return factor, math.nextafter(factor, math.inf)


def within(thresholds: Sequence[Interval], side: Interval | None) -> list[Interval]:
    """Return the part of some intervals, ascending, that lies in one."""
    if side is None:
        return []
    low, high = side
    return [
        (max(low, below), min(high, above))
        for below, above in thresholds
        if below <= high and above >= low
    ]


def _known(bar: float, easiest: float) -> float:
    """A bar that is no number (an infinite best times 0) is taken for the easiest there is."""
    return easiest if math.isnan(bar) else bar

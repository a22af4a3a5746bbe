"""bars: under which thresholds a metric beats the best so far.

The bar moves one way with the threshold, so those under which a metric beats it are one interval,
and its end is found exactly (`intervals`). A metric that was logged rounded may have been any value
that is stored so; where that leaves the comparison open, a threshold counts on both sides. Knows
nothing of what follows from an improvement. Thresholds are 0 or more.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from plateau_watch.config import Mode, ThresholdMode
from plateau_watch.intervals import Interval, last_where

ALL_THRESHOLDS: Interval = (0.0, sys.float_info.max)


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
            thresholds: at least one interval.
        """
        ends = [end for interval in thresholds for end in interval]
        if self.mode == "min":
            return max(_known(self.bar(best[1], end), math.inf) for end in ends)
        return min(_known(self.bar(best[0], end), -math.inf) for end in ends)

    def split(
        self, metric: Interval, best: Interval, thresholds: Iterable[Interval]
    ) -> tuple[list[Interval], list[Interval]]:
        """Split thresholds into those under which a metric may beat the bar, and may not.

        Args:
            metric: what it may have been before it was stored.
            best: likewise.
            thresholds: the intervals to split.
        """
        low, high = metric
        best_low, best_high = best
        if self.mode == "max":
            low, high, best_low, best_high = high, low, best_high, best_low
        beaten = (self._part(low, best_high, interval, beats=True) for interval in thresholds)
        kept = (self._part(high, best_low, interval, beats=False) for interval in thresholds)
        return [part for part in beaten if part], [part for part in kept if part]

    def bar(self, best: float, threshold: float) -> float:
        """As `PlateauConfig.bar`, without making a configuration for each threshold tried."""
        if self.threshold_mode == "rel":
            return best * (1.0 - threshold if self.mode == "min" else threshold + 1.0)
        return best - threshold if self.mode == "min" else best + threshold

    def _part(
        self, metric: float, best: float, interval: Interval, *, beats: bool
    ) -> Interval | None:
        """Part of an interval where the metric beats the bar (or does not)."""

        def holds(threshold: float) -> bool:
            bar = self.bar(best, threshold)
            return (metric < bar if self.mode == "min" else metric > bar) == beats

        low, high = interval
        at_low, at_high = holds(low), holds(high)
        if at_low and at_high:
            return interval
        if not (at_low or at_high):
            return None
        guess = self._threshold_of(metric, best)
        if at_low:
            return low, last_where(holds, low, high, guess)
        return last_where(holds, high, low, guess), high

    def _threshold_of(self, metric: float, best: float) -> float:
        """About the threshold that puts the bar on the metric; no number where there is none."""
        apart = best - metric if self.mode == "min" else metric - best
        if self.threshold_mode == "abs" or not apart:
            return apart
        return apart / best if best else math.nan


def _known(bar: float, easiest: float) -> float:
    """A bar that is no number (an infinite best times 0) is taken for the easiest there is."""
    return easiest if math.isnan(bar) else bar

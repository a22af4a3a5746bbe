"""rules_fit: which rules fire exactly where a scheduler fired.

The scheduler factorises, and so does its inverse. Here is the part that decides *when*: every
(mode, threshold_mode, threshold, patience, cooldown) that fires at these steps and at no other.
Where no LR was logged for a while, it is only known that a firing was at one of several steps.
Thresholds come as intervals, computed and not sampled: all histories that some threshold leads to
are followed at once, each with the thresholds that lead to it.

A metric that was logged rounded may have been any value that is stored so. Where that leaves a
comparison open both outcomes are followed, so the set always holds the true parameters, and now
and then a little more. Knows no logs and no LRs. Fitted thresholds are 0 or more.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, get_args

from plateau_watch.config import Mode, PlateauConfig, ThresholdMode
from plateau_watch.intervals import Interval, joined, last_where
from plateau_watch.precision import Precision, preimage

ANY = 1 << 62
"""Upper end of a range of counts that nothing bounds."""

MOST_WORK = 4_000_000
"""Histories times steps that are followed before a log is called too ambiguous: some seconds."""

Counts = tuple[int, int]
"""Lowest and highest count, both included; the highest may be `ANY`."""

Window = tuple[int, int]
"""First and last index of the steps at one of which a scheduler fired."""

_ALL_THRESHOLDS: Interval = (0.0, sys.float_info.max)


class TooAmbiguousError(Exception):
    """Too many histories are possible to follow them all."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Parameters that decide when a scheduler fires, and that these firings do not tell apart.

    Every combination of their members fires alike.

    Attributes:
        mode: as torch's.
        threshold_mode: as torch's.
        thresholds: intervals, ascending.
        patience: lowest and highest.
        cooldown: lowest and highest.
    """

    mode: Mode
    threshold_mode: ThresholdMode
    thresholds: tuple[Interval, ...]
    patience: Counts
    cooldown: Counts


class _History(NamedTuple):
    """What a scheduler may have behind it.

    `improved` is the index of the last improvement, -1 for none; `longest` the longest run of bad
    steps that an improvement ended before the first firing; `patience` is known from the first
    firing on, and -1 before; `cooldown` bounds that parameter; `last` is the index of the last
    firing, -1 for none, and `fired` counts them.
    """

    best: float
    improved: int
    longest: int
    patience: int
    cooldown: Counts
    last: int = -1
    fired: int = 0


class _Led(NamedTuple):
    """The thresholds that lead to a history, and the bar that is easiest to beat among theirs."""

    thresholds: list[Interval]
    easiest: float


@dataclass(frozen=True, slots=True)
class RulesFound:
    """Rules that explain when a scheduler fired.

    Attributes:
        by_known: the rules for each number of known steps.
        explained: steps from the first on that some rules explain; all that are known where there
            are rules for all.
    """

    by_known: dict[int, list[Rules]]
    explained: int


def rules_by_known(
    metric: Sequence[float],
    precision: Precision,
    windows: Sequence[Window],
    known: Iterable[int],
    *,
    threshold_modes: Sequence[ThresholdMode] = get_args(ThresholdMode),
    modes: Sequence[Mode] = get_args(Mode),
) -> RulesFound:
    """Find all rules under which a scheduler fires once in each window and nowhere else.

    Args:
        metric: what the scheduler was given, one value a step.
        precision: in which it was logged.
        windows: where it fired, ascending, none overlapping.
        known: how many steps from the first on are known to have fired or not; later ones may have
            fired without a trace. Several numbers make several sets, by number.
        threshold_modes: those to look at.
        modes: those to look at.

    Raises:
        TooAmbiguousError: too many histories are possible.
    """
    ends = sorted(set(known))
    found: dict[int, list[Rules]] = {end: [] for end in ends}
    explained = 0
    for mode, threshold_mode in product(modes, threshold_modes):
        search = _Search(mode, threshold_mode, metric, precision)
        for end, rules in zip(ends, search.rules(windows, ends), strict=True):
            found[end] += rules
        explained = max(explained, search.explained)
    return RulesFound(found, explained)


class _Search:
    """Follows all histories of one mode at once, one step after the other."""

    def __init__(
        self,
        mode: Mode,
        threshold_mode: ThresholdMode,
        metric: Sequence[float],
        precision: Precision,
    ) -> None:
        self._mode = mode
        self._threshold_mode = threshold_mode
        self._metric = metric
        self._stored_as = [preimage(value, precision) for value in metric]
        self.explained = 0
        """Steps from the first on that some history led through."""

    def rules(self, windows: Sequence[Window], ends: Sequence[int]) -> Iterator[list[Rules]]:
        """Follow the histories through all known steps; yield the rules at each of the ends."""
        worst = PlateauConfig(mode=self._mode).worst
        start = _History(worst, -1, 0, -1, (0, ANY))
        led = {start: self._led(start, [_ALL_THRESHOLDS])}
        upcoming, work = list(windows), 0
        for index in range(ends[-1]):
            if index in ends:
                yield self._summary(led, index)
            if upcoming and upcoming[0][0] <= index:
                led = self._take(led, index, len(windows) - len(upcoming), upcoming[0][1])
                if index == upcoming[0][1]:
                    upcoming.pop(0)
            else:
                self._pass(led, index)
            if led:
                self.explained = index + 1
            work += len(led)
            if work > MOST_WORK:
                raise TooAmbiguousError
        yield self._summary(led, ends[-1])

    def _take(
        self, led: dict[_History, _Led], index: int, fired: int, last: int
    ) -> dict[_History, _Led]:
        """Take a step of a window: those that have not fired in it may, and must at its last."""
        waiting = {history: way for history, way in led.items() if history.fired == fired}
        passing = {history: way for history, way in led.items() if history.fired > fired}
        after = self._fire(waiting, index)
        self._pass(passing, index)
        if index < last:
            self._pass(waiting, index)
            passing |= waiting
        return passing | after

    def _fire(self, led: dict[_History, _Led], index: int) -> dict[_History, _Led]:
        """Take a step that fired: the metric did not beat the bar, and the count was reached."""
        after: dict[_History, list[Interval]] = {}
        for history, (thresholds, _) in led.items():
            _, kept = self._split(history, index, thresholds)
            fired = _fired(history, index)
            if kept and fired:
                after.setdefault(fired, []).extend(kept)
        return {history: self._led(history, parts) for history, parts in after.items()}

    def _pass(self, led: dict[_History, _Led], index: int) -> None:
        """Take a step that did not fire, in place: few histories change at a step."""
        metric = self._metric[index]
        best_case = self._stored_as[index][0 if self._mode == "min" else 1]
        lower = self._mode == "min"
        changed: dict[_History, list[Interval]] = {}
        for history, (thresholds, easiest) in list(led.items()):
            may_beat = best_case < easiest if lower else best_case > easiest
            last = history.last
            limited = last >= 0 and index - max(history.improved, last) > history.patience
            if not may_beat and not limited:
                continue
            del led[history]
            beaten, kept = self._split(history, index, thresholds) if may_beat else ([], thresholds)
            if beaten:
                changed.setdefault(_improved(history, metric, index), []).extend(beaten)
            waited = _waited(history, index) if limited else history
            if kept and waited:
                changed.setdefault(waited, []).extend(kept)
        for history, parts in changed.items():
            already = led[history].thresholds if history in led else []
            led[history] = self._led(history, [*already, *parts])

    def _led(self, history: _History, thresholds: list[Interval]) -> _Led:
        merged = joined(thresholds)
        low, high = self._best_range(history)
        ends = [end for interval in merged for end in interval]
        if self._mode == "min":
            return _Led(merged, max(_known(self._bar(high, end), math.inf) for end in ends))
        return _Led(merged, min(_known(self._bar(low, end), -math.inf) for end in ends))

    def _best_range(self, history: _History) -> Interval:
        """What the best of a history may have been before it was stored."""
        if history.improved < 0:
            return history.best, history.best
        return self._stored_as[history.improved]

    def _split(
        self, history: _History, index: int, thresholds: Iterable[Interval]
    ) -> tuple[list[Interval], list[Interval]]:
        """Split thresholds into those under which the metric may beat the bar, and may not."""
        low, high = self._stored_as[index]
        best_low, best_high = self._best_range(history)
        if self._mode == "max":
            low, high, best_low, best_high = high, low, best_high, best_low
        beaten = (self._part(low, best_high, interval, beats=True) for interval in thresholds)
        kept = (self._part(high, best_low, interval, beats=False) for interval in thresholds)
        return [part for part in beaten if part], [part for part in kept if part]

    def _part(
        self, metric: float, best: float, interval: Interval, *, beats: bool
    ) -> Interval | None:
        """Part of an interval where the metric beats the bar (or does not).

        The bar moves one way with the threshold, so that part is one interval.
        """

        def holds(threshold: float) -> bool:
            bar = self._bar(best, threshold)
            return (metric < bar if self._mode == "min" else metric > bar) == beats

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
        apart = best - metric if self._mode == "min" else metric - best
        if self._threshold_mode == "abs" or not apart:
            return apart
        return apart / best if best else math.nan

    def _bar(self, best: float, threshold: float) -> float:
        """As `PlateauConfig.bar`, without making a configuration for each threshold tried."""
        if self._threshold_mode == "rel":
            return best * (1.0 - threshold if self._mode == "min" else threshold + 1.0)
        return best - threshold if self._mode == "min" else best + threshold

    def _summary(self, led: dict[_History, _Led], known: int) -> list[Rules]:
        """Put together what differs in nothing but its past."""
        alike: dict[tuple[Counts, Counts], list[Interval]] = {}
        for history, (thresholds, _) in led.items():
            patience = (history.patience, history.patience)
            if history.patience < 0:
                patience = (max(history.longest, known - 1 - history.improved), ANY)
            alike.setdefault((patience, history.cooldown), []).extend(thresholds)
        return [
            Rules(self._mode, self._threshold_mode, tuple(joined(parts)), patience, cooldown)
            for (patience, cooldown), parts in sorted(alike.items())
        ]


def _improved(history: _History, metric: float, index: int) -> _History:
    """An improvement ends a run of bad steps."""
    longest = history.longest
    if history.last < 0:
        longest = max(longest, index - 1 - history.improved)
    return history._replace(best=metric, improved=index, longest=longest)


def _fired(history: _History, index: int) -> _History | None:
    """What firing at this step says of patience and cooldown; None if it cannot have.

    With a cooldown c the count is index - max(last improvement, last firing + c).
    """
    after = history._replace(last=index, fired=history.fired + 1)
    if history.last < 0:
        patience = index - history.improved - 1
        fits = patience >= history.longest
        return after._replace(patience=patience, longest=0) if fits else None
    count = index - max(history.improved, history.last)
    exact = index - history.last - history.patience - 1
    if count <= history.patience:
        return None
    low, high = history.cooldown
    lowest = low if count == history.patience + 1 else max(low, exact)
    return _bounded(after, lowest, min(high, exact))


def _waited(history: _History, index: int) -> _History | None:
    """What not firing says of the cooldown, where the count without one passes the patience."""
    low, high = history.cooldown
    return _bounded(history, max(low, index - history.last - history.patience), high)


def _bounded(history: _History, low: int, high: int) -> _History | None:
    return history._replace(cooldown=(low, high)) if low <= high else None


def _known(bar: float, easiest: float) -> float:
    """A bar that is no number (an infinite best times 0) is taken for the easiest there is."""
    return easiest if math.isnan(bar) else bar

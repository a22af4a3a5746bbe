"""followed: the histories that are possible at a step, each with the thresholds that lead to it.

At a step few of them change: those whose bar the metric may beat, and those that have been bad for
as long as they can. They are found by their bars and by the step at which they are due, so that a
step costs what it changes. Knows nothing of windows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import chain, count
from typing import NamedTuple

from plateau_watch.bars import Bars, within
from plateau_watch.history import UNKNOWN, History, began_anew, fired, improved, waited
from plateau_watch.intervals import Interval, joined

Parts = dict[History, list[list[Interval]]]
"""Histories with the thresholds that lead to each, from several sides."""


class TooAmbiguousError(Exception):
    """Too many histories are possible to follow them all."""


class _Led(NamedTuple):
    """The thresholds that lead to a history, and the bar that is easiest to beat among theirs."""

    thresholds: list[Interval]
    easiest: float


class Followed:
    """Histories that are followed through the steps of a scheduler.

    Args:
        bars: the comparison.
        most: the largest patience that is looked for.
        most_work: changes that are followed before it is too ambiguous.
    """

    def __init__(self, bars: Bars, most: int, most_work: int) -> None:
        self._bars = bars
        self._lower = bars.mode == "min"
        self._most = most
        self._work_left = most_work
        self._led: dict[History, _Led] = {}
        self._by_bar: list[tuple[float, int, History]] = []
        self._number = count()
        self._due: dict[int, list[History]] = {}

    def __bool__(self) -> bool:
        """Whether any history is possible."""
        return bool(self._led)

    def items(self) -> Iterator[tuple[History, list[Interval]]]:
        """Yield each history with the thresholds that lead to it."""
        return ((history, led.thresholds) for history, led in self._led.items())

    def emptied(self) -> Followed:
        """Return this without any history, for what comes next."""
        return Followed(self._bars, self._most, self._work_left)

    def add(self, history: History, thresholds: list[Interval], index: int) -> None:
        """Add a history, which is possible before the step at an index."""
        already = self._led.get(history)
        if already:
            thresholds = joined([*already.thresholds, *thresholds])
        led = _Led(thresholds, self._bars.easiest(history.best, thresholds))
        self._led[history] = led
        heapq.heappush(self._by_bar, (self._key(led.easiest), next(self._number), history))
        if not already:
            limit = self._most if history.patience == UNKNOWN else history.patience
            due = max(index, max(history.improved, history.last) + limit + 1)
            self._due.setdefault(due, []).append(history)

    def add_all(self, parts: Parts, index: int) -> None:
        """Add what the step at an index led to."""
        for history, several in parts.items():
            merged = several[0] if len(several) == 1 else joined(chain.from_iterable(several))
            self.add(history, merged, index + 1)

    def fired(self, index: int, metric: Interval) -> Parts:
        """Return where a step leads that fired: the metric did not beat the bar, and was due."""
        after: Parts = {}
        for history, led in self._led.items():
            then = fired(history, index, self._most)
            if then is not None:
                _, keeps = self._bars.sides(metric, history.best)
                _put(after, then, within(led.thresholds, keeps))
        self._spend(len(self._led))
        return after

    def take(self, index: int, metric: Interval) -> None:
        """Take a step that did not fire."""
        changed: Parts = {}
        touched = self._touched(index, metric)
        for history in touched:
            thresholds, easiest = self._led.pop(history)
            kept = thresholds
            if self._may_beat(metric, easiest):
                beats, keeps = self._bars.sides(metric, history.best)
                _put(changed, improved(history, metric, index), within(thresholds, beats))
                kept = within(thresholds, keeps)
            if kept and (still := waited(history, index, self._most)):
                _put(changed, still, kept)
        self._spend(len(touched))
        self.add_all(changed, index)

    def begin_anew(self, index: int) -> None:
        """Before the step at an index a fresh scheduler took over."""
        after: Parts = {}
        for history, thresholds in self.items():
            _put(after, began_anew(history, self._bars.worst, index), thresholds)
        self._led, self._by_bar, self._due = {}, [], {}
        self.add_all(after, index - 1)

    def _touched(self, index: int, metric: Interval) -> dict[History, None]:
        """Find the histories that a step changes; each once, those that are due first."""
        found = dict.fromkeys(
            history for history in self._due.pop(index, ()) if history in self._led
        )
        while self._by_bar:
            key, _, history = self._by_bar[0]
            led = self._led.get(history)
            if led is None or key != self._key(led.easiest):
                heapq.heappop(self._by_bar)
            elif self._may_beat(metric, led.easiest):
                heapq.heappop(self._by_bar)
                found[history] = None
            else:
                break
        return found

    def _key(self, easiest: float) -> float:
        """What the easiest bar to beat is the lowest by."""
        return -easiest if self._lower else easiest

    def _may_beat(self, metric: Interval, easiest: float) -> bool:
        return metric[0] < easiest if self._lower else metric[1] > easiest

    def _spend(self, work: int) -> None:
        self._work_left -= work
        if self._work_left < 0:
            raise TooAmbiguousError


def _put(parts: Parts, history: History, thresholds: list[Interval]) -> None:
    if thresholds:
        parts.setdefault(history, []).append(thresholds)

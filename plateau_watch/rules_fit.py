"""rules_fit: which rules fire exactly where a scheduler fired.

The scheduler factorises, and so does its inverse. Here is the part that decides *when*: every
(mode, threshold_mode, threshold, patience, cooldown) that fires at these steps and at no other.
Where no LR was logged for a while, it is only known that a firing was at one of several steps.
Thresholds come as intervals, computed and not sampled: all histories that some threshold leads to
are followed at once, each with the thresholds that lead to it.

Where rounding leaves a comparison open both outcomes are followed, so the set always holds the
true parameters, and now and then a little more. Knows no logs and no LRs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, product
from typing import NamedTuple, get_args

from plateau_watch.bars import ALL_THRESHOLDS, Bars, within
from plateau_watch.config import Mode, ThresholdMode
from plateau_watch.history import ANY, UNKNOWN, Counts, History, began_anew, fired, improved, waited
from plateau_watch.intervals import Interval, joined
from plateau_watch.precision import Precision, preimages

Window = tuple[int, int]
"""First and last index of the steps at one of which a scheduler fired."""


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


@dataclass(frozen=True, slots=True)
class Fired:
    """What a scheduler was given, and when it fired.

    Attributes:
        metric: one value a step.
        precision: in which it was logged.
        windows: where it fired, ascending, none overlapping.
        anew: indices before which a fresh scheduler with the same parameters took over.
    """

    metric: Sequence[float]
    precision: Precision
    windows: Sequence[Window]
    anew: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rules are looked for, and for how long.

    Attributes:
        modes: those to look at.
        threshold_modes: likewise.
        thresholds: the interval to look in.
        cooldown: lowest and highest.
        most_work: histories times steps that are followed at most, in each of the modes.
    """

    modes: Sequence[Mode] = get_args(Mode)
    threshold_modes: Sequence[ThresholdMode] = get_args(ThresholdMode)
    thresholds: Interval = ALL_THRESHOLDS
    cooldown: Counts = (0, ANY)
    most_work: int = 300_000


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Closest:
    """Rules that come closest where none explain all.

    Attributes:
        explained: steps from the first on that they explain.
        rules: those that explain so many.
    """

    explained: int
    rules: tuple[Rules, ...]


def rules_by_known(
    log: Fired, known: Iterable[int], scope: Scope = EVERYTHING
) -> dict[int, list[Rules]]:
    """Find all rules under which a scheduler fires once in each window and nowhere else.

    Args:
        log: what is known of it.
        known: how many steps from the first on are known to have fired or not, all windows among
            them; later ones may have fired without a trace. Several numbers make several sets.
        scope: which rules to look for.

    Returns:
        The rules for each number of known steps.

    Raises:
        TooAmbiguousError: too many histories are possible.
    """
    ends = sorted(set(known))
    found: dict[int, list[Rules]] = {end: [] for end in ends}
    for search in _searches(log, scope, _most_patience(log.windows)):
        for end, led in search.led_at(ends):
            found[end] += search.rules(led, end)
    return found


def closest_rules(log: Fired, known: int, scope: Scope = EVERYTHING) -> Closest:
    """Find the rules that explain the most steps from the first on.

    Arguments and errors as for `rules_by_known`.
    """
    closest = Closest(0, ())
    for search in _searches(log, scope, ANY):
        explained = search.explained(known)
        if explained < closest.explained:
            continue
        found = tuple(
            rules for end, led in search.led_at([explained]) for rules in search.rules(led, end)
        )
        more = closest.rules if explained == closest.explained else ()
        closest = Closest(explained, (*more, *found))
    return closest


def _searches(log: Fired, scope: Scope, most: int) -> Iterator[_Search]:
    stored_as = preimages(log.metric, log.precision)
    for mode, threshold_mode in product(scope.modes, scope.threshold_modes):
        bars = Bars(mode, threshold_mode)
        yield _Search(bars, stored_as, log.windows, frozenset(log.anew), most, scope)


def _most_patience(windows: Sequence[Window]) -> int:
    """The largest patience that two firings so near to each other allow."""
    return min((later[1] - first[0] - 1 for first, later in pairwise(windows)), default=ANY)


class _Led(NamedTuple):
    """The thresholds that lead to a history, and the bar that is easiest to beat among theirs."""

    thresholds: list[Interval]
    easiest: float


_Histories = dict[History, _Led]


@dataclass(frozen=True, slots=True)
class _Search:
    """Follows all histories of one mode at once, one step after the other.

    Attributes:
        bars: the comparison.
        stored_as: for each step what the metric may have been.
        windows: where the scheduler fired.
        anew: where a fresh one took over.
        most: the largest patience that is looked for.
        scope: which thresholds are looked for, and for how long.
    """

    bars: Bars
    stored_as: Sequence[Interval]
    windows: Sequence[Window]
    anew: frozenset[int]
    most: int
    scope: Scope

    def led_at(self, ends: Sequence[int]) -> Iterator[tuple[int, _Histories]]:
        """Yield the histories that are left after each of some numbers of steps, ascending."""
        for taken, led in self._followed(ends[-1]):
            if taken in ends:
                yield taken, led

    def explained(self, known: int) -> int:
        """How many steps from the first on some history leads through."""
        return max(taken for taken, _ in self._followed(known))

    def rules(self, led: _Histories, known: int) -> list[Rules]:
        """Put together what differs in nothing but its past."""
        alike: dict[tuple[Counts, Counts], list[Interval]] = {}
        for history, (thresholds, _) in led.items():
            counts = history.patience_at(known), history.cooldown
            alike.setdefault(counts, []).extend(thresholds)
        return [
            Rules(
                self.bars.mode,
                self.bars.threshold_mode,
                tuple(joined(parts)),
                patience,
                cooldown,
            )
            for (patience, cooldown), parts in sorted(alike.items())
        ]

    def _followed(self, known: int) -> Iterator[tuple[int, _Histories]]:
        """Yield the number of steps taken and the histories then possible, while there are any."""
        start = History(self.bars.worst, cooldown=self.scope.cooldown)
        led = self._led_to({start: [[self.scope.thresholds]]})
        upcoming, work = list(self.windows), 0
        yield 0, led
        for index in range(known):
            if index in self.anew:
                led = self._begun_anew(led, index)
            if upcoming and upcoming[0][0] <= index:
                led = self._take(led, index, len(self.windows) - len(upcoming), upcoming[0][1])
                if index == upcoming[0][1]:
                    upcoming.pop(0)
            else:
                self._pass(led, index)
            if not led:
                return
            work += len(led)
            if work > self.scope.most_work:
                raise TooAmbiguousError
            yield index + 1, led

    def _take(self, led: _Histories, index: int, before: int, last: int) -> _Histories:
        """Take a step of a window: those that have not fired in it may, and must at its last."""
        waiting = {history: way for history, way in led.items() if history.fired == before}
        passing = {history: way for history, way in led.items() if history.fired > before}
        after = self._fire(waiting, index)
        self._pass(passing, index)
        if index < last:
            self._pass(waiting, index)
            passing |= waiting
        return passing | after

    def _fire(self, led: _Histories, index: int) -> _Histories:
        """Take a step that fired: the metric did not beat the bar, and the count was reached."""
        after: _Parts = {}
        for history, (thresholds, _) in led.items():
            then = fired(history, index, self.most)
            if then is not None:
                _, keeps = self.bars.sides(self.stored_as[index], history.best)
                _add(after, then, within(thresholds, keeps))
        return self._led_to(after)

    def _pass(self, led: _Histories, index: int) -> None:
        """Take a step that did not fire, in place: few histories change at a step."""
        metric = self.stored_as[index]
        lower = self.bars.mode == "min"
        best_case = metric[0] if lower else metric[1]
        changed: _Parts = {}
        for history, (thresholds, easiest) in list(led.items()):
            may_beat = best_case < easiest if lower else best_case > easiest
            limit = self.most if history.patience == UNKNOWN else history.patience
            if not may_beat and history.bad(index) <= limit:
                continue
            del led[history]
            kept = thresholds
            if may_beat:
                beats, keeps = self.bars.sides(metric, history.best)
                _add(changed, improved(history, metric, index), within(thresholds, beats))
                kept = within(thresholds, keeps)
            if kept and (still := waited(history, index, self.most)):
                _add(changed, still, kept)
        for history in changed.keys() & led.keys():
            _add(changed, history, led[history].thresholds)
        led |= self._led_to(changed)

    def _begun_anew(self, led: _Histories, index: int) -> _Histories:
        after: _Parts = {}
        for history, (thresholds, _) in led.items():
            _add(after, began_anew(history, self.bars.worst, index), thresholds)
        return self._led_to(after)

    def _led_to(self, parts: _Parts) -> _Histories:
        """Put together the thresholds that lead to each history."""
        led: _Histories = {}
        for history, several in parts.items():
            merged = several[0] if len(several) == 1 else joined(chain.from_iterable(several))
            led[history] = _Led(merged, self.bars.easiest(history.best, merged))
        return led


_Parts = dict[History, list[list[Interval]]]


def _add(parts: _Parts, history: History, thresholds: list[Interval]) -> None:
    if thresholds:
        parts.setdefault(history, []).append(thresholds)

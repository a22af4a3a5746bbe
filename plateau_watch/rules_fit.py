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
from typing import get_args

from plateau_watch.bars import ALL_THRESHOLDS, Bars
from plateau_watch.config import Mode, ThresholdMode
from plateau_watch.followed import Followed
from plateau_watch.history import ANY, Counts, History
from plateau_watch.intervals import Interval, joined
from plateau_watch.precision import Precision, preimages

Window = tuple[int, int]
"""First and last index of the steps at one of which a scheduler fired."""


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
        most_work: changes of histories that are followed at most, in each of the modes; ten
            thousand take about a tenth of a second.
    """

    modes: Sequence[Mode] = get_args(Mode)
    threshold_modes: Sequence[ThresholdMode] = get_args(ThresholdMode)
    thresholds: Interval = ALL_THRESHOLDS
    cooldown: Counts = (0, ANY)
    most_work: int = 40_000


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
        for end, rules in search.rules_at(ends):
            found[end] += rules
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
        found = tuple(chain.from_iterable(rules for _, rules in search.rules_at([explained])))
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

    def rules_at(self, ends: Sequence[int]) -> Iterator[tuple[int, list[Rules]]]:
        """Yield the rules that are left after each of some numbers of steps, ascending."""
        for taken, led in self._followed(ends[-1]):
            if taken in ends:
                yield taken, self._rules(led, taken)

    def explained(self, known: int) -> int:
        """How many steps from the first on some history leads through."""
        return max(taken for taken, _ in self._followed(known))

    def _rules(self, led: Iterable[Followed], known: int) -> list[Rules]:
        """Put together what differs in nothing but its past."""
        alike: dict[tuple[Counts, Counts], list[Interval]] = {}
        for history, thresholds in chain.from_iterable(each.items() for each in led):
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

    def _followed(self, known: int) -> Iterator[tuple[int, tuple[Followed, Followed]]]:
        """Yield the number of steps taken and the histories then possible, while there are any.

        They are those that have yet to fire in the window at hand, or in the next, and those that
        already have.
        """
        start = History(self.bars.worst, cooldown=self.scope.cooldown)
        waiting, done = (Followed(self.bars, self.most, self.scope.most_work) for _ in range(2))
        waiting.add(start, [self.scope.thresholds], 0)
        upcoming = list(self.windows)
        yield 0, (waiting, done)
        for index in range(known):
            if index in self.anew:
                waiting.begin_anew(index)
                done.begin_anew(index)
            if upcoming and upcoming[0][0] <= index:
                fired = waiting.fired(index, self.stored_as[index])
                done.take(index, self.stored_as[index])
                if index < upcoming[0][1]:
                    waiting.take(index, self.stored_as[index])
                    done.add_all(fired, index)
                else:
                    upcoming.pop(0)
                    done.add_all(fired, index)
                    waiting, done = done, waiting.emptied()
            else:
                waiting.take(index, self.stored_as[index])
            if not waiting and not done:
                return
            yield index + 1, (waiting, done)

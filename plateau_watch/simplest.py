"""simplest: the member of a feasible set that somebody would have written.

Nearest to torch's defaults, then in the fewest digits. None is called a member before an exact
replay has proven it: the set's intervals are wider than the truth by what rounding leaves open.
Knows nothing of how a set is found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from plateau_watch.config import PlateauConfig
from plateau_watch.levels_fit import Ladder
from plateau_watch.parity import lr_mismatches
from plateau_watch.recording import Recording
from plateau_watch.replay import replay
from plateau_watch.rules_fit import Counts, Interval, Rules
from plateau_watch.scheduler import PlateauState

MOST_PROVEN = 200
"""Candidates that are replayed before giving up."""

USUAL_THRESHOLDS = (1e-4, 0.0, 1e-3, 1e-2, 1e-5)
"""Thresholds that people write, torch's default first."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Configurations that explain the LRs in one way: a ladder, and rules that fire so."""

    ladder: Ladder
    rules: tuple[Rules, ...]


def simplest_member(
    recording: Recording,
    explanations: Sequence[Explanation],
    levels: Sequence[Sequence[float]],
) -> PlateauConfig | None:
    """Return the first member, from the simplest on, that an exact replay proves; None for none.

    Args:
        recording: the log that it has to reproduce.
        explanations: the feasible set, the plainest explanation first.
        levels: for each param group the LRs it had, one after the other.
    """
    for tried, config in enumerate(_members(explanations, levels)):
        if tried >= MOST_PROVEN:
            return None
        if _reproduces(recording, config):
            return config
    return None


def _reproduces(recording: Recording, config: PlateauConfig) -> bool:
    start = PlateauState.initial(config, recording.start.lrs)
    candidate = replace(recording, config=config, start=start)
    trace = replay(config, recording.metric, start)
    return not list(lr_mismatches(candidate, trace, recording.logged))


def _members(
    explanations: Sequence[Explanation], levels: Sequence[Sequence[float]]
) -> Iterator[PlateauConfig]:
    """Yield members of the set, the plainest explanation and the rules nearest torch's first."""
    for explanation in explanations:
        ladder = explanation.ladder
        for rules in sorted(explanation.rules, key=_strangeness):
            for threshold, factor, held_by_bound in product(
                list(_representatives(rules.thresholds)),
                list(_factors(ladder, levels)),
                (True, False),
            ):
                yield PlateauConfig(
                    mode=rules.mode,
                    factor=factor,
                    patience=_nearest(10, rules.patience),
                    threshold=threshold,
                    threshold_mode=rules.threshold_mode,
                    cooldown=_nearest(0, rules.cooldown),
                    min_lr=_min_lr(ladder, levels) if held_by_bound else 0.0,
                    eps=next(_decimals(ladder.eps, 1e-8)) if held_by_bound else _eps(ladder),
                )


def _factors(ladder: Ladder, levels: Sequence[Sequence[float]]) -> Iterator[float]:
    """Yield simple factors, then the ratio of the first two levels and its neighbours."""
    yield from _decimals(ladder.factor, 0.1)
    for group in levels:
        if len(group) > 1:
            ratio = group[1] / group[0]
            yield from (ratio, math.nextafter(ratio, 0), math.nextafter(ratio, 1))


def _min_lr(ladder: Ladder, levels: Sequence[Sequence[float]]) -> float | tuple[float, ...]:
    """A simple bound for each group: 0, or where it has come to its bound, that one."""
    steps = max(map(len, levels))
    bounds = []
    for (low, high), group in zip(ladder.min_lrs, levels, strict=False):
        held = ladder.floored or len(group) < steps
        lowest = max(low, group[-1] - 1e-8) if held else low
        bounds.append(next(_decimals((lowest, max(lowest, high)), 0.0)))
    return bounds[0] if len(set(bounds)) == 1 else tuple(bounds)


def _eps(ladder: Ladder) -> float:
    """The largest eps there may be, where nothing else can have held an LR."""
    return ladder.eps[1] * 0.999 if math.isfinite(ladder.eps[1]) else 1e-8


def _strangeness(rules: Rules) -> tuple[int, int, int]:
    """How far a set is from torch's defaults; a threshold nobody writes counts twice."""
    usual = _holds(rules, USUAL_THRESHOLDS[:1])
    strange = (rules.mode != "min") + (rules.threshold_mode != "rel") + (rules.cooldown[0] > 0)
    odd = 0 if usual else 1 if _holds(rules, USUAL_THRESHOLDS) else 2
    return strange + odd, rules.cooldown[0], rules.patience[0]


def _holds(rules: Rules, thresholds: Iterable[float]) -> bool:
    return any(low <= value <= high for low, high in rules.thresholds for value in thresholds)


def _representatives(intervals: Sequence[Interval]) -> Iterator[float]:
    """Yield the usual thresholds that are in any interval, then a simple value of each."""
    for usual in USUAL_THRESHOLDS:
        if any(low <= usual <= high for low, high in intervals):
            yield usual
    for interval in intervals:
        yield next(_decimals(interval, USUAL_THRESHOLDS[0]))


def _decimals(interval: Interval | None, usual: float) -> Iterator[float]:
    """Yield values of an interval, the usual one first, then those of ever more digits."""
    if interval is None:
        yield usual
        return
    low, high = interval
    if low <= usual <= high:
        yield usual
    given: set[float] = {usual}
    middle = low if math.isinf(high) else (low + high) / 2
    for digits in range(1, 18):
        for value in (middle, low, high):
            candidate = float(f"{value:.{digits}g}")
            if low <= candidate <= high and candidate not in given:
                given.add(candidate)
                yield candidate


def _nearest(usual: int, counts: Counts) -> int:
    return min(max(usual, counts[0]), counts[1])

"""simplest: the member of a feasible set that somebody would have written.

Nearest to torch's defaults, then in the fewest digits. None is called a member before an exact
replay has proven it: the set's intervals are wider than the truth by what rounding leaves open.
Knows nothing of how a set is found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from plateau_watch.config import TORCH_DEFAULTS, PlateauConfig
from plateau_watch.history import Counts
from plateau_watch.intervals import Interval
from plateau_watch.levels_fit import Ladder, factor_from
from plateau_watch.observation import Observed
from plateau_watch.parity import lr_mismatches
from plateau_watch.precision import shortest_decimal
from plateau_watch.recording import Recording
from plateau_watch.replay import Counters, OutsideChange, replay
from plateau_watch.rules_fit import Rules
from plateau_watch.scheduler import LrDtype, PlateauState, rounded, step
from plateau_watch.starts import starts_that_fit

MOST_TIMINGS, MOST_FACTORS, MOST_PROVEN = 400, 6, 400
"""Candidates that are tried before giving up: rules with a threshold, factors of one interval, and
whole configurations."""

LONGEST_COOLDOWN = 2
"""The longest cooldown, in patiences, that somebody would write."""

USUAL_THRESHOLDS = (1e-4, 0.0, 1e-3, 1e-2, 1e-5)
"""Thresholds that people write, torch's default first."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Configurations that explain the LRs in one way: a ladder, and rules that fire so."""

    ladder: Ladder
    rules: tuple[Rules, ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """A configuration and a start with which its replay reproduces a log exactly.

    Attributes:
        config: the configuration.
        start: the state before the first step.
        changes: what came from outside on the way: a warmup, or a fresh scheduler.
    """

    config: PlateauConfig
    start: PlateauState
    changes: tuple[OutsideChange, ...]


def simplest_member(
    recording: Recording,
    explanations: Sequence[Explanation],
    observed: Observed,
    lr_dtype: LrDtype = "python",
    usual: PlateauConfig = TORCH_DEFAULTS,
) -> Proven | None:
    """Return the first member, from the simplest on, that an exact replay proves; None for none.

    Args:
        recording: the log that it has to reproduce.
        explanations: the feasible set, the plainest explanation first.
        observed: what the set was made of.
        lr_dtype: in which the scheduler held its LRs.
        usual: what is the more likely the nearer a member is to it.
    """
    candidates = (
        config
        for timing, ladder in islice(_timings(explanations, observed, usual), MOST_TIMINGS)
        if _fires_so(recording, timing, observed, ladder)
        for config in _with_ladder(timing, ladder, recording, observed.levels)
    )
    for config in islice(candidates, MOST_PROVEN):
        proven = prove(recording, config, observed, lr_dtype)
        if proven:
            return proven
    return None


def plainest(rules: Sequence[Rules], usual: PlateauConfig = TORCH_DEFAULTS) -> PlateauConfig:
    """Return the plainest configuration that fires by some rules; there must be one at least."""
    chosen = min(rules, key=lambda each: _strangeness(each, usual))
    return next(_timings_of(chosen, usual))


def prove(
    recording: Recording,
    config: PlateauConfig,
    observed: Observed,
    lr_dtype: LrDtype = "python",
) -> Proven | None:
    """Return a start with which a configuration reproduces a log exactly; None for none.

    Arguments as for `simplest_member`.

    Raises:
        ConfigError: a list `min_lr` that does not fit the number of param groups.
    """
    for lrs in _starts(recording, config, lr_dtype):
        dtypes = (lr_dtype,) * len(lrs)
        start = PlateauState.initial(config, lrs, dtypes)
        changes = changes_of(recording, config, start, observed)
        candidate = replace(recording, config=config, start=start, changes=changes)
        trace = replay(config, recording.metric, start, changes)
        if not list(lr_mismatches(candidate, trace)):
            return Proven(config, start, changes)
    return None


def _starts(
    recording: Recording, config: PlateauConfig, lr_dtype: LrDtype
) -> Iterator[tuple[float, ...]]:
    """Yield starting LRs: as somebody wrote them, or as they were held, or as they have to be."""
    if lr_dtype != "python":
        yield tuple(rounded(lr, lr_dtype) for lr in recording.start.lrs)
        return
    yield recording.start.lrs
    lrs = starts_that_fit(recording, config.factor)
    if lrs is not None:
        yield lrs


def changes_of(
    recording: Recording, config: PlateauConfig, start: PlateauState, observed: Observed
) -> tuple[OutsideChange, ...]:
    """Make changes from outside of LRs that were set and schedulers that began anew.

    Each with what it met of the run so far.
    """
    changes: list[OutsideChange] = []
    set_lrs = dict(observed.set_lrs)
    for index in sorted({*set_lrs, *observed.anew}):
        before = replay(config, recording.metric[:index], start, changes).states[-1]
        lrs = set_lrs.get(index)
        changes.append(
            OutsideChange(
                index,
                Counters(before.best, before.num_bad_epochs, before.cooldown_counter),
                before.lrs,
                counters=Counters(config.worst, 0, 0) if index in observed.anew else None,
                lrs=lrs and tuple(shortest_decimal(lr, recording.lr_precision) for lr in lrs),
            )
        )
    return tuple(changes)


def _timings(
    explanations: Sequence[Explanation], observed: Observed, usual: PlateauConfig
) -> Iterator[tuple[PlateauConfig, Ladder]]:
    """Yield members as far as they decide when to fire, the rules nearest to the usual first.

    Of rules equally near, those of the plainer explanation come first. A bound that would have to
    lie at just the last LR, to hide later firings, is as unusual as a cooldown.
    """
    ranked = sorted(
        (
            (
                _strangeness(rules, usual)[0] + _needs_a_bound(explanation.ladder, observed, usual),
                position,
                _strangeness(rules, usual),
                rules,
            )
            for position, explanation in enumerate(explanations)
            for rules in explanation.rules
        ),
        key=lambda ranked: ranked[:3],
    )
    for _, position, _, rules in ranked:
        for timing in _timings_of(rules, usual):
            yield timing, explanations[position].ladder


def _timings_of(rules: Rules, usual: PlateauConfig) -> Iterator[PlateauConfig]:
    for threshold in _representatives(rules.thresholds):
        yield PlateauConfig(
            mode=rules.mode,
            patience=_nearest(int(usual.patience), rules.patience),
            threshold=threshold,
            threshold_mode=rules.threshold_mode,
            cooldown=_nearest(0, rules.cooldown),
            eps=usual.eps,
        )


def _needs_a_bound(ladder: Ladder, observed: Observed, usual: PlateauConfig) -> bool:
    """Whether later firings left no trace though the usual eps would have let them change an LR."""
    if not ladder.floored or ladder.factor is None:
        return False
    return any(group[-1] * (1 - ladder.factor[0]) > usual.eps for group in observed.levels)


def _fires_so(
    recording: Recording, timing: PlateauConfig, observed: Observed, ladder: Ladder
) -> bool:
    """Whether a replay fires at the observed steps; the LRs play no part in that."""
    known = observed.known_where(floored=ladder.floored)
    fresh = PlateauState.initial(timing, (1.0,))
    state, upcoming = fresh, list(observed.reductions)
    for index, value in enumerate(recording.metric[:known].tolist()):
        state, decision = step(timing, fresh if index in observed.anew else state, value)
        inside = bool(upcoming) and upcoming[0][0] <= index
        if decision.fired:
            if not inside:
                return False
            upcoming.pop(0)
        elif inside and upcoming[0][1] == index:
            return False
    return not upcoming


def _with_ladder(
    timing: PlateauConfig, ladder: Ladder, recording: Recording, levels: Sequence[Sequence[float]]
) -> Iterator[PlateauConfig]:
    """Yield members with this timing: simple factors, held by their bounds or by eps."""
    for factor in _factors(ladder, recording, levels):
        if ladder.eps[0] <= timing.eps <= ladder.eps[1]:
            yield timing.with_changes(factor=factor)
        bounds = _min_lr(ladder, levels)
        yield timing.with_changes(
            factor=factor, min_lr=bounds, eps=next(_decimals(ladder.eps, timing.eps))
        )
        yield timing.with_changes(factor=factor, eps=_eps(ladder))


def _factors(
    ladder: Ladder, recording: Recording, levels: Sequence[Sequence[float]]
) -> Iterator[float]:
    """Yield simple factors; then those from the shortest start; then the first ratio."""
    yield from islice(_decimals(ladder.factor, 0.1), MOST_FACTORS)
    for group in levels:
        start = shortest_decimal(group[0], recording.lr_precision)
        exact = factor_from(start, group, recording.lr_precision)
        if exact:
            yield from islice(_decimals(exact, 0.1), MOST_FACTORS)
        if len(group) > 1:
            ratio = group[1] / start
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


def _strangeness(rules: Rules, usual: PlateauConfig) -> tuple[int, int, int]:
    """How far a set is from torch's defaults; a threshold nobody writes counts twice."""
    strange = (
        (rules.mode != usual.mode)
        + (rules.threshold_mode != usual.threshold_mode)
        + (rules.cooldown[0] > 0)
        + 2 * (rules.cooldown[0] > LONGEST_COOLDOWN * max(rules.patience[0], 1))
    )
    default = _holds(rules, USUAL_THRESHOLDS[:1])
    odd = 0 if default else 1 if _holds(rules, USUAL_THRESHOLDS) else 2
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

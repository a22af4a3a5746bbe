"""narrowing: what a log would have to show for the set of configurations to become smaller.

For each parameter that a set leaves open, the observation that would tell its members apart: where
it can be had, with the numbers at which the log ends. Knows no files; finds nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from plateau_watch.bars import ALL_THRESHOLDS
from plateau_watch.config import PlateauConfig
from plateau_watch.decision import apart, number
from plateau_watch.fit import ENOUGH_REDUCTIONS, Fit
from plateau_watch.history import ANY
from plateau_watch.intervals import Interval
from plateau_watch.recording import Recording
from plateau_watch.replay import replay
from plateau_watch.rules_fit import Rules

_AS_GOOD_AS_KNOWN = 1e-5
"""Relative width of a factor's interval below which nobody asks for more."""


def what_would_narrow(recording: Recording, found: Fit) -> list[str]:
    """Return one line for each thing that a set leaves open and a log can show.

    Args:
        recording: the log, with the simplest member of the set as its configuration.
        found: the set; without a member there is nothing to narrow, and no line.
    """
    rules = list(dict.fromkeys(each for way in found.explanations for each in way.rules))
    if not rules:
        return []
    return [
        *_counts(recording, rules, found),
        *_thresholds(recording, rules),
        *_threshold_modes(recording, rules),
        *_modes(rules),
        *_levels(found),
    ]


def _counts(recording: Recording, rules: list[Rules], found: Fit) -> Iterator[str]:
    if all(way.ladder.floored for way in found.explanations):
        return
    reductions = len(found.reductions)
    patience = _spread(each.patience for each in rules)
    cooldown = _spread(each.cooldown for each in rules)
    if reductions < ENOUGH_REDUCTIONS and (patience or cooldown):
        both = " and ".join(["patience"] * bool(patience) + ["cooldown"] * bool(cooldown))
        yield f"{both} ({reductions} reduction(s) so far): further reductions"
    elif patience:
        yield f"patience ({patience}): a reduction that one of them makes a step before another"
    elif cooldown:
        wait = int(recording.config.patience) + 1
        yield (
            f"cooldown ({cooldown}): after a reduction, bad steps without an end; the next one "
            f"follows {wait} steps later where there is no cooldown, and for each step of a "
            "cooldown one step after that"
        )


def _thresholds(recording: Recording, rules: list[Rules]) -> Iterator[str]:
    config = recording.config
    alike = [
        interval
        for each in rules
        if (each.mode, each.threshold_mode) == (config.mode, config.threshold_mode)
        for interval in each.thresholds
    ]
    low, high = next(each for each in alike if each[0] <= config.threshold <= each[1])
    if len(alike) == 1 and low == high:
        return
    among = " and others" if len(alike) > 1 else ""
    said = f"threshold ({_range((low, high))}{among}, {config.threshold_mode})"
    best, *others = {_best_at_the_end(recording, end) for end in (low, high)}
    if others or low == high or not math.isfinite(best):
        yield f"{said}: a metric that is better than the best by about as much as they ask for"
    else:
        yield (
            f"{said}: with the best at {number(best)}, where it is at the end, a metric "
            f"{_between(config, best, (low, high))} is an improvement by some of them and a bad "
            "step by others"
        )


def _between(config: PlateauConfig, best: float, thresholds: Interval) -> str:
    """Where the bars of these thresholds lie."""
    low, high = (config.with_changes(threshold=end).bar(best) for end in thresholds)
    nearer, farther = apart((low, high), fewest=5)
    if thresholds[1] == ALL_THRESHOLDS[1]:
        return f"{'below' if high < low else 'above'} {nearer}"
    return f"between {nearer} and {farther}"


def _threshold_modes(recording: Recording, rules: list[Rules]) -> Iterator[str]:
    if len({each.threshold_mode for each in rules if each.mode == recording.config.mode}) > 1:
        yield "threshold_mode: a best of quite another size, where rel and abs ask for other steps"


def _modes(rules: list[Rules]) -> Iterator[str]:
    if len({each.mode for each in rules}) > 1:
        yield "mode: a long stretch in which the metric goes one way only"


def _levels(found: Fit) -> Iterator[str]:
    ladders = [way.ladder for way in found.explanations if not way.ladder.floored]
    factors = [ladder.factor for ladder in ladders if ladder.factor]
    if factors:
        low, high = min(low for low, _ in factors), max(high for _, high in factors)
        if high - low > _AS_GOOD_AS_KNOWN * high:
            yield f"factor ({_range((low, high))}): a reduction that no bound holds up"
    open_bound = any(low < high for ladder in ladders for low, high in ladder.min_lrs)
    if open_bound or any(ladder.eps[0] < ladder.eps[1] for ladder in ladders):
        yield "min_lr and eps: further reductions, down to the one that changes nothing"


def _best_at_the_end(recording: Recording, threshold: float) -> float:
    config = recording.config.with_changes(threshold=threshold)
    trace = replay(config, recording.metric, recording.start, recording.changes)
    return trace.states[-1].best


def _spread(ranges: Iterable[tuple[int, int]]) -> str:
    """Write from where to where some ranges reach; nothing where that is one count."""
    ends = list(ranges)
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low == high:
        return ""
    return f"{low} or more" if high == ANY else f"{low} to {high}"


def _range(interval: Interval) -> str:
    low, high = interval
    if high == ALL_THRESHOLDS[1]:
        return f"{number(low)} or more"
    return f"up to {number(high)}" if low == 0 else " to ".join(apart(interval, fewest=4))

"""feasible_set: a set of configurations in words, as short as it can be said exactly."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby

from plateau_watch.decision import number
from plateau_watch.fit import Fit
from plateau_watch.history import ANY, Counts
from plateau_watch.intervals import Interval
from plateau_watch.levels_fit import Ladder
from plateau_watch.rules_fit import Rules
from plateau_watch.simplest import Explanation

RULES_SAID = 4
"""Sets of rules that are said one by one before the rest is counted."""


def in_words(found: Fit) -> list[str]:
    """Say a feasible set, one line for each part of it that is a product of ranges."""
    lines: list[str] = []
    for rules, ways in groupby(found.explanations, key=lambda way: way.rules):
        ladders = _ladders(ways)
        lines += [f"{each}, or" for each in ladders[:-1]] + ladders[-1:]
        lines += [f"  with {_rules(each)}" for each in rules[:RULES_SAID]]
        rest = len(rules) - RULES_SAID
        lines += [f"  with {rest} more such sets of rules"] * (rest > 0)
    return lines


def _ladders(ways: Iterable[Explanation]) -> list[str]:
    """Say ladders; two that differ in nothing but what later firings did are one line."""
    held: dict[str, set[bool]] = {}
    for way in ways:
        held.setdefault(_ladder(way.ladder), set()).add(way.ladder.floored)
    later = {
        frozenset({True}): "; later firings held by min_lr or eps",
        frozenset({False}): "",
        frozenset({True, False}): ", whether they held later firings or not",
    }
    return [said + later[frozenset(floored)] for said, floored in held.items()]


def _ladder(ladder: Ladder) -> str:
    several = len(ladder.min_lrs) > 1
    bounds = "; ".join(
        f"min_lr {_range(bound)}" + f" (group {group})" * several
        for group, bound in enumerate(ladder.min_lrs)
    )
    factor = "any factor" if ladder.factor is None else f"factor {_range(ladder.factor)}"
    return f"{factor}; {bounds}; eps {_range(ladder.eps)}"


def _rules(rules: Rules) -> str:
    thresholds = " or ".join(_intervals(rules.thresholds))
    return (
        f"mode {rules.mode}; patience {_counts(rules.patience)}; cooldown "
        f"{_counts(rules.cooldown)}; threshold {thresholds} ({rules.threshold_mode})"
    )


def _intervals(intervals: Sequence[Interval]) -> list[str]:
    said = [_range(interval) for interval in intervals[:RULES_SAID]]
    more = len(intervals) - RULES_SAID
    return said + [f"{more} more intervals"] * (more > 0)


def _counts(counts: Counts) -> str:
    low, high = counts
    if low == high:
        return str(low)
    return f"{low} or more" if high == ANY else f"{low} to {high}"


def _range(interval: Interval) -> str:
    """Write an interval; its ends are rounded, and equal ones are written once."""
    low, high = (number(end) for end in interval)
    if low == high:
        return low
    if math.isinf(interval[1]) or interval[1] == sys.float_info.max:
        return f"{low} or more"
    return f"up to {high}" if interval[0] == 0 else f"{low} to {high}"

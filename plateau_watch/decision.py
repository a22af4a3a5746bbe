"""Decision: what one scheduler step decided, with the numbers it was decided on, and in words.

Knows nothing of how a decision comes about (that is `scheduler`) nor where it is shown. The
sentence states only what its numbers show: two that differ never print alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from plateau_watch.config import PlateauConfig

Kind = Literal["improved", "bad", "cooldown", "reduced", "floored"]
"""improved: the metric beat the bar.  bad: it did not, and was counted.
cooldown: it did not, and was not counted.  reduced: the scheduler fired and an LR changed.
floored: it fired (counters reset, cooldown started) and no LR changed."""

Held = Literal["min_lr", "eps", "rounding"]
"""Why a firing left a group's LR as it was.  min_lr: the bound held it.  eps: the change was too
small to be written.  rounding: in the LR's dtype the new value is the old one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one scheduler step decided.

    Attributes:
        kind: the outcome; a firing outranks an improvement, which outranks a cooldown.
        metric: the value the scheduler was given.
        best: the best metric before this step.
        bar: what the metric had to beat, strictly.
        improved: the metric beat the bar (also true in a cooldown).
        num_bad_epochs: bad steps in a row, this one included, before a firing resets them.
        cooldown_counter: cooldown steps left after this step.
        old_lrs: LR of each param group before the step.
        new_lrs: LR of each param group after it.
        held: for each group that a firing left unchanged, why; None where it changed or
            where nothing fired.
    """

    kind: Kind
    metric: float
    best: float
    bar: float
    improved: bool
    num_bad_epochs: int
    cooldown_counter: float
    old_lrs: tuple[float, ...]
    new_lrs: tuple[float, ...]
    held: tuple[Held | None, ...]

    @property
    def fired(self) -> bool:
        """Whether the scheduler reduced or tried to."""
        return self.kind in ("reduced", "floored")


def in_words(decision: Decision, config: PlateauConfig) -> str:
    """Explain a decision in one sentence with its numbers.

    Example: `0.5312 did not beat 0.5298 (best 0.52985 - 0.01%): bad step 4 of 3 -> LR 0.001 ->
    0.0001`.
    """
    return f"{_comparison(decision, config)}: {_consequence(decision, config)}"


def number(value: float) -> str:
    """Write a number short, in six significant digits at most."""
    return f"{value:.6g}"


def apart(values: Iterable[float], fewest: int = 4) -> list[str]:
    """Write numbers short, but with as many digits as it takes for unequal ones to differ.

    Args:
        values: what is written side by side.
        fewest: significant digits, at least.
    """
    values = list(values)
    for digits in range(fewest, 17):
        written = [f"{value:.{digits}g}" for value in values]
        if len(set(written)) == len({repr(value) for value in values}):
            return written
    return [repr(value) for value in values]


def _comparison(decision: Decision, config: PlateauConfig) -> str:
    if math.isnan(decision.metric):
        return "nan beats nothing"
    if math.isinf(decision.best) and decision.improved:
        return f"{number(decision.metric)} is the first number"
    metric, bar, best = apart((decision.metric, decision.bar, decision.best))
    reach = f"{bar} ({_bar_in_words(best, decision, config)})"
    if decision.improved:
        return f"{metric} beat {reach}"
    if decision.metric == decision.bar:
        return f"{metric} equals the bar {reach}, and a tie does not beat it"
    return f"{metric} did not beat {reach}"


def _bar_in_words(best: str, decision: Decision, config: PlateauConfig) -> str:
    """Say how the bar comes from the best; in rel it may lie on either side of it."""
    if config.threshold == 0:
        return f"best {best}"
    size = abs(config.threshold)
    amount = f"{number(size * 100)}%" if config.threshold_mode == "rel" else number(size)
    return f"best {best} {'-' if decision.bar < decision.best else '+'} {amount}"


def _consequence(decision: Decision, config: PlateauConfig) -> str:
    patience = number(config.patience)
    if decision.kind == "improved":
        return f"new best{_cooling(decision)}"
    if decision.kind == "cooldown":
        return f"not counted{_cooling(decision)}"
    count = f"bad step {decision.num_bad_epochs} of {patience}"
    if decision.kind == "bad":
        return f"{count}{_cooling(decision)}"
    if decision.kind == "floored":
        reasons = _held_in_words(decision, config)
        return f"{count} -> fired, but no LR changed" + (f" ({reasons})" if reasons else "")
    stayed = _held_in_words(decision, config)
    return f"{count} -> LR {changes_in_words(decision)}" + (f"; {stayed}" if stayed else "")


def _cooling(decision: Decision) -> str:
    left = decision.cooldown_counter
    return f", cooldown {number(left)} left" if left > 0 else ""


def changes_in_words(decision: Decision) -> str:
    """Say which LRs a decision changed, from what to what: `0.1 -> 0.01`."""
    changes = []
    for group, (old, new) in enumerate(zip(decision.old_lrs, decision.new_lrs, strict=True)):
        if old != new:
            before, after = (number(old), number(new))
            if before == after:
                before, after = apart((old, new))
            group_name = f"group {group}: " if len(decision.old_lrs) > 1 else ""
            changes.append(f"{group_name}{before} -> {after}")
    return ", ".join(changes)


def _held_in_words(decision: Decision, config: PlateauConfig) -> str:
    bounds = config.min_lrs(len(decision.held))
    reasons = {
        "min_lr": "min_lr {}",
        "eps": f"change within eps {number(config.eps)}",
        "rounding": "the new LR rounds to the old one",
    }
    several = len(decision.held) > 1
    found = [
        (f"group {group} stays: " if several else "") + reasons[why].format(number(bound))
        for group, (why, bound) in enumerate(zip(decision.held, bounds, strict=True))
        if why
    ]
    return ", ".join(dict.fromkeys(found))

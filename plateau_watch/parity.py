"""Parity: does a replay reproduce what was recorded, and how sure is that?

Two questions, both about values that are already here: where do replayed and recorded state
differ (with `==`, in the precision in which they were logged), and which decisions could the
rounding of a logged metric have flipped? Knows no files and no rendering.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from plateau_watch.dialects import DialectTrace
from plateau_watch.precision import Precision, preimage, stored
from plateau_watch.recording import Meaning, Recording
from plateau_watch.replay import Counters, Trace


@dataclass(frozen=True, slots=True)
class Parity:
    """How a replay compares with what was recorded.

    Attributes:
        checked: steps that could be compared; at least one.
        mismatches: indices of steps that differ, in order.
        ambiguous: indices of steps where the metric lies so near the bar that rounding it to
            the logged precision could have flipped the decision.
    """

    checked: int
    mismatches: tuple[int, ...] = ()
    ambiguous: tuple[int, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether everything that was compared was equal."""
        return not self.mismatches


def parity(recording: Recording, trace: Trace) -> Parity:
    """Compare a replay with the recorded states, or where there are none with the logged LRs."""
    if recording.rows:
        return Parity(len(trace), tuple(_state_mismatches(recording, trace)))
    return Parity(
        checked=sum(lrs is not None for lrs in recording.lrs),
        mismatches=tuple(lr_mismatches(recording, trace)),
        ambiguous=tuple(ambiguous(trace, recording.precision)),
    )


def lr_mismatches(recording: Recording, trace: Trace | DialectTrace) -> Iterable[int]:
    """Return the indices of the steps after which a logged LR is not the replayed one.

    Both are compared as stored. An LR that differs from the start on counts for the first step.
    """
    return [
        max(position - 1, 0)
        for position, (lrs, replayed) in enumerate(
            zip(recording.lrs, _lrs_in_force(trace, recording.logged), strict=True)
        )
        if lrs is not None
        and not _equal(lrs, (stored(lr, recording.lr_precision) for lr in replayed))
    ]


def _lrs_in_force(trace: Trace | DialectTrace, logged: Meaning) -> list[tuple[float, ...]]:
    """The LRs before each step and after the last; what came from outside counts as logged."""
    decisions = trace.decisions
    if logged == "after":
        return [decisions[0].old_lrs, *(decision.new_lrs for decision in decisions)]
    return [*(decision.old_lrs for decision in decisions), decisions[-1].new_lrs]


def ambiguous(trace: Trace, precision: Precision) -> Iterable[int]:
    """Return the indices of decisions that rounding the metric could have flipped.

    The metric, and the best it is held against, are any float64 that is stored as the logged
    value. The bar grows with the best (or falls, for a threshold above 1 in rel), so the ends
    of both ranges decide. One step's rounding is looked at, given the decisions before it.
    """
    if precision in ("float64", "int"):
        return []
    found = []
    for index, (config, decision) in enumerate(zip(trace.configs, trace.decisions, strict=True)):
        metrics = preimage(decision.metric, precision)
        bars = [config.bar(best) for best in preimage(decision.best, precision)]
        outcomes = {config.beats(metric, bar) for metric in metrics for bar in bars}
        if len(outcomes) > 1:
            found.append(index)
    return found


def _state_mismatches(recording: Recording, trace: Trace) -> Iterable[int]:
    for index, (row, state, decision) in enumerate(
        zip(recording.rows, trace.states, trace.decisions, strict=True)
    ):
        counters = Counters(state.best, state.num_bad_epochs, state.cooldown_counter)
        same = (
            counters.same(row.counters)
            and _equal(row.new_lrs, state.lrs)
            and decision.kind == row.kind
            and _equal((row.bar,), (decision.bar,))
        )
        if not same:
            yield index


def _equal(recorded: Iterable[float], replayed: Iterable[float]) -> bool:
    """Whether all values are equal; NaN equals NaN here, since it was stored and read back."""
    recorded, replayed = tuple(recorded), tuple(replayed)
    return len(recorded) == len(replayed) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(recorded, replayed, strict=True)
    )

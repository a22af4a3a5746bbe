"""fit: which configurations produce these LRs from this metric: the feasible set.

Puts together its two halves: `rules_fit` (when it fired) and `levels_fit` (what firing did). What
cannot be told apart stays a set. Knows no files and does not choose tags.

It takes for granted that the scheduler stepped once for each metric point and that nothing else
changed the LR; an LR that rises, or changes where it was not logged, is refused in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from plateau_watch.alignment import aligned
from plateau_watch.config import PlateauConfig
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.levels_fit import ladders
from plateau_watch.recording import Meaning, Recording
from plateau_watch.rules_fit import TooAmbiguousError, rules_that_fire_at
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from plateau_watch.simplest import Explanation, simplest_member

ENOUGH_REDUCTIONS = 3
"""Reductions from which on a fit says something: each but the first tests what the first set."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a metric and LRs say about the configuration.

    Attributes:
        explanations: the feasible set, plainest explanation first; empty where nothing fits.
        simplest: its simplest member: nearest to torch's defaults, in the fewest digits; None
            where nothing fits.
        reductions: indices of the scheduler steps that lowered the LR.
        why_not: where nothing fits, why: one line.
    """

    explanations: tuple[Explanation, ...]
    simplest: PlateauConfig | None
    reductions: tuple[int, ...]
    why_not: str = ""


def fit(recording: Recording) -> Fit:
    """Find every configuration that reproduces the logged LRs of a recording.

    The recording's own configuration is not looked at; `logged` says what its LRs mean.
    """
    observed = _observe(recording)
    if isinstance(observed, str):
        return Fit((), None, (), observed)
    metric = recording.metric.tolist()
    last = observed.reductions[-1] + 1 if observed.reductions else 0
    explanations: list[Explanation] = []
    try:
        by_known = {
            known: rules_that_fire_at(metric, recording.precision, observed.reductions, known)
            for known in {observed.known, last}
        }
    except TooAmbiguousError:
        return Fit((), None, observed.reductions, "the metric repeats itself too often to be told")
    for ladder in ladders(observed.levels, recording.lr_precision):
        rules = by_known[last if ladder.floored else observed.known]
        if rules:
            explanations.append(Explanation(ladder, tuple(rules)))
    if not explanations:
        return Fit((), None, observed.reductions, _why_not(observed, recording))
    return Fit(
        tuple(explanations),
        simplest_member(recording, explanations, observed.levels),
        observed.reductions,
    )


@dataclass(frozen=True, slots=True)
class _Observed:
    """The LRs as steps of a ladder.

    Attributes:
        reductions: indices at which any LR fell.
        known: steps from the first on of which it is known whether an LR changed.
        levels: for each group its LRs, one after the other.
    """

    reductions: tuple[int, ...]
    known: int
    levels: tuple[tuple[float, ...], ...]


def _observe(recording: Recording) -> _Observed | str:
    """Read reductions off the logged LRs; or say why they cannot come from a plateau alone."""
    after, known = _lrs_after_each_step(recording)
    before: tuple[float, ...] | None = None
    reductions: list[int] = []
    levels: list[list[float]] = []
    pending = False
    for index, lrs in enumerate(after[: known + 1]):
        if lrs is None:
            pending = True
            continue
        if before is None:
            levels = [[lr] for lr in lrs]
        elif any(new > old for old, new in zip(before, lrs, strict=True)):
            return f"the LR rises at step {int(recording.steps[index - 1])}: no plateau does that"
        elif lrs != before:
            if pending:
                return f"the LR changed unseen before step {int(recording.steps[index - 1])}"
            reductions.append(index - 1)
            for group, lr in zip(levels, lrs, strict=True):
                group.extend([lr] * (lr != group[-1]))
        before, pending = lrs, False
    as_set = [(start, *rest[1:]) for start, rest in zip(recording.start.lrs, levels, strict=True)]
    return _Observed(tuple(reductions), known, tuple(as_set))


def _lrs_after_each_step(
    recording: Recording,
) -> tuple[list[tuple[float, ...] | None], int]:
    """The stored LRs before the first step and after each, and how many steps that tells of."""
    logged = list(recording.lrs)
    if recording.logged == "after":
        first = next(lrs for lrs in logged if lrs is not None)
        return [first, *logged], len(logged)
    return logged, len(logged) - 1


def _why_not(observed: _Observed, recording: Recording) -> str:
    if not ladders(observed.levels, recording.lr_precision):
        return "the LR levels are no powers of one factor"
    return (
        f"no patience, threshold and cooldown reduce at exactly the {len(observed.reductions)} "
        "steps where the LR fell: another metric, another scheduler, or a resume"
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recording with the simplest configuration that reproduces it, and the set it is from."""

    recording: Recording
    fit: Fit


def fitted(metric: Series, lrs: Sequence[Series], logged: Meaning | None = None) -> Fitted:
    """Fit a metric and LRs that were logged apart; try both meanings of a logged LR.

    Args:
        metric: the metric that drove the scheduler, one point for each of its steps.
        lrs: the LR of each param group.
        logged: what a logged LR means; None to try both.

    Raises:
        NotEnoughToldError: nothing fits, or the LR never falls; the message says why.
    """
    attempts = [
        Fitted(recording, fit(recording))
        for meaning in ((logged,) if logged else get_args(Meaning))
        for recording in (aligned(metric, lrs, PlateauConfig(), meaning),)
    ]
    explained = [attempt for attempt in attempts if attempt.fit.simplest and attempt.fit.reductions]
    if not explained:
        raise NotEnoughToldError(_nothing_fits(attempts))
    best = min(explained, key=lambda attempt: _distance(attempt.fit.simplest))
    config = best.fit.simplest or PlateauConfig()
    both = len(explained) > 1
    return Fitted(
        replace(
            best.recording,
            config=config,
            source="fitted",
            start=PlateauState.initial(config, best.recording.start.lrs),
            warnings=(
                *best.recording.warnings,
                *["the other meaning of a logged LR fits too, with other parameters"] * both,
                *_little_evidence(len(best.fit.reductions)),
            ),
        ),
        best.fit,
    )


def _little_evidence(reductions: int) -> list[str]:
    if reductions >= ENOUGH_REDUCTIONS:
        return []
    return [
        f"{reductions} reduction(s) are little evidence: some rules fit almost any such LR, "
        "whether a plateau scheduler made it or not"
    ]


def _distance(config: PlateauConfig | None) -> int:
    """How many parameters differ from torch's defaults."""
    return len((config or PlateauConfig()).differences(PlateauConfig()))


def _nothing_fits(attempts: Sequence[Fitted]) -> str:
    first = attempts[0]
    if first.fit.explanations and not first.fit.reductions:
        patience = min(rules.patience[0] for rules in first.fit.explanations[0].rules)
        return (
            f"the LR never falls, so no parameters can be told: a patience of {patience} or "
            "more, an LR at its bound, or no plateau scheduler"
        )
    why = first.fit.why_not or "no member of the feasible set could be proven by a replay"
    return f"no plateau configuration explains this LR: {why}"

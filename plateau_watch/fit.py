"""fit: which configurations produce these LRs from this metric: the feasible set.

Puts together its two halves: `rules_fit` (when it fired) and `levels_fit` (what firing did). What
cannot be told apart stays a set. Knows no files and does not choose tags.

It takes for granted that the scheduler stepped once for each metric point and that nothing else
changed the LR; an LR that rises, or changes where it was not logged, is refused in words.
"""

from __future__ import annotations

import math
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
from plateau_watch.simplest import Explanation, Observed, Proven, simplest_member

NEVER_FALLS = (
    "the LR never falls, so no parameters can be told: more patience, an LR at its bound, or no "
    "plateau scheduler"
)

ENOUGH_REDUCTIONS = 3
"""Reductions from which on a fit says something: each but the first tests what the first set."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a metric and LRs say about the configuration.

    Attributes:
        explanations: the feasible set, plainest explanation first; empty where nothing fits.
        simplest: its simplest member with its starting LRs: nearest to torch's defaults, in the
            fewest digits; None where nothing fits or no member could be proven.
        reductions: indices of the scheduler steps that lowered the LR.
        why_not: where nothing fits, why: one line.
    """

    explanations: tuple[Explanation, ...]
    simplest: Proven | None
    reductions: tuple[int, ...]
    why_not: str = ""


def fit(recording: Recording) -> Fit:
    """Find every configuration that reproduces the logged LRs of a recording.

    The recording's own configuration is not looked at; `logged` says what its LRs mean.
    """
    observed = _observe(recording)
    if isinstance(observed, str):
        return Fit((), None, (), observed)
    if not observed.reductions:
        return Fit((), None, (), NEVER_FALLS)
    metric = recording.metric.tolist()
    try:
        by_known = {
            known: rules_that_fire_at(metric, recording.precision, observed.reductions, known)
            for known in {observed.known_where(floored=floored) for floored in (False, True)}
        }
    except TooAmbiguousError:
        return Fit((), None, observed.reductions, "the metric repeats itself too often to be told")
    explanations = [
        Explanation(ladder, tuple(rules))
        for ladder in ladders(observed.levels, recording.lr_precision)
        if (rules := by_known[observed.known_where(floored=ladder.floored)])
    ]
    if not explanations:
        return Fit((), None, observed.reductions, _why_not(observed, recording))
    simplest = simplest_member(recording, explanations, observed)
    return Fit(tuple(explanations), simplest, observed.reductions)


def _observe(recording: Recording) -> Observed | str:
    """Read reductions off the logged LRs; or say why they cannot come from a plateau alone."""
    if recording.logged == "after" and not math.isfinite(recording.metric[0]):
        return "the first metric is not finite: whether the first step reduced cannot be told"
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
    return Observed(tuple(reductions), known, tuple(map(tuple, levels)))


def _lrs_after_each_step(
    recording: Recording,
) -> tuple[list[tuple[float, ...] | None], int]:
    """The stored LRs before the first step and after each, and how many steps that tells of."""
    logged = list(recording.lrs)
    if recording.logged == "after":
        first = next(lrs for lrs in logged if lrs is not None)
        return [first, *logged], len(logged)
    return logged, len(logged) - 1


def _why_not(observed: Observed, recording: Recording) -> str:
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


def fitted(
    metric: Series, lrs: Sequence[Series], logged: Meaning | None = None
) -> tuple[Fitted, ...]:
    """Fit a metric and LRs that were logged apart; try both meanings of a logged LR.

    Args:
        metric: the metric that drove the scheduler, one point for each of its steps.
        lrs: the LR of each param group.
        logged: what a logged LR means; None to try both.

    Returns:
        A fit for each meaning that has one, the one nearer to torch's defaults first. Both are
        possible; only together do they hold what the configuration may have been.

    Raises:
        NotEnoughToldError: nothing fits, or the LR never falls; the message says why.
    """
    meanings = (logged,) if logged else get_args(Meaning)
    attempts = []
    for meaning in meanings:
        recording = aligned(metric, lrs, PlateauConfig(), meaning)
        attempts.append((recording, fit(recording)))
    explained = [
        _fitted(recording, found, found.simplest)
        for recording, found in attempts
        if found.simplest is not None
    ]
    if not explained:
        raise NotEnoughToldError(_nothing_fits(attempts[0][1]))
    return tuple(sorted(explained, key=_distance))


def _fitted(recording: Recording, found: Fit, proven: Proven) -> Fitted:
    few = len(found.reductions) < ENOUGH_REDUCTIONS
    note = (
        f"{len(found.reductions)} reduction(s) are little evidence: some rules fit almost any such "
        "LR, whether a plateau scheduler made it or not"
    )
    return Fitted(
        replace(
            recording,
            config=proven.config,
            source="fitted",
            start=PlateauState.initial(proven.config, proven.start_lrs),
            warnings=(*recording.warnings, *[note] * few),
        ),
        found,
    )


def _distance(found: Fitted) -> int:
    """How many parameters differ from torch's defaults."""
    return len(found.recording.config.differences(PlateauConfig()))


def _nothing_fits(found: Fit) -> str:
    if found.why_not == NEVER_FALLS:
        return NEVER_FALLS
    why = found.why_not or "no member of the feasible set could be proven by a replay"
    return f"no plateau configuration explains this LR: {why}"

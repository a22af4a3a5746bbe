"""fit: which configurations produce these LRs from this metric: the feasible set.

Puts together its two halves: `rules_fit` (when it fired) and `levels_fit` (what firing did). What
cannot be told apart stays a set. Knows no files and does not choose tags.

It takes for granted that nothing else changed the LR, but for a ramp at the beginning; an LR that
rises later is refused in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from plateau_watch.alignment import FOUND_OUT, Reading, alignments
from plateau_watch.config import TORCH_DEFAULTS, Mode, PlateauConfig, ThresholdMode
from plateau_watch.errors import ConfigError, NotEnoughToldError
from plateau_watch.levels_fit import ladders
from plateau_watch.recording import Recording, Source
from plateau_watch.rules_fit import TooAmbiguousError, Window, rules_by_known
from plateau_watch.scheduler import LrDtype
from plateau_watch.series import Series
from plateau_watch.simplest import Explanation, Observed, Proven, prove, simplest_member

NEVER_FALLS = (
    "the LR never falls, so no parameters can be told: more patience, an LR at its bound, or no "
    "plateau scheduler"
)

ENOUGH_REDUCTIONS = 3
"""Reductions from which on a fit says something: each but the first tests what the first set."""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Whose rules are taken to have made the LR.

    Attributes:
        threshold_modes: those that these rules have.
        lr_dtypes: in which the scheduler may have held its LRs, the likeliest first.
        modes: those that are looked for.
        usual: its defaults.
    """

    threshold_modes: tuple[ThresholdMode, ...] = ("rel", "abs")
    lr_dtypes: tuple[LrDtype, ...] = ("python", "float32")
    modes: tuple[Mode, ...] = ("min", "max")
    usual: PlateauConfig = TORCH_DEFAULTS


TORCH = Rulebook()
KERAS = Rulebook(
    threshold_modes=("abs",),
    lr_dtypes=("float32", "python"),
    usual=PlateauConfig(patience=9, threshold_mode="abs", eps=0.0),
)
"""Keras' rules by torch's: an absolute threshold, and LRs that are held in float32."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a metric and LRs say about the configuration.

    Attributes:
        explanations: the feasible set, plainest explanation first; empty where nothing fits.
        simplest: its simplest member with its start: nearest to torch's defaults, in the fewest
            digits; None where nothing fits or no member could be proven.
        reductions: the steps that lowered the LR: windows of one index, or of several where no LR
            was logged between them.
        why_not: where nothing fits, why: one line.
    """

    explanations: tuple[Explanation, ...]
    simplest: Proven | None
    reductions: tuple[Window, ...]
    why_not: str = ""


def fit(recording: Recording, rulebook: Rulebook = TORCH, expected: Mode = "min") -> Fit:
    """Find every configuration that reproduces the logged LRs of a recording.

    The recording's own configuration is not looked at; its LRs stand where its alignment put them.

    Args:
        recording: the log.
        rulebook: whose rules made the LR.
        expected: the mode that the metric calls for; of two members equally simple it decides.
    """
    usual = rulebook.usual.with_changes(mode=expected)
    observed = observe(recording)
    if isinstance(observed, str):
        return Fit((), None, (), observed)
    if not observed.reductions:
        return Fit((), None, (), NEVER_FALLS)
    metric = recording.metric.tolist()
    try:
        rules_found = rules_by_known(
            metric,
            recording.precision,
            observed.reductions,
            [observed.known_where(floored=floored) for floored in (False, True)],
            threshold_modes=rulebook.threshold_modes,
            modes=rulebook.modes,
        )
    except TooAmbiguousError:
        return Fit((), None, observed.reductions, "the metric repeats itself too often to be told")
    by_known = rules_found.by_known
    why_not = _no_rules(recording, observed, rules_found.explained)
    for lr_dtype in _held_in(recording, rulebook):
        explanations = [
            Explanation(ladder, tuple(rules))
            for ladder in ladders(
                observed.levels, recording.lr_precision, rounded=lr_dtype != "python"
            )
            if (rules := by_known[observed.known_where(floored=ladder.floored)])
        ]
        simplest = (
            simplest_member(recording, explanations, observed, lr_dtype, usual)
            if explanations
            else None
        )
        if simplest:
            return Fit(tuple(explanations), simplest, observed.reductions)
        if any(by_known.values()):
            why_not = (
                "no member of the feasible set could be proven by a replay"
                if explanations
                else "the LR levels are no powers of one factor"
            )
    return Fit((), None, observed.reductions, why_not)


def _held_in(recording: Recording, rulebook: Rulebook) -> Sequence[LrDtype]:
    """Dtypes to try; an LR that was held in a float32 cannot have been logged finer."""
    if recording.lr_precision == "float32":
        return rulebook.lr_dtypes
    return ("python",)


def observe(recording: Recording) -> Observed | str:
    """Read reductions off the logged LRs; or say why they cannot come from a plateau alone."""
    if recording.logged == "after" and not math.isfinite(recording.metric[0]):
        return "the first metric is not finite: whether the first step reduced cannot be told"
    seen: tuple[int, tuple[float, ...]] | None = None
    reductions: list[Window] = []
    set_lrs: list[tuple[int, tuple[float, ...]]] = []
    levels: list[list[float]] = []
    known = 0
    for position, lrs in enumerate(recording.lrs):
        if lrs is None:
            continue
        known = position
        if seen is None:
            levels = [[lr] for lr in lrs]
        elif lrs != seen[1]:
            rises = [new > old for old, new in zip(seen[1], lrs, strict=True)]
            if any(rises):
                if reductions or position == len(recording):
                    return (
                        f"the LR rises at step {_step(recording, position)}: no plateau does that"
                    )
                set_lrs.append((position, lrs))
                levels = [[lr] for lr in lrs]
            else:
                reductions.append((seen[0], position - 1))
                for group, lr in zip(levels, lrs, strict=True):
                    group.extend([lr] * (lr != group[-1]))
        seen = (position, lrs)
    return Observed(tuple(reductions), known, tuple(map(tuple, levels)), tuple(set_lrs))


def _step(recording: Recording, position: int) -> int:
    return int(recording.steps[max(position - 1, 0)])


def _no_rules(recording: Recording, observed: Observed, explained: int) -> str:
    """Say that no rules fit, and how far the closest ones came."""
    before = sum(last < explained for _, last in observed.reductions)
    step = int(recording.steps[min(explained, len(recording) - 1)])
    return (
        f"no patience, threshold and cooldown reduce at exactly the {len(observed.reductions)} "
        f"steps where the LR fell; the closest explain {before} of them and fail at step {step}: "
        "another metric, another scheduler, or a resume"
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recording with the simplest configuration that reproduces it, and the set it is from."""

    recording: Recording
    fit: Fit


def fitted(
    metric: Series,
    lrs: Sequence[Series],
    said: Reading = FOUND_OUT,
    *,
    rulebook: Rulebook = TORCH,
    expected: Mode = "min",
    stated: PlateauConfig | None = None,
) -> tuple[Fitted, ...]:
    """Fit a metric and LRs that were logged apart, in every way to read them.

    Args:
        metric: the metric that drove the scheduler.
        lrs: the LR of each param group.
        said: what was said of how the log is to be read.
        rulebook: whose rules made the LR.
        expected: the mode that the metric calls for.
        stated: a configuration that the log's hyper-parameters state; where it reproduces the log,
            it is taken, even if the LR never falls.

    Returns:
        A fit for each reading that has one, the one nearer to torch's defaults first. All are
        possible; only together do they hold what the configuration may have been.

    Raises:
        NotEnoughToldError: nothing fits, or the LR never falls; the message says why.
    """
    attempts = [
        (recording, fit(recording, rulebook, expected))
        for recording in alignments(metric, lrs, TORCH_DEFAULTS, said)
    ]
    if stated:
        by_statement = [
            _fitted(recording, found, proven, "hparams")
            for recording, found in attempts
            if (proven := _proven(recording, stated))
        ]
        if by_statement:
            return tuple(by_statement)
    explained = [
        _fitted(recording, found, found.simplest, "fitted")
        for recording, found in attempts
        if found.simplest is not None
    ]
    if not explained:
        raise NotEnoughToldError(_nothing_fits([found for _, found in attempts]))
    return tuple(sorted(explained, key=_distance))


def _proven(recording: Recording, config: PlateauConfig) -> Proven | None:
    observed = observe(recording)
    if isinstance(observed, str):
        return None
    try:
        return prove(recording, config, observed.set_lrs)
    except ConfigError:
        return None


def _fitted(recording: Recording, found: Fit, proven: Proven, source: Source) -> Fitted:
    few = source == "fitted" and len(found.reductions) < ENOUGH_REDUCTIONS
    note = (
        f"{len(found.reductions)} reduction(s) are little evidence: some rules fit almost any such "
        "LR, whether a plateau scheduler made it or not"
    )
    return Fitted(
        replace(
            recording,
            config=proven.config,
            source=source,
            start=proven.start,
            changes=proven.changes,
            warnings=(*recording.warnings, *[note] * few),
        ),
        found,
    )


def _distance(found: Fitted) -> int:
    """How many parameters differ from torch's defaults."""
    return len(found.recording.config.differences(TORCH_DEFAULTS))


def _nothing_fits(found: Sequence[Fit]) -> str:
    """Say why nothing fits: that of the reading in which the most could be told."""
    most = max(found, key=lambda each: len(each.reductions))
    if most.why_not == NEVER_FALLS:
        return NEVER_FALLS
    return f"no plateau configuration explains this LR: {most.why_not}"

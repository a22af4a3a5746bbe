"""fit: which configurations produce these LRs from this metric: the feasible set.

Puts together its two halves: `rules_fit` (when it fired) and `levels_fit` (what firing did). What
cannot be told apart stays a set. Knows no files and does not choose tags.

It takes for granted that nothing else changed the LR, but for a ramp at the beginning and where a
fresh scheduler began; an LR that rises elsewhere is refused in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from plateau_watch.config import TORCH_DEFAULTS, Mode, PlateauConfig
from plateau_watch.followed import TooAmbiguousError
from plateau_watch.levels_fit import Ladder, ladders
from plateau_watch.observation import Observed, observe
from plateau_watch.recording import Recording
from plateau_watch.rules_fit import (
    EVERYTHING,
    Fired,
    Scope,
    Window,
    rules_by_known,
)
from plateau_watch.scheduler import LrDtype
from plateau_watch.simplest import Explanation, Proven, simplest_member

NEVER_FALLS = (
    "the LR never falls, so no parameters can be told: more patience, an LR at its bound, or no "
    "plateau scheduler"
)

NO_LEVELS = "the LR levels are no powers of one factor"

NO_RULES = "no patience, threshold and cooldown reduce at exactly the steps where the LR fell"

NONE_PROVEN = "no member of the feasible set could be proven by a replay"

TOO_AMBIGUOUS = "the metric repeats itself too often to be told"

ENOUGH_REDUCTIONS = 3
"""Reductions from which on a fit says something: each but the first tests what the first set."""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Whose rules are taken to have made the LR.

    Attributes:
        scope: which rules are looked for.
        lr_dtypes: in which the scheduler may have held its LRs, the likeliest first.
        usual: its defaults.
    """

    scope: Scope = EVERYTHING
    lr_dtypes: tuple[LrDtype, ...] = ("python", "float32")
    usual: PlateauConfig = TORCH_DEFAULTS

    def with_modes(self, *modes: Mode) -> Rulebook:
        """Return these rules, to be looked for in some modes only."""
        return replace(self, scope=replace(self.scope, modes=modes))


TORCH = Rulebook()
KERAS = Rulebook(
    scope=Scope(threshold_modes=("abs",)),
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


def fit(
    recording: Recording,
    rulebook: Rulebook = TORCH,
    expected: Mode = "min",
    anew: Sequence[int] = (),
    seams: Sequence[int] = (),
) -> Fit:
    """Find every configuration that reproduces the logged LRs of a recording.

    The recording's own configuration is not looked at; its LRs stand where its alignment put them.

    Args:
        recording: the log.
        rulebook: whose rules made the LR.
        expected: the mode that the metric calls for; of two members equally simple it decides.
        anew: indices of steps, from 1, before which a fresh scheduler is taken to have begun.
        seams: indices of steps before which another process may have gone on, and set the LR.
    """
    usual = rulebook.usual.with_changes(mode=expected)
    observed = observe(recording, anew, seams)
    if isinstance(observed, str):
        return Fit((), None, (), observed)
    if not observed.reductions:
        return Fit((), None, (), NEVER_FALLS)
    held_in = _held_in(recording, rulebook)
    ways = {lr_dtype: _ladders(recording, observed, lr_dtype) for lr_dtype in held_in}
    if not any(ways.values()):
        return Fit((), None, observed.reductions, NO_LEVELS)
    try:
        by_known = rules_by_known(
            fired_of(recording, observed),
            [observed.known_where(floored=floored) for floored in (False, True)],
            rulebook.scope,
        )
    except TooAmbiguousError:
        return Fit((), None, observed.reductions, TOO_AMBIGUOUS)
    explained: list[Explanation] = []
    proven: list[Proven] = []
    for lr_dtype, found in ways.items():
        explanations = [
            Explanation(ladder, tuple(rules))
            for ladder in found
            if (rules := by_known[observed.known_where(floored=ladder.floored)])
        ]
        simplest = simplest_member(recording, explanations, observed, lr_dtype, usual)
        if simplest:
            explained += [each for each in explanations if each not in explained]
            proven.append(simplest)
    if proven:
        plainest = min(proven, key=lambda each: len(repr(each.config.factor)))
        return Fit(tuple(explained), plainest, observed.reductions)
    why_not = NONE_PROVEN if any(by_known.values()) else NO_RULES
    return Fit((), None, observed.reductions, why_not)


def _ladders(recording: Recording, observed: Observed, lr_dtype: LrDtype) -> list[Ladder]:
    return ladders(observed.levels, recording.lr_precision, rounded=lr_dtype != "python")


def fired_of(recording: Recording, observed: Observed) -> Fired:
    """Put together what a scheduler was given and when it fired."""
    return Fired(recording.metric.tolist(), recording.precision, observed.reductions, observed.anew)


def _held_in(recording: Recording, rulebook: Rulebook) -> Sequence[LrDtype]:
    """Dtypes to try; an LR that was held in a float32 cannot have been logged finer."""
    if recording.lr_precision == "float32":
        return rulebook.lr_dtypes
    return ("python",)

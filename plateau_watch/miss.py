"""miss: where no configuration explains an LR, which rules come closest and where they break.

A refusal alone helps nobody. The rules that explain the most steps from the first on are looked
for, the plainest of them is replayed up to where it fails, and what it does there is said beside
what the LR did. Knows no files.
"""

from __future__ import annotations

from collections.abc import Sequence

from plateau_watch.fit import NO_RULES, TORCH, Fit, Rulebook, fired_of
from plateau_watch.fitted import seam_indices
from plateau_watch.followed import TooAmbiguousError
from plateau_watch.observation import Observed, observe
from plateau_watch.recording import Recording
from plateau_watch.replay import replay
from plateau_watch.rules_fit import Closest, closest_rules
from plateau_watch.scheduler import PlateauState
from plateau_watch.simplest import plainest


def closest_miss(
    failed: Sequence[tuple[Recording, Fit]],
    rulebook: Rulebook = TORCH,
    seams: Sequence[float] = (),
) -> str:
    """Say how far the closest rules come, where they break, and what may be the reason.

    Args:
        failed: each reading of the log, with the fit that explains nothing of it.
        rulebook: whose rules were looked for.
        seams: wall times from which on another process may have gone on with the training.

    Returns:
        One line; an empty one where it is not the steps of the reductions that do not fit.
    """
    found = [
        (closest, recording, observed)
        for recording, fit in failed
        if fit.why_not == NO_RULES
        if isinstance(observed := observe(recording, (), seam_indices(recording, seams)), Observed)
        if (closest := _closest(recording, observed, rulebook))
    ]
    if not found:
        return ""
    closest, recording, observed = max(found, key=lambda each: each[0].explained)
    how_far = _how_far(recording, observed, closest, rulebook)
    return f"{how_far}; {_reasons(recording, seams)}"


def _closest(recording: Recording, observed: Observed, rulebook: Rulebook) -> Closest | None:
    log, known = fired_of(recording, observed), observed.known_where(floored=True)
    try:
        return closest_rules(log, known, rulebook.scope)
    except TooAmbiguousError:
        return None


def _how_far(recording: Recording, observed: Observed, closest: Closest, rulebook: Rulebook) -> str:
    index = closest.explained
    step = recording.steps[index]
    before = sum(last < index for _, last in observed.reductions)
    explained = f"{before} of {len(observed.reductions)} reductions"
    config = plainest(closest.rules, rulebook.usual)
    start = PlateauState.initial(config, (1.0,))
    fires = replay(config, recording.metric[: index + 1], start).decisions[-1].fired
    return (
        f"read as logged {_LOGGED[recording.logged]} the closest (mode={config.mode} "
        f"patience={config.patience} threshold={config.threshold:.6g} {config.threshold_mode} "
        f"cooldown={config.cooldown}) explains {explained} and breaks at step {step}, where "
        f"{'it fires and the LR stays' if fires else 'the LR falls and it does not fire'}"
    )


_LOGGED = {
    "before": "before the scheduler's step",
    "after": "after the scheduler's step",
    "late": "one step late",
}


def _reasons(recording: Recording, seams: Sequence[float]) -> str:
    """What a user may look at next."""
    files = [
        f"a resume at step {recording.steps[index]} that changed more than the scheduler's state"
        for index in seam_indices(recording, seams)[:1]
    ]
    reasons = ["another metric (--metric)", "another scheduler", *files]
    return (
        f"likely reasons: {', '.join(reasons)}, or metric points that the scheduler did not see "
        "(--skip-first, --every)"
    )

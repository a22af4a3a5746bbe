"""miss: where no configuration explains an LR, which rules come closest and where they break.

A refusal alone helps nobody. The rules that explain the most steps from the first on are looked
for, the plainest of them is replayed up to where it fails, and what it does there is said beside
what the LR did. Knows no files.
"""

from __future__ import annotations

from collections.abc import Sequence

from plateau_watch.fit import NO_RULES, TORCH, Fit, Rulebook, fired_of
from plateau_watch.observation import Observed, observe
from plateau_watch.recording import Recording
from plateau_watch.replay import replay
from plateau_watch.rules_fit import Closest, TooAmbiguousError, closest_rules
from plateau_watch.scheduler import PlateauState
from plateau_watch.simplest import plainest


def closest_miss(
    recording: Recording, found: Fit, rulebook: Rulebook = TORCH, seams: Sequence[float] = ()
) -> str:
    """Say how far the closest rules come, where they break, and what may be the reason.

    Args:
        recording: the log.
        found: the fit that explains nothing.
        rulebook: whose rules were looked for.
        seams: wall times from which on another process may have gone on with the training.

    Returns:
        One line; an empty one where it is not the steps of the reductions that do not fit.
    """
    observed = observe(recording)
    if found.why_not != NO_RULES or isinstance(observed, str):
        return ""
    try:
        closest = closest_rules(
            fired_of(recording, observed),
            observed.known_where(floored=True),
            rulebook.scope,
        )
    except TooAmbiguousError:
        return ""
    return f"{_how_far(recording, observed, closest, rulebook)}; {_reasons(recording, seams)}"


def _how_far(recording: Recording, observed: Observed, closest: Closest, rulebook: Rulebook) -> str:
    index = closest.explained
    step = recording.steps[index]
    before = sum(last < index for _, last in observed.reductions)
    explained = f"{before} of {len(observed.reductions)} reductions"
    config = plainest(closest.rules, rulebook.usual)
    start = PlateauState.initial(config, (1.0,))
    fires = replay(config, recording.metric[: index + 1], start).decisions[-1].fired
    return (
        f"the closest (mode={config.mode} patience={config.patience} threshold="
        f"{config.threshold:.6g} {config.threshold_mode} cooldown={config.cooldown}) explains "
        f"{explained} and breaks at step {step}, where "
        f"{'it fires and the LR stays' if fires else 'the LR falls and it does not fire'}"
    )


def _reasons(recording: Recording, seams: Sequence[float]) -> str:
    """What a user may look at next."""
    begun = sorted(
        {
            int(recording.steps[recording.wall_times >= seam][0])
            for seam in seams
            if (recording.wall_times >= seam).any()
        }
    )
    files = [
        f"a resume that changed more than the scheduler's state (at step {step}, where "
        "another event file begins)"
        for step in begun[:1]
    ]
    return "likely reasons: " + ", ".join(["another metric", "another scheduler", *files])

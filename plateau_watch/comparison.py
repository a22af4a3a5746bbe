"""Comparison: one recording's real schedule beside its what-ifs.

One job: replay the real configuration, check it, replay the alternatives, and put it all into a
`RunReport`. Knows neither files nor rendering. Invariant: the first schedule is the real one, and
every other's `diverges_at` is counted against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from plateau_watch.decision import Decision
from plateau_watch.errors import ConfigError
from plateau_watch.parity import Parity, ambiguous, parity
from plateau_watch.precision import stored
from plateau_watch.recording import Recording, TraceRow
from plateau_watch.replay import Trace, replay
from plateau_watch.report import Firing, RunReport, Schedule
from plateau_watch.whatif import Overrides, around, differing, diverges_at, label, what_if


def compare(recording: Recording, alternatives: Sequence[Overrides] | None = None) -> RunReport:
    """Replay a recording as it was and as it could have been.

    Args:
        recording: the real run.
        alternatives: what to change in each what-if; None for a small set around the real
            configuration.

    Raises:
        ConfigError: an alternative that torch would refuse.
    """
    trace = replay(recording.config, recording.metric, recording.start, recording.changes)
    checked = parity(recording, trace)
    real = _real(recording, trace, checked)
    choices = around(recording.config) if alternatives is None else alternatives
    others, refused = _what_ifs(recording, trace, choices, real)
    if not checked.exact and not real.decisions:
        others.insert(0, _schedule(recording, "given", {}, trace, real))
    return RunReport(
        recording=recording,
        parity=checked,
        schedules=(real, *others),
        warnings=(
            *recording.warnings,
            *recording.possible,
            *doubts(recording, checked),
            *refused,
            *(line for schedule in others for line in limits(recording, schedule)),
        ),
    )


def _what_ifs(
    recording: Recording, real_trace: Trace, choices: Sequence[Overrides], real: Schedule
) -> tuple[list[Schedule], list[str]]:
    """Replay the alternatives; those that this run cannot have had are said instead."""
    schedules: list[Schedule] = []
    refused: list[str] = []
    different = differing(tuple(dict.fromkeys(real_trace.configs)), choices)
    for choice in different:
        try:
            trace = what_if(
                choice,
                recording.config,
                recording.metric.tolist(),
                recording.start,
                recording.changes,
            )
        except ConfigError as error:
            refused.append(f"{label(choice)} is left out: {error}")
        else:
            schedules.append(_schedule(recording, label(choice), choice, trace, real))
    if choices and not different:
        refused.append("every alternative is the real configuration")
    return schedules, refused


def limits(recording: Recording, schedule: Schedule) -> list[str]:
    """Say what cannot be decided of a what-if."""
    said = []
    if schedule.undecided_from is not None:
        step = int(recording.steps[schedule.undecided_from])
        said.append(
            f"{schedule.label} cannot be decided from step {step} on: something else changed the "
            "real run's LR or state there, or steps are missing"
        )
    if schedule.ambiguous:
        said.append(
            f"{schedule.label}: {len(schedule.ambiguous)} decision(s) that rounding the metric to "
            f"{recording.precision} could have flipped"
        )
    return said


def _real(recording: Recording, trace: Trace, checked: Parity) -> Schedule:
    """The schedule the log shows: the replay where it is proven, else what was written."""
    if checked.exact:
        return _schedule(recording, "real", {}, trace, None)
    if recording.rows:
        return _as_written(recording, trace)
    return as_logged(recording)


def _schedule(
    recording: Recording, name: str, overrides: Overrides, trace: Trace, real: Schedule | None
) -> Schedule:
    lrs = tuple(state.lrs for state in trace.states)
    complete = len(trace) == len(recording)
    leaves = _leaves(recording, real, lrs) if real else None
    return Schedule(
        label=name,
        overrides=overrides,
        config=trace.configs[0],
        configs=trace.configs,
        decisions=trace.decisions,
        start_lrs=trace.decisions[0].old_lrs,
        lrs=lrs,
        firings=firings(recording, trace.decisions, leaves),
        diverges_at=leaves,
        undecided_from=None if complete else len(trace),
        ambiguous=tuple(ambiguous(trace, recording.precision)),
    )


def _leaves(recording: Recording, real: Schedule, lrs: tuple[tuple[float, ...], ...]) -> int | None:
    """Index at which LRs leave the real ones; in the logged precision where only that is known."""
    if real.decisions:
        return diverges_at(real.lrs, lrs)
    return diverges_at(
        real.lrs, [tuple(stored(lr, recording.lr_precision) for lr in row) for row in lrs]
    )


def firings(
    recording: Recording, decisions: Sequence[Decision], leaves: int | None
) -> tuple[Firing, ...]:
    """List the decisions that fired; those after the index `leaves` are hypothetical."""
    return tuple(
        Firing(
            index=index,
            step=int(recording.steps[index]),
            old_lrs=decision.old_lrs,
            new_lrs=decision.new_lrs,
            floored=decision.kind == "floored",
            held=decision.held,
            hypothetical=leaves is not None and index > leaves,
        )
        for index, decision in enumerate(decisions)
        if decision.fired
    )


def _as_written(recording: Recording, trace: Trace) -> Schedule:
    """A hooked run whose replay differs from its rows: show the rows."""
    decisions = tuple(map(_decision, recording.rows))
    return Schedule(
        label="real",
        overrides={},
        config=recording.config,
        configs=trace.configs,
        decisions=decisions,
        start_lrs=recording.rows[0].old_lrs,
        lrs=tuple(row.new_lrs for row in recording.rows),
        firings=firings(recording, decisions, None),
        diverges_at=None,
        undecided_from=None,
        ambiguous=(),
    )


def _decision(row: TraceRow) -> Decision:
    return Decision(
        kind=row.kind,
        metric=row.metric,
        best=row.before.best,
        bar=row.bar,
        improved=row.counters.best != row.before.best,
        num_bad_epochs=0 if row.kind == "improved" else row.before.num_bad_epochs + 1,
        cooldown_counter=row.counters.cooldown_counter,
        old_lrs=row.old_lrs,
        new_lrs=row.new_lrs,
        held=(None,) * len(row.new_lrs),
    )


def as_logged(recording: Recording) -> Schedule:
    """A log that the given configuration does not reproduce: show the logged LRs, no decisions."""
    start, *lrs = _filled(recording)
    firings = tuple(
        Firing(index, int(recording.steps[index]), old, new, False, (None,) * len(new), False)
        for index, (old, new) in enumerate(zip((start, *lrs), lrs, strict=False))
        if any(after < before for before, after in zip(old, new, strict=True))
    )
    return Schedule(
        label="real",
        overrides={},
        config=None,
        configs=(),
        decisions=(),
        start_lrs=start,
        lrs=tuple(lrs),
        firings=firings,
        diverges_at=None,
        undecided_from=None,
        ambiguous=(),
    )


def _filled(recording: Recording) -> tuple[tuple[float, ...], ...]:
    """The logged LRs, each gap filled with the last one before it."""
    last = tuple(stored(lr, recording.lr_precision) for lr in recording.start.lrs)
    filled = []
    for lrs in recording.lrs:
        last = last if lrs is None else lrs
        filled.append(last)
    return tuple(filled)


def doubts(recording: Recording, checked: Parity) -> list[str]:
    """Say how many steps a replay does not reproduce, if any."""
    if checked.mismatches:
        first = checked.mismatches[0]
        return [
            f"{len(checked.mismatches)} of {checked.checked} steps are not reproduced, "
            f"the first at step {int(recording.steps[first])}: {_difference(recording)}"
        ]
    return []


def _difference(recording: Recording) -> str:
    if recording.rows:
        return "this scheduler did not follow torch's rules, or rows are missing"
    return "other parameters, another metric, a resume or another scheduler made this LR"

"""Comparison: one recording's real schedule beside its what-ifs.

One job: replay the real configuration, check it, replay the alternatives, and put it all into a
`RunReport`. Knows neither files nor rendering. Invariant: the first schedule is the real one, and
every other's `diverges_at` is counted against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from plateau_watch.decision import Decision
from plateau_watch.parity import Parity, parity
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
    others = [
        _schedule(recording, label(choice), choice, _what_if(recording, choice), real)
        for choice in differing(recording.config, choices)
    ]
    if not checked.exact and not real.decisions:
        others.insert(0, _schedule(recording, "given", {}, trace, real))
    return RunReport(
        recording=recording,
        parity=checked,
        schedules=(real, *others),
        warnings=(*recording.warnings, *_doubts(recording, checked)),
    )


def _what_if(recording: Recording, choice: Overrides) -> Trace:
    return what_if(
        choice, recording.config, recording.metric.tolist(), recording.start, recording.changes
    )


def _real(recording: Recording, trace: Trace, checked: Parity) -> Schedule:
    """The schedule the log shows: the replay where it is proven, else what was written."""
    if checked.exact:
        return _schedule(recording, "real", {}, trace, None)
    if recording.rows:
        return _as_written(recording, trace)
    return _as_logged(recording)


def _schedule(
    recording: Recording, name: str, overrides: Overrides, trace: Trace, real: Schedule | None
) -> Schedule:
    lrs = tuple(state.lrs for state in trace.states)
    leaves = _leaves(recording, real, lrs) if real else None
    return Schedule(
        label=name,
        overrides=overrides,
        config=trace.configs[0],
        configs=trace.configs,
        decisions=trace.decisions,
        start_lrs=trace.decisions[0].old_lrs,
        lrs=lrs,
        firings=_firings(recording, trace.decisions, leaves),
        diverges_at=leaves,
    )


def _leaves(recording: Recording, real: Schedule, lrs: tuple[tuple[float, ...], ...]) -> int | None:
    """Index at which LRs leave the real ones; in the logged precision where only that is known."""
    if real.decisions:
        return diverges_at(real.lrs, lrs)
    return diverges_at(
        real.lrs, [tuple(stored(lr, recording.lr_precision) for lr in row) for row in lrs]
    )


def _firings(
    recording: Recording, decisions: Sequence[Decision], leaves: int | None
) -> tuple[Firing, ...]:
    return tuple(
        Firing(
            index=index,
            step=int(recording.steps[index]),
            old_lrs=decision.old_lrs,
            new_lrs=decision.new_lrs,
            floored=decision.kind == "floored",
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
        firings=_firings(recording, decisions, None),
        diverges_at=None,
    )


def _decision(row: TraceRow) -> Decision:
    return Decision(
        kind=row.kind,
        metric=row.metric,
        best=row.before.best,
        bar=row.bar,
        improved=row.counters.best != row.before.best,
        num_bad_epochs=row.counters.num_bad_epochs,
        cooldown_counter=row.counters.cooldown_counter,
        old_lrs=row.old_lrs,
        new_lrs=row.new_lrs,
        held=(None,) * len(row.new_lrs),
    )


def _as_logged(recording: Recording) -> Schedule:
    """A log that the given configuration does not reproduce: show the logged LRs, no decisions."""
    lrs = _filled(recording)
    if recording.logged == "before":
        lrs = (*lrs[1:], lrs[-1])
    start = tuple(stored(lr, recording.lr_precision) for lr in recording.start.lrs)
    firings = tuple(
        Firing(index, int(recording.steps[index]), old, new, floored=False, hypothetical=False)
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
        lrs=lrs,
        firings=firings,
        diverges_at=None,
    )


def _filled(recording: Recording) -> tuple[tuple[float, ...], ...]:
    """The logged LRs, each gap filled with the last one before it."""
    last = recording.start.lrs
    filled = []
    for lrs in recording.lrs:
        last = last if lrs is None else lrs
        filled.append(last)
    return tuple(filled)


def _doubts(recording: Recording, checked: Parity) -> list[str]:
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
    return "other parameters, another metric, or another scheduler made this LR"

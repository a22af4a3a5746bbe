"""dialect_comparison: a recording by other frameworks' rules, beside or instead of torch's.

One job: make schedules of what `dialects` follows over a recorded metric. Two questions meet here:
what torch's settings would do elsewhere (`with_dialects`), and whether a run of another framework
is reproduced by that framework's rules (`compare_by`). Knows neither files nor rendering.
Invariant: a schedule of another dialect ends where something else changed the real run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from plateau_watch.alignment import read_otherwise
from plateau_watch.comparison import as_logged, doubts, firings, limits
from plateau_watch.dialects import (
    Config,
    DialectTrace,
    Translation,
    carry_over,
    could_flip,
    dialect_of,
    follow,
    translate,
)
from plateau_watch.errors import ConfigError, NotEnoughToldError
from plateau_watch.parity import Parity, lr_mismatches
from plateau_watch.precision import Precision, coarsest
from plateau_watch.recording import Meaning, Recording
from plateau_watch.report import RunReport, Schedule
from plateau_watch.scheduler import PlateauState
from plateau_watch.whatif import label

SPACING: dict[Precision, float] = {
    "bfloat16": 2.0**-7,
    "float16": 2.0**-10,
    "float32": 2.0**-23,
    "float64": 2.0**-52,
    "int": 0.0,
}
"""How far apart the numbers of an encoding lie at most, as a share of their size."""


def with_dialects(report: RunReport, names: Sequence[str]) -> RunReport:
    """Add what other frameworks would have done, one schedule for each.

    torch's settings are carried over by name. Where the run is another framework's, it is that
    configuration's counterpart instead. What differs is said in the warnings, and so is a dialect
    that is left out.

    Raises:
        ConfigError: there is no such dialect.
    """
    schedules, said = list(report.schedules), list(report.warnings)
    for name in dict.fromkeys(names):
        try:
            found, schedule = _as_dialect(report, name)
        except (ConfigError, NotEnoughToldError) as error:
            said.append(f"as {name} is left out: {error}")
        else:
            schedules.append(schedule)
            said += [*_said(found), *limits(report.recording, schedule)]
    return replace(report, schedules=tuple(schedules), warnings=tuple(said))


def compare_by(recording: Recording, ran_as: Config, logged: Meaning | None = None) -> RunReport:
    """Replay a run of another framework by that framework's rules.

    Args:
        recording: the run; its own configuration is torch's nearest counterpart.
        ran_as: the configuration that it had.
        logged: what a logged LR means; None to try both and keep the one that fits.

    Raises:
        ConfigError: a configuration that does not fit the number of LRs.
    """
    trace = follow(ran_as, recording.metric.tolist(), recording.start.lrs)
    readings = [recording] if logged else [recording, *read_otherwise(recording)]
    mismatches, recording = min(
        ((tuple(lr_mismatches(reading, trace)), reading) for reading in readings),
        key=lambda found: len(found[0]),
    )
    checked = Parity(
        checked=sum(lrs is not None for lrs in recording.lrs),
        mismatches=mismatches,
        ambiguous=could_flip(trace, recording.precision),
    )
    schedules: tuple[Schedule, ...]
    if checked.exact:
        schedules = (_schedule(recording, "real", trace, None),)
    else:
        real = as_logged(recording)
        schedules = (real, _schedule(recording, "given", trace, real))
    return RunReport(
        recording=recording,
        parity=checked,
        schedules=schedules,
        warnings=(*recording.warnings, *doubts(recording, checked)),
        ran_as=ran_as,
    )


def _as_dialect(report: RunReport, name: str) -> tuple[Translation, Schedule]:
    recording, lrs = report.recording, report.recording.start.lrs
    if recording.start != PlateauState.initial(recording.config, lrs, recording.start.lr_dtypes):
        raise NotEnoughToldError("the log begins in the middle of a run")
    if report.ran_as is None:
        found = carry_over(recording.config, name, lrs)
    else:
        found = translate(report.ran_as, name, lrs)
    until = recording.changes[0].index if recording.changes else len(recording)
    trace = follow(found.config, recording.metric[:until].tolist(), lrs)
    return found, _schedule(recording, f"as {name}", trace, report.real)


def _said(found: Translation) -> list[str]:
    what = "; ".join(found.differences) or "the same decisions as the real configuration"
    said = [f"as {found.to}, with {label(asdict(found.config))}: {what}"]
    if found.corners:
        said.append(f"as {found.to}, even so: {'; '.join(found.corners)}")
    return said


def _schedule(
    recording: Recording, name: str, trace: DialectTrace, real: Schedule | None
) -> Schedule:
    leaves = _leaves(recording, real, trace) if real else None
    return Schedule(
        label=name,
        overrides={},
        config=trace.config,
        configs=(trace.config,) * len(trace),
        decisions=trace.decisions,
        start_lrs=trace.start_lrs,
        lrs=trace.lrs,
        firings=firings(recording, trace.decisions, leaves),
        diverges_at=leaves,
        undecided_from=None if len(trace) == len(recording) else len(trace),
        ambiguous=could_flip(trace, recording.precision),
    )


def _leaves(recording: Recording, real: Schedule, trace: DialectTrace) -> int | None:
    """Index after which the LRs differ by more than their roundings can have added up to.

    Frameworks keep LRs in different precisions: 0.1 in torch is 0.100000001490116 in Keras. Each
    change may round each of the two by one spacing of the coarser one.
    """
    precisions = [dialect_of(trace.config).lr_precision]
    if real.config is not None:
        precisions.append(dialect_of(real.config).lr_precision)
    if not real.decisions:
        precisions.append(recording.lr_precision)
    spacing = SPACING[coarsest(precisions)]
    roundings = 2
    for index, (ours, theirs) in enumerate(zip(real.lrs, trace.lrs, strict=False)):
        decision = trace.decisions[index]
        roundings += 2 * (decision.old_lrs != decision.new_lrs)
        if any(
            abs(mine - its) > roundings * spacing * max(abs(mine), abs(its))
            for mine, its in zip(ours, theirs, strict=True)
        ):
            return index
    return None

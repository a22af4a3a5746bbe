"""rows: the summary table of a report, one row for each schedule, for every format that has one.

LRs have all their digits in flat rows and six in table cells. A firing beyond the divergence bears
an asterisk; a final LR that cannot be decided is "?", or empty in a flat row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import number
from plateau_watch.dialects import dialect_of
from plateau_watch.report import Report, RunReport, Schedule

PARAMETERS = tuple(word.name for word in fields(PlateauConfig))
"""torch's words, each a column of a flat row; another dialect's own share one."""

HYPOTHETICAL = "*"
"""Behind the step of a firing that lies beyond the divergence."""


def schedule_rows(report: Report) -> Iterator[dict[str, str]]:
    """Yield one flat row for each schedule of each run."""
    for run in report.runs:
        for schedule in run.schedules:
            yield {"run": run.recording.run, **_row(run, schedule)}


HEADINGS = ("schedule", "reduced at", "floored at", "final LR", "leaves at")


def table_cells(run: RunReport, most: int | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the cells below `HEADINGS` for each schedule of a run.

    Args:
        run: the run.
        most: steps that are listed in a cell before the rest is counted; None for all.
    """
    for schedule in run.schedules:
        yield (
            schedule.label,
            _listed(_firing_steps(schedule, floored=False), most),
            _listed(_firing_steps(schedule, floored=True), most),
            "?" if schedule.final_lrs is None else ", ".join(map(number, schedule.final_lrs)),
            _divergence(run, schedule),
        )


def _listed(steps: list[str], most: int | None) -> str:
    if most is None or len(steps) <= most:
        return ", ".join(steps) or "-"
    return f"{', '.join(steps[: most - 1])}, +{len(steps) - most + 1} more"


def _firing_steps(schedule: Schedule, *, floored: bool) -> list[str]:
    """Return the steps of a schedule's reductions (or floored firings), as they are shown."""
    return [
        f"{firing.step}{HYPOTHETICAL if firing.hypothetical else ''}"
        for firing in schedule.firings
        if firing.floored == floored
    ]


def _divergence(run: RunReport, schedule: Schedule) -> str:
    """Return the step after which a schedule leaves the real one; "" if it never does."""
    leaves = schedule.diverges_at
    return "" if leaves is None else str(int(run.recording.steps[leaves]))


def _row(run: RunReport, schedule: Schedule) -> dict[str, str]:
    config = asdict(schedule.config) if schedule.config else {}
    return {
        "schedule": schedule.label,
        "dialect": dialect_of(schedule.config).name if schedule.config else "",
        **{name: _cell(config.get(name, "")) for name in PARAMETERS},
        "own_parameters": " ".join(
            f"{name}={_cell(value)}" for name, value in config.items() if name not in PARAMETERS
        ),
        "reduced_at": " ".join(_firing_steps(schedule, floored=False)),
        "floored_at": " ".join(_firing_steps(schedule, floored=True)),
        "final_lrs": _cell(schedule.final_lrs or ()),
        "diverges_at": _divergence(run, schedule),
        "checked": str(run.parity.checked),
        "mismatches": str(len(run.parity.mismatches)),
    }


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_cell, value))
    return repr(value) if isinstance(value, float) else str(value)

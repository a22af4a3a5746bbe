"""as_csv: a replay report as CSV, one row for each schedule, numbers with all their digits.

A run that could not be replayed has one row with its name and the reason.
"""

from __future__ import annotations

import csv
import io

from plateau_watch.render.rows import PARAMETERS, schedule_rows
from plateau_watch.report import Report

COLUMNS = (
    "run",
    "schedule",
    "dialect",
    *PARAMETERS,
    "own_parameters",
    "reduced_at",
    "floored_at",
    "final_lrs",
    "diverges_at",
    "checked",
    "mismatches",
    "not_replayed",
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(report: Report) -> str:
    """Render a report; names that a spreadsheet would run as a formula get a leading quote."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in schedule_rows(report):
        writer.writerow({**row, "run": _inert(row["run"])})
    for run in report.not_replayed:
        writer.writerow({"run": _inert(run.run), "not_replayed": _inert(run.reason)})
    return text.getvalue()


def _inert(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name

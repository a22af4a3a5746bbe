"""as_csv: a replay report as CSV, one row for each schedule, numbers with all their digits."""

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
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(report: Report) -> str:
    """Render a report; names that a spreadsheet would run as a formula get a leading quote."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in schedule_rows(report):
        writer.writerow({**row, "run": _inert(row["run"])})
    return text.getvalue()


def _inert(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name

"""as_csv: a replay report as CSV, one row for each schedule, numbers with all their digits.

A run that could not be replayed has one row with its name and the reason.
"""

from __future__ import annotations

import csv
import io

from plateau_watch.render.printable import printable
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

_NAMES = ("run", "schedule", "dialect", "own_parameters", "not_replayed")
"""The columns that hold words; the others hold numbers, and places of them."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""What spreadsheets begin a formula with, the last four in the width of East Asian characters."""


def as_csv(report: Report) -> str:
    """Render a report; a name that a spreadsheet would run as a formula gets a leading quote.

    Every cell is in double quotes: a spreadsheet whose separator is another would cut them else.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in schedule_rows(report):
        writer.writerow({**row, **{name: _inert(row.get(name, "")) for name in _NAMES}})
    for run in report.not_replayed:
        writer.writerow({"run": _inert(run.run), "not_replayed": _inert(run.reason)})
    return text.getvalue()


def _inert(name: str) -> str:
    shown = printable(name)
    return f"'{shown}" if name.lstrip(" ").startswith(_FORMULA) else shown

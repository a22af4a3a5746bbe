"""as_markdown: a replay report as Markdown: for each run its facts and a table of schedules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plateau_watch.render.facts import facts
from plateau_watch.render.printable import printable
from plateau_watch.render.rows import HEADINGS, table_cells
from plateau_watch.report import Report, RunReport


def as_markdown(report: Report) -> str:
    """Render a report."""
    lines: list[str] = []
    for run in report.runs:
        lines += [f"## {_inert(run.recording.run)}", "", *_facts(run), "", *_table(run), ""]
    if report.not_replayed:
        lines += ["## Not replayed", ""]
        lines += [f"- **{_inert(run.run)}**: {_inert(run.reason)}" for run in report.not_replayed]
        lines.append("")
    lines += [f"- note: {_inert(warning)}" for warning in report.warnings]
    return "\n".join(lines).rstrip() + "\n"


def _facts(run: RunReport) -> Iterator[str]:
    for name, fact in facts(run):
        yield f"- **{name}**: {_inert(fact)}"
    for warning in run.warnings:
        yield f"- **note**: {_inert(warning)}"


def _table(run: RunReport) -> Iterator[str]:
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---" * len(HEADINGS) + "|"
    for cells in table_cells(run):
        yield f"| {' | '.join(map(_inert, cells))} |"


_MARKS = re.compile(r"[\\`*_{}\[\]<>|#&~$!]|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""What Markdown or HTML reads as its own, and where GitHub's makes a link of an address."""


def _inert(text: str) -> str:
    """Escape what Markdown or HTML would read as its own, for text within a line."""
    return _MARKS.sub(r"\\\g<0>", printable(text).strip()) or "?"

"""terminal: a replay report for people: header, swimlanes on one step axis, table, decisions.

Made for any width from 40 columns, with and without colour, in Unicode or ASCII. Names from the
log are data: they are never read as markup, and control characters in them are not sent on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.box import ASCII as ASCII_BOX
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from plateau_watch.dialects import in_words
from plateau_watch.render.facts import facts
from plateau_watch.render.printable import printable
from plateau_watch.render.rows import HEADINGS, table_cells
from plateau_watch.render.swimlane import (
    ASCII,
    UNICODE,
    Axis,
    Cell,
    GlyphSet,
    decision_lane,
    lr_lane,
)
from plateau_watch.report import NotReplayed, Report, RunReport, Schedule

NARROWEST = 40
NARROWEST_TABLE = 60
"""Columns below which the table is a list."""
LANES = 12
"""Schedules drawn as swimlanes; the table below them has all."""
GROUPS = 3
"""Param groups whose LR is drawn."""
TAGS = 8
"""Tags listed for a run that was not replayed."""
SHORT_MARGIN = 8
"""Columns left of the lanes where labels stand on lines of their own."""
STEPS_A_CELL = 6

_STYLES = {
    "improved": "green",
    "bad": "yellow",
    "cooldown": "blue",
    "reduced": "bold red",
    "floored": "bold magenta",
    "lr": "cyan",
}


def print_report(
    report: Report, console: Console, *, explain: bool = False, ascii_only: bool = False
) -> None:
    """Print a report.

    Args:
        report: what to print.
        console: where; its width is used, 40 columns at least.
        explain: add what each step of the real schedule decided, in words.
        ascii_only: use no other characters of our own.
    """
    page = _Page(max(console.width, NARROWEST), ASCII if ascii_only else UNICODE)
    for run in report.runs:
        _show(console, page.run(run, explain=explain), page)
    if report.runs:
        _show(console, [page.legend()], page)
    if report.not_replayed:
        _show(console, page.not_replayed(report.not_replayed), page)
    for warning in report.warnings:
        _show(console, [Text(f"note: {printable(warning)}", style="yellow")], page)


def _show(console: Console, parts: Iterable[RenderableType], page: _Page) -> None:
    for part in parts:
        console.print(part, width=page.width, soft_wrap=False, highlight=False)


class _Page:
    """Lays out the parts of a report for one width and set of characters."""

    def __init__(self, width: int, glyphs: GlyphSet) -> None:
        self.width = width
        self.glyphs = glyphs

    def run(self, run: RunReport, *, explain: bool) -> Iterator[RenderableType]:
        """Yield the parts of one run."""
        yield self._title(run.recording.run)
        yield self._header(run)
        yield Text()
        yield from self._lanes(run)
        yield self._table(run)
        if explain:
            yield Padding(_decisions(run), (0, 0, 1, 2))

    def legend(self) -> RenderableType:
        """Say once what the characters mean."""
        real, beyond = self.glyphs.real, self.glyphs.hypothetical
        text = Text(style="dim")
        for name in ("improved", "cooldown", "reduced", "floored"):
            text.append(getattr(real, name), style=_STYLES[name])
            text.append(f" {name}  ")
        text.append(f"{real.counts[:3]}{real.counts[-1]}", style=_STYLES["bad"])
        text.append(" bad steps in a row\n")
        text.append(
            f"{beyond.improved}{beyond.counts[0]}{beyond.reduced}{beyond.line * 3} and * "
            f"hypothetical: its LR already differs   {real.undecided} cannot be decided"
        )
        return Padding(text, (0, 0, 0, 2))

    def not_replayed(self, runs: Iterable[NotReplayed]) -> Iterator[RenderableType]:
        """Yield what is known of the runs that were not replayed."""
        yield self._title("not replayed")
        for run in runs:
            yield Padding(Text(f"{printable(run.run)}: {printable(run.reason)}"), (0, 0, 0, 2))
            tags = [f"{printable(tag)} ({points})" for tag, points in run.tags.items()]
            more = [f"and {len(tags) - TAGS} more"] * (len(tags) > TAGS)
            listed = ", ".join(tags[:TAGS] + more) or "no scalars"
            yield Padding(Text(f"tags: {listed}", style="dim"), (0, 0, 0, 4))

    def _title(self, name: str) -> RenderableType:
        characters = "=" if self.glyphs is ASCII else "━"
        title = Text(printable(name), style="bold", overflow="fold")
        if title.cell_len > self.width - 2:
            return title
        return Rule(title, align="left", characters=characters, style="dim")

    def _header(self, run: RunReport) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim")
        grid.add_column(overflow="fold")
        for name, fact in facts(run):
            bad = name == "parity" and not run.parity.exact
            grid.add_row(f"  {name}", Text(printable(fact), style="bold red" if bad else ""))
        for warning in run.warnings:
            grid.add_row("  note", Text(printable(warning), style="yellow"))
        return grid

    def _lanes(self, run: RunReport) -> Iterator[RenderableType]:
        shown = run.schedules[:LANES]
        margin = self._margin(run, shown)
        axis = Axis([int(step) for step in run.recording.steps], self.width - margin - 1)
        if axis.steps_a_column > 1:
            said = f"each column holds {axis.steps_a_column} steps and shows the weightiest"
            yield Padding(Text(said, style="dim"), (0, 0, 0, 2))
        yield Text(f"  {'step':<{margin - 2}}{axis.ticks()}", style="dim", overflow="crop")
        for schedule in shown:
            yield from self._lane(schedule, run.recording.lr_tags, axis, margin)
        if len(run.schedules) > LANES:
            yield Text(f"  ... {len(run.schedules) - LANES} more in the table", style="dim")

    def _margin(self, run: RunReport, shown: Iterable[Schedule]) -> int:
        """Columns left of the lanes: room for the labels, unless the steps need it themselves."""
        widest = max(len(schedule.label) for schedule in shown) + 4
        fits = len(run.recording) + widest < self.width and widest <= self.width // 3
        return widest if fits else SHORT_MARGIN

    def _lane(
        self, schedule: Schedule, lr_tags: Sequence[str], axis: Axis, margin: int
    ) -> Iterator[Text]:
        label = f"  {printable(schedule.label)}"
        if len(label) > margin - 2:
            yield Text(label, style="bold", overflow="fold")
            label = ""
        if schedule.decisions:
            yield _line(label, margin, decision_lane(schedule, axis, self.glyphs))
            label = ""
        several = len(lr_tags) > 1
        for group, tag in enumerate(lr_tags[:GROUPS]):
            group_name = f"{'  ' if margin == SHORT_MARGIN else '    LR '}{tag.rpartition('/')[2]}"
            name = group_name[: margin - 1] if several else label
            yield _line(printable(name), margin, lr_lane(schedule, group, axis, self.glyphs))

    def _table(self, run: RunReport) -> RenderableType:
        if self.width < NARROWEST_TABLE:
            return Padding(_list(run), (1, 0, 1, 2))
        box = ASCII_BOX if self.glyphs is ASCII else SIMPLE_HEAD
        table = Table(box=box, header_style="dim", pad_edge=False, show_edge=False)
        for heading in HEADINGS:
            table.add_column(heading, overflow="fold", no_wrap=heading == "final LR")
        for cells in table_cells(run, STEPS_A_CELL):
            table.add_row(*map(_text, cells), style="bold" if cells[0] == "real" else "")
        return Padding(table, (1, 0, 1, 2))


def _line(label: str, margin: int, cells: Iterable[Cell]) -> Text:
    line = Text(f"{label:<{margin}}", style="", overflow="crop", no_wrap=True)
    for cell in cells:
        style = _STYLES[cell.kind]
        line.append(cell.text, style=f"dim {style}" if cell.hypothetical else style)
    return line


def _list(run: RunReport) -> RenderableType:
    """What the table says, one schedule below the other."""
    lines: list[RenderableType] = []
    for label, *cells in table_cells(run, STEPS_A_CELL):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for heading, cell in zip(HEADINGS[1:], cells, strict=True):
            if cell not in ("", "-"):
                grid.add_row(f"  {heading}", _text(cell))
        lines += [Text(printable(label), style="bold", overflow="fold"), grid]
    return Group(*lines)


def _text(cell: str) -> Text:
    return Text(printable(cell))


def _decisions(run: RunReport) -> RenderableType:
    real = run.real
    if not real.decisions:
        return Text("the log does not tell this run's decisions", style="yellow")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", justify="right", no_wrap=True)
    grid.add_column()
    for step, decision, config in zip(
        run.recording.steps, real.decisions, real.configs, strict=True
    ):
        grid.add_row(
            f"step {int(step)}", Text(in_words(decision, config), style=_STYLES[decision.kind])
        )
    return grid

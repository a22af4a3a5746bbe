"""swimlane: one schedule as lines of cells on a step axis that all schedules of a run share.

A lane of decisions (improved, bad count, cooldown, reduced, floored) and below it the LR level of
each group at its steps. What is hypothetical has other glyphs and a dashed line, so that it is
told apart without colour. Pure: cells in, cells out; knows no terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from plateau_watch.decision import Decision
from plateau_watch.report import Schedule

WIDEST = 4
"""Columns that one step takes at most."""

TICKS_APART = 10
"""Columns between the steps that are written along the axis, at least."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of one part of a lane.

    `counts` are those of 1 to 9 bad steps, and of more; `line` is an LR that stays, `lowered` and
    `raised` one that changed where there is no room for its value.
    """

    improved: str
    cooldown: str
    reduced: str
    floored: str
    counts: str
    line: str
    lowered: str = "↓"
    raised: str = "↑"
    undecided: str = "?"


@dataclass(frozen=True, slots=True)
class GlyphSet:
    """The characters of what was real and of what is hypothetical."""

    real: Glyphs
    hypothetical: Glyphs


UNICODE = GlyphSet(
    real=Glyphs("●", "▒", "▼", "◆", "123456789+", "─"),
    hypothetical=Glyphs("○", "░", "▽", "◇", "¹²³⁴⁵⁶⁷⁸⁹⁺", "╌"),
)
ASCII = GlyphSet(
    real=Glyphs("O", "~", "V", "F", "123456789+", "=", "\\", "/"),
    hypothetical=Glyphs("o", ",", "v", "f", "..........", "-", "\\", "/"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line: its text, the kind of decision it shows, whether it is hypothetical."""

    text: str
    kind: str
    hypothetical: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """How scheduler steps lie on columns: several columns a step, or several steps a column.

    Attributes:
        steps: the training's step at each scheduler step.
        width: columns there are.
    """

    steps: Sequence[int]
    width: int

    @property
    def columns_a_step(self) -> int:
        """Columns that one step takes; 1 where steps share columns."""
        return max(1, min(WIDEST, self.width // max(1, len(self.steps))))

    @property
    def steps_a_column(self) -> int:
        """Steps that share a column; 1 where each has its own."""
        return -(-len(self.steps) // self.width) if len(self.steps) > self.width else 1

    @property
    def columns(self) -> list[range]:
        """Indices shown in each column group, from left to right."""
        count = len(self.steps)
        return [
            range(first, min(first + self.steps_a_column, count))
            for first in range(0, count, self.steps_a_column)
        ]

    def ticks(self) -> str:
        """Write steps along the axis, each where its column begins."""
        longest = max(len(str(step)) for step in self.steps)
        every = -(-max(TICKS_APART, longest + 2) // self.columns_a_step)
        line = ""
        for position in range(0, len(self.columns), every):
            column = position * self.columns_a_step
            label = str(self.steps[self.columns[position][0]])
            if column + len(label) <= self.width:
                line = line.ljust(column) + label
        return line


def decision_lane(schedule: Schedule, axis: Axis, glyphs: GlyphSet) -> list[Cell]:
    """Draw what was decided; of steps that share a column the weightiest decision is shown."""
    cells = []
    decided = len(schedule.decisions)
    for indices in axis.columns:
        if indices[-1] >= decided:
            cells.append(Cell(glyphs.real.undecided.ljust(axis.columns_a_step), "lr", True))
            continue
        index = max(indices, key=lambda index: _weight(schedule.decisions[index]))
        decision = schedule.decisions[index]
        hypothetical = schedule.hypothetical(index)
        text = _glyph(decision, glyphs.hypothetical if hypothetical else glyphs.real)
        cells.append(Cell(text.ljust(axis.columns_a_step), decision.kind, hypothetical))
    return cells


def lr_lane(schedule: Schedule, group: int, axis: Axis, glyphs: GlyphSet) -> list[Cell]:
    """Draw the LR in force at each step: its value where it begins, then a line.

    A value that has no room before the next one is left out; it is never cut.
    """
    lrs = [_lr_before(schedule, indices[0], group) for indices in axis.columns]
    dashed = [schedule.hypothetical(indices[0]) for indices in axis.columns]
    edges = [
        column
        for column in range(len(lrs))
        if column == 0 or lrs[column] != lrs[column - 1] or dashed[column] != dashed[column - 1]
    ]
    cells = []
    for begin, end in pairwise([*edges, len(lrs)]):
        width = (end - begin) * axis.columns_a_step
        line = (glyphs.hypothetical if dashed[begin] else glyphs.real).line
        text = _level(lrs, begin, width, glyphs.real)
        filled = " " * width if lrs[begin] is None else (text + line * width)[:width]
        cells.append(Cell(filled, "lr", dashed[begin]))
    return cells


def _level(lrs: Sequence[float | None], begin: int, width: int, glyphs: Glyphs) -> str:
    """What stands where a level begins: its value, a mark where that has no room, or nothing."""
    lr, before = lrs[begin], lrs[begin - 1] if begin else None
    if lr is None or lr == before:
        return ""
    label = f"{lr:.3g}"
    if len(label) < width or (begin == 0 and len(label) <= width):
        return label
    if before is None:
        return ""
    return glyphs.lowered if lr < before else glyphs.raised


def _lr_before(schedule: Schedule, index: int, group: int) -> float | None:
    """The LR the training had up to this step: the one its metric was made with.

    None where there is none: the group was added later, or the schedule cannot be decided here.
    """
    if schedule.decisions:
        known = index < len(schedule.decisions)
        lrs = schedule.decisions[index].old_lrs if known else ()
    else:
        lrs = schedule.lrs[index - 1] if index else schedule.start_lrs
    return lrs[group] if group < len(lrs) else None


def _weight(decision: Decision) -> tuple[int, int]:
    order = ("bad", "cooldown", "improved", "floored", "reduced")
    return order.index(decision.kind), decision.num_bad_epochs


def _glyph(decision: Decision, glyphs: Glyphs) -> str:
    if decision.kind == "bad":
        counts = glyphs.counts
        return counts[int(min(max(1, decision.num_bad_epochs), len(counts))) - 1]
    return str(getattr(glyphs, decision.kind))

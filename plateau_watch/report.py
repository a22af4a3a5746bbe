"""Report: frozen values that hold everything a rendering needs, and nothing to compute.

Warnings are fields of what they belong to. Index counts scheduler steps from 0, step is the
training's own. LRs are one tuple a step with one LR for each param group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plateau_watch.decision import Decision, Held
from plateau_watch.dialects import Config
from plateau_watch.parity import Parity
from plateau_watch.recording import Recording
from plateau_watch.whatif import Overrides


@dataclass(frozen=True, slots=True)
class Firing:
    """One time a scheduler fired, or (with no decision known) the logged LR changed.

    Attributes:
        index: scheduler step, from 0.
        step: the training's step.
        old_lrs: LRs before.
        new_lrs: LRs after.
        floored: it fired and no LR changed.
        held: why each group's LR stayed; None where it changed, or where nobody knows.
        hypothetical: it lies beyond the point where this schedule leaves the real one.
    """

    index: int
    step: int
    old_lrs: tuple[float, ...]
    new_lrs: tuple[float, ...]
    floored: bool
    held: tuple[Held | None, ...]
    hypothetical: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule over the recorded metric.

    Attributes:
        label: "real", "given" (the stated configuration where it does not reproduce the real
            LR), what an alternative changes, or "as keras" for another framework's rules.
        overrides: the parameters in which it differs from the real configuration.
        config: the configuration at the first step, of any dialect; None for a real schedule
            nobody explains.
        configs: the configuration in force at each step; empty likewise.
        decisions: one for each step; empty where the log cannot tell them.
        start_lrs: LRs before the first step.
        lrs: LRs after each step.
        firings: reductions and floored firings, in order.
        diverges_at: index after which its LRs differ from the real ones; None if they never do.
        undecided_from: index from which on it cannot be decided, since something else changed the
            LR or the state of the real run there; the columns end before it. None if all is.
        ambiguous: indices of decisions that rounding the metric could have flipped.
    """

    label: str
    overrides: Overrides
    config: Config | None
    configs: tuple[Config, ...]
    decisions: tuple[Decision, ...]
    start_lrs: tuple[float, ...]
    lrs: tuple[tuple[float, ...], ...]
    firings: tuple[Firing, ...]
    diverges_at: int | None
    undecided_from: int | None
    ambiguous: tuple[int, ...]

    @property
    def final_lrs(self) -> tuple[float, ...] | None:
        """LRs after the last step; None where that cannot be decided."""
        return None if self.undecided_from is not None else self.lrs[-1]

    def hypothetical(self, index: int) -> bool:
        """Whether the metric at an index is not what this schedule would have seen."""
        return self.diverges_at is not None and index > self.diverges_at


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run: the real schedule, how sure it is, and the what-ifs beside it.

    Attributes:
        recording: what the log tells.
        parity: how the replay of the real configuration compares with the log.
        schedules: the real one first.
        warnings: what a reader has to know, one line each.
        ran_as: the real configuration in the words of another framework, where the run is one
            of that framework's; None for torch's.
    """

    recording: Recording
    parity: Parity
    schedules: tuple[Schedule, ...]
    warnings: tuple[str, ...]
    ran_as: Config | None = None

    @property
    def real(self) -> Schedule:
        """The schedule that the log shows."""
        return self.schedules[0]

    @property
    def config(self) -> Config:
        """The real configuration, in the words of the framework that the run is of."""
        return self.recording.config if self.ran_as is None else self.ran_as


@dataclass(frozen=True, slots=True)
class NotReplayed:
    """A run that was read and could not be replayed.

    Attributes:
        run: its name.
        reason: one line: what is missing and how to give it.
        tags: the scalar tags it has, with their number of points.
    """

    run: str
    reason: str
    tags: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """All runs of a log directory.

    Attributes:
        logdir: as it was given.
        runs: the runs that were replayed, in name order.
        not_replayed: the others that hold scalars.
        warnings: what was found in files: skipped bytes, incomplete records.
    """

    logdir: str
    runs: tuple[RunReport, ...]
    not_replayed: tuple[NotReplayed, ...]
    warnings: tuple[str, ...]

"""observation: what the logged LRs of a recording show of its scheduler, before anything is fitted.

Reductions are read off as windows of steps, levels as they follow each other, and what rises as
set by something else: a warmup at the beginning, or a training that was started again. Knows no
rules. Invariant: an LR that no plateau scheduler can have made is refused in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from plateau_watch.recording import Recording
from plateau_watch.rules_fit import Window

Lrs = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a log shows of a scheduler's LRs.

    Attributes:
        reductions: the steps at which any LR fell; each is a window of one step, or of several
            where no LR was logged between them.
        known: steps from the first on of which it is known whether an LR changed.
        levels: for each group its LRs as they were logged, one after the other, between two that
            something else set: where there were the most.
        set_lrs: LRs that something else set before a step (a warmup, a start): its index, and them.
        anew: indices before which a fresh scheduler is taken to have begun.
    """

    reductions: tuple[Window, ...]
    known: int
    levels: tuple[tuple[float, ...], ...]
    set_lrs: tuple[tuple[int, Lrs], ...] = ()
    anew: tuple[int, ...] = ()

    def known_where(self, *, floored: bool) -> int:
        """Steps of which it is known whether the scheduler fired."""
        if not floored:
            return self.known
        return self.reductions[-1][1] + 1 if self.reductions else 0


def observe(
    recording: Recording, anew: Sequence[int] = (), seams: Sequence[int] = ()
) -> Observed | str:
    """Read reductions off the logged LRs; or say why they cannot come from a plateau alone.

    Args:
        recording: the log.
        anew: indices of steps before which a fresh scheduler is taken to have begun.
        seams: indices before which another process may have gone on, and set the LR.
    """
    reading = _Reading(
        anew, sorted({*anew, *seams}), len(recording), after=recording.logged == "after"
    )
    for position, lrs in enumerate(recording.lrs):
        if lrs is not None and not reading.take(position, lrs):
            return f"the LR rises at step {_step(recording, position)}: no plateau does that"
    return reading.observed()


@dataclass(slots=True)
class _Reading:
    """Goes through the logged LRs in order."""

    anew: Sequence[int]
    seams: Sequence[int]
    length: int
    after: bool
    seen: tuple[int, Lrs] | None = None
    reductions: list[Window] = field(default_factory=list)
    set_lrs: list[tuple[int, Lrs]] = field(default_factory=list)
    stretches: list[list[list[float]]] = field(default_factory=list)

    def take(self, position: int, lrs: Lrs) -> bool:
        """Take the LRs that stand before a step; whether a plateau scheduler can have made them."""
        before, self.seen = self.seen, (position, lrs)
        if before is None:
            self.stretches.append([[lr] for lr in lrs])
        elif any(new > old for old, new in zip(before[1], lrs, strict=True)):
            # What is logged after a step shows what was set before that one.
            earliest, latest = before[0] + (not self.after), position - self.after
            began = [index for index in self.seams if earliest <= index <= latest]
            if not began and (self.reductions or latest == self.length):
                return False
            self.set_lrs.append((began[0] if began else latest, lrs))
            self.stretches.append([[lr] for lr in lrs])
        elif lrs != before[1]:
            self.reductions.append((before[0], position - 1))
            for group, lr in zip(self.stretches[-1], lrs, strict=True):
                group.extend([lr] * (lr != group[-1]))
        return True

    def observed(self) -> Observed:
        """What was seen."""
        longest = max(reversed(self.stretches), key=lambda groups: max(map(len, groups)))
        known = 0 if self.seen is None else self.seen[0]
        return Observed(
            tuple(self.reductions),
            known,
            tuple(map(tuple, longest)),
            tuple(self.set_lrs),
            tuple(self.anew),
        )


def _step(recording: Recording, position: int) -> int:
    return int(recording.steps[max(position - 1, 0)])

"""reading: how a log is to be read, as far as it was said, and the words for what was found out.

What is found out is a guess, and every one is said; what cannot be checked is said too. Knows no
configuration and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plateau_watch.joining import Joined
from plateau_watch.recording import Meaning
from plateau_watch.series import Series


@dataclass(frozen=True, slots=True)
class Reading:
    """What was said about how a log is to be read.

    Attributes:
        logged: what a logged LR means; None to find out.
        skip_first: metric points at the beginning that the scheduler never saw.
        every: the scheduler saw every k-th metric point, from the k-th on.
        repeat: the scheduler stepped so many times on each point that it saw.
    """

    logged: Meaning | None = None
    skip_first: int = 0
    every: int = 1
    repeat: int = 1


FOUND_OUT = Reading()
"""Nothing was said."""


MEANS: dict[Meaning, str] = {
    "before": "an LR is the one before the scheduler's step at its metric point",
    "after": "an LR is the one after the scheduler's step at its metric point",
    "late": "LRs are logged one step late, and the first is missing",
}


def mixtures(series: Iterable[Series]) -> list[str]:
    """Warn of series in which later writes replaced earlier ones: they may mix trainings."""
    return [
        f"{points.superseded} point(s) of {points.tag!r} were written again later (a restart, or "
        "several trainings in one directory); of each step the last write counts"
        for points in series
        if points.superseded
    ]


_HOW = {
    "step": "",
    "since": "",
    "order": "steps count different things: the i-th LR is taken for the i-th metric point",
    "clock": "steps count different things: LRs are taken by wall time",
}


def guesses(
    metric: Series, lrs: Sequence[Series], joined: Joined, meaning: Meaning, said: Reading
) -> Iterator[str]:
    """Say what was found out about how the log is to be read."""
    if said.logged is None:
        yield MEANS[meaning]
    if meaning == "late" and joined.beside[0] is not None:
        yield "LRs are logged one step late, or the scheduler saw each metric one step late"
    if said.skip_first:
        yield f"the scheduler never saw the first {said.skip_first} metric point(s)"
    if said.every > 1:
        yield f"the scheduler saw every {_ordinal(said.every)} metric point only"
    if said.repeat > 1:
        yield f"the scheduler stepped {said.repeat} times on each metric point"
    if meaning == "after" and not np.isfinite(metric.values[0]):
        yield (
            "the first metric is not finite, and no LR is logged before it: taken as a step that "
            "did not reduce (a patience of 1 or more)"
        )
    if lrs[0].run != metric.run:
        yield f"the LR is that of run {lrs[0].run!r}"
    if _HOW[joined.way]:
        yield _HOW[joined.way]


def _ordinal(count: int) -> str:
    return f"{count}{ {2: 'nd', 3: 'rd'}.get(count, 'th') }"


def limits(
    metric: Series, lrs: Sequence[Series], joined: Joined, meaning: Meaning
) -> Iterator[str]:
    """Say what cannot be checked."""
    found, missing = joined.found, sum(lrs is None for lrs in joined.beside[meaning == "late" :])
    if joined.way == "since":
        shared = len(np.intersect1d(metric.steps, lrs[0].steps))
        if shared < found:
            yield (
                f"metric and LR share {shared or 'no'} step{'s' * (shared > 1)}: "
                "each metric point takes the LR last logged"
            )
    if missing:
        yield (f"an LR is logged at {found} of {len(metric)} metric steps; only those are checked")
    if meaning == "after" and joined.following not in (None, joined.beside[-1]):
        assert joined.following is not None
        lr = ", ".join(f"{lr:.6g}" for lr in joined.following)
        yield f"after the last metric point {lrs[0].tag!r} is {lr}; that is not checked"
    ramp = joined.between[0] - {joined.beside[0]}
    if ramp and joined.beside[0] is not None:
        yield (
            "the LR rises before the first metric point: a warmup, of which the scheduler saw "
            "nothing"
        )

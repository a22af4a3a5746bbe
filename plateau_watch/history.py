"""history: what a scheduler may have behind it, and what each further step says of its counts.

A history is one course of improvements and firings. Patience is known from the first firing on;
the cooldown is bounded by firings and by their absence. Knows neither metrics nor thresholds.
Invariant: a step that a history cannot have taken leads to None, never to a history that is bent.
"""

from __future__ import annotations

from typing import NamedTuple

from plateau_watch.intervals import Interval

ANY = 1 << 62
"""Upper end of a range of counts that nothing bounds."""

Counts = tuple[int, int]
"""Lowest and highest count, both included; the highest may be `ANY`."""

UNKNOWN = -1

NEVER = -1


class History(NamedTuple):
    """What a scheduler may have behind it.

    Attributes:
        best: what the best may have been before it was stored.
        improved: index of the last improvement; of the step before the first one, where there was
            none since the scheduler began.
        longest: the longest run of bad steps that ended without a firing, before the first firing.
        patience: as it follows from the first firing; `UNKNOWN` before.
        cooldown: bounds of that parameter.
        last: index of the last firing since the scheduler began; `NEVER` for none.
        fired: how often it has fired.
    """

    best: Interval
    improved: int = -1
    longest: int = 0
    patience: int = UNKNOWN
    cooldown: Counts = (0, ANY)
    last: int = NEVER
    fired: int = 0

    def bad(self, index: int) -> int:
        """The bad count at an index, if nothing improved there and no cooldown held it."""
        return index - max(self.improved, self.last)

    def patience_at(self, index: int) -> Counts:
        """The patience that this history and its last step, the one before an index, allow."""
        if self.patience != UNKNOWN:
            return self.patience, self.patience
        return max(self.longest, index - 1 - self.improved), ANY


def improved(history: History, best: Interval, index: int) -> History:
    """An improvement ends a run of bad steps."""
    _, _, _, patience, cooldown, last, fired = history
    return History(best, index, _longest(history, index), patience, cooldown, last, fired)


def began_anew(history: History, worst: Interval, index: int) -> History:
    """Before a step, a fresh scheduler with the same parameters took over."""
    longest = _longest(history, index)
    return history._replace(best=worst, improved=index - 1, longest=longest, last=NEVER)


def fired(history: History, index: int, most: int = ANY) -> History | None:
    """A step fired; None if it cannot have, with a patience of `most` or less.

    With a cooldown c the count is index - max(last improvement, last firing + c).
    """
    after = history._replace(last=index, fired=history.fired + 1)
    count = history.bad(index)
    if history.patience == UNKNOWN:
        fits = history.longest < count <= most + 1
        return after._replace(patience=count - 1, longest=0) if fits else None
    if history.last == NEVER:
        return after if count == history.patience + 1 else None
    exact = index - history.last - history.patience - 1
    if count <= history.patience:
        return None
    low, high = history.cooldown
    lowest = low if count == history.patience + 1 else max(low, exact)
    return _bounded(after, lowest, min(high, exact))


def waited(history: History, index: int, most: int = ANY) -> History | None:
    """A bad step did not fire; None if it had to, whatever the cooldown, or past `most`."""
    if history.bad(index) <= (most if history.patience == UNKNOWN else history.patience):
        return history
    if history.last == NEVER:
        return None
    low, high = history.cooldown
    return _bounded(history, max(low, index - history.last - history.patience), high)


def _longest(history: History, index: int) -> int:
    """Before the first firing, a run of bad steps that ends is remembered if it is the longest."""
    if history.patience != UNKNOWN:
        return history.longest
    return max(history.longest, index - 1 - history.improved)


def _bounded(history: History, low: int, high: int) -> History | None:
    return history._replace(cooldown=(low, high)) if low <= high else None

"""turns: whether a thread had a scheduler to itself, from before its step until after it.

torch's scheduler is not made for several threads at once, and what they do to it then follows no
rules. Nothing waits for anything here, since that could change the training; it is only found out.
There is no lock either, which a fork could copy while it is held: the operations on the set and on
the count are each done in one go by the interpreter. Knows no scheduler.
"""

from __future__ import annotations

import itertools
from threading import get_ident


class Turns:
    """Who is between the begin and the end of a turn."""

    def __init__(self) -> None:
        self._threads: set[int] = set()
        self._count = itertools.count()

    def mine(self) -> bool:
        """Whether this thread is in a turn: a step within a step."""
        return get_ident() in self._threads

    def begin(self) -> int | None:
        """Begin this thread's turn, and return what `undisturbed` asks for."""
        self._threads.add(get_ident())
        ticket = next(self._count)
        return ticket if len(self._threads) == 1 else None

    def undisturbed(self, ticket: int | None) -> bool:
        """Whether no other thread was in a turn since this one began; ask once."""
        return ticket is not None and next(self._count) == ticket + 1

    def end(self) -> None:
        """End this thread's turn, begun or not."""
        self._threads.discard(get_ident())

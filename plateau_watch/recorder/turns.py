"""turns: whether a thread had a scheduler to itself, from before its step until after it.

torch's scheduler is not made for several threads at once, and what they do to it then follows no
rules. Nothing waits for anything here, since that could change the training; it is only found out.
There is no lock either, which a fork could copy while it is held: the operations on the dict and on
the count are each done in one go by the interpreter. Knows no scheduler.
"""

from __future__ import annotations

import itertools
import sys
from threading import get_ident
from types import FrameType


class Turns:
    """Who is between the begin and the end of a turn.

    An interrupt may come even before a turn can be ended. So a turn is known by the frame that
    began it, and one whose frame is no longer being executed is over.
    """

    def __init__(self) -> None:
        self._frames: dict[int, FrameType] = {}
        self._count = itertools.count()

    def mine(self) -> bool:
        """Whether this thread is in a turn: a step within a step."""
        begun = self._frames.get(get_ident())
        if begun is None:
            return False
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame is not begun:
            frame = frame.f_back
        if frame is None:
            self.end()
        return frame is not None

    def begin(self) -> int | None:
        """Begin a turn of the caller's, and return what `undisturbed` asks for."""
        self._frames[get_ident()] = sys._getframe(1)
        ticket = next(self._count)
        return ticket if len(self._frames) == 1 else None

    def undisturbed(self, ticket: int | None) -> bool:
        """Whether no other thread was in a turn since this one began; ask once."""
        return ticket is not None and next(self._count) == ticket + 1

    def end(self) -> None:
        """End this thread's turn, begun or not."""
        self._frames.pop(get_ident(), None)

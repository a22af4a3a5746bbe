"""attachment: the schedulers of one training watched with one writer, from its begin to its end.

What the callbacks of all frameworks share. Knows no framework. Invariant: nothing that goes wrong
here reaches the training; it is said once, as a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from plateau_watch.errors import WatchError
from plateau_watch.recorder.complaint import complain
from plateau_watch.recorder.watch import Watch, check_prefix, watch

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import ReduceLROnPlateau


class ToWatch(NamedTuple):
    """A scheduler of a training.

    Attributes:
        scheduler: torch's.
        step: its x-axis, called after each of its steps.
        name: its own, if it has one.
        groups: the param groups that it reduces; all of them where absent.
    """

    scheduler: ReduceLROnPlateau
    step: Callable[[], int]
    name: str | None = None
    groups: Sequence[int] | None = None


class Attachment:
    """What one callback watches; a new training takes the place of the one before.

    Args:
        prefix: of all tags. Where a training has several schedulers, each has a prefix of its own
            below this one.

    Raises:
        WatchError: the prefix is no name.
    """

    def __init__(self, prefix: str) -> None:
        check_prefix(prefix)
        self._prefix = prefix
        self._handles: list[Watch] = []

    def attach(
        self,
        schedulers: Sequence[ToWatch],
        writer: Any,  # noqa: ANN401  torch's or tensorboardX's
    ) -> None:
        """Watch the schedulers of a training.

        Args:
            schedulers: all that are to be watched.
            writer: where the training is logged.
        """
        self.detach()
        names = [each.name for each in schedulers]
        for position, (scheduler, step, _, groups) in enumerate(schedulers):
            prefix = f"{self._prefix}/{_name(names, position)}" if len(names) > 1 else self._prefix
            try:
                handle = watch(scheduler, writer, step=step, prefix=prefix, groups=groups)
                self._handles.append(handle)
            except WatchError as error:
                complain(f"PlateauWatch does not watch: {error}", stacklevel=2)

    def detach(self) -> None:
        """Stop watching; again does nothing."""
        while self._handles:
            self._handles.pop().close()

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or what is loaded from a checkpoint that a callback got into, watches nothing."""
        return {**self.__dict__, "_handles": []}


@contextmanager
def harmless() -> Iterator[None]:
    """Keep whatever goes wrong inside away from the training."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, the training goes on
        complain(
            f"PlateauWatch does not watch ({type(error).__name__}: {error}); "
            "training is not affected",
            stacklevel=3,
        )


def nothing_to_watch(lacking: str, there: Iterable[object]) -> None:
    """Say what a training lacks, and what it has in its place.

    Args:
        lacking: what was looked for, and among what.
        there: the things that were found instead.
    """
    found = ", ".join(type(thing).__qualname__ for thing in there)
    complain(
        f"PlateauWatch has nothing to watch: no {lacking} (there is: {found or 'none'}); "
        "training is not affected",
        stacklevel=3,
    )


def plateau_scheduler(thing: object) -> ReduceLROnPlateau | None:
    """Return torch's ReduceLROnPlateau: the thing itself, or what it is wrapped around."""
    from torch.optim.lr_scheduler import ReduceLROnPlateau  # noqa: PLC0415  torch is optional

    for candidate in (thing, getattr(thing, "scheduler", None)):
        if isinstance(candidate, ReduceLROnPlateau):
            return candidate
    return None


def _name(names: Sequence[str | None], position: int) -> str:
    """Name a scheduler by its own name where that tells it from the others, else by position."""
    name = names[position]
    if name is None or names.count(name) > 1 or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return str(position)
    return name

"""watched_class: the class a scheduler has while it is watched.

A cached subclass whose `step` goes through whoever watches this instance. It adds nothing to the
instance, bears the name of the plain class, keeps `isinstance`, and gives the plain class back
whenever the instance is pickled or copied. Knows nothing of what a watcher does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

AroundStep = Callable[[Any, Callable[[], Any], object], Any]
"""(scheduler, its own step, the metric) -> what the step returns"""

AROUND_STEP: dict[int, AroundStep] = {}
"""Who goes around the step of an instance, by its id. The instance is not kept alive by it."""


@functools.cache
def watched_class(plain: type[Any]) -> type[Any]:
    """Return the subclass that a scheduler of this class has while it is watched."""

    class Watched(plain):  # type: ignore[misc]
        @functools.wraps(plain.step)
        def step(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            take = functools.partial(super().step, *args, **kwargs)
            around = AROUND_STEP.get(id(self))
            if around is None:
                return take()
            return around(self, take, args[0] if args else kwargs.get("metrics"))

        def __reduce_ex__(self, protocol: Any) -> Any:  # noqa: ANN401
            # Protocols from 2 on tie the pickle to the class that the instance has right now.
            with _as(self, plain):
                return self.__reduce_ex__(min(protocol, 1))

    for method in ("__copy__", "__deepcopy__"):
        if hasattr(plain, method):
            setattr(Watched, method, _on_the_plain_class(plain, method))
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Watched, name, getattr(plain, name))
    return Watched


def _on_the_plain_class(plain: type, method: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any) -> Any:  # noqa: ANN401
        with _as(self, plain):
            return getattr(self, method)(*args)

    return call


@contextmanager
def _as(scheduler: Any, plain: type) -> Iterator[None]:  # noqa: ANN401
    """Give a scheduler its plain class for as long as it is pickled or copied."""
    watched = scheduler.__class__
    scheduler.__class__ = plain
    try:
        yield
    finally:
        scheduler.__class__ = watched

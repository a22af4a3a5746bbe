"""watched_class: the class a scheduler has while it is watched.

A cached subclass whose `step` goes through whoever watches this instance. It adds nothing to the
instance, bears the name of the plain class, keeps `isinstance`, and gives the plain class back
whenever the instance is pickled or copied. Knows nothing of what a watcher does.
"""

from __future__ import annotations

import copyreg
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

AroundStep = Callable[[Any, Callable[[], Any], Callable[[], object]], Any]
"""(scheduler, its own step, afterwards: the metric it was given) -> what the step returns"""

AROUND_STEP: dict[int, AroundStep] = {}
"""Who goes around the step of an instance, by its id. The instance is not kept alive by it."""

_NEW: object = copyreg.__dict__["__newobj__"]
_RECONSTRUCT: object = copyreg.__dict__["_reconstructor"]
"""What pickles call to make an instance; they are not among copyreg's public names."""

_PICKLING = ("__reduce_ex__", "__reduce__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
"""What a class may have of its own to be pickled by."""

_COMPARED: dict[int, object] = {}
"""What an instance last held against its best, by its id: the metric, wherever its step has it."""


def forget(key: int) -> None:
    """Forget an instance by its id."""
    AROUND_STEP.pop(key, None)
    _COMPARED.pop(key, None)


@functools.cache
def watched_class(plain: type[Any]) -> type[Any]:
    """Return the subclass that a scheduler of this class has while it is watched.

    It never says `super()`, which raises where another thread has just given the plain class back.
    """
    of_its_own = [
        name for name in _PICKLING if getattr(plain, name, None) is not getattr(object, name, None)
    ]

    class Watched(plain):  # type: ignore[misc]
        @functools.wraps(plain.step)
        def step(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            take = functools.partial(plain.step, self, *args, **kwargs)
            around = AROUND_STEP.get(id(self))
            if around is None:
                return take()
            given = args[0] if args else kwargs.get("metrics")
            _COMPARED.pop(id(self), None)
            return around(self, take, lambda: _COMPARED.pop(id(self), given))

        def _is_better(self, a: Any, *rest: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if id(self) in AROUND_STEP:
                _COMPARED[id(self)] = a
            return cast(Any, plain)._is_better(self, a, *rest, **kwargs)

        def __reduce_ex__(self, protocol: Any) -> Any:  # noqa: ANN401
            with _as(self, plain) if of_its_own else nullcontext():
                reduced = cast(Any, plain).__reduce_ex__(self, protocol)
            return _of_plain(reduced, Watched, plain)

    for method in ("__copy__", "__deepcopy__"):
        if hasattr(plain, method):
            setattr(Watched, method, _on_the_plain_class(plain, method))
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Watched, name, getattr(plain, name))
    return Watched


def _of_plain(reduced: Any, watched: type, plain: type) -> Any:  # noqa: ANN401
    """Let a pickle name the plain class, in whatever `__reduce_ex__` gave.

    Pickle insists that what `copyreg.__newobj__` makes is of the class that the instance has right
    now; what protocols 0 and 1 use to make an instance does the same and does not insist.
    """
    if not isinstance(reduced, tuple):
        return reduced
    make, given, *rest = reduced
    arguments = tuple(plain if argument is watched else argument for argument in given)
    if make is _NEW and len(arguments) == 1:
        make, arguments = _RECONSTRUCT, (*arguments, object, None)
    return (make, arguments, *rest)


def _on_the_plain_class(plain: type, method: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any) -> Any:  # noqa: ANN401
        with _as(self, plain):
            return getattr(self, method)(*args)

    return call


@contextmanager
def _as(scheduler: Any, plain: type) -> Iterator[None]:  # noqa: ANN401
    """Give a scheduler its plain class for as long as it is pickled or copied in ways of its own.

    A step that another thread takes meanwhile goes unseen, so other schedulers are spared this.
    The class is not asked for: another thread may be copying the scheduler too.
    """
    scheduler.__class__ = plain
    try:
        yield
    finally:
        if id(scheduler) in AROUND_STEP:
            scheduler.__class__ = watched_class(plain)

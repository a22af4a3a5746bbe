"""watch: the training-side hook that logs every decision of a scheduler.

Harmless comes first: the LRs and `state_dict()` of a watched scheduler are those of an unwatched
one, byte for byte, and no exception of ours reaches the training loop (an interrupt always does).
What goes wrong here, whatever it is, costs one warning for each kind of fault, and rows: each step
is tried anew, so that rows are written again as soon as that is possible, and the rows' numbers
tell how many are missing. torch dumps all of the instance's `__dict__`, so nothing is set on the
instance: its `__class__` is swapped to a cached subclass (as torch's own `parametrize` does to
modules), which gives the plain class back whenever it is pickled or copied.

What is recorded is what was observed: state and LRs are read before and after each `step`. Our own
rules only name the decision. Steps that several threads take at once are not recorded, nor those
of a process forked after `watch`: its parent has the log. Knows no logs but the one it writes to.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from plateau_watch.errors import WatchError
from plateau_watch.recorder.complaint import Faults
from plateau_watch.recorder.snapshot import Snapshot, observed_kind
from plateau_watch.recorder.turns import Turns
from plateau_watch.recorder.watched_class import AROUND_STEP, forget, watched_class
from plateau_watch.recording import ConfigRecord, TraceRow

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    from plateau_watch.recorder.sinks import Sink

StepAxis = Callable[[], int]


class UnrecordedStepError(Exception):
    """A step that cannot be recorded truly, though it could be written."""


def watch(
    scheduler: ReduceLROnPlateau,
    writer: Any,  # noqa: ANN401  torch's or tensorboardX's writer; neither need be installed
    *,
    step: StepAxis | None = None,
    prefix: str = "plateau",
    groups: Sequence[int] | None = None,
) -> Watch:
    """Log every decision of a scheduler to TensorBoard from here on.

    Example:
        writer = SummaryWriter("runs/experiment")
        scheduler = ReduceLROnPlateau(optimizer, patience=3)
        plateau_watch.watch(scheduler, writer)

    Args:
        scheduler: torch's ReduceLROnPlateau, or a subclass.
        writer: torch's SummaryWriter or tensorboardX's (the trace goes into its event file), or a
            directory (the trace goes into a run below it, named by the prefix).
        step: called after each scheduler step for the x-axis; the scheduler's own count
            (`last_epoch`: 1 after the first step) where absent.
        prefix: of all tags; another for each scheduler watched with one writer.
        groups: the param groups that the scheduler reduces, by position from 0. Of use where its
            class leaves some alone, as torch's own does not; all of them where absent.

    Returns:
        A handle: `close()` it, or use it as a context manager, to stop. It need not be kept.

    Raises:
        WatchError: no such scheduler, writer or param group, a prefix that is no name or is
            taken, or the scheduler is watched already.
    """
    from torch.optim.lr_scheduler import ReduceLROnPlateau  # noqa: PLC0415  torch is optional

    from plateau_watch.recorder.sinks import sink_for  # noqa: PLC0415  loads tensorboard's protos

    given: object = scheduler
    if not isinstance(given, ReduceLROnPlateau):
        inner = getattr(given, "scheduler", None)
        hint = "; watch its .scheduler" if isinstance(inner, ReduceLROnPlateau) else ""
        raise WatchError(f"only ReduceLROnPlateau can be watched, not {_name(given)}{hint}")
    check_prefix(prefix)
    if groups is not None:
        _check_groups(groups, len(scheduler.optimizer.param_groups))
    if id(scheduler) in AROUND_STEP:
        raise WatchError("this scheduler is watched already: close() the first handle before")
    sink = sink_for(writer, prefix)
    if sink.place in _PLACES:
        raise WatchError(
            f"another scheduler is logged there under {prefix!r} already: give this one a prefix "
            "of its own, or close() the other's handle"
        )
    return Watch(scheduler, sink, step, prefix, groups)


class Watch:
    """The handle of one watched scheduler; `watch` makes it."""

    def __init__(
        self,
        scheduler: ReduceLROnPlateau,
        sink: Sink,
        step: StepAxis | None,
        prefix: str,
        groups: Sequence[int] | None,
    ) -> None:
        self._plain: Any = type(scheduler)
        try:
            scheduler.__class__ = watched_class(cast(Any, self._plain))
        except Exception as error:
            raise WatchError(f"{_name(scheduler)} cannot be watched: {error}") from error
        self._scheduler = weakref.ref(scheduler)
        self._finalizer = weakref.finalize(scheduler, _forget, id(scheduler), sink)
        self._sink = sink
        self._step = step
        self._prefix = prefix
        self._groups = groups
        self._numbers = itertools.count(1)
        self._announced = False
        self._written: Snapshot | None = None
        self._columns: tuple[str, ...] | None = None
        self._faults = Faults()
        self._turns = Turns()
        self._process = os.getpid()
        self._closed = False
        AROUND_STEP[id(scheduler)] = self._around
        _PLACES.add(sink.place)
        with self._harmless():
            self._attach(scheduler)

    def close(self) -> None:
        """Stop recording and give the scheduler its class back; again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._finalizer.detach()
        scheduler = self._scheduler()
        if scheduler is not None:
            forget(id(scheduler))
            scheduler.__class__ = self._plain
        _PLACES.discard(self._sink.place)
        with self._harmless():
            self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _around(
        self, scheduler: ReduceLROnPlateau, step: Callable[[], Any], metric: Callable[[], object]
    ) -> Any:  # noqa: ANN401  whatever a subclass's step returns
        """Let the scheduler take its step, and record it."""
        if self._turns.mine():
            return step()
        before = None
        try:
            turn = self._turns.begin()
            with self._harmless():
                before = Snapshot.of(scheduler, self._groups) if self._writes_here() else None
            result = step()
            number = next(self._numbers)
            if before is not None and not self._closed:
                with self._harmless():
                    value, after = float(cast(Any, metric())), Snapshot.of(scheduler, self._groups)
                    if not self._turns.undisturbed(turn):
                        raise UnrecordedStepError("several threads stepped the scheduler at once")
                    self._record(number, value, before, after, self._axis(scheduler))
        finally:
            self._turns.end()
        return result

    def _attach(self, scheduler: ReduceLROnPlateau) -> None:
        if not self._writes_here():
            return
        now = Snapshot.of(scheduler, self._groups)
        value = _config_value(self._prefix, now.record("attached"))
        self._sink.write([value], now.last_epoch, time.time())
        self._written = now
        self._announced = True

    def _record(
        self, number: int, metric: float, before: Snapshot, after: Snapshot, step: int
    ) -> None:
        from plateau_watch.events.trace_format import row_values  # noqa: PLC0415

        expected, self._written = self._written, None
        record = before.record("changed" if self._announced else "attached")
        row = TraceRow(
            step=step,
            wall_time=time.time(),
            metric=metric,
            bar=before.config.bar(before.counters.best),
            kind=observed_kind(before, after, metric),
            before=before.counters,
            counters=after.counters,
            last_epoch=after.last_epoch,
            old_lrs=before.lrs,
            new_lrs=after.lrs,
            number=number,
            record=record,
        )
        values = row_values(self._prefix, row, name_columns=self._columns != before.groups)
        if expected is None or not before.follows(expected):
            values.insert(0, _config_value(self._prefix, record))
        self._sink.write(values, row.step, row.wall_time)
        self._columns = before.groups
        self._written = after
        self._announced = True

    def _axis(self, scheduler: ReduceLROnPlateau) -> int:
        return int(self._step() if self._step else scheduler.last_epoch)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever it is, the training goes on
            self._written = self._columns = None
            with suppress(Exception):
                self._faults.say(error, stacklevel=5)

    def _writes_here(self) -> bool:
        """Whether this process writes: rank 0 of torch.distributed, or any where it is not in use.

        Raises:
            UnrecordedStepError: the process was forked from the one that writes.
        """
        if os.getpid() != self._process:
            raise UnrecordedStepError(
                "this process was forked after watch(), and its parent has the log; close() the "
                "handle here and watch() into another one"
            )
        group = sys.modules["torch"].distributed
        return not (group.is_available() and group.is_initialized() and group.get_rank() != 0)

    def __getstate__(self) -> dict[str, Any]:
        """A copy of whatever holds the handle has a closed one: its scheduler is not watched."""
        return {"_closed": True}


def _config_value(prefix: str, record: ConfigRecord) -> Any:  # noqa: ANN401  a proto
    from plateau_watch import __version__  # noqa: PLC0415  the package imports this module
    from plateau_watch.events.trace_format import config_value  # noqa: PLC0415

    versions = {"plateau_watch": __version__, "torch": str(sys.modules["torch"].__version__)}
    return config_value(prefix, record, versions)


_PLACES: set[tuple[object, str]] = set()
"""Where schedulers are logged right now: two in one place could not be told apart."""


def _forget(key: int, sink: Sink) -> None:
    """Let go of a scheduler that is gone."""
    forget(key)
    _PLACES.discard(sink.place)
    with suppress(Exception):
        sink.close()


def check_prefix(prefix: str) -> None:
    """Refuse what is no prefix of tags.

    Raises:
        WatchError: it is no name, or names joined by slashes.
    """
    parts = prefix.split("/")
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise WatchError(f"prefix must be a name like 'plateau' or 'gan/plateau', got {prefix!r}")


def _check_groups(groups: Sequence[int], count: int) -> None:
    positions = range(-count, count)
    if not groups or not all(index in positions for index in groups):
        raise WatchError(
            f"groups must be positions of the optimizer's {count} param groups, got {groups!r}"
        )


def _name(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"

"""sinks: where the hook's events go: into a writer's own event file, or into one of ours.

With a second event file in a run's directory TensorBoard's Python loader stops showing the later
points of the first, so a writer's events go through that writer, and a directory given instead of
one gets a run of its own below it. Knows nothing of schedulers. Every `write` may raise; a closed
writer is an error here, since torch's would silently begin another file.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from plateau_watch.errors import WatchError
from plateau_watch.events.event_file import EventFile

MOST_WAITED = 1.0
"""Seconds that a step waits for a writer whose queue is full."""


class ClosedWriterError(Exception):
    """The writer was closed while the scheduler is still watched."""


class Sink(Protocol):
    """Somewhere to write events.

    Attributes:
        place: equal for sinks whose events would mix.
    """

    place: tuple[object, str]

    def write(self, values: list[Summary.Value], step: int, wall_time: float) -> None:
        """Write one event with all the values."""

    def close(self) -> None:
        """Close what the sink itself has opened."""


def sink_for(writer: Any, prefix: str) -> Sink:  # noqa: ANN401  any writer may come
    """Return the sink for a SummaryWriter (torch's or tensorboardX's) or a directory.

    Raises:
        WatchError: it is neither.
    """
    if isinstance(writer, str | os.PathLike):
        return DirectorySink(Path(writer), prefix)
    if not (hasattr(writer, "file_writer") and hasattr(writer, "add_scalar")):
        raise WatchError(
            f"cannot write to a {type(writer).__module__}.{type(writer).__qualname__}: give "
            "torch.utils.tensorboard.SummaryWriter, tensorboardX.SummaryWriter, or a directory"
        )
    return WriterSink(writer, prefix)


class WriterSink:
    """Writes through a SummaryWriter, in the protos of its own package."""

    def __init__(self, writer: Any, prefix: str) -> None:  # noqa: ANN401  torch's or X's
        self.place: tuple[object, str] = (id(writer), prefix)
        self._writer = writer
        self._event_class = _event_class(writer)

    def write(self, values: list[Summary.Value], step: int, wall_time: float) -> None:
        """Hand one event to the writer's queue."""
        file_writer = self._writer.file_writer
        if file_writer is None:
            raise ClosedWriterError("the SummaryWriter is closed")
        _wait_for_room(file_writer)
        event = Event(summary=Summary(value=values))
        if self._event_class is not Event:
            event = self._event_class.FromString(event.SerializeToString())
        file_writer.add_event(event, step, wall_time)

    def close(self) -> None:
        """Leave the writer to its owner."""


class DirectorySink:
    """Writes an event file of our own, made at the first event."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self.place: tuple[object, str] = (directory.absolute(), prefix)
        self._path = directory / prefix / _file_name()
        self._file: EventFile | None = None

    def write(self, values: list[Summary.Value], step: int, wall_time: float) -> None:
        """Append one event."""
        if self._file is None:
            self._file = EventFile(self._path)
        self._file.add(Event(step=step, wall_time=wall_time, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the event file."""
        if self._file is not None:
            self._file.close()


def _wait_for_room(file_writer: Any) -> None:  # noqa: ANN401
    """Make sure that handing over an event will not hang.

    tensorboardX's `put` waits for ever where its queue is full and the thread that empties it has
    died, on a full disk for instance. A writer without such a thread and queue is left alone.

    Raises:
        ClosedWriterError: the thread has died, or does not get on.
    """
    event_writer = getattr(file_writer, "event_writer", None)
    is_alive = getattr(getattr(event_writer, "_worker", None), "is_alive", None)
    is_full = getattr(getattr(event_writer, "_event_queue", None), "full", None)
    deadline = time.monotonic() + MOST_WAITED
    while is_alive is not None and (not is_alive() or (is_full is not None and is_full())):
        if not is_alive() or time.monotonic() > deadline:
            raise ClosedWriterError("the SummaryWriter's thread no longer writes")
        time.sleep(0.001)


def _event_class(writer: Any) -> Any:  # noqa: ANN401
    if any(base.__module__.partition(".")[0] == "tensorboardX" for base in type(writer).__mro__):
        from tensorboardX.proto.event_pb2 import Event as EventOfX  # noqa: PLC0415  optional

        return EventOfX
    return Event


def _file_name() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return (
        f"events.out.tfevents.{seconds:010d}.{nanoseconds:09d}.{socket.gethostname()}"
        f".{os.getpid()}.plateau_watch"
    )

"""sinks: where the hook's events go: into a writer's own event file, or into one of ours.

With a second event file in a run's directory TensorBoard's Python loader stops showing the later
points of the first, so a writer's events go through that writer, and a directory given instead of
one gets a run of its own below it. Knows nothing of schedulers. Every `write` may raise, writes a
whole event or none, and may be tried again; none waits longer than `MOST_WAITED`, and none waits
again for a writer that does not get on. A closed writer is an error here, since torch's would
silently begin another file, and so is a deleted file of ours, which would silently take all rows.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from plateau_watch.errors import WatchError
from plateau_watch.events.event_file import EventFile

MOST_WAITED = 1.0
"""Seconds that a step waits for a writer whose queue is full; the steps after it do not wait."""


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
        self._stuck = False

    def write(self, values: list[Summary.Value], step: int, wall_time: float) -> None:
        """Hand one event to the writer's queue."""
        file_writer = self._writer.file_writer
        if file_writer is None:
            raise ClosedWriterError("the SummaryWriter is closed")
        event_writer = getattr(file_writer, "event_writer", None)
        self._wait_for_room(event_writer)
        event = Event(summary=Summary(value=values))
        if self._event_class is not Event:
            event = self._event_class.FromString(event.SerializeToString())
        try:
            file_writer.add_event(event, step, wall_time)
        except Exception:
            self._wait_for_room(event_writer)  # one word for a thread that dies now or died before
            raise

    def _wait_for_room(self, event_writer: Any) -> None:  # noqa: ANN401
        """Make sure that handing over an event will not hang.

        Both packages' `put` waits for ever where the queue is full and the thread that empties it
        hangs, tensorboardX's also where the thread has died. torch's keeps the error that its
        thread died of and raises that one object every time, with an ever longer traceback. A
        writer without such a thread and queue is left alone.

        Raises:
            ClosedWriterError: the thread has died, or does not get on.
        """
        owner = getattr(event_writer, "_async_writer", event_writer)
        thread = getattr(owner, "_worker", None)
        queue = getattr(owner, "_byte_queue", None) or getattr(owner, "_event_queue", None)
        if thread is None or queue is None:
            return
        deadline = time.monotonic() + MOST_WAITED
        while True:
            died, full = getattr(thread, "exception", None), queue.full()
            gone = died is not None
            if not gone and (full or not hasattr(thread, "exception")):
                # Interrupted, is_alive() takes a running thread for dead, for good (bpo-45274).
                gone = thread not in threading.enumerate()
            if not gone and not full:
                break
            if gone or self._stuck or time.monotonic() > deadline:
                self._stuck = not gone
                why = f" ({type(died).__name__}: {died})" if died else ""
                raise ClosedWriterError(f"the SummaryWriter's thread no longer writes{why}")
            time.sleep(0.001)
        self._stuck = False

    def close(self) -> None:
        """Leave the writer to its owner."""


class DirectorySink:
    """Writes an event file of our own, made at the first event and anew after it was deleted."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self.place: tuple[object, str] = (directory.absolute(), prefix)
        self._directory = directory / prefix
        self._file: EventFile | None = None

    def write(self, values: list[Summary.Value], step: int, wall_time: float) -> None:
        """Append one event.

        Raises:
            OSError: it cannot be written, or the file was deleted: the next event begins another.
        """
        if self._file is None:
            self._file = EventFile(self._directory / _file_name())
        elif _is_deleted(self._file):
            self._file.close()
            self._file = None
            raise FileNotFoundError(
                errno.ENOENT, "the event file was deleted", str(self._directory)
            )
        self._file.add(Event(step=step, wall_time=wall_time, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the event file."""
        if self._file is not None:
            self._file.close()


def _event_class(writer: Any) -> Any:  # noqa: ANN401
    if any(base.__module__.partition(".")[0] == "tensorboardX" for base in type(writer).__mro__):
        from tensorboardX.proto.event_pb2 import Event as EventOfX  # noqa: PLC0415  optional

        return EventOfX
    return Event


def _is_deleted(file: EventFile) -> bool:
    """Whether an open file has no name any more; some file systems count no names at all."""
    return os.fstat(file.fileno()).st_nlink == 0 and not file.path.exists()


def _file_name() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return (
        f"events.out.tfevents.{seconds:010d}.{nanoseconds:09d}.{socket.gethostname()}"
        f".{os.getpid()}.plateau_watch"
    )

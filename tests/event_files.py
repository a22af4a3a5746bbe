"""Event files for the tests: TensorBoard's own protos, framed by TensorBoard's own writer."""

import io
import logging
import struct
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

from plateau_watch.events.framing import LONGEST_SOUGHT
from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.records import LONGEST, Gap, Record, RecordParser
from plateau_watch.events.run_reader import RunLog, read_run
from plateau_watch.series import Series

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of every restart

properties = settings(max_examples=200, deadline=None)
"""For tests of properties: a machine under load is no failure."""

EVENT_FILE = "events.out.tfevents.1700000000.host"
"""An event file's name, as SummaryWriter makes it."""


def framed_by_tensorboard(*payloads: bytes) -> bytes:
    """Frame payloads as TensorBoard's writer does; its CRC is in Python and slow."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    for payload in payloads:
        writer.write(payload)
    return file.getvalue()


def header(length: int) -> bytes:
    """The first 12 bytes of a record that claims this length."""
    claimed = struct.pack("<Q", length)
    return claimed + struct.pack("<I", masked_crc32c(claimed))


def parsed(data: bytes, chunk: int | None = None, **options) -> tuple[list, RecordParser]:
    """Feed data, in chunks of this size or whole; return what came out and the parser."""
    parser = RecordParser(**options)
    size = chunk or max(1, len(data))
    found = [
        item for start in range(0, len(data), size) for item in parser.feed(data[start:][:size])
    ]
    return found, parser


def payloads_of(found: list) -> list[bytes]:
    return [item.payload for item in found if isinstance(item, Record)]


def gaps_of(found: list) -> list[Gap]:
    return [item for item in found if isinstance(item, Gap)]


def parsed_naively(data: bytes) -> tuple[list, Gap | None, bool]:
    """Parse by the rules of the module's docstring: one offset at a time, TensorBoard's CRC.

    Returns:
        The records and gaps, what is pending (its reason only where a CRC failed), and whether
        the data ends within a sound record.
    """
    found, position = [], 0
    while position < len(data):
        what = _looked_at(data, position)
        if isinstance(what, Record):
            found.append(what)
            position += 16 + len(what.payload)
        elif what == "incomplete":
            return found, Gap(position, len(data) - position, "bad payload CRC"), True
        else:
            start = position
            position = _next_sound(data, position + 1)
            if position is None:
                return found, Gap(start, len(data) - start, what), False
            found.append(Gap(start, position - start, what))
    return found, None, False


def ended_naively(data: bytes) -> tuple[list, Gap | None, bool]:
    """Parse likewise, where no more bytes will come: a record that is cut off may hold others."""
    found, rest, incomplete = parsed_naively(data)
    while rest:
        inside = range(rest.offset + 1, len(data))
        sound = (at for at in inside if isinstance(_looked_at(data, at), Record))
        position = next(sound, None)
        if position is None:
            break
        reason = "record cut off" if incomplete else rest.reason
        found.append(Gap(rest.offset, position - rest.offset, reason))
        more, rest, incomplete = parsed_naively(data[position:])
        found += [replace(item, offset=item.offset + position) for item in more]
        rest = rest and replace(rest, offset=rest.offset + position)
    return found, rest, incomplete


def _looked_at(data: bytes, position: int) -> Record | str:
    head = data[position : position + 12]
    if len(head) < 12:
        return "incomplete"
    (length,) = struct.unpack("<Q", head[:8])
    if head != header(length):
        return "bad length CRC"
    if length > LONGEST:
        return "record too long"
    record = data[position + 12 :][: length + 4]
    if len(record) < length + 4:
        return "incomplete"
    payload = record[:length]
    if record[length:] != struct.pack("<I", masked_crc32c(payload)):
        return "bad payload CRC"
    return Record(position, payload)


def _next_sound(data: bytes, start: int) -> int | None:
    for position in range(start, len(data)):
        length = int.from_bytes(data[position : position + 8], "little")
        if len(data) - position >= 12 and length >= LONGEST_SOUGHT:
            continue
        what = _looked_at(data, position)
        if isinstance(what, Record):
            return position
        if what == "incomplete":
            return None
    return None


def simple(tag: str, number: float) -> Summary.Value:
    return Summary.Value(tag=tag, simple_value=number)


def image(tag: str, encoded: bytes) -> Summary.Value:
    return Summary.Value(tag=tag, image=Summary.Image(encoded_image_string=encoded))


def tensor_value(tag: str, tensor: TensorProto, plugin: str | None = None) -> Summary.Value:
    value = Summary.Value(tag=tag, tensor=tensor)
    if plugin is not None:
        value.metadata.CopyFrom(
            SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
        )
    return value


def double(number: float) -> TensorProto:
    """A rank-0 tensor of one double."""
    return TensorProto(dtype=DataType.DT_DOUBLE, double_val=[number])


def event(*values: Summary.Value, step: int = 0, wall_time: float = 0.0) -> Event:
    return Event(step=step, wall_time=wall_time, summary=Summary(value=values))


def restart(step: int) -> Event:
    return Event(step=step, session_log=SessionLog(status=SessionLog.START))


def write_events(path: Path, *events: Event) -> Path:
    """Write an event file that begins with its file_version; return its path."""
    payloads = [each.SerializeToString() for each in (FILE_VERSION, *events)]
    return write_bytes(path, framed_by_tensorboard(*payloads))


def write_bytes(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


FILE_VERSION = Event(file_version="brain.Event:2")


def run_of(directory: Path) -> RunFiles:
    """The event files of a directory as the run "."."""
    return RunFiles(".", tuple(sorted(directory.iterdir())))


def read(directory: Path) -> RunLog:
    return read_run(run_of(directory))


def points(series: Series) -> list[tuple[int, float, float]]:
    """The points of a series as (step, wall_time, value)."""
    return list(
        zip(series.steps.tolist(), series.wall_times.tolist(), series.values.tolist(), strict=True)
    )


def points_by_tensorboard(directory: Path) -> dict[str, list[tuple[int, float, float]]]:
    """What TensorBoard's own reader keeps of a run's scalars, in the order written.

    It lets tensors survive a restart (and the reader of its backend, `plugin_event_accumulator`,
    takes the first restart for none): compare what was logged before one as `simple_value`s only.
    """
    accumulator = EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    kept = {
        tag: [(point.step, point.wall_time, point.value) for point in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }
    for tag in accumulator.Tags()["tensors"]:
        kept[tag] = [
            (point.step, point.wall_time, make_ndarray(point.tensor_proto).item())
            for point in accumulator.Tensors(tag)
        ]
    return kept


def last_of_each_step(written: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """The last write of each step, in step order."""
    return [point for _, point in sorted({point[0]: point for point in written}.items())]

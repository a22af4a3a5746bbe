"""The faults of the fault table: event files made to have each, and what is still there of them.

Every file logs one tag, `loss`, at steps 0 to 199, unless the fault is in what is logged. Framed
and written here, since no writer makes broken files on request.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.events.framing import framed, masked_crc

Point = tuple[int, float]
"""Step and value."""

COUNT = 200

NAMES = "events.out.tfevents.1700000000.host.1.0", "events.out.tfevents.1700009000.host.2.0"


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        name: what is wrong with the file.
        there: the points that are there, sound and not replaced by later ones.
        replaced: points that a restart or a later write of the same step made void.
    """

    name: str
    there: tuple[Point, ...]
    replaced: tuple[Point, ...] = ()


VERSION = Event(wall_time=1.7e9, file_version="brain.Event:2")


def loss(step: int, value: float | None = None, wall_time: float | None = None) -> Event:
    """One logged loss."""
    summary = Summary(value=[Summary.Value(tag="loss", simple_value=_value(step, value))])
    return Event(
        wall_time=1.7e9 + step if wall_time is None else wall_time, step=step, summary=summary
    )


def _value(step: int, value: float | None = None) -> float:
    return 1 / (step + 1) if value is None else value


def _tensor(step: int, tensor: TensorProto) -> Event:
    value = Summary.Value(tag="loss", tensor=tensor)
    value.metadata.CopyFrom(
        SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1)
    )
    return Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value]))


def _records(*events: Event) -> list[bytes]:
    return [framed(event.SerializeToString()) for event in events]


def _losses(first: int = 0, last: int = COUNT) -> list[bytes]:
    return _records(*(loss(step) for step in range(first, last)))


def _points(*ranges: tuple[int, int]) -> tuple[Point, ...]:
    return tuple((step, _float32(_value(step))) for span in ranges for step in range(*span))


def _float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _flipped(record: bytes, position: int) -> bytes:
    return record[:position] + bytes([record[position] ^ 4]) + record[position + 1 :]


def _header(length: int) -> bytes:
    claimed = struct.pack("<Q", length)
    return claimed + struct.pack("<I", masked_crc(claimed))


def make_all(top: Path) -> Iterator[tuple[Path, Fault]]:
    """Make the log directory of each fault, one after the other."""
    for number, maker in enumerate(MAKERS):
        directory = top / f"{number:02}"
        directory.mkdir(parents=True)
        yield directory, maker(directory)


def _write(directory: Path, *files: list[bytes]) -> None:
    for name, records in zip(NAMES, files, strict=False):
        (directory / name).write_bytes(b"".join(records))


def sound(directory: Path) -> Fault:
    """Nothing is wrong."""
    _write(directory, _records(VERSION) + _losses())
    return Fault("none: a sound file", _points((0, COUNT)))


def truncated(directory: Path) -> Fault:
    """The writer was killed within a record."""
    records = _losses()
    _write(directory, _records(VERSION) + records[:-1] + [records[-1][:20]])
    return Fault("last record cut off", _points((0, COUNT - 1)))


def cut_first_file(directory: Path) -> Fault:
    """A training that was killed, and resumed into a second file."""
    first, second = _losses(0, 100), _losses(99)
    _write(directory, _records(VERSION) + first[:-1] + [first[-1][:20]], _records(VERSION) + second)
    return Fault("two files, the first one's last record cut off", _points((0, COUNT)))


def payload_bit(directory: Path) -> Fault:
    """A bit of a value is flipped."""
    records = _losses()
    records[50] = _flipped(records[50], len(records[50]) - 5)
    _write(directory, _records(VERSION) + records)
    return Fault("a bit of one value flipped", _points((0, 50), (51, COUNT)))


def step_bit(directory: Path) -> Fault:
    """A bit of a step is flipped."""
    records = _losses()
    records[50] = _flipped(records[50], 12 + 10)
    _write(directory, _records(VERSION) + records)
    return Fault("a bit of one step flipped", _points((0, 50), (51, COUNT)))


def length_bit(directory: Path) -> Fault:
    """A bit of a record's length is flipped."""
    records = _losses()
    records[50] = _flipped(records[50], 0)
    _write(directory, _records(VERSION) + records)
    return Fault("a bit of one length flipped", _points((0, 50), (51, COUNT)))


def _claims(length: int, name: str) -> Callable[[Path], Fault]:
    def make(directory: Path) -> Fault:
        records = _losses()
        _write(directory, _records(VERSION) + records[:50] + [_header(length)] + records[50:])
        return Fault(name, _points((0, COUNT)))

    return make


def zeros(directory: Path) -> Fault:
    """A network disk lost a block."""
    records = _losses()
    lost = [bytes(len(record)) for record in records[50:100]]
    _write(directory, _records(VERSION) + records[:50] + lost + records[100:])
    return Fault("a quarter of the file zeros", _points((0, 50), (100, COUNT)))


def junk(directory: Path) -> Fault:
    """Foreign bytes between two records."""
    records = _losses()
    _write(directory, _records(VERSION) + records[:50] + [b"junk " * 20] + records[50:])
    return Fault("100 bytes of junk between records", _points((0, COUNT)))


def removed(directory: Path) -> Fault:
    """A stretch that begins and ends within records is missing."""
    records = _losses()
    kept = [*records[:50], records[50][:22], records[60][22:], *records[61:]]
    _write(directory, _records(VERSION) + kept)
    missing = sum(map(len, records)) - sum(map(len, kept))
    return Fault(f"{missing} bytes missing", _points((0, 50), (61, COUNT)))


def no_first_record(directory: Path) -> Fault:
    """The file's first record, its version, is missing."""
    _write(directory, _losses())
    return Fault("no first record (file_version)", _points((0, COUNT)))


def empty(directory: Path) -> Fault:
    """A file of no bytes beside a sound one."""
    _write(directory, [], _records(VERSION) + _losses())
    return Fault("an empty file beside a sound one", _points((0, COUNT)))


def pipe(directory: Path) -> Fault:
    """A pipe with an event file's name, that nobody ever writes to, beside a sound file."""
    os.mkfifo(directory / NAMES[0])
    (directory / NAMES[1]).write_bytes(b"".join(_records(VERSION) + _losses()))
    return Fault("a named pipe beside a sound file", _points((0, COUNT)))


def unreadable_event(directory: Path) -> Fault:
    """A record that is sound and holds no event."""
    records = _losses()
    records.insert(50, framed(b"\x2a\xff\xff\xff\xff\x0f"))
    _write(directory, _records(VERSION) + records)
    return Fault("one record no event, its CRC right", _points((0, COUNT)))


def bad_tag(directory: Path) -> Fault:
    """A tag that is no UTF-8, beside a sound one."""
    records = _losses()
    other = loss(50).SerializeToString().replace(b"loss", b"\xff\xfess")
    _write(directory, _records(VERSION) + records[:50] + [framed(other)] + records[50:])
    return Fault("one tag of another series no UTF-8", _points((0, COUNT)))


def restart(directory: Path) -> Fault:
    """Resumed with purge_step: what the first file logged from step 100 on is void."""
    first = [loss(step, 9.0 if step >= 100 else None) for step in range(150)]
    start = Event(wall_time=1.7e9 + 150, step=100, session_log=SessionLog(status=SessionLog.START))
    _write(directory, _records(VERSION, *first), _records(VERSION, start) + _losses(100))
    replaced = tuple((step, 9.0) for step in range(100, 150))
    return Fault("resumed, purged from step 100 on", _points((0, COUNT)), replaced)


def overlapping(directory: Path) -> Fault:
    """Resumed without saying so: steps 100 to 149 are there twice."""
    first = [loss(step, 9.0 if step >= 100 else None) for step in range(150)]
    _write(directory, _records(VERSION, *first), _records(VERSION) + _losses(100))
    replaced = tuple((step, 9.0) for step in range(100, 150))
    return Fault("resumed, steps 100 to 149 logged twice", _points((0, COUNT)), replaced)


def _encoded(
    name: str, make: Callable[[float], tuple[TensorProto, float]]
) -> Callable[[Path], Fault]:
    def maker(directory: Path) -> Fault:
        made = [make(_value(step)) for step in range(COUNT)]
        tensors = [_tensor(step, tensor) for step, (tensor, _) in enumerate(made)]
        _write(directory, _records(VERSION, *tensors))
        return Fault(name, tuple((step, value) for step, (_, value) in enumerate(made)))

    return maker


def _double(value: float) -> tuple[TensorProto, float]:
    return TensorProto(dtype=DataType.DT_DOUBLE, double_val=[value]), value


def _half(value: float) -> tuple[TensorProto, float]:
    (bits,) = struct.unpack("<H", struct.pack("<e", value))
    (stored,) = struct.unpack("<e", struct.pack("<e", value))
    return TensorProto(dtype=DataType.DT_HALF, half_val=[bits]), stored


def _bfloat16(value: float) -> tuple[TensorProto, float]:
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    (stored,) = struct.unpack("<f", struct.pack("<I", bits >> 16 << 16))
    return TensorProto(dtype=DataType.DT_BFLOAT16, half_val=[bits >> 16]), stored


def claimed_shape(directory: Path) -> Fault:
    """One tensor of another tag claims 2^40 numbers and holds one."""
    tensor = TensorProto(dtype=DataType.DT_FLOAT, float_val=[1.0])
    tensor.tensor_shape.dim.add(size=1 << 40)
    other = _tensor(50, tensor)
    other.summary.value[0].tag = "other"
    records = _losses()
    _write(directory, _records(VERSION) + records[:50] + _records(other) + records[50:])
    return Fault("a tensor of another series that claims 2^40 numbers", _points((0, COUNT)))


def not_finite(directory: Path) -> Fault:
    """Losses that are NaN or infinite."""
    odd = {10: math.nan, 20: math.inf, 30: -math.inf}
    _write(directory, _records(VERSION, *(loss(step, odd.get(step)) for step in range(COUNT))))
    return Fault(
        "values NaN, inf, -inf",
        tuple((step, odd.get(step, _float32(_value(step)))) for step in range(COUNT)),
    )


def odd_wall_times(directory: Path) -> Fault:
    """Wall times that are none."""
    odd = {10: math.nan, 20: math.inf, 30: -1.0}
    events = (loss(step, wall_time=odd.get(step)) for step in range(COUNT))
    _write(directory, _records(VERSION, *events))
    return Fault("wall times NaN, inf, negative", _points((0, COUNT)))


def odd_steps(directory: Path) -> Fault:
    """The lowest and highest steps there can be."""
    events = [loss(-(2**63), 1.0), *map(loss, range(COUNT)), loss(2**63 - 1, 1.0)]
    _write(directory, [*_records(VERSION), *_records(*events)])
    there = ((-(2**63), 1.0), *_points((0, COUNT)), (2**63 - 1, 1.0))
    return Fault("steps -2^63 and 2^63-1", there)


def much_junk(directory: Path) -> Fault:
    """20 MB of zeros in the middle."""
    records = _losses()
    _write(directory, _records(VERSION) + records[:50] + [bytes(20_000_000)] + records[50:])
    return Fault("20 MB of zeros between records", _points((0, COUNT)))


MAKERS: tuple[Callable[[Path], Fault], ...] = (
    sound,
    truncated,
    cut_first_file,
    payload_bit,
    step_bit,
    length_bit,
    _claims(1 << 40, "a length of 2^40 bytes, its CRC right"),
    _claims(2**64 - 1, "a length of 2^64-1 bytes, its CRC right"),
    zeros,
    much_junk,
    junk,
    removed,
    no_first_record,
    empty,
    pipe,
    unreadable_event,
    bad_tag,
    restart,
    overlapping,
    _encoded("scalars as float64 tensors", _double),
    _encoded("scalars as float16 tensors", _half),
    _encoded("scalars as bfloat16 tensors", _bfloat16),
    claimed_shape,
    not_finite,
    odd_wall_times,
    odd_steps,
)

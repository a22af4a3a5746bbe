"""What an event file really holds, told without plateau-watch: a loop over lengths, and protobuf.

Checks no CRC: it is for files whose only damage is a missing end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.util.tensor_util import make_ndarray

Point = tuple[str, int, float, float]
"""Tag, step, wall time, value."""


@dataclass(frozen=True)
class WrittenRecord:
    """A record that is whole: where it lies, its scalars, and how many rows of a hook's trace."""

    offset: int
    end: int
    points: tuple[Point, ...]
    rows: int


def written_records(data: bytes) -> list[WrittenRecord]:
    """The whole records of a file, in order; what remains after the last one is incomplete."""
    found, plugins = [], {}
    for offset, end in _extents(data):
        event = Event.FromString(data[offset + 12 : end - 4])
        points, rows = [], 0
        for value in event.summary.value:
            plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            number = _scalar(value, plugins[value.tag])
            if number is not None:
                points.append((value.tag, event.step, event.wall_time, number))
            rows += plugins[value.tag] == "plateau_watch" and value.tag.endswith("/trace")
        found.append(WrittenRecord(offset, end, tuple(points), rows))
    return found


def end_of_whole_records(data: bytes) -> int:
    """Where the last whole record ends."""
    return max((end for _, end in _extents(data)), default=0)


def last_of_each_step(records: list[WrittenRecord]) -> dict[str, list[tuple[int, float, float]]]:
    """What a series of these records holds: of a (tag, step) the last write, in step order."""
    kept: dict[str, dict[int, tuple[int, float, float]]] = {}
    for record in records:
        for tag, step, wall_time, number in record.points:
            kept.setdefault(tag, {})[step] = (step, wall_time, number)
    return {tag: [point for _, point in sorted(steps.items())] for tag, steps in kept.items()}


def first_records(path: Path, most: int) -> bytes:
    """The beginning of a file: as many whole records as fit into so many bytes."""
    data = path.read_bytes()[:most]
    return data[: end_of_whole_records(data)]


def _extents(data: bytes) -> Iterator[tuple[int, int]]:
    offset = 0
    while offset + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, offset)
        end = offset + 12 + length + 4
        if end > len(data):
            return
        yield offset, end
        offset = end


def _scalar(value: Summary.Value, plugin: str) -> float | None:
    if value.WhichOneof("value") == "simple_value":
        return value.simple_value
    is_scalar = value.HasField("tensor") and plugin in ("", "scalars")
    if not is_scalar or value.tensor.tensor_shape.dim:
        return None
    return float(make_ndarray(value.tensor))

"""summaries: a record's payload -> the values it holds, as far as anybody wants them.

An `Event` proto is looked at field by field (`wire`); images, histograms, audio and graphs are
passed over. Knows nothing of files, runs or order. A scalar is what TensorBoard's scalar dashboard
shows: a `simple_value`, or a rank-0 tensor of any number type.

Source: event.proto and summary.proto of tensorboard 2.21 (tensorboard/compat/proto).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.summary_pb2 import SummaryMetadata

from plateau_watch.events import tensors
from plateau_watch.events.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    CutField,
    WireError,
    beginning,
    fields,
    signed,
)
from plateau_watch.precision import Precision

_EVENT_WALL_TIME, _EVENT_STEP, _EVENT_SUMMARY, _EVENT_SESSION_LOG = 1, 2, 5, 7
_EVENT_NEVER_PARSED = frozenset({4, 6, 8, 9})
"""graph_def, log_message, tagged_run_metadata, meta_graph_def"""

_VALUE_TAG, _VALUE_SIMPLE, _VALUE_TENSOR, _VALUE_METADATA = 1, 2, 8, 9
_VALUE_NEVER_PARSED = frozenset({3, 4, 5, 6})
"""obsolete_old_style_histogram, image, histo, audio"""

_SESSION_START = 1


class NotAnEventError(ValueError):
    """The payload's CRC holds, yet it is no Event proto."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a summary, not yet parsed.

    Attributes:
        tag: as logged; bytes that are no UTF-8 are replaced.
        simple_value: a float32, or None.
        tensor: the bytes of a TensorProto, or None.
        metadata: the bytes of a SummaryMetadata, or None (many writers send it once a tag).
    """

    tag: str
    simple_value: float | None
    tensor: memoryview | None
    metadata: memoryview | None


@dataclass(frozen=True, slots=True)
class Event:
    """One event: where it stands, whether it restarts the run, and its values.

    Attributes:
        step: the training's step.
        wall_time: seconds since the epoch.
        restart: a SessionLog.START: points at this step and beyond are void.
        values: those that are a `simple_value` or a tensor, or that have metadata.
    """

    step: int
    wall_time: float
    restart: bool
    values: tuple[Value, ...]


def decode_event(payload: bytes) -> Event:
    """Decode a payload.

    Raises:
        NotAnEventError: the payload is no Event proto.
    """
    step, wall_time, restart = 0, 0.0, False
    values: list[Value] = []
    try:
        for field in fields(memoryview(payload)):
            if field.number == _EVENT_WALL_TIME and field.kind == FIXED64:
                (wall_time,) = struct.unpack("<d", field.content)
            elif field.number == _EVENT_STEP and field.kind == VARINT:
                step = signed(field.varint)
            elif field.number == _EVENT_SUMMARY and field.kind == BYTES:
                values += _values(field.content)
            elif field.number == _EVENT_SESSION_LOG and field.kind == BYTES:
                restart = _status(field.content) == _SESSION_START
    except WireError as error:
        raise NotAnEventError(str(error)) from None
    return Event(step, wall_time, restart, tuple(values))


def may_hold_scalars(start: bytes, length: int) -> bool:
    """Whether a large payload is worth collecting, told from its first bytes.

    It is not where one thing that is never parsed reaches from there to the payload's end: a
    graph, or a summary whose one value is an image, a histogram, audio or a large tensor. Where
    anything may follow, it is.
    """
    try:
        for field in beginning(memoryview(start)):
            if field.end == length and field.number in _EVENT_NEVER_PARSED:
                return False
            if field.end == length and field.number == _EVENT_SUMMARY:
                return _summary_may_hold_scalars(field)
    except WireError:
        pass
    return True


def _summary_may_hold_scalars(summary: CutField) -> bool:
    """Look at the first value of a summary that is cut off."""
    for value in beginning(summary.content):
        if value.end < summary.size:
            return True
        return not any(
            field.number in _VALUE_NEVER_PARSED
            or (field.number == _VALUE_TENSOR and field.size > tensors.LARGEST)
            for field in beginning(value.content)
        )
    return True


def plugin_of(metadata: memoryview) -> tuple[str, bytes]:
    """Return the name of the plugin that a value is for ("" for none), and its content."""
    try:
        plugin = SummaryMetadata.FromString(bytes(metadata)).plugin_data
    except DecodeError:
        return "", b""
    return str(plugin.plugin_name), bytes(plugin.content)


def scalar(value: Value) -> tuple[float, Precision] | None:
    """Return a scalar and the encoding it was stored in; None where the value is no scalar."""
    if value.simple_value is not None:
        return value.simple_value, "float32"
    return None if value.tensor is None else tensors.scalar(value.tensor)


def _values(summary: memoryview) -> list[Value]:
    values = (
        _value(field.content)
        for field in fields(summary)
        if field.number == 1 and field.kind == BYTES
    )
    return [value for value in values if value is not None]


def _value(message: memoryview) -> Value | None:
    tag = ""
    simple: float | None = None
    tensor: memoryview | None = None
    metadata: memoryview | None = None
    for field in fields(message):
        if field.number == _VALUE_TAG and field.kind == BYTES:
            tag = bytes(field.content).decode("utf-8", errors="replace")
        elif field.number == _VALUE_SIMPLE and field.kind == FIXED32:
            (simple,) = struct.unpack("<f", field.content)
        elif field.number == _VALUE_TENSOR and field.kind == BYTES:
            tensor = field.content
        elif field.number == _VALUE_METADATA and field.kind == BYTES:
            metadata = field.content
    if simple is None and tensor is None and metadata is None:
        return None
    return Value(tag, simple, tensor, metadata)


def _status(session_log: memoryview) -> int:
    return next((field.varint for field in fields(session_log) if field.number == 1), 0)

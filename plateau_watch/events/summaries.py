"""summaries: a record's payload -> the values it holds, as far as anybody wants them.

An `Event` proto is looked at field by field (`wire`); images, histograms, audio and graphs are
passed over. Knows nothing of files, runs or order. A scalar is what TensorBoard's scalar dashboard
shows: a `simple_value`, or a rank-0 tensor of any number type.

Source: event.proto and summary.proto of tensorboard 2.21 (tensorboard/compat/proto).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

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

_METADATA_PLUGIN, _PLUGIN_NAME, _PLUGIN_CONTENT = 1, 1, 2

_SESSION_START = 1

MOST_VALUES = 1 << 16
"""Values of one record that are read: writers put some hundreds into one at most, and each takes
some 500 bytes while it is looked at."""

LONGEST_TAG = 1024
"""Bytes of a tag. It is a name that people read; the longest that a file can have is 255."""


class NotAnEventError(ValueError):
    """The payload's CRC holds, yet it is no Event proto."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a summary, not yet parsed.

    Attributes:
        tag: as logged; bytes that are no UTF-8 are kept as surrogates, as in names of files, so
            that two tags never become one.
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
        long_tags: how many of them are left out, since their tags are too long.
        cut: there are more values than are read of one record.
    """

    step: int
    wall_time: float
    restart: bool
    values: tuple[Value, ...]
    long_tags: int = 0
    cut: bool = False


def decode_event(payload: bytes) -> Event:
    """Decode a payload.

    Raises:
        NotAnEventError: the payload is no Event proto.
    """
    step, wall_time, restart = 0, 0.0, False
    values: list[Value | None] = []
    cut = False
    try:
        for field in fields(memoryview(payload)):
            if field.number == _EVENT_WALL_TIME and field.kind == FIXED64:
                (wall_time,) = struct.unpack("<d", field.content)
            elif field.number == _EVENT_STEP and field.kind == VARINT:
                step = signed(field.varint)
            elif field.number == _EVENT_SUMMARY and field.kind == BYTES:
                cut |= _take_values(field.content, values)
            elif field.number == _EVENT_SESSION_LOG and field.kind == BYTES:
                restart = _status(field.content) == _SESSION_START
    except WireError as error:
        raise NotAnEventError(str(error)) from None
    kept = tuple(filter(None, values))
    return Event(step, wall_time, restart, kept, len(values) - len(kept), cut)


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


def plugin_of(metadata: memoryview) -> tuple[str, memoryview]:
    """Return the name of the plugin that a value is for ("" for none), and its content."""
    name, content = b"", memoryview(b"")
    try:
        for field in fields(metadata):
            if field.number == _METADATA_PLUGIN and field.kind == BYTES:
                for part in fields(field.content):
                    if part.number == _PLUGIN_NAME and part.kind == BYTES:
                        name = bytes(part.content[:LONGEST_TAG])
                    elif part.number == _PLUGIN_CONTENT and part.kind == BYTES:
                        content = part.content
    except WireError:
        return "", memoryview(b"")
    return name.decode("utf-8", errors="surrogateescape"), content


def scalar(value: Value) -> tuple[float, Precision] | None:
    """Return a scalar and the encoding it was stored in; None where the value is no scalar."""
    if value.simple_value is not None:
        return value.simple_value, "float32"
    return None if value.tensor is None else tensors.scalar(value.tensor)


def _take_values(summary: memoryview, values: list[Value | None]) -> bool:
    """Add the values of a summary, None for one with too long a tag; whether some were left."""
    for count, field in enumerate(fields(summary, most=MOST_VALUES + 1)):
        if count == MOST_VALUES:
            return True
        if field.number == 1 and field.kind == BYTES:
            _take_value(field.content, values)
    return False


def _take_value(message: memoryview, values: list[Value | None]) -> None:
    """Add a value that anybody wants."""
    tag = memoryview(b"")
    simple: float | None = None
    tensor: memoryview | None = None
    metadata: memoryview | None = None
    for field in fields(message):
        if field.number == _VALUE_TAG and field.kind == BYTES:
            tag = field.content
        elif field.number == _VALUE_SIMPLE and field.kind == FIXED32:
            (simple,) = struct.unpack("<f", field.content)
        elif field.number == _VALUE_TENSOR and field.kind == BYTES:
            tensor = field.content
        elif field.number == _VALUE_METADATA and field.kind == BYTES:
            metadata = field.content
    if simple is None and tensor is None and metadata is None:
        return
    if len(tag) > LONGEST_TAG:
        values.append(None)
    else:
        name = bytes(tag).decode("utf-8", errors="surrogateescape")
        values.append(Value(name, simple, tensor, metadata))


def _status(session_log: memoryview) -> int:
    return next((field.varint for field in fields(session_log) if field.number == 1), 0)

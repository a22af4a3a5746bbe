"""What holds for any bytes that are read as an event file; for the fuzz target and its corpus.

any bytes -> records, gaps and a rest that lie end to end and are all of the file
          -> the same, fed in chunks of any size
a record  -> is those bytes of the file, framed by TensorBoard's own writer
          -> an event, or "no event", never another exception
an event  -> the values that protobuf reads there, where the payload is as protobuf writes it
events    -> series and traces, never an exception; no more points than values were written
"""

from __future__ import annotations

import struct

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event as EventProto
from tensorboard.compat.proto.event_pb2 import SessionLog

from plateau_watch.events.file_content import FileContent
from plateau_watch.events.framing import framed
from plateau_watch.events.joined import series_of, traces_of
from plateau_watch.events.records import Gap, Record, RecordParser
from plateau_watch.events.summaries import (
    Event,
    NotAnEventError,
    decode_event,
    may_hold_scalars,
    scalar,
)


def check_reading(data: bytes) -> FileContent:
    """Read bytes as an event file and check all of the above; return what they hold.

    Raises:
        AssertionError: reading broke a promise. Any other exception is a bug as well.
    """
    found, pending = fed(data, [len(data) + 1])
    for sizes in ([1 + len(data) % 61 + len(data) // 32], [1, 4096, 7]):
        assert fed(data, sizes) == (found, pending), "chunks change what is read"
    _lie_end_to_end(data, [*found, *([pending] if pending else [])])
    content = FileContent()
    for item in found:
        if isinstance(item, Record):
            _take(item.payload, content)
    series_of([content], "run")
    traces_of([content], "run")
    series_of([content, content], "run")
    traces_of([content, content], "run")
    return content


def fed(data: bytes, sizes: list[int], **options) -> tuple[list[Record | Gap], Gap | None]:
    """Feed bytes in chunks of these sizes, repeated; return what comes out and what is left."""
    parser = RecordParser(**options)
    found: list[Record | Gap] = []
    position = turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        found += parser.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    found += parser.finish()
    return found, parser.pending


def _lie_end_to_end(data: bytes, found: list[Record | Gap]) -> None:
    position = 0
    for item in found:
        assert item.offset == position, "something between two records or gaps is not named"
        if isinstance(item, Gap):
            assert item.length > 0, "an empty gap"
            position += item.length
            continue
        whole = framed(item.payload)
        assert data[position : position + len(whole)] == whole, "a record that is not in the file"
        position += len(whole)
    assert position == len(data), "the end of the file is not named"


def _take(payload: bytes, content: FileContent) -> None:
    may_hold_scalars(payload[:4096], len(payload))
    try:
        event = decode_event(payload)
    except NotAnEventError:
        return
    _as_protobuf_reads_it(payload, event)
    before = sum(map(len, content.points.values()))
    content.take(event)
    assert sum(map(len, content.points.values())) <= before + len(event.values), "points made up"


def _as_protobuf_reads_it(payload: bytes, event: Event) -> None:
    try:
        proto = EventProto.FromString(payload)
    except DecodeError:
        return
    if proto.SerializeToString(deterministic=True) != payload:
        return  # fields twice, or in another order: protobuf merges them, nobody writes them
    assert event.step == proto.step
    assert struct.pack("<d", event.wall_time) == struct.pack("<d", proto.wall_time)
    assert event.restart == (proto.session_log.status == SessionLog.START)
    ours = [
        (value.tag, struct.pack("<f", value.simple_value))
        for value in event.values
        if value.simple_value is not None
    ]
    theirs = [
        (value.tag, struct.pack("<f", value.simple_value))
        for value in proto.summary.value
        if value.WhichOneof("value") == "simple_value"
    ]
    assert ours == theirs, "another value than protobuf reads"
    for value in event.values:
        assert scalar(value) is None or value.simple_value is not None or value.tensor is not None

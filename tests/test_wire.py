"""The fields of a protobuf message, read as protobuf itself reads them."""

import struct

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from plateau_watch.events.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    WireError,
    beginning,
    fields,
    signed,
)
from tests.event_files import properties

int64s = st.one_of(st.sampled_from([0, 1, 127, 128, -1, 2**63 - 1, -(2**63)]), st.integers(0, 9999))
values = st.builds(
    lambda tag, kind: Summary.Value(tag=tag, **kind),
    tag=st.text(max_size=8),
    kind=st.one_of(
        st.fixed_dictionaries({"simple_value": st.floats(width=32)}),
        st.fixed_dictionaries(
            {"histo": st.builds(HistogramProto, bucket=st.lists(st.floats(), max_size=3))}
        ),
        st.fixed_dictionaries(
            {"image": st.builds(Summary.Image, encoded_image_string=st.binary(max_size=20))}
        ),
    ),
)
events = st.builds(
    lambda wall_time, step, content: Event(wall_time=wall_time, step=step, **content),
    wall_time=st.floats(),
    step=int64s,
    content=st.one_of(
        st.just({}),
        st.fixed_dictionaries({"file_version": st.text(max_size=8)}),
        st.fixed_dictionaries({"graph_def": st.binary(max_size=300)}),
        st.fixed_dictionaries(
            {"summary": st.builds(Summary, value=st.lists(values, max_size=3))},
        ),
    ),
)


def varint(number: int, padding: int = 0) -> bytes:
    """Encode a number of up to 64 bits, in this many bytes more than it needs, ten at most."""
    septets = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    septets += [0] * min(padding, 10 - len(septets))
    return bytes([*(septet | 0x80 for septet in septets[:-1]), septets[-1]])


numbers = st.one_of(st.sampled_from([1, 15, 16, 2**29 - 1]), st.integers(1, 2**29 - 1))
varints = st.builds(
    lambda number, value, padding: varint(number << 3 | VARINT) + varint(value, padding),
    numbers,
    st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)),
    st.integers(0, 9),
)
fixed = st.one_of(
    st.builds(
        lambda number, content, kind=kind: varint(number << 3 | kind) + content,
        numbers,
        st.binary(min_size=size, max_size=size),
    )
    for kind, size in ((FIXED32, 4), (FIXED64, 8))
)
contents = st.builds(
    lambda number, content: varint(number << 3 | BYTES) + varint(len(content)) + content,
    numbers,
    st.binary(max_size=200),
)


def fields_of(message: bytes) -> list[tuple]:
    """Our reading: (number, wire type, content), numbers as protobuf gives them."""
    return [(field.number, field.kind, content_of(field)) for field in fields(memoryview(message))]


def content_of(field: Field) -> int | bytes:
    if field.kind == VARINT:
        return field.varint
    if field.kind == BYTES:
        return bytes(field.content)
    return struct.unpack("<I" if field.kind == FIXED32 else "<Q", field.content)[0]


def fields_by_protobuf(message: bytes) -> list[tuple] | None:
    """Protobuf's reading of a message none of whose fields it knows; None where it refuses."""
    try:
        unknown = UnknownFieldSet(Empty.FromString(message))
    except DecodeError:
        return None
    return [(field.field_number, field.wire_type, field.data) for field in unknown]


class TestFields:
    @properties
    @given(events)
    def test_fields_are_those_protobuf_wrote(self, event):
        message = event.SerializeToString()
        assert fields_of(message) == fields_by_protobuf(message)

    @properties
    @given(values)
    def test_fields_within_a_field_are_those_protobuf_wrote(self, value):
        event = Event(summary=Summary(value=[value]))
        (summary,) = fields(memoryview(event.SerializeToString()))
        (message,) = fields(summary.content)
        assert fields_of(bytes(message.content)) == fields_by_protobuf(value.SerializeToString())

    @properties
    @given(st.lists(st.one_of(varints, fixed, contents), max_size=5).map(b"".join))
    def test_any_fields_are_read_as_protobuf_reads_them(self, message):
        assert fields_of(message) == fields_by_protobuf(message)

    @properties
    @given(events, st.data())
    def test_a_cut_message_is_refused_where_protobuf_refuses_it(self, event, data):
        message = event.SerializeToString()
        cut = message[: data.draw(st.integers(0, len(message)))]
        expected = fields_by_protobuf(cut)
        if expected is None:
            with pytest.raises(WireError):
                fields_of(cut)
        else:
            assert fields_of(cut) == expected

    def test_fields_come_in_the_order_they_lie(self):
        message = b"\x10\x07" + b"\x08\x05" + b"\x10\x09"
        assert fields_of(message) == [(2, VARINT, 7), (1, VARINT, 5), (2, VARINT, 9)]

    def test_fields_before_the_broken_one_are_yielded(self):
        read = fields(memoryview(b"\x08\x05" + b"\x12\x09short"))
        assert next(read).varint == 5
        with pytest.raises(WireError, match="a field of 9 bytes passes the end"):
            next(read)

    def test_contents_are_slices_of_the_message_and_no_copies(self):
        message = bytearray(b"\x12\x03abc")
        (field,) = fields(memoryview(message))
        message[2:] = b"xyz"
        assert bytes(field.content) == b"xyz"

    def test_an_empty_message_has_no_fields(self):
        assert fields_of(b"") == []

    @pytest.mark.parametrize(
        "message",
        [
            pytest.param(b"\x08", id="no value"),
            pytest.param(b"\x08\x80", id="half a varint"),
            pytest.param(b"\x80", id="half a key"),
            pytest.param(b"\x12", id="no length"),
            pytest.param(b"\x12\x80", id="half a length"),
        ],
    )
    def test_a_varint_that_passes_the_end_is_an_error(self, message):
        with pytest.raises(WireError, match="a varint passes the end"):
            fields_of(message)

    def test_a_varint_of_eleven_bytes_is_an_error(self):
        with pytest.raises(WireError, match="more than ten bytes"):
            fields_of(b"\x08" + b"\x80" * 10 + b"\x00")

    def test_a_varint_of_ten_bytes_holds_64_bits(self):
        assert fields_of(b"\x08" + b"\xff" * 9 + b"\x01") == [(1, VARINT, 2**64 - 1)]
        assert fields_of(b"\x08" + b"\xff" * 9 + b"\x7f") == [(1, VARINT, 2**64 - 1)]

    @pytest.mark.parametrize(
        "message",
        [
            pytest.param(b"\x12\x04abc", id="bytes"),
            pytest.param(b"\x12" + b"\xff" * 9 + b"\x01abc", id="2**64 - 1 bytes"),
            pytest.param(b"\x0dabc", id="fixed32"),
            pytest.param(b"\x09abcdefg", id="fixed64"),
        ],
    )
    def test_a_content_that_passes_the_end_is_an_error(self, message):
        with pytest.raises(WireError, match="passes the end"):
            fields_of(message)

    @pytest.mark.parametrize("kind", [3, 4, 6, 7])
    def test_groups_and_undefined_wire_types_are_an_error(self, kind):
        with pytest.raises(WireError, match=f"wire type {kind}"):
            fields_of(bytes([1 << 3 | kind]) + bytes(20))


class TestBeginning:
    # varint 5; field 2 with "abc"; fixed64; field 3 with "defgh"
    MESSAGE = b"\x08\x05" + b"\x12\x03abc" + b"\x21" + bytes(8) + b"\x1a\x05defgh"

    def cut_at(self, end: int) -> list[tuple]:
        return [
            (field.number, field.size, field.end, bytes(field.content))
            for field in beginning(memoryview(self.MESSAGE[:end]))
        ]

    def test_a_whole_message_yields_its_length_delimited_fields(self):
        assert self.cut_at(23) == [(2, 3, 7, b"abc"), (3, 5, 23, b"defgh")]

    @pytest.mark.parametrize("end", range(18, 23))
    def test_the_last_field_may_be_cut_off_and_ends_past_what_is_there(self, end):
        assert self.cut_at(end) == [(2, 3, 7, b"abc"), (3, 5, 23, b"defgh"[: end - 18])]

    @pytest.mark.parametrize("end", [2, *range(4, 8), *range(8, 17)])
    def test_what_lies_past_the_cut_is_not_yielded(self, end):
        assert [field[:3] for field in self.cut_at(end)] == ([(2, 3, 7)] if end >= 4 else [])

    @pytest.mark.parametrize("end", [1, 3, 17])
    def test_a_cut_within_a_key_and_its_number_is_an_error(self, end):
        with pytest.raises(WireError):
            self.cut_at(end)

    def test_the_ends_are_those_of_the_whole_message(self):
        event = Event(step=300, summary=Summary(value=[Summary.Value(tag="t" * 5000)]))
        message = event.SerializeToString()
        (summary,) = beginning(memoryview(message)[:100])
        assert (summary.number, summary.end, len(summary.content)) == (5, len(message), 100 - 6)
        assert summary.size == len(event.summary.SerializeToString())


class TestSigned:
    @properties
    @given(int64s)
    def test_an_int64_is_read_back_with_its_sign(self, number):
        message = Event(step=number).SerializeToString()
        assert [signed(field.varint) for field in fields(memoryview(message))] == [number][
            : len(message)
        ]

    def test_the_highest_bit_is_the_sign(self):
        assert signed(2**63 - 1) == 2**63 - 1
        assert signed(2**63) == -(2**63)


def test_wire_types_have_protobufs_numbers():
    assert (VARINT, FIXED64, BYTES, FIXED32) == (0, 1, 2, 5)

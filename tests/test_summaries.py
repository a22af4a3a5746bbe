"""Summaries: a payload's scalars are read, and nothing else in it is parsed or can do harm."""

import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event, LogMessage, SessionLog, TaggedRunMetadata
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.events.records import LARGE, PEEK, Record
from plateau_watch.events.summaries import (
    NotAnEventError,
    decode_event,
    may_hold_scalars,
    plugin_of,
    scalar,
)
from tests.event_files import (
    double,
    event,
    image,
    parsed,
    properties,
    restart,
    simple,
    tensor_value,
)


def decoded(proto: Event):
    return decode_event(proto.SerializeToString())


def scalars(payload: bytes) -> list[tuple]:
    """The scalars of an event: (tag, number, precision)."""
    found = ((value.tag, scalar(value)) for value in decode_event(payload).values)
    return [(tag, *number) for tag, number in found if number]


def scalars_of(*values: Summary.Value) -> list[tuple]:
    return scalars(event(*values).SerializeToString())


def field(number: int, content: bytes) -> bytes:
    """One length-delimited field of up to 127 bytes, of any content."""
    return bytes([number << 3 | 2, len(content)]) + content


class TestEvents:
    @properties
    @given(st.integers(-(2**63), 2**63 - 1), st.floats())
    def test_step_and_wall_time_are_those_written(self, step, wall_time):
        read = decoded(Event(step=step, wall_time=wall_time))
        assert read.step == step
        assert struct.pack("<d", read.wall_time) == struct.pack("<d", wall_time)

    def test_an_event_without_step_and_wall_time_has_zeros(self):
        read = decoded(Event(summary=Summary(value=[simple("loss", 1.0)])))
        assert (read.step, read.wall_time) == (0, 0.0)

    def test_values_come_in_the_order_written(self):
        values = [simple("b", 1.0), simple("a", 2.0), simple("b", 3.0)]
        assert [(tag, number) for tag, number, _ in scalars_of(*values)] == [
            ("b", 1.0),
            ("a", 2.0),
            ("b", 3.0),
        ]

    def test_several_summaries_in_one_event_are_merged_as_protobuf_merges_them(self):
        payload = event(simple("a", 1.0)).SerializeToString()
        payload += event(simple("b", 2.0)).SerializeToString()
        tags = [value.tag for value in Event.FromString(payload).summary.value]
        assert [tag for tag, *_ in scalars(payload)] == tags == ["a", "b"]

    def test_only_simple_values_and_tensors_are_values(self):
        read = decoded(event(image("i", b"PNG"), simple("s", 1.0), tensor_value("t", double(2.0))))
        assert [value.tag for value in read.values] == ["s", "t"]

    def test_a_session_log_start_is_a_restart_at_its_step(self):
        read = decoded(restart(7))
        assert (read.restart, read.step, read.values) == (True, 7, ())

    @pytest.mark.parametrize(
        "other",
        [
            Event(session_log=SessionLog(status=SessionLog.STOP)),
            Event(session_log=SessionLog(status=SessionLog.CHECKPOINT)),
            Event(session_log=SessionLog(msg="hello")),
            Event(file_version="brain.Event:2"),
            event(simple("loss", 1.0)),
        ],
    )
    def test_no_other_event_is_a_restart(self, other):
        assert not decoded(other).restart

    @pytest.mark.parametrize(
        "other",
        [
            Event(file_version="brain.Event:2"),
            Event(graph_def=b"\xff no graph"),
            Event(meta_graph_def=b"\xff no graph"),
            Event(log_message=LogMessage(message="hello")),
            Event(tagged_run_metadata=TaggedRunMetadata(tag="t", run_metadata=b"\xff")),
        ],
    )
    def test_events_of_other_kinds_hold_no_values(self, other):
        assert decoded(other).values == ()


class TestScalars:
    @properties
    @given(st.floats(width=32), st.text(max_size=10))
    def test_a_simple_value_is_read_exactly_as_float32(self, number, tag):
        ((read_tag, read, precision),) = scalars_of(simple(tag, number))
        assert (read_tag, precision) == (tag, "float32")
        assert struct.pack("<f", read) == struct.pack("<f", number)

    def test_a_simple_value_of_zero_is_a_scalar(self):
        assert scalars_of(simple("loss", 0.0)) == [("loss", 0.0, "float32")]

    def test_a_rank_0_tensor_is_read_in_its_own_precision(self):
        single = TensorProto(dtype=DataType.DT_FLOAT, float_val=[0.5])
        assert scalars_of(tensor_value("a", double(0.1)), tensor_value("b", single)) == [
            ("a", 0.1, "float64"),
            ("b", 0.5, "float32"),
        ]

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(image("x", b"PNG"), id="image"),
            pytest.param(
                Summary.Value(tag="x", histo=HistogramProto(min=1, max=2, bucket=[1.0])),
                id="histogram",
            ),
            pytest.param(Summary.Value(tag="x", audio=Summary.Audio(sample_rate=1)), id="audio"),
            pytest.param(Summary.Value(tag="x"), id="nothing"),
            pytest.param(
                tensor_value("x", TensorProto(dtype=DataType.DT_STRING, string_val=[b"1"])),
                id="text",
            ),
        ],
    )
    def test_other_values_are_no_scalars_and_cost_none_of_those_around(self, value):
        assert scalars_of(simple("before", 1.0), value, simple("after", 2.0)) == [
            ("before", 1.0, "float32"),
            ("after", 2.0, "float32"),
        ]

    @pytest.mark.parametrize(
        "number",
        [pytest.param(n, id=w) for n, w in enumerate(["old", "image", "histo", "audio"], 3)],
    )
    def test_the_body_of_an_image_histogram_or_audio_is_never_parsed(self, number):
        corrupt = field(1, b"x") + field(number, b"\xff\xff\xff corrupt")
        loss = simple("loss", 0.5).SerializeToString()
        summary = field(1, corrupt) + field(1, loss)
        assert scalars(field(5, summary)) == [("loss", 0.5, "float32")]

    def test_a_corrupt_tensor_costs_itself_alone(self):
        corrupt = field(1, b"x") + field(8, b"\xff\xff\xff corrupt")
        loss = simple("loss", 0.5).SerializeToString()
        assert scalars(field(5, field(1, corrupt) + field(1, loss))) == [("loss", 0.5, "float32")]

    @properties
    @given(st.binary(max_size=12))
    def test_a_tag_of_any_bytes_keeps_them_as_a_files_name_does(self, name):
        value = field(1, name) + b"\x15" + struct.pack("<f", 0.5)
        ((tag, *_),) = scalars(field(5, field(1, value)))
        assert os.fsencode(tag) == name


class TestMetadata:
    def test_the_plugin_is_that_of_the_metadata(self):
        content = SummaryMetadata.PluginData(plugin_name="mine", content=b"\x00\xff")
        value = Summary.Value(
            tag="x", simple_value=1.0, metadata=SummaryMetadata(plugin_data=content)
        )
        (read,) = decoded(event(value)).values
        assert plugin_of(read.metadata) == ("mine", b"\x00\xff")

    def test_a_value_without_metadata_says_so(self):
        (read,) = decoded(event(simple("x", 1.0))).values
        assert read.metadata is None

    @pytest.mark.parametrize("metadata", [b"", b"\xff\xff corrupt"])
    def test_metadata_that_name_no_plugin_are_for_none(self, metadata):
        assert plugin_of(memoryview(metadata)) == ("", b"")


class TestDamagedPayloads:
    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"plain text, no proto", id="text"),
            pytest.param(b"\xff" * 20, id="ones"),
            pytest.param(event(simple("loss", 0.5)).SerializeToString()[:-1], id="cut event"),
            pytest.param(field(5, field(1, b"\x0a\x7f")), id="length past the value"),
            pytest.param(field(5, b"\x0a\x7f"), id="length past the summary"),
            pytest.param(field(7, b"\xff"), id="session log"),
        ],
    )
    def test_a_payload_that_is_no_event_is_an_error(self, payload):
        with pytest.raises(NotAnEventError):
            decode_event(payload)

    @properties
    @given(st.data())
    def test_whatever_the_bytes_there_is_no_other_error(self, data):
        whole = event(
            simple("loss", 0.5), tensor_value("lr", double(0.1), "scalars"), image("i", b"PNG")
        )
        payload = bytearray(whole.SerializeToString())
        for _ in range(data.draw(st.integers(1, 3))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        try:
            read = scalars(bytes(payload))
        except NotAnEventError:
            read = []
        assert all(isinstance(number, float) for _, number, _ in read)


class TestMayHoldScalars:
    """What a reader is told of a payload longer than `LARGE` from its first `PEEK` bytes."""

    LARGE_IMAGE = image("sample", b"\x89PNG" + bytes(LARGE))

    def may_hold(self, proto: Event) -> bool:
        payload = proto.SerializeToString()
        assert len(payload) > LARGE
        return may_hold_scalars(payload[:PEEK], len(payload))

    def test_an_image_of_torchs_writer_is_declined(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (3, 180, 180), dtype=np.uint8)
        with SummaryWriter(str(tmp_path)) as writer:
            writer.add_image("sample", noise, global_step=1000)
        (path,) = tmp_path.iterdir()
        found, _ = parsed(path.read_bytes())
        payload = found[-1].payload
        assert isinstance(found[-1], Record)
        assert Event.FromString(payload).summary.value[0].HasField("image")
        assert len(payload) > LARGE
        assert not may_hold_scalars(payload[:PEEK], len(payload))

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(LARGE_IMAGE, id="image"),
            pytest.param(
                Summary.Value(tag="x", histo=HistogramProto(bucket=[1.0] * LARGE)), id="histogram"
            ),
            pytest.param(
                Summary.Value(tag="x", audio=Summary.Audio(encoded_audio_string=bytes(LARGE))),
                id="audio",
            ),
            pytest.param(
                tensor_value(
                    "x", TensorProto(dtype=DataType.DT_STRING, string_val=[bytes(2 * LARGE)]), "t"
                ),
                id="large tensor",
            ),
        ],
    )
    def test_a_summary_of_one_large_value_that_is_no_scalar_is_declined(self, value):
        assert not self.may_hold(event(value, step=3, wall_time=1.5))

    @pytest.mark.parametrize("kind", ["graph_def", "meta_graph_def"])
    def test_a_graph_is_declined(self, kind):
        assert not self.may_hold(Event(wall_time=1.0, **{kind: bytes(2 * LARGE)}))

    def test_run_metadata_and_log_messages_are_declined(self):
        metadata = TaggedRunMetadata(tag="t", run_metadata=bytes(2 * LARGE))
        assert not self.may_hold(Event(tagged_run_metadata=metadata))
        assert not self.may_hold(Event(log_message=LogMessage(message="m" * 2 * LARGE)))

    def test_a_merged_summary_with_an_image_before_a_scalar_is_wanted(self):
        assert self.may_hold(event(self.LARGE_IMAGE, simple("loss", 0.5)))

    def test_a_merged_summary_with_a_scalar_before_an_image_is_wanted(self):
        assert self.may_hold(event(simple("loss", 0.5), self.LARGE_IMAGE))

    def test_a_summary_of_many_scalars_is_wanted(self):
        assert self.may_hold(event(*(simple(f"loss/{n}", 0.5) for n in range(5000))))

    @pytest.mark.parametrize("length", [1, *range(PEEK - 20, PEEK), LARGE])
    def test_where_the_beginning_does_not_tell_it_is_wanted(self, length):
        assert self.may_hold(
            event(Summary.Value(tag="t" * length, node_name="n" * LARGE, tensor=double(0.5)))
        )

    def test_a_small_tensor_with_large_metadata_is_wanted(self):
        content = SummaryMetadata.PluginData(content=bytes(2 * LARGE))
        metadata = SummaryMetadata(plugin_data=content)
        assert self.may_hold(event(Summary.Value(tag="x", tensor=double(0.5), metadata=metadata)))

    def test_an_image_whose_kind_lies_past_the_beginning_is_wanted(self):
        assert self.may_hold(event(image("t" * PEEK, bytes(LARGE))))

    def test_a_graph_before_something_else_is_wanted(self):
        graph = Event(graph_def=bytes(2 * LARGE)).SerializeToString()
        payload = graph + event(simple("loss", 0.5)).SerializeToString()
        assert may_hold_scalars(payload[:PEEK], len(payload))

    @properties
    @given(st.binary(max_size=100))
    def test_bytes_that_are_no_proto_are_wanted_or_not_but_no_error(self, start):
        assert may_hold_scalars(start, 2 * LARGE) in (True, False)

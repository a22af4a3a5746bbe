"""Hypothesis strategies for event files: what they hold, how they are damaged, how they grow."""

from __future__ import annotations

from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.events.framing import framed
from plateau_watch.events.records import LARGE
from tests.event_files import FILE_VERSION, event, header, image, restart, simple, tensor_value

TAGS = st.sampled_from(["loss", "lr", "val/acc", "", "\x1b[2J", "é" * 40])

STEPS = st.one_of(st.integers(0, 9), st.sampled_from([-1, -(2**63), 2**63 - 1]))

WALL_TIMES = st.one_of(st.floats(1.7e9, 1.8e9), st.floats())

tensors = st.one_of(
    st.floats(width=32).map(lambda n: TensorProto(dtype=DataType.DT_FLOAT, float_val=[n])),
    st.floats().map(lambda n: TensorProto(dtype=DataType.DT_DOUBLE, double_val=[n])),
    st.integers(0, 2**16 - 1).map(lambda n: TensorProto(dtype=DataType.DT_HALF, half_val=[n])),
    st.integers(0, 2**16 - 1).map(lambda n: TensorProto(dtype=DataType.DT_BFLOAT16, half_val=[n])),
    st.integers(-(2**31), 2**31 - 1).map(
        lambda n: TensorProto(dtype=DataType.DT_INT32, int_val=[n])
    ),
    st.integers(-(2**63), 2**63 - 1).map(
        lambda n: TensorProto(dtype=DataType.DT_INT64, int64_val=[n])
    ),
)
"""Rank-0 tensors of one number, in every encoding that writers use."""

values = st.one_of(
    st.builds(simple, TAGS, st.floats(width=32)),
    st.builds(tensor_value, TAGS, tensors, st.sampled_from([None, "scalars"])),
)

scalar_events = st.builds(
    lambda values, step, wall_time: event(*values, step=step, wall_time=wall_time),
    st.lists(values, min_size=1, max_size=3),
    STEPS,
    WALL_TIMES,
)

small_events: st.SearchStrategy[Event] = st.one_of(
    scalar_events,
    scalar_events,
    st.just(FILE_VERSION),
    st.builds(lambda tag, step: event(image(tag, b"\x89PNG" * 9), step=step), TAGS, STEPS),
    STEPS.map(restart),
)

large_images = st.builds(
    lambda tag, more: event(image(tag, b"\x89" * (LARGE + more))), TAGS, st.integers(0, 5000)
)
"""Payloads that reading declines: their bytes are passed over and not checked."""

large_scalars = st.builds(
    lambda tag, more: event(image(tag, b"\x89" * (LARGE + more)), simple("loss", 0.5), step=4),
    TAGS,
    st.integers(0, 5000),
)
"""Payloads as large that hold a scalar at their end."""

hostile_payloads = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"\x10" + b"\xff" * 20,  # a varint that never ends
            b"\x2a\xff\xff\xff\xff\x0f",  # a summary of 4 GiB
            b"\x2a\x05\x0a\x7f\x15\x00\x00",  # a value that passes its summary
            b"\x2a\x0b\x0a\x09\x0a\x02\xff\xfe\x15\x00\x00\x00\x3f",  # a tag that is no UTF-8
            b"\x0b" * 60,  # groups within groups
        ]
    ),
)

small_payloads = st.one_of(small_events.map(Event.SerializeToString), hostile_payloads)

any_payloads = st.one_of(
    small_payloads,
    small_payloads,
    small_payloads,
    st.one_of(large_images, large_scalars).map(Event.SerializeToString),
)


def files(payloads: st.SearchStrategy[list[bytes]]) -> st.SearchStrategy[bytes]:
    """The bytes of files with such payloads."""
    return payloads.map(lambda each: b"".join(map(framed, each)))


@st.composite
def damaged(draw, data: bytes) -> bytes:
    """The bytes of a file, damaged in up to four ways."""
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 120)))
        match draw(st.sampled_from(["cut", "flip", "zeros", "junk", "header", "twice", "removed"])):
            case "cut":
                data = data[: max(start, len(data) // 2)]
            case "flip" if start < len(data):
                flipped = bytes([data[start] ^ 1 << draw(st.integers(0, 7))])
                data = data[:start] + flipped + data[start + 1 :]
            case "zeros":
                data = data[:start] + bytes(end - start) + data[end:]
            case "junk":
                data = data[:start] + draw(st.binary(max_size=60)) + data[start:]
            case "header":
                claimed = draw(st.sampled_from([0, 20, 300, 1 << 30, (1 << 30) + 1, 2**64 - 1]))
                data = data[:start] + header(claimed) + data[start:]
            case "twice":
                data = data[:end] + data[start:end] + data[end:]
            case "removed":
                data = data[:start] + data[end:]
    return data


@st.composite
def growths(draw, data: bytes) -> list[bytes]:
    """What a reader finds of a file that grows to these bytes, look by look; the last is all.

    Sometimes the end of what is there is still zeros, as network file systems show it.
    """
    ends = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
    looks = []
    for end in ends:
        zeros = draw(st.sampled_from([0, 0, 1, 30]))
        looks.append(data[: max(0, end - zeros)] + bytes(min(zeros, end)))
    return [*looks, data]


@st.composite
def chunks(draw, size: int) -> list[int]:
    """Sizes of chunks in which so many bytes are fed, repeated; some 500 chunks at most."""
    least = 1 + size // 500
    return [least * n for n in draw(st.lists(st.integers(1, 60), min_size=1, max_size=5))]

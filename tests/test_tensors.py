"""Tensors: one number of any type is a scalar, read exactly; whatever else it is, is none."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DataType
from tensorboard.util.tensor_util import make_ndarray, make_tensor_proto

from plateau_watch.events.tensors import (
    LARGEST,
    doubles,
    scalar,
    string,
    tensor_of_doubles,
    tensor_of_string,
)
from tests.event_files import properties

INTEGERS = {
    "DT_INT8": ("int_val", np.int8),
    "DT_INT16": ("int_val", np.int16),
    "DT_INT32": ("int_val", np.int32),
    "DT_INT64": ("int64_val", np.int64),
    "DT_UINT8": ("int_val", np.uint8),
    "DT_UINT16": ("int_val", np.uint16),
    "DT_UINT32": ("uint32_val", np.uint32),
    "DT_UINT64": ("uint64_val", np.uint64),
}


def scalar_of(tensor: TensorProto) -> tuple[float, str] | None:
    return scalar(memoryview(tensor.SerializeToString()))


def doubles_of(tensor: TensorProto) -> tuple[float, ...] | None:
    return doubles(memoryview(tensor.SerializeToString()))


def string_of(tensor: TensorProto) -> str | None:
    return string(memoryview(tensor.SerializeToString()))


def both_encodings(kind: str, field: str, number, content: bytes) -> list[TensorProto]:
    """The same rank-0 tensor with its number in the typed field, and as bytes."""
    dtype = DataType.Value(kind)
    return [
        TensorProto(dtype=dtype, **{field: [number]}),
        TensorProto(dtype=dtype, tensor_content=content),
    ]


def shaped(tensor: TensorProto, *sizes: int) -> TensorProto:
    tensor.tensor_shape.CopyFrom(
        TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])
    )
    return tensor


def bits(number: float) -> bytes:
    """The bits of a double: NaNs compare by them, and zeros with their sign."""
    return struct.pack("<d", number)


class TestScalars:
    @properties
    @given(st.floats(width=64))
    def test_a_double_is_read_exactly(self, number):
        for tensor in both_encodings("DT_DOUBLE", "double_val", number, struct.pack("<d", number)):
            read, precision = scalar_of(tensor)
            assert precision == "float64"
            assert bits(read) == bits(number)

    @properties
    @given(st.floats(width=32))
    def test_a_float_is_read_exactly(self, number):
        for tensor in both_encodings("DT_FLOAT", "float_val", number, struct.pack("<f", number)):
            read, precision = scalar_of(tensor)
            assert precision == "float32"
            assert read == number or (math.isnan(read) and math.isnan(number))

    @properties
    @given(st.integers(0, 0xFFFF))
    def test_a_half_is_the_number_its_16_bits_stand_for(self, pattern):
        content = struct.pack("<H", pattern)
        (number,) = struct.unpack("<e", content)
        for tensor in both_encodings("DT_HALF", "half_val", pattern, content):
            read, precision = scalar_of(tensor)
            assert precision == "float16"
            assert read == number or (math.isnan(read) and math.isnan(number))

    @properties
    @given(st.integers(0, 0xFFFF))
    def test_a_bfloat16_is_the_upper_half_of_a_float(self, pattern):
        content = struct.pack("<H", pattern)
        (number,) = struct.unpack("<f", b"\0\0" + content)
        for tensor in both_encodings("DT_BFLOAT16", "half_val", pattern, content):
            read, precision = scalar_of(tensor)
            assert precision == "bfloat16"
            assert read == number or (math.isnan(read) and math.isnan(number))

    @pytest.mark.parametrize("kind", INTEGERS)
    @settings(properties, max_examples=40)
    @given(data=st.data())
    def test_an_integer_is_read_exactly(self, kind, data):
        field, layout = INTEGERS[kind]
        limits = np.iinfo(layout)
        low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
        exact = [number for number in (low, high, limits.min, 2**62, 2**63) if number <= limits.max]
        number = data.draw(st.sampled_from(exact) | st.integers(low, high))
        for tensor in both_encodings(kind, field, number, layout(number).tobytes()):
            assert scalar_of(tensor) == (number, "int")

    @pytest.mark.parametrize("number", [False, True])
    def test_a_bool_is_zero_or_one(self, number):
        for tensor in both_encodings("DT_BOOL", "bool_val", number, bytes([number])):
            assert scalar_of(tensor) == (float(number), "int")

    @pytest.mark.parametrize(
        ("layout", "precision"),
        [
            (np.float16, "float16"),
            (np.float32, "float32"),
            (np.float64, "float64"),
            *((layout, "int") for _, layout in INTEGERS.values()),
            (np.bool_, "int"),
        ],
    )
    def test_what_tensorboard_writes_for_a_number_is_read(self, layout, precision):
        assert scalar_of(make_tensor_proto(layout(1))) == (1.0, precision)

    def test_a_signalling_nan_is_a_nan(self):
        for kind, content in [
            ("DT_HALF", b"\x01\x7c"),
            ("DT_BFLOAT16", b"\x81\x7f"),
            ("DT_FLOAT", b"\x01\0\x80\x7f"),
            ("DT_DOUBLE", b"\x01\0\0\0\0\0\xf0\x7f"),
        ]:
            tensor = TensorProto(dtype=DataType.Value(kind), tensor_content=content)
            assert math.isnan(scalar_of(tensor)[0])

    def test_of_a_half_only_16_bits_count(self):
        assert scalar_of(TensorProto(dtype=DataType.DT_HALF, half_val=[0x7FFF3C00])) == (
            1.0,
            "float16",
        )


class TestNoScalars:
    @pytest.mark.parametrize("shape", [(1,), (1, 1), (0,), (3,)])
    def test_a_tensor_of_another_rank_is_none(self, shape):
        assert scalar_of(make_tensor_proto(np.ones(shape))) is None

    def test_a_tensor_of_unknown_rank_is_none(self):
        tensor = TensorProto(dtype=DataType.DT_FLOAT, float_val=[1.0])
        tensor.tensor_shape.unknown_rank = True
        assert scalar_of(tensor) is None

    @pytest.mark.parametrize(
        "tensor",
        [
            pytest.param(TensorProto(dtype=DataType.DT_FLOAT), id="no number"),
            pytest.param(TensorProto(dtype=DataType.DT_FLOAT, float_val=[1, 2]), id="two numbers"),
            pytest.param(
                TensorProto(dtype=DataType.DT_FLOAT, tensor_content=bytes(8)), id="8 bytes of float"
            ),
            pytest.param(
                TensorProto(dtype=DataType.DT_FLOAT, tensor_content=bytes(3)), id="3 bytes of float"
            ),
            pytest.param(
                TensorProto(dtype=DataType.DT_BFLOAT16, tensor_content=bytes(3)),
                id="3 bytes of bfloat16",
            ),
            pytest.param(
                TensorProto(dtype=DataType.DT_DOUBLE, float_val=[1.0]), id="number in a wrong field"
            ),
        ],
    )
    def test_a_rank_0_tensor_that_does_not_hold_one_number_is_none(self, tensor):
        assert scalar_of(tensor) is None

    def test_a_claimed_shape_allocates_nothing_and_is_none(self):
        claims = shaped(TensorProto(dtype=DataType.DT_DOUBLE, double_val=[1.0]), 2**62, 2**62)
        assert scalar_of(claims) is None
        assert doubles_of(claims) is None

    @pytest.mark.parametrize(
        "kind",
        ["DT_STRING", "DT_INVALID", "DT_COMPLEX64", "DT_RESOURCE", "DT_QINT8", "DT_FLOAT_REF"],
    )
    def test_a_type_that_is_no_number_is_none(self, kind):
        tensor = TensorProto(
            dtype=DataType.Value(kind), string_val=[b"1"], float_val=[1.0], scomplex_val=[1.0, 0.0]
        )
        assert scalar_of(tensor) is None

    def test_a_type_of_the_future_is_none(self):
        assert scalar(memoryview(b"\x08\xe7\x07" + b"\x2d" + struct.pack("<f", 1.0))) is None

    def test_a_tensor_longer_than_the_largest_is_not_parsed(self):
        small = TensorProto(dtype=DataType.DT_FLOAT, float_val=[1.0])
        message = small.SerializeToString()
        padding = TensorProto(string_val=[bytes(LARGEST - len(message) - 4)]).SerializeToString()
        assert len(message + padding) == LARGEST
        assert scalar(memoryview(message + padding)) == (1.0, "float32")
        assert scalar(memoryview(message + padding + b"\x18\x00")) is None

    @properties
    @given(st.binary(max_size=60))
    def test_bytes_that_are_no_tensor_are_none_and_no_exception(self, message):
        for read in (scalar, doubles, string):
            assert read(memoryview(b"\xff" + message)) is None

    @properties
    @given(st.data())
    def test_a_tensor_of_damaged_bytes_is_one_number_or_none(self, data):
        kind = data.draw(st.sampled_from(["DT_FLOAT", "DT_HALF", "DT_INT8", "DT_UINT64"]))
        tensor = TensorProto(
            dtype=DataType.Value(kind), tensor_content=data.draw(st.binary(max_size=8))
        )
        message = bytearray(tensor.SerializeToString())
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
        read = scalar(memoryview(message))
        assert read is None or isinstance(read[0], float)


class TestDoubles:
    @properties
    @given(st.lists(st.floats(width=64), max_size=12).map(tuple))
    def test_a_row_comes_back_bit_for_bit(self, numbers):
        read = doubles_of(tensor_of_doubles(numbers))
        assert list(map(bits, read)) == list(map(bits, numbers))

    def test_tensorboard_reads_a_row_of_ours(self):
        row = (0.1, math.inf, -0.0)
        assert make_ndarray(tensor_of_doubles(row)).tolist() == list(row)

    def test_a_row_one_by_one_in_double_val_is_read_too(self):
        tensor = TensorProto(dtype=DataType.DT_DOUBLE, double_val=[0.1, 0.2])
        assert doubles_of(shaped(tensor, 2)) == (0.1, 0.2)

    def test_a_tensor_of_another_rank_is_none(self):
        tensor = TensorProto(dtype=DataType.DT_DOUBLE, double_val=[0.1, 0.2])
        assert doubles_of(tensor) is None
        assert doubles_of(shaped(tensor, 1, 2)) is None

    def test_a_tensor_that_holds_more_or_less_than_its_shape_is_none(self):
        tensor = TensorProto(dtype=DataType.DT_DOUBLE, double_val=[0.1, 0.2])
        assert doubles_of(shaped(tensor, 1)) is None
        assert doubles_of(shaped(tensor, 3)) is None
        assert doubles_of(shaped(tensor, -1)) is None

    def test_a_tensor_of_floats_is_none(self):
        assert doubles_of(shaped(TensorProto(dtype=DataType.DT_FLOAT, float_val=[0.5]), 1)) is None


class TestStrings:
    @properties
    @given(st.text())
    def test_a_string_comes_back(self, content):
        assert string_of(tensor_of_string(content)) == content

    def test_tensorboard_reads_a_string_of_ours(self):
        assert make_ndarray(tensor_of_string("é")).item() == "é".encode()

    def test_bytes_that_are_no_utf_8_are_replaced(self):
        tensor = TensorProto(dtype=DataType.DT_STRING, string_val=[b"a\xff"])
        assert string_of(tensor) == "a\N{REPLACEMENT CHARACTER}"

    @pytest.mark.parametrize("held", [[], [b"one", b"two"]])
    def test_no_string_or_several_are_none(self, held):
        assert string_of(TensorProto(dtype=DataType.DT_STRING, string_val=held)) is None

    def test_a_number_is_none(self):
        assert string_of(TensorProto(dtype=DataType.DT_FLOAT, float_val=[1.0])) is None

"""tensors: the bytes of a TensorProto -> a scalar, a row of doubles, a string, or a text.

Only small tensors are parsed, and only of the shapes that are wanted: a tensor that claims a shape
it does not hold is none of them. Parsing is TensorBoard's own proto; TensorBoard's conversion is
not used, since it would allocate whatever shape is claimed.

Source: tensor.proto and types.proto of tensorboard 2.21 (tensorboard/compat/proto).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.precision import Precision

LARGEST = 1 << 16
"""A longer tensor is never parsed: a scalar has some 20 bytes, a hook's row 8 for each number."""

_NUMBERS: dict[int, tuple[str, Any]] = {
    DataType.DT_FLOAT: ("float_val", "<f4"),
    DataType.DT_DOUBLE: ("double_val", "<f8"),
    DataType.DT_HALF: ("half_val", "<f2"),
    DataType.DT_BFLOAT16: ("half_val", "bfloat16"),
    DataType.DT_INT8: ("int_val", "<i1"),
    DataType.DT_INT16: ("int_val", "<i2"),
    DataType.DT_INT32: ("int_val", "<i4"),
    DataType.DT_INT64: ("int64_val", "<i8"),
    DataType.DT_UINT8: ("int_val", "<u1"),
    DataType.DT_UINT16: ("int_val", "<u2"),
    DataType.DT_UINT32: ("uint32_val", "<u4"),
    DataType.DT_UINT64: ("uint64_val", "<u8"),
    DataType.DT_BOOL: ("bool_val", "?"),
}
"""For each type: the field that holds its values one by one, and its layout in tensor_content."""

_PRECISIONS: dict[int, Precision] = {
    DataType.DT_FLOAT: "float32",
    DataType.DT_DOUBLE: "float64",
    DataType.DT_HALF: "float16",
    DataType.DT_BFLOAT16: "bfloat16",
}


def scalar(message: memoryview) -> tuple[float, Precision] | None:
    """Return the one number of a rank-0 tensor with its encoding; None for any other tensor."""
    tensor = _parsed(message)
    if tensor is None or tensor.tensor_shape.dim or tensor.tensor_shape.unknown_rank:
        return None
    numbers = _numbers(tensor)
    if numbers is None or len(numbers) != 1:
        return None
    return float(numbers[0]), _PRECISIONS.get(tensor.dtype, "int")


def doubles(message: memoryview) -> tuple[float, ...] | None:
    """Return the numbers of a rank-1 tensor of doubles; None for any other tensor."""
    tensor = _parsed(message)
    if tensor is None or tensor.dtype != DataType.DT_DOUBLE or len(tensor.tensor_shape.dim) != 1:
        return None
    numbers = _numbers(tensor)
    if numbers is None or len(numbers) != tensor.tensor_shape.dim[0].size:
        return None
    return tuple(map(float, numbers))


def string(message: memoryview) -> str | None:
    """Return the one string of a tensor, undecodable bytes replaced; None for any other tensor."""
    tensor = _parsed(message)
    if tensor is None or tensor.dtype != DataType.DT_STRING or len(tensor.string_val) != 1:
        return None
    return bytes(tensor.string_val[0]).decode("utf-8", errors="replace")


def text(message: memoryview) -> str | None:
    """Return the strings of a tensor as lines, those of a matrix as rows of a table; or None."""
    tensor = _parsed(message)
    if tensor is None or tensor.dtype != DataType.DT_STRING or not tensor.string_val:
        return None
    strings = [bytes(each).decode("utf-8", errors="replace") for each in tensor.string_val]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if len(shape) != 2 or min(shape) < 1 or shape[0] * shape[1] != len(strings):
        return "\n".join(strings)
    rows = (strings[first : first + shape[1]] for first in range(0, len(strings), shape[1]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def tensor_of_doubles(numbers: tuple[float, ...]) -> TensorProto:
    """Make a rank-1 tensor of doubles."""
    tensor = TensorProto(dtype=DataType.DT_DOUBLE)
    tensor.tensor_shape.dim.add(size=len(numbers))
    tensor.tensor_content = np.array(numbers, dtype="<f8").tobytes()
    return tensor


def tensor_of_string(content: str) -> TensorProto:
    """Make a rank-0 tensor of one string."""
    tensor = TensorProto(dtype=DataType.DT_STRING)
    tensor.tensor_shape.SetInParent()
    tensor.string_val.append(content.encode())
    return tensor


def _parsed(message: memoryview) -> Any:  # noqa: ANN401  protos carry no types
    if len(message) > LARGEST:
        return None
    try:
        return TensorProto.FromString(bytes(message))
    except DecodeError:
        return None


def _numbers(tensor: Any) -> NDArray[Any] | None:  # noqa: ANN401  protos carry no types
    """Return the numbers a tensor really holds; None for a type that is no number."""
    if tensor.dtype not in _NUMBERS:
        return None
    field, layout = _NUMBERS[tensor.dtype]
    wide = layout == "bfloat16"
    if tensor.tensor_content:
        item = np.dtype("<u2" if wide else layout)
        if len(tensor.tensor_content) % item.itemsize:
            return None
        held = np.frombuffer(tensor.tensor_content, dtype=item)
    elif field == "half_val":
        held = np.array([bits & 0xFFFF for bits in tensor.half_val], dtype="<u2")
        held = held if wide else held.view("<f2")
    else:
        held = np.array(getattr(tensor, field))
    return (held.astype("<u4") << 16).view("<f4") if wide else held

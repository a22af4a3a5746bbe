"""Write the seeds of tests/corpus: one small event file for each thing that reading tells apart.

    python -m tools.corpus_seeds

Files there that this script does not write are what fuzzing found (`tools/fuzz_reading.py`).
"""

from __future__ import annotations

import math
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.events.framing import framed
from tests.event_files import (
    FILE_VERSION,
    event,
    header,
    image,
    restart,
    simple,
    tensor_value,
)

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
REPLAY_LOGS = Path(__file__).parents[1] / "replay_logs"

LOSS = event(simple("loss", 0.5), step=1, wall_time=1.7e9)


def seeds() -> dict[str, bytes]:
    """Name -> the bytes of a file."""
    return {**_sound(), **_encodings(), **_damaged(), **_hostile(), **_beginnings()}


def recorded(*events: Event | bytes) -> bytes:
    """The bytes of a file of these events; bytes are a payload that is no event."""
    payloads = [
        each if isinstance(each, bytes) else each.SerializeToString(deterministic=True)
        for each in events
    ]
    return b"".join(map(framed, payloads))


def _sound() -> dict[str, bytes]:
    two_tags = event(simple("loss", 0.25), simple("lr", 0.1), step=2)
    return {
        "nothing": b"",
        "version_alone": recorded(FILE_VERSION),
        "scalars": recorded(FILE_VERSION, LOSS, two_tags),
        "restart": recorded(FILE_VERSION, LOSS, two_tags, restart(2), LOSS),
        "other_status": recorded(Event(session_log=SessionLog(status=SessionLog.CHECKPOINT)), LOSS),
        "step_twice": recorded(LOSS, LOSS, event(simple("loss", 0.75), step=1)),
        "image_and_scalar": recorded(event(image("sample", b"\x89PNG" * 9), simple("loss", 1.0))),
        "text": recorded(event(tensor_value("args", _strings("patience: 3"), "text"))),
        "table": recorded(event(tensor_value("args", _strings("a", "b", rank=2), "text"))),
        "graph": recorded(Event(graph_def=b"\x0a\x03abc"), LOSS),
    }


def _encodings() -> dict[str, bytes]:
    tensors = {
        "float": TensorProto(dtype=DataType.DT_FLOAT, float_val=[0.5]),
        "double": TensorProto(dtype=DataType.DT_DOUBLE, double_val=[0.1]),
        "double_content": TensorProto(dtype=DataType.DT_DOUBLE, tensor_content=b"\x00" * 7 + b"@"),
        "half": TensorProto(dtype=DataType.DT_HALF, half_val=[0x3800]),
        "bfloat16": TensorProto(dtype=DataType.DT_BFLOAT16, half_val=[0x3F00]),
        "bfloat16_content": TensorProto(dtype=DataType.DT_BFLOAT16, tensor_content=b"\x00?"),
        "int64": TensorProto(dtype=DataType.DT_INT64, int64_val=[-5]),
        "uint64": TensorProto(dtype=DataType.DT_UINT64, uint64_val=[2**64 - 1]),
        "bool": TensorProto(dtype=DataType.DT_BOOL, bool_val=[True]),
    }
    return {
        f"tensor_{name}": recorded(event(tensor_value("loss", tensor, "scalars")))
        for name, tensor in tensors.items()
    }


def _damaged() -> dict[str, bytes]:
    sound = recorded(FILE_VERSION, LOSS, LOSS)
    flipped = bytearray(sound)
    flipped[60] ^= 4
    return {
        "cut": sound[:-9],
        "flipped": bytes(flipped),
        "zeros": sound[:40] + bytes(200) + recorded(LOSS),
        "junk": recorded(FILE_VERSION) + b"?" * 99 + recorded(LOSS),
        "claims_2_to_64": header(2**64 - 1) + recorded(LOSS),
        "claims_some_more": header(300) + recorded(LOSS),
        "cut_then_sound": recorded(LOSS)[:20] + recorded(LOSS),
    }


def _hostile() -> dict[str, bytes]:
    claims = TensorProto(dtype=DataType.DT_DOUBLE, double_val=[1.0])
    claims.tensor_shape.dim.add(size=1 << 40)
    nested = b""
    for _ in range(40):
        nested = b"\x0a" + bytes([len(nested) & 0x7F]) + nested[:127]
    odd = [math.nan, math.inf, -math.inf]
    return {
        "values": recorded(*(event(simple("loss", number), step=3) for number in odd)),
        "wall_times": recorded(*(event(simple("loss", 1), wall_time=number) for number in odd)),
        "steps": recorded(*(event(simple("loss", 1), step=n) for n in (-1, -(2**63), 2**63 - 1))),
        "tag_no_utf8": recorded(LOSS.SerializeToString().replace(b"loss", b"\xff\xfe\x00\x1b")),
        "tag_twice": recorded(
            b"\x2a\x11\x0a\x0f\x0a\x01a\x0a\x01b\x15\x00\x00\x80?\x15\x00\x00\x00@"
        ),
        "varint_without_end": recorded(b"\x10" + b"\xff" * 20),
        "length_past_the_end": recorded(b"\x2a\xff\x01\x0a"),
        "nested": recorded(b"\x2a" + bytes([len(nested)]) + nested),
        "shape_it_does_not_hold": recorded(event(tensor_value("loss", claims))),
        "group_wire_type": recorded(b"\x0b\x0c", LOSS),
        "empty_payloads": recorded(b"", b"", b""),
    }


def _beginnings() -> dict[str, bytes]:
    """The first records of real files: torch's writer, Keras', Lightning's, the hook's."""
    found = {}
    for kind in (
        "plain/lr_after_seed1",
        "hooked/two_groups",
        "hooked/transformers",
        "foreign/keras",
    ):
        (path,) = sorted((REPLAY_LOGS / kind).rglob("*tfevents*"))[:1]
        found["begins_" + kind.replace("/", "_")] = path.read_bytes()[:3000]
    return found


def _strings(*lines: str, rank: int = 1) -> TensorProto:
    tensor = TensorProto(dtype=DataType.DT_STRING, string_val=[line.encode() for line in lines])
    for size in (len(lines), 1)[:rank]:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def main() -> None:
    """Write them all."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (CORPUS / f"seed_{name}").write_bytes(data)


if __name__ == "__main__":
    main()

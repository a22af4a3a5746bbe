"""Any file, damaged in any way, grown in any steps: what is read was written, the rest is said."""

import math
import struct
import tempfile
from pathlib import Path

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType

from plateau_watch.events.framing import framed
from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.records import Gap, Record, RecordParser
from plateau_watch.events.run_reader import RunLog, read_run, read_trainings
from plateau_watch.events.summaries import may_hold_scalars
from tests.event_files import EVENT_FILE, ended_naively, points, properties
from tests.file_strategies import (
    any_payloads,
    chunks,
    damaged,
    files,
    growths,
    large_images,
    large_scalars,
    scalar_events,
    small_events,
    small_payloads,
)

small_files = files(st.lists(small_payloads, max_size=7))
any_files = files(st.lists(any_payloads, max_size=6))


def read_bytes(data: bytes, name: str = EVENT_FILE) -> RunLog:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(data)
        return read_run(RunFiles(".", (path,)))


def points_of(log: RunLog) -> set[tuple]:
    return {bits(tag, *point) for tag, series in log.series.items() for point in points(series)}


def bits(tag: str, step: int, wall_time: float, value: float) -> tuple:
    """A point that can be compared where it holds NaN."""
    return tag, step, struct.pack("<d", wall_time), struct.pack("<d", number(value))


def number(value: float) -> float:
    """NaNs lose their payload on the way from float32 to double and back."""
    return math.nan if math.isnan(value) else value


def written(payloads: list[bytes]) -> set[tuple]:
    """The points in these payloads, as protobuf reads them."""
    found = set()
    for payload in payloads:
        try:
            event = Event.FromString(payload)
        except DecodeError:
            continue
        for value in event.summary.value:
            where = value.tag, event.step, event.wall_time
            if value.WhichOneof("value") == "simple_value":
                found.add(bits(*where, value.simple_value))
            elif value.HasField("tensor"):
                found.update(bits(*where, number) for number in numbers_in(value.tensor))
    return found


def numbers_in(tensor: TensorProto) -> list[float]:
    """The numbers of a tensor as the strategies make them: TensorBoard's `make_ndarray` refuses a
    bfloat16.
    """
    numbers = [*tensor.float_val, *tensor.double_val, *tensor.int_val, *tensor.int64_val]
    for half in tensor.half_val:
        is_half = tensor.dtype == DataType.DT_HALF
        packed = struct.pack("<H", half) if is_half else struct.pack("<I", half << 16)
        numbers += struct.unpack("<e" if is_half else "<f", packed)
    return [float(number) for number in numbers]


class Fed:
    """All that can be seen of a parser that was fed a file in chunks, or that seeks."""

    def __init__(self, data: bytes, sizes: list[int], *, seeking: bool = False) -> None:
        parser = RecordParser(may_hold_scalars)
        self.found: list[Record | Gap] = []
        position = turn = 0
        while position < len(data):
            if seeking and parser.declined:
                past = min(parser.declined, len(data) - position)
                parser.sought(past)
                position += past
                continue
            chunk = data[position : position + sizes[turn % len(sizes)]]
            self.found += parser.feed(chunk)
            position, turn = position + len(chunk), turn + 1
        self.rest = parser.pending, parser.incomplete, parser.declined

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fed) and (self.found, self.rest) == (other.found, other.rest)

    __hash__ = None


class TestChunks:
    @properties
    @given(st.data())
    def test_chunks_of_any_sizes_give_what_the_whole_gives_declined_payloads_or_not(self, data):
        file = data.draw(any_files.flatmap(damaged))
        sizes = data.draw(chunks(len(file)))
        whole = Fed(file, [len(file) + 1])
        assert Fed(file, sizes) == whole
        assert Fed(file, sizes, seeking=True) == whole
        assert Fed(file, [len(file) + 1], seeking=True) == whole


class TestDamage:
    @properties
    @given(st.data())
    def test_what_is_read_of_a_damaged_file_was_written_in_it(self, data):
        payloads = data.draw(st.lists(any_payloads, max_size=6))
        file = data.draw(damaged(b"".join(map(framed, payloads))))
        sound = read_bytes(b"".join(map(framed, payloads)))
        log = read_bytes(file)
        assert points_of(log) <= points_of_any(payloads)
        assert points_of(sound) <= points_of_any(payloads)

    @properties
    @given(small_files.flatmap(damaged))
    def test_all_points_of_records_that_are_whole_are_read_and_all_else_is_said(self, file):
        found, rest, incomplete = ended_naively(file)
        payloads = [item.payload for item in found if isinstance(item, Record)]
        log = read_bytes(file)
        everything = sum(len(series) + series.superseded for series in log.series.values())
        assert points_of(log) <= points_of_any(payloads)
        assert everything >= len_of_written(payloads)
        said = "\n".join(log.damages)
        for gap in found:
            if isinstance(gap, Gap):
                assert f"skipped {gap.length:,} bytes at offset {gap.offset:,} of " in said
        if rest:
            where = f"{rest.length:,} bytes at offset {rest.offset:,}"
            assert (f"({where})" if incomplete else f"skipped {where} of ") in said

    @properties
    @given(st.lists(small_events, max_size=8))
    def test_a_sound_file_has_nothing_to_say(self, events):
        log = read_bytes(b"".join(framed(each.SerializeToString()) for each in events))
        assert log.damages == ()

    @properties
    @given(st.lists(small_files.flatmap(damaged), min_size=1, max_size=3))
    def test_any_damaged_files_of_one_directory_are_told_apart_without_losing_a_point(self, files):
        with tempfile.TemporaryDirectory() as directory:
            paths = tuple(Path(directory) / f"{EVENT_FILE}.{n}.0" for n in range(len(files)))
            for path, file in zip(paths, files, strict=True):
                path.write_bytes(file)
            trainings = read_trainings(RunFiles(".", paths))
            alone = [read_run(RunFiles(".", (path,))) for path in paths]
        assert sorted(path for each in trainings for path in each.files) == sorted(paths)
        assert count(trainings) == count(alone)

    @properties
    @given(st.lists(st.one_of(large_images, large_scalars), min_size=1, max_size=3), st.data())
    def test_large_payloads_are_passed_over_or_read_and_the_scalar_after_them_is_there(
        self, events, data
    ):
        sound = [each.SerializeToString() for each in events]
        after = data.draw(scalar_events).SerializeToString()
        log = read_bytes(b"".join(map(framed, [*sound, after])))
        assert written([after]) & points_of(log)
        assert log.damages == ()


def points_of_any(payloads: list[bytes]) -> set[tuple]:
    """What may be read of payloads: what protobuf reads, and of hostile ones what lies there."""
    return written(payloads) | {
        point for payload in payloads if not written([payload]) for point in lying_in(payload)
    }


def lying_in(payload: bytes) -> set[tuple]:
    return points_of(read_bytes(framed(payload)))


def len_of_written(payloads: list[bytes]) -> int:
    return sum(len(written([payload])) for payload in payloads)


def count(logs) -> int:
    return sum(len(series) + series.superseded for log in logs for series in log.series.values())


class TestGrowth:
    @properties
    @given(st.data())
    def test_at_every_look_at_a_growing_file_what_is_read_is_part_of_the_end(self, data):
        payloads = data.draw(st.lists(small_payloads, max_size=7))
        file = b"".join(map(framed, payloads))
        for look in data.draw(growths(file)):
            log = read_bytes(look)
            assert points_of(log) <= points_of_any(payloads)
            assert bool(log.damages) >= (look != file[: len(look)])
        assert count([log]) == count([read_bytes(file)])

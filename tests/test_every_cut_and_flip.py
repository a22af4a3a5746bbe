"""Real files cut at every byte, with every bit flipped: what is read was written, the rest said."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.records import RecordParser
from plateau_watch.events.run_reader import RunLog, read_run
from tests.event_files import EVENT_FILE, points, write_bytes
from tests.written_points import (
    Point,
    first_records,
    last_of_each_step,
    written_records,
)

REPLAY_LOGS = Path(__file__).parents[1] / "replay_logs"

REAL_FILES = sorted(REPLAY_LOGS.rglob("*tfevents*"))

CUT = {
    "plain/lr_after_seed1": 1200,
    "hooked/two_groups": 1800,
    "foreign/keras/validation": 900,
    "foreign/lightning": 1000,
}
"""Files of which every beginning up to so many bytes is read as a run."""

FLIPPED = {
    "plain/lr_after_seed1": (330, range(8)),
    "foreign/keras/validation": (300, range(8)),
    "hooked/two_groups": (2600, (5,)),
}
"""Files of whose first whole records, up to so many bytes, these bits of each byte are flipped."""


def real_file(name: str) -> Path:
    return sorted((REPLAY_LOGS / name).rglob("*tfevents*"))[0]


def read_file(path: Path) -> RunLog:
    return read_run(RunFiles(".", (path,)))


def points_of(log: RunLog) -> set[Point]:
    return {(tag, *point) for tag, series in log.series.items() for point in points(series)}


def rows_of(log: RunLog) -> list:
    return [row for trace in log.traces for row in trace.rows]


@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.parent.name)
def test_at_every_byte_of_a_real_file_its_whole_records_are_out_and_the_rest_is_pending(path):
    data = path.read_bytes()
    ends = [record.end for record in written_records(data)]
    assert ends[-1] == len(data)
    parser, out, start = RecordParser(), 0, 0
    for position in range(len(data)):
        out += len(list(parser.feed(data[position : position + 1])))
        if position + 1 == ends[out - 1] and out:
            start = ends[out - 1]
            assert parser.pending is None
            continue
        assert parser.incomplete
        assert (parser.pending.offset, parser.pending.length) == (start, position + 1 - start)
    assert out == len(ends)


@pytest.mark.parametrize("name", CUT)
def test_a_file_cut_anywhere_reads_as_its_whole_records_and_a_note(name, tmp_path):
    path = tmp_path / EVENT_FILE
    data = real_file(name).read_bytes()
    path.write_bytes(data)
    rows, records = rows_of(read_file(path)), written_records(data)
    for end in range(min(len(data), CUT[name]), -1, -1):
        os.truncate(path, end)
        whole = [record for record in records if record.end <= end]
        log = read_file(path)
        assert {tag: points(each) for tag, each in log.series.items()} == last_of_each_step(whole)
        assert rows_of(log) == rows[: sum(record.rows for record in whole)]
        offset = whole[-1].end if whole else 0
        assert log.damages == notes_of_a_cut(path, offset, end)


def notes_of_a_cut(path: Path, offset: int, end: int) -> tuple[str, ...]:
    if end == offset:
        return ()
    return (
        f"{path} ends within a record ({end - offset:,} bytes at offset {offset:,}): "
        "still being written, or cut off",
    )


@pytest.mark.parametrize("name", FLIPPED)
def test_a_flipped_bit_never_becomes_a_value_and_is_always_said(name, tmp_path):
    size, bits = FLIPPED[name]
    path = write_bytes(tmp_path / EVENT_FILE, first_records(real_file(name), size))
    data, whole = path.read_bytes(), read_file(path)
    written, rows = points_of(whole), rows_of(whole)
    assert written
    assert whole.damages == ()
    for record in written_records(data):
        for position, bit in product(range(record.offset, record.end), bits):
            with flipped(path, position, bit):
                log = read_file(path)
            assert points_of(log) == written - set(record.points)
            assert all(row in rows for row in rows_of(log))
            assert [of_one_record(each) for each in log.damages] == [
                (record.end - record.offset, record.offset)
            ]


@contextmanager
def flipped(path: Path, position: int, bit: int) -> Iterator[None]:
    """One bit of a file is flipped, and then back."""
    with path.open("r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, position)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << bit]), position)
        yield
        os.pwrite(file.fileno(), byte, position)


def of_one_record(damage: str) -> tuple[int, int]:
    """The length and offset that a note of skipped bytes tells."""
    match = re.fullmatch(r"skipped ([\d,]+) bytes at offset ([\d,]+) of .* \(bad \w+ CRC\)", damage)
    assert match, damage
    length, offset = (int(number.replace(",", "")) for number in match.groups())
    return length, offset

"""tailed_file: a file that grows, fills in, is replaced, cut, removed; a clock that is told."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from plateau_watch.events.framing import framed
from plateau_watch.events.tailed_file import LONGEST_WAIT, PATIENCE, TailedFile
from tests.event_files import EVENT_FILE, properties, simple


def record(step, begun=0.0):
    event = Event(step=step, wall_time=begun + step, summary=Summary(value=[simple("loss", step)]))
    return framed(event.SerializeToString())


class Clock:
    """The time, as it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def path(tmp_path):
    return tmp_path / EVENT_FILE


def steps(file):
    return [event.step for _, event in file.look()]


RECORDS = [record(step) for step in range(1, 6)]
FILE = b"".join(RECORDS)
ENDS = [sum(map(len, RECORDS[: count + 1])) for count in range(5)]


class TestGrowth:
    @properties
    @given(st.lists(st.integers(0, len(FILE)), max_size=8).map(sorted))
    def test_each_record_is_taken_once_when_it_is_whole(self, tmp_path_factory, sizes):
        path = tmp_path_factory.mktemp("growing") / EVENT_FILE
        file, seen = TailedFile(path), []
        for size in [*sizes, len(FILE)]:
            path.write_bytes(FILE[:size])
            seen += steps(file)
            assert seen == list(range(1, 1 + sum(end <= size for end in ENDS)))
        assert file.generation == 0
        assert file.damages() == []

    def test_a_file_that_is_not_there_yet_is_looked_for_again(self, path):
        file = TailedFile(path)
        assert steps(file) == []
        path.write_bytes(FILE)
        assert steps(file) == [1, 2, 3, 4, 5]

    def test_half_a_record_is_not_yet_there(self, path):
        file = TailedFile(path)
        path.write_bytes(FILE[: ENDS[1] + 9])
        assert steps(file) == [1, 2]
        (said,) = file.damages()
        assert said.endswith("still being written, or cut off")
        assert file.due is None

    def test_nothing_is_open_between_two_looks(self, path):
        path.write_bytes(FILE)
        before = set(os.listdir("/proc/self/fd"))
        files = [TailedFile(path) for _ in range(50)]
        assert all(steps(file) == [1, 2, 3, 4, 5] for file in files)
        assert len(os.listdir("/proc/self/fd")) <= len(before)


class TestBytesThatComeLater:
    def test_zeros_that_fill_in_are_read_when_they_are_there(self, path):
        clock = Clock()
        file = TailedFile(path, clock=clock)
        path.write_bytes(FILE[: ENDS[1]] + bytes(ENDS[2] - ENDS[1]) + FILE[ENDS[2] :])
        assert steps(file) == [1, 2]
        clock.now += 7
        assert steps(file) == []
        path.write_bytes(FILE)
        clock.now += 1
        assert steps(file) == [3, 4, 5]
        assert file.damages() == []
        assert file.generation == 0

    def test_half_a_record_that_fills_in_too(self, path):
        clock = Clock()
        file = TailedFile(path, clock=clock)
        path.write_bytes(FILE[: ENDS[2] - 8] + bytes(8) + FILE[ENDS[2] :])
        assert steps(file) == [1, 2]
        path.write_bytes(FILE)
        assert steps(file) == [3, 4, 5]

    def test_what_never_comes_is_passed_over_after_the_patience(self, path):
        clock = Clock()
        file = TailedFile(path, clock=clock)
        path.write_bytes(FILE[: ENDS[1]] + bytes(ENDS[2] - ENDS[1]) + FILE[ENDS[2] :])
        assert steps(file) == [1, 2]
        clock.now += PATIENCE - 0.1
        assert steps(file) == []
        clock.now += 0.2
        assert steps(file) == [4, 5]
        (said,) = file.damages()
        gap = f"skipped {ENDS[2] - ENDS[1]} bytes at offset {ENDS[1]} of"
        assert said == f"{gap} {path} (bad length CRC)"

    def test_it_is_read_again_ever_more_seldom(self, path):
        clock = Clock()
        file = TailedFile(path, clock=clock)
        path.write_bytes(bytes(100))
        waits = []
        while file.due is not None or not waits:
            assert steps(file) == []
            if file.due is None:
                break
            waits.append(file.due - clock.now)
            clock.now = file.due
        assert waits[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
        assert max(waits) == pytest.approx(LONGEST_WAIT)
        assert PATIENCE - 0.001 <= sum(waits) <= PATIENCE + LONGEST_WAIT

    def test_without_patience_it_is_read_once_more_and_then_passed_over(self, path):
        path.write_bytes(FILE[: ENDS[0]] + b"?" * 30 + FILE[ENDS[0] :])
        file = TailedFile(path, patience=0)
        assert steps(file) == [1, 2, 3, 4, 5]
        assert "skipped 30 bytes" in file.damages()[0]


class TestOtherFiles:
    def seen_by(self, path):
        file = TailedFile(path)
        path.write_bytes(FILE[: ENDS[2]])
        assert steps(file) == [1, 2, 3]
        return file

    def test_a_file_that_is_replaced_is_read_from_its_beginning(self, path, tmp_path):
        """As rsync does, with the same beginning or another."""
        file = self.seen_by(path)
        other = tmp_path / "arriving"
        other.write_bytes(FILE)
        other.rename(path)
        assert steps(file) == [1, 2, 3, 4, 5]
        assert file.generation == 1
        assert "was replaced or written anew" in file.damages()[0]

    def test_a_file_that_is_cut_and_written_anew_in_place(self, path):
        file = self.seen_by(path)
        path.write_bytes(record(9, begun=50.0))
        assert steps(file) == [9]
        assert file.generation == 1

    def test_also_if_it_has_become_longer_between_two_looks(self, path):
        file = self.seen_by(path)
        path.write_bytes(b"".join(record(step, begun=50.0) for step in range(1, 9)))
        assert steps(file) == list(range(1, 9))
        assert file.generation == 1

    def test_a_file_that_is_cut_to_a_whole_record(self, path):
        file = self.seen_by(path)
        path.write_bytes(FILE[: ENDS[0]])
        assert steps(file) == [1]
        assert file.generation == 1

    def test_a_file_that_is_gone_counts_on_and_may_come_back(self, path):
        file = self.seen_by(path)
        path.unlink()
        assert steps(file) == []
        assert file.damages() == [f"{path} is no longer there; what was read of it counts"]
        assert file.generation == 0
        path.write_bytes(FILE)
        assert steps(file)[-1] == 5

    def test_a_pipe_in_its_place_is_not_waited_for(self, path):
        os.mkfifo(path)
        with pytest.raises(OSError, match="no regular file"):
            steps(TailedFile(path))

"""A run is read as TensorBoard reads it; of damaged files all the rest is, and it is said."""

import math
import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DataType
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.events.framing import framed
from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.run_reader import read_run
from plateau_watch.events.tailed_file import BLOCK
from tests.event_files import (
    EVENT_FILE,
    FILE_VERSION,
    double,
    event,
    framed_by_tensorboard,
    image,
    last_of_each_step,
    points,
    points_by_tensorboard,
    properties,
    read,
    restart,
    run_of,
    simple,
    tensor_value,
    write_bytes,
    write_events,
)

LOSSES = [0.9, 1 / 3, math.pi, -1e-30, 1e30]


def steps_and_values(series) -> list[tuple[int, float]]:
    return [(step, value) for step, _, value in points(series)]


def losses(*steps: int) -> list:
    """Events with a loss of 0.5 at each of these steps."""
    return [event(simple("loss", 0.5), step=step) for step in steps]


def record_of(proto) -> bytes:
    return framed_by_tensorboard(proto.SerializeToString())


class TestRealWriters:
    def both_read_the_same(self, directory: Path) -> dict:
        series = read(directory).series
        assert {tag: points(each) for tag, each in series.items()} == points_by_tensorboard(
            directory
        )
        return series

    def test_scalars_of_torchs_writer_are_float32(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            for step, loss in enumerate(LOSSES):
                writer.add_scalar("loss", loss, step, walltime=1.7e9 + step / 3)
        loss = self.both_read_the_same(tmp_path)["loss"]
        assert loss.values.tolist() == [float(np.float32(each)) for each in LOSSES]
        assert loss.precision == "float32"

    def test_new_style_scalars_of_torchs_writer_are_float32(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            for step, loss in enumerate(LOSSES):
                writer.add_scalar("loss", loss, step, new_style=True)
        loss = self.both_read_the_same(tmp_path)["loss"]
        assert loss.values.tolist() == [float(np.float32(each)) for each in LOSSES]
        assert loss.precision == "float32"

    def test_double_precision_scalars_of_torchs_writer_are_read_exactly(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            for step, loss in enumerate(LOSSES):
                writer.add_scalar("loss", loss, step, new_style=True, double_precision=True)
        loss = self.both_read_the_same(tmp_path)["loss"]
        assert loss.values.tolist() == LOSSES
        assert loss.precision == "float64"

    def test_scalars_of_tensorboardx_are_read(self, tmp_path):
        with tensorboardX.SummaryWriter(str(tmp_path)) as writer:
            for step, loss in enumerate(LOSSES):
                writer.add_scalar("loss", loss, step, walltime=1.7e9 + step / 3)
        loss = self.both_read_the_same(tmp_path)["loss"]
        assert loss.values.tolist() == [float(np.float32(each)) for each in LOSSES]

    def test_add_scalars_makes_runs_of_its_own_that_are_read(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            writer.add_scalars("loss", {"train": 0.25, "valid": 0.5}, 3)
        assert steps_and_values(read(tmp_path / "loss_valid").series["loss"]) == [(3, 0.5)]

    def test_scalars_among_images_histograms_and_text_are_read(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            for step in range(3):
                writer.add_scalar("loss", step, step)
                writer.add_image("sample", np.zeros((3, 8, 8), dtype=np.uint8), step)
                writer.add_histogram("weights", np.arange(10.0), step)
                writer.add_text("note", "hello", step)
        series = read(tmp_path).series
        assert list(series) == ["loss"]
        assert steps_and_values(series["loss"]) == [(0, 0.0), (1, 1.0), (2, 2.0)]

    def test_purge_step_voids_what_was_logged_from_there_on(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            for step in range(6):
                writer.add_scalar("loss", 1.0, step)
        (first,) = tmp_path.iterdir()
        first.rename(tmp_path / EVENT_FILE)  # of an earlier second, as in life
        with SummaryWriter(str(tmp_path), purge_step=3) as writer:
            writer.add_scalar("loss", 2.0, 3)
        loss = self.both_read_the_same(tmp_path)["loss"]
        assert steps_and_values(loss) == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0)]
        assert loss.superseded == 3

    def test_an_undamaged_run_has_no_damages(self, tmp_path):
        with SummaryWriter(str(tmp_path)) as writer:
            writer.add_scalar("loss", 1.0, 0)
        assert read(tmp_path).damages == ()


files_of_a_run = st.lists(
    st.lists(
        st.one_of(
            st.builds(
                lambda tag, number, step, wall_time: event(
                    simple(tag, number), step=step, wall_time=wall_time
                ),
                st.sampled_from(["loss", "lr"]),
                st.floats(width=32, allow_nan=False),
                st.integers(0, 6),
                st.integers(0, 2**31).map(float),
            ),
            st.integers(0, 6).map(restart),
        ),
        max_size=8,
    ),
    min_size=1,
    max_size=3,
)


class TestPreemption:
    @properties
    @given(files_of_a_run)
    def test_any_run_is_what_tensorboard_keeps_of_it_and_of_that_the_last_write(self, files):
        with tempfile.TemporaryDirectory() as directory:
            for number, events in enumerate(files):
                write_events(Path(directory) / f"tfevents.{number}", *events)
            kept = points_by_tensorboard(Path(directory))
            series = read(Path(directory)).series
        written = [value.tag for events in files for each in events for value in each.summary.value]
        assert {tag: points(each) for tag, each in series.items() if len(each)} == {
            tag: last_of_each_step(each) for tag, each in kept.items() if each
        }
        assert {tag: len(each) + each.superseded for tag, each in series.items()} == {
            tag: written.count(tag) for tag in written
        }

    def test_the_last_write_of_a_step_wins_and_the_others_are_counted(self, tmp_path):
        write_events(
            tmp_path / EVENT_FILE,
            event(simple("loss", 1.0), step=1),
            event(simple("loss", 2.0), step=1),
            event(simple("loss", 5.0), step=0),
            event(simple("loss", 3.0), step=1, wall_time=9.0),
        )
        loss = read(tmp_path).series["loss"]
        assert points(loss) == [(0, 0.0, 5.0), (1, 9.0, 3.0)]
        assert loss.superseded == 2

    def test_files_are_read_in_the_order_given_whatever_their_wall_times(self, tmp_path):
        write_events(tmp_path / "tfevents.1", event(simple("loss", 1.0), wall_time=200.0))
        write_events(tmp_path / "tfevents.2", event(simple("loss", 2.0), wall_time=100.0))
        assert points(read(tmp_path).series["loss"]) == [(0, 100.0, 2.0)]
        first, second = run_of(tmp_path).files
        backwards = read_run(RunFiles(".", (second, first)))
        assert points(backwards.series["loss"]) == [(0, 200.0, 1.0)]
        assert backwards.files == (second, first)

    def test_a_restart_voids_later_steps_of_every_tag_and_of_earlier_files(self, tmp_path):
        write_events(tmp_path / "tfevents.1", *losses(0, 1, 2), event(simple("lr", 0.1), step=9))
        write_events(tmp_path / "tfevents.2", restart(1), event(simple("loss", 0.7), step=1))
        series = read(tmp_path).series
        assert steps_and_values(series["loss"]) == [(0, 0.5), (1, pytest.approx(0.7))]
        assert len(series["lr"]) == 0
        assert (series["loss"].superseded, series["lr"].superseded) == (2, 1)

    def test_restarts_with_nothing_between_them_take_no_memory_for_each_tag(self, tmp_path):
        logged = [event(simple(f"loss/{number}", 0.5), step=1) for number in range(500)]
        write_events(tmp_path / EVENT_FILE, *logged, *map(restart, range(500, 0, -1)), restart(9))
        tracemalloc.start()
        try:
            series = read(tmp_path).series
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert {len(each) for each in series.values()} == {0}
        assert peak < 10 << 20

    def test_a_restart_voids_tensors_as_well(self, tmp_path):
        points_of_acc = [event(tensor_value("acc", double(0.1)), step=step) for step in range(3)]
        write_events(tmp_path / EVENT_FILE, *points_of_acc, restart(1))
        acc = read(tmp_path).series["acc"]
        assert (steps_and_values(acc), acc.superseded) == ([(0, 0.1)], 2)

    def test_a_series_is_said_to_be_of_its_coarsest_encoding(self, tmp_path):
        half = TensorProto(dtype=DataType.DT_HALF, half_val=[0x3C00])
        write_events(
            tmp_path / EVENT_FILE,
            event(tensor_value("loss", double(0.1)), step=0),
            event(tensor_value("loss", half), step=1),
            event(simple("loss", 0.5), step=2),
        )
        assert read(tmp_path).series["loss"].precision == "float16"


class TestPlugins:
    def test_numbers_for_other_plugins_are_no_scalars(self, tmp_path):
        write_events(
            tmp_path / EVENT_FILE,
            event(
                tensor_value("theirs", double(1.0), "hparams"), tensor_value("ours", double(2.0))
            ),
        )
        assert list(read(tmp_path).series) == ["ours"]

    def test_the_plugin_of_a_tag_holds_for_values_that_come_without_metadata(self, tmp_path):
        write_events(
            tmp_path / "tfevents.1",
            event(tensor_value("theirs", double(1.0), "mine"), step=0),
            event(tensor_value("another", double(1.0), "mine"), step=0),
            event(tensor_value("theirs", double(1.0)), step=1),
        )
        write_events(tmp_path / "tfevents.2", event(tensor_value("theirs", double(1.0)), step=2))
        assert read(tmp_path).series == {}

    def test_a_simple_value_of_the_scalars_plugin_is_a_scalar(self, tmp_path):
        value = tensor_value("loss", double(0.0), "scalars")
        value.ClearField("tensor")
        value.simple_value = 0.5
        write_events(tmp_path / EVENT_FILE, event(value, step=4))
        assert steps_and_values(read(tmp_path).series["loss"]) == [(4, 0.5)]


class TestDamages:
    def test_a_file_cut_off_within_a_record_gives_the_others_and_one_line(self, tmp_path):
        path = write_events(tmp_path / EVENT_FILE, *losses(0, 1, 2))
        whole = path.read_bytes()
        last = len(record_of(losses(2)[0]))
        path.write_bytes(whole[:-5])
        log = read(tmp_path)
        assert log.series["loss"].steps.tolist() == [0, 1]
        assert log.damages == (
            f"{path} ends within a record ({last - 5:,} bytes at offset {len(whole) - last:,}): "
            "still being written, or cut off",
        )

    def test_a_file_cut_off_within_a_large_image_is_one_line_too(self, tmp_path):
        path = write_events(tmp_path / EVENT_FILE, *losses(0))
        sound = path.stat().st_size
        large = framed(event(image("sample", bytes(3 << 20)), step=1).SerializeToString())
        write_bytes(path, path.read_bytes() + large[:-100])
        log = read(tmp_path)
        assert log.series["loss"].steps.tolist() == [0]
        assert log.damages == (
            f"{path} ends within a record ({len(large) - 100:,} bytes at offset {sound}): "
            "still being written, or cut off",
        )

    @pytest.mark.parametrize(
        ("place", "reason"),
        [(3, "bad length CRC"), (20, "bad payload CRC"), (-1, "bad payload CRC")],
    )
    def test_a_corrupt_record_is_skipped_and_named_and_all_others_are_read(
        self, tmp_path, place, reason
    ):
        path = write_events(tmp_path / EVENT_FILE, *losses(*range(500)))
        before = len(record_of(FILE_VERSION)) + sum(len(record_of(e)) for e in losses(*range(300)))
        size = len(record_of(*losses(300)))
        data = bytearray(path.read_bytes())
        data[before + place % size] ^= 0x10
        path.write_bytes(data)
        log = read(tmp_path)
        assert log.series["loss"].steps.tolist() == [n for n in range(500) if n != 300]
        assert log.damages == (f"skipped {size} bytes at offset {before:,} of {path} ({reason})",)

    def test_zeros_at_the_end_of_a_file_are_skipped_bytes(self, tmp_path):
        path = write_events(tmp_path / EVENT_FILE, *losses(0))
        sound = path.stat().st_size
        write_bytes(path, path.read_bytes() + bytes(5000))
        log = read(tmp_path)
        assert log.series["loss"].steps.tolist() == [0]
        assert log.damages == (f"skipped 5,000 bytes at offset {sound} of {path} (bad length CRC)",)

    def test_a_record_that_is_no_event_is_counted(self, tmp_path):
        data = framed_by_tensorboard(b"no event", losses(1)[0].SerializeToString(), b"nor this")
        path = write_bytes(tmp_path / EVENT_FILE, data)
        log = read(tmp_path)
        assert log.series["loss"].steps.tolist() == [1]
        assert log.damages == (f"2 record(s) of {path} are no events",)

    def test_a_file_of_something_else_is_one_line(self, tmp_path):
        path = write_bytes(tmp_path / "notes.tfevents.txt", b"remember the milk\n" * 100)
        log = read(tmp_path)
        assert log.series == {}
        assert log.damages == (f"skipped 1,800 bytes at offset 0 of {path} (bad length CRC)",)

    def test_a_damaged_file_costs_nothing_of_the_next(self, tmp_path):
        path = write_events(tmp_path / "tfevents.1", *losses(0, 1))
        path.write_bytes(path.read_bytes()[:-1])
        write_events(tmp_path / "tfevents.2", *losses(2))
        log = read(tmp_path)
        assert log.series["loss"].steps.tolist() == [0, 2]
        assert len(log.damages) == 1

    def test_an_empty_file_holds_nothing_and_is_no_damage(self, tmp_path):
        write_bytes(tmp_path / EVENT_FILE, b"")
        log = read(tmp_path)
        assert (log.series, log.traces, log.damages) == ({}, (), ())

    def test_a_file_that_vanished_is_a_line_and_the_others_are_read(self, tmp_path):
        gone = write_events(tmp_path / "tfevents.1", *losses(0))
        write_events(tmp_path / "tfevents.2", *losses(1))
        run = run_of(tmp_path)
        gone.unlink()
        log = read_run(run)
        assert log.series["loss"].steps.tolist() == [1]
        assert log.damages == (f"{gone}: No such file or directory",)

    def test_a_file_that_cannot_be_opened_is_a_line(self, tmp_path):
        path = write_events(tmp_path / EVENT_FILE, *losses(0))
        run = run_of(tmp_path)
        path.unlink()
        path.mkdir()
        assert read_run(run).damages == (f"{path}: Is a directory",)

    def test_a_pipe_that_took_a_files_place_is_a_line_and_is_not_waited_for(self, tmp_path):
        path = write_events(tmp_path / EVENT_FILE, *losses(0))
        run = run_of(tmp_path)
        path.unlink()
        os.mkfifo(path)
        assert read_run(run).damages == (f"{path}: no regular file",)

    def test_a_run_whose_directory_vanished_is_a_line(self, tmp_path):
        path = write_events(tmp_path / "run" / EVENT_FILE, *losses(0))
        run = run_of(tmp_path / "run")
        shutil.rmtree(path.parent)
        assert read_run(run).damages == (f"{path}: No such file or directory",)


class TestLargeFiles:
    def test_large_images_are_sought_past(self, tmp_path):
        body = np.random.default_rng(0).bytes(5 << 20)
        events = [
            each
            for step in range(4)
            for each in (event(image("sample", body), step=step), *losses(step))
        ]
        data = b"".join(framed(each.SerializeToString()) for each in events)
        path = write_bytes(tmp_path / EVENT_FILE, data)
        passed = []
        log = read_run(run_of(tmp_path), passed.append)
        assert log.series["loss"].steps.tolist() == [0, 1, 2, 3]
        assert log.damages == ()
        assert sum(passed) == path.stat().st_size
        assert sum(count for count in passed if count <= BLOCK) < sum(passed) / 3

    def test_an_image_merged_with_a_scalar_is_read_for_the_scalar(self, tmp_path):
        merged = event(image("sample", bytes(3 << 20)), simple("loss", 0.5), step=7)
        write_bytes(tmp_path / EVENT_FILE, framed(merged.SerializeToString()))
        assert steps_and_values(read(tmp_path).series["loss"]) == [(7, 0.5)]

    def test_advance_is_told_every_byte_of_every_file(self, tmp_path):
        write_events(tmp_path / "tfevents.1", *losses(*range(50)))
        write_bytes(tmp_path / "tfevents.2", bytes(BLOCK + 7))
        passed = []
        read_run(run_of(tmp_path), passed.append)
        assert sum(passed) == sum(path.stat().st_size for path in tmp_path.iterdir())

    def test_records_that_lie_across_two_blocks_are_read(self, tmp_path):
        record = framed(losses(3)[0].SerializeToString())
        count = BLOCK // len(record) + 100
        write_bytes(tmp_path / EVENT_FILE, record * count)
        log = read(tmp_path)
        assert log.series["loss"].superseded == count - 1
        assert log.damages == ()


def test_the_log_carries_the_runs_name_and_files(tmp_path):
    path = write_events(tmp_path / EVENT_FILE, *losses(0))
    log = read_run(RunFiles("fold/1", (path,)))
    assert (log.run, log.files, log.series["loss"].run) == ("fold/1", (path,), "fold/1")
    assert log.series["loss"].tag == "loss"

"""Two processes that wrote into one directory at once are no one training, unless they agree."""

import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from plateau_watch.commands import main
from plateau_watch.events.axes import axes_of
from plateau_watch.events.file_content import FileContent
from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_trainings
from plateau_watch.events.summaries import decode_event
from plateau_watch.events.told_apart import told_apart
from tests.event_files import event, restart, simple, write_events
from tests.runs import METRIC, lr_of, scheduler_for

RANK = """
import json, os, sys, time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

directory, rank, points = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
writer = EventFileWriter(directory)  # the one below torch's SummaryWriter, without torch
open(f"{directory}/ready{rank}", "w").close()
while not os.path.exists(f"{directory}/ready{1 - rank}"):
    time.sleep(0.01)
for step, (loss, lr) in enumerate(points):
    values = [
        Summary.Value(tag="val/loss", simple_value=loss), Summary.Value(tag="lr", simple_value=lr)
    ]
    writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=values)))
    time.sleep(0.02)
writer.close()
"""


def trained(plus=0.0):
    """Metric and LR of each step of a training."""
    scheduler = scheduler_for(patience=2)
    points = []
    for step, value in enumerate(METRIC):
        points.append((value + plus * (step % 3), lr_of(scheduler)))
        scheduler.step(points[-1][0])
    return points


def write(directory, opened, pid, steps, values, *, tag="loss", first=(), every=1.0, host="h"):
    """Write a file that a process opened at a time, a point a second unless said."""
    directory.mkdir(exist_ok=True)
    points = [
        event(simple(tag, value), step=step, wall_time=opened + every * index)
        for index, (step, value) in enumerate(zip(steps, values, strict=True))
    ]
    path = directory / f"events.out.tfevents.{opened}.{host}.{pid}.0"
    return write_events(path, *first, *points)


def logs_of(directory):
    return [log for run in discover(directory) for log in read_trainings(run)]


def notes_of(directory):
    return [damage for log in logs_of(directory) for damage in log.damages]


def steps_of(directory, tag="loss"):
    return [log.series[tag].steps.tolist() for log in logs_of(directory)]


@pytest.mark.parametrize("values", ["same", "others"])
def test_two_real_processes_at_once(tmp_path, values):
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(tmp_path), str(rank), json.dumps(trained(plus))]
        )
        for rank, plus in ((0, 0.0), (1, 0.0 if values == "same" else 0.01))
    ]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    result = CliRunner().invoke(main, ["replay", str(tmp_path), "--format", "json"])
    runs = json.loads(result.stdout)["runs"]
    if values == "same":
        assert [run["run"] for run in runs] == ["."]
    else:
        assert {run["run"][:2] for run in runs} == {".@"}
        assert len({run["run"] for run in runs}) == 2
    assert all(run["parity"]["mismatches"] == 0 for run in runs)


class TestOtherValues:
    def test_interleaved_steps_of_two_processes_are_two_trainings(self, tmp_path):
        """One rank logs the even steps and the other the odd ones: a series of both is nobody's."""
        write(tmp_path, 100, 7, range(0, 20, 2), range(10))
        write(tmp_path, 101, 8, range(1, 21, 2), range(50, 60))
        assert [log.run for log in logs_of(tmp_path)] == [".@100", ".@101"]
        assert steps_of(tmp_path) == [list(range(0, 20, 2)), list(range(1, 21, 2))]

    def test_overlapping_steps_with_other_values_are_two_and_the_note_says_where(self, tmp_path):
        first = write(tmp_path, 100, 7, range(20), [0.5] * 20)
        second = write(tmp_path, 102, 8, range(2, 22), [0.75] * 20)
        assert len(logs_of(tmp_path)) == 2
        assert notes_of(tmp_path) == [
            f"{second.name} was written at the same time as {first.name}, with other values "
            "('loss' at step 2 is 0.5 there and 0.75 here): they are trainings of their own, not "
            "one; --run chooses"
        ]

    def test_a_process_on_another_machine_is_another_one(self, tmp_path):
        write(tmp_path, 100, 7, range(20), [0.5] * 20, host="a")
        write(tmp_path, 102, 7, range(2, 22), [0.75] * 20, host="b")
        assert len(logs_of(tmp_path)) == 2

    def test_a_restart_of_the_one_voids_nothing_of_the_other(self, tmp_path):
        write(tmp_path, 100, 7, range(20), [0.5] * 20)
        write(tmp_path, 102, 8, range(2, 22), [0.75] * 20, first=[restart(2)])
        assert [len(steps) for steps in steps_of(tmp_path)] == [20, 20]

    def test_names_without_a_process_are_told_apart_by_their_values(self, tmp_path):
        for begun, value in ((100, 0.5), (102, 0.75)):
            points = [
                event(simple("loss", value), step=begun - 100 + step, wall_time=begun + step)
                for step in range(20)
            ]
            write_events(tmp_path / f"events.out.tfevents.{begun}.host", *points)
        assert len(logs_of(tmp_path)) == 2

    def test_each_is_chosen_by_its_name(self, tmp_path):
        for pid, plus in ((7, 0.0), (8, 0.01)):
            events = [
                event(simple("val/loss", loss), simple("lr", lr), step=step, wall_time=100.0 + step)
                for step, (loss, lr) in enumerate(trained(plus))
            ]
            write_events(tmp_path / f"events.out.tfevents.100.h.{pid}.0", *events)
        arguments = ["replay", str(tmp_path), "--run", ".@100.8", "--format", "json"]
        (run,) = json.loads(CliRunner().invoke(main, arguments).stdout)["runs"]
        assert (run["run"], run["parity"]["mismatches"]) == (".@100.8", 0)


class TestOneTraining:
    def test_the_same_values_written_twice_are_harmless_and_said(self, tmp_path):
        write(tmp_path, 100, 7, range(20), [0.5] * 20)
        write(tmp_path, 101, 8, range(20), [0.5] * 20)
        (log,) = logs_of(tmp_path)
        assert len(log.series["loss"]) == log.series["loss"].superseded == 20
        assert "the same values" in log.damages[0]

    def test_nan_beside_nan_is_the_same(self, tmp_path):
        for begun, pid in ((100, 7), (101, 8)):
            write(tmp_path, begun, pid, range(20), [float("nan")] * 20)
        assert len(logs_of(tmp_path)) == 1

    def test_a_resumed_training_writes_later_and_its_word_counts(self, tmp_path):
        write(tmp_path, 100, 7, range(20), [0.5] * 20)
        write(tmp_path, 500, 8, range(15, 30), [0.75] * 15)
        (log,) = logs_of(tmp_path)
        assert log.series["loss"].values.tolist() == [0.5] * 15 + [0.75] * 15
        assert (log.series["loss"].superseded, log.damages) == (5, ())

    def test_clocks_that_differ_a_little_make_no_two_writers(self, tmp_path):
        write(tmp_path, 100, 7, range(20), [0.5] * 20)
        write(tmp_path, 115, 8, range(15, 30), [0.75] * 15, host="another")
        assert len(logs_of(tmp_path)) == 1

    def test_tags_of_their_own_stay_one_training(self, tmp_path):
        write(tmp_path, 100, 7, range(20), [0.5] * 20)
        write(tmp_path, 101, 8, range(20), [0.75] * 20, tag="lr")
        (log,) = logs_of(tmp_path)
        assert set(log.series) == {"loss", "lr"}

    def test_an_older_file_that_is_appended_to_counts_by_its_name_and_that_is_said(self, tmp_path):
        """One process, two writers: the first one goes on after the second was begun."""
        older = write(tmp_path, 100, 7, range(20), [0.5] * 20, every=10.0)
        newer = write(tmp_path, 150, 7, range(5, 10), [0.75] * 5)
        (log,) = logs_of(tmp_path)
        assert log.series["loss"].values.tolist() == [0.5] * 5 + [0.75] * 5 + [0.5] * 10
        assert log.damages == (
            f"{older} was still written to after {newer.name} was begun: points are taken in the "
            "order of the files' names",
        )


def test_a_stride_from_one_end_of_the_steps_to_the_other_does_not_overflow():
    content = FileContent()
    for step in (-(2**63), 2**63 - 1):
        content.take(decode_event(event(simple("loss", 0.5), step=step).SerializeToString()))
    assert axes_of(content)["loss"].stride == 2.0**64


def test_thousands_of_files_are_told_apart_in_seconds(tmp_path):
    """Each of them a training, as a search leaves them."""
    contents = []
    for number in range(2000):
        content = FileContent()
        for step in range(3):
            proto = event(simple("loss", number), simple("lr", 0.1), step=step, wall_time=number)
            content.take(decode_event(proto.SerializeToString()))
        contents.append(content)
    files = [tmp_path / f"events.out.tfevents.{number}.h.{number}.0" for number in range(2000)]
    begun = time.process_time()
    assert len(told_apart(files, contents).groups) == 2000
    assert time.process_time() - begun < 10

"""Several trainings in one directory are told apart, and the runs of one training put together."""

import json

import pytest
from click.testing import CliRunner

from plateau_watch.commands import main
from plateau_watch.events.logdir import discover
from plateau_watch.events.related import related
from plateau_watch.events.run_reader import read_trainings
from plateau_watch.events.told_apart import Writer, writer_of
from tests.event_files import event, restart, simple, write_events

HOST = "example.lan"


def write(directory, time, events, pid=None):
    """Write an event file that was opened at a time, by a process or (as TF 1 does) by nobody."""
    directory.mkdir(parents=True, exist_ok=True)
    tail = "" if pid is None else f".{pid}.0"
    path = directory / f"events.out.tfevents.{time}.{HOST}{tail}"
    write_events(path, *events)
    return path


def points(tags, steps, time=0.0, plus=0.0):
    return [
        event(*(simple(tag, step + plus) for tag in tags), step=step, wall_time=time + index)
        for index, step in enumerate(steps)
    ]


def trainings(logdir):
    return [log for run in discover(logdir) for log in read_trainings(run)]


def groups(logdir):
    return [[log.run for log in group] for group in related(trainings(logdir))]


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        (
            "events.out.tfevents.1532756884.MacBook-Pro.local",
            ("1532756884", "MacBook-Pro.local", None),
        ),
        (
            "events.out.tfevents.1695614990.58fe88967dcb.1215.0",
            ("1695614990", "58fe88967dcb", "1215"),
        ),
        ("events.out.tfevents.1704204886.NTNU.14664.1.v2", ("1704204886", "NTNU", "14664")),
    ],
)
def test_an_event_files_name_says_who_wrote_it(name, writer):
    assert writer_of(name) == Writer(*writer)


def test_other_names_say_nothing():
    assert writer_of("my.tfevents") is None


def test_a_file_that_starts_over_is_a_training_of_its_own(tmp_path):
    for time in (100, 200, 300):
        write(tmp_path, time, points(["val_loss", "lr"], range(5), time))
    logs = trainings(tmp_path)
    assert [log.run for log in logs] == [".@100", ".@200", ".@300"]
    assert [len(log.series["lr"]) for log in logs] == [5, 5, 5]
    assert all(log.series["lr"].superseded == 0 for log in logs)


def test_a_file_that_goes_on_belongs_to_the_training_before_it(tmp_path):
    write(tmp_path, 100, points(["val_loss"], range(10), 100))
    write(tmp_path, 200, points(["val_loss"], range(8, 15), 200))
    (log,) = trainings(tmp_path)
    assert log.run == "."
    assert log.series["val_loss"].steps.tolist() == list(range(15))
    assert log.series["val_loss"].superseded == 2


def test_a_file_that_says_it_goes_on_is_believed(tmp_path):
    write(tmp_path, 100, points(["val_loss"], range(10), 100))
    write(tmp_path, 200, [restart(step=5), *points(["val_loss"], range(5, 9), 200)])
    (log,) = trainings(tmp_path)
    assert log.series["val_loss"].steps.tolist() == list(range(9))


def test_steps_that_begin_with_a_stride_of_another_length_start_over(tmp_path):
    """Batches of 128 samples after batches of 32: the first step is 128, and not behind 32."""
    write(tmp_path, 100, points(["loss"], range(32, 3200, 32), 100))
    write(tmp_path, 900, points(["loss"], range(128, 3200, 128), 900))
    assert len(trainings(tmp_path)) == 2


def test_a_value_written_once_by_every_start_says_nothing(tmp_path):
    """Lightning writes hp_metric at step 0 whenever a logger is made."""
    write(tmp_path, 100, [*points(["hp_metric"], [0]), *points(["val_loss"], range(10), 100)])
    write(tmp_path, 200, [*points(["hp_metric"], [0]), *points(["val_loss"], range(10, 20), 200)])
    (log,) = trainings(tmp_path)
    assert len(log.series["val_loss"]) == 20


def test_two_writers_of_one_process_with_tags_of_their_own_are_one_training(tmp_path):
    write(tmp_path, 100, points(["val_loss"], range(5), 100), pid=7)
    write(tmp_path, 101, points(["lr"], range(5), 900), pid=7)
    (log,) = trainings(tmp_path)
    assert set(log.series) == {"val_loss", "lr"}


def test_trainings_that_began_in_one_second_are_named_by_their_processes(tmp_path):
    for pid in (7, 8):
        write(tmp_path, 100, points(["loss"], range(5), 100, plus=pid), pid=pid)
    write(tmp_path, 300, points(["loss"], range(5), 300), pid=9)
    assert [log.run for log in trainings(tmp_path)] == [".@100.7", ".@100.8", ".@300"]


def test_where_processes_do_not_tell_trainings_are_named_by_their_files(tmp_path):
    for host in ("a", "b"):
        path = tmp_path / f"events.out.tfevents.100.{host}.7.0"
        write_events(path, *points(["loss"], range(5), 100, plus=ord(host)))
    assert [log.run for log in trainings(tmp_path)] == [
        f".@events.out.tfevents.100.{host}.7.0" for host in ("a", "b")
    ]


def test_train_and_validation_of_one_time_are_one_training(tmp_path):
    for time in (100, 200):
        write(tmp_path / "train", time, points(["epoch_lr"], range(5), time), pid=time)
        write(
            tmp_path / "validation", time + 2, points(["epoch_loss"], range(5), time + 2), pid=time
        )
    assert groups(tmp_path) == [
        ["train@100", "validation@102"],
        ["train@200", "validation@202"],
    ]


def test_runs_of_other_names_side_by_side_are_other_trainings(tmp_path):
    for name in ("version_0", "version_1"):
        write(tmp_path / name, 100, points(["lr", "val_loss"], range(5), 100), pid=7)
    assert groups(tmp_path) == [["version_0"], ["version_1"]]


def test_runs_that_other_processes_wrote_are_other_trainings(tmp_path):
    write(tmp_path / "train", 100, points(["lr"], range(5), 100), pid=7)
    write(tmp_path / "val", 100, points(["loss"], range(5), 100), pid=8)
    assert groups(tmp_path) == [["train"], ["val"]]


def test_a_sub_run_with_one_curve_of_the_same_process_belongs_to_the_run_above_it(tmp_path):
    write(tmp_path / "run", 100, points(["lr"], range(5), 100), pid=7)
    write(tmp_path / "run" / "loss_val", 101, points(["loss"], range(5), 101), pid=7)
    assert groups(tmp_path) == [["run", "run/loss_val"]]


def test_a_glob_finds_a_training_by_the_time_in_its_name(tmp_path):
    """RUN@TIME is known when the files are read; a glob without the run's name is waited for."""
    for time in (100, 200):
        write(tmp_path / "run", time, points(["lr", "loss"], range(1, 6), time))
    found = CliRunner().invoke(main, ["runs", str(tmp_path), "--run", "*200*", "--format", "json"])
    assert [run["run"] for run in json.loads(found.stdout)["runs"]] == ["run@200"]
    none = CliRunner().invoke(main, ["runs", str(tmp_path), "--run", "*300*"])
    assert none.exit_code == 2
    assert "no run is named '*300*'; there are: 'run@" in none.stderr

"""Every example runs and does what it says; the recorded logs are fit to be given away."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from plateau_watch.alignment import from_series
from plateau_watch.comparison import compare
from plateau_watch.config import PlateauConfig
from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_run
from plateau_watch.recording import from_trace

ROOT = Path(__file__).resolve().parents[1]
REPLAY_LOGS = ROOT / "replay_logs"
SHORT = ("--epochs", "8", "--patience", "0", "--lr", "0.3", "--min-lr", "0.001")
"""A short training with an LR so high, and so little patience, that its scheduler fires early."""

RAN_WITH = PlateauConfig(factor=0.3, patience=0, min_lr=0.001)
DIGITS_RUNS = {
    "hooked/seed0",
    "hooked/seed1",
    "hooked/seed2",
    "hooked/two_groups",
    "plain/lr_before_seed0",
    "plain/lr_after_seed1",
}
TAGS = {
    "foreign/lightning/lightning_logs/version_0": {
        *("lr-AdamW", "val_loss", "val_acc", "train_loss", "epoch"),
    },
    "foreign/transformers": {
        *("train/loss", "train/grad_norm", "train/learning_rate", "train/epoch"),
        *("eval/loss", "eval/runtime", "eval/samples_per_second", "eval/steps_per_second"),
        *("train/train_runtime", "train/train_samples_per_second"),
        *("train/train_steps_per_second", "train/total_flos", "train/train_loss"),
    },
    "foreign/ignite": {"lr/group_0", "training/loss", "validation/accuracy", "validation/loss"},
}
"""What the frameworks log by themselves."""

KERAS_TAGS = {
    f"{run}/{part}": tags
    for run in ("foreign/keras", "foreign/keras_logger_first")
    for part, tags in {
        "train": {"epoch_accuracy", "epoch_loss", "epoch_learning_rate"},
        "validation": {
            *("epoch_accuracy", "epoch_loss"),
            *("evaluation_accuracy_vs_iterations", "evaluation_loss_vs_iterations"),
        },
    }.items()
}
HOOKED_AND_FOREIGN = {run.replace("foreign/", "hooked/"): run for run in TAGS}
LR_TAGS = {"lr-AdamW", "train/learning_rate", "lr/group_0", "epoch_learning_rate"}
PLAIN_AND_HOOKED = {
    "plain/lr_before_seed0": "hooked/seed0",
    "plain/lr_after_seed1": "hooked/seed1",
}


def example(name, *arguments):
    """Run an example as a user does, and return what it printed."""
    return python(ROOT / "examples" / name, *arguments).stdout


def python(*arguments, check=True):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def logs_below(logdir):
    return {run.name: read_run(run) for run in discover(logdir)}


def only_log(logdir):
    (log,) = logs_below(logdir).values()
    return log


def replayed(log):
    (trace,) = log.traces
    return compare(from_trace(trace))


def replayed_plain(log, config):
    return compare(from_series(log.series["val/loss"], [log.series["lr"]], config))


def stated_in(logdir):
    (stated,) = tomllib.loads((logdir / "plateau-watch.toml").read_text())["runs"]
    return stated


def points(log, tag):
    return dict(zip(log.series[tag].steps.tolist(), log.series[tag].values.tolist(), strict=True))


def files_below(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The same training three times: with the hook, and plain in both ways."""
    top = tmp_path_factory.mktemp("digits")
    arguments = {
        "hooked": (),
        "before": ("--plain", "--lr-logged", "before"),
        "after": ("--plain", "--lr-logged", "after"),
    }
    printed = {
        name: example("digits_cnn.py", "--logdir", top / name, *SHORT, *more)
        for name, more in arguments.items()
    }
    return {name: only_log(top / name) for name in arguments}, printed


class TestDigitsCnn:
    def test_the_hooked_run_leaves_a_trace_that_replays_exactly(self, trained):
        logs, _ = trained
        report = replayed(logs["hooked"])
        assert report.parity.checked == 8
        assert report.parity.exact
        assert not report.warnings
        assert report.recording.config == RAN_WITH

    def test_the_scheduler_fires(self, trained):
        logs, _ = trained
        assert replayed(logs["hooked"]).real.firings

    def test_the_hooked_run_logs_what_a_user_logs_too(self, trained):
        logs, _ = trained
        for tag in ("train/loss", "val/loss", "val/accuracy", "lr"):
            assert list(points(logs["hooked"], tag)) == list(range(1, 9))

    def test_a_plain_run_logs_validation_loss_and_lr_only(self, trained):
        logs, _ = trained
        for name in ("before", "after"):
            assert set(logs[name].series) == {"val/loss", "lr"}
            assert not logs[name].traces

    def test_hooked_and_plain_are_the_very_same_training(self, trained):
        logs, _ = trained
        assert points(logs["hooked"], "val/loss") == points(logs["before"], "val/loss")
        assert points(logs["hooked"], "val/loss") == points(logs["after"], "val/loss")
        assert points(logs["hooked"], "lr") == points(logs["before"], "lr")

    @pytest.mark.parametrize("meaning", ["before", "after"])
    def test_a_plain_run_replays_and_tells_what_its_lr_means(self, trained, meaning):
        logs, _ = trained
        report = replayed_plain(logs[meaning], RAN_WITH)
        assert report.parity.checked == 8
        assert report.parity.exact
        assert report.recording.logged == meaning

    @pytest.mark.parametrize("name", ["hooked", "before", "after"])
    def test_the_command_it_prints_at_the_end_works(self, trained, name):
        _, printed = trained
        program, *arguments = shlex.split(printed[name].splitlines()[-1])
        assert program == "plateau-watch"
        python("-m", "plateau_watch", *arguments, "--check")


class TestEffectOnLearningCurve:
    def test_it_draws_a_figure_and_says_how_large_the_effect_is(self, tmp_path):
        figure = tmp_path / "effect.png"
        printed = example(
            "effect_on_learning_curve.py", "--out", figure, "--epochs", "2", "--seeds", "2"
        )
        assert size_of_png(figure) == (1350, 1050)
        assert figure.stat().st_size > 20_000
        assert re.search(
            r"median final validation loss: \d\.\d{4} with a constant LR, "
            r"\d\.\d{4} with the scheduler\n"
            r"the scheduler helped on \d of 2 seeds\n",
            printed,
        )
        assert "chosen so that a constant LR stagnates" in printed


def size_of_png(path):
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A directory recorded once, with two epochs for each run of the CNN."""
    directory = tmp_path_factory.mktemp("recorded") / "replay_logs"
    example("record_replay_logs.py", directory, "--epochs", "2", *only(*DIGITS_RUNS))
    return directory


def only(*runs):
    return [argument for run in sorted(runs) for argument in ("--only", run)]


class TestRecordReplayLogs:
    def test_it_writes_all_runs_and_what_they_do_not_record(self, recorded):
        assert set(logs_below(recorded)) == DIGITS_RUNS
        text = (recorded / "README.md").read_text()
        words = ("record_replay_logs.py", "torch", "scikit-learn", "| epochs | 2 |")
        for word in (*words, *DIGITS_RUNS):
            assert word in text
        assert stated_in(recorded) == {
            "match": "plain/*",
            "metric": "val/loss",
            "lr": ["lr"],
            "ran-with": {"factor": 0.3, "patience": 3, "min_lr": 3e-5},
        }

    def test_recording_again_replaces_the_event_files_and_nothing_else(self, recorded, tmp_path):
        again = shutil.copytree(recorded, tmp_path / "replay_logs")
        (again / "hooked/seed0/notes.txt").write_text("mine")
        (again / "hooked/seed9").mkdir()
        (again / "hooked/seed9/events.out.tfevents.1.mine.0").write_bytes(b"mine")
        kept = {"hooked/seed0/notes.txt", "hooked/seed9/events.out.tfevents.1.mine.0"}
        example("record_replay_logs.py", again, "--epochs", "2", *only(*DIGITS_RUNS))
        files = files_below(again)
        assert len(files) == len(DIGITS_RUNS) + 2 + len(kept)
        assert all(files[name] == b"mine" for name in kept)
        assert files["README.md"] == (recorded / "README.md").read_bytes()
        first, second = logs_below(recorded), logs_below(again)
        for run in DIGITS_RUNS:
            assert points(first[run], "val/loss") == points(second[run], "val/loss")
            assert points(first[run], "lr") == points(second[run], "lr")

    def test_recording_some_runs_leaves_the_others_and_what_is_said_of_them(
        self, recorded, tmp_path
    ):
        again = shutil.copytree(recorded, tmp_path / "replay_logs")
        readme = again / "README.md"
        readme.write_text(readme.read_text().replace("python 3.", "python 2."))
        example("record_replay_logs.py", again, "--epochs", "2", *only("plain/lr_after_seed1"))
        before, after = files_below(recorded), files_below(again)
        for name in before.keys() - {"README.md"}:
            assert name.startswith("plain/lr_after_seed1/") or after[name] == before[name]
        written_with = dict(
            line.strip("| ").split(" | ")
            for line in readme.read_text().splitlines()
            if re.match(r"\| \S+ \| python", line)
        )
        assert written_with.keys() == DIGITS_RUNS
        anew = {run for run, versions in written_with.items() if "python 3." in versions}
        assert anew == {"plain/lr_after_seed1"}

    def test_without_a_python_for_keras_its_runs_stay_as_they_are(self, recorded, tmp_path):
        again = shutil.copytree(recorded, tmp_path / "replay_logs")
        printed = example("record_replay_logs.py", again, *only("foreign/keras*"))
        assert printed == (
            "foreign/keras stays as it is: it needs --keras-python\n"
            "foreign/keras_logger_first stays as it is: it needs --keras-python\n"
        )
        assert not (again / "foreign").exists()

    def test_a_run_that_fails_stays_as_it_was_and_those_before_it_are_recorded(
        self, recorded, tmp_path
    ):
        again = shutil.copytree(recorded, tmp_path / "replay_logs")
        earlier = again / "foreign/keras/events.out.tfevents.1.example.1.0.v2"
        earlier.parent.mkdir(parents=True)
        earlier.write_bytes(b"earlier")
        readme = again / "README.md"
        readme.write_text(readme.read_text().replace("python 3.", "python 2."))
        runs = only("foreign/keras", "plain/lr_after_seed1")
        script = ROOT / "examples/record_replay_logs.py"
        done = python(script, again, *runs, "--epochs", "2", "--keras-python", "false", check=False)
        assert done.returncode != 0
        assert earlier.read_bytes() == b"earlier"
        assert re.findall(r"\| (\S+) \| python 3", readme.read_text()) == ["plain/lr_after_seed1"]

    def test_it_does_not_write_over_a_readme_that_is_not_its_own(self, tmp_path):
        (tmp_path / "README.md").write_text("# My project\n")
        done = python(ROOT / "examples/record_replay_logs.py", tmp_path, check=False)
        assert done.returncode == 1
        assert "give a directory of their own" in done.stderr
        assert files_below(tmp_path) == {"README.md": b"# My project\n"}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """The other frameworks' examples, recorded with a few epochs each."""
    directory = tmp_path_factory.mktemp("foreign") / "replay_logs"
    runs = ("foreign/lightning", "foreign/transformers", "foreign/ignite")
    example("record_replay_logs.py", directory, "--epochs", "4", *only(*runs))
    return logs_below(directory)


class TestOtherFrameworks:
    def test_each_logs_what_its_framework_logs(self, foreign):
        assert {name: set(log.series) for name, log in foreign.items()} == TAGS

    def test_lightning_logs_the_lr_at_the_first_batch_of_an_epoch_and_the_loss_at_the_last(
        self, foreign
    ):
        log = foreign["foreign/lightning/lightning_logs/version_0"]
        assert list(points(log, "lr-AdamW")) == [0, 45, 90, 135]
        assert list(points(log, "val_loss")) == [44, 89, 134, 179]

    def test_trainer_logs_the_lr_and_the_loss_at_the_same_steps(self, foreign):
        log = foreign["foreign/transformers"]
        assert list(points(log, "train/learning_rate")) == [45, 90, 135, 180]
        assert list(points(log, "eval/loss")) == [45, 90, 135, 180]

    def test_ignite_logs_the_lr_by_iteration_and_the_accuracy_by_epoch(self, foreign):
        log = foreign["foreign/ignite"]
        assert list(points(log, "lr/group_0")) == list(range(5, 93, 5))
        assert list(points(log, "validation/accuracy")) == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def logs():
    return logs_below(REPLAY_LOGS)


class TestRecordedLogs:
    """`replay_logs/` as it is committed."""

    def test_all_runs_are_there_and_undamaged(self, logs):
        assert set(logs) == {*DIGITS_RUNS, *TAGS, *KERAS_TAGS, *HOOKED_AND_FOREIGN}
        assert not any(log.damages for log in logs.values())

    def test_they_are_small(self):
        assert sum(map(len, files_below(REPLAY_LOGS).values())) < 1_000_000

    def test_they_name_no_machine_and_no_place_on_one(self):
        host = socket.gethostname().encode()
        places = [str(place).encode() for place in (ROOT, Path.home()) if len(str(place)) > 1]
        for name, content in files_below(REPLAY_LOGS).items():
            assert host.decode() not in re.split(r"[./]", name)
            assert not any(place in content for place in places)
            for text in re.findall(rb"[ -~]{6,}", content):
                assert not re.search(rb"(?<![\w.-])" + re.escape(host) + rb"(?![\w-])", text)
                assert not re.search(rb"(?<![\w.])/(home|root|tmp|work|Users|var|opt)/", text)

    @pytest.mark.parametrize("run", sorted(run for run in DIGITS_RUNS if run.startswith("hooked/")))
    def test_a_hooked_run_replays_exactly(self, logs, run):
        report = replayed(logs[run])
        assert report.parity.checked == 60
        assert report.parity.exact
        assert not report.warnings

    @pytest.mark.parametrize(("run", "tags"), sorted({**TAGS, **KERAS_TAGS}.items()))
    def test_a_foreign_run_has_what_its_framework_logs_and_no_trace(self, logs, run, tags):
        assert set(logs[run].series) == tags
        assert not logs[run].traces

    @pytest.mark.parametrize(("hooked", "run"), sorted(HOOKED_AND_FOREIGN.items()))
    def test_a_hooked_run_of_a_framework_replays_exactly_beside_what_its_twin_logs(
        self, logs, hooked, run
    ):
        report = replayed(logs[hooked])
        assert report.parity.exact
        assert not report.warnings
        for tag in sorted({"val_loss", "eval/loss", "validation/accuracy"} & set(logs[run].series)):
            assert points(logs[hooked], tag) == points(logs[run], tag)
            assert points(logs[hooked], "plateau/metric") == points(logs[run], tag)
        for tag in sorted(LR_TAGS & set(logs[run].series)):
            assert points(logs[hooked], tag) == points(logs[run], tag)

    @pytest.mark.parametrize("run", sorted([*TAGS, *(run for run in KERAS_TAGS if "train" in run)]))
    def test_the_scheduler_of_a_foreign_run_fires_three_times_or_more(self, logs, run):
        (tag,) = LR_TAGS & set(logs[run].series)
        lrs = list(points(logs[run], tag).values())
        assert sum(new < old for old, new in pairwise(lrs)) >= 3

    @pytest.mark.parametrize("run", sorted(PLAIN_AND_HOOKED))
    def test_a_plain_run_replays_with_what_the_toml_states(self, logs, run):
        report = replayed_plain(logs[run], PlateauConfig(**stated_in(REPLAY_LOGS)["ran-with"]))
        assert report.parity.checked == 60
        assert report.parity.exact
        assert report.recording.logged == ("before" if "before" in run else "after")

    @pytest.mark.parametrize(("plain", "hooked"), sorted(PLAIN_AND_HOOKED.items()))
    def test_a_plain_run_is_the_training_of_its_hooked_twin(self, logs, plain, hooked):
        assert points(logs[plain], "val/loss") == points(logs[hooked], "val/loss")
        config = PlateauConfig(**stated_in(REPLAY_LOGS)["ran-with"])
        assert replayed(logs[hooked]).recording.config == config

    def test_they_show_reductions_floors_and_a_group_held_at_its_own_bound(self, logs):
        seed0 = replayed(logs["hooked/seed0"]).real.firings
        seed1 = replayed(logs["hooked/seed1"]).real.firings
        groups = replayed(logs["hooked/two_groups"]).real.firings
        assert len(seed0) >= 3
        assert not any(firing.floored for firing in seed0)
        assert any(firing.floored for firing in seed1)
        assert any(
            firing.new_lrs[0] < firing.old_lrs[0] and firing.new_lrs[1] == firing.old_lrs[1]
            for firing in groups
        )

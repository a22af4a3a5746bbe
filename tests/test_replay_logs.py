"""The recorded logs are written anew without harm to others, and are fit to be given away."""

import re
import shutil
import socket
from itertools import pairwise
from pathlib import Path

import pytest

from plateau_watch.config import PlateauConfig
from tests.example_runs import (
    DIGITS_RUNS,
    LR_TAGS,
    REPLAY_LOGS,
    ROOT,
    TAGS,
    example,
    files_below,
    logs_below,
    only,
    points,
    python,
    replayed,
    replayed_plain,
    stated_in,
)

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


PLAIN_AND_HOOKED = {
    "plain/lr_before_seed0": "hooked/seed0",
    "plain/lr_after_seed1": "hooked/seed1",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A directory recorded once, with two epochs for each run of the CNN."""
    directory = tmp_path_factory.mktemp("recorded") / "replay_logs"
    example("record_replay_logs.py", directory, "--epochs", "2", *only(*DIGITS_RUNS))
    return directory


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

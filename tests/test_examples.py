"""Every example runs and does what it says."""

import re
import shlex

import pytest

from plateau_watch.config import PlateauConfig
from tests.example_runs import (
    TAGS,
    example,
    logs_below,
    only,
    only_log,
    points,
    python,
    replayed,
    replayed_plain,
)

SHORT = ("--epochs", "8", "--patience", "0", "--lr", "0.3", "--min-lr", "0.001")
"""A short training with an LR so high, and so little patience, that its scheduler fires early."""

RAN_WITH = PlateauConfig(factor=0.3, patience=0, min_lr=0.001)


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

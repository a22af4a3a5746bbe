"""Any log, no options: the recorded runs of other frameworks, and logs that are hard to read."""

import json
import math
import random

import numpy as np
import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.alignment import from_series
from plateau_watch.commands import main
from plateau_watch.comparison import compare
from plateau_watch.config import PlateauConfig
from plateau_watch.continuation import continued, goes_on_from
from plateau_watch.detection import Tags, detect
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.reading import Reading
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from plateau_watch.stated_hparams import stated_in
from tests.runs import METRIC, lr_of, scheduler_for


def as_json(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments), "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def float32(values):
    return np.array(values, dtype=np.float32).astype(np.float64)


def logged(tag, values, steps=None, times=None, run="."):
    return Series.of(
        float32(values), tag=tag, steps=steps, wall_times=times, run=run, precision="float32"
    )


def falling(seed, steps=60, noise=0.03):
    rng = random.Random(seed)
    return [1 / (1 + 10 * step / steps) + rng.gauss(0, noise) for step in range(steps)]


def lrs_of(metric, config, start=0.1):
    """The LR before each scheduler step, and after the last."""
    trace = replay(config, float32(metric).tolist(), PlateauState.initial(config, (start,)))
    return [start, *(state.lrs[0] for state in trace.states)]


TRUE_PARAMETERS = {
    "foreign/lightning/lightning_logs/version_0": (
        "val_loss",
        "before",
        {"factor": 0.5, "patience": 4, "cooldown": 2, "threshold": 1e-4},
    ),
    "foreign/transformers": (
        "eval/loss",
        "before",
        {"factor": 0.3, "patience": 2, "threshold": 1e-3, "threshold_mode": "abs"},
    ),
    "foreign/ignite": (
        "validation/accuracy",
        "before",
        {"factor": 0.25, "patience": 4, "mode": "max"},
    ),
    "foreign/keras/validation": (
        "epoch_loss",
        "after",
        {"factor": 0.2, "patience": 2, "threshold": 1e-3, "threshold_mode": "abs", "eps": 0},
    ),
    "foreign/keras_logger_first/validation": (
        "epoch_loss",
        "before",
        {
            "factor": 0.5,
            "patience": 1,
            "cooldown": 2,
            "min_lr": 1e-4,
            "threshold": 1e-3,
            "threshold_mode": "abs",
            "eps": 0,
        },
    ),
}
"""Of each recorded foreign run: metric, meaning of a logged LR, and what differs from torch's
defaults, in torch's words: Keras' patience p is p - 1, and its cooldown c is c - 1."""


class TestRecordedRuns:
    def test_metric_and_meaning_are_found_and_every_logged_lr_is_reproduced(self, pytestconfig):
        document = as_json("replay", pytestconfig.rootpath / "replay_logs")
        assert document["not_replayed"] == []
        assert all(run["parity"]["mismatches"] == 0 for run in document["runs"])
        runs = {run["run"]: run for run in document["runs"]}
        for name, (metric, meaning, _) in TRUE_PARAMETERS.items():
            found = runs[name]
            assert (found["metric"]["tag"], found["lr"]["logged"]) == (metric, meaning)
            stated = name == "foreign/transformers"
            assert found["config"]["source"] == ("hparams" if stated else "fitted")

    def test_the_true_parameters_are_in_the_fitted_set(self, pytestconfig):
        document = as_json("fit", pytestconfig.rootpath / "replay_logs", "--run", "foreign/*")
        runs = {(run["run"], run["lr"]["logged"]): run for run in document["runs"]}
        for name, (_, meaning, parameters) in TRUE_PARAMETERS.items():
            true = PlateauConfig(**parameters)
            assert holds(runs[name, meaning]["set"], true), name


def holds(found, config):
    def within(value, bounds):
        return bounds[0] <= value and (bounds[1] is None or value <= bounds[1])

    return any(
        within(config.factor, way["factor"])
        and within(config.eps, way["eps"])
        and all(within(config.min_lr, bounds) for bounds in way["min_lrs"])
        and any(
            (rules["mode"], rules["threshold_mode"]) == (config.mode, config.threshold_mode)
            and within(config.patience, rules["patience"])
            and within(config.cooldown, rules["cooldown"])
            and any(within(config.threshold, bounds) for bounds in rules["thresholds"])
            for rules in way["rules"]
        )
        for way in found
    )


class TestReading:
    CONFIG = PlateauConfig(patience=2, factor=0.5)

    def found(self, metric, lr, said=None):
        found = detect([metric, lr], Tags(), said or Reading()).fitted[0].recording
        assert compare(found).parity.exact
        return found

    @pytest.mark.parametrize("seed", range(10))
    def test_an_lr_a_batch_and_a_metric_an_epoch_on_one_axis(self, seed):
        metric = falling(seed)
        lrs = lrs_of(metric, self.CONFIG)
        batches = [lr for lr in lrs[:-1] for _ in range(20)]
        recording = self.found(
            logged("val_loss", metric, steps=[20 * epoch + 19 for epoch in range(60)]),
            logged("lr-AdamW", batches),
        )
        assert recording.config.patience == 2

    @pytest.mark.parametrize("seed", range(10))
    def test_axes_that_count_different_things_are_joined_by_the_clock(self, seed):
        metric = falling(seed)
        lrs = lrs_of(metric, self.CONFIG)
        batches = [lr for lr in lrs[:-1] for _ in range(7)]
        recording = self.found(
            logged("val_loss", metric, times=[7 * epoch + 6.5 for epoch in range(60)]),
            logged("lr", batches, steps=[32 * n for n in range(420)], times=list(range(420))),
        )
        assert recording.config.patience == 2
        assert "steps count different things: LRs are taken by wall time" in recording.guesses

    @pytest.mark.parametrize("seed", range(10))
    def test_an_lr_logged_one_step_late_without_the_first(self, seed):
        metric = falling(seed)
        lr = logged("lr", lrs_of(metric, self.CONFIG)[:-2], steps=range(1, 60))
        recording = self.found(logged("val_loss", metric), lr)
        assert recording.logged == "late"
        assert recording.config.patience == 2
        assert "Keras on TF 1" in detect([logged("val_loss", metric), lr]).convention.framework

    def test_an_lr_that_changes_between_metric_points_is_refused(self):
        metric = logged("val_loss", falling(1), steps=[20 * epoch + 19 for epoch in range(60)])
        lr = logged("lr", [0.1] * 605 + [0.01] * 595)
        with pytest.raises(NotEnoughToldError, match="changes between metric points"):
            detect([metric, lr])

    def test_an_lr_that_ramps_up_before_the_first_metric_point_is_a_warmup_and_said(self):
        metric = falling(3)
        lrs = lrs_of(metric, self.CONFIG)
        batches = [lr for lr in lrs[:-1] for _ in range(20)]
        batches[:5] = [0.02, 0.04, 0.06, 0.08, 0.09]
        recording = self.found(
            logged("val_loss", metric, steps=[20 * epoch + 19 for epoch in range(60)]),
            logged("lr-AdamW", batches),
        )
        assert any("a warmup, of which the scheduler saw" in line for line in recording.warnings)

    @pytest.mark.parametrize("seed", range(8))
    def test_an_lr_that_came_down_to_eps_is_explained_by_the_defaults(self, seed):
        """Firings that eps held leave no trace: no strange threshold is needed to explain them."""
        metric = falling(seed, noise=0.1)
        true = PlateauConfig(patience=2)
        lrs = lrs_of(metric, true)
        assert lrs[-1] < 2e-8
        found = self.found(logged("val_loss", metric), logged("lr-SGD", lrs[:-1]))
        assert found.config == true

    def test_points_that_the_scheduler_never_saw_can_be_skipped(self):
        metric = falling(4)
        lrs = lrs_of(metric, self.CONFIG)
        sanity = logged("val_loss", [0.01, *metric], steps=range(61))
        lr = logged("lr", lrs[:-1], steps=range(1, 61))
        said = Reading("before", skip_first=1)
        recording = from_series(sanity, [lr], self.CONFIG, said)
        assert compare(recording).parity.exact
        assert len(recording) == 60
        assert not compare(from_series(sanity, [lr], self.CONFIG, Reading("before"))).parity.exact

    def test_a_scheduler_may_see_every_second_point_only(self):
        metric = falling(5, steps=120)
        seen = metric[1::2]
        lrs = [lr for lr in lrs_of(seen, self.CONFIG)[:-1] for _ in range(2)]
        said = Reading("before", every=2)
        series = logged("val_loss", metric), [logged("lr", lrs)]
        assert compare(from_series(*series, self.CONFIG, said)).parity.exact

    def test_a_scheduler_may_step_several_times_on_each_point(self):
        metric = falling(6, steps=40)
        config = PlateauConfig(patience=7, factor=0.5)
        repeated = [value for value in metric for _ in range(4)]
        lrs = lrs_of(repeated, config)
        said = Reading("before", repeat=4)
        series = logged("val_loss", metric), [logged("lr", lrs[:-1:4])]
        report = compare(from_series(*series, config, said))
        assert report.parity.exact
        assert report.parity.checked == 40
        assert report.real.firings != ()


class TestWhatIsNoPlateau:
    @pytest.mark.parametrize("tag", ["lr", "lr-SGD", "epoch_learning_rate"])
    @pytest.mark.parametrize(
        "plan",
        [
            [0.1 * 0.95**step for step in range(60)],
            [0.05 * (1 + math.cos(step / 20)) for step in range(60)],
            [0.1 * (1 - step / 60) for step in range(60)],
            [0.1 * 0.1 ** (step // 10) for step in range(60)],
        ],
        ids=["exponential", "cosine", "linear", "steps"],
    )
    @pytest.mark.parametrize("seed", range(8))
    def test_a_decay_by_plan_is_not_explained(self, seed, plan, tag):
        loss = falling(seed)
        accuracy = [1 - value / 2 for value in falling(seed + 100)]
        series = [logged("val_loss", loss), logged("val_acc", accuracy), logged(tag, plan)]
        with pytest.raises(NotEnoughToldError, match="no plateau configuration explains this LR"):
            detect(series)

    def test_an_lr_that_never_falls_bounds_the_patience_and_says_no_more(self):
        series = [logged("val_loss", [3.0, 2.0, 2.0, 2.0, 1.0, 2.0]), logged("lr", [0.1] * 6)]
        with pytest.raises(NotEnoughToldError, match=r"never fired had a patience of 2 or more$"):
            detect(series)

    def test_the_mode_that_was_forgotten_is_a_finding(self):
        """As Catalyst 20 logs it: a score that rises, and an LR cut every third step."""
        score = [1 - 1 / (2 + step) for step in range(13)]
        lrs = lrs_of(score, PlateauConfig(patience=2, factor=0.25))
        found = detect([logged("dice/epoch", score), logged("lr/epoch", lrs[1:])])
        assert found.fitted[0].recording.config.mode == "min"
        assert found.fitted[0].recording.config.patience == 2
        assert "it cut the LR while the metric improved" in found.findings[0]

    def test_a_score_that_is_cut_regularly_may_be_a_plan_or_a_forgotten_mode_and_both_are_said(
        self,
    ):
        """With names of no framework known here, nobody can tell the two apart."""
        score = [1 - 1 / (2 + step) for step in range(30)]
        lrs = lrs_of(score, PlateauConfig(patience=2))
        series = [logged("val_acc", score), logged("lr", lrs[:-1])]
        with pytest.raises(
            NotEnoughToldError, match="unless its mode was forgotten: mode=min with"
        ):
            detect(series)
        asked = detect(series, Tags(metric="val_acc"))
        assert any("it cut the LR while the metric improved" in line for line in asked.findings)

    def test_a_score_that_is_cut_where_no_plan_would_is_a_forgotten_mode(self):
        rng = random.Random(3)
        score = [0.5 - step / 400 + rng.gauss(0, 0.05) for step in range(60)]
        lrs = lrs_of(score, PlateauConfig(patience=2))
        falls = [step for step in range(60) if lrs[step + 1] < lrs[step]]
        assert len(set(np.diff(falls))) > 1
        found = detect([logged("val_acc", score), logged("lr", lrs[:-1])])
        assert found.fitted[0].recording.config.mode == "min"
        assert any("it cut the LR while the metric improved" in line for line in found.findings)


class TestContinuations:
    CONFIG = PlateauConfig(patience=2, factor=0.5)

    def halves(self, seed, seen=30):
        """A training that was left after 30 steps; its checkpoint had seen so many of them."""
        metric = falling(seed)
        state_saw = metric[:seen] + metric[30:]
        lrs = lrs_of(state_saw, self.CONFIG)
        first = [
            logged("val_loss", metric[:30], times=range(30)),
            logged("lr-SGD", lrs_of(metric[:30], self.CONFIG)[:-1], times=range(30)),
        ]
        second = [
            logged("val_loss", metric[30:], steps=range(30, 60), times=range(40, 70)),
            logged("lr-SGD", lrs[seen:-1], steps=range(30, 60), times=range(40, 70)),
        ]
        return first, second

    def test_steps_and_times_that_follow_make_a_continuation(self):
        first, second = self.halves(1)
        assert goes_on_from(second, first)
        assert not goes_on_from(first, second)
        assert not goes_on_from(first, first)

    @pytest.mark.parametrize("seed", range(10))
    def test_joined_it_is_the_training_it_was(self, seed):
        first, second = self.halves(seed)
        whole = continued(first, second)
        recording = from_series(whole[0], [whole[1]], self.CONFIG, Reading("before"))
        assert compare(recording).parity.exact
        assert len(recording) == 60

    @pytest.mark.parametrize("seed", range(10))
    def test_a_checkpoint_may_not_know_the_last_metric_point(self, seed):
        first, second = self.halves(seed, seen=29)
        metric, lr = continued(first, second, until=29)
        assert compare(from_series(metric, [lr], self.CONFIG, Reading("before"))).parity.exact
        assert metric.superseded == 1


class TestHparams:
    def test_those_of_the_scheduler_are_told_from_others(self):
        stated = stated_in({"scheduler_patience": 3.0, "lr_factor": 0.5, "patience": 20.0})
        assert stated.config == PlateauConfig(patience=3, factor=0.5)
        assert stated.said == "lr_factor=0.5, scheduler_patience=3"

    @pytest.mark.parametrize(
        "hparams", [{}, {"patience": 20.0}, {"scheduler_name": "plateau"}, {"lr_factor": 2.0}]
    )
    def test_what_says_nothing_or_nothing_possible_is_left_alone(self, hparams):
        assert stated_in(hparams) is None

    def test_pytorch_forecasting_has_words_of_its_own(self):
        stated = stated_in(
            {
                "reduce_on_plateau_patience": 4.0,
                "reduce_on_plateau_reduction": 2.0,
                "reduce_on_plateau_min_lr": 1e-5,
            }
        )
        assert stated.config == PlateauConfig(patience=4, cooldown=4, factor=0.5, min_lr=1e-5)

    def test_a_log_that_states_its_parameters_is_replayed_with_them(self, tmp_path):
        config = {"patience": 3, "factor": 0.5}
        with SummaryWriter(str(tmp_path / "run")) as writer:
            scheduler = scheduler_for(**config)
            for step, value in enumerate(METRIC):
                writer.add_scalar("val_loss", value, step)
                writer.add_scalar("lr", lr_of(scheduler), step)
                scheduler.step(value)
            hparams = {f"lr_scheduler/{name}": value for name, value in config.items()}
            writer.add_hparams(hparams, {"hp": 0.0}, run_name=".")
        (run,) = as_json("replay", tmp_path)["runs"]
        assert run["config"]["source"] == "hparams"
        assert (run["config"]["patience"], run["config"]["factor"]) == (3, 0.5)
        assert run["parity"]["mismatches"] == 0
        assert any("lr_scheduler/patience=3) reproduce it" in line for line in run["warnings"])
        (listed,) = as_json("runs", tmp_path)["runs"]
        assert listed["stated"] == "lr_scheduler/factor=0.5, lr_scheduler/patience=3"

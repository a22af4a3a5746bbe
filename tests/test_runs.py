"""`plateau-watch runs`: what is in a log directory, told by names and shapes."""

import json

import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.candidates import expected_mode, lr_candidates, metric_candidates, shape_of
from plateau_watch.commands import main
from plateau_watch.series import Series
from tests.runs import METRIC, hooked_run, plain_run


def runs(*arguments):
    result = CliRunner().invoke(main, ["runs", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def named(*tags, values=(0.1, 0.1, 0.01)):
    return {tag: Series.of(values, tag=tag) for tag in tags}


@pytest.mark.parametrize(
    "tag",
    [
        "lr",
        "LR",
        "train/lr",
        "lr-Adam",
        "lr-AdamW/pg1",
        "train/learning_rate",
        "learning rate",
        "epoch_lr",
        "epoch_learning_rate",
        "lr/epoch",
        "_base/lr/batch",
        "lr/pg0",
        "optimizer/lr_0",
        "base_lr",
    ],
)
def test_an_lr_is_told_by_the_names_that_frameworks_give_it(tag):
    assert [group[0].tag for group in lr_candidates(named(tag))] == [tag]


@pytest.mark.parametrize("tag", ["loss", "val/clr_loss", "blr", "lrelu_slope_x", "solar"])
def test_other_names_are_no_lr(tag):
    assert lr_candidates(named(tag)) == []


def test_an_lr_is_never_negative():
    assert lr_candidates(named("lr", values=(0.1, -0.1, 0.1))) == []


def test_groups_that_are_logged_one_by_one_belong_together_in_their_order():
    tags = [f"lr-AdamW/pg{number}" for number in (1, 2, 10)]
    (group,) = lr_candidates(named(*reversed(tags)))
    assert [series.tag for series in group] == tags


def test_validation_losses_come_first_among_metrics():
    tags = ["epoch", "train/loss", "val/accuracy", "val/loss", "lr", "samples_per_second", "time"]
    found = metric_candidates(named(*tags))
    assert [series.tag for series in found] == ["val/loss", "val/accuracy", "train/loss"]


def test_what_never_changes_or_has_two_points_is_no_metric():
    assert metric_candidates(named("loss", values=(1.0, 1.0, 1.0))) == []
    assert metric_candidates(named("loss", values=(1.0, 0.5))) == []


@pytest.mark.parametrize(
    ("tag", "mode"),
    [
        ("val_loss", "min"),
        ("val_MAPE", "min"),
        ("val_SMAPE", "min"),
        ("val/RMSE", "min"),
        ("val_WER", "min"),
        ("Accuracy/test", "max"),
        ("Dice/test", "max"),
        ("val/mAP", "max"),
        ("f1", "max"),
        ("foo", None),
        ("val_ExpRate", None),
    ],
)
def test_a_name_calls_for_a_mode_or_for_none(tag, mode):
    assert expected_mode(tag) == mode


def test_an_lr_is_constant_or_falls_and_rises():
    assert shape_of(Series.of([0.1, 0.1])) == "constant"
    assert shape_of(Series.of([0.1, 0.01, 0.01, 0.001])) == "falls 2x"
    assert shape_of(Series.of([0.1, 0.2, 0.1])) == "falls 1x, rises 1x"


def test_hooked_and_plain_runs_are_listed_with_what_is_in_them(tmp_path):
    hooked_run(tmp_path / "hooked", patience=2)
    plain_run(tmp_path / "plain", patience=2)
    hooked, plain = json.loads(runs(tmp_path, "--format", "json"))["runs"]
    assert hooked["traces"] == [{"prefix": "plateau", "rows": len(METRIC)}]
    assert (hooked["lr"], hooked["metric"]) == ([], [])
    assert plain["traces"] == []
    assert plain["lr"] == [{"tags": ["lr"], "shape": "falls 3x"}]
    assert plain["metric"] == [{"tag": "val/loss", "points": len(METRIC), "mode": "min"}]
    assert (plain["first_step"], plain["last_step"]) == (0, len(METRIC) - 1)


def test_people_get_it_in_words(tmp_path):
    plain_run(tmp_path / "plain", patience=2)
    text = runs(tmp_path)
    assert "  files   1; 32 points, steps 0 to 15\n" in text
    assert "  LR      lr (falls 3x)\n" in text
    assert "  metric  val/loss (min)\n" in text


def test_a_run_without_scalars_is_listed_too(tmp_path):
    SummaryWriter(str(tmp_path)).close()
    assert runs(tmp_path) == ".\n  files   1; 0 points\n\n"

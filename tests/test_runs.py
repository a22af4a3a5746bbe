"""`plateau-watch runs`: what is in a log directory, told by names and shapes."""

import json

import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.candidates import (
    expected_mode,
    kind_of,
    lr_candidates,
    metric_candidates,
    shape_of,
)
from plateau_watch.commands import main
from plateau_watch.series import Series
from tests.runs import METRIC, hooked_run, plain_run


def runs(*arguments):
    result = CliRunner().invoke(main, ["runs", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def named(*tags, values=(0.1, 0.1, 0.01)):
    return [Series.of(values, tag=tag) for tag in tags]


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
    tags = ["train/loss", "val/accuracy", "val/loss", "lr", "samples_per_second", "time"]
    found = metric_candidates(named(*tags))
    assert [series.tag for series in found] == ["val/loss", "val/accuracy", "train/loss"]


def test_a_part_of_a_loss_and_what_is_logged_a_batch_come_after_the_loss_itself():
    tags = ["loss/batch", "val_loss_bce", "val_MAE", "val_dice", "val_loss"]
    found = [series.tag for series in metric_candidates(named(*tags))]
    assert found == ["val_loss", "val_dice", "val_MAE", "val_loss_bce", "loss/batch"]


def test_a_count_of_epochs_is_no_metric_and_a_loss_an_epoch_is_one():
    counts = named("epoch", "train/epoch", values=(0.0, 1.0, 2.0))
    losses = named("loss/epoch", "epoch_loss", "dice/epoch", values=(0.2, 0.4, 0.3))
    found = metric_candidates([*counts, *losses])
    assert {series.tag for series in found} == {"loss/epoch", "epoch_loss", "dice/epoch"}


def test_what_has_two_points_is_no_metric_and_what_never_moves_only_where_nothing_does():
    (flat,) = named("val_loss", values=(1.0, 1.0, 1.0))
    (moving,) = named("loss", values=(1.0, 0.9, 1.0))
    assert metric_candidates(named("loss", values=(1.0, 0.5))) == []
    assert metric_candidates([flat]) == [flat]
    assert metric_candidates([flat, moving]) == [moving]


def test_without_a_name_an_lr_is_told_by_going_down_in_one_ratio():
    stairs = [0.1] * 5 + [0.05] * 5 + [0.025] * 5
    assert lr_candidates(named("opt/eta", values=stairs)) != []
    assert lr_candidates(named("opt/eta", values=[0.1] * 5 + [0.05] * 5 + [0.02] * 5)) == []
    assert [
        group[0].tag for group in lr_candidates([*named("lr"), *named("eta", values=stairs)])
    ] == ["lr"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.1] * 9, "constant"),
        ([0.1] * 5 + [0.01] * 3 + [0.001] * 7 + [0.0001] * 4, "like a plateau scheduler"),
        ([0.1] * 4 + [0.01] * 4 + [0.001] * 4 + [0.0001] * 4, "like steps by plan"),
        ([0.1 * 0.9**step for step in range(20)], "a decay by plan"),
        ([0.01, 0.05, 0.1, 0.1, 0.1], "a warmup"),
        ([0.05, *[0.1] * 5, *[0.01] * 9], "a warmup, then like a plateau scheduler"),
        ([0.1, 0.01, 0.1, 0.01], "goes up and down"),
    ],
)
def test_the_kind_of_a_schedule_is_told_by_its_shape(values, kind):
    assert kind_of(Series.of(values)) == kind


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
    assert plain["lr"] == [
        {"tags": ["lr"], "shape": "falls 3x", "kind": "like a plateau scheduler"}
    ]
    assert plain["metric"] == [{"tag": "val/loss", "points": len(METRIC), "mode": "min"}]
    assert (plain["first_step"], plain["last_step"]) == (0, len(METRIC) - 1)


def test_people_get_it_in_words(tmp_path):
    plain_run(tmp_path / "plain", patience=2)
    text = runs(tmp_path)
    assert "  files   1; 32 points, steps 0 to 15\n" in text
    assert "  LR      lr (falls 3x: like a plateau scheduler)\n" in text
    assert "  metric  val/loss (min)\n" in text


def test_a_run_without_scalars_is_listed_too(tmp_path):
    SummaryWriter(str(tmp_path)).close()
    assert runs(tmp_path) == ".\n  files   1; 0 points\n\n"

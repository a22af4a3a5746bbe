"""`plateau-watch runs`: what is in a log directory, told by names and shapes."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
)
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.candidates import (
    expected_mode,
    lr_candidates,
    metric_candidates,
    mode_word,
    why_an_lr,
)
from plateau_watch.commands import main
from plateau_watch.lr_shape import kind_of, shape_of
from plateau_watch.series import Series
from tests.runs import METRIC, hooked_run, lr_of, plain_run, scheduler_for


def runs(*arguments):
    result = CliRunner().invoke(main, ["runs", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def named(*tags, values=(0.1, 0.1, 0.01)):
    return [Series.of(values, tag=tag) for tag in tags]


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("lr-Adam", "named as Lightning names it"),
        ("lr-AdamW/pg1", "named as Lightning names it"),
        ("lr-SGD-1/backbone", "named as Lightning names it"),
        ("train/learning_rate", "named as transformers names it"),
        ("epoch_lr", "named as Keras names it"),
        ("epoch_learning_rate", "named as Keras names it"),
        ("epoch_learning_rate_adam", "named as Keras names it"),
        ("lr/group_0", "named as ignite names it"),
        ("generator/lr/group_1", "named as ignite names it"),
        ("lr_0", "named as fastai names it"),
        ("base_lr", "named as mmengine names it"),
        ("generator.base_lr", "named as mmengine names it"),
        ("lr/pg0", "named as Ultralytics names it"),
        ("x/lr0", "named as YOLOv5 names it"),
        ("_base/lr/epoch", "named as Catalyst 19 names it"),
        ("_base/lr/batch", "named as Catalyst 19 names it"),
        ("lr/epoch", "named as Catalyst 20 names it"),
        # mmengine, mmcv, Keras on TF 1 and plain code share these.
        ("lr", "'lr' in its name"),
        ("generator.lr", "'lr' in its name"),
        ("learning_rate/backbone", "'learning_rate' in its name"),
        ("LR", "'LR' in its name"),
        ("train/lr", "'lr' in its name"),
        ("learning rate", "'learning rate' in its name"),
        ("optimizer/lr_0", "'lr' in its name"),
    ],
)
def test_an_lr_is_told_by_the_names_that_frameworks_give_it(tag, why):
    assert [group[0].tag for group in lr_candidates(named(tag))] == [tag]
    assert why_an_lr(tag) == why


@pytest.mark.parametrize(
    ("tags", "lr"),
    [
        (["lr-SGD", "lr-SGD-momentum", "lr-SGD-weight_decay"], "lr-SGD"),
        (["lr-SGD/pg1", "lr-SGD/pg1-momentum"], "lr-SGD/pg1"),
        (["lr_0", "mom_0", "sqr_mom_0", "wd_0"], "lr_0"),
    ],
)
def test_momentum_and_weight_decay_beside_an_lr_are_neither_lr_nor_metric(tags, lr):
    moving = named(*tags)
    assert [[series.tag for series in group] for group in lr_candidates(moving)] == [[lr]]
    assert metric_candidates(moving) == []


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


EITHER = "a plateau scheduler or steps by plan"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.1] * 9, "constant"),
        ([0.01, 0.05, 0.1, 0.1, 0.1], "a warmup"),
        ([0.1, 0.01, 0.1, 0.01], "goes up and down"),
        ([0.1 * 0.9**step for step in range(20)], "an exponential decay by plan"),
        ([0.1 * (1 - step / 20) for step in range(21)], "a linear decay by plan"),
        ([0.1 * (1 - step // 4 / 5) for step in range(24)], "a linear decay by plan"),
        (
            [0.1 * (1 + math.cos(step * math.pi / 20)) for step in range(21)],
            "a cosine decay by plan",
        ),
        ([0.1 * (1 - step / 20) ** 2 for step in range(21)], "a decay by plan"),
        ([*[0.1] * 5, *[0.05] * 5, *[0.02] * 5, *[0.01] * 5], "a decay by plan"),
        (
            [0.05, 0.1, *[0.1 - step / 250 for step in range(25)]],
            "a warmup, then a linear decay by plan",
        ),
    ],
)
def test_what_goes_as_no_plateau_scheduler_does_is_told_for_sure(values, kind):
    assert kind_of(Series.of(values)) == kind


def test_a_decay_that_float32_turns_into_the_smallest_steps_is_still_by_plan():
    decay = Series.of(float32([0.1 - 2e-9 * step for step in range(400)]))
    assert len(set(decay.values)) < 300
    assert kind_of(decay) == "a linear decay by plan"


def float32(values):
    return np.array(values, dtype=np.float32).astype(np.float64)


@pytest.mark.parametrize(
    "values",
    [
        [0.1] * 4 + [0.01] * 4 + [0.001] * 4 + [0.0001] * 4,
        [0.1] * 3 + [0.01] * 9 + [0.001] * 2 + [0.0001] * 7,
        [0.1] * 5 + [0.01] * 3,
        [0.1] * 5 + [0.05] * 5 + [0.025] * 5 + [0.02] * 9,
        [0.1] * 5 + [0.05] * 5 + [0.0125] * 5 + [0.00625] * 5,
        [0.1, 0.01, 0.001],
    ],
    ids=["even", "uneven", "one fall", "held by a bound", "two falls in one", "few points"],
)
def test_falls_by_one_ratio_may_be_a_plateau_scheduler_or_a_plan(values):
    assert kind_of(Series.of(float32(values))) == EITHER
    ramp = [0.02, 0.05]
    assert kind_of(Series.of(float32([*ramp, *values]))) == f"a warmup, then {EITHER}"


def test_a_real_plateau_scheduler_on_a_flat_metric_and_a_multi_step_plan_are_not_told_apart():
    """The one falls as evenly as a plan, the other where its milestones are."""
    plateau = scheduler_for(patience=3)
    by_plateau = [(lr_of(plateau), plateau.step(1.0))[0] for _ in range(30)]
    plan = MultiStepLR(scheduler_for().optimizer, milestones=[3, 11, 13])
    by_plan = []
    for _ in range(30):
        by_plan.append(lr_of(plan))
        plan.optimizer.step()
        plan.step()
    assert kind_of(Series.of(by_plateau)) == kind_of(Series.of(by_plan)) == EITHER
    assert "evenly" in shape_of(Series.of(by_plateau))
    assert "evenly" not in shape_of(Series.of(by_plan))


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (lambda optimizer: ExponentialLR(optimizer, 0.97), "an exponential decay by plan"),
        (lambda optimizer: CosineAnnealingLR(optimizer, 39), "a cosine decay by plan"),
        (lambda optimizer: LinearLR(optimizer, 1.0, 0.01, 39), "a linear decay by plan"),
        (
            lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=41),
            "a warmup, then a decay by plan",
        ),
        (lambda optimizer: ConstantLR(optimizer, 0.1, 10), "a warmup"),
        (lambda optimizer: CosineAnnealingWarmRestarts(optimizer, 10), "goes up and down"),
    ],
)
def test_torchs_own_plans_are_told_for_sure(plan, kind):
    scheduler = plan(scheduler_for().optimizer)
    lrs = []
    for _ in range(40):
        lrs.append(lr_of(scheduler))
        scheduler.optimizer.step()
        scheduler.step()
    assert kind_of(Series.of(float32(lrs))) == kind


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


@pytest.mark.parametrize(
    ("tag", "word"),
    [
        ("val/Loss", "Loss"),
        ("val_WER", "WER"),
        ("val/mAP_0.5", "mAP"),
        ("AUROC", "AUROC"),
        ("x", None),
    ],
)
def test_the_word_that_calls_for_the_mode_is_named(tag, word):
    assert mode_word(tag) == word


def test_an_lr_is_constant_or_falls_and_rises():
    assert shape_of(Series.of([0.1, 0.1])) == "constant"
    assert shape_of(Series.of([0.1, 0.01, 0.01, 0.001])) == "falls 2x by 0.1"
    assert shape_of(Series.of([0.1, 0.05, 0.02, 0.01])) == "falls 3x evenly"
    assert shape_of(Series.of([0.1, 0.2, 0.1])) == "falls 1x by 0.5, rises 1x"


def test_hooked_and_plain_runs_are_listed_with_what_is_in_them(tmp_path):
    hooked_run(tmp_path / "hooked", patience=2)
    plain_run(tmp_path / "plain", patience=2)
    hooked, plain = json.loads(runs(tmp_path, "--format", "json"))["runs"]
    assert hooked["traces"] == [{"prefix": "plateau", "rows": len(METRIC)}]
    assert (hooked["lr"], hooked["metric"]) == ([], [])
    assert plain["traces"] == []
    assert plain["lr"] == [
        {"tags": ["lr"], "why": "'lr' in its name", "shape": "falls 3x by 0.1", "kind": EITHER}
    ]
    assert plain["metric"] == [
        {"tag": "val/loss", "points": len(METRIC), "mode": "min", "why": "'loss' in its name"}
    ]
    assert (plain["first_step"], plain["last_step"]) == (0, len(METRIC) - 1)


def test_people_get_it_in_words(tmp_path):
    plain_run(tmp_path / "plain", patience=2)
    text = runs(tmp_path)
    assert "  files   1; 32 points, steps 0 to 15\n" in text
    assert f"  LR      lr ('lr' in its name; falls 3x by 0.1: {EITHER})\n" in text
    assert "  metric  val/loss (min: 'loss')\n" in text
    assert "`plateau-watch fit`" in text


def test_where_shapes_tell_all_nothing_is_left_for_fit_to_say(tmp_path):
    plain_run(tmp_path, patience=99)
    text = runs(tmp_path)
    assert "lr ('lr' in its name; constant)" in text
    assert "plateau-watch fit" not in text


def test_recorded_runs_say_which_framework_names_its_lr_so(pytestconfig):
    listed = json.loads(runs(pytestconfig.rootpath / "replay_logs", "--format", "json"))["runs"]
    why = {run["run"].split("/")[1]: lr["why"] for run in listed for lr in run["lr"]}
    assert (
        why
        | {
            "ignite": "named as ignite names it",
            "keras": "named as Keras names it",
            "lightning": "named as Lightning names it",
            "transformers": "named as transformers names it",
        }
        == why
    )


def test_an_lr_that_only_its_shape_tells_says_so(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(15):
            writer.add_scalar("opt/eta", 0.1 * 0.5 ** (step // 5), step)
    (run,) = json.loads(runs(tmp_path, "--format", "json"))["runs"]
    assert run["lr"][0]["why"] == "by shape: it falls by one ratio"


def test_a_run_without_scalars_is_listed_too(tmp_path):
    SummaryWriter(str(tmp_path)).close()
    assert runs(tmp_path) == ".\n  files   1; 0 points\n\n"

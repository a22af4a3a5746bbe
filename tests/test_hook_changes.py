"""What others change, and resumed runs: recorded as what they are, and replayed exactly."""

import itertools
import json
import math
from copy import deepcopy

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

import plateau_watch
from plateau_watch import PlateauConfig, watch
from plateau_watch.recording import ConfigRecord
from plateau_watch.replay import Counters
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    add_group,
    aged,
    attempt,
    events_in,
    replayed,
    scheduler_with,
    set_lr,
    trace_in,
    values_of,
    watched,
)
from tests.torch_oracle import as_lr, lrs_of

# Attaching.


def test_at_attach_the_configuration_and_the_state_are_written(tmp_path):
    scheduler = scheduler_with(
        mode="max",
        factor=0.25,
        patience=3,
        threshold=0.5,
        threshold_mode="abs",
        cooldown=2,
        min_lr=[0.0, 1e-6],
        eps=1e-9,
        lrs=(0.1, as_lr(0.2, "float32")),
        names=("backbone", "head"),
    )
    for metric in METRIC:
        scheduler.step(metric)
    state = scheduler.state_dict()
    lrs = lrs_of(scheduler)
    with watch(scheduler, tmp_path):
        _, attached = events_in(tmp_path)
        document = json.loads(values_of(attached)["plateau/config"].tensor.string_val[0])
        scheduler.step(1.0)
    assert document == {
        "schema": "plateau-watch/config/1",
        "reason": "attached",
        "config": {
            **{name: state[name] for name in ("mode", "factor", "patience", "threshold", "eps")},
            **{name: state[name] for name in ("threshold_mode", "cooldown")},
            "min_lr": [0.0, 1e-6],
        },
        "state": {
            name: state[name]
            for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        },
        "lrs": [*lrs],
        "lr_dtypes": ["python", "float32"],
        "groups": ["backbone", "head"],
        "versions": {"plateau_watch": plateau_watch.__version__, "torch": torch.__version__},
    }
    (row,) = trace_in(tmp_path).rows
    assert row.record == ConfigRecord(
        config=PlateauConfig.from_state_dict(state),
        counters=Counters(state["best"], state["num_bad_epochs"], state["cooldown_counter"]),
        last_epoch=len(METRIC),
        lrs=lrs,
        lr_dtypes=("python", "float32"),
        groups=("backbone", "head"),
        reason="attached",
    )


def test_the_configuration_at_attach_stands_at_the_schedulers_own_count(tmp_path):
    scheduler = scheduler_with()
    for metric in METRIC[:5]:
        scheduler.step(metric)
    with watch(scheduler, tmp_path, step=lambda: 1000):
        assert [event.step for event in events_in(tmp_path)] == [0, 5]


def test_a_scheduler_watched_late_is_replayed_from_where_it_stood(tmp_path):
    scheduler = scheduler_with(patience=1, cooldown=1)
    for metric in METRIC[:5]:
        scheduler.step(metric)
    with watch(scheduler, tmp_path):
        for metric in METRIC[5:]:
            scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert report.recording.start.last_epoch == 5
    assert report.recording.steps.tolist() == [*range(6, len(METRIC) + 1)]
    assert report.warnings == ()


def test_a_training_that_never_steps_leaves_a_configuration_and_no_row(tmp_path):
    watched(tmp_path, [])
    assert trace_in(tmp_path).rows == ()


# What others change on the way is recorded as what it is, replayed, and said in words.


def test_an_edited_patience_is_recorded_and_said(tmp_path):
    scheduler = scheduler_with(patience=1)
    with watch(scheduler, tmp_path):
        for metric in METRIC[:6]:
            scheduler.step(metric)
        scheduler.patience = 4
        scheduler.eps = 0.0
        for metric in METRIC[6:]:
            scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert [row.record.config.patience for row in report.recording.rows] == [1] * 6 + [4] * 6
    assert report.warnings == ("changed from outside before step 7: patience to 4, eps to 0.0",)


def test_a_state_loaded_in_the_middle_is_recorded_and_said(tmp_path):
    scheduler = scheduler_with(patience=1)
    with watch(scheduler, tmp_path):
        for metric in METRIC[:3]:
            scheduler.step(metric)
        checkpoint = deepcopy(scheduler.state_dict())
        for metric in METRIC[3:6]:
            scheduler.step(metric)
        scheduler.load_state_dict(checkpoint)
        for metric in METRIC[6:]:
            scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert report.parity.checked == len(METRIC)
    assert report.recording.steps.tolist() == [1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9]
    assert report.warnings == (
        "changed from outside before step 4: best and counters (a loaded state)",
    )


def test_an_lr_set_by_a_warmup_is_recorded_and_said(tmp_path):
    scheduler = scheduler_with(patience=1)
    with watch(scheduler, tmp_path):
        for count, metric in enumerate(METRIC):
            if 0 < count < 8:
                set_lr(scheduler, 0.01 * count)
            scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert [row.old_lrs for row in report.recording.rows][1:8] == [
        (0.01 * count,) for count in range(1, 8)
    ]
    assert report.warnings == (
        "changed from outside before step 2: LR 0.1 to 0.01",
        "changed from outside before step 3: LR 0.01 to 0.02",
        "changed from outside before step 4: LR 0.02 to 0.03",
        "changed from outside before step 5: LR 0.003 to 0.04",
        "... and changed from outside 3 more times",
    )


def test_the_lr_between_attach_and_the_first_step_is_the_one_the_step_found(tmp_path):
    scheduler = scheduler_with(patience=0)
    with watch(scheduler, tmp_path):
        set_lr(scheduler, 0.7)
        scheduler.step(1.0)
        scheduler.step(2.0)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert report.recording.start.lrs == (0.7,)
    assert report.real.lrs == ((0.7,), (0.7 * 0.1,))


def test_a_group_added_later_is_recorded_and_said(tmp_path):
    scheduler = scheduler_with(patience=1, names=("backbone",))
    with watch(scheduler, tmp_path):
        for metric in METRIC[:3]:
            scheduler.step(metric)
        add_group(scheduler, 0.5)
        scheduler.optimizer.param_groups[1]["name"] = "head"
        for metric in METRIC[3:]:
            scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert [len(row.new_lrs) for row in report.recording.rows] == [1] * 3 + [2] * 9
    assert report.recording.lr_tags == ("plateau/lr/backbone", "plateau/lr/head")
    assert report.recording.rows[-1].new_lrs == lrs_of(scheduler)
    assert report.warnings == (
        "changed from outside before step 4: a param group was added, LR 0.5",
    )
    events = events_in(tmp_path)[2:]
    assert "plateau/lr/head" in values_of(events[3])
    content = json.loads(values_of(events[3])["plateau/trace"].metadata.plugin_data.content)
    assert "lr_after/head" in content["columns"], "the row says that its columns are others"


def test_an_lr_that_becomes_a_tensor_on_the_way_is_rounded_from_there_on(tmp_path):
    scheduler = scheduler_with(patience=0, factor=0.3)
    with watch(scheduler, tmp_path):
        for metric in METRIC[:3]:
            scheduler.step(metric)
        set_lr(scheduler, torch.tensor(0.1))
        for metric in METRIC[3:]:
            scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert "LR dtypes to float32" in report.warnings[0]


# A run that is resumed.


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("kept", [1, 6, 11])
def test_a_run_resumed_from_a_checkpoint_is_one_run_without_a_change(tmp_path, kind, kept):
    first = attempt(tmp_path, kind, METRIC)
    aged(tmp_path)
    second = attempt(tmp_path, kind, [0.5, 0.25, 0.125, 0.25, 0.25, 0.25], first[kept])
    report = replayed(tmp_path)
    recording = report.recording
    assert recording.superseded == len(METRIC) - kept
    assert recording.steps.tolist() == [*range(1, kept + 7)]
    assert recording.metric.tolist() == [*METRIC[:kept], 0.5, 0.25, 0.125, 0.25, 0.25, 0.25]
    assert report.parity.exact
    assert recording.changes == ()
    assert report.warnings == ()
    last = recording.rows[-1]
    assert last.counters.best == second[-1][0]["best"]
    assert last.new_lrs == (second[-1][1]["param_groups"][0]["lr"],)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_run_resumed_with_lost_state_starts_over_and_the_first_attempt_is_counted(tmp_path, kind):
    attempt(tmp_path, kind, METRIC)
    aged(tmp_path)
    attempt(tmp_path, kind, METRIC[:4])
    report = replayed(tmp_path)
    assert report.recording.superseded == len(METRIC)
    assert report.recording.steps.tolist() == [1, 2, 3, 4]
    assert report.parity.exact


@pytest.mark.parametrize("kind", WRITERS)
def test_where_the_step_axis_goes_on_a_lost_state_is_said(tmp_path, kind):
    axis = itertools.count(100).__next__
    attempt(tmp_path, kind, METRIC, axis=axis)
    aged(tmp_path)
    attempt(tmp_path, kind, METRIC, axis=axis)
    report = replayed(tmp_path)
    assert report.recording.superseded == 0
    assert report.parity.exact
    assert report.parity.checked == 2 * len(METRIC)
    (change,) = report.recording.changes
    assert change.index == len(METRIC)
    assert change.counters == Counters(math.inf, 0, 0)
    assert change.lrs == (0.1,)
    (warning,) = report.warnings
    assert warning.startswith(f"changed from outside before step {100 + len(METRIC)}: best and")
    assert warning.endswith("to 0.1")


def test_a_scheduler_watched_again_goes_on_in_the_same_run(tmp_path):
    scheduler = scheduler_with(patience=1)
    with SummaryWriter(str(tmp_path)) as writer:
        for metrics in (METRIC[:5], METRIC[5:]):
            with watch(scheduler, writer):
                for metric in metrics:
                    scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.recording.metric.tolist() == METRIC
    assert [row.number for row in report.recording.rows] == [*range(1, 6), *range(1, 8)]
    assert report.parity.exact
    assert report.warnings == ()

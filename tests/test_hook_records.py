"""What the hook writes is what the scheduler did, bit for bit, and a replay of it is exact."""

import itertools
import json
import math
import resource
import time
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

import plateau_watch
from plateau_watch import PlateauConfig, watch
from plateau_watch.comparison import compare
from plateau_watch.errors import WatchError
from plateau_watch.events.logdir import discover
from plateau_watch.recording import ConfigRecord, from_trace
from plateau_watch.replay import Counters
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    Faulty,
    Seen,
    Training,
    add_group,
    aged,
    all_warnings,
    bits,
    event_files,
    events_in,
    lrs_after,
    opened,
    replayed,
    scheduler_with,
    set_lr,
    setups,
    stories,
    trace_in,
    traces_in,
    values_of,
    watch_warnings,
)
from tests.torch_oracle import as_lr, lrs_of


def watched(directory, metric=METRIC, kind="torch", **parameters):
    """One training from beginning to end; returns its scheduler."""
    scheduler = scheduler_with(**parameters)
    with opened(kind, directory) as writer, watch(scheduler, writer):
        for value in metric:
            scheduler.step(value)
    return scheduler


# Rows.


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=100, deadline=None)
@given(setups(), stories)
def test_rows_are_what_was_seen_bit_for_bit_and_the_replay_is_exact(kind, setup, story):
    training = Training(*setup)
    with TemporaryDirectory() as directory:
        with opened(kind, directory) as writer, watch(training.scheduler, writer):
            for act in story:
                training.do(*act)
        trace = trace_in(directory)
        checked = replayed(directory).parity
    assert [Seen.of_row(row).bits for row in trace.rows] == [seen.bits for seen in training.seen]
    assert [row.number for row in trace.rows] == [*range(1, len(training.seen) + 1)]
    assert trace.superseded == 0
    assert (checked.checked, checked.mismatches) == (len(training.seen), ())


def test_a_row_says_what_the_metric_had_to_beat_and_what_was_decided(tmp_path):
    watched(tmp_path, [4.0, 4.0, 4.0, 4.0, 2.0, 4.0], patience=0, cooldown=1, min_lr=0.01)
    decided = [(row.metric, row.bar, row.kind) for row in trace_in(tmp_path).rows]
    bar = 4.0 * (1 - 1e-4)
    assert decided == [
        (4.0, math.inf, "improved"),
        (4.0, bar, "reduced"),
        (4.0, bar, "cooldown"),
        (4.0, bar, "floored"),
        (2.0, bar, "improved"),
        (4.0, 2.0 * (1 - 1e-4), "floored"),
    ]


@pytest.mark.parametrize(
    ("threshold", "best", "bar"),
    [
        (0.5, [math.inf, math.inf, *[-math.inf] * 3], [*[math.inf] * 3, -math.inf, -math.inf]),
        (1.0, [math.inf] * 5, [math.nan] * 5),
    ],
)
def test_nan_and_infinities_come_back_as_they_were(tmp_path, threshold, best, bar):
    metric = [math.nan, math.inf, -math.inf, -math.inf, 1.0]
    watched(tmp_path, metric, patience=0, threshold=threshold)
    rows = trace_in(tmp_path).rows
    assert bits(*(row.metric for row in rows)) == bits(*metric)
    assert bits(*(row.counters.best for row in rows)) == bits(*best)
    assert [str(row.bar) for row in rows] == [*map(str, bar)]
    assert replayed(tmp_path).parity.exact


def test_a_best_that_was_set_to_nan_is_replayed_exactly(tmp_path):
    scheduler = scheduler_with(patience=1)
    scheduler.best = math.nan
    with watch(scheduler, tmp_path):
        for metric in METRIC:
            scheduler.step(metric)
    assert bits(*(row.counters.best for row in trace_in(tmp_path).rows)) == bits(
        *[math.nan] * len(METRIC)
    )
    assert replayed(tmp_path).parity.exact


@pytest.mark.parametrize("dtype", ["python", "float64", "float32", "float16", "bfloat16"])
def test_lrs_of_every_dtype_are_recorded_as_they_are_and_replayed_exactly(tmp_path, dtype):
    lrs = [as_lr(lr, dtype) for lr in (0.1, 0.03)]
    scheduler = watched(tmp_path, patience=0, lrs=lrs, factor=0.3)
    assert type(scheduler.optimizer.param_groups[0]["lr"]) is type(lrs[0])
    rows = trace_in(tmp_path).rows
    assert rows[0].record.lr_dtypes == (dtype, dtype)
    assert rows[-1].new_lrs == lrs_of(scheduler)
    assert replayed(tmp_path).parity.exact
    assert len({row.new_lrs for row in rows}) > 3


@pytest.mark.parametrize(
    "metric",
    [
        0.1,
        3,
        True,
        torch.tensor(0.1),
        torch.tensor([0.1], dtype=torch.float64),
        torch.tensor(0.1, dtype=torch.bfloat16),
        np.float32(0.1),
        np.float64(0.1),
        np.array(0.1),
    ],
    ids=lambda metric: f"{type(metric).__name__} {getattr(metric, 'dtype', '')}".strip(),
)
def test_a_metric_of_any_kind_is_recorded_as_the_float_torch_makes_of_it(tmp_path, metric):
    scheduler = scheduler_with()
    with watch(scheduler, tmp_path):
        scheduler.step(metric)
        scheduler.step(metrics=metric)
    assert [row.metric for row in trace_in(tmp_path).rows] == [float(metric)] * 2
    assert scheduler.best == float(metric)


class EpochFirst(ReduceLROnPlateau):
    """A step whose metric is not its first argument."""

    def step(self, epoch, metrics):
        super().step(metrics)


class OtherWord(ReduceLROnPlateau):
    """A step whose metric has another name."""

    def step(self, val_loss):
        super().step(val_loss)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (EpochFirst, lambda scheduler, metric: scheduler.step(7, metric)),
        (EpochFirst, lambda scheduler, metric: scheduler.step(7, metrics=metric)),
        (OtherWord, lambda scheduler, metric: scheduler.step(val_loss=metric)),
    ],
    ids=["second", "second by name", "another name"],
)
def test_the_metric_is_found_wherever_a_subclass_has_it(tmp_path, kind, call):
    scheduler = scheduler_with(kind)
    with watch(scheduler, tmp_path):
        for metric in METRIC:
            call(scheduler, metric)
    assert [row.metric for row in trace_in(tmp_path).rows] == METRIC
    assert replayed(tmp_path).parity.exact


class EverySecondStep(ReduceLROnPlateau):
    """Reduces at every second step, whatever the metric."""

    def step(self, metrics, epoch=None):
        self.last_epoch += 1
        self.best = min(self.best, float(metrics))
        if self.last_epoch % 2 == 0:
            self._reduce_lr(self.last_epoch)


def test_other_rules_are_recorded_as_seen_and_the_replay_says_that_it_differs(tmp_path):
    plain = scheduler_with(EverySecondStep)
    lrs = []
    for metric in METRIC:
        plain.step(metric)
        lrs.append(lrs_of(plain))
    hooked = scheduler_with(EverySecondStep)
    with watch(hooked, tmp_path):
        for metric in METRIC:
            hooked.step(metric)
    report = replayed(tmp_path)
    assert [row.new_lrs for row in report.recording.rows] == lrs
    assert [row.kind for row in report.recording.rows][:4] == [
        "improved",
        "reduced",
        "bad",
        "reduced",
    ]
    assert not report.parity.exact
    assert report.parity.mismatches[0] == 1
    assert report.real.lrs == tuple(lrs), "real is what was written, not what the replay makes"
    assert "steps are not reproduced, the first at step 2" in report.warnings[-1]
    assert "did not follow torch's rules" in report.warnings[-1]


def test_a_comparison_outside_a_step_is_never_taken_for_the_steps_metric(tmp_path):
    scheduler = scheduler_with(EverySecondStep)  # compares nothing itself
    with watch(scheduler, tmp_path):
        for metric in METRIC:
            scheduler._is_better(99.0, scheduler.best)  # as early stopping does
            scheduler.step(metric)
    assert [row.metric for row in trace_in(tmp_path).rows] == METRIC


# Events.


@pytest.mark.parametrize("kind", WRITERS)
def test_each_scheduler_step_is_one_event(tmp_path, kind):
    scheduler = scheduler_with(patience=1)
    with opened(kind, tmp_path) as writer, watch(scheduler, writer):
        for metric in METRIC:
            scheduler.step(metric)
        scheduler.patience = 3
        set_lr(scheduler, 0.5)
        scheduler.step(1.0)
    first, attached, *rows = events_in(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert [*values_of(attached)] == ["plateau/config"]
    assert [event.step for event in rows] == [*range(1, len(METRIC) + 2)]
    assert all("plateau/trace" in values_of(event) for event in rows)
    assert [event.step for event in rows if "plateau/config" in values_of(event)] == [
        len(METRIC) + 1
    ], "a change stands in the event of the row before which it was made"


@pytest.mark.parametrize("kind", WRITERS)
def test_what_the_dashboards_show_is_float32_in_the_event_of_the_row(tmp_path, kind):
    watched(tmp_path, kind=kind, patience=1, lrs=(0.1, 0.03), cooldown=1)
    rows = trace_in(tmp_path).rows
    events = events_in(tmp_path)[2:]
    for event, row in zip(events, rows, strict=True):
        shown = {tag: value for tag, value in values_of(event).items() if tag != "plateau/trace"}
        expected = {
            "plateau/metric": row.metric,
            "plateau/best": row.counters.best,
            "plateau/bar": row.bar,
            "plateau/num_bad_epochs": row.counters.num_bad_epochs,
            "plateau/cooldown": row.counters.cooldown_counter,
            "plateau/lr/0": row.new_lrs[0],
            "plateau/lr/1": row.new_lrs[1],
        }
        finite = {tag: number for tag, number in expected.items() if math.isfinite(number)}
        assert shown.keys() == finite.keys()
        for tag, value in shown.items():
            assert value.WhichOneof("value") == "simple_value"
            assert not value.HasField("metadata")
            assert value.simple_value == np.float32(expected[tag])


def test_the_dashboards_get_nan_but_nothing_for_what_float32_cannot_hold(tmp_path):
    watched(tmp_path, [math.nan, math.inf, -1e39, -math.inf, 1.0], patience=9, lrs=(0.1,))
    shown = [
        {
            tag.removeprefix("plateau/"): value.simple_value
            for tag, value in values_of(event).items()
        }
        for event in events_in(tmp_path)[2:]
    ]
    assert math.isnan(shown[0]["metric"])
    assert [{*row} & {"metric", "best", "bar"} for row in shown] == [
        {"metric"},  # best and bar are +inf
        set(),
        set(),  # -1e39 is no float32, and became best; the bar before it was +inf
        set(),
        {"metric"},
    ]
    assert not any(math.isinf(number) for row in shown for number in row.values())


def test_a_row_carries_both_plugin_name_and_column_names(tmp_path):
    watched(tmp_path, lrs=(0.1, 0.2), names=("backbone", "head"))
    events = events_in(tmp_path)[2:]
    for event in events:
        metadata = values_of(event)["plateau/trace"].metadata
        assert metadata.plugin_data.plugin_name == "plateau_watch"
        assert metadata.data_class == 2, "DATA_CLASS_TENSOR"
    first = values_of(events[0])["plateau/trace"].metadata.plugin_data.content
    assert json.loads(first) == {
        "schema": 1,
        "content": "trace",
        "columns": [
            *("metric", "bar", "decision"),
            *("best_before", "num_bad_epochs_before", "cooldown_counter_before"),
            *("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "row"),
            *("lr_before/backbone", "lr_before/head", "lr_after/backbone", "lr_after/head"),
        ],
    }


@pytest.mark.parametrize("kind", WRITERS)
def test_the_trace_survives_tensorboards_own_reader_bit_for_bit(tmp_path, kind):
    metric = [math.nan, 1e-300, 0.1, -0.0, math.inf, *METRIC * 3]
    watched(tmp_path, metric, kind=kind, patience=1, lrs=(0.1, as_lr(0.3, "float32")))
    run = tmp_path / "plateau" if kind == "directory" else tmp_path
    theirs = EventAccumulator(str(run), size_guidance={"tensors": 0, "scalars": 0})
    theirs.Reload()
    rows = trace_in(tmp_path).rows
    tensors = theirs.Tensors("plateau/trace")
    assert [event.step for event in tensors] == [row.step for row in rows]
    assert [event.wall_time for event in tensors] == [row.wall_time for row in rows]
    columns = json.loads(theirs.SummaryMetadata("plateau/trace").plugin_data.content)["columns"]
    for event, row in zip(tensors, rows, strict=True):
        found = dict(zip(columns, make_ndarray(event.tensor_proto).tolist(), strict=True))
        assert (
            bits(
                *(found[name] for name in Seen._fields[:8]),
                *(found[f"lr_before/{group}"] for group in "01"),
                *(found[f"lr_after/{group}"] for group in "01"),
            )
            == Seen.of_row(row).bits
        )
        assert bits(found["bar"], found["row"]) == bits(row.bar, row.number)
    for tag in ("metric", "num_bad_epochs", "cooldown", "lr/0", "lr/1"):
        assert len(theirs.Scalars(f"plateau/{tag}")) == len(rows) - (tag == "metric")
    (config,) = theirs.Tensors("plateau/config")
    assert json.loads(make_ndarray(config.tensor_proto).item())["reason"] == "attached"


def test_times_are_those_of_the_steps(tmp_path):
    before = time.time()
    watched(tmp_path)
    times = [row.wall_time for row in trace_in(tmp_path).rows]
    assert before <= times[0]
    assert times == sorted(times)
    assert times[-1] <= time.time()


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


def attempt(directory, kind, metric, checkpoint=None, axis=None):
    """Train in a run's directory; returns a checkpoint for each step, the start included."""
    scheduler = scheduler_with(patience=1, cooldown=1)
    if checkpoint is not None:
        state, optimizer = checkpoint
        scheduler.load_state_dict(deepcopy(state))
        scheduler.optimizer.load_state_dict(deepcopy(optimizer))
    checkpoints = [checkpoint]
    with opened(kind, directory) as writer, watch(scheduler, writer, step=axis):
        for value in metric:
            scheduler.step(value)
            checkpoints.append(deepcopy((scheduler.state_dict(), scheduler.optimizer.state_dict())))
    return checkpoints


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


# Rows that were lost.


def with_faults(directory, failing, metric=METRIC):
    """Train with a writer that fails at some steps; 0 is attaching."""
    scheduler = scheduler_with(patience=1)
    with SummaryWriter(str(directory)) as writer, all_warnings() as caught:
        file_writer = Faulty(writer)
        file_writer.fault = OSError(28, "No space left on device") if 0 in failing else None
        with watch(scheduler, writer):
            for count, value in enumerate(metric, start=1):
                file_writer.fault = OSError(28, "No space left") if count in failing else None
                scheduler.step(value)
    assert len(watch_warnings(caught)) == len(caught) == 1
    return scheduler


@pytest.mark.parametrize(
    "metric",
    [
        METRIC,
        pytest.param(
            [1.0] * len(METRIC),
        ),
    ],
    ids=["other counters", "the same counters"],
)
def test_steps_taken_while_nobody_watched_are_said_to_be_missing(tmp_path, metric):
    scheduler = scheduler_with(patience=0, min_lr=0.1)
    for begin, end in ((0, 5), (8, len(metric))):
        with watch(scheduler, tmp_path):
            for value in metric[begin:end]:
                scheduler.step(value)
        for value in metric[end : end + 3]:
            scheduler.step(value)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert report.recording.steps.tolist() == [*range(1, 6), *range(9, len(metric) + 1)]
    assert report.warnings == ("3 scheduler step(s) before step 9 are missing from the trace",)


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ({5}, ["1 scheduler step(s) before step 6 are missing from the trace"]),
        ({5, 6, 7}, ["3 scheduler step(s) before step 8 are missing from the trace"]),
        (
            {2, 5, 6},
            [
                "1 scheduler step(s) before step 3 are missing from the trace",
                "2 scheduler step(s) before step 7 are missing from the trace",
            ],
        ),
    ],
)
def test_the_replay_says_how_many_steps_are_missing_and_is_exact_for_the_others(
    tmp_path, failing, said
):
    with_faults(tmp_path, failing)
    report = replayed(tmp_path)
    there = [step for step in range(1, len(METRIC) + 1) if step not in failing]
    assert report.recording.steps.tolist() == there
    assert [*report.warnings[: len(said)]] == said
    assert report.parity.exact
    lrs = lrs_after(METRIC, patience=1)
    assert report.real.lrs == tuple((lrs[step - 1],) for step in there)


@contextmanager
def disk_with_room_for(path, count):
    """The kernel lets a file of this process grow by so many bytes and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 50, 300])
def test_a_row_that_does_not_fit_on_the_disk_is_not_left_half_written(tmp_path, room):
    scheduler = scheduler_with(patience=1)
    with all_warnings() as caught, watch(scheduler, tmp_path):
        scheduler.step(METRIC[0])
        (path,) = event_files(tmp_path)
        with disk_with_room_for(path, room):
            scheduler.step(METRIC[1])
            scheduler.step(METRIC[2])
        for metric in METRIC[3:]:
            scheduler.step(metric)
    assert len(watch_warnings(caught)) == len(caught) == 1
    report = replayed(tmp_path)  # every byte of the file is read: nothing in it is damaged
    assert report.recording.steps.tolist() == [1, *range(4, len(METRIC) + 1)]
    assert report.warnings == ("2 scheduler step(s) before step 4 are missing from the trace",)
    assert report.parity.exact


def test_a_configuration_lost_at_attach_comes_with_the_first_row(tmp_path):
    with_faults(tmp_path, {0})
    report = replayed(tmp_path)
    assert report.parity.exact
    assert report.parity.checked == len(METRIC)
    assert report.recording.rows[0].record.reason == "attached"
    assert report.warnings == ()


@pytest.mark.parametrize("failing", [{0, 1, 2}, {1, 2}])
def test_steps_missing_before_the_first_row_are_said_too(tmp_path, failing):
    with_faults(tmp_path, failing)
    report = replayed(tmp_path)
    assert report.parity.exact
    assert "2 scheduler step(s) before step 3 are missing from the trace" in report.warnings


def test_what_happened_in_lost_steps_is_not_said_to_be_from_outside(tmp_path):
    with_faults(tmp_path, {5, 6, 7, 8})
    report = replayed(tmp_path)
    assert report.recording.rows[4].old_lrs < report.recording.rows[3].new_lrs
    assert not [warning for warning in report.warnings if "from outside" in warning]


def test_a_resumed_run_whose_beginning_is_lost_still_supersedes_the_first_attempt(tmp_path):
    checkpoints = attempt(tmp_path, "torch", METRIC)
    aged(tmp_path)
    scheduler = scheduler_with(patience=1, cooldown=1)
    scheduler.load_state_dict(checkpoints[5][0])
    scheduler.optimizer.load_state_dict(checkpoints[5][1])
    with SummaryWriter(str(tmp_path)) as writer, all_warnings():
        file_writer = Faulty(writer, OSError(28, "No space left on device"))
        with watch(scheduler, writer):
            scheduler.step(0.5)
            file_writer.fault = None
            for metric in METRIC[6:]:
                scheduler.step(metric)
    report = replayed(tmp_path)
    assert report.recording.superseded == 6
    assert report.recording.metric.tolist() == [*METRIC[:6], *METRIC[6:]]
    assert report.recording.steps.tolist() == [*range(1, len(METRIC) + 1)]
    assert report.recording.rows[6].number == 2
    assert report.warnings == ("1 scheduler step(s) before step 7 are missing from the trace",)
    assert report.parity.exact


# The axis, the tags, the places.


def test_the_axis_is_asked_after_each_step_and_all_rows_are_kept_though_it_repeats(tmp_path):
    scheduler = scheduler_with(patience=1)
    asked = []

    def axis():
        asked.append(scheduler.last_epoch)
        return 10 * (len(asked) // 4)

    with watch(scheduler, tmp_path, step=axis):
        for metric in METRIC:
            scheduler.step(metric)
    assert asked == [*range(1, len(METRIC) + 1)]
    report = replayed(tmp_path)
    assert report.recording.steps.tolist() == [0, 0, 0, 10, 10, 10, 10, 20, 20, 20, 20, 30]
    assert report.recording.metric.tolist() == METRIC
    assert report.parity.exact


def test_the_axis_may_be_any_whole_number(tmp_path):
    numbers = iter([np.int64(5), torch.tensor(7), -3, 2**40])
    scheduler = scheduler_with()
    with watch(scheduler, tmp_path, step=lambda: next(numbers)):
        for metric in METRIC[:4]:
            scheduler.step(metric)
    assert [row.step for row in trace_in(tmp_path).rows] == [5, 7, -3, 2**40]


def test_two_schedulers_share_a_writer_under_two_prefixes(tmp_path):
    generator, critic = scheduler_with(patience=0), scheduler_with(patience=2, lrs=(0.5,))
    with (
        SummaryWriter(str(tmp_path)) as writer,
        watch(generator, writer, prefix="generator"),
        watch(critic, writer, prefix="nets/critic"),
    ):
        for metric in METRIC:
            generator.step(metric)
            critic.step(2 * metric)
    traces = traces_in(tmp_path)
    assert traces.keys() == {(".", "generator"), (".", "nets/critic")}
    for prefix, scheduler, scale in (("generator", generator, 1), ("nets/critic", critic, 2)):
        trace = traces[".", prefix]
        assert [row.metric for row in trace.rows] == [scale * metric for metric in METRIC]
        assert trace.rows[-1].new_lrs == lrs_of(scheduler)
        report = compare(from_trace(trace), [])
        assert report.parity.exact
        assert report.warnings == ()
        assert report.recording.lr_tags == (f"{prefix}/lr/0",)
    tags = {tag.rpartition("/")[0] for event in events_in(tmp_path) for tag in values_of(event)}
    assert tags == {"generator", "generator/lr", "nets/critic", "nets/critic/lr"}


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (("backbone", "head"), ("backbone", "head")),
        (("same", "same"), ("0", "1")),
        (("backbone",), ("0", "1")),
        ((), ("0", "1")),
        (("a/b", "c d"), ("a/b", "c d")),
    ],
)
def test_groups_are_named_where_all_have_a_name_of_their_own(tmp_path, names, groups):
    watched(tmp_path, lrs=(0.1, 0.2), names=names)
    trace = trace_in(tmp_path)
    assert trace.rows[0].record.groups == groups
    shown = [tag for tag in values_of(events_in(tmp_path)[-1]) if tag.startswith("plateau/lr/")]
    assert shown == [f"plateau/lr/{group}" for group in groups]


@pytest.mark.parametrize("kind", ["torch", "tensorboardX"])
def test_a_writer_gets_the_trace_into_its_own_event_file(tmp_path, kind):
    watched(tmp_path, kind=kind)
    (path,) = event_files(tmp_path)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("as_given", [str, Path], ids=["str", "Path"])
def test_a_directory_gets_a_run_below_it_and_nothing_beside_the_users_files(tmp_path, as_given):
    with SummaryWriter(str(tmp_path / "run")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    before = {path: path.read_bytes() for path in event_files(tmp_path)}
    scheduler = scheduler_with()
    with watch(scheduler, as_given(tmp_path / "run"), prefix="nets/critic"):
        scheduler.step(1.0)
    assert {run.name for run in discover(tmp_path)} == {"run", "run/nets/critic"}
    assert {path: path.read_bytes() for path in before} == before
    added = [path for path in tmp_path.rglob("*") if path.is_file() and path not in before]
    assert [path.parent for path in added] == [tmp_path / "run" / "nets" / "critic"]
    assert trace_in(tmp_path).prefix == "nets/critic"


@pytest.mark.parametrize("prefix", ["", "..", "../beside", "a/../../beside", "/elsewhere"])
def test_a_prefix_never_leads_out_of_the_directory(tmp_path, prefix):
    given = tmp_path / "outer" / "given"
    prefix = str(tmp_path / "elsewhere") if prefix == "/elsewhere" else prefix
    scheduler = scheduler_with()
    try:
        with watch(scheduler, given, prefix=prefix):
            scheduler.step(1.0)
    except WatchError:
        assert type(scheduler) is ReduceLROnPlateau
    outside = [path for path in event_files(tmp_path) if given not in path.parent.parents]
    assert outside == []


def test_in_a_directory_each_row_can_be_read_as_soon_as_the_step_is_taken(tmp_path):
    scheduler = scheduler_with()
    with watch(scheduler, tmp_path):
        assert trace_in(tmp_path).rows == ()
        for count, metric in enumerate(METRIC, start=1):
            scheduler.step(metric)
            assert len(trace_in(tmp_path).rows) == count


def test_through_a_writer_each_row_can_be_read_when_the_writer_has_flushed(tmp_path):
    scheduler = scheduler_with()
    with SummaryWriter(str(tmp_path)) as writer, watch(scheduler, writer):
        for count, metric in enumerate(METRIC, start=1):
            scheduler.step(metric)
            writer.flush()
            assert len(trace_in(tmp_path).rows) == count

"""What the hook writes is what the scheduler did, bit for bit, and a replay of it is exact."""

import json
import math
import time
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.optim.lr_scheduler import ReduceLROnPlateau

from plateau_watch import watch
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    Seen,
    Training,
    bits,
    events_in,
    lrs_after,
    opened,
    replayed,
    scheduler_with,
    set_lr,
    setups,
    stories,
    trace_in,
    values_of,
    watched,
)
from tests.torch_oracle import as_lr, lrs_of

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


class SecondGroupOnly(ReduceLROnPlateau):
    """Leaves every param group but one alone."""

    def _reduce_lr(self, epoch):
        kept = self.optimizer.param_groups[0]["lr"]
        super()._reduce_lr(epoch)
        self.optimizer.param_groups[0]["lr"] = kept


def test_a_scheduler_that_reduces_some_groups_only_replays_as_those(tmp_path):
    lrs, bounds = (0.5, 0.1), [0.0, 0.002]
    scheduler = scheduler_with(SecondGroupOnly, lrs, ["body", "head"], patience=1, min_lr=bounds)
    with watch(scheduler, tmp_path, groups=[1]):
        for metric in METRIC:
            scheduler.step(metric)
    rows = trace_in(tmp_path).rows
    expected = lrs_after(METRIC, patience=1, min_lr=0.002)
    assert [row.new_lrs for row in rows] == [(lr,) for lr in expected]
    assert rows[0].record.groups == ("head",)
    assert replayed(tmp_path).parity.exact
    assert scheduler.optimizer.param_groups[0]["lr"] == 0.5


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

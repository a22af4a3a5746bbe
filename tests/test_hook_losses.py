"""Rows that were lost, step axes that repeat, and where a trace goes."""

import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.comparison import compare
from plateau_watch.errors import WatchError
from plateau_watch.events.logdir import discover
from plateau_watch.recording import from_trace
from tests.hooked_runs import (
    METRIC,
    Faulty,
    aged,
    all_warnings,
    attempt,
    event_files,
    events_in,
    lrs_after,
    replayed,
    scheduler_with,
    trace_in,
    traces_in,
    values_of,
    watch_warnings,
    watched,
)
from tests.torch_oracle import lrs_of

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

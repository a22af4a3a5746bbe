"""Whatever goes wrong costs one warning at most, and never an LR."""

import errno
import logging
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    Faulty,
    add_group,
    all_warnings,
    event_files,
    in_a_process,
    lrs_after,
    opened,
    replayed,
    saved,
    scheduler_with,
    trace_in,
    watch_warnings,
)
from tests.torch_oracle import lrs_of, state_of

# Whatever happens to the writer costs one warning, and nothing else.


@contextmanager
def closed_writer(kind, directory):
    with opened(kind, directory) as writer:
        yield writer, writer.close


@contextmanager
def raising_writer(kind, directory, fault):
    with opened(kind, directory) as writer:
        file_writer = Faulty(writer)
        yield writer, lambda: setattr(file_writer, "fault", fault)


@contextmanager
def impossible_directory(directory):
    (directory / "file").write_text("not a directory")
    yield directory / "file" / "runs", lambda: None


def full():
    return OSError(errno.ENOSPC, "No space left on device")


FAULTS = {
    "a closed torch writer": ("ClosedWriterError", lambda d: closed_writer("torch", d)),
    "a closed tensorboardX writer": (
        "ClosedWriterError",
        lambda d: closed_writer("tensorboardX", d),
    ),
    "a full disk below torch": ("OSError", lambda d: raising_writer("torch", d, full())),
    "a full disk below tensorboardX": (
        "OSError",
        lambda d: raising_writer("tensorboardX", d, full()),
    ),
    "no permission": (
        "PermissionError",
        lambda d: raising_writer("torch", d, PermissionError(errno.EACCES, "Permission denied")),
    ),
    "a bug in the writer": (
        "ZeroDivisionError",
        lambda d: raising_writer("torch", d, ZeroDivisionError()),
    ),
    "a directory below a file": ("NotADirectoryError", impossible_directory),
}


@pytest.mark.parametrize(("name", "broken"), FAULTS.values(), ids=FAULTS)
def test_a_writer_that_fails_costs_one_warning_and_no_lr(tmp_path, name, broken):
    scheduler = scheduler_with(patience=1)
    lrs = []
    with (
        broken(tmp_path) as (writer, break_it),
        all_warnings() as caught,
        watch(scheduler, writer),
    ):
        break_it()
        for metric in METRIC:
            scheduler.step(metric)
            lrs.append(lrs_of(scheduler)[0])
    assert lrs == lrs_after(METRIC, patience=1)
    (warning,) = caught
    assert watch_warnings(caught) == [warning]
    assert warning.filename == __file__, "it points into the user's own code"
    message = str(warning.message)
    assert message.startswith(f"plateau-watch cannot write its trace ({name}: ")
    assert "training is not affected" in message


@pytest.mark.parametrize(("name", "broken"), FAULTS.values(), ids=FAULTS)
def test_where_warnings_are_errors_a_failing_writer_is_logged_instead(
    tmp_path, caplog, name, broken
):
    scheduler = scheduler_with(patience=1)
    with broken(tmp_path) as (writer, break_it), warnings.catch_warnings():
        warnings.simplefilter("error")
        with watch(scheduler, writer):
            break_it()
            for metric in METRIC:
                scheduler.step(metric)
    assert lrs_of(scheduler)[0] == lrs_after(METRIC, patience=1)[-1]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("plateau_watch", logging.WARNING)
    assert f"({name}: " in record.getMessage()


def test_each_kind_of_fault_is_warned_of_once(tmp_path):
    scheduler = scheduler_with()
    with SummaryWriter(str(tmp_path)) as writer:
        file_writer = Faulty(writer)
        with all_warnings() as caught, watch(scheduler, writer):
            for fault in (full(), PermissionError(), full(), None, full(), PermissionError()):
                file_writer.fault = fault
                scheduler.step(1.0)
    assert len(watch_warnings(caught)) == len(caught) == 2


def test_a_step_axis_that_raises_costs_one_warning_and_no_lr(tmp_path):
    scheduler = scheduler_with(patience=1)
    with all_warnings() as caught, watch(scheduler, tmp_path, step=lambda: 1 // 0):
        for metric in METRIC:
            scheduler.step(metric)
    assert lrs_of(scheduler)[0] == lrs_after(METRIC, patience=1)[-1]
    assert len(watch_warnings(caught)) == len(caught) == 1
    assert "ZeroDivisionError" in str(caught[0].message)


def test_parameters_that_mean_nothing_to_us_cost_one_warning_and_no_lr(tmp_path):
    plain, hooked = scheduler_with(patience=0), scheduler_with(patience=0)
    with all_warnings() as caught, watch(hooked, tmp_path):
        for metric in (1.0, 2.0, 3.0, 4.0):
            plain.factor = hooked.factor = 1.5  # torch checks this only when it is made
            plain.step(metric)
            hooked.step(metric)
            assert state_of(hooked) == state_of(plain)
    assert len(watch_warnings(caught)) == len(caught) == 1
    assert "factor must be below 1" in str(caught[0].message)


ON_A_FULL_DISK = """
    import json, os, resource, sys, threading, warnings
    import plateau_watch, torch, torch.utils.tensorboard, tensorboardX

    kind, directory = sys.argv[1:]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    if kind == "directory":
        writer = directory
    else:
        modules = {"torch": torch.utils.tensorboard, "tensorboardX": tensorboardX}
        writer = modules[kind].SummaryWriter(directory, flush_secs=0)
    # Files of this process cannot grow beyond this: the kernel fails each write.
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    handle = plateau_watch.watch(scheduler, writer)
    lrs, caught = [], []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *_: caught.append(category.__name__)

    def train():
        for step in range(60):
            scheduler.step(1.0)
            lrs.append(optimizer.param_groups[0]["lr"])

    training = threading.Thread(target=train, daemon=True)
    training.start()
    training.join(timeout=5)
    print(json.dumps([lrs, caught]), flush=True)
    os._exit(0)  # how the writer itself ends on a full disk is not ours
"""


@pytest.mark.parametrize(
    "kind",
    [
        "torch",
        "directory",
        "tensorboardX",
    ],
)
def test_a_disk_that_fills_up_costs_one_warning_and_no_lr(tmp_path, kind):
    lrs, categories = in_a_process(ON_A_FULL_DISK, kind, tmp_path / "log")
    assert lrs == lrs_after([1.0] * 60, patience=1)
    assert categories == ["PlateauWatchWarning"]


def test_a_full_disk_is_not_littered_with_empty_files(tmp_path, monkeypatch):
    from plateau_watch.events.event_file import EventFile

    def fails(*_):
        raise full()

    monkeypatch.setattr(EventFile, "add", fails)
    scheduler = scheduler_with()
    with all_warnings() as caught, watch(scheduler, tmp_path):
        for metric in METRIC:
            scheduler.step(metric)
    assert len(event_files(tmp_path)) <= 1
    assert len(watch_warnings(caught)) == len(caught) == 1


# Errors and warnings of torch's own step are the user's.


class NoFloat:
    """What a metric may be by mistake, with an error of its own."""

    def __float__(self):
        raise LookupError("nothing was measured")


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (("no number",), {}),
        ((None,), {}),
        ((torch.ones(2),), {}),
        ((), {}),
        ((1.0, None, "too many"), {}),
        ((), {"loss": 1.0}),
        ((torch.zeros((), device="meta"),), {}),
        ((NoFloat(),), {}),
        ((NoFloat(),), {"epoch": 3}),
    ],
    ids=[
        *("text", "None", "two values", "nothing", "too much", "another name"),
        *("another device", "its own error", "its own error and an epoch"),
    ],
)
def test_an_error_of_torchs_own_step_reaches_the_user_unchanged_and_leaves_no_row(
    tmp_path, caplog, kind, arguments, keywords
):
    plain, hooked = scheduler_with(patience=1), scheduler_with(patience=1)
    with pytest.raises(Exception) as expected:  # noqa: PT011  whatever torch raises
        plain.step(*arguments, **keywords)
    with opened(kind, tmp_path) as writer, watch(hooked, writer):
        hooked.step(1.0)
        plain.step(1.0)
        with pytest.raises(type(expected.value)) as raised:
            hooked.step(*arguments, **keywords)
        assert raised.value.args == expected.value.args
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
        for metric in METRIC:
            plain.step(metric)
            hooked.step(metric)
    assert saved(hooked.state_dict()) == saved(plain.state_dict())
    assert [row.metric for row in trace_in(tmp_path).rows] == [1.0, *METRIC]
    assert replayed(tmp_path).parity.exact
    assert caplog.records == [], "we have nothing to add to it"


def test_an_error_in_the_midst_of_torchs_step_leaves_no_row_and_an_exact_replay(tmp_path):
    plain, hooked = (scheduler_with(patience=0, min_lr=[0.01]) for _ in range(2))
    with watch(hooked, tmp_path):
        for scheduler in (plain, hooked):
            scheduler.step(1.0)
            add_group(scheduler, 0.2)
            with pytest.raises(RuntimeError, match="min_lrs"):
                scheduler.step(2.0)  # torch has counted a bad step by now
            scheduler.min_lrs = [0.01, 0.02]
            scheduler.step(2.0)
    assert state_of(hooked) == state_of(plain)
    assert [row.last_epoch for row in trace_in(tmp_path).rows] == [1, 3]
    assert replayed(tmp_path).parity.exact


def test_a_warning_of_torchs_own_step_is_given_once_and_the_row_is_written(tmp_path):
    scheduler = scheduler_with()
    with all_warnings() as caught, watch(scheduler, tmp_path):
        scheduler.step(1.0, 7)
        scheduler.step(1.0, epoch=9)
    assert [warning.category for warning in caught] == [UserWarning] * 2
    assert [row.last_epoch for row in trace_in(tmp_path).rows] == [7, 9]
    assert replayed(tmp_path).parity.exact

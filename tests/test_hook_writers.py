"""Writers that hang, die or lose their directory; warnings that cannot be given."""

import logging
import shutil
import threading
import time
import traceback
import warnings
from contextlib import suppress

import pytest

from plateau_watch import watch
from plateau_watch.recorder.sinks import MOST_WAITED
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    all_warnings,
    lrs_after,
    opened,
    replayed,
    scheduler_with,
    watch_warnings,
)
from tests.torch_oracle import lrs_of


def hanging(writer, may_go_on):
    """Let each write of a writer's thread wait, as on a disk that does not answer."""
    event_writer = writer.file_writer.event_writer
    owner = getattr(event_writer, "_async_writer", event_writer)
    inner = getattr(owner, "_writer", None) or owner._ev_writer._py_recordio_writer
    write = inner.write

    def waits(data):
        may_go_on.wait(60)
        return write(data)

    inner.write = waits


@pytest.mark.parametrize("kind", ["torch", "tensorboardX"])
def test_a_writer_that_hangs_is_waited_for_once_and_takes_rows_again_afterwards(tmp_path, kind):
    scheduler, may_go_on = scheduler_with(patience=1), threading.Event()
    metric = METRIC * 5
    with opened(kind, tmp_path) as writer, all_warnings() as caught, watch(scheduler, writer):
        hanging(writer, may_go_on)
        begun = time.monotonic()
        for value in metric:
            scheduler.step(value)
        assert time.monotonic() - begun < 2.5 * MOST_WAITED
        may_go_on.set()
        deadline = time.monotonic() + 10
        event_writer = writer.file_writer.event_writer
        owner = getattr(event_writer, "_async_writer", event_writer)
        queue = getattr(owner, "_byte_queue", None) or owner._event_queue
        while not queue.empty() and time.monotonic() < deadline:
            time.sleep(0.01)
        scheduler.step(1.0)
    assert lrs_of(scheduler)[0] == lrs_after([*metric, 1.0], patience=1)[-1]
    assert len(watch_warnings(caught)) == len(caught) == 1
    assert "thread no longer writes" in str(caught[0].message)
    report = replayed(tmp_path)
    assert report.recording.rows[-1].number == scheduler.last_epoch
    assert any("missing from the trace" in warning for warning in report.warnings)
    assert report.parity.exact


@pytest.mark.parametrize("kind", WRITERS)
def test_a_directory_that_is_deleted_costs_one_warning_at_most_and_no_lr(
    tmp_path, kind, monkeypatch
):
    """tensorboardX writes on into a file that has no name; torch's thread dies of it."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    scheduler = scheduler_with(patience=1)
    torchs_own = suppress(FileNotFoundError)  # its close() raises what its thread died of
    with all_warnings() as caught, torchs_own, opened(kind, tmp_path / "log") as writer:
        with watch(scheduler, writer):
            for metric in METRIC[:6]:
                scheduler.step(metric)
            if kind != "directory":
                writer.flush()  # its thread must not make the file anew while it is deleted
            shutil.rmtree(tmp_path / "log")
            for metric in METRIC[6:] * 10:
                scheduler.step(metric)
                time.sleep(0.001)
        if kind == "torch":
            thread = writer.file_writer.event_writer._async_writer._worker
            assert len(traceback.extract_tb(thread.exception.__traceback__)) < 20
    lrs = lrs_after([*METRIC[:6], *METRIC[6:] * 10], patience=1)
    assert lrs_of(scheduler)[0] == lrs[-1]
    said = [str(warning.message) for warning in watch_warnings(caught)]
    assert len(said) == len(caught)
    assert len(said) == (kind != "tensorboardX")
    if kind == "torch":
        assert "the SummaryWriter's thread no longer writes (FileNotFoundError" in said[0]
    if kind == "directory":
        assert "the event file was deleted" in said[0]
        report = replayed(tmp_path)
        assert report.recording.rows[0].number == 8
        assert report.recording.rows[-1].number == 66
        assert report.warnings[0] == "7 scheduler step(s) before step 8 are missing from the trace"
        assert report.parity.exact


class Broken(logging.Handler):
    def emit(self, record):
        raise OSError("logging fails too")


@pytest.mark.parametrize("logs_too", [True, False], ids=["logging works", "logging fails too"])
def test_warnings_that_cannot_be_shown_are_logged_or_given_up(tmp_path, monkeypatch, logs_too):
    def fails(*_, **__):
        raise BrokenPipeError("nobody listens")

    written = []
    handler = Broken() if not logs_too else logging.Handler()
    if logs_too:
        handler.emit = written.append
    logger = logging.getLogger("plateau_watch")
    logger.addHandler(handler)
    scheduler = scheduler_with(patience=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            monkeypatch.setattr(warnings, "showwarning", fails)
            with watch(scheduler, tmp_path, step=lambda: 1 // 0):
                for metric in METRIC:
                    scheduler.step(metric)
    finally:
        logger.removeHandler(handler)
    assert lrs_of(scheduler)[0] == lrs_after(METRIC, patience=1)[-1]
    assert len(written) == int(logs_too)

"""whatif_writer: schedules as event files, one run for each, to be seen beside each other.

Each run carries the log's own LR tags, so that TensorBoard draws all of them in one chart; an LR
means what it means in the log (before or after the step). A file begins with a SessionLog.START,
which voids what an earlier writing left in a TensorBoard that is running. Files appear whole, and
only files that bear our mark are ever removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from plateau_watch.errors import OutputRefusedError
from plateau_watch.events.event_file import EventFile
from plateau_watch.events.logdir import WHATIF_MARK, is_event_file
from plateau_watch.report import RunReport, Schedule

LONGEST_NAME = 120
"""Bytes of a directory name; file systems take 255, and the run's name stays readable."""


def write_schedules(
    directory: Path, reports: Iterable[tuple[str, RunReport]], logdir: Path
) -> tuple[Path, ...]:
    """Write every schedule of every run as a run of its own below a directory.

    What an earlier call left there is replaced, runs that are no longer among the schedules
    included.

    Args:
        directory: made where it is missing.
        reports: each with the name that its runs go under.
        logdir: what was read; nothing is written into it.

    Returns:
        The directories of the runs.

    Raises:
        OutputRefusedError: a run would lie in the log directory, or beside others' event files,
            or cannot be written.
    """
    planned = [
        (directory.joinpath(*_segments(name), _segment(_run_label(schedule))), report, schedule)
        for name, report in reports
        for schedule in report.schedules
    ]
    for run, _, _ in planned:
        _refuse_users_places(run, directory, logdir)
    try:
        written = [_write(run, report, schedule) for run, report, schedule in planned]
        _remove_earlier(directory, set(written))
    except OSError as error:
        raise OutputRefusedError(
            f"cannot write to {str(directory)!r}: {error.strerror or error}"
        ) from None
    return tuple(path.parent for path in written)


def _run_label(schedule: Schedule) -> str:
    return "real" if schedule.label == "real" else f"whatif {schedule.label}"


def _write(run: Path, report: RunReport, schedule: Schedule) -> Path:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    path = run / f"events.out.tfevents.{seconds:010d}.{nanoseconds:09d}.{WHATIF_MARK}"
    unfinished = run / f".{WHATIF_MARK}.{os.getpid()}.tmp"
    unfinished.unlink(missing_ok=True)
    try:
        started = float(report.recording.wall_times[0])
        with closing(EventFile(unfinished, wall_time=started)) as file:
            for event in _events(report, schedule):
                file.add(event)
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _events(report: RunReport, schedule: Schedule) -> Iterator[Event]:
    recording = report.recording
    first = min(0, int(recording.steps.min()))
    yield Event(
        step=first,
        wall_time=float(recording.wall_times[0]),
        session_log=SessionLog(status=SessionLog.START),
    )
    by_step = {int(step): index for index, step in enumerate(recording.steps)}
    lrs = _as_logged(report, schedule)
    for step, index in sorted(by_step.items()):
        if index >= len(lrs):
            continue
        values = [
            Summary.Value(tag=_as_text(tag), simple_value=lr)
            for tag, lr in zip(recording.lr_tags, lrs[index], strict=False)
        ]
        yield Event(
            step=step,
            wall_time=float(recording.wall_times[index]),
            summary=Summary(value=values),
        )


def _as_text(tag: str) -> str:
    """Return a tag that a proto can hold: what is no UTF-8 is spelled."""
    return tag.encode(errors="backslashreplace").decode()


def _as_logged(report: RunReport, schedule: Schedule) -> tuple[tuple[float, ...], ...]:
    """The LRs at each step in the log's own meaning of a logged LR."""
    if report.recording.logged == "after":
        return schedule.lrs
    if schedule.decisions:
        return tuple(decision.old_lrs for decision in schedule.decisions)
    return (schedule.start_lrs, *schedule.lrs[:-1])


def _refuse_users_places(run: Path, directory: Path, logdir: Path) -> None:
    top = logdir if logdir.is_dir() else logdir.parent
    if run.resolve().is_relative_to(top.resolve()):
        raise OutputRefusedError(
            f"{str(directory)!r} would put what-if runs into the log directory {str(top)!r}: "
            "choose a directory outside it"
        )
    if run.is_dir() and any(is_event_file(path) for path in run.iterdir()):
        raise OutputRefusedError(
            f"{str(run)!r} already holds event files that plateau-watch did not write: "
            "choose another directory"
        )


def _remove_earlier(directory: Path, written: set[Path]) -> None:
    """Remove what earlier calls wrote.

    Of a run that was written again the last file before is emptied instead: TensorBoard's Python
    loader never leaves a file that was removed.
    """
    runs = {path.parent for path in written}
    for path in sorted(directory.rglob(f"*tfevents*{WHATIF_MARK}")):
        if path in written:
            continue
        if path.parent in runs and path.stat().st_size:
            os.truncate(path, 0)
            continue
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def _segments(run: str) -> list[str]:
    return [_segment(part) for part in run.split("/") if part != "."]


def _segment(name: str) -> str:
    """Make one safe directory name; a name that had to be changed ends in a hash of the whole."""
    safe = re.sub(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]', "_", name).strip(". ")
    safe = safe.encode()[:LONGEST_NAME].decode(errors="ignore")
    if safe == name:
        return safe
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{safe}-{digest}"

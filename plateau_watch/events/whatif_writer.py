"""whatif_writer: schedules as event files, one run for each, to be seen beside each other.

Each run carries the log's own LR tags, so that TensorBoard draws all of them in one chart; an LR
means what it means in the log (before or after the step). A file begins with a SessionLog.START,
which voids what an earlier writing left in a TensorBoard that is running. Only files that bear our
mark are ever removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from plateau_watch.errors import OutputRefusedError
from plateau_watch.events.event_file import EventFile
from plateau_watch.events.logdir import WHATIF_MARK, is_event_file
from plateau_watch.events.run_places import places
from plateau_watch.interruption import undone_if_interrupted
from plateau_watch.report import RunReport, Schedule
from plateau_watch.whole_file import cannot_write, sync, unfinished


@dataclass(frozen=True, slots=True)
class _Planned:
    """A schedule and the directory that it is written into."""

    run: Path
    report: RunReport
    schedule: Schedule


def write_schedules(
    directory: Path, reports: Sequence[tuple[str, RunReport]], logdir: Path
) -> tuple[Path, ...]:
    """Write every schedule of every run as a run of its own below a directory.

    What an earlier call left there is replaced, runs that are no longer among the schedules
    included.

    All files are written and synced out of TensorBoard's sight before the first one is renamed to
    where it belongs. So what goes wrong while they are written (a full disk, Ctrl-C, SIGKILL)
    changes nothing, but for empty directories after a SIGKILL. After that, each run shows what it
    showed before or the whole new schedule, at any moment; for the directory as a whole there is a
    moment at which some runs are new and others are not yet. Earlier files go last. The next call
    finishes what one that was killed left to do.

    Args:
        directory: made where it is missing.
        reports: each with the name that its runs go under.
        logdir: what was read; nothing is written into it.

    Returns:
        The directories of the runs.

    Raises:
        OutputRefusedError: a run would lie in the log directory, behind a link, or beside others'
            event files, or cannot be written.
        OutputUnfinishedError: there is no room.
    """
    planned = list(_planned(directory, reports))
    try:
        for each in planned:
            _refuse_users_places(each.run, directory, logdir)
        with _directories([directory, *(each.run for each in planned)]):
            _write_all(directory, planned)
    except OSError as error:
        raise cannot_write(directory, error) from None
    return tuple(each.run for each in planned)


def _planned(directory: Path, reports: Sequence[tuple[str, RunReport]]) -> Iterator[_Planned]:
    for (_, report), place in zip(reports, places([name for name, _ in reports]), strict=True):
        labels = places([_run_label(schedule) for schedule in report.schedules])
        for schedule, label in zip(report.schedules, labels, strict=True):
            yield _Planned(directory.joinpath(*place, *label), report, schedule)


def _run_label(schedule: Schedule) -> str:
    """Name a schedule's run, in one part: a second one would lie in another run's place."""
    label = "real" if schedule.label == "real" else f"whatif {schedule.label}"
    return label.replace("/", "_")


def _write_all(directory: Path, planned: Sequence[_Planned]) -> None:
    with unfinished(directory) as hidden:
        for position, each in enumerate(planned):
            _write(hidden / str(position), each)
        earlier = list(_written_earlier(directory))
        for position, each in enumerate(planned):
            (hidden / str(position)).replace(each.run / _file_name())
    for place in {place for each in planned for place in _up_to(directory, each.run)}:
        sync(place)
    _remove_earlier(earlier, directory, [each.run for each in planned])


def _file_name() -> str:
    """Name an event file, as TensorBoard's writers do; a later one sorts behind an earlier one."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"events.out.tfevents.{seconds:010d}.{nanoseconds:09d}.{WHATIF_MARK}"


def _write(path: Path, planned: _Planned) -> None:
    started = float(planned.report.recording.wall_times[0])
    with closing(EventFile(path, wall_time=started)) as file:
        for event in _events(planned.report, planned.schedule):
            file.add(event)
        os.fsync(file.fileno())


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


@contextmanager
def _directories(wanted: Iterable[Path]) -> Iterator[None]:
    """Make directories; those that are still empty go again where the block ends in an error."""
    made: list[Path] = []

    def undo() -> None:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()

    with undone_if_interrupted(undo):
        try:
            for directory in wanted:
                _make(directory, made)
            yield
        except BaseException:
            undo()
            raise


def _make(directory: Path, made: list[Path]) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        made.append(path)
        path.mkdir(exist_ok=True)
    if not missing and not directory.is_dir():
        directory.mkdir()  # says what is there


def _refuse_users_places(run: Path, directory: Path, logdir: Path) -> None:
    top = logdir if logdir.is_dir() else logdir.parent
    if run.resolve().is_relative_to(top.resolve()):
        raise OutputRefusedError(
            f"{str(directory)!r} would put what-if runs into the log directory {str(top)!r}: "
            "choose a directory outside it"
        )
    link = next((path for path in _up_to(directory, run)[:-1] if path.is_symlink()), None)
    if link is not None:
        raise OutputRefusedError(
            f"{str(link)!r} is a link, and would lead what-if runs out of {str(directory)!r}: "
            "remove it, or choose another directory"
        )
    if run.is_dir() and any(is_event_file(path) for path in run.iterdir()):
        raise OutputRefusedError(
            f"{str(run)!r} already holds event files that plateau-watch did not write: "
            "choose another directory"
        )


def _up_to(directory: Path, run: Path) -> list[Path]:
    """Return a run's directory and those above it, the last one that in which all runs lie."""
    return [run, *run.parents][: len(run.parts) - len(directory.parts) + 1]


def _written_earlier(directory: Path) -> Iterator[Path]:
    """Yield the files of earlier calls; links are not followed."""
    for place, _, names in os.walk(directory):
        for name in names:
            path = Path(place, name)
            if "tfevents" in name and name.endswith(WHATIF_MARK) and not path.is_symlink():
                yield path


def _remove_earlier(earlier: Iterable[Path], directory: Path, runs: Sequence[Path]) -> None:
    """Remove what earlier calls wrote.

    Of a run that was written again the last file before is emptied instead: TensorBoard's Python
    loader never leaves a file that was removed.
    """
    again = {os.stat(run).st_ino for run in runs}
    for path in earlier:
        with suppress(FileNotFoundError):
            if os.stat(path.parent).st_ino in again and path.stat().st_size:
                os.truncate(path, 0)
                continue
            path.unlink()
        for place in _up_to(directory, path.parent)[:-1]:
            with suppress(OSError):  # not empty
                place.rmdir()

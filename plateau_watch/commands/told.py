"""told: trainings -> what `compare` and `fit` need of each, or why it cannot be had.

A training tells its scheduler's steps by the hook's trace, by a configuration that was stated, or
by what `fit` finds. Runs of one program settle for each other what one of them leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rich.console import Console

from plateau_watch.alignment import from_series
from plateau_watch.commands.detected import detected, series_of
from plateau_watch.commands.notes import its_set, notes, other_readings
from plateau_watch.commands.progress import fitting
from plateau_watch.commands.reading import Training, Trainings, nearest
from plateau_watch.commands.stated import Stated, StatedFile, read_stated
from plateau_watch.detection import Detection
from plateau_watch.errors import ConfigError, NotEnoughToldError, NothingToReadError
from plateau_watch.events.run_reader import RunLog
from plateau_watch.fitted import Fitted
from plateau_watch.pairing import Tags, pairs
from plateau_watch.parity import parity
from plateau_watch.recording import RecordedTrace, Recording, from_trace
from plateau_watch.render.fit_report import FitReport
from plateau_watch.replay import replay
from plateau_watch.report import NotReplayed
from plateau_watch.siblings import settled_by_siblings

Found = Recording | NotReplayed


@dataclass(frozen=True, slots=True)
class Told:
    """A scheduler's run as the logs tell it, or why they do not, and what was said of it."""

    found: Found
    said: Stated


def recordings(found_in: Trainings, logdir: Path, said: Stated, stderr: Console) -> list[Told]:
    """Return for each scheduler in the logs its recording, or why there is none.

    Runs without scalars are left out.

    Args:
        found_in: the trainings.
        logdir: the log directory, which may hold a plateau-watch.toml.
        said: what options say.
        stderr: where progress is shown.

    Raises:
        NothingToReadError: a tag was named that no run has.
        ConfigError: the log directory's plateau-watch.toml cannot be used, or no run can have had
            the configuration that was stated.
    """
    logs = [log for group in found_in.asked for log in group]
    _must_exist([tag for tag in (said.metric, *(said.lrs or ())) if tag], logs)
    stated_file = read_stated(logdir)
    traced = {log.run for log in logs if log.traces}
    found: list[tuple[Found | Detection, Stated]] = []
    refused: ConfigError | None = None
    with fitting(len(found_in.asked), stderr) as advance:
        for group in found_in.asked:
            about = _about(group, said, stated_file)
            for log in group:
                found += [(_from_trace(trace, log, said), about) for trace in log.traces]
            plain = _plain(group)
            beside_a_trace = any(_holds_one_of(log.directory, traced) for log in plain)
            try:
                if plain and not (about.nothing and beside_a_trace):
                    found.append((_from_series(plain, about, found_in.every), about))
            except ConfigError as error:
                refused = refused or error
                found.append((NotReplayed(plain[0].run, str(error), _tags(plain)), about))
            advance(1)
    told = list(_told(found))
    if refused and not any(isinstance(each.found, Recording) for each in told):
        raise refused
    return told


def _told(found: Sequence[tuple[Found | Detection, Stated]]) -> Iterator[Told]:
    """Turn detections into recordings, once all are there: siblings settle what one leaves open."""
    detections = [each for each, _ in found if isinstance(each, Detection)]
    settled = iter(settled_by_siblings(detections))
    for each, about in found:
        yield Told(_recording(next(settled)) if isinstance(each, Detection) else each, about)


def _recording(found: Detection) -> Recording:
    first, *rest = found.fitted
    told = _with_warnings(first, [*notes(found), *other_readings(rest)]).recording
    return replace(told, possible=tuple(its_set(first)))


def fits(found_in: Trainings, logdir: Path, said: Stated, stderr: Console) -> FitReport:
    """Fit every training that no hook recorded; say of each other why not.

    Arguments as for `recordings`; a configuration that is stated is not looked at.

    Raises:
        NothingToReadError: no run has a tag that was named.
        ConfigError: the log directory's plateau-watch.toml cannot be used.
    """
    logs = [log for group in found_in.asked for log in group]
    _must_exist([tag for tag in (said.metric, *(said.lrs or ())) if tag], logs)
    stated_file = read_stated(logdir)
    found: list[Detection] = []
    not_fitted: list[NotReplayed] = []
    with fitting(len(found_in.asked), stderr) as advance:
        for group in found_in.asked:
            try:
                if plain := _plain(group):
                    about = _about(group, said, stated_file)
                    found.append(detected(plain, about, found_in.every))
            except NotEnoughToldError as error:
                not_fitted.append(NotReplayed(plain[0].run, str(error), _tags(plain)))
            advance(1)
    fitted = [each for settled in settled_by_siblings(found) for each in _fits(settled)]
    return FitReport(tuple(fitted), tuple(not_fitted))


def _plain(group: Training) -> Training:
    """Return the runs of a training whose scheduler no hook recorded, and that hold scalars."""
    return tuple(log for log in group if log.series and not log.traces)


def _fits(found: Detection) -> Iterator[Fitted]:
    said_of_it = tuple(notes(found))
    return (_with_warnings(each, said_of_it) for each in found.fitted)


def _about(group: Training, said: Stated, stated_file: StatedFile) -> Stated:
    """What is said of a training: by options, and for the rest in the log directory's file."""
    for log in group:
        for name in (log.run, log.directory):
            written = stated_file.about(name)
            if written != Stated():
                return said.or_else(written)
    return said


def _holds_one_of(run: str, traced: Iterable[str]) -> bool:
    """Whether a run's own scheduler is traced in a run right below it."""
    return any(str(PurePosixPath(other).parent) == run and other != run for other in traced)


def _from_trace(trace: RecordedTrace, log: RunLog, said: Stated) -> Found:
    if trace.rows:
        recording = from_trace(trace)
        unused = ["what was said of this run is not used: the hook recorded it"]
        return replace(recording, warnings=(*recording.warnings, *unused * (not said.nothing)))
    why = trace.problems[0] if trace.problems else "no step of the scheduler was taken yet"
    return NotReplayed(log.run, f"the hook's trace has no usable row: {why}", _tags((log,)))


def _from_series(group: Training, said: Stated, others: Sequence[Training]) -> Found | Detection:
    """Return the recording of a training, what explains it, or why nothing does.

    Raises:
        ConfigError: it cannot have had the configuration that was stated.
    """
    try:
        if said.config is not None:
            return _as_stated(group, said)
        return detected(group, said, others)
    except NotEnoughToldError as error:
        return NotReplayed(group[0].run, str(error), _tags(group))


def _as_stated(group: Training, said: Stated) -> Recording:
    """Read a training by a stated configuration: the metric and LR that it reproduces, if any.

    A run of another framework is aligned by torch's nearest configuration; what its LRs mean is
    found out by its own rules later.

    Raises:
        NotEnoughToldError: no metric and LR can be read as the steps of one scheduler.
        ConfigError: a list `min_lr` that does not fit the number of LRs.
    """
    assert said.config is not None
    how = said.reading
    if said.ran_as is not None:
        how = replace(how, logged=how.logged or "after")
    first: Recording | None = None
    refused: NotEnoughToldError | None = None
    for metric, lrs in pairs(series_of(group), Tags(said.metric, said.lrs)):
        try:
            recording = from_series(metric, lrs, said.config, how)
        except NotEnoughToldError as error:
            refused = refused or error
            continue
        trace = replay(recording.config, recording.metric, recording.start)
        if parity(recording, trace).exact:
            return recording
        first = first or recording
    if first is None:
        raise refused or NotEnoughToldError(f"it has no {said.metric!r} beside {said.lrs!r}")
    return first


def _with_warnings(fitted: Fitted, lines: Iterable[str]) -> Fitted:
    recording = fitted.recording
    return replace(fitted, recording=replace(recording, warnings=(*recording.warnings, *lines)))


def _must_exist(named: Sequence[str], logs: Sequence[RunLog]) -> None:
    tags = dict.fromkeys(tag for log in logs for tag in log.series)
    for tag in named:
        if tag not in tags:
            raise NothingToReadError(f"no run has a tag {tag!r}{nearest(tag, tags)}")


def _tags(group: Sequence[RunLog]) -> Mapping[str, int]:
    return {tag: len(series) for log in group for tag, series in log.series.items()}

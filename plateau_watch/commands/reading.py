"""reading: a log directory -> what `compare` needs of each training, or why it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from rich.console import Console

from plateau_watch.alignment import from_series
from plateau_watch.candidates import metric_candidates
from plateau_watch.commands.notes import its_set, notes, other_readings
from plateau_watch.commands.progress import fitting, reading
from plateau_watch.commands.stated import Stated, StatedFile, read_stated
from plateau_watch.continuation import begins_at, continued, goes_on_from, may_go_on
from plateau_watch.detection import Detection, Tags, detect, pairs
from plateau_watch.errors import ConfigError, NotEnoughToldError, NothingToReadError
from plateau_watch.events.hparams import Hparams
from plateau_watch.events.logdir import RunFiles, discover
from plateau_watch.events.related import related
from plateau_watch.events.run_reader import RunLog, read_trainings
from plateau_watch.fit import Fitted
from plateau_watch.parity import parity
from plateau_watch.recording import RecordedTrace, Recording, from_trace
from plateau_watch.render.fit_report import FitReport
from plateau_watch.replay import replay
from plateau_watch.report import NotReplayed
from plateau_watch.series import Series
from plateau_watch.stated_hparams import StatedHparams, stated_by

Found = Recording | NotReplayed

Training = tuple[RunLog, ...]
"""The runs that one training wrote."""


@dataclass(frozen=True, slots=True)
class Told:
    """A scheduler's run as the logs tell it, or why they do not, and what was said of it."""

    found: Found
    said: Stated


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of a log directory.

    Attributes:
        asked: those that were asked for.
        every: all, from which one asked for may go on.
    """

    asked: tuple[Training, ...]
    every: tuple[Training, ...]


def read_logdir(logdir: Path, pattern: str | None, stderr: Console) -> tuple[RunLog, ...]:
    """Read all runs of a log directory, or those whose name matches a glob and what is beside them.

    Raises:
        NothingToReadError: there is no event file, or no run of that name.
    """
    runs = _chosen(discover(logdir), pattern)
    total = sum(_size(path) for run in runs for path in run.files)
    with reading(total, stderr) as advance:
        return tuple(log for run in runs for log in read_trainings(run, advance))


def trainings(logs: Sequence[RunLog], pattern: str | None) -> Trainings:
    """Put together the runs that one training wrote; those that a name matches are asked for."""
    every = tuple(related(logs))
    asked = [
        group for group in every if pattern is None or any(_matches(log, pattern) for log in group)
    ]
    return Trainings(tuple(asked), every)


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
    found: list[Told] = []
    refused: ConfigError | None = None
    with fitting(len(found_in.asked), stderr) as advance:
        for group in found_in.asked:
            about = _about(group, said, stated_file)
            for log in group:
                found += [Told(_from_trace(trace, log, said), about) for trace in log.traces]
            plain = _plain(group)
            beside_a_trace = any(_holds_one_of(log.directory, traced) for log in plain)
            try:
                if plain and not (about.nothing and beside_a_trace):
                    found.append(Told(_from_series(plain, about, found_in.every), about))
            except ConfigError as error:
                refused = refused or error
                found.append(Told(NotReplayed(plain[0].run, str(error), _tags(plain)), about))
            advance(1)
    if refused and not any(isinstance(each.found, Recording) for each in found):
        raise refused
    return found


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
    fitted: list[Fitted] = []
    not_fitted: list[NotReplayed] = []
    with fitting(len(found_in.asked), stderr) as advance:
        for group in found_in.asked:
            try:
                if plain := _plain(group):
                    about = _about(group, said, stated_file)
                    fitted += _fits(_detected(plain, about, found_in.every))
            except NotEnoughToldError as error:
                not_fitted.append(NotReplayed(plain[0].run, str(error), _tags(plain)))
            advance(1)
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


def _from_series(group: Training, said: Stated, others: Sequence[Training]) -> Found:
    """Return the recording of a training, or why there is none.

    Raises:
        ConfigError: it cannot have had the configuration that was stated.
    """
    try:
        if said.config is not None:
            return _as_stated(group, said)
        found = _detected(group, said, others)
    except NotEnoughToldError as error:
        return NotReplayed(group[0].run, str(error), _tags(group))
    first, *rest = found.fitted
    told = _with_warnings(first, [*notes(found), *other_readings(rest)]).recording
    return replace(told, possible=tuple(its_set(first)))


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
    for metric, lrs in pairs(_series(group), Tags(said.metric, said.lrs)):
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


def _detected(group: Training, said: Stated, others: Sequence[Training]) -> Detection:
    """Find what explains a training; where it goes on from another one, the two together.

    That is a guess, which is said, and not made where it is to be read alone.

    Raises:
        NotEnoughToldError: nothing does.
    """
    tags = Tags(said.metric, said.lrs)
    series, stated = _series(group), _stated(group)
    found: list[Detection] = []
    for other in others if may_go_on(series) and not said.alone else ():
        before = _series(other)
        if other[0].run == group[0].run or not goes_on_from(series, before):
            continue
        for until, seen in _checkpoints(before):
            with suppress(NotEnoughToldError):
                joined = detect(continued(before, series, until), tags, said.reading, stated)
                note = (
                    f"it goes on from run {other[0].run!r}{seen}: the two are read as one, its own "
                    f"points from step {begins_at(series)} on; --alone reads it by itself"
                )
                found.append(replace(joined, findings=(note, *joined.findings)))
    by_statement = [each for each in found if each.fitted[0].recording.source == "hparams"]
    return next(iter(by_statement or found), None) or detect(series, tags, said.reading, stated)


def _checkpoints(earlier: Sequence[Series]) -> Iterator[tuple[int | None, str]]:
    """Yield up to where a scheduler may have seen a training that was left, and how to say it.

    Checkpoints are often written between a validation and the scheduler's step.
    """
    yield None, ""
    metrics = metric_candidates(earlier)
    if metrics:
        last = int(metrics[0].steps[-1])
        yield last, f" (from a checkpoint that does not know its last metric point, at step {last})"


def _series(group: Training) -> list[Series]:
    return [series for log in group for series in log.series.values()]


def _stated(group: Training) -> StatedHparams | None:
    hparams: Hparams = {}
    texts: dict[str, str] = {}
    for log in group:
        hparams |= log.hparams
        texts |= log.texts
    return stated_by(hparams, texts)


def _with_warnings(fitted: Fitted, lines: Iterable[str]) -> Fitted:
    recording = fitted.recording
    return replace(fitted, recording=replace(recording, warnings=(*recording.warnings, *lines)))


def _must_exist(named: Sequence[str], logs: Sequence[RunLog]) -> None:
    tags = dict.fromkeys(tag for log in logs for tag in log.series)
    for tag in named:
        if tag not in tags:
            raise NothingToReadError(f"no run has a tag {tag!r}{_nearest(tag, tags)}")


def _matches(log: RunLog, pattern: str) -> bool:
    return fnmatchcase(log.run, pattern) or fnmatchcase(log.directory, pattern)


def _chosen(runs: tuple[RunFiles, ...], pattern: str | None) -> tuple[RunFiles, ...]:
    """Choose the runs to read: those of that name, and those beside them, with the LR perhaps."""
    if pattern is None:
        return runs
    directory = pattern.rpartition("@")[0] or pattern
    named = {run.name for run in runs if fnmatchcase(run.name, directory)}
    named |= {run.name for run in runs if fnmatchcase(run.name, pattern)}
    if not named:
        names = [run.name for run in runs]
        raise NothingToReadError(f"no run is named {pattern!r}{_nearest(pattern, names)}")
    parents = {PurePosixPath(name).parent for name in named}
    return tuple(
        run
        for run in runs
        if run.name in named or PurePosixPath(run.name).parent in parents or _in(run.name, named)
    )


def _in(run: str, named: Iterable[str]) -> bool:
    return str(PurePosixPath(run).parent) in named


def _nearest(name: str, names: Iterable[str]) -> str:
    """List what there is, nearest first."""
    names = list(names)
    near = get_close_matches(name, names, n=3, cutoff=0.3)
    listed = near + [other for other in names if other not in near]
    more = ", ..." if len(listed) > 8 else ""
    return f"; there are: {', '.join(map(repr, listed[:8]))}{more}" if listed else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tags(group: Sequence[RunLog]) -> Mapping[str, int]:
    return {tag: len(series) for log in group for tag, series in log.series.items()}

"""reading: a log directory -> what `compare` needs, run by run, or why it cannot be had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from rich.console import Console

from plateau_watch.alignment import Reading, from_series
from plateau_watch.commands.progress import reading
from plateau_watch.commands.stated import Stated, read_stated
from plateau_watch.errors import ConfigError, NotEnoughToldError, NothingToReadError
from plateau_watch.events.logdir import RunFiles, discover
from plateau_watch.events.run_reader import RunLog, read_run
from plateau_watch.fit import Fitted, fitted
from plateau_watch.recording import Meaning, RecordedTrace, Recording, from_trace
from plateau_watch.render.facts import config_in_words
from plateau_watch.render.feasible_set import in_words
from plateau_watch.render.fit_report import FitReport
from plateau_watch.report import NotReplayed

Found = Recording | NotReplayed


def read_logdir(logdir: Path, pattern: str | None, stderr: Console) -> tuple[RunLog, ...]:
    """Read all runs of a log directory, or those whose name matches a glob.

    Raises:
        NothingToReadError: there is no event file, or no run of that name.
    """
    runs = _chosen(discover(logdir), pattern)
    total = sum(_size(path) for run in runs for path in run.files)
    with reading(total, stderr) as advance:
        return tuple(read_run(run, advance) for run in runs)


def recordings(logs: Sequence[RunLog], logdir: Path, said: Stated) -> list[Found]:
    """Return for each scheduler in the logs its recording, or why there is none.

    Runs without scalars are left out.

    Raises:
        NothingToReadError: a tag was named that no run has.
        ConfigError: the log directory's plateau-watch.toml cannot be used.
    """
    named = [tag for tag in (said.metric, *(said.lrs or ())) if tag]
    for tag in named:
        _must_exist(tag, logs)
    stated_file = read_stated(logdir)
    traced = {log.run for log in logs if log.traces}
    found: list[Found] = []
    for log in logs:
        about = said.or_else(stated_file.about(log.run))
        if log.traces:
            found += [_from_trace(trace, log, said) for trace in log.traces]
        elif log.series and not (about == Stated() and _holds_one_of(log.run, traced)):
            found.append(_from_series(log, about, logs))
    return found


def fits(
    logs: Sequence[RunLog], metric: str, lrs: Sequence[str], logged: Meaning | None
) -> FitReport:
    """Fit every run that has the tags; where none has them all, say so of each.

    Raises:
        NothingToReadError: no run has a tag.
    """
    for tag in (metric, *lrs):
        _must_exist(tag, logs)
    said = Stated(metric, tuple(lrs), None, logged)
    having = [log for log in logs if not _missing(log, said, logs)] or logs
    found = [_fitted_or_not(log, said, logs) for log in having]
    return FitReport(
        tuple(fit for item in found if not isinstance(item, NotReplayed) for fit in item),
        tuple(item for item in found if isinstance(item, NotReplayed)),
    )


def _fitted_or_not(
    log: RunLog, said: Stated, logs: Sequence[RunLog]
) -> tuple[Fitted, ...] | NotReplayed:
    missing = _missing(log, said, logs)
    if missing or not (said.metric and said.lrs):
        return NotReplayed(log.run, missing, _tags(log))
    try:
        return fitted(log.series[said.metric], [log.series[tag] for tag in said.lrs], Reading(said.logged))
    except NotEnoughToldError as error:
        return NotReplayed(log.run, str(error), _tags(log))


def _holds_one_of(run: str, traced: Iterable[str]) -> bool:
    """Whether a run's own scheduler is traced in a run right below it."""
    return any(str(PurePosixPath(other).parent) == run and other != run for other in traced)


def _from_trace(trace: RecordedTrace, log: RunLog, said: Stated) -> Found:
    if trace.rows:
        recording = from_trace(trace)
        unused = ["what was said of this run is not used: the hook recorded it"]
        return replace(recording, warnings=(*recording.warnings, *unused * (said != Stated())))
    why = trace.problems[0] if trace.problems else "no step of the scheduler was taken yet"
    return NotReplayed(log.run, f"the hook's trace has no usable row: {why}", _tags(log))


def _from_series(log: RunLog, said: Stated, logs: Sequence[RunLog]) -> Found:
    if said.config is None:
        found = _fitted_or_not(log, said, logs)
        return found if isinstance(found, NotReplayed) else _with_its_set(found)
    missing = _missing(log, said, logs)
    if missing or not (said.metric and said.lrs):
        return NotReplayed(log.run, missing, _tags(log))
    lrs = [log.series[tag] for tag in said.lrs]
    try:
        return from_series(log.series[said.metric], lrs, said.config, said.logged)
    except (ConfigError, NotEnoughToldError) as error:
        return NotReplayed(log.run, str(error), _tags(log))


def _with_its_set(found: Sequence[Fitted]) -> Recording:
    """Say the set that a fitted configuration is only the simplest member of."""
    first, *others = found
    said = ["fitted: the simplest of all that reproduce this log exactly, which are"]
    said += in_words(first.fit)
    said += [
        f"or, with LRs logged {other.recording.logged} the step, a set whose simplest member is "
        f"{config_in_words(other.recording.config)}: --lr-logged decides"
        for other in others
    ]
    return replace(first.recording, warnings=(*first.recording.warnings, *said))


def _missing(log: RunLog, said: Stated, logs: Sequence[RunLog]) -> str:
    """Say what has to be stated before a run without a trace can be replayed; "" if nothing."""
    if not (said.metric and said.lrs):
        options = ["--metric TAG"] * (not said.metric) + ["--lr TAG"] * (not said.lrs)
        return (
            f"it has no trace of plateau_watch.watch; say {' '.join(options)} "
            "(and --ran-with patience=10,factor=0.1,... if you know)"
        )
    absent = [tag for tag in (said.metric, *said.lrs) if tag not in log.series]
    if not absent:
        return ""
    elsewhere = [other.run for other in logs if absent[0] in other.series]
    hint = f" (run {elsewhere[0]!r} has, but metric and LR must be in one run)" if elsewhere else ""
    return f"it has no tag {absent[0]!r}{hint}{_nearest(absent[0], log.series)}"


def _must_exist(tag: str, logs: Sequence[RunLog]) -> None:
    tags = dict.fromkeys(tag for log in logs for tag in log.series)
    if tag not in tags:
        raise NothingToReadError(f"no run has a tag {tag!r}{_nearest(tag, tags)}")


def _chosen(runs: tuple[RunFiles, ...], pattern: str | None) -> tuple[RunFiles, ...]:
    if pattern is None:
        return runs
    chosen = tuple(run for run in runs if fnmatchcase(run.name, pattern))
    if not chosen:
        names = [run.name for run in runs]
        raise NothingToReadError(f"no run is named {pattern!r}{_nearest(pattern, names)}")
    return chosen


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


def _tags(log: RunLog) -> dict[str, int]:
    return {tag: len(series) for tag, series in log.series.items()}

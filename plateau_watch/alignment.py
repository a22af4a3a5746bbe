"""Alignment: from a metric and LRs that were logged apart to the steps of a scheduler.

One job: make a `Recording` out of plain series. What an LR logged beside a metric point means (the
one before the scheduler's step, after it, or one step late) and how the two came to stand beside
each other (`joining`) is tried; whoever knows a configuration keeps what fits, and the caller can
settle it. Knows no files and no frameworks. Invariant: an alignment in which some logged LR has no
place, or two places at once, is refused and not bent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from plateau_watch.config import PlateauConfig
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.joining import Joined, joins
from plateau_watch.parity import lr_mismatches
from plateau_watch.precision import coarsest, shortest_decimal
from plateau_watch.reading import FOUND_OUT, Reading, guesses, limits, mixtures
from plateau_watch.recording import Meaning, Recording
from plateau_watch.replay import Trace, replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from plateau_watch.starts import starts_that_fit

MEANINGS: tuple[Meaning, ...] = ("after", "before", "late")

Lrs = tuple[float, ...]

ALONG_STEPS = ("step", "since")
"""Ways of joining that believe the steps; the others are tried where these lead nowhere."""


def from_series(
    metric: Series,
    lrs: Sequence[Series],
    config: PlateauConfig,
    said: Reading = FOUND_OUT,
) -> Recording:
    """Turn logged series and a stated configuration into a recording.

    The starting LR is the first one logged, as the shortest decimal that is stored so; if that
    does not lead to the logged levels, one within its rounding that does.

    Args:
        metric: the metric that drove the scheduler.
        lrs: the LR of each param group.
        config: the configuration the run is said to have had.
        said: how the log is to be read; what was not said is tried, and what fits is kept.

    Raises:
        NotEnoughToldError: a series without points, no LR logged until the last metric step, or
            an LR that changes where no metric point sees it.
        ConfigError: a list `min_lr` that does not fit the number of LR series.
    """
    return _settled(alignments(metric, lrs, config, said), said)


def alignments(
    metric: Series, lrs: Sequence[Series], config: PlateauConfig, said: Reading = FOUND_OUT
) -> list[Recording]:
    """Return every way to read the series as the steps of one scheduler, the likeliest first.

    Whether the configuration fits is not asked. Arguments and errors as for `from_series`.
    """
    for series in (metric, *lrs):
        if len(series) == 0:
            raise NotEnoughToldError(f"tag {series.tag!r} of run {series.run!r} has no points")
    metric = _seen(metric, said)
    found: dict[tuple[Lrs | None, ...], Recording] = {}
    refused: list[str] = []
    meanings = (said.logged,) if said.logged else MEANINGS
    ways = list(joins(metric, lrs))
    most = max((joined.found for joined in ways if joined.way in ALONG_STEPS), default=0)
    for joined in ways:
        if joined.way == "step" and joined.found < most:
            continue
        if joined.way not in ALONG_STEPS and found:
            break
        for meaning in meanings:
            columns = _columns(joined, meaning, asked=said.logged is not None)
            if isinstance(columns, str):
                refused.append(f"{columns} ({_axes(metric, lrs)})")
            elif columns not in found and any(lrs_there for lrs_there in columns):
                found[columns] = _recording(
                    metric, lrs, config, columns, meaning=meaning, joined=joined, said=said
                )
    if not found:
        raise NotEnoughToldError(
            refused[0]
            if refused
            else f"no LR is logged until the last point of {metric.tag!r}: nothing to compare with"
        )
    return list(found.values())


def read_otherwise(recording: Recording) -> list[Recording]:
    """Return a recording whose LRs mean "after" with the other meanings that they can have."""
    beside = recording.lrs[1:]
    found = [replace(recording, logged="before", lrs=(*beside, None))]
    if beside[0] is None:
        found.append(replace(recording, logged="late", lrs=(*beside[1:], None, None)))
    return found


def _seen(metric: Series, said: Reading) -> Series:
    """Keep the metric points that the scheduler is said to have seen.

    Raises:
        NotEnoughToldError: none is left.
    """
    kept = slice(said.skip_first + said.every - 1, None, said.every)
    if len(metric.steps[kept]) == 0:
        raise NotEnoughToldError(
            f"tag {metric.tag!r} of run {metric.run!r} has {len(metric)} points: none is left"
        )
    return Series(
        metric.run,
        metric.tag,
        metric.steps[kept],
        metric.wall_times[kept],
        metric.values[kept],
        metric.precision,
        metric.superseded,
    )


def _recording(
    metric: Series,
    lrs: Sequence[Series],
    config: PlateauConfig,
    columns: tuple[Lrs | None, ...],
    *,
    meaning: Meaning,
    joined: Joined,
    said: Reading,
) -> Recording:
    precision = coarsest([series.precision for series in lrs])
    first = next(row for row in columns if row is not None)
    times = said.repeat
    spread: list[Lrs | None] = [None] * (len(metric) * times + 1)
    spread[::times] = columns
    return Recording(
        run=metric.run,
        metric_tag=metric.tag,
        steps=np.repeat(metric.steps, times),
        wall_times=np.repeat(metric.wall_times, times),
        metric=np.repeat(metric.values, times),
        precision=metric.precision,
        superseded=metric.superseded,
        lr_tags=tuple(series.tag for series in lrs),
        lr_precision=precision,
        logged=meaning,
        lrs=tuple(spread),
        config=config,
        source="given",
        start=PlateauState.initial(config, (shortest_decimal(lr, precision) for lr in first)),
        guesses=tuple(guesses(metric, lrs, joined, meaning, said)),
        warnings=(*mixtures((metric, *lrs)), *limits(metric, lrs, joined, meaning)),
    )


def _columns(joined: Joined, meaning: Meaning, *, asked: bool) -> tuple[Lrs | None, ...] | str:
    """The LR before each step and after the last, by a meaning; or why it cannot be that.

    LRs that are logged late lack the first one; only who asks for it gets those that do not.
    """
    beside, following = joined.beside, joined.following
    if meaning == "late":
        there = beside[0] is not None and not (asked and beside[0] == beside[1])
        if there or None in beside[1:] or any(joined.between) or joined.beyond:
            return "not all but the first metric point have an LR beside them: none is logged late"
        return (*beside[1:], following, None)
    placed = [*beside, following] if meaning == "before" else [None, *beside]
    for index, between in enumerate(joined.between):
        if not between:
            continue
        if placed[index] is None and len(between) == 1:
            (placed[index],) = between
        if any(_out_of_place(row, placed[index], first=index == 0) for row in between):
            return "the LR changes between metric points: they count steps differently"
    last = placed[-1] if placed[-1] is not None else following
    allowed = {last} if meaning == "before" else {last, following}
    if not joined.beyond <= allowed:
        return "the LR changes after the last metric point: they count steps differently"
    return tuple(placed)


def _out_of_place(row: Lrs, placed: Lrs | None, *, first: bool) -> bool:
    """Whether an LR between metric points contradicts the one there; a ramp at first does not."""
    if placed is None or row == placed:
        return placed is None
    return not (first and all(low <= high for low, high in zip(row, placed, strict=True)))


def _axes(metric: Series, lrs: Sequence[Series]) -> str:
    return ", ".join(
        f"{series.tag!r} is at steps {int(series.steps[0])} to {int(series.steps[-1])}"
        for series in (metric, lrs[0])
    )


def _settled(recordings: Sequence[Recording], said: Reading) -> Recording:
    """Choose how the log is read, and where needed another starting LR, by what fits."""
    counted = [
        (len(list(lr_mismatches(candidate, _replayed(candidate)))), position, candidate)
        for position, recording in enumerate(recordings)
        for candidate in _starts(recording)
    ]
    fewest, position, chosen = min(counted, key=lambda attempt: attempt[0])
    read = recordings[position]
    fits = {recordings[at].logged for count, at, _ in counted if count == 0}
    notes = []
    if chosen is not read and fewest == 0:
        lrs = ", ".join(f"{lr:.9g}" for lr in chosen.start.lrs)
        notes.append(f"the starting LR has more digits than were logged; one that fits is {lrs}")
    if len(fits) > 1:
        notes.append(
            f"the LR fits as logged before the step and after it; taken as {chosen.logged}"
        )
    if not fits and said.logged is None:
        chosen = recordings[0]
        notes.append(
            "it cannot be told whether LRs were logged before or after the scheduler's step; "
            f"shown as {chosen.logged}, so steps of reductions may be one late"
        )
    return replace(chosen, warnings=(*chosen.warnings, *notes))


def _replayed(recording: Recording) -> Trace:
    return replay(recording.config, recording.metric, recording.start)


def _starts(recording: Recording) -> Iterator[Recording]:
    """Yield the recording as it is, and with a starting LR that fits all its levels, if any."""
    yield recording
    lrs = starts_that_fit(recording, recording.config.factor)
    if lrs:
        yield replace(recording, start=replace(recording.start, lrs=lrs))

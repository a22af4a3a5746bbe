"""detection: which metric, LR, reading and parameters explain a training that nobody described.

Tries every metric against every LR that its names allow, in every way to read them, and keeps what
reproduces each logged LR exactly and is something that somebody would have written
(`plausibility`). Nothing is chosen for how well it nearly fits. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from plateau_watch.attempt import PLAIN, Attempt
from plateau_watch.candidates import expected_mode, is_per_batch, unlikeliness
from plateau_watch.config import Mode, PlateauConfig
from plateau_watch.conventions import Convention
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.fit import NEVER_FALLS, TORCH
from plateau_watch.fitted import Fitted, NothingFitsError
from plateau_watch.lr_shape import falls_unevenly
from plateau_watch.miss import closest_miss
from plateau_watch.pairing import NOTHING_SAID, Tags, pairs
from plateau_watch.plausibility import STRANGE, coincidence, is_telling, may_be_a_plan, strangeness
from plateau_watch.reading import FOUND_OUT, Reading
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from plateau_watch.stated_hparams import StatedHparams

UNUSUAL = (
    Reading(skip_first=1),
    Reading(logged="late"),
    *(Reading(every=count) for count in (2, 3, 4, 5)),
    *(Reading(repeat=count) for count in (2, 4, 8)),
)
"""Ways to read a log that are tried where the usual ones explain nothing: a sanity check before
the training, a scheduler that saw stale metrics or every k-th one, one that each of k processes
stepped."""

MOST_UNUSUAL = 2
"""Metrics that are read in such ways, the likeliest first."""

LIKELIEST = 4
"""Pairs of a metric and an LR that are fitted whatever it takes; later ones in a hurry."""

LIKELY = 2
"""Unlikeliness up to which a metric may well be the scheduler's: a validation loss or score."""


@dataclass(frozen=True, slots=True)
class Detection:
    """An explanation of a training's LR.

    Attributes:
        fitted: the fits of the metric and LR that were chosen, one for each reading; the first is
            the likeliest.
        convention: the framework whose names these are, where they tell.
        strangeness: how far it is from what somebody would write, from 0.
        findings: what a user would want to know of the training itself, one line each.
        also: other metrics that explain the same LR as exactly, the likeliest first.
        stated: what the log's own hyper-parameters state, if they state the scheduler's.
    """

    fitted: tuple[Fitted, ...]
    convention: Convention | None
    strangeness: int
    findings: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    stated: StatedHparams | None = None


def detect(
    series: Sequence[Series],
    tags: Tags = NOTHING_SAID,
    said: Reading = FOUND_OUT,
    stated: StatedHparams | None = None,
    seams: Sequence[float] = (),
) -> Detection:
    """Find what explains the LR of one training.

    Args:
        series: all of the training's, whatever their runs.
        tags: the metric and the LR, as far as they were said.
        said: how the log is to be read, as far as it was said.
        stated: the scheduler's parameters, as the log's own hyper-parameters state them.
        seams: wall times from which on another process may have gone on with the training.

    Raises:
        NotEnoughToldError: nothing there looks like an LR or a metric, the LR never falls, or
            nothing explains it; the message says which.
    """
    asked = tags.metric is not None
    attempts = [
        Attempt(
            metric,
            lrs,
            said,
            stated,
            asked,
            tuple(seams),
            unlikely=position >= LIKELIEST,
        )
        for position, (metric, lrs) in enumerate(pairs(series, tags))
    ]
    found, failed = _all_explained(attempts)
    if not found:
        found, _ = _all_explained(_read_unusually(attempts))
    if not found:
        raise NotEnoughToldError(_why(failed, attempts))
    (best, attempt), *rest = sorted(found, key=lambda each: _order(each[0]))
    best, others = _in_all_modes(best, attempt), [other for other, _ in rest]
    also = dict.fromkeys(_name(other) for other in others)
    also.pop(_name(best), None)
    return replace(best, also=tuple(also), stated=stated)


_Found = list[tuple[Detection, Attempt]]
_Failed = list[tuple[Attempt, NotEnoughToldError]]


def _all_explained(attempts: Iterable[Attempt]) -> tuple[_Found, _Failed]:
    """Try what may explain an LR; what is logged once a batch, only where nothing else does."""
    found: _Found = []
    failed: _Failed = []
    for attempt in attempts:
        if found and is_per_batch(attempt.metric.tag) and not attempt.asked:
            break
        try:
            found.append((_explained(attempt), attempt))
        except NotEnoughToldError as error:
            failed.append((attempt, error))
    return found, failed


def _read_unusually(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """Yield what is likely to be the metric once more, in ways that few logs have to be read."""
    likely = [
        attempt
        for attempt in attempts
        if attempt.asked or unlikeliness(attempt.metric)[0] <= LIKELY
    ]
    for attempt in likely[:MOST_UNUSUAL]:
        told = replace(attempt.said, logged=None) != FOUND_OUT
        if not told and falls_unevenly(attempt.lrs[0]):
            for reading in UNUSUAL:
                logged = attempt.said.logged or reading.logged
                yield replace(attempt, said=replace(reading, logged=logged), unusual=True)


def _explained(attempt: Attempt) -> Detection:
    """Explain one LR by one metric.

    Raises:
        NotEnoughToldError: nothing fits, or what fits is a coincidence.
    """
    found = attempt.fitted()
    expected, convention = attempt.expected, attempt.convention

    def order(each: Fitted) -> tuple[int, bool]:
        otherwise = convention is not None and each.recording.logged != convention.logged
        return strangeness(each, expected, convention), otherwise

    best, *others = sorted(found, key=order)
    least, otherwise = order(best)
    if otherwise:
        convention = None
    if (least >= STRANGE and not attempt.asked) or (attempt.unusual and not is_telling(best)):
        raise NotEnoughToldError(coincidence(best))
    findings = list(_findings(best, expected))
    if may_be_a_plan(best) and not findings:  # a forgotten mode says it already
        findings.append(
            "the LR falls every so many steps: a schedule by plan would look the same, and nothing "
            "in the log tells the two apart"
        )
    if attempt.unusual:
        findings.append(
            "no usual way to read it explains this log; of this one, thresholds up to "
            f"{PLAIN.thresholds[1]} without a cooldown were looked at"
        )
    return Detection((best, *others), convention, least, tuple(findings))


def _in_all_modes(found: Detection, attempt: Attempt) -> Detection:
    """Widen the sets to both modes; the members that were chosen stay."""
    if attempt.unusual or all(book.scope.modes == TORCH.scope.modes for book in attempt.rulebooks):
        return found
    sets = {
        (each.recording.lrs, each.rulebook.usual): each.fit
        for each in attempt.fitted(all_modes=True)
    }
    return replace(
        found,
        fitted=tuple(
            replace(each, fit=sets.get((each.recording.lrs, each.rulebook.usual), each.fit))
            for each in found.fitted
        ),
    )


def _findings(found: Fitted, expected: Mode | None) -> Iterator[str]:
    recording = found.recording
    mode = recording.config.mode
    if expected is not None and mode != expected:
        better = "falls" if expected == "min" else "rises"
        yield (
            f"{recording.metric_tag} is better the more it {better}, and the scheduler's mode is "
            f"{mode}: it cut the LR while the metric improved (or the LR fell by plan, every so "
            "many steps, whatever the metric did)"
        )


def _name(found: Detection) -> str:
    recording = found.fitted[0].recording
    return f"{recording.metric_tag} of run {recording.run}"


def _order(found: Detection) -> tuple[int, int, str, str]:
    recording = found.fitted[0].recording
    far, tag, run = unlikeliness(Series.of([], run=recording.run, tag=recording.metric_tag))
    return far + found.strangeness, far, tag, run


def _why(failed: _Failed, attempts: Sequence[Attempt]) -> str:
    """The reason that says the most: a fit that failed, before an LR that never falls."""
    falls = any(_falls(points) for attempt in attempts for points in attempt.lrs)
    if not falls:
        return f"{NEVER_FALLS}{_bound(attempts[0].metric)}"
    telling = [each for each in failed if not str(each[1]).startswith(NEVER_FALLS)]
    if not telling:
        return NEVER_FALLS
    attempt, error = telling[0]
    if isinstance(error, NothingFitsError):
        miss = closest_miss(error.failed, attempt.rulebooks[0], attempt.seams)
        return f"{error} (metric {attempt.metric.tag!r})" + (f"; {miss}" if miss else "")
    return str(error)


def _falls(lr: Series) -> bool:
    return bool((lr.values[1:] < lr.values[:-1]).any())


def _bound(metric: Series) -> str:
    """What never firing says of the patience, where this is likely to be the metric."""
    if unlikeliness(metric)[0] > LIKELY:
        return ""
    mode = expected_mode(metric.tag) or "min"
    config = PlateauConfig(mode=mode, patience=math.inf)
    trace = replay(config, metric.values.tolist(), PlateauState.initial(config, (1.0,)))
    wait = max(decision.num_bad_epochs for decision in trace.decisions)
    return (
        f"; a scheduler that saw {metric.tag!r} with torch's threshold and never fired had a "
        f"patience of {wait} or more"
    )

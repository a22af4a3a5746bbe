"""detection: which metric, LR, reading and parameters explain a training that nobody described.

Tries every metric against every LR that its names allow, in every way to read them, and keeps what
reproduces each logged LR exactly and is something that somebody would have written
(`plausibility`). Nothing is chosen for how well it nearly fits. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from plateau_watch.alignment import FOUND_OUT, Reading
from plateau_watch.candidates import (
    FEWEST_POINTS,
    expected_mode,
    is_per_batch,
    lr_candidates,
    metric_candidates,
    unlikeliness,
)
from plateau_watch.config import Mode, PlateauConfig
from plateau_watch.conventions import Convention, convention_of
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.fit import KERAS, NEVER_FALLS, TORCH, Fitted, Rulebook, fitted
from plateau_watch.plausibility import STRANGE, coincidence, strangeness
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from plateau_watch.stated_hparams import StatedHparams

MOST_METRICS = 40
"""Metrics of one training that are tried, the likeliest first."""

LIKELY = 2
"""Unlikeliness up to which a metric may well be the scheduler's: a validation loss or score."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What was said of which tags to look at; None where nothing was."""

    metric: str | None = None
    lrs: tuple[str, ...] | None = None


NOTHING_SAID = Tags()


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
) -> Detection:
    """Find what explains the LR of one training.

    Args:
        series: all of the training's, whatever their runs.
        tags: the metric and the LR, as far as they were said.
        said: how the log is to be read, as far as it was said.
        stated: the scheduler's parameters, as the log's own hyper-parameters state them.

    Raises:
        NotEnoughToldError: nothing there looks like an LR or a metric, the LR never falls, or
            nothing explains it; the message says which.
    """
    found: list[tuple[Detection, _Attempt]] = []
    whys: list[str] = []
    for metric, group in pairs(series, tags):
        if found and is_per_batch(metric.tag) and tags.metric is None:
            break
        attempt = _Attempt(metric, group, said, stated, asked=tags.metric is not None)
        try:
            found.append((_explained(attempt), attempt))
        except NotEnoughToldError as error:
            whys.append(str(error))
    if not found:
        raise NotEnoughToldError(_why(whys, _lrs(series, tags), _metrics(series, tags)))
    (best, attempt), *rest = sorted(found, key=lambda each: _order(each[0]))
    best, others = _in_all_modes(best, attempt), [other for other, _ in rest]
    also = dict.fromkeys(_name(other) for other in others)
    also.pop(_name(best), None)
    return replace(best, also=tuple(also), stated=stated)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One metric and one LR, and what is known of them before anything is fitted."""

    metric: Series
    lrs: Sequence[Series]
    said: Reading
    stated: StatedHparams | None
    asked: bool

    @property
    def convention(self) -> Convention | None:
        """The framework whose names these are."""
        metric, lr = self.metric, self.lrs[0]
        first_missing = metric.steps[0] < lr.steps[0] and len(lr) == len(metric) - 1
        return convention_of(lr.tag, first_missing=first_missing)

    @property
    def expected(self) -> Mode | None:
        """The mode that the metric's name calls for."""
        return expected_mode(self.metric.tag)

    @property
    def rulebook(self) -> Rulebook:
        """The framework's rules; without `max` where nobody would write it, unless asked."""
        rules = KERAS if self.convention and self.convention.rules == "keras" else TORCH
        return (
            replace(rules, modes=("min",)) if self.expected == "min" and not self.asked else rules
        )

    def fitted(self, rulebook: Rulebook) -> tuple[Fitted, ...]:
        """Fit by the framework's convention first, where there is one.

        Raises:
            NotEnoughToldError: nothing fits.
        """
        attempt = partial(
            fitted,
            self.metric,
            self.lrs,
            rulebook=rulebook,
            expected=self.expected or "min",
            stated=self.stated.config if self.stated else None,
        )
        return _by_convention(attempt, self.said, self.convention)


def _explained(attempt: _Attempt) -> Detection:
    """Explain one LR by one metric.

    Raises:
        NotEnoughToldError: nothing fits, or what fits is a coincidence.
    """
    found = attempt.fitted(attempt.rulebook)
    expected, convention = attempt.expected, attempt.convention

    def strange(each: Fitted) -> int:
        return strangeness(each, expected, convention)

    best, *others = sorted(found, key=strange)
    least = strange(best)
    if least >= STRANGE and not attempt.asked:
        raise NotEnoughToldError(coincidence(best))
    return Detection((best, *others), convention, least, tuple(_findings(best, expected)))


def _in_all_modes(found: Detection, attempt: _Attempt) -> Detection:
    """Widen the sets to both modes; the members that were chosen stay."""
    if attempt.rulebook.modes == TORCH.modes:
        return found
    whole = attempt.fitted(replace(attempt.rulebook, modes=TORCH.modes))
    sets = {each.recording.lrs: each.fit for each in whole}
    return replace(
        found,
        fitted=tuple(
            replace(each, fit=sets.get(each.recording.lrs, each.fit)) for each in found.fitted
        ),
    )


def _by_convention(
    attempt: Callable[[Reading], tuple[Fitted, ...]], said: Reading, convention: Convention | None
) -> tuple[Fitted, ...]:
    """Fit in the reading that the framework's convention says; where that fails, in every one."""
    if convention and said.logged is None:
        with suppress(NotEnoughToldError):
            return attempt(replace(said, logged=convention.logged))
    return attempt(said)


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


def _lrs(series: Sequence[Series], tags: Tags) -> list[tuple[Series, ...]]:
    if tags.lrs is None:
        found = lr_candidates(series)
        if not found:
            raise NotEnoughToldError(
                "nothing in it looks like an LR by name or shape, and is positive; say --lr TAG"
            )
        return found
    by_name = {(points.run, points.tag): points for points in series}
    found = [
        tuple(by_name[run, tag] for tag in tags.lrs)
        for run in dict.fromkeys(points.run for points in series)
        if all((run, tag) in by_name for tag in tags.lrs)
    ]
    if not found:
        absent = [tag for tag in tags.lrs if tag not in {points.tag for points in series}]
        raise NotEnoughToldError(_absent((*absent, *tags.lrs)[0], series))
    return found


def _absent(tag: str, series: Sequence[Series]) -> str:
    listed = ", ".join(repr(name) for name in dict.fromkeys(points.tag for points in series))
    return f"it has no tag {tag!r}; there are: {listed}"


def _metrics(series: Sequence[Series], tags: Tags) -> list[Series]:
    if tags.metric is not None:
        named = [points for points in series if points.tag == tags.metric]
        if not named:
            raise NotEnoughToldError(_absent(tags.metric, series))
        return sorted(named, key=unlikeliness)
    found = metric_candidates(series)
    if not found:
        raise NotEnoughToldError(
            f"nothing in it looks like a metric of {FEWEST_POINTS} points or more; say --metric TAG"
        )
    return found[:MOST_METRICS]


def pairs(
    series: Sequence[Series], tags: Tags = NOTHING_SAID
) -> Iterator[tuple[Series, tuple[Series, ...]]]:
    """Yield each metric with each LR, the likeliest first; an LR of several runs, with its own.

    Raises:
        NotEnoughToldError: nothing there looks like an LR or a metric.
    """
    lrs = _lrs(series, tags)
    for metric in _metrics(series, tags):
        names: dict[str, tuple[Series, ...]] = {}
        for group in lrs:
            if group[0].tag not in names or group[0].run == metric.run:
                names[group[0].tag] = group
        for group in names.values():
            yield metric, group


def _why(whys: Sequence[str], lrs: Sequence[tuple[Series, ...]], metrics: Sequence[Series]) -> str:
    """The reason that says the most: a fit that failed, before an LR that never falls."""
    falls = any((each.values[1:] < each.values[:-1]).any() for group in lrs for each in group)
    if not falls:
        return f"{NEVER_FALLS}{_bound(metrics[0])}"
    telling = [why for why in whys if not why.startswith(NEVER_FALLS)] or [NEVER_FALLS]
    return next((why for why in telling if "no patience" in why), telling[0])


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

"""detection: which metric, LR, reading and parameters explain a training that nobody described.

Tries every metric against every LR that its names allow, in every way to read them, and keeps what
reproduces each logged LR exactly and is something that somebody would have written. Choosing is by
how plausible the explanation is, never by how well it nearly fits. Knows no files.

A fit proves little where the LR falls once or twice, or regularly whatever the metric does: what
needs a strange threshold, or the wrong mode, is then no explanation but a coincidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from plateau_watch.alignment import FOUND_OUT, Reading
from plateau_watch.candidates import (
    expected_mode,
    is_per_batch,
    lr_candidates,
    metric_candidates,
    unlikeliness,
)
from plateau_watch.config import Mode, PlateauConfig
from plateau_watch.conventions import Convention, convention_of
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.fit import KERAS, NEVER_FALLS, TORCH, Fitted, fitted
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series

MOST_METRICS = 40
"""Metrics of one training that are tried, the likeliest first."""

STRANGE = 9
"""Strangeness from which on an explanation is taken for a coincidence."""

MOST_DIGITS = 2
"""Significant digits of a threshold that somebody would write."""

LARGEST_RELATIVE = 0.1
"""The largest relative threshold that somebody would write."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What was said of which tags to look at; None where nothing was."""

    metric: str | None = None
    lrs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """An explanation of a training's LR.

    Attributes:
        fitted: the fits of the metric and LR that were chosen, one for each reading; the first is
            the likeliest.
        convention: the framework whose names these are, where they tell.
        strangeness: 0 for what anybody would write; see `strangeness`.
        also: other metrics that explain the same LR as plausibly.
    """

    fitted: tuple[Fitted, ...]
    convention: Convention | None
    strangeness: int
    also: tuple[str, ...] = ()


def detect(
    series: Sequence[Series], tags: Tags = Tags(), said: Reading = FOUND_OUT
) -> Detection:
    """Find what explains the LR of one training.

    Args:
        series: all of the training's, whatever their runs.
        tags: the metric and the LR, as far as they were said.
        said: how the log is to be read, as far as it was said.

    Raises:
        NotEnoughToldError: nothing there looks like an LR or a metric, the LR never falls, or
            nothing explains it; the message says which.
    """
    lrs = _lrs(series, tags)
    metrics = _metrics(series, tags)
    pairs = list(_pairs(metrics, lrs))
    asked = tags.metric is not None
    found: list[Detection] = []
    whys: list[str] = []
    for metric, group in pairs:
        if found and not asked and is_per_batch(metric.tag):
            break
        try:
            found.append(_explained(metric, group, said, asked=asked))
        except NotEnoughToldError as error:
            whys.append(str(error))
    if not found:
        raise NotEnoughToldError(_why(whys, lrs))
    best = min(found, key=_order)
    also = [
        _name(other)
        for other in sorted(found, key=_order)
        if other is not best and other.strangeness <= best.strangeness and _name(other) != _name(best)
    ]
    return replace(best, also=tuple(dict.fromkeys(also)))


def strangeness(config: PlateauConfig, expected: Mode | None) -> int:
    """How far an explanation is from what somebody would write: 0 to `STRANGE`.

    The mode counts, where the metric's name calls for one: a `max` on a loss is nothing that
    anybody writes, a `min` on a score is a mistake that many make, and then all else has to be
    plain. A threshold has few digits and is small.
    """
    wrong_mode = expected is not None and config.mode != expected
    plain = _plain_threshold(config)
    if wrong_mode:
        usual = plain == 0 and config.cooldown == 0
        return 3 if config.mode == "min" and usual else STRANGE
    return plain + (config.mode == "max" and expected is None) + (config.cooldown > 0)


def _plain_threshold(config: PlateauConfig) -> int:
    threshold = config.threshold
    if threshold in (1e-4, 0.0, 1e-3, 1e-2):
        return 0
    few_digits = float(f"{threshold:.{MOST_DIGITS - 1}e}") == threshold
    small = config.threshold_mode == "abs" or threshold <= LARGEST_RELATIVE
    return 1 if few_digits and small else STRANGE


def _explained(
    metric: Series, lrs: Sequence[Series], said: Reading, *, asked: bool
) -> Detection:
    """Fit one metric to one LR; by the framework's convention first, where there is one.

    Raises:
        NotEnoughToldError: nothing fits, or what fits is a coincidence.
    """
    first_missing = metric.steps[0] < lrs[0].steps[0] and len(lrs[0]) == len(metric) - 1
    convention = convention_of(lrs[0].tag, first_missing=first_missing)
    expected = expected_mode(metric.tag)
    rulebook = KERAS if convention and convention.rules == "keras" else TORCH
    found = fitted(metric, lrs, said, rulebook, expected or "min")
    judged = sorted(
        found, key=lambda each: _misread(each, convention) + strangeness(_config(each), expected)
    )
    if convention and not _misread(judged[0], convention):
        judged = [each for each in judged if not _misread(each, convention)]
    least = strangeness(_config(judged[0]), expected)
    if not asked:
        why = _coincidence(judged[0], least)
        if why:
            raise NotEnoughToldError(why)
    return Detection(tuple(judged), convention, least)


def _misread(found: Fitted, convention: Convention | None) -> int:
    return 0 if convention is None or found.recording.logged == convention.logged else 2


def _coincidence(found: Fitted, least: int) -> str:
    """Why a fit is taken for a coincidence; "" if it is not."""
    config = _config(found)
    if least >= STRANGE:
        return (
            "no plateau configuration that somebody would write explains this LR: it would take "
            f"mode={config.mode} and threshold={config.threshold:.6g} ({config.threshold_mode}) on "
            f"{found.recording.metric_tag!r}; naming it with --metric shows that fit"
        )
    return ""


def _config(found: Fitted) -> PlateauConfig:
    return found.recording.config


def _name(found: Detection) -> str:
    recording = found.fitted[0].recording
    return f"{recording.metric_tag} of run {recording.run}"


def _order(found: Detection) -> tuple[object, ...]:
    recording = found.fitted[0].recording
    metric = Series.of([0.0], run=recording.run, tag=recording.metric_tag)
    per_batch, training, *rest = unlikeliness(metric)
    return per_batch, found.strangeness, training, *rest


def _lrs(series: Sequence[Series], tags: Tags) -> list[tuple[Series, ...]]:
    if tags.lrs is None:
        found = lr_candidates(series)
        if not found:
            raise NotEnoughToldError(
                "nothing in it looks like an LR by name or shape; say --lr TAG"
            )
        return found
    runs = dict.fromkeys(points.run for points in series if points.tag == tags.lrs[0])
    by_name = {(points.run, points.tag): points for points in series}
    return [
        tuple(by_name[run, tag] for tag in tags.lrs)
        for run in runs
        if all((run, tag) in by_name for tag in tags.lrs)
    ]


def _metrics(series: Sequence[Series], tags: Tags) -> list[Series]:
    if tags.metric is not None:
        return sorted(
            (points for points in series if points.tag == tags.metric), key=unlikeliness
        )
    found = metric_candidates(series)
    if not found:
        raise NotEnoughToldError("nothing in it looks like a metric; say --metric TAG")
    return found[:MOST_METRICS]


def _pairs(
    metrics: Sequence[Series], lrs: Sequence[tuple[Series, ...]]
) -> Iterator[tuple[Series, tuple[Series, ...]]]:
    """Yield each metric with each LR; one that is logged in several runs, with its own run's."""
    for metric in metrics:
        names: dict[str, tuple[Series, ...]] = {}
        for group in lrs:
            if group[0].tag not in names or group[0].run == metric.run:
                names[group[0].tag] = group
        for group in names.values():
            yield metric, group


def _why(whys: Sequence[str], lrs: Sequence[tuple[Series, ...]]) -> str:
    """The reason that says the most: a fit that failed, before an LR that never falls."""
    telling = [why for why in whys if why != NEVER_FALLS]
    if telling and any((each.values[1:] < each.values[:-1]).any() for group in lrs for each in group):
        return next((why for why in telling if why.startswith("no plateau")), telling[0])
    return NEVER_FALLS


def longest_wait(metric: Series, mode: Mode) -> int:
    """Return the most bad steps in a row under torch's default threshold.

    A scheduler that never fired on this metric had at least that patience.
    """
    config = PlateauConfig(mode=mode, patience=float("inf"))
    trace = replay(config, metric.values.tolist(), PlateauState.initial(config, (1.0,)))
    return max(decision.num_bad_epochs for decision in trace.decisions)

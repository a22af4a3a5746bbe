"""candidates: which tags of a run look like an LR, and which could be the metric that drove it.

Names and shapes only; nothing is replayed, and nothing is chosen; each says why. An LR is told by
its name (as Lightning, Trainer, Keras, ignite, fastai, mmengine, Ultralytics, Catalyst and plain
code write it) and by being positive; param groups that are logged one by one are put together.
Every other tag with enough points may be the metric; validation losses come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from plateau_watch.config import Mode
from plateau_watch.conventions import framework_of
from plateau_watch.lr_shape import falls_like_an_lr
from plateau_watch.series import Series

FEWEST_POINTS = 3
"""A metric of fewer points says nothing of a scheduler."""

_LR = re.compile(r"(^|[/_\-. :])(lr|learning[_\- ]?rate)s?([/_\-. :\d]|$)", re.IGNORECASE)
_BESIDE_AN_LR = re.compile(r"[/_\-](momentum|weight_decay)$", re.IGNORECASE)
"""What Lightning's LearningRateMonitor logs beside an LR, under the LR's name."""
_GROUP = re.compile(r"^(?P<common>.*?)[/_\-]?(pg|group|param_group)?[_\-]?(?P<group>\d{1,9})$")
_NEVER_A_METRIC = re.compile(
    r"(^|[/_\-. ])(hp_metric|momentum|(sqr_)?mom|wd|time|fps|throughput|samples_per_second"
    r"|steps_per_second|runtime|memory|weight_decay|grad_norm|total_flos)([/_\-. ]|$)|^_?timers/",
    re.IGNORECASE,
)
_EPOCHS = re.compile(r"(^|/)epochs?$", re.IGNORECASE)
_PER_BATCH = re.compile(
    r"(^|[/_\-. ])(batch(es)?|steps?|iter(ation)?s?)([/_\-. ]|$)", re.IGNORECASE
)
_SAYS_NO_KIND = frozenset(
    re.split(
        "[|]", "val|valid|validation|eval|evaluation|test|dev|train|training|epoch|avg|mean|total"
    )
)
_VALIDATION = re.compile(
    r"(^|[/_\-. ])(val|valid|validation|eval|evaluation|dev|test)([/_\-. @]|$)", re.IGNORECASE
)
_LOSS = re.compile(
    r"loss|err(or)?|mae|mse|rmse|ma?pe|msle|perplexity|ppl|nll|elbo|(^|[^a-z])(wer|cer|fid)([^a-z]|$)",
    re.IGNORECASE,
)
_SCORE = re.compile(
    r"acc(uracy)?|score|auc|auroc|dice|iou|precision|recall|bleu|rouge|reward"
    r"|(^|[^a-z])(f1|map|r2|ap|psnr|ssim)([^a-z]|$)",
    re.IGNORECASE,
)


def lr_candidates(series: Iterable[Series]) -> list[tuple[Series, ...]]:
    """Return the LRs of a training: for each, one series a param group; the likeliest first.

    Those that fall come first. Where no name says that it is one, what goes down by a constant
    ratio is taken for it.

    Args:
        series: all of the training's, whatever their runs.
    """
    series = list(series)
    named = [points for points in series if _is_named_lr(points.tag) and _positive(points)]
    lrs = named or [points for points in series if _positive(points) and falls_like_an_lr(points)]
    families: dict[tuple[str, str], list[Series]] = {}
    for points in sorted(lrs, key=lambda points: _by_group(points.tag)):
        match = _GROUP.match(points.tag)
        common = match["common"] if match else points.tag
        families.setdefault((points.run, common), []).append(points)
    return [
        tuple(family)
        for family in sorted(families.values(), key=lambda family: _unlike_an_lr(family[0]))
    ]


def metric_candidates(series: Iterable[Series]) -> list[Series]:
    """Return what could have been the metric, the likeliest first.

    What never moves is one only where nothing does.

    Args:
        series: all of the training's, whatever their runs.
    """
    found = [
        points
        for points in series
        if len(points) >= FEWEST_POINTS
        and not _LR.search(points.tag)
        and not _NEVER_A_METRIC.search(points.tag)
        and not (_EPOCHS.search(points.tag) and _counts_up(points))
    ]
    moving = [points for points in found if (points.values[1:] != points.values[:-1]).any()]
    return sorted(moving or found, key=unlikeliness)


def why_an_lr(tag: str) -> str:
    """Say why a tag of `lr_candidates` is one: whose name it bears, a word in it, or its shape."""
    framework = framework_of(tag)
    if framework:
        return f"named as {framework} names it"
    named = _LR.search(tag)
    return f"{named[2]!r} in its name" if named else "by shape: it falls by one ratio"


def expected_mode(tag: str) -> Mode | None:
    """Return the mode a metric's name calls for: min for losses, max for scores, or None."""
    if _LOSS.search(tag):
        return "min"
    return "max" if _SCORE.search(tag) else None


def mode_word(tag: str) -> str | None:
    """Return the word in a metric's name that calls for its `expected_mode`; None without one."""
    named = _LOSS.search(tag) or _SCORE.search(tag)
    return re.sub(r"^[^A-Za-z]+|[^A-Za-z0-9]+$", "", named[0]) if named else None


def unlikeliness(metric: Series) -> tuple[int, str, str]:
    """Order metrics by their names; the first number says how far one is from a validation loss.

    Schedulers are mostly given the validation loss, less often a score, and least often one
    component of a loss, something of the training set, or what is logged once a batch.
    """
    validation = _VALIDATION.search(f"{metric.run}/{metric.tag}")
    far = 6 * is_per_batch(metric.tag) + 3 * (not validation) + _kind(metric.tag)
    return far, metric.tag, metric.run


def _kind(tag: str) -> int:
    """How unlikely a kind of metric is: a plain loss, a score, part of a loss or an error, else."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", tag.lower()) if word]
    if [word for word in words if word not in _SAYS_NO_KIND] == ["loss"]:
        return 0
    if _LOSS.search(tag):
        return 4
    return 1 if _SCORE.search(tag) else 5


def is_per_batch(tag: str) -> bool:
    """Whether a tag says that it is logged once a batch."""
    return bool(_PER_BATCH.search(tag))


def _is_named_lr(tag: str) -> bool:
    return bool(_LR.search(tag)) and not _BESIDE_AN_LR.search(tag)


def _by_group(tag: str) -> tuple[str, int]:
    match = _GROUP.match(tag)
    return (match["common"], int(match["group"])) if match else (tag, -1)


def _positive(series: Series) -> bool:
    values = series.values
    return len(series) > 0 and bool(((values >= 0) & (values < np.inf)).all() and values[0] > 0)


def _counts_up(series: Series) -> bool:
    return bool((series.values[1:] >= series.values[:-1]).all()) and bool(series.values[-1] >= 1)


def _unlike_an_lr(series: Series) -> tuple[bool, bool, int, str, str]:
    falls = bool((series.values[1:] < series.values[:-1]).any())
    return not falls, is_per_batch(series.tag), len(series.tag), series.tag, series.run

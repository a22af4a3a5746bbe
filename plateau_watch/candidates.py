"""candidates: which tags of a run look like an LR, and which could be the metric that drove it.

Names and shapes only; nothing is replayed, and nothing is chosen. An LR is told by its name (as
Lightning, HF Trainer, Keras, ignite, fastai, mmengine, Ultralytics, Catalyst and plain code write
it) and by being positive; param groups that are logged one by one are put together. Every other
tag with enough points may be the metric; validation losses come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from plateau_watch.config import Mode
from plateau_watch.series import Series

FEWEST_POINTS = 3
"""A metric of fewer points says nothing of a scheduler."""

_LR = re.compile(r"(^|[/_\-. :])(lr|learning[_\- ]?rate)s?([/_\-. :\d]|$)", re.IGNORECASE)
_GROUP = re.compile(r"^(?P<common>.*?)[/_\-]?(pg|group|param_group)?[_\-]?(?P<group>\d+)$")
_NEVER_A_METRIC = re.compile(
    r"(^|[/_\-. ])(hp_metric|momentum|time|fps|throughput|samples_per_second"
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
    r"acc|score|auc|dice|iou|precision|recall|bleu|rouge|reward"
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
    named = [points for points in series if _LR.search(points.tag) and _positive(points)]
    lrs = named or [points for points in series if _positive(points) and _steps_down(points)]
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


def expected_mode(tag: str) -> Mode | None:
    """Return the mode a metric's name calls for: min for losses, max for scores, or None."""
    if _LOSS.search(tag):
        return "min"
    return "max" if _SCORE.search(tag) else None


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


def _by_group(tag: str) -> tuple[str, int]:
    match = _GROUP.match(tag)
    return (match["common"], int(match["group"])) if match else (tag, -1)


def _positive(series: Series) -> bool:
    return len(series) > 0 and bool((series.values >= 0).all()) and bool(series.values[0] > 0)


def _steps_down(series: Series) -> bool:
    """Whether values stay for long, and then fall by the same ratio each time."""
    values = series.values
    falls = values[1:] < values[:-1]
    if (values[1:] > values[:-1]).any() or not 2 <= falls.sum() <= len(values) / 3:
        return False
    ratios = values[1:][falls] / values[:-1][falls]
    return bool(np.allclose(ratios, ratios[0], rtol=1e-6))


def _counts_up(series: Series) -> bool:
    return bool((series.values[1:] >= series.values[:-1]).all()) and bool(series.values[-1] >= 1)


def _unlike_an_lr(series: Series) -> tuple[bool, bool, int, str, str]:
    falls = bool((series.values[1:] < series.values[:-1]).any())
    return not falls, is_per_batch(series.tag), len(series.tag), series.tag, series.run


def falls_unevenly(series: Series) -> bool:
    """Whether an LR falls several times, at few of its points and not every so many: by no plan."""
    falls = np.flatnonzero(np.diff(series.values) < 0)
    return 3 <= len(falls) <= len(series) / 3 and len(set(np.diff(falls).tolist())) > 1


def shape_of(series: Series) -> str:
    """Say in words how an LR goes: constant, or how often it falls and rises."""
    changes = series.values[1:] - series.values[:-1]
    falls, rises = int((changes < 0).sum()), int((changes > 0).sum())
    if not falls and not rises:
        return "constant"
    parts = [f"falls {falls}x"] * bool(falls) + [f"rises {rises}x"] * bool(rises)
    return ", ".join(parts)


def kind_of(series: Series) -> str:
    """Say in words what kind of schedule an LR looks like.

    Steps down by one ratio at uneven distances look like a plateau's; at even ones, or with a
    change at most points, like a plan's; a rise at the beginning like a warmup.
    """
    changes = np.diff(series.values)
    moved = np.flatnonzero(changes)
    if len(moved) == 0:
        return "constant"
    first_fall = int(np.argmax(changes < 0)) if (changes < 0).any() else len(changes)
    if (changes[first_fall:] > 0).any():
        return "goes up and down"
    warmup = "a warmup, then " if (changes[:first_fall] > 0).any() else ""
    falls = moved[changes[moved] < 0]
    if len(falls) == 0:
        return "a warmup"
    if len(falls) > len(changes) / 3:
        return f"{warmup}a decay by plan"
    even = len(falls) > 2 and len(set(np.diff(falls).tolist())) == 1
    return f"{warmup}{'like steps by plan' if even else 'like a plateau scheduler'}"

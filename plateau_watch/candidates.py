"""candidates: which tags of a run look like an LR, and which could be the metric that drove it.

Names and shapes only; nothing is replayed, and nothing is chosen. An LR is told by its name (as
Lightning, HF Trainer, Keras, ignite, fastai, mmengine, Ultralytics, Catalyst and plain code write
it) and by being positive; param groups that are logged one by one are put together. Every other
tag with enough points may be the metric; validation losses come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from plateau_watch.config import Mode
from plateau_watch.series import Series

FEWEST_POINTS = 3
"""A metric of fewer points says nothing of a scheduler."""

_LR = re.compile(r"(^|[/_\-. :])(lr|learning[_\- ]?rate)s?([/_\-. :\d]|$)", re.IGNORECASE)
_GROUP = re.compile(r"^(?P<common>.*?)[/_\-]?(pg|group|param_group)?[_\-]?(?P<group>\d+)$")
_NEVER_A_METRIC = re.compile(
    r"(^|[/_\-. ])(epochs?|hp_metric|momentum|time|fps|throughput|samples_per_second"
    r"|steps_per_second|runtime|memory|weight_decay)([/_\-. ]|$)|^_?timers/",
    re.IGNORECASE,
)
_VALIDATION = re.compile(
    r"(^|[/_\-. ])(val|valid|validation|eval|dev|test)([/_\-. ]|$)", re.IGNORECASE
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


def lr_candidates(series: Mapping[str, Series]) -> list[tuple[Series, ...]]:
    """Return the LRs of a run: for each, one series a param group; the likeliest first."""
    tags = [tag for tag in series if _LR.search(tag) and _positive(series[tag])]
    families: dict[str, list[str]] = {}
    for tag in sorted(tags, key=_by_group):
        match = _GROUP.match(tag)
        families.setdefault(match["common"] if match else tag, []).append(tag)
    return [
        tuple(series[tag] for tag in family)
        for family in sorted(families.values(), key=lambda family: (len(family[0]), family))
    ]


def metric_candidates(series: Mapping[str, Series]) -> list[Series]:
    """Return what could have been the metric, the likeliest first."""
    tags = [
        tag
        for tag, points in series.items()
        if len(points) >= FEWEST_POINTS
        and not _LR.search(tag)
        and not _NEVER_A_METRIC.search(tag)
        and (points.values[1:] != points.values[:-1]).any()
    ]
    return [series[tag] for tag in sorted(tags, key=_unlikeliness)]


def expected_mode(tag: str) -> Mode | None:
    """Return the mode a metric's name calls for: min for losses, max for scores, or None."""
    if _LOSS.search(tag):
        return "min"
    return "max" if _SCORE.search(tag) else None


def _unlikeliness(tag: str) -> tuple[bool, bool, int, str]:
    return not _VALIDATION.search(tag), not _LOSS.search(tag), len(tag), tag


def _by_group(tag: str) -> tuple[str, int]:
    match = _GROUP.match(tag)
    return (match["common"], int(match["group"])) if match else (tag, -1)


def _positive(series: Series) -> bool:
    values: Iterable[float] = series.values
    return len(series) > 0 and all(value >= 0 for value in values) and series.values[0] > 0


def shape_of(series: Series) -> str:
    """Say in words how an LR goes: constant, or how often it falls and rises."""
    changes = series.values[1:] - series.values[:-1]
    falls, rises = int((changes < 0).sum()), int((changes > 0).sum())
    if not falls and not rises:
        return "constant"
    parts = [f"falls {falls}x"] * bool(falls) + [f"rises {rises}x"] * bool(rises)
    return ", ".join(parts)

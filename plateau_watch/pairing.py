"""pairing: which metric and which LR of a training are looked at together, the likeliest first.

What was said of the tags is kept to; of the rest, names and shapes tell what may be a metric or an
LR (`candidates`). Nothing is fitted here. Knows no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from plateau_watch.candidates import (
    FEWEST_POINTS,
    lr_candidates,
    metric_candidates,
    unlikeliness,
)
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.series import Series

MOST_METRICS = 40
"""Metrics of one training that are tried, the likeliest first."""

MOST_LRS = 10
"""LRs of one training that are tried with a metric, the likeliest first; param groups are one."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What was said of which tags to look at; None where nothing was."""

    metric: str | None = None
    lrs: tuple[str, ...] | None = None


NOTHING_SAID = Tags()


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
        for group in islice(names.values(), MOST_LRS):
            yield metric, group


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
    for points in (each for group in found for each in group):
        _must_be_an_lr(points)
    return found


def _must_be_an_lr(series: Series) -> None:
    """Refuse a tag with a value that no optimizer takes for an LR.

    Raises:
        NotEnoughToldError: it is negative, infinite or NaN somewhere.
    """
    odd = np.flatnonzero(~((series.values >= 0) & (series.values < np.inf)))
    if len(odd):
        value, step = float(series.values[odd[0]]), int(series.steps[odd[0]])
        raise NotEnoughToldError(f"{series.tag!r} is no LR: it is {value:g} at step {step}")


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

"""narrowing: what a log would have to show for its set to become smaller, and that it does."""

import re

import numpy as np
import pytest

from plateau_watch.config import PlateauConfig
from plateau_watch.fitted import fitted
from plateau_watch.narrowing import what_would_narrow
from plateau_watch.reading import Reading
from plateau_watch.replay import replay
from tests.test_fit import logged, random_run

BETWEEN = re.compile(r"a metric between (\S+) and (\S+) is an improvement by some")


def fit_of(metric, config):
    series = logged(metric, config, (0.1,), "float64", "float64", "after")
    (found, *_) = fitted(*series, Reading("after"))
    return found


def narrowed(found):
    return what_would_narrow(found.recording, found.fit)


MANY = [1.0, 0.9, 0.8, *[0.82] * 3, 0.7, 0.6, *[1.0] * 12, 0.5, *[0.6] * 9, 0.3, *[0.35] * 8, 0.2]
FEW = [1.0, 0.9, 0.8, 0.81, 0.82, 0.83, 0.7, 0.6]


def test_few_reductions_leave_the_counts_open():
    found = fit_of(FEW, PlateauConfig(patience=2, factor=0.5))
    assert "patience and cooldown (1 reduction(s) so far): further reductions" in narrowed(found)


def test_what_is_known_is_not_asked_for():
    lines = narrowed(fit_of(MANY, PlateauConfig(patience=2, factor=0.5)))
    assert not any(line.startswith(("patience", "cooldown", "mode:", "factor")) for line in lines)
    assert any(line.startswith("threshold_mode: a best of quite another size") for line in lines)
    assert "min_lr and eps: further reductions, down to the one that changes nothing" in lines


@pytest.mark.parametrize("seed", range(40))
def test_a_metric_where_it_is_said_tells_thresholds_apart(seed):
    """Some thresholds call it an improvement and others do not: so they fire at different steps."""
    config, recording = random_run(seed)
    metric = recording.metric.tolist()
    found = fit_of(metric, config.with_changes(factor=0.5, min_lr=0.0, eps=0.0))
    said = next((match for line in narrowed(found) if (match := BETWEEN.search(line))), None)
    if said is None:
        return
    simplest = found.recording.config
    between = float(np.mean([float(end) for end in said.groups()]))
    rules = [
        each
        for way in found.fit.explanations
        for each in way.rules
        if (each.mode, each.threshold_mode) == (simplest.mode, simplest.threshold_mode)
    ]
    low, high = next(
        interval
        for each in rules
        for interval in each.thresholds
        if interval[0] <= simplest.threshold <= interval[1]
    )
    outcomes = {
        replay(
            simplest.with_changes(threshold=threshold),
            [*metric, between],
            found.recording.start,
            found.recording.changes,
        )
        .decisions[-1]
        .improved
        for threshold in (low, high)
    }
    assert outcomes == {True, False}


def test_the_number_of_logs_in_which_such_a_metric_is_said_is_not_small():
    said = 0
    for seed in range(40):
        config, recording = random_run(seed)
        metric = recording.metric.tolist()
        lines = narrowed(fit_of(metric, config.with_changes(factor=0.5, min_lr=0.0, eps=0.0)))
        said += any(BETWEEN.search(line) for line in lines)
    assert said >= 10

"""fit: the set of configurations that produce an LR from a metric, and its simplest member."""

import json
import random
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from plateau_watch.alignment import alignments
from plateau_watch.commands import main
from plateau_watch.comparison import compare
from plateau_watch.config import PlateauConfig
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.fit import KERAS, NEVER_FALLS, Rulebook, fit
from plateau_watch.fitted import fitted
from plateau_watch.history import ANY
from plateau_watch.reading import Reading
from plateau_watch.replay import replay
from plateau_watch.rules_fit import Fired, Scope, rules_by_known
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from tests.runs import METRIC, plain_run


def stored_as(values, precision):
    return [float(np.float32(value)) for value in values] if precision == "float32" else values


def logged(metric, config, lrs, metric_precision, lr_precision, meaning):
    """What a training logs: metric and LRs as series in some precision."""
    trace = replay(config, metric, PlateauState.initial(config, lrs))
    columns = [
        [
            (decision.old_lrs if meaning == "before" else decision.new_lrs)[group]
            for decision in trace.decisions
        ]
        for group in range(len(lrs))
    ]
    series = Series.of(stored_as(metric, metric_precision), precision=metric_precision)
    return series, [
        Series.of(stored_as(column, lr_precision), tag=f"lr/{group}", precision=lr_precision)
        for group, column in enumerate(columns)
    ]


def falling(rng, steps, noise):
    return [1 / (1 + 10 * step / steps) + rng.gauss(0, noise) for step in range(steps)]


def random_run(seed):
    """A random true configuration, and what was logged of a training whose LR falls."""
    rng = random.Random(seed)
    while True:
        config, recording = one_random_run(rng)
        if len({lrs for lrs in recording.lrs if lrs}) > 1:
            return config, recording


def one_random_run(rng):
    metric = falling(rng, rng.choice([30, 60, 120]), 10 ** rng.uniform(-3, -1))
    config = PlateauConfig(
        mode=rng.choice(["min", "min", "max"]),
        factor=rng.choice([0.1, 0.5, 0.3, 0.2, rng.uniform(0.05, 0.95)]),
        patience=rng.randrange(1, 10),
        threshold=rng.choice([1e-4, 1e-3, 0.0, rng.uniform(0, 0.03)]),
        threshold_mode=rng.choice(["rel", "abs"]),
        cooldown=rng.choice([0, 0, 3]),
        min_lr=rng.choice([0.0, 1e-5, 1e-3]),
        eps=rng.choice([1e-8, 1e-8, 1e-4]),
    )
    starts = [0.1, 0.01, 3e-4, 0.1 / 3, 1e-3 * 8**0.5]
    lrs = [rng.choice(starts) for _ in range(rng.choice([1, 1, 2]))]
    precisions = [rng.choice(["float32", "float64"]) for _ in range(2)]
    meaning = rng.choice(["before", "after"])
    series = logged(metric, config, lrs, *precisions, meaning)
    return config, aligned(*series, meaning)


def rules_that_fire_at(metric, firings):
    windows = [(index, index) for index in firings]
    return rules_by_known(Fired(metric, "float64", windows), [len(metric)])[len(metric)]


def aligned(metric, lrs, meaning):
    return alignments(metric, lrs, PlateauConfig(), Reading(meaning))[0]


def within(value, interval):
    return interval is None or interval[0] <= value <= interval[1]


def holds(found, config):
    """Whether a feasible set holds a configuration."""
    return any(
        within(config.factor, way.ladder.factor)
        and within(config.eps, way.ladder.eps)
        and all(map(within, config.min_lrs(len(way.ladder.min_lrs)), way.ladder.min_lrs))
        and any(
            (rules.mode, rules.threshold_mode) == (config.mode, config.threshold_mode)
            and within(config.patience, rules.patience)
            and within(config.cooldown, rules.cooldown)
            and any(within(config.threshold, interval) for interval in rules.thresholds)
            for rules in way.rules
        )
        for way in found.explanations
    )


@pytest.mark.parametrize("seed", range(500))
def test_the_true_configuration_is_always_in_the_set(seed):
    config, recording = random_run(seed)
    found = fit(recording)
    assert holds(found, config), (config, found.why_not)
    assert found.simplest is not None
    assert holds(found, found.simplest.config)


@pytest.mark.parametrize("seed", range(60))
def test_every_member_of_a_set_of_rules_fires_alike(seed):
    rng = random.Random(seed)
    metric = falling(rng, 60, 10 ** rng.uniform(-3, -1))
    true = PlateauConfig(patience=rng.randrange(1, 6), cooldown=rng.choice([0, 2]), threshold=0.003)

    def firings(config):
        start = PlateauState.initial(config, (1.0,))
        trace = replay(config, metric, start)
        return [index for index, decision in enumerate(trace.decisions) if decision.fired]

    observed = firings(true)
    found = rules_that_fire_at(metric, observed)
    assert found
    for rules in found:
        for threshold in {end for interval in rules.thresholds[:3] for end in interval}:
            for patience in rules.patience[: 1 + (rules.patience[1] < ANY)]:
                for cooldown in rules.cooldown[: 1 + (rules.cooldown[1] < ANY)]:
                    member = PlateauConfig(
                        mode=rules.mode,
                        threshold_mode=rules.threshold_mode,
                        threshold=min(threshold, sys.float_info.max),
                        patience=patience,
                        cooldown=cooldown,
                    )
                    assert firings(member) == observed, member


@pytest.mark.parametrize("seed", range(20))
def test_just_outside_a_threshold_interval_the_rules_no_longer_fire_so(seed):
    rng = random.Random(seed)
    metric = falling(rng, 80, 0.02)
    config = PlateauConfig(patience=2, threshold=0.01)
    start = PlateauState.initial(config, (1.0,))
    observed = [i for i, d in enumerate(replay(config, metric, start).decisions) if d.fired]
    rules = next(
        rules
        for rules in rules_that_fire_at(metric, observed)
        if (rules.mode, rules.threshold_mode, rules.patience) == ("min", "rel", (2, 2))
        and any(low <= 0.01 <= high for low, high in rules.thresholds)
    )
    (interval,) = [(low, high) for low, high in rules.thresholds if low <= 0.01 <= high]
    outside = config.with_changes(threshold=float(np.nextafter(interval[1], np.inf)))
    fired = [i for i, d in enumerate(replay(outside, metric, start).decisions) if d.fired]
    assert fired != observed


def test_a_log_without_a_reduction_tells_no_parameters():
    series = logged([1.0, 2.0, 2.0, 0.5, 2.0], PlateauConfig(), (0.1,), *["float64"] * 2, "after")
    with pytest.raises(NotEnoughToldError, match="the LR never falls, so no parameters"):
        fitted(*series)


def test_where_both_meanings_of_a_logged_lr_fit_both_sets_are_given():
    rng = random.Random(4)
    for _ in range(200):
        config = PlateauConfig(patience=rng.choice([3, 5]), cooldown=2)
        metric = falling(rng, 60, 0.05)
        series = logged(metric, config, (0.1,), "float32", "float32", "after")
        found = fitted(*series)
        assert any(holds(each.fit, config) for each in found)
        if len(found) == 2:
            assert {each.recording.logged for each in found} == {"before", "after"}
            return
    raise AssertionError("no log of 200 fits both ways")


@pytest.mark.parametrize("first", [float("nan"), float("inf")])
def test_a_first_metric_that_is_not_finite_is_taken_for_a_step_that_did_not_reduce(first):
    """No LR stands before it; only patience 0 would have reduced there, and that is left out."""
    config = PlateauConfig(patience=2)
    series = logged([first, *METRIC, *METRIC], config, (0.1,), *["float32"] * 2, "after")
    (found,) = [each for each in fitted(*series) if each.recording.logged == "after"]
    assert holds(found.fit, config)
    assert any(
        "did not reduce (a patience of 1 or more)" in line for line in found.recording.guesses
    )


def test_an_lr_held_in_float32_has_its_factor_in_the_set_beside_the_plain_one():
    config = PlateauConfig(patience=2, factor=0.1)
    metric = [*METRIC, *[0.7] * 20]
    start = PlateauState.initial(config, (float(np.float32(1e-3)),), ("float32",))
    lrs = [each.new_lrs[0] for each in replay(config, metric, start).decisions]
    series = Series.of(stored_as(metric, "float32"), precision="float32")
    lr = Series.of(lrs, tag="lr", precision="float32")
    found = next(each for each in fitted(series, [lr]) if each.recording.logged == "after")
    assert found.recording.config.factor == 0.1
    assert holds(found.fit, config)


def test_a_first_reduction_that_lands_on_the_bound_is_explained_by_it():
    """Not by a cooldown of twenty steps, that would hide the firings that changed nothing."""
    config = PlateauConfig(patience=2, min_lr=1e-4)
    metric = [*METRIC, *[0.7] * 30]
    series = logged(metric, config, (1e-3,), *["float32"] * 2, "after")
    found = next(each for each in fitted(*series) if each.recording.logged == "after")
    assert found.recording.config == config


def test_a_long_smooth_metric_takes_seconds_and_not_minutes():
    metric = [1 / (1 + 0.001 * step) for step in range(2000)]
    config = PlateauConfig(patience=10, threshold=0.01)
    series = logged(metric, config, (0.1,), "float32", "float32", "after")
    start = time.process_time()
    found = fit(aligned(*series, "after"))
    assert time.process_time() - start < 30
    assert holds(found, config)
    assert found.simplest is not None


def test_a_log_that_would_take_too_long_is_said_to_be_too_ambiguous():
    series = logged(METRIC, PlateauConfig(patience=2), (0.1,), *["float32"] * 2, "after")
    with pytest.raises(NotEnoughToldError, match="repeats itself too often to be told"):
        fitted(*series, Reading("after"), rulebook=Rulebook(scope=Scope(most_work=20)))


def test_an_lr_that_no_plateau_explains_is_said_to_be_one():
    metric = Series.of(np.linspace(1, 0, 40))
    cosine = Series.of(0.05 * (1 + np.cos(np.linspace(0, 3, 40))), tag="lr")
    with pytest.raises(NotEnoughToldError, match="no plateau configuration explains this LR"):
        fitted(metric, [cosine])


def test_an_lr_that_rises_after_it_fell_is_refused():
    metric = Series.of(np.linspace(1, 0, 10))
    again = Series.of([0.1, 0.1, 0.01, *[0.1] * 7], tag="lr")
    with pytest.raises(NotEnoughToldError, match="the LR rises at step 2"):
        fitted(metric, [again], Reading("before"))


@pytest.mark.parametrize("meaning", ["before", "after"])
def test_a_ramp_before_the_plateau_is_something_from_outside(meaning):
    config = PlateauConfig(patience=2, factor=0.5)
    metric, (lr,) = logged([*METRIC, *METRIC], config, (0.1,), "float32", "float32", meaning)
    ramp = Series.of(stored_as([0.01, 0.05, *lr.values[2:]], "float32"), precision="float32")
    (found,) = fitted(metric, [ramp], Reading(meaning))
    assert holds(found.fit, config)
    assert found.recording.start.lrs == (0.01,)
    assert [change.lrs for change in found.recording.changes] == [(0.05,), (0.1,)]
    assert compare(found.recording).parity.exact


@pytest.mark.parametrize("seed", range(100))
def test_where_every_third_lr_is_missing_the_true_configuration_is_still_in_the_set(seed):
    """A patience of 1 or more never reduces twice within the two steps of a gap."""
    config, recording = random_run(seed)
    kept = [None if position % 3 == 2 else lrs for position, lrs in enumerate(recording.lrs)]
    found = fit(replace(recording, lrs=tuple(kept)))
    if len({lrs for lrs in kept if lrs}) == 1:
        assert found.why_not == NEVER_FALLS
        return
    assert holds(found, config), (config, found.why_not)
    assert found.simplest is not None


@pytest.mark.parametrize("seed", range(60))
def test_an_lr_that_is_held_in_float32_is_fitted_as_keras_makes_it(seed):
    rng = random.Random(seed)
    config = PlateauConfig(
        patience=rng.randrange(1, 6),
        factor=rng.choice([0.1, 0.2, 0.3, 0.5, 0.7]),
        threshold=rng.choice([0.0, 1e-4, 1e-3]),
        threshold_mode="abs",
        min_lr=rng.choice([0.0, 1e-5]),
        eps=0.0,
    )
    metric = stored_as(falling(rng, 80, 0.02), "float32")
    start = PlateauState.initial(config, stored_as([0.001], "float32"), ("float32",))
    trace = replay(config, metric, start)
    lr = [state.lrs[0] for state in trace.states]
    if len(set(lr)) == 1:
        lr = [start.lrs[0]] * len(metric)
        with pytest.raises(NotEnoughToldError, match="never falls"):
            fitted(Series.of(metric), [Series.of(lr, precision="float32")], rulebook=KERAS)
        return
    series = Series.of(metric, precision="float32"), [Series.of(lr, precision="float32")]
    found = fitted(*series, Reading("after"), rulebook=KERAS)
    assert holds(found[0].fit, config)
    assert all(
        rules.threshold_mode == "abs" for way in found[0].fit.explanations for rules in way.rules
    )
    assert compare(found[0].recording).parity.exact


@pytest.mark.parametrize("meaning", ["before", "after"])
def test_the_simplest_member_reproduces_the_log(meaning):
    series = logged(METRIC, PlateauConfig(patience=2), (0.1,), "float32", "float32", meaning)
    (found,) = fitted(*series, Reading(meaning))
    assert found.recording.source == "fitted"
    assert found.recording.config == PlateauConfig(patience=2)
    assert compare(found.recording).parity.exact


def plateau_watch(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_replay_fits_what_was_not_said(tmp_path):
    plain_run(tmp_path / "run", patience=2)
    text = plateau_watch(
        "replay", tmp_path, "--metric", "val/loss", "--lr", "lr", "--format", "json"
    )
    (run,) = json.loads(text)["runs"]
    assert run["config"]["source"] == "fitted"
    assert run["config"]["patience"] == 2
    assert run["parity"]["mismatches"] == 0
    assert any("fitted: the simplest of all that reproduce" in line for line in run["warnings"])


def test_the_fit_command_says_the_simplest_member_and_the_set(tmp_path):
    plain_run(tmp_path / "run", patience=2)
    text = plateau_watch("fit", tmp_path, "--metric", "val/loss", "--lr", "lr")
    assert "simplest  mode=min factor=0.1 patience=2 threshold=0.0001" in text
    assert "mode min; patience 2; cooldown" in text
    assert "\n  open      " in text
    document = json.loads(
        plateau_watch("fit", tmp_path, "--metric", "val/loss", "--lr", "lr", "--format", "json")
    )
    assert document["schema"] == "plateau-watch/fit/1"
    run = next(run for run in document["runs"] if run["lr"]["logged"] == "after")
    assert run["simplest"]["patience"] == 2
    assert any(line.startswith("min_lr and eps: ") for line in run["narrowed_by"])
    assert [2, 2] in [rules["patience"] for way in run["set"] for rules in way["rules"]]


def test_the_recorded_plain_logs_are_fitted_with_their_true_parameters(request):
    logs = request.config.rootpath / "replay_logs"
    text = plateau_watch(
        "fit", logs, "--run", "plain/*", "--metric", "val/loss", "--lr", "lr", "--format", "json"
    )
    runs = json.loads(text)["runs"]
    true = {"factor": 0.3, "patience": 3, "min_lr": 3e-5, "threshold": 1e-4, "cooldown": 0}
    logged_as = {"plain/lr_after_seed1": "after", "plain/lr_before_seed0": "before"}
    runs = [run for run in runs if run["lr"]["logged"] == logged_as[run["run"]]]
    assert len(runs) == 2
    for run in runs:
        assert {name: run["simplest"][name] for name in true} == true

"""bars and rules: the thresholds under which a metric beats the best, and the search over them."""

import math
import sys

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plateau_watch.bars import ALL_THRESHOLDS, Bars, within
from plateau_watch.config import PlateauConfig
from plateau_watch.replay import replay
from plateau_watch.rules_fit import Fired, closest_rules, rules_by_known
from plateau_watch.scheduler import PlateauState

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
NEAR = st.floats(0.01, 10)
MODES = st.sampled_from(["min", "max"])
THRESHOLD_MODES = st.sampled_from(["rel", "abs"])


@settings(max_examples=500)
@given(MODES, THRESHOLD_MODES, st.one_of(NUMBERS, NEAR), st.one_of(NUMBERS, NEAR))
def test_the_sides_end_at_the_very_double_where_the_comparison_turns(mode, kind, metric, best):
    assume(not math.isnan(best))
    bars = Bars(mode, kind)

    def beats(threshold):
        config = PlateauConfig(mode=mode, threshold_mode=kind, threshold=threshold)
        return config.beats(metric, config.bar(best))

    sides = bars.sides((metric, metric), (best, best))
    for side, outcome in zip(sides, (True, False), strict=True):
        ends = {end for end in ALL_THRESHOLDS if beats(end) == outcome}
        if side is None:
            assert not ends
            continue
        assert ends <= set(side)
        assert all(beats(end) == outcome for end in side)
        for end, beyond in zip(side, (-math.inf, math.inf), strict=True):
            neighbour = math.nextafter(end, beyond)
            if 0 <= neighbour <= sys.float_info.max:
                assert beats(neighbour) != outcome


@given(st.floats(0.5, 1), st.floats(1, 2), MODES, THRESHOLD_MODES, st.floats(0, 1e-3))
def test_where_rounding_leaves_it_open_a_threshold_is_on_both_sides(low, high, mode, kind, wide):
    metric = (low, low + wide)
    beats, keeps = Bars(mode, kind).sides(metric, (high, high + wide))
    both = [side for side in (beats, keeps) if side is not None]
    covered = sorted(both)
    assert covered[0][0] == 0
    assert covered[-1][1] == ALL_THRESHOLDS[1]
    if len(covered) == 2:
        assert covered[1][0] <= math.nextafter(covered[0][1], math.inf)


def test_the_part_of_intervals_that_lies_within_one():
    assert within([(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)], (0.5, 2.5)) == [(0.5, 1.0), (2.0, 2.5)]
    assert within([(0.0, 1.0)], None) == []


CONFIGS = st.builds(
    PlateauConfig,
    mode=MODES,
    patience=st.integers(0, 5),
    threshold=st.sampled_from([0.0, 1e-4, 0.01, 0.1]),
    threshold_mode=THRESHOLD_MODES,
    cooldown=st.integers(0, 3),
)
METRICS = st.lists(
    st.one_of(
        st.floats(0.1, 1).map(lambda value: round(value, 2)),
        st.sampled_from([math.nan, math.inf, -math.inf]),
    ),
    min_size=5,
    max_size=40,
)


def fired_of(config, metric, anew=()):
    """At which indices a scheduler fires, a fresh one taking over before some of them."""
    firings = []
    for begin, end in zip((0, *anew), (*anew, len(metric)), strict=True):
        trace = replay(config, metric[begin:end], PlateauState.initial(config, (1.0,)))
        firings += [begin + at for at, decision in enumerate(trace.decisions) if decision.fired]
    return firings


def holds(rules, config):
    return any(
        (each.mode, each.threshold_mode) == (config.mode, config.threshold_mode)
        and each.patience[0] <= config.patience <= each.patience[1]
        and each.cooldown[0] <= config.cooldown <= each.cooldown[1]
        and any(low <= config.threshold <= high for low, high in each.thresholds)
        for each in rules
    )


@settings(max_examples=300, deadline=None)
@given(CONFIGS, METRICS, st.data())
def test_the_true_rules_are_found_also_where_fresh_schedulers_took_over(config, metric, data):
    anew = sorted(data.draw(st.sets(st.integers(1, len(metric) - 1), max_size=2)))
    log = Fired(metric, "float64", [(at, at) for at in fired_of(config, metric, anew)], tuple(anew))
    assert holds(rules_by_known(log, [len(metric)])[len(metric)], config)


@settings(max_examples=200, deadline=None)
@given(CONFIGS, METRICS)
def test_to_drop_what_two_firings_rule_out_early_drops_nothing_else(config, metric):
    """`closest_rules` follows every patience; where all is explained, both find the same."""
    firings = fired_of(config, metric)
    log = Fired(metric, "float64", [(at, at) for at in firings])
    closest = closest_rules(log, len(metric))
    assert closest.explained == len(metric)
    assert list(closest.rules) == rules_by_known(log, [len(metric)])[len(metric)]


@settings(max_examples=200, deadline=None)
@given(CONFIGS, METRICS, st.data())
def test_the_closest_rules_fire_alike_up_to_where_they_break(config, metric, data):
    firings = sorted(data.draw(st.sets(st.integers(0, len(metric) - 1), min_size=2, max_size=6)))
    log = Fired(metric, "float64", [(at, at) for at in firings])
    closest = closest_rules(log, len(metric))
    assume(closest.explained < len(metric))
    for rules in closest.rules:
        chosen = PlateauConfig(
            mode=rules.mode,
            patience=rules.patience[0],
            cooldown=rules.cooldown[0],
            threshold=rules.thresholds[0][0],
            threshold_mode=rules.threshold_mode,
        )
        upto = fired_of(chosen, metric[: closest.explained])
        assert upto == [at for at in firings if at < closest.explained]
        with_next = fired_of(chosen, metric[: closest.explained + 1])
        assert with_next != [at for at in firings if at <= closest.explained]

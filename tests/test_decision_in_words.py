"""The sentence that explains a decision: its numbers, and nothing they do not show."""

import math

import pytest
from hypothesis import given

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import apart, in_words
from plateau_watch.scheduler import PlateauState, step
from tests.strategies import configs, metrics


def last_sentence(metric, lrs=(0.001,), **config):
    config = PlateauConfig(**config)
    state = PlateauState.initial(config, lrs)
    for value in metric:
        state, decision = step(config, state, value)
    return in_words(decision, config)


@pytest.mark.parametrize(
    ("metric", "config", "sentence"),
    [
        ([0.5], {}, "0.5 is the first number: new best"),
        ([0.5, 0.4], {}, "0.4 beat 0.49995 (best 0.5 - 0.01%): new best"),
        (
            [0.52985] + [0.5312] * 4,
            {"patience": 3},
            "0.5312 did not beat 0.5298 (best 0.5299 - 0.01%): "
            "bad step 4 of 3 -> LR 0.001 -> 0.0001",
        ),
        ([0.5, 0.6], {}, "0.6 did not beat 0.49995 (best 0.5 - 0.01%): bad step 1 of 10"),
        (
            [0.5, 0.5],
            {"threshold": 0},
            "0.5 equals the bar 0.5 (best 0.5), and a tie does not beat it: bad step 1 of 10",
        ),
        ([0.5, math.nan], {}, "nan beats nothing: bad step 1 of 10"),
        (
            [0.5, 0.6, 0.6],
            {"patience": 0, "cooldown": 2},
            "0.6 did not beat 0.49995 (best 0.5 - 0.01%): not counted, cooldown 1 left",
        ),
        (
            [0.5, 0.6],
            {"patience": 0, "min_lr": 0.001},
            "0.6 did not beat 0.49995 (best 0.5 - 0.01%): bad step 1 of 0 -> "
            "fired, but no LR changed (min_lr 0.001)",
        ),
        (
            [0.5, 0.6],
            {"patience": 0, "eps": 0.1},
            "0.6 did not beat 0.49995 (best 0.5 - 0.01%): bad step 1 of 0 -> "
            "fired, but no LR changed (change within eps 0.1)",
        ),
        (
            [0.5, 0.4],
            {"mode": "max", "threshold_mode": "abs", "threshold": 0.25},
            "0.4 did not beat 0.75 (best 0.5 + 0.25): bad step 1 of 10",
        ),
        (
            [-0.5, -0.49996],
            {},
            "-0.49996 beat -0.49995 (best -0.5 + 0.01%): new best",
        ),
        (
            [math.nan, 0.5],
            {},
            "0.5 is the first number: new best",
        ),
        (
            [0.5, 0.6],
            {"threshold": -0.5},
            "0.6 beat 0.75 (best 0.5 + 50%): new best",
        ),
    ],
)
def test_each_decision_is_explained_with_its_numbers(metric, config, sentence):
    assert last_sentence(metric, **config) == sentence


def test_several_groups_are_told_apart():
    sentence = last_sentence([0.5, 0.6], lrs=(0.1, 0.01), patience=0, min_lr=(0.0, 0.01))
    assert sentence.endswith(
        "bad step 1 of 0 -> LR group 0: 0.1 -> 0.01; group 1 stays: min_lr 0.01"
    )


def test_numbers_that_differ_never_print_alike():
    best = 0.123456789
    sentence = last_sentence([best, math.nextafter(best, 0)], threshold=0)
    beaten, bar = sentence.split(" beat ")[0], sentence.split(" beat ")[1].split(" ")[0]
    assert beaten != bar


def test_equal_numbers_print_short():
    assert apart([0.1, 0.1]) == ["0.1", "0.1"]


@given(configs(), metrics, metrics, metrics)
def test_every_decision_has_a_sentence(config, first, second, third):
    state = PlateauState.initial(config, (0.1,))
    for value in (first, second, third):
        state, decision = step(config, state, value)
        sentence = in_words(decision, config)
        assert sentence
        assert ("fired" in sentence or "->" in sentence) == decision.fired

"""From one framework's words to another's: the exact counterpart, or what differs, in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plateau_watch.config import PlateauConfig
from plateau_watch.dialects import DIALECTS, carry_over, dialect_of, follow, stated, translate
from plateau_watch.errors import ConfigError

PLAIN = PlateauConfig(patience=3, threshold=0.25, threshold_mode="abs", eps=0)


def test_keras_patience_and_cooldown_are_one_less_in_torch():
    config = stated("keras", {"patience": 40, "min_delta": 0.25, "cooldown": 3, "min_lr": 1e-4})
    found = translate(config, "torch")
    assert found.exact
    assert found.config == PlateauConfig(
        patience=39, threshold=0.25, threshold_mode="abs", cooldown=2, min_lr=1e-4, eps=0
    )


@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (1, 1), (0, 1), (1, 0)])
def test_keras_patience_0_is_1_and_cooldown_1_is_0(patience, cooldown):
    config = stated("keras", {"patience": patience, "cooldown": cooldown})
    found = translate(config, "torch")
    assert (found.config.patience, found.config.cooldown) == (0, 0)
    back = translate(found.config, "keras")
    assert back.exact
    assert (back.config.patience, back.config.cooldown) == (1, 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("keras", {"patience": 4, "cooldown": 3, "min_delta": 0.25, "factor": 0.5}),
        ("tf-keras", {"patience": 4, "cooldown": 3, "min_delta": 0.25, "factor": 0.5}),
        ("optax", {"patience": 4, "cooldown": 2, "rtol": 0, "atol": 0.25, "factor": 0.5}),
        ("ignite", {"patience": 3, "cooldown": 2, "threshold": 0.25, "threshold_mode": "abs",
                    "factor": 0.5, "eps": 0}),
    ],
)  # fmt: skip
def test_the_exact_counterpart_of_torchs_settings_is_this(name, words):
    config = PLAIN.with_changes(cooldown=2, factor=0.5)
    there = translate(config, name)
    assert there.exact
    assert there.config == stated(name, words)
    assert translate(there.config, "torch").config == config


def test_the_counterpart_in_fastai_divides_and_has_no_cooldown():
    there = translate(PLAIN.with_changes(factor=0.5), "fastai")
    assert there.exact
    assert there.config == stated("fastai", {"patience": 4, "factor": 2, "min_delta": 0.25})


def test_paddle_and_timm_have_relative_thresholds_as_torch_does():
    config = PlateauConfig(patience=3, threshold=0.25, factor=0.5)
    words = {"patience": 3, "threshold": 0.25, "factor": 0.5}
    assert translate(config, "paddle").config == stated("paddle", words)
    timms = {"patience_t": 3, "threshold": 0.25, "decay_rate": 0.5, "mode": "min"}
    assert translate(config, "timm").config == stated("timm", timms)
    assert translate(config, "paddle").exact
    assert translate(config, "timm").exact


def test_torchs_defaults_have_no_counterpart_in_keras_and_that_is_said():
    found = translate(PlateauConfig(), "keras")
    assert found.config == stated("keras", {"patience": 11, "min_delta": 1e-4})
    assert found.differences == (
        "an improvement is more than 0.01% of best in torch, more than 0.0001 in keras",
        "torch writes only changes above 1e-08, keras any change",
    )


def test_what_an_exact_counterpart_still_differs_in_is_said_too():
    assert translate(PLAIN, "keras").corners == (
        "the first metric is compared with infinity in torch, becomes best, whatever it is "
        "in keras",
        "a tie may differ: metric < best - threshold in torch, threshold put on the metric, "
        "then both in float32 in keras",
        "an LR is a float64 product in torch, the float32 of a float64 product in keras: "
        "last bits may differ",
    )


def test_a_relative_threshold_of_0_is_an_absolute_one_of_0():
    config = PlateauConfig(threshold=0, eps=0)
    for name in ("keras", "tf-keras", "fastai", "optax", "paddle"):
        assert translate(config, name).differences == ()


def test_a_negative_threshold_has_a_counterpart_where_its_sign_is_kept():
    config = PlateauConfig(threshold=-0.25, threshold_mode="abs", eps=0)
    assert translate(config, "tf-keras").exact
    assert translate(config, "keras").differences == (
        "an improvement is more than -0.25 in torch, anything better in keras",
    )


@pytest.mark.parametrize(
    ("config", "to", "difference"),
    [
        (PlateauConfig(cooldown=2), "fastai", "after a reduction torch leaves 2 steps uncounted, "
                                              "fastai none"),
        (PlateauConfig(cooldown=2), "paddle", "in a cooldown a metric can become best in torch, "
                                              "is not looked at in paddle"),
        (PlateauConfig(patience=-1), "keras", "torch fires at every step, keras at bad step 1 in "
                                              "a row"),
        (PlateauConfig(min_lr=(0.1, 0.2)), "keras", "the LR stops at 0.1:0.2 in torch, 0.1 in "
                                                    "keras"),
        (PlateauConfig(min_lr=0.1), "ignite", "ignite only: param group 0 alone is reduced"),
        (PlateauConfig(min_lr=0.1), "optax", "the LR stops at 0.1 in torch, 0 in optax"),
        (PLAIN, "timm", "an improvement is more than 0.25 in torch, more than 25% of best in timm"),
        (stated("timm", {"warmup_t": 3}), "torch", "timm only: the first 3 steps warm the LR up "
                                                   "and do not look at the metric"),
        (stated("optax", {"accumulation_size": 4}), "torch", "optax only: a step is taken on the "
                                                             "mean of 4 values"),
        (stated("optax", {"patience": 0}), "torch", "optax only: patience 0 fires at improvements "
                                                    "and at no bad step"),
        (stated("optax", {"atol": 0.5}), "torch", "an improvement is more than 0.01% of best and "
                                                  "0.5 in optax, more than 0.01% of best in torch"),
        (stated("optax", {"min_scale": 0.5}), "torch", "optax only: the LR stops at 0.5 times the "
                                                       "starting one"),
        (stated("ignite", {"min_lr": 0.5}), "torch", "ignite only: min_lr is lost unless "
                                                     "param_group_index is 0"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_said(config, to, difference):
    assert difference in translate(config, to).differences


def test_min_lr_and_min_scale_meet_where_the_starting_lr_is_known():
    config = PlateauConfig(min_lr=0.05, eps=0)
    found = translate(config, "optax", lrs=(0.2,))
    assert found.config.min_scale == 0.25
    assert found.exact
    back = translate(found.config, "torch", lrs=(0.2,))
    assert back.config.min_lr == 0.05
    assert translate(config, "ignite", lrs=(0.2,)).exact


def test_a_metric_that_is_maximised_has_nothing_near_in_optax():
    with pytest.raises(ConfigError, match="optax only minimises"):
        translate(PlateauConfig(mode="max"), "optax")


def test_the_same_dialect_is_left_as_it_is():
    config = PlateauConfig(patience=-1, min_lr=(0.1, 0.2))
    assert translate(config, "torch").config is config


def test_settings_carried_over_by_name_say_what_they_mean_there():
    config = PlateauConfig(patience=3, cooldown=2, min_lr=0.01)
    found = carry_over(config, "keras")
    assert found.config == stated(
        "keras", {"patience": 3, "cooldown": 2, "min_lr": 0.01, "min_delta": 1e-4}
    )
    assert found.differences == (
        "torch fires at bad step 4 in a row, keras at bad step 3 in a row",
        "an improvement is more than 0.01% of best in torch, more than 0.0001 in keras",
        "after a reduction torch leaves 2 steps uncounted, keras 1 steps uncounted",
        "torch writes only changes above 1e-08, keras any change",
    )
    assert carry_over(config, "ignite").differences == (
        "the LR stops at 0.01 in torch, 0 in ignite",
        "ignite only: min_lr is lost unless param_group_index is 0",
    )
    assert carry_over(PlateauConfig(), "fastai").config.factor == 10.0
    assert carry_over(PlateauConfig(), "timm").config.patience_t == 10
    assert carry_over(PlateauConfig(), "paddle").differences == ()


# Numbers of few bits, so that no rounding comes in; the rest of the corners are left out by hand.
quarters = st.integers(-8, 8).map(lambda n: n / 4)
settings_of_few_bits = st.builds(
    PlateauConfig,
    mode=st.just("min"),
    factor=st.just(0.5),
    patience=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 0.25, 0.5]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    cooldown=st.integers(0, 3),
    min_lr=st.sampled_from([0.0, 2.0**-4]),
    eps=st.sampled_from([0.0, 0.25]),
)


@settings(max_examples=300, deadline=None)
@given(settings_of_few_bits, st.lists(quarters, min_size=1, max_size=30))
def test_a_translation_without_differences_takes_the_same_decisions(config, metric):
    """From torch to every dialect, and on from there to every other."""
    for name in DIALECTS:
        there = translate(config, name, lrs=(1.0,)).config
        for other in DIALECTS:
            onward = translate(there, other, lrs=(1.0,))
            if onward.exact:
                ours = follow(there, metric, [1.0])
                theirs = follow(onward.config, metric, [1.0])
                assert ours.lrs == theirs.lrs, (there, onward.config)


def test_most_of_those_translations_are_exact():
    exact = [
        (name, other)
        for name in DIALECTS
        for other in DIALECTS
        if translate(translate(PlateauConfig(threshold=0, eps=0), name).config, other).exact
    ]
    assert len(exact) >= 50


def test_a_configuration_knows_its_dialect():
    for name in DIALECTS:
        assert dialect_of(stated(name, {})).name == name

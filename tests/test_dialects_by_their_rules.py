"""What each framework does otherwise than torch, one difference a test, without the framework."""

import math
from dataclasses import asdict

import numpy as np
import pytest

from plateau_watch.config import PlateauConfig
from plateau_watch.dialects import DIALECTS, dialect, follow, stated
from plateau_watch.errors import ConfigError

FLAT = [1.0] * 8


def fired(name, metric, lr=1.0, **config):
    return follow(stated(name, config), metric, [lr]).fired


def final(name, metric, lr=1.0, **config):
    return follow(stated(name, config), metric, [lr]).lrs[-1]


def single(value):
    return float(np.float32(value))


def test_the_defaults_are_each_frameworks_own():
    assert asdict(dialect("keras").config()) == {
        "mode": "min",
        "factor": 0.1,
        "patience": 10,
        "min_delta": 1e-4,
        "cooldown": 0,
        "min_lr": 0.0,
    }
    assert dialect("fastai").config().patience == 1
    assert dialect("fastai").config().factor == 10.0
    assert dialect("timm").config().mode == "max"
    assert dialect("paddle").config().epsilon == 1e-8
    assert dialect("optax").config().rtol == 1e-4
    assert dialect("ignite").config().param_group_index is None


@pytest.mark.parametrize("name", ["keras", "tf-keras", "fastai", "optax"])
def test_these_fire_at_the_patience_th_bad_step(name):
    assert fired(name, FLAT, patience=2) == (2, 4, 6)


@pytest.mark.parametrize("name", ["torch", "paddle", "ignite"])
def test_these_fire_at_the_step_after_patience_bad_ones(name):
    assert fired(name, FLAT, patience=2) == (3, 6)


def test_timm_counts_as_torch_does():
    assert fired("timm", FLAT, patience_t=2) == (3, 6)


@pytest.mark.parametrize("name", ["keras", "tf-keras", "fastai"])
def test_patience_0_is_patience_1_there(name):
    assert fired(name, FLAT, patience=0) == fired(name, FLAT, patience=1)


def test_optax_with_patience_0_fires_at_improvements_and_at_nothing_else():
    assert fired("optax", [3.0, 3.0, 2.0, 2.0, 1.0], patience=0) == (0, 2, 4)


@pytest.mark.parametrize("name", ["keras", "tf-keras"])
def test_the_step_that_ends_a_cooldown_of_keras_counts_again(name):
    assert fired(name, FLAT, patience=1, cooldown=3) == (1, 4, 7)
    assert fired("torch", FLAT, patience=0, cooldown=2) == (1, 4, 7)
    assert fired(name, FLAT, patience=1, cooldown=1) == fired(name, FLAT, patience=1, cooldown=0)


def test_a_first_nan_is_keras_3s_best_for_ever_and_tf_keras_never():
    metric = [math.nan, 5.0, 4.0, 3.0, 2.0]
    assert fired("keras", metric, patience=2) == (2, 4)
    assert fired("tf-keras", metric, patience=2) == ()


def test_keras_3_compares_in_float32_and_tf_keras_in_float64():
    metric = [1.0, 1.0 - 1e-9, 1.0 - 2e-9]
    assert fired("keras", metric, patience=2, min_delta=0) == (2,)
    assert fired("tf-keras", metric, patience=2, min_delta=0) == ()


def test_keras_3_drops_the_sign_of_min_delta():
    rising = [1.0, 1.05, 1.1]
    assert fired("keras", rising, patience=2, min_delta=-0.1) == (2,)
    assert fired("tf-keras", rising, patience=2, min_delta=-0.1) == ()


def test_keras_keeps_lrs_in_float32_and_numpy_decides_how_tf_keras_multiplies():
    assert final("keras", FLAT[:2], 0.1, patience=1, factor=0.7) == (single(single(0.1) * 0.7),)
    lr, factor = 0.01, 0.1
    before_2 = single(single(lr) * factor)
    since_2 = single(single(lr) * single(factor))
    assert before_2 != since_2
    assert final("tf-keras", FLAT[:2], lr, patience=1, factor=factor, numpy=1) == (before_2,)
    assert final("tf-keras", FLAT[:2], lr, patience=1, factor=factor, numpy=2) == (since_2,)


def test_at_min_lr_nothing_fires_in_keras_and_it_waits_on():
    trace = follow(stated("keras", {"patience": 1, "cooldown": 5, "min_lr": 0.1}), FLAT, [0.1])
    assert trace.fired == ()
    assert [each.num_bad_epochs for each in trace.decisions] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_fastai_divides_and_raises_an_lr_below_min_lr():
    assert final("fastai", FLAT[:2], 0.3) == (0.3 / 10,)
    assert final("fastai", FLAT[:2], 1e-5, min_lr=1e-3) == (1e-3,)
    assert final("torch", FLAT[:3], 1e-5, patience=0, min_lr=1e-3) == (1e-5,)


def test_fastai_puts_min_delta_on_the_metric_and_not_on_the_best():
    metric, best, delta = 0.39999999999999997, 0.5, 0.1
    fastais, tf_keras = (stated(name, {"min_delta": delta}) for name in ("fastai", "tf-keras"))
    assert metric < best - delta
    assert DIALECTS["tf-keras"].improves(tf_keras, metric, best)
    assert metric + delta == best
    assert not DIALECTS["fastai"].improves(fastais, metric, best)


def test_optax_has_both_tolerances_at_once():
    config = {"rtol": 0.25, "atol": 0.25, "patience": 1}
    assert fired("optax", [1.0, 0.5], **config) == (1,)
    assert fired("optax", [1.0, 0.49], **config) == ()


def test_optax_scales_the_starting_lr_in_float32():
    assert final("optax", FLAT[:3], 0.2, patience=1) == (0.2 * single(single(0.1) * single(0.1)),)
    assert final("optax", FLAT, 0.2, patience=1, min_scale=0.5) == (0.1,)


def test_optax_takes_a_step_on_the_mean_of_accumulation_size_values():
    metric = [1.0, 3.0, 2.0, 2.0, 0.0, 0.0]
    trace = follow(stated("optax", {"accumulation_size": 2, "patience": 1}), metric, [1.0])
    assert [each.kind for each in trace.decisions[1::2]] == ["improved", "reduced", "improved"]
    assert trace.decisions[1].metric == 2.0


def test_paddle_does_not_look_at_the_metric_in_a_cooldown():
    metric = [5.0, 5.0, 1.0, 2.0, 2.0]
    config = {"patience": 0, "cooldown": 1}
    assert fired("paddle", metric, **config) == (1, 4)
    assert fired("torch", metric, **config) == (1, 3)
    assert [each.kind for each in follow(stated("paddle", config), metric, [1.0]).decisions] == [
        "improved",
        "reduced",
        "cooldown",
        "improved",
        "reduced",
    ]


def test_a_first_nan_and_in_rel_a_first_infinity_is_paddles_best_for_ever():
    for first in (math.nan, math.inf):
        assert fired("paddle", [first, 3.0, 2.0, 1.0], patience=0) == (1, 2, 3)
    absolute = {"patience": 0, "threshold_mode": "abs"}
    assert fired("paddle", [math.inf, 3.0, 2.0, 1.0], **absolute) == ()


@pytest.mark.parametrize("index", [None, 1])
def test_ignite_loses_min_lr_unless_the_index_is_that_of_the_first_group(index):
    config = stated("ignite", {"patience": 0, "min_lr": 0.05, "param_group_index": index})
    lrs = follow(config, FLAT, [0.1, 0.1]).lrs[-1]
    assert min(lrs) < 1e-5
    first = stated("ignite", {"patience": 0, "min_lr": 0.05, "param_group_index": 0})
    assert follow(first, FLAT, [0.1, 0.1]).lrs[-1] == (0.05, 0.1)


def test_a_warmup_of_timm_does_not_look_at_the_metric():
    config = {"mode": "min", "patience_t": 1, "warmup_t": 2, "warmup_lr_init": 0.0}
    trace = follow(stated("timm", config), [1.0, 2.0, 9.0, 9.0, 9.0], [1.0])
    assert trace.start_lrs == (0.0,)
    assert trace.lrs == ((0.5,), (1.0,), (1.0,), (1.0,), (0.1,))
    assert trace.decisions[2].kind == "improved"


def test_a_first_step_of_a_trace_is_a_trace_of_the_first_step():
    for name in DIALECTS:
        config = stated(name, {})
        metric = [0.5, math.nan, 0.4, *FLAT, *FLAT]
        assert follow(config, metric[:9], [0.1]).lrs == follow(config, metric, [0.1]).lrs[:9]


@pytest.mark.parametrize(
    ("name", "values", "line"),
    [
        ("keras", {"threshold": 1}, "keras has no 'threshold'"),
        ("keras", {"min_lrs": 1}, "did you mean 'min_lr'?"),
        ("keras", {"mode": "auto"}, "mode must be 'min' or 'max', got 'auto'"),
        ("keras", {"factor": 1}, "factor must be below 1, got 1.0"),
        ("keras", {"patience": 2.5}, "patience must be a whole number from 0 on, got 2.5"),
        ("tf-keras", {"numpy": 3}, "numpy must be 1 or 2, got 3"),
        ("fastai", {"factor": 0}, "factor divides the LR and cannot be 0"),
        ("fastai", {"patience": -1}, "patience must be a whole number from 0 on, got -1"),
        ("optax", {"factor": 0}, "factor must be above 0 and below 1, got 0.0"),
        ("optax", {"rtol": 0}, "atol must not be negative, nor 0 where rtol is"),
        ("optax", {"rtol": 1.5}, "rtol must be from 0 to 1, got 1.5"),
        ("optax", {"accumulation_size": 0}, "must be a whole number from 1 on, got 0"),
        ("optax", {"cooldown": math.inf}, "cooldown must be at most"),
        ("paddle", {"eps": 1}, "did you mean 'epsilon'?"),
        ("ignite", {"min_lr": (0.1, 0.2), "param_group_index": 0}, "must be one number"),
        ("timm", {"patience": 1}, "did you mean 'patience_t'?"),
        ("timm", {"decay_rate": 2}, "factor must be below 1, got 2"),
        ("kerras", {}, "there is no dialect 'kerras'; did you mean 'keras'?"),
    ],
)
def test_what_a_framework_does_not_have_is_one_clear_line(name, values, line):
    with pytest.raises(ConfigError) as refused:
        stated(name, values)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="param_group_index is 2, and there are 1 param groups"):
        follow(stated("ignite", {"param_group_index": 2}), FLAT, [0.1])


def test_torchs_configuration_is_torchs_dialect():
    assert dialect("torch").config is PlateauConfig

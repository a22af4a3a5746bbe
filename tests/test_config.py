"""PlateauConfig: what torch accepts and means something is accepted; the rest is named."""

import math

import pytest

from plateau_watch.config import PlateauConfig
from plateau_watch.errors import ConfigError, PlateauWatchError
from tests.runs import scheduler_for


def test_the_defaults_are_those_of_torch():
    assert PlateauConfig() == PlateauConfig.from_state_dict(scheduler_for().state_dict())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"factor": 1.5}, "factor must be below 1, got 1.5"),
        ({"factor": 1}, "factor must be below 1, got 1.0"),
        ({"factor": math.nan}, "factor must be a number, got nan"),
        ({"patience": "x"}, "patience must be a number, got 'x'"),
        ({"patience": None}, "patience must be a number, got None"),
        ({"patience": math.nan}, "patience must be a number, got nan"),
        ({"cooldown": "3"}, "cooldown must be a number, got '3'"),
        ({"threshold": math.nan}, "threshold must be a number, got nan"),
        ({"mode": "most"}, "mode must be 'min' or 'max', got 'most'"),
        ({"threshold_mode": "relative"}, "threshold_mode must be 'rel' or 'abs', got 'relative'"),
        ({"min_lr": [0.1, "a"]}, "min_lr must be a number, got 'a'"),
        ({"min_lr": "small"}, "min_lr must be a number, got 'small'"),
        ({"eps": [1]}, "eps must be a number, got [1]"),
    ],
)
def test_a_value_torch_would_refuse_or_that_means_nothing_is_named(parameters, message):
    with pytest.raises(ConfigError) as refusal:
        PlateauConfig(**parameters)
    assert str(refusal.value) == message
    assert isinstance(refusal.value, PlateauWatchError)


@pytest.mark.parametrize(
    "parameters",
    [
        {"factor": 0},
        {"factor": -0.5},
        {"patience": 0},
        {"patience": math.inf},
        {"threshold": -1},
        {"threshold": 2},
        {"eps": 0},
        {"min_lr": [0.1, 0.2]},
        {"min_lr": (0.1,)},
        {"cooldown": 100},
    ],
)
def test_what_torch_accepts_is_accepted(parameters):
    lrs = parameters.get("min_lr", 0.0)
    groups = len(lrs) if isinstance(lrs, list | tuple) else 1
    assert scheduler_for(groups=groups, **parameters) is not None
    assert PlateauConfig(**parameters) is not None


def test_a_list_of_bounds_must_fit_the_groups():
    config = PlateauConfig(min_lr=[1e-4, 1e-5])
    assert config.min_lrs(2) == (1e-4, 1e-5)
    with pytest.raises(ConfigError, match="min_lr has 2 values for 3 param groups"):
        config.min_lrs(3)


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "bar"),
    [
        ("min", "rel", 0.5 * (1.0 - 1e-4)),
        ("min", "abs", 0.5 - 1e-4),
        ("max", "rel", 0.5 * (1e-4 + 1.0)),
        ("max", "abs", 0.5 + 1e-4),
    ],
)
def test_the_bar_is_torchs_dynamic_threshold(mode, threshold_mode, bar):
    assert PlateauConfig(mode=mode, threshold_mode=threshold_mode).bar(0.5) == bar


def test_a_negative_best_in_rel_puts_the_bar_on_its_wrong_side():
    config = PlateauConfig(mode="min", threshold=0.1)
    assert config.beats(-0.95, config.bar(-1.0))


def test_another_schedulers_state_dict_is_refused():
    with pytest.raises(ConfigError, match="no state_dict of ReduceLROnPlateau: it has no mode"):
        PlateauConfig.from_state_dict({"last_epoch": 3})


def test_differences_name_what_was_changed():
    config = PlateauConfig(patience=3)
    assert config.with_changes(factor=0.5).differences(config) == {"factor": 0.5}
    assert config.differences(config) == {}

"""The scheduler equals torch's own after every step, with ==: the first promise."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plateau_watch.config import PlateauConfig
from plateau_watch.scheduler import PlateauState, rounded, step
from tests.strategies import configs, learning_rates, lr_dtypes, metrics
from tests.torch_oracle import (
    DTYPES,
    as_lr,
    as_oracle_state,
    lrs_of,
    optimizer_with,
    state_of,
    torch_scheduler,
)

oracle = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=False,
)


@st.composite
def setups(draw):
    groups = draw(st.integers(1, 3))
    dtypes = tuple(draw(st.lists(lr_dtypes, min_size=groups, max_size=groups)))
    lrs = tuple(draw(st.lists(learning_rates, min_size=groups, max_size=groups)))
    return draw(configs(groups)), lrs, dtypes


def start(config, lrs, dtypes):
    scheduler = torch_scheduler(config, lrs, dtypes)
    return scheduler, PlateauState.initial(config, lrs_of(scheduler), dtypes)


def on_the_bar(config, state, metric, exactly):
    """Replace the metric by the bar itself, to meet ties often."""
    return config.bar(state.best) if exactly else metric


@oracle
@given(setups(), st.lists(st.tuples(metrics, st.sampled_from([0, 0, 0, 1])), max_size=30))
def test_every_state_of_a_random_trace_equals_torch(setup, values):
    config, lrs, dtypes = setup
    scheduler, state = start(config, lrs, dtypes)
    for value, exactly in values:
        metric = on_the_bar(config, state, value, exactly)
        scheduler.step(metric)
        state, decision = step(config, state, metric)
        assert as_oracle_state(state) == state_of(scheduler)
        assert decision.new_lrs == lrs_of(scheduler)


@oracle
@given(setups(), st.lists(metrics, min_size=1, max_size=30), st.data())
def test_lrs_changed_from_outside_between_steps_are_taken_up(setup, values, data):
    config, lrs, dtypes = setup
    scheduler, state = start(config, lrs, dtypes)
    for value in values:
        if data.draw(st.booleans()):
            new = data.draw(learning_rates)
            for group, dtype in zip(scheduler.optimizer.param_groups, dtypes, strict=True):
                group["lr"] = as_lr(new, dtype)
            state = PlateauState(
                **{**fields_of(state), "lrs": tuple(rounded(new, dtype) for dtype in dtypes)}
            )
        scheduler.step(value)
        state, _ = step(config, state, value)
        assert as_oracle_state(state) == state_of(scheduler)


@oracle
@given(setups(), st.lists(metrics, max_size=15), st.lists(metrics, max_size=15))
def test_a_state_loaded_in_the_middle_goes_on_as_torch_does(setup, before, after):
    config, lrs, dtypes = setup
    scheduler, _ = start(config, lrs, dtypes)
    for value in before:
        scheduler.step(value)
    saved = scheduler.state_dict()
    resumed = torch_scheduler(PlateauConfig(), lrs_of(scheduler), dtypes)
    resumed.load_state_dict(saved)
    assert PlateauConfig.from_state_dict(saved) == same_min_lrs(config, len(lrs))
    state, config = PlateauState.from_state_dict(saved), PlateauConfig.from_state_dict(saved)
    for value in after:
        resumed.step(value)
        state, _ = step(config, state, value)
        assert as_oracle_state(state) == state_of(resumed)


@oracle
@given(setups(), st.lists(metrics, max_size=15), st.lists(metrics, max_size=15))
def test_torch_goes_on_from_our_state_dict_as_we_do(setup, before, after):
    config, lrs, dtypes = setup
    _, state = start(config, lrs, dtypes)
    for value in before:
        state, _ = step(config, state, value)
    theirs = torch_scheduler(PlateauConfig(), state.lrs, dtypes)
    theirs.load_state_dict({**config.to_state_dict(len(lrs)), **state.to_state_dict()})
    for value in after:
        theirs.step(value)
        state, _ = step(config, state, value)
        assert as_oracle_state(state) == state_of(theirs)


@settings(max_examples=2000, deadline=None)
@given(st.floats(allow_nan=True, width=64), st.sampled_from(sorted(DTYPES)))
def test_a_tensor_lr_rounds_as_fill_does(value, dtype):
    tensor = torch.zeros((), dtype=DTYPES[dtype])
    try:
        tensor.fill_(value)
    except RuntimeError:
        return  # torch refuses to store it; no LR of a training gets there
    ours, theirs = rounded(value, dtype), float(tensor)
    assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def test_halves_are_rounded_by_way_of_float32():
    # Just above the middle of two float16s: float32 rounds it onto the middle, and the tie to even.
    value = (1.0 + (1.0 + 2**-10)) / 2 + 2**-40
    tensor = torch.zeros((), dtype=torch.float16).fill_(value)
    assert rounded(value, "float16") == float(tensor) == 1.0


@pytest.mark.parametrize("patience", [-1, 2.5, math.inf, 10**30])
@pytest.mark.parametrize("cooldown", [-1, 0, 1.5, math.inf])
@pytest.mark.parametrize("factor", [-0.5, 0, 0.3])
@pytest.mark.parametrize("eps", [-1.0, 0.0, math.inf])
def test_odd_parameters_that_torch_accepts_mean_what_they_mean_there(
    patience, cooldown, factor, eps
):
    config = PlateauConfig(
        factor=factor, patience=patience, cooldown=cooldown, eps=eps, min_lr=0.02
    )
    scheduler, state = start(config, (0.1, 0.01), ("python", "python"))
    for metric in [3, 2, 2, 2, 2, math.nan, 1, 2, 2, 2, 2, 2, 2]:
        scheduler.step(metric)
        state, _ = step(config, state, metric)
        assert as_oracle_state(state) == state_of(scheduler)


def test_a_group_added_later_gets_the_one_min_lr():
    config = PlateauConfig(patience=0, min_lr=0.05)
    scheduler, state = start(config, (0.1,), ("python",))
    scheduler.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.2})
    state = PlateauState.initial(config, (0.1, 0.2))
    for metric in [1.0, 1.0, 1.0]:
        scheduler.step(metric)
        state, _ = step(config, state, metric)
        assert as_oracle_state(state) == state_of(scheduler)


def same_min_lrs(config, groups):
    """torch keeps a list even where all its values are one."""
    return (
        config
        if not isinstance(config.min_lr, tuple)
        else config.with_changes(min_lr=config.min_lrs(groups))
    )


def fields_of(state):
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


def test_the_oracle_is_torch_itself():
    assert type(torch_scheduler(PlateauConfig(), (0.1,), ("python",))).__module__.startswith(
        "torch."
    )
    assert optimizer_with((0.1,), ("float16",)).param_groups[0]["lr"].dtype is torch.float16

"""What-ifs: the grid, the small set, and where another schedule leaves the real one."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from plateau_watch.config import PlateauConfig
from plateau_watch.replay import Counters, OutsideChange, replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.whatif import around, differing, diverges_at, grid, label, what_if
from tests.strategies import configs, metrics


def test_a_grid_is_every_combination():
    assert grid({"patience": [3, 5], "factor": [0.1, 0.5]}) == [
        {"patience": 3, "factor": 0.1},
        {"patience": 3, "factor": 0.5},
        {"patience": 5, "factor": 0.1},
        {"patience": 5, "factor": 0.5},
    ]


def test_no_choices_are_no_alternatives():
    assert grid({}) == []


def test_the_small_set_changes_one_parameter_at_a_time():
    config = PlateauConfig(patience=10)
    assert [label(choice) for choice in around(config)] == [
        "patience=5",
        "patience=20",
        "factor=0.5",
        "threshold=0.001",
        "cooldown=5",
    ]


@given(configs())
def test_the_small_set_never_repeats_the_real_configuration(config):
    choices = around(config)
    assert choices
    assert all(config.with_changes(**choice) != config for choice in choices)


def test_an_infinite_patience_has_a_small_set_too():
    assert {"patience": 5} in around(PlateauConfig(patience=math.inf))


def test_an_alternative_is_reduced_to_what_differs():
    real = PlateauConfig(patience=3)
    choices = grid({"patience": [3, 5], "factor": [0.1]})
    assert differing([real], choices) == [{"patience": 5}]


def test_a_list_bound_is_named_like_it_is_given():
    assert label({"min_lr": (0.1, 1e-5)}) == "min_lr=0.1:1e-05"


def test_schedules_diverge_at_the_first_step_after_which_their_lrs_differ():
    real = [(0.1,), (0.1,), (0.01,)]
    assert diverges_at(real, [(0.1,), (0.01,), (0.01,)]) == 1
    assert diverges_at(real, real) is None


@settings(max_examples=200, deadline=None)
@given(configs(), configs(), st.lists(metrics, min_size=1, max_size=30))
def test_before_a_what_if_diverges_its_lrs_are_the_real_ones(real, other, metric):
    start = PlateauState.initial(real, (0.1,))
    ours = [state.lrs for state in replay(real, metric, start).states]
    trace = what_if(other.differences(real), real, metric, start)
    theirs = [state.lrs for state in trace.states]
    leaves = diverges_at(ours, theirs)
    assert ours[:leaves] == theirs[:leaves]
    assert leaves is None or ours[leaves] != theirs[leaves]


def test_another_mode_starts_from_its_own_worst():
    start = PlateauState.initial(PlateauConfig(), (0.1,))
    trace = what_if({"mode": "max"}, PlateauConfig(), [0.5, 0.6], start)
    assert [decision.kind for decision in trace.decisions] == ["improved", "improved"]


def change(index, best=1.0, bad=0, lrs=(1.0,), **parts):
    """A change from outside that met these counters and LRs in the real run."""
    return OutsideChange(index, Counters(best, bad, 0), lrs, **parts)


def test_parameters_edited_on_the_way_reach_a_what_if_unless_it_overrides_them():
    real = PlateauConfig(patience=5)
    edited = change(1, config=real.with_changes(patience=0, factor=0.5))
    start = PlateauState.initial(real, (1.0,))
    follows = what_if({"cooldown": 1}, real, [1.0, 1.0], start, [edited])
    overrides = what_if({"patience": 7}, real, [1.0, 1.0], start, [edited])
    assert follows.states[-1].lrs == (0.5,)
    assert overrides.states[-1].lrs == (1.0,)
    assert overrides.configs[-1].factor == 0.5


def test_a_state_loaded_from_outside_reaches_a_what_if():
    real = PlateauConfig(patience=1)
    loaded = change(1, counters=Counters(best=0.1, num_bad_epochs=1, cooldown_counter=0))
    start = PlateauState.initial(real, (1.0,))
    trace = what_if({"factor": 0.5}, real, [1.0, 0.5], start, [loaded])
    assert trace.decisions[-1].kind == "reduced"
    assert trace.decisions[-1].best == 0.1


@settings(max_examples=200, deadline=None)
@given(configs(), st.lists(metrics, max_size=30), st.integers(0, 30))
def test_a_replay_of_a_beginning_is_the_beginning_of_the_replay(config, metric, count):
    start = PlateauState.initial(config, (0.1,))
    whole = replay(config, metric, start)
    part = replay(config, metric[:count], start)
    assert repr(part.states) == repr(whole.states[:count])
    assert repr(part.decisions) == repr(whole.decisions[:count])


def decided(overrides, changes, metric=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)):
    """LRs after the steps of a what-if that can be decided; really, patience is 1."""
    real = PlateauConfig(patience=1, threshold=0)
    start = PlateauState.initial(real, (1.0,))
    trace = what_if(overrides, real, metric, start, changes)
    return [state.lrs for state in trace.states]


def test_an_lr_set_from_outside_is_carried_over_where_it_meets_the_real_lr():
    warmup = change(1, lrs=(1.0,))
    assert decided({"patience": 5}, [replace(warmup, lrs=(2.0,))]) == [(1.0,), *[(2.0,)] * 5]


def test_a_what_if_ends_where_an_lr_is_set_over_another_than_the_real_one():
    really = change(4, bad=1, lrs=(0.1,))
    assert decided({"patience": 5}, [replace(really, lrs=(0.2,))]) == [(1.0,)] * 4


def test_a_what_if_ends_where_a_state_is_loaded_over_another_than_the_real_one():
    really = change(4, best=1.0, bad=1, lrs=(0.1,), counters=Counters(0.5, 0, 0))
    assert decided({"patience": 5}, [really]) == [(1.0,)] * 4


def test_a_what_if_ends_where_steps_are_missing():
    assert decided({"patience": 5}, [change(2, missing=3)]) == [(1.0,)] * 2


def test_a_group_that_is_added_later_comes_with_its_own_lr_and_leaves_the_others():
    added = change(4, bad=1, lrs=(0.1,))
    assert decided({"patience": 5}, [replace(added, lrs=(0.1, 0.5), lr_dtypes=("python",) * 2)])[
        4
    ] == (1.0, 0.5)


def test_an_alternative_equal_to_the_first_of_several_configurations_is_kept():
    first = PlateauConfig(patience=10)
    edited = first.with_changes(patience=2)
    assert differing([first, edited], [{"patience": 10}]) == [{"patience": 10}]

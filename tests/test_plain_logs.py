"""Logs without a trace: starting LR, the two meanings of a logged LR, parity, ambiguity."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plateau_watch.alignment import from_series
from plateau_watch.comparison import compare
from plateau_watch.config import PlateauConfig
from plateau_watch.errors import ConfigError, NotEnoughToldError
from plateau_watch.parity import ambiguous
from plateau_watch.reading import Reading
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from plateau_watch.series import Series
from tests.strategies import configs, metrics

PATIENCE_1 = PlateauConfig(patience=1)
METRIC = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]


def as_float32(values):
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float64).astype(np.float32).astype(np.float64)


def logged(metric, config, lrs, meaning):
    """What a training logs with add_scalar: float32 metric and LRs."""
    start = PlateauState.initial(config, lrs)
    trace = replay(config, as_float32(metric), start)
    columns = [
        [
            (decision.old_lrs if meaning == "before" else decision.new_lrs)[group]
            for decision in trace.decisions
        ]
        for group in range(len(lrs))
    ]
    series = Series.of(as_float32(metric), precision="float32")
    return series, [
        Series.of(as_float32(column), tag=f"lr/{group}", precision="float32")
        for group, column in enumerate(columns)
    ]


@pytest.mark.parametrize("meaning", ["before", "after"])
def test_the_meaning_of_a_logged_lr_is_found_by_what_fits(meaning):
    recording = from_series(*logged(METRIC, PATIENCE_1, (0.001,), meaning), PATIENCE_1)
    assert recording.logged == meaning
    assert compare(recording).parity.exact


def test_the_meaning_can_be_settled_and_is_then_not_searched():
    series = logged(METRIC, PATIENCE_1, (0.001,), "before")
    recording = from_series(*series, PATIENCE_1, Reading("after"))
    assert recording.logged == "after"
    assert not compare(recording).parity.exact


def test_where_both_meanings_fit_the_report_says_so():
    series = logged([3.0, 2.0, 1.0], PATIENCE_1, (0.1,), "before")
    recording = from_series(*series, PATIENCE_1)
    assert "fits as logged before the step and after it" in recording.warnings[0]


def test_the_starting_lr_is_the_shortest_decimal_that_is_stored_so():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "after")
    assert lrs[0].values[0] == 0.0010000000474974513
    assert from_series(metric, lrs, PATIENCE_1).start.lrs == (0.001,)


@settings(max_examples=300, deadline=None)
@given(
    configs(groups=2, min_lrs=st.sampled_from([0.0, 1e-4])),
    st.lists(metrics, min_size=2, max_size=30),
    st.lists(st.sampled_from([0.1, 0.01, 1e-3, 3e-4, 5e-5]), min_size=2, max_size=2),
    st.sampled_from(["before", "after"]),
)
def test_the_true_configuration_reproduces_every_float32_lr(config, metric, lrs, meaning):
    metric = [0.25, *metric]
    if config.patience == 0 and meaning == "after":
        config = config.with_changes(patience=1)
    series = logged(metric, config, tuple(lrs), meaning)
    report = compare(from_series(*series, config, Reading(meaning)))
    assert report.parity.checked == len(metric)
    assert report.parity.mismatches == ()
    assert report.real.label == "real"


def test_a_wrong_configuration_shows_the_logged_lrs_and_no_decisions():
    recording = from_series(
        *logged(METRIC, PATIENCE_1, (0.001,), "after"), PlateauConfig(patience=3)
    )
    report = compare(recording)
    assert report.parity.mismatches == (2, 3, 4, 5)
    assert report.real.decisions == ()
    assert report.real.config is None
    assert [firing.step for firing in report.real.firings] == [2, 5]
    assert report.schedules[1].label == "given"
    assert report.schedules[1].diverges_at == 2
    assert "first at step 2" in report.warnings[-1]


def test_a_mismatch_of_lrs_logged_before_the_step_is_shown_at_the_step_that_caused_it():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "before")
    report = compare(from_series(metric, lrs, PlateauConfig(patience=4), Reading("before")))
    assert [firing.step for firing in report.real.firings] == [2]


def test_lrs_are_compared_where_both_are_logged():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "after")
    sparse = Series.of(lrs[0].values[::2], steps=lrs[0].steps[::2], precision="float32")
    report = compare(from_series(metric, [sparse], PATIENCE_1))
    assert report.parity.checked == 3
    assert report.parity.exact
    assert "an LR is logged at 3 of 6 metric steps" in report.warnings[0]


def test_without_a_shared_step_the_last_lr_until_then_counts_and_is_said():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "before")
    shifted = Series.of(metric.values, steps=metric.steps * 10 + 5, precision="float32")
    lr = Series.of(lrs[0].values, steps=lrs[0].steps * 10, precision="float32")
    report = compare(from_series(shifted, [lr], PATIENCE_1))
    assert report.parity.exact
    assert report.recording.logged == "before"
    assert "share no step" in report.warnings[0]


def test_an_lr_that_begins_after_the_metric_ends_is_refused():
    metric = Series.of(METRIC, tag="val/loss")
    with pytest.raises(
        NotEnoughToldError, match="no LR is logged until the last point of 'val/loss'"
    ):
        from_series(metric, [Series.of([0.1], steps=[100])], PATIENCE_1)


@pytest.mark.parametrize("changes_at", [70, 3000, 5999])
def test_an_lr_that_changes_where_no_metric_point_sees_it_is_refused(changes_at):
    """An LR a batch and a metric an epoch share step numbers that mean different things."""
    metric = Series.of(np.linspace(1, 0, 60), tag="val/loss")
    lr = Series.of([0.1] * changes_at + [0.01] * (6000 - changes_at), tag="lr")
    with pytest.raises(NotEnoughToldError, match="they count steps differently"):
        from_series(metric, [lr], PATIENCE_1)


@pytest.mark.parametrize("every", [2, 3, 7])
def test_no_lr_is_made_up_where_none_was_logged(every):
    config = PlateauConfig(patience=2, factor=0.5)
    metric, lrs = logged([*METRIC, *METRIC, *METRIC], config, (0.1,), "after")
    sparse = Series.of(lrs[0].values[::every], steps=lrs[0].steps[::every], precision="float32")
    report = compare(from_series(metric, [sparse], config))
    assert report.parity.checked == len(sparse)
    assert report.parity.exact


def test_an_lr_after_the_last_metric_point_is_said_not_to_be_checked():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "after")
    beyond = Series.of([*lrs[0].values, 5.0], precision="float32")
    warnings = from_series(metric, [beyond], PATIENCE_1).warnings
    assert "after the last metric point 'metric' is 5; that is not checked" in warnings


def test_what_the_last_step_did_may_be_logged_after_it():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "before")
    lr = Series.of(as_float32([*lrs[0].values, 1e-5]), precision="float32")
    report = compare(from_series(metric, [lr], PATIENCE_1))
    assert report.parity.exact
    assert report.parity.checked == len(metric) + 1, "the last step too is checked"


def test_a_starting_lr_of_many_digits_is_found_within_its_rounding():
    metric, lrs = logged(METRIC, PATIENCE_1, (1e-3 * 8**0.5,), "after")
    recording = from_series(metric, lrs, PATIENCE_1)
    assert compare(recording).parity.exact
    assert "more digits than were logged" in recording.warnings[0]


def test_where_neither_meaning_fits_the_report_says_that_it_cannot_be_told():
    recording = from_series(
        *logged(METRIC, PATIENCE_1, (0.001,), "before"), PlateauConfig(patience=4)
    )
    assert "cannot be told whether LRs were logged before or after" in recording.warnings[0]


def test_points_that_were_written_again_are_said():
    metric, lrs = logged(METRIC, PATIENCE_1, (0.001,), "after")
    mixed = Series(
        metric.run, "val/loss", metric.steps, metric.wall_times, metric.values, "float32", 7
    )
    warnings = from_series(mixed, lrs, PATIENCE_1).warnings
    assert warnings[0].startswith("7 point(s) of 'val/loss' were written again later")


def test_a_what_if_names_the_decisions_that_rounding_could_have_flipped():
    metric, lrs = logged([0.1, 0.1, 0.1, 0.1], PlateauConfig(), (0.1,), "after")
    report = compare(from_series(metric, lrs, PlateauConfig()), [{"threshold": 0.0}])
    assert report.parity.ambiguous == ()
    assert report.schedules[1].ambiguous == (1, 2, 3)
    assert "could have flipped" in report.warnings[-1]


def test_an_alternative_that_a_run_cannot_have_is_left_out_and_said():
    recording = from_series(*logged(METRIC, PATIENCE_1, (0.1,), "after"), PATIENCE_1)
    report = compare(recording, [{"min_lr": (0.1, 0.2)}])
    assert [schedule.label for schedule in report.schedules] == ["real"]
    assert report.warnings[-1].startswith("min_lr=0.1:0.2 is left out: min_lr has 2 values for 1")


def test_alternatives_that_change_nothing_are_said():
    recording = from_series(*logged(METRIC, PATIENCE_1, (0.1,), "after"), PATIENCE_1)
    report = compare(recording, [{"patience": 1}])
    assert "every alternative is the real configuration" in report.warnings


def test_a_series_without_points_is_refused():
    with pytest.raises(NotEnoughToldError, match=r"'metric' of run '\.' has no points"):
        from_series(Series.of([]), [Series.of([0.1])], PATIENCE_1)


def test_a_list_bound_that_does_not_fit_the_lr_tags_is_refused():
    config = PlateauConfig(patience=0, min_lr=(0.1, 0.2))
    with pytest.raises(ConfigError, match="min_lr has 2 values for 1 param groups"):
        from_series(*logged(METRIC, PATIENCE_1, (0.1,), "after"), config)


def float32_trace(metric, config):
    return replay(config, as_float32(metric), PlateauState.initial(config, (0.1,)))


def test_a_decision_that_rounding_could_flip_is_ambiguous():
    config = PlateauConfig(threshold=0)
    just_below = float(np.nextafter(np.float32(0.1), np.float32(0)))
    assert ambiguous(float32_trace([0.1, 0.1, just_below], config), "float32") == [1, 2]


def test_doubles_and_clear_decisions_are_not_ambiguous():
    config = PlateauConfig()
    assert ambiguous(float32_trace([0.5, 0.4, 0.5], config), "float32") == []
    tie = float32_trace([0.1, 0.1], PlateauConfig(threshold=0))
    assert ambiguous(tie, "float64") == []


@settings(max_examples=300, deadline=None)
@given(configs(), st.floats(1e-3, 1e3), st.floats(-4, 4), st.floats(-4, 4))
def test_what_rounding_flipped_is_always_listed(config, value, first, second):
    """Two doubles that round to the same float32s decide differently: then it is ambiguous."""
    ulp = float(np.spacing(np.float32(value)))
    doubles = [value, config.bar(value)]
    metric = [doubles[0] + first * ulp / 8, doubles[1] + second * ulp / 8]
    start = PlateauState.initial(config, (0.1,))
    truth = replay(config, metric, start)
    read_back = replay(config, as_float32(metric), start)
    flipped = [
        index
        for index, (a, b) in enumerate(zip(truth.decisions, read_back.decisions, strict=True))
        if a.improved != b.improved
    ]
    if all(math.isfinite(decision.metric) for decision in read_back.decisions):
        assert set(flipped) <= set(ambiguous(read_back, "float32"))

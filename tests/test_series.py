"""Series: the points that count, in step order, and what was discarded to get there."""

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plateau_watch.series import Series, alive, surviving
from tests.event_files import properties

int64s = st.one_of(st.integers(0, 5), st.sampled_from([-(2**63), -1, 2**63 - 1]))


@st.composite
def writings(draw) -> tuple[list[int], list[tuple[int, int]]]:
    """Steps in the order written, and restarts among them."""
    steps = draw(st.lists(int64s, max_size=12))
    restarts = draw(st.lists(st.tuples(st.integers(0, len(steps)), int64s), max_size=4))
    return steps, sorted(restarts, key=lambda restart: restart[0])


def alive_one_by_one(steps: list[int], restarts: list[tuple[int, int]]) -> list[int]:
    """Write one point after the other; before each, do what the restarts there say."""
    kept: list[int] = []
    for position in range(len(steps) + 1):
        for at, start in restarts:
            if at == position:
                kept = [earlier for earlier in kept if steps[earlier] < start]
        if position < len(steps):
            kept.append(position)
    return kept


class TestAlive:
    @properties
    @given(writings())
    def test_a_restart_voids_earlier_points_at_its_step_and_beyond(self, writing):
        assert alive(*writing).tolist() == alive_one_by_one(*writing)

    def test_without_restarts_all_are_alive_repeated_steps_too(self):
        assert alive([3, 1, 3]).tolist() == [0, 1, 2]

    def test_points_written_after_a_restart_are_not_voided_by_it(self):
        assert alive([1, 2, 3, 2, 3], [(3, 2)]).tolist() == [0, 3, 4]

    def test_a_restart_before_all_points_voids_none(self):
        assert alive([0, 1], [(0, 0)]).tolist() == [0, 1]

    def test_as_many_restarts_as_points_take_seconds_and_not_minutes(self):
        count = 300_000
        start = time.process_time()
        kept = alive(range(count), [(position, position) for position in range(count)])
        assert time.process_time() - start < 5
        assert len(kept) == count

    def test_without_points_nothing_is_alive(self):
        assert alive([], [(0, 3)]).tolist() == []


class TestSurviving:
    @properties
    @given(writings())
    def test_of_those_alive_the_last_write_of_each_step_survives_in_step_order(self, writing):
        steps, _ = writing
        last = {steps[position]: position for position in alive_one_by_one(*writing)}
        assert surviving(*writing).tolist() == [last[step] for step in sorted(last)]

    def test_the_last_write_of_a_step_wins(self):
        assert surviving([2, 1, 2, 1, 2]).tolist() == [3, 4]

    def test_an_earlier_write_does_not_come_back_when_a_later_one_is_voided(self):
        assert surviving([5, 5], [(2, 5)]).tolist() == []


class TestColumns:
    def test_the_columns_are_read_only(self):
        series = Series.of([0.1, 0.2])
        for column in (series.steps, series.wall_times, series.values):
            with pytest.raises(ValueError, match="read-only"):
                column[0] = 7

    def test_a_series_cannot_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Series.of([0.1]).tag = "other"

    @pytest.mark.parametrize("short", ["steps", "wall_times", "values"])
    def test_columns_of_different_lengths_are_refused(self, short):
        columns = {
            "steps": np.arange(3),
            "wall_times": np.zeros(3),
            "values": np.zeros(3),
        }
        columns[short] = columns[short][:2]
        with pytest.raises(ValueError, match="columns of 'loss' differ in length"):
            Series(run=".", tag="loss", **columns)

    @pytest.mark.parametrize("steps", [[1, 1], [2, 1], [0, 2, 1]])
    def test_steps_that_do_not_strictly_increase_are_refused(self, steps):
        with pytest.raises(ValueError, match="steps of 'loss' do not strictly increase"):
            Series.of([0.0] * len(steps), steps=steps, tag="loss")

    def test_steps_of_the_whole_range_are_taken(self):
        steps = [-(2**63), 0, 2**63 - 1]
        assert Series.of([0.0] * 3, steps=steps).steps.tolist() == steps


class TestOf:
    def test_absent_steps_count_from_zero_and_absent_times_are_zero(self):
        series = Series.of([0.5, 0.25, 0.125])
        assert series.steps.tolist() == [0, 1, 2]
        assert series.wall_times.tolist() == [0.0, 0.0, 0.0]
        assert series.values.tolist() == [0.5, 0.25, 0.125]

    def test_columns_have_their_types_and_its_length_is_theirs(self):
        series = Series.of([1, 2], steps=[3, 9], wall_times=[100, 90])
        assert (series.steps.dtype, series.wall_times.dtype, series.values.dtype) == (
            np.int64,
            np.float64,
            np.float64,
        )
        assert len(series) == 2

    def test_the_callers_list_and_array_stay_theirs(self):
        values = np.array([0.1, 0.2])
        series = Series.of(values)
        values[0] = 7.0
        assert series.values[0] == 0.1

    def test_an_empty_series_is_a_series(self):
        assert len(Series.of([])) == 0

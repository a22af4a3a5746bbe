"""--duplicates: of the points at one step the last counts, or the first, or they may not differ."""

import json
import math

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from plateau_watch.commands import main
from plateau_watch.series import contradiction, surviving
from tests.event_files import Event, event, parsed, properties, restart, simple, write_events
from tests.runs import METRIC, lr_of, scheduler_for

COMMANDS = ["replay", "fit", "explain", "runs"]


@pytest.fixture
def resumed(tmp_path):
    """A training that redid its last steps after a resume, with other metrics, in two files."""
    whole = METRIC[:10] + METRIC[8:]
    scheduler = scheduler_for(patience=2)
    events = []
    for position, value in enumerate(whole):
        step = position if position < 10 else position - 2
        values = simple("val/loss", value + position / 1000), simple("lr", lr_of(scheduler))
        events.append(event(*values, step=step, wall_time=100.0 + position + 50 * (position > 9)))
        scheduler.step(value + position / 1000)
    write_events(tmp_path / "events.out.tfevents.100.h.7.0", *events[:10])
    write_events(tmp_path / "events.out.tfevents.160.h.8.0", *events[10:])
    return tmp_path


def run(command, *arguments):
    return CliRunner().invoke(main, [command, *map(str, arguments)])


def superseded(*arguments):
    (described,) = json.loads(run("runs", *arguments, "--format", "json").stdout)["runs"]
    return described["superseded"]


@properties
@given(st.lists(st.integers(0, 4), max_size=12))
def test_one_write_of_each_step_survives_the_last_or_the_first(steps):
    expected = {step: position for position, step in enumerate(steps)}
    assert surviving(steps).tolist() == [expected[step] for step in sorted(expected)]
    expected = {step: position for position, step in reversed(list(enumerate(steps)))}
    assert surviving(steps, (), "first").tolist() == [expected[step] for step in sorted(expected)]


@properties
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, math.nan])), max_size=9))
def test_a_contradiction_is_there_where_a_step_has_two_values(points):
    steps, values = [step for step, _ in points], [value for _, value in points]
    by_step = {}
    for step, value in points:
        by_step.setdefault(step, set()).add(str(value))
    found = contradiction(steps, values)
    lowest = min((step for step, each in by_step.items() if len(each) > 1), default=None)
    assert (None if found is None else steps[found[0]]) == lowest
    if found:
        first, second = found
        assert first < second
        assert steps[first] == steps[second]
        assert str(values[first]) != str(values[second])


class TestCommands:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_error_refuses_and_names_tag_step_both_values_and_where_they_stand(
        self, resumed, command
    ):
        result = run(command, resumed, "--duplicates", "error")
        assert (result.exit_code, result.stdout) == (2, "")
        first, second = sorted(resumed.iterdir())
        assert result.stderr.startswith(
            "plateau-watch: run '.' has two values of 'val/loss' at step 8: 0.668 at offset "
        )
        assert f" of {first}, and " in result.stderr
        assert f" of {second}; --duplicates last or --duplicates first decides" in result.stderr

    def test_the_offsets_are_those_of_the_records(self, resumed):
        said = run("runs", resumed, "--duplicates", "error").stderr.split(" at offset ")[1:]
        for path, each in zip(sorted(resumed.iterdir()), said, strict=True):
            offset = int(each.split(" ")[0].replace(",", ""))
            found, _ = parsed(path.read_bytes())
            (record,) = [one for one in found if one.offset == offset]
            assert Event.FromString(record.payload).step == 8

    @pytest.mark.parametrize("command", COMMANDS)
    def test_error_says_nothing_where_values_agree(self, tmp_path, command):
        scheduler = scheduler_for(patience=2)
        events = []
        for step, value in enumerate(METRIC):
            values = simple("val/loss", value), simple("lr", lr_of(scheduler))
            events += [event(*values, step=step, wall_time=float(step))] * 2
            scheduler.step(value)
        write_events(tmp_path / "events.out.tfevents.100.h.7.0", *events)
        result = run(command, tmp_path, "--duplicates", "error")
        assert result.exit_code == 0, result.output

    def test_the_last_write_counts_unless_the_first_is_asked_for(self, resumed):
        shown = {}
        for choice in ([], ["--duplicates", "last"], ["--duplicates", "first"]):
            arguments = [resumed, "--metric", "val/loss", "--lr", "lr", *choice]
            shown[tuple(choice)] = run("replay", *arguments, "--format", "csv").output
        assert shown[()] == shown["--duplicates", "last"]
        assert shown[()] != shown["--duplicates", "first"]
        assert superseded(resumed) == superseded(resumed, "--duplicates", "first") == 4

    def test_what_a_restart_voided_contradicts_nothing(self, tmp_path):
        write_events(
            tmp_path / "events.out.tfevents.100.h.7.0",
            *(event(simple("loss", 1.0), step=step) for step in range(5)),
            restart(2),
            *(event(simple("loss", 2.0), step=step) for step in range(2, 5)),
        )
        assert run("runs", tmp_path, "--duplicates", "error").exit_code == 0


class TestStatedInAFile:
    def test_the_toml_file_says_it_for_the_runs_it_matches(self, resumed):
        (resumed / "plateau-watch.toml").write_text('[[runs]]\nduplicates = "error"\n')
        for command in COMMANDS:
            assert run(command, resumed).exit_code == 2
        (resumed / "plateau-watch.toml").write_text(
            '[[runs]]\nmatch = "other"\nduplicates = "error"\n'
        )
        assert run("runs", resumed).exit_code == 0

    def test_an_option_comes_before_the_file(self, resumed):
        (resumed / "plateau-watch.toml").write_text('[[runs]]\nduplicates = "error"\n')
        assert run("runs", resumed, "--duplicates", "last").exit_code == 0

    def test_a_word_that_is_none_is_refused(self, resumed):
        (resumed / "plateau-watch.toml").write_text('[[runs]]\nduplicates = "newest"\n')
        result = run("replay", resumed)
        assert result.exit_code == 2
        assert "duplicates must be 'last' or 'first' or 'error', got 'newest'" in result.stderr

"""`plateau-watch explain`: why the LR changed at a step, or why it did not yet."""

import re

import pytest
from click.testing import CliRunner

from plateau_watch.commands import main
from tests.runs import hooked_run, plain_run


def explain(*arguments, code=0):
    runner = CliRunner(env={"COLUMNS": "200"})
    result = runner.invoke(main, ["explain", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stderr if code else result.stdout


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    hooked_run(logdir / "run", patience=2)
    return logdir


def test_every_reduction_is_explained_with_what_it_would_have_taken(logdir):
    text = explain(logdir)
    assert text.count("-> LR") == 3
    assert "step 7: 0.7 did not beat 0.6899 (best 0.69 - 0.01%): bad step 3 of 2 -> LR 0.1" in text
    assert "the best, 0.69, was reached at step 4, 3 scheduler step(s) before" in text
    assert "a metric below 0.689931 would have been an improvement" in text


def test_the_longest_waits_that_ended_well_are_told(logdir):
    assert "step 13: an improvement after 1 bad step(s) of the 2 that are forgiven" in explain(
        logdir
    )


def test_a_step_says_why_not_yet_and_when(logdir):
    text = explain(logdir, "--step", "6")
    assert "step 6: 0.7 did not beat 0.6899" in text
    assert "it fires after 1 more bad step(s) in a row" in text
    assert "-> LR" not in text


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """A metric that never improves: it fires at every second step from the third on, 30 times."""
    logdir = tmp_path_factory.mktemp("long")
    hooked_run(logdir / "run", metric=[1.0] * 61, patience=1, factor=0.5)
    return logdir


def test_of_many_reductions_the_first_and_the_last_are_told_and_the_rest_is_counted(long_run):
    text = explain(long_run)
    told = re.findall(r"step (\d+): 1 did not beat .* -> ", text)
    assert told == ["3", "5", "59", "61"]
    line = "  steps 7 to 57: it fired 26 more times, 5 of them without changing an LR\n"
    assert line in text
    assert text.endswith(
        "not all is told: --run NAME --step N explains one step, --all everything\n"
    )


def test_all_is_told_where_all_is_asked_for(long_run):
    text = explain(long_run, "--all")
    assert text.count("-> LR") == 23
    assert "not all is told" not in text


def test_one_reduction_between_the_others_is_told_not_counted(tmp_path):
    hooked_run(tmp_path, metric=[1.0] * 11, patience=1, factor=0.5)
    text = explain(tmp_path)
    assert text.count("-> LR") == 5
    assert "not all is told" not in text


def test_of_many_runs_the_first_are_explained_and_the_others_get_a_line_each(tmp_path):
    for number in range(10):
        hooked_run(tmp_path / f"run{number}", patience=2)
    text = explain(tmp_path)
    assert text.count("the best, 0.69, was reached") == 8
    line = "run9: 16 of 16 steps reproduced exactly; fired at 7, 11, 16\n"
    assert line in text
    assert "not all is told" in text
    text = explain(tmp_path, "--all")
    assert text.count("the best, 0.69, was reached") == 10
    assert line not in text


def test_runs_that_cannot_be_explained_are_counted_beside_those_that_can(tmp_path):
    hooked_run(tmp_path / "good", patience=2)
    for number in range(3):
        plain_run(tmp_path / f"plain{number}", patience=99)
    text = explain(tmp_path)
    assert "plain0: the LR never falls" in text
    assert "plain1" not in text
    assert "2 more runs cannot be explained; `plateau-watch replay` says why of each" in text


def test_a_run_says_where_it_stands_at_its_end(tmp_path):
    hooked_run(tmp_path, metric=[1.0, 2.0, 2.0], patience=4)
    text = explain(tmp_path)
    assert "the scheduler never fired" in text
    assert "step 3: 2 did not beat 0.9999" in text
    assert "it fires after 3 more bad step(s) in a row" in text


def test_foreign_logs_are_explained_too(tmp_path):
    plain_run(tmp_path / "run", patience=2)
    text = explain(tmp_path, "--metric", "val/loss", "--lr", "lr")
    assert text.count("-> LR") == 3


def test_a_log_that_nothing_reproduces_is_not_explained(tmp_path):
    plain_run(tmp_path / "run", patience=2)
    said = ("--metric", "val/loss", "--lr", "lr", "--ran-with", "patience=9")
    assert "its decisions cannot be told" in explain(tmp_path, *said)


def test_a_step_that_is_not_there_names_the_nearest(logdir):
    line = explain(logdir, "--step", "99", code=2)
    assert "no scheduler step at 99; the nearest are at 13, 14, 15, 16" in line
    assert line.count("\n") == 1


def test_an_explanation_of_a_foreign_log_says_what_it_rests_on(tmp_path):
    plain_run(tmp_path, patience=2)
    text = explain(tmp_path)
    assert "config: mode=min factor=0.1 patience=2" in text
    assert "(fitted)" in text
    assert "metric: val/loss, 16 points" in text
    assert "logged after the scheduler's step" in text
    assert "or, with LRs logged before the step, a set whose simplest member is" in text


def test_what_the_hook_recorded_rests_on_nothing_else(logdir):
    assert "config:" not in explain(logdir)

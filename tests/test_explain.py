"""`plateau-watch explain`: why the LR changed at a step, or why it did not yet."""

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

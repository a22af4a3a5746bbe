"""A run that goes on from another one, in a directory of its own: read together, or alone."""

import json

import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.commands import main
from tests.runs import lr_of, scheduler_for
from tests.test_any_log import falling

JOINED = (
    "it goes on from run 'first': the two are read as one, its own points from step 30 on; "
    "--alone reads it by itself"
)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """A training of 60 steps that was stopped after 30 and resumed, scheduler and all."""
    logdir = tmp_path_factory.mktemp("resumed")
    scheduler = scheduler_for(patience=2, factor=0.5)
    metric = falling(seed=3)
    for name, steps in (("first", range(30)), ("second", range(30, 60))):
        with SummaryWriter(str(logdir / name)) as writer:
            for step in steps:
                writer.add_scalar("lr", lr_of(scheduler), step, walltime=step)
                writer.add_scalar("val_loss", metric[step], step, walltime=step)
                scheduler.step(metric[step])
    return logdir


def as_json(command, *arguments):
    result = CliRunner().invoke(main, [command, *map(str, arguments), "--format", "json"])
    assert result.exit_code == 0, result.output
    return {run["run"]: run for run in json.loads(result.stdout)["runs"]}


def test_it_is_read_with_the_one_before_and_that_is_said_and_how_to_undo_it(logdir):
    runs = as_json("replay", logdir)
    assert runs["second"]["metric"]["points"] == 60
    assert runs["second"]["config"]["patience"] == 2
    assert JOINED in runs["second"]["warnings"]
    assert not any("goes on from" in line for line in runs["first"]["warnings"])


@pytest.mark.parametrize("command", ["replay", "fit"])
def test_alone_it_begins_with_its_own_points(logdir, command):
    run = as_json(command, logdir, "--alone", "--run", "second")["second"]
    assert not any("goes on from" in line for line in run["warnings"])
    if command == "replay":
        assert (run["metric"]["first_step"], run["metric"]["points"]) == (30, 30)


@pytest.mark.parametrize("command", ["replay", "fit"])
def test_a_logdirs_own_file_can_say_it_of_some_runs(logdir, command):
    file = logdir / "plateau-watch.toml"
    try:
        file.write_text('[[runs]]\nmatch = "second"\nalone = true\n')
        assert JOINED not in as_json(command, logdir)["second"]["warnings"]
        file.write_text('[[runs]]\nmatch = "second"\nalone = false\n')
        assert JOINED in as_json(command, logdir)["second"]["warnings"]
        file.write_text("[[runs]]\nalone = 1\n")
        result = CliRunner().invoke(main, [command, str(logdir)])
        assert result.exit_code == 2
        assert "alone must be true or false, got 1" in result.stderr
    finally:
        file.unlink()


def test_what_the_hook_recorded_is_alone_anyway_and_nothing_is_said_of_it(pytestconfig):
    logs = pytestconfig.rootpath / "replay_logs"
    (run,) = as_json("replay", logs, "--run", "hooked/seed0", "--alone").values()
    assert not any("not used" in line for line in run["warnings"])


def test_one_that_went_on_twice_is_read_with_all_before_it(tmp_path):
    """The state came along both times: only from its beginning does the scheduler make sense."""
    scheduler = scheduler_for(patience=4, factor=0.5)
    metric = falling(seed=5, noise=0.1)
    for name, steps in (("a", range(20)), ("b", range(20, 40)), ("c", range(40, 60))):
        with SummaryWriter(str(tmp_path / name)) as writer:
            for step in steps:
                writer.add_scalar("lr", lr_of(scheduler), step, walltime=step)
                writer.add_scalar("val_loss", metric[step], step, walltime=step)
                scheduler.step(metric[step])
    run = as_json("replay", tmp_path)["c"]
    assert run["metric"]["points"] == 60
    assert run["config"]["patience"] == 4
    assert run["parity"]["mismatches"] == 0
    assert any(
        line.startswith("it goes on from run 'a', 'b': they are") for line in run["warnings"]
    )

"""A training resumed without its scheduler's state: a fresh one, where the log has a seam."""

import json
import random

import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.commands import main
from plateau_watch.config import PlateauConfig
from plateau_watch.detection import detect
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.replay import replay
from plateau_watch.scheduler import PlateauState
from tests.runs import lr_of, scheduler_for
from tests.test_any_log import falling, logged

SEAM = 37
TIMES = [*range(SEAM), *range(1000, 1000 + 80 - SEAM)]


def resumed(metric, config, *, lr=None):
    """The LRs after each step: of one scheduler, and of a fresh one from the seam on."""
    first = replay(config, metric[:SEAM], PlateauState.initial(config, (0.1,)))
    lrs = first.states[-1].lrs if lr is None else (lr,)
    second = replay(config, metric[SEAM:], PlateauState.initial(config, lrs))
    return [decision.new_lrs[0] for trace in (first, second) for decision in trace.decisions]


def noisy(seed):
    rng = random.Random(seed)
    return [0.5 + rng.gauss(0, 0.1) - step / 1000 for step in range(80)]


NEED_IT = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
"""Seeds of trainings that no scheduler with its state kept explains; that of 5 it does."""


@pytest.mark.parametrize("seed", NEED_IT)
@pytest.mark.parametrize(
    "lr", [None, 0.1], ids=["the optimizer's LR is kept", "the LR starts anew"]
)
def test_it_is_explained_with_a_fresh_scheduler_at_the_seam(seed, lr):
    metric, config = noisy(seed), PlateauConfig(patience=3, factor=0.5)
    series = [
        logged("val_loss", metric, times=TIMES),
        logged("lr", resumed(metric, config, lr=lr), times=TIMES),
    ]
    found = detect(series, seams=[1000.0]).fitted[0].recording
    assert found.config.patience == 3
    assert any(f"a fresh scheduler began before step {SEAM}" in line for line in found.guesses)
    trace = replay(found.config, found.metric, found.start, found.changes)
    assert [decision.new_lrs[0] for decision in trace.decisions] == pytest.approx(
        resumed(metric, config, lr=lr), rel=1e-12
    )


def test_without_a_seam_an_lr_that_rises_is_refused():
    metric, config = noisy(0), PlateauConfig(patience=3, factor=0.5)
    series = [logged("val_loss", metric), logged("lr", resumed(metric, config, lr=0.1))]
    with pytest.raises(NotEnoughToldError, match=r"the LR rises at step 37: no plateau does that"):
        detect(series)


def test_a_resume_that_kept_the_state_needs_no_fresh_scheduler():
    metric, config = falling(1, 80), PlateauConfig(patience=3, factor=0.5)
    trace = replay(config, metric, PlateauState.initial(config, (0.1,)))
    lrs = [decision.new_lrs[0] for decision in trace.decisions]
    series = [logged("val_loss", metric, times=TIMES), logged("lr", lrs, times=TIMES)]
    found = detect(series, seams=[1000.0]).fitted[0].recording
    assert found.config.patience == 3
    assert found.changes == ()


def write(directory, metric, config, steps, lr):
    """A training that logs its LR after each step; returns the LR it was left with."""
    with SummaryWriter(str(directory)) as writer:
        scheduler = scheduler_for(lr=lr, **config)
        for step in steps:
            scheduler.step(metric[step])
            writer.add_scalar("val/loss", metric[step], step)
            writer.add_scalar("lr", lr_of(scheduler), step)
    return lr_of(scheduler)


def test_files_of_one_directory_have_a_seam(tmp_path):
    """As a script does that is started again: it loads the model and makes a new scheduler."""
    metric, config = noisy(1), {"patience": 3, "factor": 0.5}
    lr = write(tmp_path / "run", metric, config, range(SEAM), 0.1)
    write(tmp_path / "run", metric, config, range(SEAM, 80), lr)
    result = CliRunner().invoke(main, ["replay", str(tmp_path), "--format", "json"])
    assert result.exit_code == 0, result.output
    (run,) = json.loads(result.stdout)["runs"]
    assert run["parity"]["mismatches"] == 0
    assert run["config"]["patience"] == 3
    assert any(f"a fresh scheduler began before step {SEAM}" in line for line in run["guesses"])


def test_a_training_that_goes_on_in_another_directory_has_one_too(tmp_path):
    metric, config = noisy(2), {"patience": 3, "factor": 0.5}
    lr = write(tmp_path / "first", metric, config, range(SEAM), 0.1)
    write(tmp_path / "second", metric, config, range(SEAM, 80), lr)
    result = CliRunner().invoke(
        main, ["replay", str(tmp_path), "--run", "second", "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    (run,) = json.loads(result.stdout)["runs"]
    assert run["parity"]["mismatches"] == 0
    assert run["config"]["patience"] == 3

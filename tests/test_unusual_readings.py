"""Logs that only an unusual reading explains: it is found out, said, and believed with reason."""

import random

import pytest

from plateau_watch.config import PlateauConfig
from plateau_watch.detection import detect
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.parity import parity
from plateau_watch.reading import Reading
from plateau_watch.replay import replay
from tests.test_any_log import falling, logged, lrs_of

CONFIG = PlateauConfig(patience=4, factor=0.5)


def noisy(seed, steps=120):
    rng = random.Random(seed)
    return [0.5 + rng.gauss(0, 0.1) - step / 1000 for step in range(steps)]


def found(metric, lrs, **said):
    detection = detect([logged("val_loss", metric), logged("lr", lrs)], **said)
    recording = detection.fitted[0].recording
    trace = replay(recording.config, recording.metric, recording.start, recording.changes)
    assert parity(recording, trace).exact
    return detection, recording


@pytest.mark.parametrize("seed", range(5))
def test_a_sanity_check_before_the_training_is_no_step_of_the_scheduler(seed):
    """Its loss is below all others: had the scheduler seen it, nothing would improve."""
    metric = noisy(seed)
    _, recording = found([0.01, *metric], [0.1, *lrs_of(metric, CONFIG)[1:]])
    assert recording.config.patience == 4
    assert "the scheduler never saw the first 1 metric point(s)" in recording.guesses


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_scheduler_that_saw_every_kth_point(every):
    metric = noisy(1, 60 * every)
    seen = lrs_of(metric[every - 1 :: every], CONFIG)[1:]
    before = [0.1] * (every - 1)
    lrs = [*before, *(lr for lr in seen for _ in range(every))][: len(metric)]
    detection, recording = found(metric, lrs)
    assert recording.config.patience == 4
    ordinal = {2: "2nd", 3: "3rd", 5: "5th"}[every]
    assert f"the scheduler saw every {ordinal} metric point only" in recording.guesses
    assert any("no usual way to read it explains this log" in each for each in detection.findings)


@pytest.mark.parametrize("times", [2, 4])
def test_a_scheduler_that_each_process_stepped(times):
    """accelerate steps a scheduler once for each process, each time with the same metric."""
    metric, config = noisy(4), PlateauConfig(patience=10, factor=0.5)
    repeated = [value for value in metric for _ in range(times)]
    _, recording = found(metric, lrs_of(repeated, config)[times::times])
    assert recording.config.patience == 10
    assert f"the scheduler stepped {times} times on each metric point" in recording.guesses


def test_a_scheduler_that_saw_stale_metrics():
    metric = noisy(2)
    lrs = [0.1, *lrs_of(metric, CONFIG)[:-2]]
    _, recording = found(metric, lrs)
    assert recording.config.patience == 4
    assert any("the scheduler saw each metric one step late" in line for line in recording.guesses)


def test_where_a_reading_is_said_no_other_is_looked_for():
    metric = noisy(1)
    with pytest.raises(NotEnoughToldError, match="no plateau configuration explains this LR"):
        found([0.01, *metric], [0.1, *lrs_of(metric, CONFIG)[1:]], said=Reading(repeat=2))


def test_an_lr_that_falls_evenly_is_not_read_unusually():
    """Every tenth step is what a plan does: to see every tenth metric explains it too well."""
    plan = [0.1 * 0.1 ** (step // 10) for step in range(60)]
    with pytest.raises(NotEnoughToldError, match="no plateau configuration explains this LR"):
        found(falling(3), plan)

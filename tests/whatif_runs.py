"""Helpers of the what-if tests: logs with known wall times, the command, and LRs as shown."""

import numpy as np
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.commands import main
from tests.hooked_runs import (
    METRIC,
    scheduler_with,
)
from tests.torch_oracle import lrs_of

STARTED = 1_700_000_000.25
"""Wall time of the first point of a plain run; one point a minute."""

LONG_METRIC = [1.0, *([0.5] * 4), 0.25, *([0.25] * 8), 0.125, *([0.5] * 1200)]
"""Longer than what TensorBoard samples away (1,000 points), with many reductions."""


def replay(logdir, directory, *options, code=0):
    """Run `plateau-watch replay LOGDIR --tensorboard DIR`."""
    arguments = ["replay", logdir, "--tensorboard", directory, *options]
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def hooked_run(directory, metric=METRIC, names=None, **parameters):
    scheduler = scheduler_with(names=names, **parameters)
    with SummaryWriter(str(directory)) as writer, watch(scheduler, writer):
        for value in metric:
            scheduler.step(value)


def plain_run(directory, metric=METRIC, logged="after", **parameters):
    """A training that is not watched and logs with add_scalar."""
    scheduler = scheduler_with(**parameters)
    with SummaryWriter(str(directory)) as writer:
        for step, value in enumerate(metric):
            at = STARTED + 60 * step
            writer.add_scalar("val/loss", value, step, walltime=at)
            if logged == "before":
                writer.add_scalar("lr", lrs_of(scheduler)[0], step, walltime=at + 1)
            scheduler.step(value)
            if logged == "after":
                writer.add_scalar("lr", lrs_of(scheduler)[0], step, walltime=at + 1)


SAID = """
[[runs]]
metric = "val/loss"
lr = "lr"
ran-with = { patience = 1 }
"""


def as_shown(lrs):
    return [float(np.float32(lr)) for lr in lrs]

"""Helpers to make small logs with torch's own writer, as a user's training does."""

from pathlib import Path

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

import plateau_watch

METRIC = [1.0, 0.8, 0.7, 0.69, 0.71, 0.7, 0.7, 0.65, 0.66, 0.67, 0.66, 0.66, 0.64, 0.66, 0.65, 0.66]
"""With patience=2: reduced at the 7th and 11th step, among others."""


def scheduler_for(lr=0.1, groups=1, **config):
    params = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    return ReduceLROnPlateau(torch.optim.SGD(params, lr=lr), **config)


def lr_of(scheduler, group=0):
    return float(scheduler.optimizer.param_groups[group]["lr"])


def hooked_run(directory: Path, metric=METRIC, **config) -> Path:
    """A training that is watched."""
    with SummaryWriter(str(directory)) as writer:
        scheduler = scheduler_for(**config)
        with plateau_watch.watch(scheduler, writer):
            for value in metric:
                scheduler.step(value)
    return directory


def plain_run(
    directory: Path, metric=METRIC, logged="after", metric_tag="val/loss", **config
) -> Path:
    """The same training, logged with add_scalar only."""
    with SummaryWriter(str(directory)) as writer:
        scheduler = scheduler_for(**config)
        for step, value in enumerate(metric):
            writer.add_scalar(metric_tag, value, step)
            if logged == "before":
                writer.add_scalar("lr", lr_of(scheduler), step)
            scheduler.step(value)
            if logged == "after":
                writer.add_scalar("lr", lr_of(scheduler), step)
    return directory

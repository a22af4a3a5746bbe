"""ignite with idist.Parallel, which starts the ranks itself."""

import json
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from ignite.handlers import ReduceLROnPlateauScheduler, global_step_from_engine
from ignite.handlers.tensorboard_logger import TensorboardLogger
from three_trainings import train_three_times

from plateau_watch.integrations.ignite import PlateauWatch


def train(metric, logdir, watch):
    rank = idist.get_rank()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    trainer, evaluator = Engine(lambda *_: 0.0), Engine(lambda *_: 0.0)
    values, lrs = iter(metric), []

    @evaluator.on(Events.COMPLETED)
    def measure():
        shift = 0.25 if rank else -0.25
        seen = torch.tensor(next(values) + shift, dtype=torch.float64)
        evaluator.state.metrics["loss"] = idist.all_reduce(seen).item() / 2

    scheduler = ReduceLROnPlateauScheduler(optimizer, "loss", trainer=trainer, patience=1)
    evaluator.add_event_handler(Events.COMPLETED, scheduler)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda: lrs.append(optimizer.param_groups[0]["lr"])
    )
    with TensorboardLogger(logdir) if logdir and rank == 0 else nullcontext() as logger:
        if logger:
            logger.attach_output_handler(
                evaluator,
                event_name=Events.COMPLETED,
                tag="validation",
                metric_names=["loss"],
                global_step_transform=global_step_from_engine(trainer),
            )
        if watch:
            watch.attach(trainer, evaluator)
        trainer.run([0], max_epochs=len(metric))
    return lrs


def on_each_rank(_, directory, metric):
    train_three_times(
        directory,
        idist.get_rank,
        partial(train, metric),
        PlateauWatch,
    )


if __name__ == "__main__":
    with idist.Parallel(backend="gloo", nproc_per_node=2, start_method="fork") as parallel:
        parallel.run(on_each_rank, Path(sys.argv[1]), json.loads(sys.argv[2]))

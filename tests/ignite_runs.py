"""What the tests of ignite's handler share: two engines with a scripted metric, and their training.

ignite is imported here, since that gives warnings.
"""

import warnings

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tests.framework_runs import METRIC, PATIENCE

with warnings.catch_warnings():
    # Importing ignite meets deprecations of its own dependencies.
    warnings.simplefilter("ignore")
    from ignite.engine import Engine, Events
    from ignite.handlers import ReduceLROnPlateauScheduler, global_step_from_engine
    from ignite.handlers.base_logger import BaseLogger
    from ignite.handlers.tensorboard_logger import TensorboardLogger

    from plateau_watch.integrations.ignite import PlateauWatch

__all__ = ["BaseLogger", "Engine", "Events", "PlateauWatch", "TensorboardLogger"]

BATCHES = 3
"""In an epoch."""

EPOCHS = len(METRIC)


class Training:
    """A trainer and an evaluator whose metric is METRIC, one value for each evaluation."""

    def __init__(self, metric=METRIC, scheduler="ignite", lr=0.1):
        self.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
        self.trainer = Engine(lambda *_: 0.0)
        self.evaluator = Engine(lambda *_: 0.0)
        self.metric = iter(metric)
        self.lrs = []
        self.evaluator.add_event_handler(Events.COMPLETED, self.measure)
        self.scheduler = None
        if scheduler == "ignite":
            self.scheduler = self.add_scheduler()
        elif scheduler == "own":
            self.scheduler = ReduceLROnPlateau(self.optimizer, patience=PATIENCE)
            self.evaluator.add_event_handler(
                Events.COMPLETED, lambda engine: self.scheduler.step(engine.state.metrics["loss"])
            )
        self.trainer.add_event_handler(Events.EPOCH_STARTED, self.note_lr)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: self.evaluator.run([0]))

    def add_scheduler(self, **parameters):
        scheduler = ReduceLROnPlateauScheduler(
            self.optimizer, "loss", trainer=self.trainer, patience=PATIENCE, **parameters
        )
        self.evaluator.add_event_handler(Events.COMPLETED, scheduler)
        return scheduler

    def add_group(self, lr):
        group = {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr}
        self.optimizer.add_param_group(group)

    def step_at(self, event):
        """Attach a scheduler to the trainer, on a metric of its own."""
        self.trainer.add_event_handler(event, self.measure_own)
        scheduler = ReduceLROnPlateauScheduler(self.optimizer, "own", trainer=self.trainer)
        self.trainer.add_event_handler(event, scheduler)

    def measure_own(self):
        self.trainer.state.metrics["own"] = 1.0

    def measure(self, engine):
        engine.state.metrics["loss"] = next(self.metric)

    def note_lr(self):
        self.lrs.append(self.optimizer.param_groups[0]["lr"])

    def log_to(
        self, logger, axis=Events.EPOCH_COMPLETED, event=Events.COMPLETED, metrics=("loss",)
    ):
        self.logger = logger
        logger.attach_output_handler(
            self.evaluator,
            event_name=event,
            tag="validation",
            metric_names=metrics if metrics == "all" else list(metrics),
            global_step_transform=global_step_from_engine(self.trainer, axis),
        )

    def run(self, epochs=EPOCHS):
        self.trainer.run([0] * BATCHES, max_epochs=epochs)


def watched(directory, training=None, watch=None, epochs=EPOCHS, **log):
    """Train with the handler."""
    training = training or Training()
    with TensorboardLogger(str(directory)) as logger:
        training.log_to(logger, **log)
        (watch or PlateauWatch()).attach(training.trainer, training.evaluator)
        training.run(epochs)
    return training


def states(scheduler):
    """The state of a scheduler, without the method of its own that ignite puts there."""
    return {name: value for name, value in scheduler.state_dict().items() if name != "_reduce_lr"}

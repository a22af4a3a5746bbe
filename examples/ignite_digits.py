"""Train the small CNN with pytorch-ignite, with a handler that makes its scheduler explain itself.

    python examples/ignite_digits.py
    plateau-watch replay runs/ignite_digits

That handler is `PlateauWatch()`. With `--plain` the log is only what ignite's TensorboardLogger
writes as its documentation attaches it: the LR of every few iterations on the axis of iterations,
the validation's metrics on the axis of epochs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from digits_cnn import NOISE, SmallCNN, load_split_digits, make_reproducible
from ignite.engine import Engine, Events, create_supervised_evaluator
from ignite.handlers import ReduceLROnPlateauScheduler, global_step_from_engine
from ignite.handlers.tensorboard_logger import TensorboardLogger
from ignite.metrics import Accuracy, Loss
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from plateau_watch.integrations.ignite import PlateauWatch

LOG_EVERY = 5
"""Iterations from one logged LR to the next."""


def main() -> None:
    """Train as the command line says."""
    options = parse_options()
    make_reproducible(options.seed)
    digits = load_split_digits()
    training = TensorDataset(digits.train_images, digits.train_labels)
    validation = DataLoader(TensorDataset(digits.val_images, digits.val_labels), batch_size=120)
    model = SmallCNN()
    optimizer = AdamW(model.parameters(), lr=options.lr)
    trainer = trainer_of(model, optimizer)
    evaluator = create_supervised_evaluator(
        model, metrics={"accuracy": Accuracy(), "loss": Loss(cross_entropy)}
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(validation))
    evaluator.add_event_handler(Events.COMPLETED, scheduler_of(optimizer, trainer, options))
    with TensorboardLogger(str(options.logdir)) as logger:
        log_with(logger, trainer, evaluator, optimizer)
        if not options.plain:
            PlateauWatch().attach(trainer, evaluator)
        trainer.run(
            DataLoader(training, batch_size=options.batch_size, shuffle=True),
            max_epochs=options.epochs,
        )


def trainer_of(model: SmallCNN, optimizer: Optimizer) -> Engine:
    """Return an engine that trains on noisy images."""

    def train_on(_: Engine, batch: tuple[Tensor, Tensor]) -> float:
        images, labels = batch
        model.train()
        loss = cross_entropy(model(images + NOISE * torch.randn_like(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Engine(train_on)


def scheduler_of(
    optimizer: Optimizer, trainer: Engine, options: argparse.Namespace
) -> ReduceLROnPlateauScheduler:
    """Return ignite's wrapper of torch's scheduler; it steps when an evaluation is completed."""
    return ReduceLROnPlateauScheduler(
        optimizer,
        metric_name="accuracy",
        trainer=trainer,
        mode="max",
        factor=options.factor,
        patience=options.patience,
    )


def log_with(
    logger: TensorboardLogger, trainer: Engine, evaluator: Engine, optimizer: Optimizer
) -> None:
    """Log training loss and LR by iteration, and the validation's metrics by epoch."""
    logger.attach_output_handler(
        trainer,
        event_name=Events.ITERATION_COMPLETED(every=LOG_EVERY),
        tag="training",
        output_transform=lambda loss: {"loss": loss},
    )
    logger.attach_opt_params_handler(
        trainer, event_name=Events.ITERATION_STARTED(every=LOG_EVERY), optimizer=optimizer
    )
    logger.attach_output_handler(
        evaluator,
        event_name=Events.COMPLETED,
        tag="validation",
        metric_names=["accuracy", "loss"],
        global_step_transform=global_step_from_engine(trainer),
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train a small CNN on scikit-learn's digits with pytorch-ignite.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--logdir", type=Path, default=Path("runs/ignite_digits"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-2, help="LR to start with")
    parser.add_argument("--factor", type=float, default=0.25)
    parser.add_argument("--patience", type=int, default=4)
    parser.add_argument("--plain", action="store_true", help="leave PlateauWatch out")
    return parser.parse_args()


if __name__ == "__main__":
    main()

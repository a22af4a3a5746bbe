"""Train the small CNN with Lightning, with a callback that makes its scheduler explain itself.

    python examples/lightning_digits.py
    plateau-watch replay runs/lightning_digits

That callback is `PlateauWatch()`. With `--plain` the log is only what Lightning itself writes:
TensorBoardLogger, LearningRateMonitor. The monitor logs the LR when an epoch begins, so a cut shows
at the next one, and a cut after the last not at all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from digits_cnn import NOISE, SmallCNN, load_split_digits
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from plateau_watch.integrations.lightning import PlateauWatch


class Digits(LightningModule):
    """The CNN, its loss, its optimizer and its scheduler."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.model = SmallCNN()
        self.options = options

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of one batch of noisy images."""
        images, labels = batch
        loss = cross_entropy(self.model(images + NOISE * torch.randn_like(images)), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Log loss and accuracy on the validation images."""
        images, labels = batch
        logits = self.model(images)
        self.log("val_loss", cross_entropy(logits, labels))
        self.log("val_acc", (logits.argmax(dim=1) == labels).float().mean())

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer, and the scheduler with the metric it is to watch."""
        optimizer = AdamW(self.parameters(), lr=self.options.lr)
        scheduler = ReduceLROnPlateau(
            optimizer,
            factor=self.options.factor,
            patience=self.options.patience,
            cooldown=self.options.cooldown,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"},
        }


def main() -> None:
    """Train as the command line says."""
    options = parse_options()
    torch.set_num_threads(1)
    seed_everything(options.seed, verbose=False)
    digits = load_split_digits()
    training = TensorDataset(digits.train_images, digits.train_labels)
    validation = TensorDataset(digits.val_images, digits.val_labels)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=options.epochs,
        logger=TensorBoardLogger(options.logdir),
        callbacks=callbacks(options),
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(
        Digits(options),
        DataLoader(training, batch_size=options.batch_size, shuffle=True),
        DataLoader(validation, batch_size=len(validation)),
    )


def callbacks(options: argparse.Namespace) -> list[Callback]:
    """Return the callbacks of the training."""
    monitor = LearningRateMonitor(logging_interval="epoch")
    return [monitor] if options.plain else [monitor, PlateauWatch()]


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train a small CNN on scikit-learn's digits with Lightning.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--logdir", type=Path, default=Path("runs/lightning_digits"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-2, help="LR to start with")
    parser.add_argument("--factor", type=float, default=0.5)
    parser.add_argument("--patience", type=int, default=4)
    parser.add_argument("--cooldown", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="leave PlateauWatch out")
    return parser.parse_args()


if __name__ == "__main__":
    main()

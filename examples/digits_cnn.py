"""Train a small CNN on handwritten digits, with one line that makes its scheduler explain itself.

That line is `plateau_watch.watch(scheduler, writer)`. Everything else is a training like any
other: AdamW, ReduceLROnPlateau on the validation loss, a SummaryWriter. The images are
scikit-learn's digits, 1797 real ones of 8x8 pixels that come with the package, so nothing is
downloaded. It takes about ten seconds on one CPU core.

    python examples/digits_cnn.py
    plateau-watch replay runs/digits_cnn

With `--plain` the same training runs without that line and logs two curves by hand, as logs made
before plateau-watch do.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

import plateau_watch

NOISE = 0.3
"""Standard deviation of the noise added to training images: it makes the task worth 60 epochs."""

LrLogged = Literal["before", "after"]
"""Whether the logged LR is read before the scheduler's step or after it: people do both."""


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters of one training."""

    seed: int = 0
    epochs: int = 60
    batch_size: int = 32
    lr: float = 1e-2
    factor: float = 0.3
    patience: int = 3
    min_lr: float = 3e-5


@dataclass(frozen=True)
class Digits:
    """The images and their labels, split for training and validation."""

    train_images: Tensor
    train_labels: Tensor
    val_images: Tensor
    val_labels: Tensor


class SmallCNN(nn.Module):
    """Two convolutions and a linear layer: about 10,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(32 * 4 * 4, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images."""
        logits: Tensor = self.head(self.body(images))
        return logits


def main() -> None:
    """Train as the command line says."""
    options = parse_options()
    settings = Settings(
        seed=options.seed,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        factor=options.factor,
        patience=options.patience,
        min_lr=options.min_lr,
    )
    run(settings, options.logdir, plain=options.plain, lr_logged=options.lr_logged)
    command = replay_command(settings, options.logdir, plain=options.plain)
    print(f"\nNow ask the scheduler why:\n  {command}")


def run(
    settings: Settings, logdir: Path, *, plain: bool = False, lr_logged: LrLogged = "before"
) -> None:
    """Train once and log it.

    Args:
        settings: the hyper-parameters.
        logdir: where the event file goes.
        plain: leave the hook out, and log the validation loss and the LR only.
        lr_logged: when to read the LR that is logged.
    """
    make_reproducible(settings.seed)
    model = SmallCNN()
    optimizer = AdamW(model.parameters(), lr=settings.lr)
    scheduler = ReduceLROnPlateau(
        optimizer, factor=settings.factor, patience=settings.patience, min_lr=settings.min_lr
    )
    with SummaryWriter(str(logdir)) as writer:
        if not plain:
            plateau_watch.watch(scheduler, writer)  # this is all there is to add
        fit(model, optimizer, scheduler, writer, settings, plain=plain, lr_logged=lr_logged)


def fit(
    model: SmallCNN,
    optimizer: Optimizer,
    scheduler: ReduceLROnPlateau,
    writer: SummaryWriter,
    settings: Settings,
    *,
    plain: bool = False,
    lr_logged: LrLogged = "before",
) -> None:
    """Train for all epochs; the scheduler takes one step after each, on the validation loss."""
    digits = load_split_digits()
    for epoch in range(1, settings.epochs + 1):
        train_loss = train_one_epoch(model, optimizer, digits, settings.batch_size)
        val_loss, val_accuracy = evaluate(model, digits)

        lr_before = optimizer.param_groups[0]["lr"]
        scheduler.step(val_loss)
        lr_after = optimizer.param_groups[0]["lr"]

        writer.add_scalar("val/loss", val_loss, epoch)
        writer.add_scalar("lr", lr_before if lr_logged == "before" else lr_after, epoch)
        if not plain:
            writer.add_scalar("train/loss", train_loss, epoch)
            writer.add_scalar("val/accuracy", val_accuracy, epoch)
        if epoch % 10 == 0 or epoch == settings.epochs:
            print(
                f"epoch {epoch:3}  train loss {train_loss:.4f}  val loss {val_loss:.4f}  "
                f"val accuracy {val_accuracy:.1%}  next LR {lr_after:.3g}"
            )


def train_one_epoch(
    model: SmallCNN, optimizer: Optimizer, digits: Digits, batch_size: int
) -> float:
    """Go once through the training images, in a new order, and return the mean loss."""
    model.train()
    total = 0.0
    for batch in torch.randperm(len(digits.train_images)).split(batch_size):
        images = digits.train_images[batch]
        noisy = images + NOISE * torch.randn_like(images)
        loss = cross_entropy(model(noisy), digits.train_labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(digits.train_images)


@torch.no_grad()
def evaluate(model: SmallCNN, digits: Digits) -> tuple[float, float]:
    """Return loss and accuracy on the validation images, which get no noise."""
    model.eval()
    logits = model(digits.val_images)
    loss = cross_entropy(logits, digits.val_labels).item()
    accuracy = (logits.argmax(dim=1) == digits.val_labels).float().mean().item()
    return loss, accuracy


def load_split_digits() -> Digits:
    """Load the digits, four fifths for training; the split does not depend on the seed."""
    images, labels = load_digits(return_X_y=True)
    train_images, val_images, train_labels, val_labels = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=0
    )
    return Digits(
        train_images=as_images(train_images),
        train_labels=torch.as_tensor(train_labels),
        val_images=as_images(val_images),
        val_labels=torch.as_tensor(val_labels),
    )


def as_images(rows: object) -> Tensor:
    """Return rows of 64 grey values from 0 to 16 as images with values from 0 to 1."""
    return torch.as_tensor(rows, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16


def make_reproducible(seed: int) -> None:
    """Make two runs of one seed equal; more threads would add up in another order."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)


def replay_command(settings: Settings, logdir: Path, *, plain: bool) -> str:
    """Return the command that explains a run; a plain log needs to be told what it lacks."""
    command = f"plateau-watch replay {shlex.quote(str(logdir))}"
    if plain:
        command += (
            " --metric val/loss --lr lr --ran-with "
            f"factor={settings.factor},patience={settings.patience},min_lr={settings.min_lr}"
        )
    return command


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train a small CNN on scikit-learn's digits and watch its scheduler.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--logdir", type=Path, default=Path("runs/digits_cnn"))
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    parser.add_argument("--batch-size", type=int, default=Settings.batch_size)
    parser.add_argument("--lr", type=float, default=Settings.lr, help="LR to start with")
    parser.add_argument("--factor", type=float, default=Settings.factor)
    parser.add_argument("--patience", type=int, default=Settings.patience)
    parser.add_argument("--min-lr", type=float, default=Settings.min_lr)
    parser.add_argument(
        "--plain", action="store_true", help="leave the hook out; log only val/loss and lr"
    )
    parser.add_argument(
        "--lr-logged",
        choices=("before", "after"),
        default="before",
        help="log the LR as it was before the scheduler's step, or as it is after it",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

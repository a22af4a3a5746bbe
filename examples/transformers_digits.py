"""Train a tiny transformer with Hugging Face's Trainer, and make its scheduler explain itself.

    python examples/transformers_digits.py
    plateau-watch replay runs/transformers_digits

It is the callback `PlateauWatch()` that does. The model is built from a configuration, so nothing
is downloaded. With `--plain` the log is only what Trainer itself writes: `train/learning_rate` is
logged before the evaluation that may cut it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from digits_cnn import NOISE, load_split_digits
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
    set_seed,
)

from plateau_watch.integrations.transformers import PlateauWatch


class Images(Dataset[dict[str, Tensor]]):
    """Images and labels under the names that the model gives them."""

    def __init__(self, images: Tensor, labels: Tensor, noise: float) -> None:
        self.images = images
        self.labels = labels
        self.noise = noise

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return one image, with new noise each time it is asked for, and its label."""
        image = self.images[index]
        noisy = image + self.noise * torch.randn_like(image)
        return {"pixel_values": noisy, "labels": self.labels[index]}


def main() -> None:
    """Train as the command line says."""
    options = parse_options()
    torch.set_num_threads(1)
    set_seed(options.seed)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(options.logdir)
    digits = load_split_digits()
    trainer = Trainer(
        model=tiny_transformer(),
        args=arguments(options),
        train_dataset=Images(digits.train_images, digits.train_labels, NOISE),
        eval_dataset=Images(digits.val_images, digits.val_labels, 0.0),
        callbacks=[] if options.plain else [PlateauWatch()],
    )
    trainer.train()


def tiny_transformer() -> ViTForImageClassification:
    """Build a vision transformer of about 20,000 parameters."""
    return ViTForImageClassification(
        ViTConfig(
            image_size=8,
            patch_size=2,
            num_channels=1,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_labels=10,
        )
    )


def arguments(options: argparse.Namespace) -> TrainingArguments:
    """Return the arguments of a training that is evaluated, and logged, once an epoch."""
    return TrainingArguments(
        output_dir=str(options.logdir / "output"),
        seed=options.seed,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=128,
        learning_rate=options.lr,
        lr_scheduler_type="reduce_lr_on_plateau",
        lr_scheduler_kwargs={
            "factor": options.factor,
            "patience": options.patience,
            "threshold": options.threshold,
            "threshold_mode": "abs",
        },
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        report_to="tensorboard",
        use_cpu=True,
        disable_tqdm=True,
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train a tiny vision transformer on scikit-learn's digits with Trainer.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--logdir", type=Path, default=Path("runs/transformers_digits"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-2, help="LR to start with")
    parser.add_argument("--factor", type=float, default=0.3)
    parser.add_argument("--patience", type=int, default=2)
    parser.add_argument("--threshold", type=float, default=1e-3, help="absolute")
    parser.add_argument("--plain", action="store_true", help="leave PlateauWatch out")
    return parser.parse_args()


if __name__ == "__main__":
    main()

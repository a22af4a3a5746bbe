"""Train a small Keras 3 network on digits, its LR cut by Keras' own ReduceLROnPlateau.

    python examples/keras_digits.py
    plateau-watch replay runs/keras_digits

`keras.callbacks.TensorBoard` writes with TensorFlow, so this needs `tensorflow-cpu`. Losses go into
one run (`validation`), the LR into another (`train`). Keras' rules are not torch's: an improvement
must exceed `min_delta` absolutely, and the LR is cut when `patience` bad epochs are reached.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main() -> None:
    """Train as the command line says."""
    options = parse_options()
    keras.utils.set_random_seed(options.seed)
    images, labels = load_digits(return_X_y=True)
    train_images, val_images, train_labels, val_labels = train_test_split(
        images / 16, labels, test_size=0.2, stratify=labels, random_state=0
    )
    network().fit(
        train_images,
        train_labels,
        validation_data=(val_images, val_labels),
        epochs=options.epochs,
        batch_size=options.batch_size,
        verbose=0,
        callbacks=callbacks(options),
    )


def network() -> keras.Model:
    """Build and compile a dense network with noise at its input."""
    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.GaussianNoise(0.5),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-2),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def callbacks(options: argparse.Namespace) -> list[keras.callbacks.Callback]:
    """Return scheduler and logger; each epoch Keras calls them in this order."""
    scheduler = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        factor=options.factor,
        patience=options.patience,
        min_delta=options.min_delta,
        cooldown=options.cooldown,
        min_lr=options.min_lr,
    )
    logger = keras.callbacks.TensorBoard(options.logdir, write_graph=False)
    return [logger, scheduler] if options.logger_first else [scheduler, logger]


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Train a small network on scikit-learn's digits with Keras.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--logdir", type=Path, default=Path("runs/keras_digits"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--factor", type=float, default=0.2)
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--min-delta", type=float, default=1e-3)
    parser.add_argument("--cooldown", type=int, default=0)
    parser.add_argument("--min-lr", type=float, default=0.0)
    parser.add_argument(
        "--logger-first", action="store_true", help="log an epoch before its LR is cut, not after"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

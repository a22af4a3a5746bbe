"""Draw what ReduceLROnPlateau does to a learning curve: the reason why people use it.

The CNN and the digits of `digits_cnn.py` are trained on several seeds, each once with a constant
LR and once with the scheduler, which starts from the same LR; up to its first reduction the two
are the very same training. Above: validation loss. Below: the LR.

The setting is chosen so that the training stagnates, and the figure says so: SGD with momentum,
small batches, noisy images, and an LR that is too high for the end of the training. There the
scheduler about halves the final validation loss. Where an LR suits a training better it gains
less: with AdamW as in `digits_cnn.py` about a sixth, and not on every seed.

    python examples/effect_on_learning_curve.py --out effect.png

Takes about a minute and a half on one CPU core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
from digits_cnn import (
    NOISE,
    Digits,
    SmallCNN,
    evaluate,
    load_split_digits,
    make_reproducible,
    train_one_epoch,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

LR = 0.03
MOMENTUM = 0.9
BATCH_SIZE = 16
FACTOR = 0.3
PATIENCE = 3
MIN_LR = 1e-4

CONSTANT_COLOUR = "#D55E00"
SCHEDULER_COLOUR = "#0072B2"
"""Vermilion and blue of Okabe and Ito's palette, told apart by colour-blind eyes too."""


@dataclass(frozen=True)
class Curve:
    """Validation loss after each epoch, and the LR with which that epoch was trained."""

    val_losses: list[float]
    lrs: list[float]


def main() -> None:
    """Train, print what came of it, and draw it."""
    options = parse_options()
    digits = load_split_digits()
    constant, scheduled = [], []
    for seed in range(options.seeds):
        constant.append(train(seed, options.epochs, digits, with_scheduler=False))
        scheduled.append(train(seed, options.epochs, digits, with_scheduler=True))
        print(
            f"seed {seed}: final validation loss {constant[-1].val_losses[-1]:.4f} with a constant "
            f"LR, {scheduled[-1].val_losses[-1]:.4f} with the scheduler"
        )
    print(f"\n{in_words(constant, scheduled)}")
    draw(constant, scheduled).savefig(options.out)
    print(f"figure: {options.out}")


def train(seed: int, epochs: int, digits: Digits, *, with_scheduler: bool) -> Curve:
    """Train once, with a constant LR or with the scheduler."""
    make_reproducible(seed)
    model = SmallCNN()
    optimizer = SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    scheduler = ReduceLROnPlateau(optimizer, factor=FACTOR, patience=PATIENCE, min_lr=MIN_LR)
    curve = Curve([], [])
    for _ in range(epochs):
        curve.lrs.append(optimizer.param_groups[0]["lr"])
        train_one_epoch(model, optimizer, digits, BATCH_SIZE)
        val_loss, _ = evaluate(model, digits)
        curve.val_losses.append(val_loss)
        if with_scheduler:
            scheduler.step(val_loss)
    return curve


def in_words(constant: Sequence[Curve], scheduled: Sequence[Curve]) -> str:
    """Say what the figure shows, in numbers."""
    without, with_it = final_losses(constant), final_losses(scheduled)
    helped = sum(ours < theirs for ours, theirs in zip(with_it, without, strict=True))
    return (
        f"median final validation loss: {median(without):.4f} with a constant LR, "
        f"{median(with_it):.4f} with the scheduler\n"
        f"the scheduler helped on {helped} of {len(without)} seeds\n"
        "the setting is chosen so that a constant LR stagnates: "
        f"{setting_in_words()}"
    )


def setting_in_words() -> str:
    """Describe the training in one line."""
    return (
        f"SGD with momentum {MOMENTUM:g}, LR {LR:g}, batches of {BATCH_SIZE}, "
        f"noise of {NOISE:g} on the images"
    )


def final_losses(curves: Sequence[Curve]) -> list[float]:
    """Return the validation loss after the last epoch of each training."""
    return [curve.val_losses[-1] for curve in curves]


def draw(constant: Sequence[Curve], scheduled: Sequence[Curve]) -> Figure:
    """Draw both kinds of training: a thin line for each seed, a thick one for their median."""
    figure, (upper, lower) = plt.subplots(
        nrows=2,
        sharex=True,
        figsize=(9, 7),
        dpi=150,
        height_ratios=(3, 2),
        layout="constrained",
    )
    for curves, colour, name in (
        (constant, CONSTANT_COLOUR, "constant LR"),
        (scheduled, SCHEDULER_COLOUR, "ReduceLROnPlateau"),
    ):
        draw_losses(upper, curves, colour, name)
        draw_lrs(lower, curves, colour)
    label(figure, upper, lower, constant)
    return figure


def draw_losses(axes: Axes, curves: Sequence[Curve], colour: str, name: str) -> None:
    """Draw the validation losses of one kind of training."""
    epochs = range(1, len(curves[0].val_losses) + 1)
    for curve in curves:
        axes.plot(epochs, curve.val_losses, color=colour, linewidth=0.8, alpha=0.35)
    medians = [median(losses) for losses in zip(*(c.val_losses for c in curves), strict=True)]
    final = f"{name}: {medians[-1]:.3f} at the end"
    axes.plot(epochs, medians, color=colour, linewidth=2.4, label=final)


def draw_lrs(axes: Axes, curves: Sequence[Curve], colour: str) -> None:
    """Draw the LRs of one kind of training, level for each epoch."""
    epochs = range(1, len(curves[0].lrs) + 1)
    for curve in curves:
        axes.step(epochs, curve.lrs, where="mid", color=colour, linewidth=0.8, alpha=0.5)
    medians = [median(lrs) for lrs in zip(*(curve.lrs for curve in curves), strict=True)]
    axes.step(epochs, medians, where="mid", color=colour, linewidth=2.4)


def label(figure: Figure, upper: Axes, lower: Axes, curves: Sequence[Curve]) -> None:
    """Say what is drawn, and in which setting."""
    figure.suptitle("ReduceLROnPlateau where a constant LR stagnates", fontsize=15)
    upper.set_title(f"small CNN on 8x8 digits: {setting_in_words()}", fontsize=10, color="0.3")
    upper.set_ylabel("validation loss", fontsize=12)
    lower.set_ylabel("learning rate", fontsize=12)
    lower.set_xlabel("epoch", fontsize=12)
    lower.set_xlim(1, max(2, len(curves[0].lrs)))
    for axes in (upper, lower):
        axes.set_yscale("log")
        axes.tick_params(labelsize=11)
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    figure.align_ylabels()
    upper.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    upper.legend(
        title=f"thick: median of {len(curves)} seeds, thin: each seed,\n"
        "one and the same training until the first reduction",
        alignment="left",
        loc="upper right",
        frameon=False,
        fontsize=12,
        title_fontsize=10,
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Draw a learning curve with ReduceLROnPlateau and with a constant LR.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("effect_on_learning_curve.png"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5, help="how many, counted from 0")
    return parser.parse_args()


if __name__ == "__main__":
    main()

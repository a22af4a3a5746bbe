"""Measure `fit`: how large the sets are, and how long a whole process takes.

    python tools/fit_measured.py

Sets: of the 500 random runs of tests/test_fit.py, each with the LR's meaning told. Time: of
`plateau-watch fit` as a process of its own, on logs of 1,000 steps with 20 tags that may be the
metric, written with torch's SummaryWriter; "noisy" metrics jump, "smooth" ones make the most
histories possible. Prints Markdown.
"""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

sys.path.insert(0, str(Path(__file__).parents[1]))

from plateau_watch.fit import fit
from plateau_watch.history import ANY
from tests.test_fit import random_run

NAMES = ["val/loss", "val/acc", "val/f1", "train/loss", "train/acc", "test/loss"]
NAMES += [f"metric{number}" for number in range(20 - len(NAMES))]

ROUNDS = 5


def main() -> None:
    """Print both tables."""
    print("| of 500 random runs | median | 90th percentile |")
    print("|---|---|---|")
    sizes = [_size(seed) for seed in range(500)]
    for name in sizes[0]:
        column = sorted(size[name] for size in sizes)
        print(f"| {name} | {column[250]:.3g} | {column[450]:.3g} |")
    print("\n| log of 1,000 steps, 20 tags | median of 5, s |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        for smooth in (False, True):
            for lr_tag in ("lr", "lr-AdamW"):
                log = Path(directory) / f"{smooth}-{lr_tag}"
                _train(log, lr_tag, smooth=smooth)
                kind = "smooth" if smooth else "noisy"
                print(f"| {kind} metrics, LR named {lr_tag} | {_seconds(log):.2f} |")


def _size(seed: int) -> dict[str, float]:
    """How many counts a set leaves open, and how wide its thresholds are."""
    _, recording = random_run(seed)
    found = fit(recording)
    rules = list(dict.fromkeys(each for way in found.explanations for each in way.rules))
    patience = {count for each in rules for count in range(each.patience[0], each.patience[1] + 1)}
    cooldowns = [each.cooldown for each in rules]
    high = max(high for _, high in cooldowns)
    usual = [
        top - bottom
        for each in rules
        if each.threshold_mode == "rel" and each.mode == recording.config.mode
        for bottom, top in each.thresholds
    ]
    return {
        "sets of rules (each a product of ranges)": len(rules),
        "values of patience": len(patience),
        "values of cooldown": math.inf
        if high == ANY
        else high - min(low for low, _ in cooldowns) + 1,
        "width of all rel thresholds, of 1": min(sum(usual), 1.0),
    }


def _train(directory: Path, lr_tag: str, *, smooth: bool) -> None:
    rng = random.Random(1)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, patience=10, factor=0.5, cooldown=2, min_lr=1e-6)
    with SummaryWriter(str(directory)) as writer:
        for step in range(1000):
            writer.add_scalar(lr_tag, optimizer.param_groups[0]["lr"], step)
            for position, name in enumerate(NAMES):
                noise = 0.02 * math.sin(step / 7 + position) if smooth else rng.gauss(0, 0.03)
                value = math.exp(-step / (80 + 40 * position)) + 0.1 + noise
                if position == 0:
                    optimizer.step()
                    scheduler.step(value)
                rises = "acc" in name or "f1" in name
                writer.add_scalar(name, 1.2 - value if rises else value, step)


def _seconds(log: Path) -> float:
    command = [sys.executable, "-m", "plateau_watch", "fit", str(log)]
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()

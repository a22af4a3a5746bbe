"""Train, so to say, and be killed: a process of its own, so that torch is imported once.

    python -m tests.killed_writers DIRECTORY COUNT SEED

Forks COUNT children one after the other. Each writes with torch's SummaryWriter into a directory of
its own (0, 1, ...) as fast as it can, and is SIGKILLed at a random moment.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
from torch.utils.tensorboard import SummaryWriter

LONGEST_LIFE = 0.03
"""Seconds a child lives at most, from its first byte on."""


def main(directory: Path, count: int, seed: int) -> None:
    """Fork and kill."""
    dice = random.Random(seed)
    for number in range(count):
        top, queue = directory / str(number), dice.choice([1, 10, 1000])
        top.mkdir()
        life = dice.uniform(0, LONGEST_LIFE)
        child = os.fork()
        if not child:
            write_for_ever(top, queue)
        while not any(top.iterdir()):
            time.sleep(0.001)
        time.sleep(life)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def write_for_ever(directory: Path, queue: int) -> NoReturn:
    """Log scalars of every style, and larger things between them."""
    writer = SummaryWriter(str(directory), max_queue=queue, flush_secs=1)
    step = 0
    while True:
        writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_scalar("exact", 1 / (step + 1), step, new_style=True, double_precision=True)
        if step % 10 == 5:
            writer.add_histogram("weights", np.arange(2000.0), step)
            writer.add_text("note", "some words " * 500, step)
        if step % 50 == 49:
            writer.flush()
        step += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

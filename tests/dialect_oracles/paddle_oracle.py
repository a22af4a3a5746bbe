"""Paddle's own scheduler."""

import json
import sys

from paddle.optimizer.lr import ReduceOnPlateau


def answer(case):
    scheduler = ReduceOnPlateau(case["lrs"][0], **case["config"])
    lrs, state = [], []
    for value in case["metric"]:
        scheduler.step(value)
        lrs.append([scheduler()])
        state.append([scheduler.best, scheduler.num_bad_epochs, scheduler.cooldown_counter])
    return {"lrs": lrs, "state": state}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)

"""ignite's own handler, called with a real engine and optimizer."""

import json
import sys

import torch
from ignite.engine import Engine
from ignite.handlers import ReduceLROnPlateauScheduler


def answer(case):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in case["lrs"]]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    scheduler = ReduceLROnPlateauScheduler(optimizer, metric_name="loss", **case["config"])
    engine = Engine(lambda _engine, _batch: None)
    lrs, state = [], []
    for value in case["metric"]:
        engine.state.metrics["loss"] = value
        scheduler(engine)
        lrs.append([float(group["lr"]) for group in optimizer.param_groups])
        inner = scheduler.scheduler
        state.append([inner.best, inner.num_bad_epochs, inner.cooldown_counter])
    return {"lrs": lrs, "state": state}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)

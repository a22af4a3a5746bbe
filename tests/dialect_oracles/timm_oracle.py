"""timm's own scheduler, stepped at epochs 1, 2, ... as timm's training script does."""

import json
import sys
import warnings

import torch
from timm.scheduler.plateau_lr import PlateauLRScheduler

warnings.simplefilter("ignore", FutureWarning)  # it says that it is deprecated


def answer(case):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in case["lrs"]]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    scheduler = PlateauLRScheduler(optimizer, **case["config"])
    lrs, state = [], []
    for epoch, value in enumerate(case["metric"], start=1):
        scheduler.step(epoch, value)
        lrs.append([float(group["lr"]) for group in optimizer.param_groups])
        inner = scheduler.lr_scheduler
        state.append([inner.best, inner.num_bad_epochs, inner.cooldown_counter])
    return {"lrs": lrs, "state": state}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)

"""fastai's own callback, on a real learner and optimizer that nothing is trained with."""

import contextlib
import json
import sys

import numpy
import torch
from fastai.callback.tracker import ReduceLROnPlateau
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import SGD

LOADER = torch.utils.data.DataLoader(torch.zeros(1, 1))


def answer(case):
    config = dict(case["config"])
    comp = getattr(numpy, config.pop("comp"))
    callback = ReduceLROnPlateau(monitor="valid_loss", comp=comp, **config)
    layers = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in case["lrs"])
    learner = Learner(
        DataLoaders(LOADER, LOADER, device="cpu"),
        layers,
        loss_func=torch.nn.functional.mse_loss,
        opt_func=SGD,
        splitter=lambda model: [list(layer.parameters()) for layer in model],
        cbs=[callback],
    )
    learner.create_opt()
    for hyper, lr in zip(learner.opt.hypers, case["lrs"], strict=True):
        hyper["lr"] = lr
    learner.recorder.metric_names = ["epoch", "train_loss", "valid_loss"]
    learner.recorder.values = []
    callback.before_fit()
    lrs, state = [], []
    for index, value in enumerate(case["metric"]):
        learner.epoch = index
        learner.recorder.values.append([0.0, value])
        callback.after_epoch()
        lrs.append([hyper["lr"] for hyper in learner.opt.hypers])
        state.append([callback.best, callback.wait])
    return {"lrs": lrs, "state": state}


with contextlib.redirect_stdout(sys.stderr):
    answers = [answer(case) for case in json.load(sys.stdin)]
json.dump(answers, sys.stdout)

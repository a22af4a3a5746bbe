"""Hugging Face's Trainer, for torchrun."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import torch
from three_trainings import train_three_times
from transformers import Trainer, TrainerCallback, TrainingArguments

from plateau_watch.integrations.transformers import PlateauWatch


class Tiny(torch.nn.Module):
    """A model of one weight."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels):
        outputs = self.layer(x)
        return {"loss": (outputs - labels).square().mean(), "outputs": outputs}


class Lrs(TrainerCallback):
    """The LR with which each epoch begins, and the last."""

    def __init__(self):
        self.lrs = []

    def on_epoch_begin(self, args, state, control, optimizer=None, **_):
        self.lrs.append(optimizer.param_groups[0]["lr"])

    on_train_end = on_epoch_begin


def train(output, metric, logdir, watch):
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(logdir)
    script, lrs = iter(metric), Lrs()
    data = [{"x": torch.ones(1), "labels": torch.zeros(1)}] * 4
    Trainer(
        model=Tiny(),
        args=TrainingArguments(
            output_dir=str(output),
            num_train_epochs=len(metric),
            learning_rate=0.1,
            lr_scheduler_type="reduce_lr_on_plateau",
            lr_scheduler_kwargs={"patience": 1},
            metric_for_best_model="scripted",
            greater_is_better=False,
            eval_strategy="epoch",
            save_strategy="no",
            per_device_train_batch_size=1,
            report_to="tensorboard" if logdir else "none",
            disable_tqdm=True,
            use_cpu=True,
            ddp_backend="gloo",
            dataloader_pin_memory=False,
        ),
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=lambda _: {"scripted": next(script)},
        callbacks=[lrs, *([watch] if watch else [])],
    ).train()
    return lrs.lrs[1:]


if __name__ == "__main__":
    directory, metric = Path(sys.argv[1]), json.loads(sys.argv[2])
    train_three_times(
        directory,
        lambda: os.environ["RANK"],
        partial(train, directory / "output", metric),
        PlateauWatch,
    )
    torch.distributed.destroy_process_group()

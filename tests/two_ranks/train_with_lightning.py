"""Lightning with strategy "ddp", which starts this script again for the second rank."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from three_trainings import train_three_times
from torch.optim.lr_scheduler import ReduceLROnPlateau

from plateau_watch.integrations.lightning import PlateauWatch


class Module(pl.LightningModule):
    """One weight, and a metric of which each rank has seen another part."""

    def __init__(self, metric):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.metric = iter(metric)
        self.lrs = []

    def training_step(self, batch, _):
        return self.layer(batch).sum()

    def validation_step(self, *_):
        pass

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            shift = 0.25 if self.global_rank else -0.25
            self.log("val_loss", next(self.metric) + shift, sync_dist=True)

    def on_train_epoch_start(self):
        self.lrs.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    on_train_end = on_train_epoch_start

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = ReduceLROnPlateau(optimizer, patience=1)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"},
        }


def train(metric, logdir, watch):
    module = Module(metric)
    data = torch.utils.data.DataLoader(torch.ones(4, 1))
    pl.Trainer(
        accelerator="cpu",
        strategy="ddp",
        devices=2,
        max_epochs=len(metric),
        logger=TensorBoardLogger(logdir) if logdir else False,
        callbacks=watch,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, data, data)
    return module.lrs[1:]


if __name__ == "__main__":
    metric = json.loads(sys.argv[2])
    train_three_times(
        Path(sys.argv[1]),
        lambda: os.environ["LOCAL_RANK"],
        partial(train, metric),
        PlateauWatch,
    )

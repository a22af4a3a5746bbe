"""What the tests of Lightning's callback share: a module with a scripted metric, and its training.

Lightning is imported here, since that gives warnings.
"""

import inspect
import warnings

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from tests.framework_runs import METRIC, PATIENCE

with warnings.catch_warnings():
    # Importing Lightning meets deprecations of its own dependencies.
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    from plateau_watch.integrations.lightning import PlateauWatch

__all__ = ["CSVLogger", "ModelCheckpoint", "PlateauWatch", "TensorBoardLogger", "pl"]

ADVICE = [
    # Lightning's advice on speed, none of it about a training of three batches.
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval:UserWarning"),
    # Lightning's own use of a torch class that torch has deprecated.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    # A resumed training saves where the one before has saved.
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]
"""Warnings of Lightning's own that mean nothing here: `pytestmark` of the tests."""

BATCHES = 3
"""In an epoch."""

EPOCHS = len(METRIC)

SINCE_2_6 = "weights_only" in inspect.signature(pl.Trainer.fit).parameters
"""Lightning 2.5 has no such argument, and refuses the callbacks of its other package."""

WHOLE_CHECKPOINT = {"weights_only": False} if SINCE_2_6 else {}


class Scripted(pl.LightningModule):
    """A module whose metric is METRIC, one value for each validation."""

    def __init__(
        self,
        metric=METRIC,
        interval="epoch",
        frequency=None,
        monitor="val_loss",
        scheduler=None,
    ):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.interval = interval
        self.frequency = frequency or (BATCHES if interval == "step" else 1)
        self.monitor = monitor
        self.scheduler = scheduler or (
            lambda optimizer: ReduceLROnPlateau(optimizer, patience=PATIENCE)
        )
        self.metric = iter(metric)
        self.lrs = []

    def training_step(self, batch, _):
        return self.layer(batch[0]).sum()

    def on_train_epoch_start(self):
        self.lrs.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self):
        if self.monitor == "train_loss":
            self.log("train_loss", next(self.metric))

    def validation_step(self, *_):
        pass

    def on_validation_epoch_end(self):
        if self.monitor == "val_loss" and not self.trainer.sanity_checking:
            self.log("val_loss", next(self.metric))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = self.scheduler(optimizer)
        if scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": scheduler,
                "monitor": self.monitor,
                "interval": self.interval,
                "frequency": self.frequency,
            },
        }


def trainer_in(directory, *callbacks, epochs=EPOCHS, **options):
    options.setdefault("logger", TensorBoardLogger(directory, version=0))
    options.setdefault("enable_checkpointing", False)
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def batches():
    return DataLoader(TensorDataset(torch.ones(BATCHES, 1)), batch_size=1)


def fit(directory, *callbacks, module=None, **options):
    module = module or Scripted()
    trainer = trainer_in(directory, *callbacks, **options)
    trainer.fit(module, batches(), batches())
    return trainer, module


def checkpoint(trainer, path):
    trainer.save_checkpoint(path)
    loaded = torch.load(path, weights_only=False)
    return {name: loaded[name] for name in ("optimizer_states", "lr_schedulers", "state_dict")}

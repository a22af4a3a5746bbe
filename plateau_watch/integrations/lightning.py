"""lightning: a callback that watches the plateau schedulers of a Lightning training.

Finds them and the TensorBoardLogger in the trainer, of `lightning` or `pytorch_lightning`. The
trace is on the logger's own axis: the count, from 0, of the last batch trained, at which Lightning
logs what a validation or an epoch came to. Run with Lightning 2.5 and 2.6; a trainer of 2.5 takes
only callbacks of its own package, so there import that package first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plateau_watch.integrations.attachment import (
    Attachment,
    ToWatch,
    harmless,
    nothing_to_watch,
    plateau_scheduler,
)

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

try:
    # A trainer of either package takes a callback of either (since 2.6): import no second one.
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        from pytorch_lightning import Callback
    else:
        from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback
    except ImportError:
        raise ImportError(
            "neither lightning nor pytorch_lightning is installed: "
            "pip install plateau-watch[lightning]"
        ) from None


class PlateauWatch(Callback):  # type: ignore[misc]
    """Log every decision of a training's plateau schedulers to its TensorBoardLogger.

    Example:
        Trainer(callbacks=[PlateauWatch()])

    Where there is no ReduceLROnPlateau or no TensorBoardLogger, it warns and does nothing. Of
    several loggers the first is written to. Only rank 0 writes.

    Args:
        step: the x-axis, called after each scheduler step; the logger's own where absent. Of use
            where the module logs a metric "step", which Lightning then takes as the x-axis.
        prefix: of all tags. Several schedulers have `<prefix>/<name>` each, with the name that
            `configure_optimizers` gave them, or else their position.

    Raises:
        WatchError: the prefix is no name.
    """

    def __init__(self, *, step: Callable[[], int] | None = None, prefix: str = "plateau") -> None:
        super().__init__()
        self._attachment = Attachment(prefix)
        self._axis = step or self._last_batch
        self._batch = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch, after a checkpoint was loaded and before the first batch."""
        with harmless():
            self._batch = _batches_that_stepped(trainer)
            # A fast_dev_run has its loggers taken away by Lightning: nothing to log, nothing wrong.
            if trainer.is_global_zero and not trainer.fast_dev_run:
                self._attach(trainer)

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:  # noqa: ANN401
        """Note the batch; Lightning counts it once it is trained and validated."""
        with harmless():
            self._batch = _batches_that_stepped(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go back to the last batch that was counted, as Lightning does to log an epoch."""
        with harmless():
            self._batch = max(_batches_that_stepped(trainer) - 1, 0)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop watching."""
        with harmless():
            self._attachment.detach()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Stop watching a training that broke off."""
        with harmless():
            self._attachment.detach()

    def _attach(self, trainer: Trainer) -> None:
        configured = trainer.lr_scheduler_configs
        schedulers = [
            ToWatch(scheduler, self._axis, config.name)
            for config in configured
            if (scheduler := plateau_scheduler(config.scheduler))
        ]
        loggers = [logger for logger in trainer.loggers if _is_for_tensorboard(logger)]
        if not schedulers:
            there = [config.scheduler for config in configured]
            nothing_to_watch("ReduceLROnPlateau among the trainer's schedulers", there)
        elif not loggers:
            nothing_to_watch("TensorBoardLogger among the trainer's loggers", trainer.loggers)
        else:
            self._attachment.attach(schedulers, _open_writer(loggers[0]))

    def _last_batch(self) -> int:
        return self._batch


def _batches_that_stepped(trainer: Trainer) -> int:
    """Return Lightning's count for its loggers; its own callbacks read it there too."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def _is_for_tensorboard(logger: object) -> bool:
    """Whether a logger is the TensorBoardLogger of any of the packages, or derived from it."""
    return any(base.__name__ == "TensorBoardLogger" for base in type(logger).__mro__)


def _open_writer(logger: Any) -> Any:  # noqa: ANN401
    """Return a logger's writer.

    Lightning closes it after each `fit` and lets it open again at whatever is logged next; where a
    trainer fits again, that may come only after a scheduler's first step.
    """
    writer = logger.experiment
    if writer.file_writer is None:
        writer._get_file_writer()
    return writer

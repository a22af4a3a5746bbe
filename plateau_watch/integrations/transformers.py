"""transformers: a callback that watches the plateau scheduler of Hugging Face's Trainer.

Finds the writer in Trainer's own TensorBoardCallback. The trace is on its axis: optimizer steps so
far, at which Trainer logs an evaluation. Run with transformers 5.0 and 5.24.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from plateau_watch.integrations.attachment import (
    Attachment,
    ToWatch,
    harmless,
    nothing_to_watch,
    plateau_scheduler,
)

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

try:
    from transformers import TrainerCallback
    from transformers.integrations import TensorBoardCallback
    from transformers.trainer_callback import CallbackHandler
except ImportError as error:
    raise ImportError(
        f"Trainer is not to be had ({error}): pip install plateau-watch[transformers]"
    ) from error


class PlateauWatch(TrainerCallback):  # type: ignore[misc]
    """Log every decision of Trainer's plateau scheduler where Trainer logs to TensorBoard.

    Example:
        Trainer(..., callbacks=[PlateauWatch()])

    with `lr_scheduler_type="reduce_lr_on_plateau"` and `report_to="tensorboard"` among the
    arguments. Where one of them is missing, it warns and does nothing. Only the process that
    Trainer logs from writes.

    Args:
        prefix: of all tags.

    Raises:
        WatchError: the prefix is no name.
    """

    def __init__(self, *, prefix: str = "plateau") -> None:
        self._attachment = Attachment(prefix)
        self._looked = False

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Let go of an earlier training, which may have broken off."""
        with harmless():
            self._attachment.detach()
            self._looked = False

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        lr_scheduler: object = None,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Begin to watch at the first epoch of a training: by then every callback has begun."""
        with harmless():
            if self._looked:
                return
            self._looked = True
            if state.is_world_process_zero:
                self._attach(state, lr_scheduler)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Stop watching."""
        with harmless():
            self._attachment.detach()

    def _attach(self, state: TrainerState, lr_scheduler: object) -> None:
        callbacks = _callbacks_of_the_caller()
        writer = next(filter(None, map(_writer_of, callbacks)), None)
        scheduler = plateau_scheduler(lr_scheduler)
        if scheduler is None:
            nothing_to_watch(
                'ReduceLROnPlateau in Trainer, say lr_scheduler_type="reduce_lr_on_plateau"',
                [] if lr_scheduler is None else [lr_scheduler],
            )
        elif writer is None:
            nothing_to_watch(
                'TensorBoardCallback among Trainer\'s callbacks, say report_to="tensorboard"',
                callbacks,
            )
        else:
            self._attachment.attach([ToWatch(scheduler, lambda: state.global_step)], writer)


def _writer_of(callback: object) -> Any:  # noqa: ANN401  torch's or tensorboardX's
    return callback.tb_writer if isinstance(callback, TensorBoardCallback) else None


def _callbacks_of_the_caller() -> list[object]:
    """Return all callbacks of the trainer that is calling one of them.

    Trainer tells its callbacks nothing of each other, so the handler that calls them is looked for
    among the objects whose methods are running, from the innermost out.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, CallbackHandler):
            return list(caller.callbacks)
        frame = frame.f_back
    return []

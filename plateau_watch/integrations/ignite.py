"""ignite: a handler that watches the plateau schedulers of a training with pytorch-ignite.

Finds ignite's ReduceLROnPlateauScheduler and its TensorboardLogger among what is attached to the
engines. The trace is on the axis of the logged metric that drives the scheduler. Run with
pytorch-ignite 0.5.0 and 0.5.5.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from plateau_watch.integrations.attachment import (
    Attachment,
    ToWatch,
    harmless,
    nothing_to_watch,
    plateau_scheduler,
)

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import ReduceLROnPlateau

try:
    from ignite.distributed import get_rank
    from ignite.engine import Engine, Events
    from ignite.handlers import ReduceLROnPlateauScheduler
    from ignite.handlers.base_logger import BaseLogger
    from ignite.handlers.tensorboard_logger import OutputHandler, TensorboardLogger
except ImportError as error:
    raise ImportError(
        f"ignite is not to be had ({error}): pip install plateau-watch[ignite]"
    ) from error


class PlateauWatch:
    """Log every decision of a training's plateau schedulers to its TensorboardLogger.

    Example:
        PlateauWatch().attach(trainer, evaluator)

    Whatever is attached to these engines when the trainer starts is looked through. Where there is
    no plateau scheduler or no TensorboardLogger, it warns and does nothing. Of several loggers that
    of the scheduler's metric is written to. Only rank 0 writes. Schedulers are watched until a
    trainer that this is attached to starts again, or `close` is called: trainers that run at the
    same time take one each.

    Args:
        scheduler: torch's ReduceLROnPlateau or ignite's, where a handler of the user's own steps
            it: there it cannot be found.
        step: the x-axis, called after each scheduler step. Where absent, that of the OutputHandler
            which logs the scheduler's metric; where there is none, the trainer's iteration for a
            scheduler attached to the trainer's iterations, else its epoch.
        prefix: of all tags. Several schedulers have `<prefix>/0`, `<prefix>/1` and so on.

    Raises:
        WatchError: the prefix is no name.
    """

    def __init__(
        self,
        scheduler: ReduceLROnPlateau | ReduceLROnPlateauScheduler | None = None,
        *,
        step: Callable[[], int] | None = None,
        prefix: str = "plateau",
    ) -> None:
        self._attachment = Attachment(prefix)
        self._scheduler = scheduler
        self._step = step
        self._engines: dict[Engine, tuple[Engine, ...]] = {}

    def attach(self, trainer: Engine, *engines: Engine) -> None:
        """Watch from the moment on that the trainer starts.

        Args:
            trainer: the engine that trains.
            engines: others that a scheduler or a logger is attached to: the evaluators.
        """
        if trainer not in self._engines:
            trainer.add_event_handler(Events.STARTED, _Begin(self, trainer))
        self._engines[trainer] = (trainer, *engines)

    def close(self) -> None:
        """Stop watching; again does nothing."""
        self._attachment.detach()

    def __getstate__(self) -> dict[str, Any]:
        """A copy watches nothing: ignite's scheduler takes its trainer along into checkpoints."""
        return {**self.__dict__, "_scheduler": None, "_step": None, "_engines": {}}

    def _on_started(self, trainer: Engine) -> None:
        with harmless():
            self._attachment.detach()
            if trainer in self._engines and get_rank() == 0:
                self._look_through(self._engines[trainer])

    def _look_through(self, engines: Sequence[Engine]) -> None:
        attached = [each for engine in engines for each in _attached_to(engine)]
        given = [self._scheduler] if self._scheduler is not None else _schedulers(attached)
        schedulers = [
            ToWatch(
                scheduler, self._step or _axis(each, attached, engines[0]), groups=_groups(each)
            )
            for each in given
            if (scheduler := plateau_scheduler(each))
        ]
        beside = [found for each in given if (found := _log_of_metric(each, attached))]
        loggers = [each.logger for each in (*beside, *attached) if each.logger is not None]
        writers = [each.writer for each in loggers if isinstance(each, TensorboardLogger)]
        if not schedulers:
            nothing_to_watch(
                "ReduceLROnPlateauScheduler attached to these engines; give PlateauWatch the "
                "scheduler, or attach() the evaluator too",
                given,
            )
        elif not writers:
            nothing_to_watch("TensorboardLogger attached to these engines", dict.fromkeys(loggers))
        else:
            self._attachment.attach(schedulers, writers[0])


class _Begin:
    """What the trainer calls when it starts.

    Takes no engine, since ignite would keep a weak reference to it, which no pickle can hold; and
    leaves everything behind when it gets into a checkpoint.
    """

    def __init__(self, watch: PlateauWatch, trainer: Engine) -> None:
        self._begin: Callable[[], None] | None = partial(watch._on_started, trainer)

    def __call__(self) -> None:
        if self._begin is not None:
            self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {"_begin": None}


class _Attached(NamedTuple):
    """A handler of an engine, without the wrappers that events like `every=5` put around it."""

    engine: Engine
    handler: object
    logger: BaseLogger | None
    event: Any


def _attached_to(engine: Engine) -> Iterator[_Attached]:
    """Go through the handlers of an engine; ignite has no public way to ask for them."""
    for event, entries in list(engine._event_handlers.items()):
        for handler, arguments, _ in entries:
            logger = next((each for each in arguments if isinstance(each, BaseLogger)), None)
            yield _Attached(engine, inspect.unwrap(handler), logger, event)


def _schedulers(attached: Sequence[_Attached]) -> list[object]:
    """Return ignite's plateau schedulers, each once, in the order they were attached."""
    found = [
        each.handler for each in attached if isinstance(each.handler, ReduceLROnPlateauScheduler)
    ]
    return list(dict.fromkeys(found))


def _groups(scheduler: object) -> list[int] | None:
    """Return the one param group that ignite's scheduler was told to reduce."""
    index = getattr(scheduler, "param_group_index", None)
    return None if index is None else [index]


def _axis(scheduler: object, attached: Sequence[_Attached], trainer: Engine) -> Callable[[], int]:
    """Return the axis on which the metric of a scheduler is logged, else one of the trainer's."""
    log = _log_of_metric(scheduler, attached)
    if log is not None:
        return lambda: log.handler.global_step_transform(log.engine, log.event)  # type: ignore[attr-defined]
    for each in attached:
        counted = each.engine is trainer and each.event in trainer.state.event_to_attr
        if each.handler is scheduler and counted:
            return lambda: trainer.state.get_event_attrib_value(each.event)
    return lambda: trainer.state.epoch


def _log_of_metric(scheduler: object, attached: Sequence[_Attached]) -> _Attached | None:
    """Return the handler that logs the metric of a scheduler, on one of the scheduler's engines."""
    engines = [each.engine for each in attached if each.handler is scheduler]
    metric = getattr(scheduler, "metric_name", None)
    logs = (each for each in attached if each.engine in engines and _logs(each, metric))
    return next(logs, None)


def _logs(attached: _Attached, metric: object) -> bool:
    """Whether a handler logs a metric to TensorBoard."""
    handler = attached.handler
    if not isinstance(handler, OutputHandler) or not isinstance(attached.logger, TensorboardLogger):
        return False
    names = handler.metric_names
    return names == "all" or (isinstance(names, list) and metric in names)

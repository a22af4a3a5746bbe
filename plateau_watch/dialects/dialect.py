"""dialect: what every framework's rules offer, and the registry of all of them.

A `Dialect` names a framework and holds its pure functions; `DIALECTS` is closed and read-only.
Knows no files, no rendering, and imports no framework. Invariant: stepping is a function of
configuration, state and metric alone; every state has `lrs`, the LRs in force.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Protocol

from plateau_watch import scheduler
from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision
from plateau_watch.dialects import fastai, ignite, keras, optax, paddle, tf_keras, timm, torch
from plateau_watch.dialects.terms import Lrs, Terms
from plateau_watch.errors import ConfigError
from plateau_watch.precision import Precision

Config = (
    PlateauConfig
    | keras.KerasConfig
    | tf_keras.TfKerasConfig
    | fastai.FastaiConfig
    | optax.OptaxConfig
    | paddle.PaddleConfig
    | ignite.IgniteConfig
    | timm.TimmConfig
)
"""A configuration of any dialect."""


class State(Protocol):
    """What every dialect's state has."""

    @property
    def lrs(self) -> Lrs:
        """The LRs in force."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The rules of one framework.

    Attributes:
        name: by which it is asked for.
        scheduler: what the framework calls the thing.
        config: its configuration, whose defaults are the framework's.
        lr_precision: in which it keeps LRs.
        start: (configuration, LRs) -> the state before the first step.
        step: (configuration, state, metric) -> (state, decision).
        improves: whether a metric beats a best.
        terms: what a configuration means in common terms.
        nearest: common terms -> the configuration that comes nearest.
        named: torch's settings -> those of the same names here.
    """

    name: str
    scheduler: str
    config: type[Any]
    lr_precision: Precision
    start: Callable[[Any, Lrs], State]
    step: Callable[[Any, Any, float], tuple[State, Decision]]
    improves: Callable[[Any, float, float], bool]
    terms: Callable[[Any, Lrs | None], Terms]
    nearest: Callable[[Terms, Lrs | None], Config]
    named: Callable[[PlateauConfig, Lrs | None], Config]


_LISTED = (
    Dialect(
        name="torch",
        scheduler="torch.optim.lr_scheduler.ReduceLROnPlateau",
        config=PlateauConfig,
        lr_precision="float64",
        start=torch.start,
        step=scheduler.step,
        improves=torch.improves,
        terms=torch.terms,
        nearest=torch.nearest,
        named=torch.named,
    ),
    Dialect(
        name="keras",
        scheduler="keras.callbacks.ReduceLROnPlateau",
        config=keras.KerasConfig,
        lr_precision="float32",
        start=keras.start,
        step=keras.step,
        improves=keras.improves,
        terms=keras.terms,
        nearest=keras.nearest,
        named=keras.named,
    ),
    Dialect(
        name="tf-keras",
        scheduler="tf_keras.callbacks.ReduceLROnPlateau",
        config=tf_keras.TfKerasConfig,
        lr_precision="float32",
        start=tf_keras.start,
        step=tf_keras.step,
        improves=tf_keras.improves,
        terms=tf_keras.terms,
        nearest=tf_keras.nearest,
        named=tf_keras.named,
    ),
    Dialect(
        name="fastai",
        scheduler="fastai.callback.tracker.ReduceLROnPlateau",
        config=fastai.FastaiConfig,
        lr_precision="float64",
        start=fastai.start,
        step=fastai.step,
        improves=fastai.improves,
        terms=fastai.terms,
        nearest=fastai.nearest,
        named=fastai.named,
    ),
    Dialect(
        name="optax",
        scheduler="optax.contrib.reduce_on_plateau",
        config=optax.OptaxConfig,
        lr_precision="float32",
        start=optax.start,
        step=optax.step,
        improves=optax.improves,
        terms=optax.terms,
        nearest=optax.nearest,
        named=optax.named,
    ),
    Dialect(
        name="paddle",
        scheduler="paddle.optimizer.lr.ReduceOnPlateau",
        config=paddle.PaddleConfig,
        lr_precision="float64",
        start=paddle.start,
        step=paddle.step,
        improves=paddle.improves,
        terms=paddle.terms,
        nearest=paddle.nearest,
        named=paddle.named,
    ),
    Dialect(
        name="ignite",
        scheduler="ignite.handlers.ReduceLROnPlateauScheduler",
        config=ignite.IgniteConfig,
        lr_precision="float64",
        start=ignite.start,
        step=ignite.step,
        improves=ignite.improves,
        terms=ignite.terms,
        nearest=ignite.nearest,
        named=ignite.named,
    ),
    Dialect(
        name="timm",
        scheduler="timm.scheduler.PlateauLRScheduler",
        config=timm.TimmConfig,
        lr_precision="float64",
        start=timm.start,
        step=timm.step,
        improves=timm.improves,
        terms=timm.terms,
        nearest=timm.nearest,
        named=timm.named,
    ),
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({each.name: each for each in _LISTED})
"""Every dialect by its name."""


def dialect(name: str) -> Dialect:
    """Return the dialect of a name.

    Raises:
        ConfigError: there is none; the nearest name is said.
    """
    if name in DIALECTS:
        return DIALECTS[name]
    near = get_close_matches(name, DIALECTS, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"there is no dialect {name!r}{hint} There are: {', '.join(DIALECTS)}")


def dialect_of(config: Config) -> Dialect:
    """Return the dialect that a configuration is in."""
    return next(each for each in _LISTED if each.config is type(config))


def terms_of(config: Config) -> Terms:
    """Return what a configuration of any dialect means in common terms."""
    return dialect_of(config).terms(config, None)


def stated(name: str, values: Mapping[str, object]) -> Config:
    """Make a configuration of parameters spelled as a dialect spells them.

    Raises:
        ConfigError: a word that framework does not have, or a value it would refuse.
    """
    its = dialect(name)
    words = [word.name for word in fields(its.config)]
    for word in values:
        if word not in words:
            near = get_close_matches(word, words, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"{its.scheduler.rpartition('.')[2]} of {name} has no {word!r}{hint} "
                f"It has: {', '.join(words)}"
            )
    made: Config = its.config(**values)
    return made

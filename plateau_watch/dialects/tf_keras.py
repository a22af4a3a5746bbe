"""tf_keras: ReduceLROnPlateau of Keras 2 and tf.keras, its rules where Keras 3 has others.

Counting, waiting and cooling down are `keras`'. Otherwise: best starts at infinity, so a NaN never
becomes best; metric and best are compared in float64, in torch's order of operations; and the
reduced LR depends on NumPy, which multiplies a float32 by a Python float in float64 before its
version 2, and in float32 since.

Source: tf_keras/src/callbacks.py of tf-keras 2.21.0. Its mode "auto" is max where the metric's
name holds "acc"; here the answer has to be given.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision
from plateau_watch.dialects import keras
from plateau_watch.dialects.keras import KerasConfig, KerasState
from plateau_watch.dialects.terms import Habits, Lrs, Terms, compared, lowest
from plateau_watch.errors import ConfigError
from plateau_watch.precision import stored


@dataclass(frozen=True, slots=True)
class TfKerasConfig(KerasConfig):
    """The hyper-parameters of tf.keras' ReduceLROnPlateau, with its names and defaults.

    As Keras' own, but for `min_delta`, which keeps its sign; and one that is no parameter there.

    Attributes:
        numpy: the major version of NumPy that the training had, 1 or 2.
    """

    numpy: int = 1

    def __post_init__(self) -> None:
        # A dataclass with slots is a new class, which the form without arguments does not know.
        KerasConfig.__post_init__(self)
        if self.numpy not in (1, 2):
            raise ConfigError(f"numpy must be 1 or 2, got {self.numpy!r}")


def start(config: TfKerasConfig, lrs: Lrs) -> KerasState:
    """Return the state before the first step; LRs are rounded to float32."""
    return KerasState(float("inf") if config.mode == "min" else float("-inf"), keras.singles(lrs))


def improves(config: TfKerasConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best."""
    if config.mode == "min":
        return metric < best - config.min_delta
    return metric > best + config.min_delta


def step(config: TfKerasConfig, state: KerasState, metric: float) -> tuple[KerasState, Decision]:
    """Take one step: return the state after it and the decision it made."""
    improved = state.best is not None and improves(config, metric, state.best)
    return keras.counted(
        config, state, metric, improved=improved, delta=config.min_delta, lowered=_lowered
    )


def terms(config: TfKerasConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms."""
    del lrs
    product = "float64 product" if config.numpy == 1 else "float32 product"
    return keras.counted_terms(
        config,
        config.min_delta,
        Habits(
            comparison=compared(config.mode, config.min_delta, "abs"),
            lr=f"the float32 of a {product}",
        ),
    )


def nearest(terms: Terms, lrs: Lrs | None = None) -> TfKerasConfig:
    """Return the configuration that comes nearest to some terms; errors as in `keras`."""
    del lrs
    return TfKerasConfig(
        mode=terms.mode,
        factor=terms.factor,
        patience=max(terms.patience, 0) + 1,
        min_delta=terms.absolute or terms.relative,
        cooldown=terms.cooldown + 1 if terms.cooldown else 0,
        min_lr=lowest(terms.min_lr),
    )


def named(config: PlateauConfig, lrs: Lrs | None = None) -> TfKerasConfig:
    """Carry torch's settings over by name; errors as in `keras`."""
    return TfKerasConfig(**asdict(keras.named(config, lrs)))


def _lowered(config: KerasConfig, lr: float) -> float:
    single = isinstance(config, TfKerasConfig) and config.numpy > 1
    factor = stored(config.factor, "float32") if single else config.factor
    product = lr * factor
    return stored(max(stored(product, "float32") if single else product, config.min_lr), "float32")

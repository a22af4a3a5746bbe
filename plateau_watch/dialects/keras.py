"""keras: ReduceLROnPlateau of Keras 3, its rules.

    in cooldown:         cooldown_counter -= 1, wait = 0
    metric is better:    best = metric, wait = 0
    else, not cooling:   wait += 1; at wait >= patience reduce; if an LR could be: wait = 0, cool

What torch does otherwise: the first metric becomes best whatever it is, so after a NaN nothing
ever improves again; metric and best are compared in float32; the step that ends a cooldown
counts again; LRs are float32; at min_lr nothing fires, so `wait` grows on. Knows no Keras object.

Source: keras/src/callbacks/reduce_lr_on_plateau.py and monitor_callback.py of Keras 3.15.1. Its
mode "auto" asks the model's metric; here the answer has to be given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plateau_watch.checked import number, one_of, whole
from plateau_watch.config import Mode, PlateauConfig
from plateau_watch.decision import Decision, Held, Kind
from plateau_watch.dialects.terms import Habits, Lrs, Terms, lowest
from plateau_watch.errors import ConfigError
from plateau_watch.precision import stored

HABITS = Habits(
    comparison="threshold put on the metric, then both in float32",
    lr="the float32 of a float64 product",
    first="becomes best, whatever it is",
)


@dataclass(frozen=True, slots=True)
class KerasConfig:
    """The hyper-parameters of Keras' ReduceLROnPlateau, with its names and defaults.

    Attributes:
        mode: "min" or "max"; what Keras' "auto" came to.
        factor: the LR is multiplied by this; below 1.
        patience: the bad step in a row that fires; 0 is taken as 1.
        min_delta: how much better counts, in the metric's unit; Keras 3 drops its sign.
        cooldown: steps after a reduction; bad ones count again from the last of them on.
        min_lr: lower bound of the LR.

    Raises:
        ConfigError: a value that Keras refuses, or that means nothing.
    """

    mode: Mode = "min"
    factor: float = 0.1
    patience: float = 10
    min_delta: float = 1e-4
    cooldown: float = 0
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        one_of("mode", self.mode, ("min", "max"))
        for name in ("factor", "min_delta", "min_lr"):
            object.__setattr__(self, name, float(number(name, getattr(self, name))))
        for name in ("patience", "cooldown"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
        if self.factor >= 1.0:
            raise ConfigError(f"factor must be below 1, got {self.factor!r}")


@dataclass(frozen=True, slots=True)
class KerasState:
    """All that changes while the callback runs, spelled as Keras spells it.

    Attributes:
        best: the best metric so far; None before the first one, where that becomes best.
        lrs: the LR of each optimizer, as float32 holds it.
        wait: bad steps in a row outside a cooldown.
        cooldown_counter: cooldown steps left.
    """

    best: float | None
    lrs: Lrs
    wait: int = 0
    cooldown_counter: float = 0


def start(config: KerasConfig, lrs: Lrs) -> KerasState:
    """Return the state before the first step; LRs are rounded to float32."""
    del config
    return KerasState(None, singles(lrs))


def improves(config: KerasConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best: the difference is float64, the comparison float32."""
    delta = abs(config.min_delta)
    if config.mode == "min":
        return stored(metric + delta, "float32") < stored(best, "float32")
    return stored(metric - delta, "float32") > stored(best, "float32")


def step(config: KerasConfig, state: KerasState, metric: float) -> tuple[KerasState, Decision]:
    """Take one step: return the state after it and the decision it made."""
    improved = state.best is None or improves(config, metric, state.best)
    delta = abs(config.min_delta)
    return counted(config, state, metric, improved=improved, delta=delta, lowered=_lowered)


def counted(
    config: KerasConfig,
    state: KerasState,
    metric: float,
    *,
    improved: bool,
    delta: float,
    lowered: Callable[[KerasConfig, float], float],
) -> tuple[KerasState, Decision]:
    """Count, wait, reduce and cool down, as both generations of Keras do.

    Args:
        config: the configuration.
        state: the state before the step.
        metric: the value the callback was given.
        improved: whether it beat the best.
        delta: how much better counts; for the decision's bar.
        lowered: what an LR becomes when it is reduced.
    """
    cooldown_counter = max(state.cooldown_counter - 1, 0)
    wait = 0 if state.cooldown_counter > 0 or improved else state.wait
    kind: Kind = "improved" if improved else "cooldown" if cooldown_counter > 0 else "bad"
    wait += kind == "bad"
    new_lrs = state.lrs
    held: tuple[Held | None, ...] = (None,) * len(new_lrs)
    if kind == "bad" and wait >= config.patience:
        reducible = [lr > stored(config.min_lr, "float32") for lr in state.lrs]
        if any(reducible):
            new_lrs = tuple(
                lowered(config, lr) if may else lr
                for lr, may in zip(state.lrs, reducible, strict=True)
            )
            kind = "floored" if new_lrs == state.lrs else "reduced"
            held = _held(state.lrs, new_lrs, reducible)
            cooldown_counter = config.cooldown
    fired = kind in ("reduced", "floored")
    worst = float("inf") if config.mode == "min" else float("-inf")
    best = worst if state.best is None else state.best
    decision = Decision(
        kind=kind,
        metric=metric,
        best=best,
        bar=best - delta if config.mode == "min" else best + delta,
        improved=improved,
        num_bad_epochs=wait,
        cooldown_counter=cooldown_counter,
        old_lrs=state.lrs,
        new_lrs=new_lrs,
        held=held,
    )
    best_after = metric if improved else state.best
    return KerasState(best_after, new_lrs, 0 if fired else wait, cooldown_counter), decision


def singles(lrs: Lrs) -> Lrs:
    """Return LRs as an optimizer of Keras holds them."""
    return tuple(stored(lr, "float32") for lr in lrs)


def terms(config: KerasConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms."""
    del lrs
    return counted_terms(config, abs(config.min_delta), HABITS)


def counted_terms(config: KerasConfig, delta: float, habits: Habits) -> Terms:
    """Say what a configuration of either generation means."""
    return Terms(
        mode=config.mode,
        factor=config.factor,
        patience=max(config.patience, 1) - 1,
        relative=0.0,
        absolute=delta,
        cooldown=max(config.cooldown - 1, 0),
        min_lr=config.min_lr,
        habits=habits,
    )


def nearest(terms: Terms, lrs: Lrs | None = None) -> KerasConfig:
    """Return the configuration that comes nearest to some terms.

    A share of best becomes the same number in the metric's unit.

    Raises:
        ConfigError: a factor of 1 and more, which Keras refuses.
    """
    del lrs
    return KerasConfig(
        mode=terms.mode,
        factor=terms.factor,
        patience=max(terms.patience, 0) + 1,
        min_delta=max(0.0, terms.absolute or terms.relative),
        cooldown=terms.cooldown + 1 if terms.cooldown else 0,
        min_lr=lowest(terms.min_lr),
    )


def named(config: PlateauConfig, lrs: Lrs | None = None) -> KerasConfig:
    """Carry torch's settings over by name; `threshold` is Keras' `min_delta`.

    Raises:
        ConfigError: a value that Keras cannot have.
    """
    del lrs
    return KerasConfig(
        mode=config.mode,
        factor=config.factor,
        patience=config.patience,
        min_delta=config.threshold,
        cooldown=config.cooldown,
        min_lr=lowest(config.min_lr),
    )


def _lowered(config: KerasConfig, lr: float) -> float:
    return stored(max(lr * config.factor, config.min_lr), "float32")


def _held(old: Lrs, new: Lrs, reducible: list[bool]) -> tuple[Held | None, ...]:
    return tuple(
        "min_lr" if not may else "rounding" if was == now else None
        for was, now, may in zip(old, new, reducible, strict=True)
    )

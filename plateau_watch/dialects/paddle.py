"""paddle: ReduceOnPlateau of paddle.optimizer.lr, its rules.

    in cooldown:       cooldown_counter -= 1, and nothing else
    metric is better:  best = metric, num_bad_epochs = 0        otherwise: num_bad_epochs += 1
    bad > patience:    reduce, cooldown_counter = cooldown, num_bad_epochs = 0

What torch does otherwise: in a cooldown the metric is not looked at, so it cannot become best; the
first metric becomes best whatever it is, so after a NaN (in rel after an infinite one, too)
nothing ever improves again; and a relative bar is best - best * threshold, which rounds otherwise.

Source: python/paddle/optimizer/lr.py of PaddlePaddle 3.3.1, for a metric that is a Python float.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from plateau_watch.checked import number, one_of, whole
from plateau_watch.config import Mode, PlateauConfig, ThresholdMode
from plateau_watch.decision import Decision, Held, Kind
from plateau_watch.dialects.terms import Habits, Lrs, Terms, compared, lowest
from plateau_watch.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PaddleConfig:
    """The hyper-parameters of Paddle's ReduceOnPlateau, with its names and defaults.

    Attributes:
        mode: "min" or "max".
        factor: the LR is multiplied by this; below 1.
        patience: bad steps in a row that are forgiven; the one after them fires.
        threshold: how much better than best counts.
        threshold_mode: "rel": a fraction of best; "abs": in the metric's unit.
        cooldown: steps after a firing at which the metric is not looked at.
        min_lr: lower bound of the LR.
        epsilon: a new LR is written only if it is lower by more than this.

    Raises:
        ConfigError: a value that Paddle refuses, or that means nothing.
    """

    mode: Mode = "min"
    factor: float = 0.1
    patience: float = 10
    threshold: float = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: float = 0
    min_lr: float = 0.0
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        one_of("mode", self.mode, ("min", "max"))
        one_of("threshold_mode", self.threshold_mode, ("rel", "abs"))
        for name in ("factor", "threshold", "min_lr", "epsilon"):
            object.__setattr__(self, name, float(number(name, getattr(self, name))))
        for name in ("patience", "cooldown"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
        if self.factor >= 1.0:
            raise ConfigError(f"factor must be below 1, got {self.factor!r}")


@dataclass(frozen=True, slots=True)
class PaddleState:
    """All that changes while the scheduler steps, spelled as Paddle spells it.

    Attributes:
        best: the best metric so far; None before the first one.
        lrs: the LR; Paddle has one.
        num_bad_epochs: bad steps in a row, outside cooldown.
        cooldown_counter: cooldown steps left.
    """

    best: float | None
    lrs: Lrs
    num_bad_epochs: int = 0
    cooldown_counter: float = 0


def start(config: PaddleConfig, lrs: Lrs) -> PaddleState:
    """Return the state before the first step."""
    del config
    return PaddleState(None, lrs)


def bar(config: PaddleConfig, best: float) -> float:
    """Return the value that the next metric has to beat, in Paddle's order of operations."""
    change = config.threshold
    if config.threshold_mode == "rel":
        change = best * config.threshold
    return best - change if config.mode == "min" else best + change


def improves(config: PaddleConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best."""
    if config.mode == "min":
        return metric < bar(config, best)
    return metric > bar(config, best)


def step(config: PaddleConfig, state: PaddleState, metric: float) -> tuple[PaddleState, Decision]:
    """Take one step: return the state after it and the decision it made."""
    cooling = state.cooldown_counter > 0
    improved = not cooling and (state.best is None or improves(config, metric, state.best))
    bad = state.num_bad_epochs if cooling else 0 if improved else state.num_bad_epochs + 1
    kind: Kind = "cooldown" if cooling else "improved" if improved else "bad"
    cooldown_counter = state.cooldown_counter - cooling
    new_lrs = state.lrs
    held: tuple[Held | None, ...] = (None,) * len(new_lrs)
    fires = kind == "bad" and bad > config.patience
    if fires:
        new_lrs, held = _reduced(config, state.lrs)
        kind = "floored" if new_lrs == state.lrs else "reduced"
        cooldown_counter = config.cooldown
    worst = math.inf if config.mode == "min" else -math.inf
    best = worst if state.best is None else state.best
    decision = Decision(
        kind=kind,
        metric=metric,
        best=best,
        bar=worst if state.best is None else bar(config, best),
        improved=improved,
        num_bad_epochs=bad,
        cooldown_counter=cooldown_counter,
        old_lrs=state.lrs,
        new_lrs=new_lrs,
        held=held,
    )
    best_after = metric if improved else state.best
    return PaddleState(best_after, new_lrs, 0 if fires else bad, cooldown_counter), decision


def terms(config: PaddleConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms."""
    del lrs
    relative = config.threshold_mode == "rel"
    comparison = compared(config.mode, config.threshold, "abs")
    if relative and config.threshold:
        comparison = comparison.replace("threshold", "best * threshold")
    forever = ", and if it is infinite nothing is ever better" if relative else ""
    return Terms(
        mode=config.mode,
        factor=config.factor,
        patience=config.patience,
        relative=config.threshold if relative else 0.0,
        absolute=0.0 if relative else config.threshold,
        cooldown=config.cooldown,
        min_lr=config.min_lr,
        eps=config.epsilon,
        habits=Habits(
            comparison=comparison,
            first=f"becomes best, whatever it is{forever}",
            in_cooldown="is not looked at",
        ),
    )


def nearest(terms: Terms, lrs: Lrs | None = None) -> PaddleConfig:
    """Return the configuration that comes nearest to some terms.

    Raises:
        ConfigError: a factor of 1 and more, which Paddle refuses.
    """
    del lrs
    return PaddleConfig(
        mode=terms.mode,
        factor=terms.factor,
        patience=max(terms.patience, 0),
        threshold=terms.relative or terms.absolute,
        threshold_mode="rel" if terms.relative else "abs",
        cooldown=terms.cooldown,
        min_lr=lowest(terms.min_lr),
        epsilon=terms.eps,
    )


def named(config: PlateauConfig, lrs: Lrs | None = None) -> PaddleConfig:
    """Carry torch's settings over by name; `eps` is Paddle's `epsilon`.

    Raises:
        ConfigError: a value that Paddle cannot have.
    """
    del lrs
    return PaddleConfig(
        mode=config.mode,
        factor=config.factor,
        patience=config.patience,
        threshold=config.threshold,
        threshold_mode=config.threshold_mode,
        cooldown=config.cooldown,
        min_lr=lowest(config.min_lr),
        epsilon=config.eps,
    )


def _reduced(config: PaddleConfig, lrs: Lrs) -> tuple[Lrs, tuple[Held | None, ...]]:
    new, held = [], []
    for lr in lrs:
        scaled = lr * config.factor
        lowered = max(scaled, config.min_lr)
        written = lr - lowered > config.epsilon
        why: Held = "min_lr" if lr - scaled > config.epsilon else "eps"
        new.append(lowered if written else lr)
        held.append(None if written else why)
    return tuple(new), tuple(held)

"""fastai: ReduceLROnPlateau of fastai, its rules.

    metric is better:   best = metric, wait = 0
    else:               wait += 1; at wait >= patience reduce every group; wait = 0

What torch does otherwise: `factor` divides; the threshold is taken off the metric, not put on the
best; there is no cooldown and no eps; an LR below min_lr is raised to it. Knows no fastai object.

Source: fastai/callback/tracker.py of fastai 2.8.12, whose `comp` is np.less for a metric with
"loss" or "error" in its name and np.greater otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from plateau_watch.checked import number, one_of, whole
from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision, Held, Kind
from plateau_watch.dialects.terms import Habits, Lrs, Terms, compared, lowest
from plateau_watch.errors import ConfigError

Comp = Literal["less", "greater"]


@dataclass(frozen=True, slots=True)
class FastaiConfig:
    """The hyper-parameters of fastai's ReduceLROnPlateau, with its names and defaults.

    Attributes:
        comp: NumPy's comparison by name: "less" where lower is better, "greater" where higher is.
        min_delta: how much better counts, in the metric's unit.
        patience: the bad step in a row that fires; 0 is taken as 1.
        factor: the LR is divided by this; one below 1 raises it, as it does in fastai.
        min_lr: lower bound of the LR.

    Raises:
        ConfigError: a value that means nothing.
    """

    comp: Comp = "less"
    min_delta: float = 0.0
    patience: float = 1
    factor: float = 10.0
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        one_of("comp", self.comp, ("less", "greater"))
        for name in ("min_delta", "factor", "min_lr"):
            object.__setattr__(self, name, float(number(name, getattr(self, name))))
        object.__setattr__(self, "patience", whole("patience", self.patience))
        if self.factor == 0:
            raise ConfigError("factor divides the LR and cannot be 0")


@dataclass(frozen=True, slots=True)
class FastaiState:
    """All that changes while the callback runs, spelled as fastai spells it.

    Attributes:
        best: the best metric so far; infinite before the first improvement.
        lrs: the LR of each param group.
        wait: bad steps in a row.
    """

    best: float
    lrs: Lrs
    wait: int = 0


def start(config: FastaiConfig, lrs: Lrs) -> FastaiState:
    """Return the state before the first step."""
    return FastaiState(math.inf if config.comp == "less" else -math.inf, lrs)


def improves(config: FastaiConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best."""
    if config.comp == "less":
        return metric + config.min_delta < best
    return metric - config.min_delta > best


def step(config: FastaiConfig, state: FastaiState, metric: float) -> tuple[FastaiState, Decision]:
    """Take one step: return the state after it and the decision it made."""
    improved = improves(config, metric, state.best)
    wait = 0 if improved else state.wait + 1
    fires = not improved and wait >= config.patience
    new_lrs = tuple(_lowered(config, lr) for lr in state.lrs) if fires else state.lrs
    kind: Kind = "improved" if improved else "bad"
    if fires:
        kind = "floored" if new_lrs == state.lrs else "reduced"
    delta = -config.min_delta if config.comp == "less" else config.min_delta
    decision = Decision(
        kind=kind,
        metric=metric,
        best=state.best,
        bar=state.best + delta,
        improved=improved,
        num_bad_epochs=wait,
        cooldown_counter=0,
        old_lrs=state.lrs,
        new_lrs=new_lrs,
        held=_held(state.lrs, new_lrs) if fires else (None,) * len(new_lrs),
    )
    best = metric if improved else state.best
    return FastaiState(best, new_lrs, 0 if fires else wait), decision


def terms(config: FastaiConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms."""
    del lrs
    mode: Literal["min", "max"] = "min" if config.comp == "less" else "max"
    comparison = compared(mode, config.min_delta, "abs")
    if config.min_delta:
        sign, change = ("<", "+") if mode == "min" else (">", "-")
        comparison = f"metric {change} threshold {sign} best"
    exact = math.frexp(config.factor)[0] == 0.5  # a power of two: as good as a product
    return Terms(
        mode=mode,
        factor=1 / config.factor,
        patience=max(config.patience, 1) - 1,
        relative=0.0,
        absolute=config.min_delta,
        cooldown=0,
        min_lr=config.min_lr,
        habits=Habits(
            comparison=comparison,
            lr="a float64 product" if exact else "a float64 quotient",
            low_lr="is raised to it",
        ),
    )


def nearest(terms: Terms, lrs: Lrs | None = None) -> FastaiConfig:
    """Return the configuration that comes nearest to some terms.

    A share of best becomes the same number in the metric's unit; there is no cooldown.
    """
    del lrs
    return FastaiConfig(
        comp="less" if terms.mode == "min" else "greater",
        min_delta=terms.absolute or terms.relative,
        patience=max(terms.patience, 0) + 1,
        factor=1 / terms.factor if terms.factor else math.inf,
        min_lr=lowest(terms.min_lr),
    )


def named(config: PlateauConfig, lrs: Lrs | None = None) -> FastaiConfig:
    """Carry torch's settings over by name, but for the factor, which becomes the divisor it is.

    Raises:
        ConfigError: a patience that fastai cannot have.
    """
    del lrs
    return FastaiConfig(
        comp="less" if config.mode == "min" else "greater",
        min_delta=config.threshold,
        patience=config.patience,
        factor=1 / config.factor if config.factor else math.inf,
        min_lr=lowest(config.min_lr),
    )


def _lowered(config: FastaiConfig, lr: float) -> float:
    return max(lr / config.factor, config.min_lr)


def _held(old: Lrs, new: Lrs) -> tuple[Held | None, ...]:
    """Say why LRs stayed: where the new one is the old one, min_lr or rounding kept it."""
    return tuple("min_lr" if was == now else None for was, now in zip(old, new, strict=True))

"""timm: PlateauLRScheduler of timm: torch's scheduler behind a warmup.

    epoch <= warmup_t:  LR = warmup_lr_init + epoch * (starting LR - warmup_lr_init) / warmup_t,
                        and the metric is not looked at
    later:              torch's rules, with a threshold that is always relative

Steps are taken to be at epochs 1, 2, ..., as timm's own training script counts; at epoch 0 the LR
would be set to warmup_lr_init even without a warmup. timm's noise on the LR is not modelled. Knows
no timm object.

Source: timm/scheduler/plateau_lr.py of timm 1.0.31.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from plateau_watch.checked import number, whole
from plateau_watch.config import Mode, PlateauConfig
from plateau_watch.decision import Decision
from plateau_watch.dialects import torch
from plateau_watch.dialects.terms import Lrs, Terms
from plateau_watch.scheduler import PlateauState
from plateau_watch.scheduler import step as torch_step


@dataclass(frozen=True, slots=True)
class TimmConfig:
    """The hyper-parameters of timm's PlateauLRScheduler, with its names and defaults.

    Attributes:
        decay_rate: the LR is multiplied by this; below 1.
        patience_t: bad steps in a row that are forgiven; the one after them fires.
        threshold: how much better than best counts, as a share of it.
        cooldown_t: steps after a firing whose bad ones are not counted.
        warmup_t: steps of the warmup.
        warmup_lr_init: the LR before the first step of a warmup.
        lr_min: lower bound of the LR, for all param groups or one for each.
        mode: "min" or "max"; the default is "max".

    Raises:
        ConfigError: a value that timm refuses, or that means nothing.
    """

    decay_rate: float = 0.1
    patience_t: float = 10
    threshold: float = 1e-4
    cooldown_t: float = 0
    warmup_t: float = 0
    warmup_lr_init: float = 0.0
    lr_min: float | tuple[float, ...] = 0.0
    mode: Mode = "max"

    def __post_init__(self) -> None:
        checked = in_force(self)
        for name, value in (
            ("decay_rate", checked.factor),
            ("patience_t", checked.patience),
            ("threshold", checked.threshold),
            ("cooldown_t", checked.cooldown),
            ("lr_min", checked.min_lr),
            ("warmup_t", whole("warmup_t", self.warmup_t)),
            ("warmup_lr_init", float(number("warmup_lr_init", self.warmup_lr_init))),
        ):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class TimmState:
    """All that changes while the scheduler steps.

    Attributes:
        start_lrs: the LRs that the warmup ends at.
        plateau: the state of the wrapped scheduler, with the LRs in force.
        epoch: steps taken so far.
    """

    start_lrs: Lrs
    plateau: PlateauState
    epoch: int = 0

    @property
    def lrs(self) -> Lrs:
        """The LRs in force."""
        return self.plateau.lrs


def in_force(config: TimmConfig) -> PlateauConfig:
    """Return the configuration of the wrapped scheduler of torch.

    Raises:
        ConfigError: a value that torch refuses.
    """
    return PlateauConfig(
        mode=config.mode,
        factor=config.decay_rate,
        patience=config.patience_t,
        threshold=config.threshold,
        cooldown=config.cooldown_t,
        min_lr=config.lr_min,
    )


def start(config: TimmConfig, lrs: Lrs) -> TimmState:
    """Return the state before the first step: with a warmup, at warmup_lr_init."""
    first = (config.warmup_lr_init,) * len(lrs) if config.warmup_t else lrs
    return TimmState(lrs, PlateauState.initial(in_force(config), first))


def improves(config: TimmConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best."""
    return torch.improves(in_force(config), metric, best)


def step(config: TimmConfig, state: TimmState, metric: float) -> tuple[TimmState, Decision]:
    """Take one step: return the state after it and the decision it made.

    A step of the warmup is not counted, like a bad one in a cooldown.
    """
    epoch = state.epoch + 1
    if epoch > config.warmup_t:
        plateau, decision = torch_step(in_force(config), state.plateau, metric)
        return TimmState(state.start_lrs, plateau, epoch), decision
    first = config.warmup_lr_init
    new_lrs = tuple(first + epoch * ((lr - first) / config.warmup_t) for lr in state.start_lrs)
    best = state.plateau.best
    decision = Decision(
        kind="cooldown",
        metric=metric,
        best=best,
        bar=in_force(config).bar(best),
        improved=False,
        num_bad_epochs=0,
        cooldown_counter=config.warmup_t - epoch,
        old_lrs=state.lrs,
        new_lrs=new_lrs,
        held=(None,) * len(new_lrs),
    )
    return TimmState(state.start_lrs, replace(state.plateau, lrs=new_lrs), epoch), decision


def terms(config: TimmConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms."""
    own: tuple[str, ...] = ()
    if config.warmup_t:
        own = (f"the first {config.warmup_t} steps warm the LR up and do not look at the metric",)
    return replace(torch.terms(in_force(config), lrs), own=own)


def nearest(terms: Terms, lrs: Lrs | None = None) -> TimmConfig:
    """Return the configuration that comes nearest to some terms.

    A threshold in the metric's unit becomes the same number as a share of best.

    Raises:
        ConfigError: a factor of 1 and more, which torch refuses.
    """
    return named(torch.nearest(terms, lrs))


def named(config: PlateauConfig, lrs: Lrs | None = None) -> TimmConfig:
    """Carry torch's settings over by name, which is decay_rate, patience_t, cooldown_t, lr_min."""
    del lrs
    return TimmConfig(
        decay_rate=config.factor,
        patience_t=config.patience,
        threshold=config.threshold,
        cooldown_t=config.cooldown,
        lr_min=config.min_lr,
        mode=config.mode,
    )

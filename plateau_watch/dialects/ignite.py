"""ignite: ReduceLROnPlateauScheduler of PyTorch-Ignite: torch's scheduler in a wrapper.

    param_group_index given:  that group alone is reduced, held by the min_lr of group 0
    min_lr:                   reaches torch only with param_group_index; so only index 0 has it

Any other min_lr is lost without a word. Everything else is torch's. Knows no ignite object.

Source: ignite/handlers/param_scheduler.py of pytorch-ignite 0.5.5.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from plateau_watch.checked import whole
from plateau_watch.config import Mode, PlateauConfig, ThresholdMode
from plateau_watch.decision import Decision
from plateau_watch.dialects import torch
from plateau_watch.dialects.terms import Lrs, Terms, lowest
from plateau_watch.errors import ConfigError
from plateau_watch.scheduler import PlateauState
from plateau_watch.scheduler import step as torch_step


@dataclass(frozen=True, slots=True)
class IgniteConfig:
    """The hyper-parameters of ignite's ReduceLROnPlateauScheduler, with its names and defaults.

    All but the last are torch's, as in `PlateauConfig`.

    Attributes:
        param_group_index: the one param group to reduce, from 0; None for all of them.

    Raises:
        ConfigError: a value that torch or ignite refuses, or that means nothing.
    """

    mode: Mode = "min"
    factor: float = 0.1
    patience: float = 10
    threshold: float = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: float = 0
    min_lr: float | tuple[float, ...] = 0.0
    eps: float = 1e-8
    param_group_index: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(_torchs(self)).items():
            object.__setattr__(self, name, value)
        if self.param_group_index is not None:
            index = whole("param_group_index", self.param_group_index)
            object.__setattr__(self, "param_group_index", index)
            if isinstance(self.min_lr, tuple):
                raise ConfigError("with param_group_index min_lr must be one number")


def start(config: IgniteConfig, lrs: Lrs) -> PlateauState:
    """Return the state before the first step.

    Raises:
        ConfigError: there is no group of this param_group_index.
    """
    index = config.param_group_index
    if index is not None and index >= len(lrs):
        raise ConfigError(f"param_group_index is {index}, and there are {len(lrs)} param groups")
    return PlateauState.initial(in_force(config), lrs)


def in_force(config: IgniteConfig) -> PlateauConfig:
    """Return what torch's scheduler is left with: min_lr is lost, but for param_group_index 0."""
    return replace(_torchs(config), min_lr=config.min_lr if config.param_group_index == 0 else 0.0)


def improves(config: IgniteConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best."""
    return torch.improves(in_force(config), metric, best)


def step(config: IgniteConfig, state: PlateauState, metric: float) -> tuple[PlateauState, Decision]:
    """Take one step: return the state after it and the decision it made."""
    if config.param_group_index is None:
        return torch_step(in_force(config), state, metric)
    index = int(config.param_group_index)
    alone = replace(state, lrs=(state.lrs[index],), lr_dtypes=(state.lr_dtypes[index],))
    after, decision = torch_step(in_force(config), alone, metric)
    new_lrs = (*state.lrs[:index], *after.lrs, *state.lrs[index + 1 :])
    nothing = (None,) * len(new_lrs)
    held = (*nothing[:index], *decision.held, *nothing[index + 1 :])
    decision = replace(decision, old_lrs=state.lrs, new_lrs=new_lrs, held=held)
    return replace(after, lrs=new_lrs, lr_dtypes=state.lr_dtypes), decision


def terms(config: IgniteConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms."""
    own = []
    if config.param_group_index is not None and (lrs is None or len(lrs) > 1):
        own.append(f"param group {config.param_group_index} alone is reduced")
    if in_force(config).min_lr != config.min_lr:
        own.append("min_lr is lost unless param_group_index is 0")
    return replace(torch.terms(in_force(config), lrs), own=tuple(own))


def nearest(terms: Terms, lrs: Lrs | None = None) -> IgniteConfig:
    """Return the configuration that comes nearest to some terms.

    A min_lr takes param_group_index 0, and with it every other group is left alone; where several
    are known to be there, min_lr is given up instead.

    Raises:
        ConfigError: a factor of 1 and more, which torch refuses.
    """
    bound = lowest(terms.min_lr)
    held = bound > 0 and (lrs is None or len(lrs) == 1)
    config = torch.nearest(replace(terms, min_lr=bound if held else 0.0), lrs)
    return IgniteConfig(**asdict(config), param_group_index=0 if held else None)


def named(config: PlateauConfig, lrs: Lrs | None = None) -> IgniteConfig:
    """Carry torch's settings over by name: they stay as they are, and min_lr is lost."""
    del lrs
    return IgniteConfig(**asdict(config))


def _torchs(config: IgniteConfig) -> PlateauConfig:
    words = [field.name for field in fields(PlateauConfig)]
    return PlateauConfig(**{word: getattr(config, word) for word in words})

"""torch: ReduceLROnPlateau of torch.optim, as one dialect among others.

The rules themselves are `plateau_watch.scheduler`, the configuration is `PlateauConfig`; here
stands only what they mean in common terms. Source: torch 2.13.0.
"""

from __future__ import annotations

import math

from plateau_watch.config import PlateauConfig
from plateau_watch.dialects.terms import Habits, Lrs, Terms, compared
from plateau_watch.scheduler import PlateauState


def start(config: PlateauConfig, lrs: Lrs) -> PlateauState:
    """Return the state of a scheduler that has not stepped yet."""
    return PlateauState.initial(config, lrs)


def improves(config: PlateauConfig, metric: float, best: float) -> bool:
    """Whether a metric beats a best."""
    return config.beats(metric, config.bar(best))


def terms(config: PlateauConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means; fractions of a count mean the next whole one."""
    del lrs
    relative = config.threshold_mode == "rel"
    return Terms(
        mode=config.mode,
        factor=config.factor,
        patience=max(-1, _floor(config.patience)),
        relative=config.threshold if relative else 0.0,
        absolute=0.0 if relative else config.threshold,
        cooldown=max(0, -_floor(-config.cooldown)),
        min_lr=config.min_lr,
        eps=config.eps,
        habits=Habits(comparison=compared(config.mode, config.threshold, config.threshold_mode)),
    )


def nearest(terms: Terms, lrs: Lrs | None = None) -> PlateauConfig:
    """Return the configuration that comes nearest to some terms.

    Raises:
        ConfigError: a factor of 1 and more, which torch refuses.
    """
    del lrs
    return PlateauConfig(
        mode=terms.mode,
        factor=terms.factor,
        patience=terms.patience,
        threshold=terms.relative or terms.absolute,
        threshold_mode="rel" if terms.relative else "abs",
        cooldown=terms.cooldown,
        min_lr=terms.min_lr,
        eps=terms.eps,
    )


def named(config: PlateauConfig, lrs: Lrs | None = None) -> PlateauConfig:
    """Carry torch's settings over by name: they stay as they are."""
    del lrs
    return config


def _floor(value: float) -> float:
    return math.floor(value) if math.isfinite(value) else value

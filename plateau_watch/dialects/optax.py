"""optax: optax.contrib.reduce_on_plateau, its rules.

    every accumulation_size values, on their mean:
    mean < (1 - rtol) * best - atol:  best = mean, count = 0        otherwise: count += 1
    in cooldown:                      cooldown_count -= 1, count = 0
    else, if count == patience:       scale = max(scale * factor, min_scale), count = 0, cool down

What torch does otherwise: there is a scale for the updates, not an LR; it fires at the patience-th
bad step, and with patience 0 at improvements alone; it only minimises; all of it is float32, as
XLA compiles it: a product and a sum are rounded once, and subnormal numbers are 0. Knows no JAX.

Source: optax/contrib/_reduce_on_plateau.py of optax 0.2.8, run under jit by jax 0.10.2 on a CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from plateau_watch.checked import number, whole
from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision, Held, Kind
from plateau_watch.dialects.terms import Habits, Lrs, Terms, lowest
from plateau_watch.errors import ConfigError
from plateau_watch.precision import stored

SMALLEST = 2.0**-126
"""The smallest float32 that is not subnormal."""

NEXT_TO_NOTHING = 1e-300
"""An atol that optax accepts, and that is 0 in float32: it refuses rtol and atol both 0."""

MOST_COOLDOWN = 2**31 - 1
"""The longest cooldown an int32 counts."""


@dataclass(frozen=True, slots=True)
class OptaxConfig:
    """The hyper-parameters of optax's reduce_on_plateau, with its names and defaults.

    Attributes:
        factor: the scale is multiplied by this; above 0 and below 1.
        patience: the bad step in a row that fires; with 0 improvements fire and nothing else does.
        rtol: how much better than best counts, as a share of it; 0 to 1.
        atol: the same in the metric's unit, on top; not negative, and not 0 where rtol is.
        cooldown: steps after a firing whose bad ones are not counted.
        accumulation_size: values whose mean is one step.
        min_scale: lower bound of the scale.

    Raises:
        ConfigError: a value that optax refuses, or that means nothing.
    """

    factor: float = 0.1
    patience: float = 10
    rtol: float = 1e-4
    atol: float = 0.0
    cooldown: float = 0
    accumulation_size: float = 1
    min_scale: float = 0.0

    def __post_init__(self) -> None:
        for name in ("factor", "rtol", "atol", "min_scale"):
            object.__setattr__(self, name, float(number(name, getattr(self, name))))
        for name, least in (("patience", 0), ("cooldown", 0), ("accumulation_size", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if not 0 < self.factor < 1:
            raise ConfigError(f"factor must be above 0 and below 1, got {self.factor!r}")
        if not 0 <= self.rtol <= 1:
            raise ConfigError(f"rtol must be from 0 to 1, got {self.rtol!r}")
        if self.atol < 0 or self.rtol == self.atol == 0:
            raise ConfigError("atol must not be negative, nor 0 where rtol is")
        if self.cooldown > MOST_COOLDOWN:
            raise ConfigError(f"cooldown must be at most {MOST_COOLDOWN}, got {self.cooldown!r}")


@dataclass(frozen=True, slots=True)
class OptaxState:
    """All that changes from step to step, spelled as optax spells it.

    Attributes:
        start_lrs: the LRs that the scale is applied to.
        scale: what the updates are multiplied by.
        best_value: the best mean so far; infinite before the first improvement.
        plateau_count: bad steps in a row, outside cooldown.
        cooldown_count: cooldown steps left.
        count: values accumulated since the last step.
        avg_value: their mean.
    """

    start_lrs: Lrs
    scale: float = 1.0
    best_value: float = math.inf
    plateau_count: int = 0
    cooldown_count: float = 0
    count: int = 0
    avg_value: float = 0.0

    @property
    def lrs(self) -> Lrs:
        """The LRs that come of the scale."""
        return tuple(lr * self.scale for lr in self.start_lrs)


def start(config: OptaxConfig, lrs: Lrs) -> OptaxState:
    """Return the state before the first step."""
    del config
    return OptaxState(lrs)


def bar(config: OptaxConfig, best: float) -> float:
    """Return the value that the next mean has to beat."""
    return _fused(_single(1 - config.rtol), best, -_single(config.atol))


def improves(config: OptaxConfig, metric: float, best: float) -> bool:
    """Whether a mean beats a best, both as float32."""
    return _single(metric) < bar(config, best)


def step(config: OptaxConfig, state: OptaxState, metric: float) -> tuple[OptaxState, Decision]:
    """Take one value: return the state after it and the decision it made.

    A value that only adds to a mean is not counted, like a bad one in a cooldown.
    """
    count = state.count + 1
    mean = _single(_fused(state.count, state.avg_value, _single(metric)) / count)
    if count < config.accumulation_size:
        after = replace(state, count=count, avg_value=mean)
        return after, _decision(config, state, after, "cooldown", metric, improved=False, bad=0)
    improved = improves(config, mean, state.best_value)
    bad = 0 if improved else state.plateau_count + 1
    best = mean if improved else state.best_value
    after = replace(state, best_value=best, count=0, avg_value=0.0)
    kind: Kind = "improved" if improved else "bad"
    if state.cooldown_count > 0:
        after = replace(after, plateau_count=0, cooldown_count=state.cooldown_count - 1)
        kind = "improved" if improved else "cooldown"
        return after, _decision(config, state, after, kind, mean, improved=improved, bad=0)
    fires = bad == config.patience
    scale = _single(state.scale * _single(config.factor)) if fires else state.scale
    scale = max(scale, _single(config.min_scale))
    after = replace(
        after,
        scale=scale,
        plateau_count=0 if fires else bad,
        cooldown_count=config.cooldown if fires else 0,
    )
    if fires:
        kind = "floored" if scale == state.scale else "reduced"
    return after, _decision(config, state, after, kind, mean, improved=improved, bad=bad)


def terms(config: OptaxConfig, lrs: Lrs | None = None) -> Terms:
    """Say what a configuration means in common terms.

    Without the starting LRs it is not known which LR min_scale stands for.
    """
    own = []
    if config.patience == 0:
        own.append("patience 0 fires at improvements and at no bad step")
    if config.accumulation_size > 1:
        own.append(f"a step is taken on the mean of {config.accumulation_size} values")
    min_lr: float | Lrs = 0.0
    if config.min_scale and lrs is None:
        own.append(f"the LR stops at {config.min_scale:g} times the starting one")
    elif config.min_scale and lrs:
        bounds = tuple(lr * config.min_scale for lr in lrs)
        min_lr = bounds if len(bounds) > 1 else bounds[0]
    return Terms(
        mode="min",
        factor=config.factor,
        patience=max(config.patience, 1) - 1,
        relative=config.rtol,
        absolute=config.atol if _single(config.atol) else 0.0,
        cooldown=config.cooldown,
        min_lr=min_lr,
        own=tuple(own),
        habits=Habits(
            comparison="metric < best * (1 - rtol) - atol in float32",
            lr="the starting LR times a float32 scale",
        ),
    )


def nearest(terms: Terms, lrs: Lrs | None = None) -> OptaxConfig:
    """Return the configuration that comes nearest to some terms.

    Without the starting LRs there is no min_scale.

    Raises:
        ConfigError: a metric that is maximised, or a value that optax refuses.
    """
    _minimised(terms.mode)
    return OptaxConfig(
        factor=terms.factor,
        patience=max(terms.patience, 0) + 1,
        rtol=terms.relative,
        atol=terms.absolute if terms.absolute or terms.relative else NEXT_TO_NOTHING,
        cooldown=min(terms.cooldown, MOST_COOLDOWN),
        min_scale=_share(lowest(terms.min_lr), lrs),
    )


def named(config: PlateauConfig, lrs: Lrs | None = None) -> OptaxConfig:
    """Carry torch's settings over by name; the threshold is optax's rtol or atol.

    min_lr becomes the min_scale that means it, where the starting LR is known.

    Raises:
        ConfigError: a metric that is maximised, or a value that optax cannot have.
    """
    _minimised(config.mode)
    relative = config.threshold_mode == "rel"
    return OptaxConfig(
        factor=config.factor,
        patience=config.patience,
        rtol=config.threshold if relative else 0.0,
        atol=0.0 if relative else config.threshold,
        cooldown=config.cooldown,
        min_scale=_share(lowest(config.min_lr), lrs),
    )


def _minimised(mode: str) -> None:
    if mode == "max":
        raise ConfigError("optax only minimises; it would have to be given the negated metric")


def _share(min_lr: float, lrs: Lrs | None) -> float:
    return min_lr / lrs[0] if lrs and lrs[0] else 0.0


def _decision(
    config: OptaxConfig,
    before: OptaxState,
    after: OptaxState,
    kind: Kind,
    metric: float,
    *,
    improved: bool,
    bad: int,
) -> Decision:
    held: Held | None = None
    if kind == "floored":
        held = "min_lr" if before.scale == _single(config.min_scale) else "rounding"
    return Decision(
        kind=kind,
        metric=metric,
        best=before.best_value,
        bar=bar(config, before.best_value),
        improved=improved,
        num_bad_epochs=bad,
        cooldown_counter=after.cooldown_count,
        old_lrs=before.lrs,
        new_lrs=after.lrs,
        held=(held,) * len(before.start_lrs),
    )


def _single(value: float) -> float:
    """Round to float32, subnormal numbers to a zero of their sign."""
    single = stored(value, "float32")
    return math.copysign(0.0, single) if abs(single) < SMALLEST else single


def _fused(a: float, b: float, c: float) -> float:
    """Return a * b + c of three float32s, rounded to float32 once.

    The product is exact in float64. The sum is rounded there to an odd last bit where it is not
    exact, which leaves the second rounding right.
    """
    product = a * b
    total = product + c
    back = total - product
    rest = (product - (total - back)) + (c - back)
    if math.isfinite(total) and rest and not int(np.float64(total).view(np.int64)) & 1:
        total = math.nextafter(total, math.copysign(math.inf, rest))
    return _single(total)

"""PlateauConfig: the hyper-parameters of ReduceLROnPlateau, checked and frozen.

One job: hold what does not change while the scheduler steps, and the arithmetic that depends on
nothing else: the bar. It does not know the state, the LRs or the steps. Invariant: every value
is one that torch accepts and that means something (never NaN), in the types torch computes with.

Source of every rule: torch/optim/lr_scheduler.py of torch 2.13.0, unchanged since 1.1 but for
tensor LRs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, cast

from plateau_watch.checked import count, number, one_of
from plateau_watch.errors import ConfigError

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]


@dataclass(frozen=True, slots=True)
class PlateauConfig:
    """The hyper-parameters of ReduceLROnPlateau, with torch's names, defaults and meaning.

    Attributes:
        mode: "min" where lower is better, "max" where higher is.
        factor: the LR is multiplied by this; below 1 (torch refuses 1 and more). Zero and
            negative factors are accepted as torch does: they send the LR to `min_lr` at once.
        patience: bad steps that are forgiven; the one after them fires. May be infinite.
        threshold: how much better than `best` counts; may be 0, negative, or above 1.
        threshold_mode: "rel": a fraction of `best`; "abs": in the metric's unit.
        cooldown: steps after firing in which bad steps are not counted.
        min_lr: lower bound of the LR; one for all param groups, or a tuple with one for each.
        eps: a new LR is written only if it is lower by more than this.

    Raises:
        ConfigError: naming the value, when torch would refuse it or it means nothing.
    """

    mode: Mode = "min"
    factor: float = 0.1
    patience: float = 10
    threshold: float = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: float = 0
    min_lr: float | tuple[float, ...] = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        one_of("mode", self.mode, ("min", "max"))
        one_of("threshold_mode", self.threshold_mode, ("rel", "abs"))
        for name in ("factor", "threshold", "eps"):
            object.__setattr__(self, name, float(number(name, getattr(self, name))))
        for name in ("patience", "cooldown"):
            object.__setattr__(self, name, count(name, getattr(self, name)))
        object.__setattr__(self, "min_lr", _min_lr(self.min_lr))
        if self.factor >= 1.0:
            raise ConfigError(f"factor must be below 1, got {self.factor!r}")

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Any]) -> PlateauConfig:
        """Read the hyper-parameters from `ReduceLROnPlateau.state_dict()`, of torch >= 2.2.

        Raises:
            ConfigError: when one is missing or means nothing.
        """
        words = [field.name for field in fields(cls) if field.name != "min_lr"]
        missing = [word for word in (*words, "min_lrs") if word not in state_dict]
        if missing:
            raise ConfigError(
                f"this is no state_dict of ReduceLROnPlateau: it has no {', '.join(missing)}"
            )
        min_lrs = [float(bound) for bound in state_dict["min_lrs"]]
        default = state_dict.get("default_min_lr")
        one_for_all = default is not None and all(bound == default for bound in min_lrs)
        return cls(
            **{word: state_dict[word] for word in words},
            min_lr=float(cast(float, default)) if one_for_all else tuple(min_lrs),
        )

    def to_state_dict(self, groups: int) -> dict[str, Any]:
        """Return the entries of torch's `state_dict()` that hold the hyper-parameters."""
        return {
            **{name: value for name, value in asdict(self).items() if name != "min_lr"},
            "default_min_lr": None if isinstance(self.min_lr, tuple) else self.min_lr,
            "min_lrs": list(self.min_lrs(groups)),
            "mode_worse": self.worst,
        }

    def with_changes(self, **changes: object) -> PlateauConfig:
        """Return this configuration with some parameters replaced, checked again."""
        return replace(self, **cast(Any, changes))

    def differences(self, other: PlateauConfig) -> dict[str, Any]:
        """Return the parameters of this configuration that differ from another's."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        }

    @property
    def worst(self) -> float:
        """What `best` is before the first step: +inf for min, -inf for max."""
        return math.inf if self.mode == "min" else -math.inf

    def bar(self, best: float) -> float:
        """Return the value that the next metric has to beat, strictly.

        The order of operations is torch's, for equality bit by bit. In mode rel a negative
        `best` puts the bar on its wrong side: a slightly worse metric is an improvement.
        """
        if self.threshold_mode == "rel":
            if self.mode == "min":
                return best * (1.0 - self.threshold)
            return best * (self.threshold + 1.0)
        if self.mode == "min":
            return best - self.threshold
        return best + self.threshold

    def beats(self, metric: float, bar: float) -> bool:
        """Whether a metric beats the bar; a tie does not, and NaN never does."""
        return metric < bar if self.mode == "min" else metric > bar

    def min_lrs(self, groups: int) -> tuple[float, ...]:
        """Return the lower bound of each param group.

        Raises:
            ConfigError: when `min_lr` is a list of another length (torch: RuntimeError).
        """
        if not isinstance(self.min_lr, tuple):
            return (self.min_lr,) * groups
        if len(self.min_lr) != groups:
            raise ConfigError(
                f"min_lr has {len(self.min_lr)} values for {groups} param groups: "
                "give one for all, or one for each"
            )
        return self.min_lr


def _min_lr(value: object) -> float | tuple[float, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(number("min_lr", bound) for bound in value)
    return number("min_lr", value)


TORCH_DEFAULTS = PlateauConfig()
"""What ReduceLROnPlateau does when nothing is said."""

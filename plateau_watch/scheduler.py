"""torch's ReduceLROnPlateau, one step at a time: all of its rules and nothing else.

    current = float(metric);  last_epoch += 1
    beats the bar:            best = current, bad = 0     otherwise: bad += 1
    in cooldown:              cooldown_counter -= 1, bad = 0
    bad > patience:           reduce every group, cooldown_counter = cooldown, bad = 0

A pure function from (configuration, state, metric) to (state, decision). It holds no state, does
no I/O and knows no steps of a training: it counts its own. Invariant, held by the tests against
torch itself with `==`: after every step each LR, `best`, `num_bad_epochs` and `cooldown_counter`
equal torch's bit for bit, NaN and infinities included.

Source: torch/optim/lr_scheduler.py, torch 2.13.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision, Held, Kind
from plateau_watch.errors import ConfigError
from plateau_watch.precision import stored

LrDtype = Literal["python", "float64", "float32", "float16", "bfloat16"]
"""Into what a written LR is rounded: a Python float, or the dtype of a tensor LR."""


@dataclass(frozen=True, slots=True)
class PlateauState:
    """All that changes while the scheduler steps, spelled as torch spells it.

    Attributes:
        best: the best metric so far; +-inf before the first improvement.
        num_bad_epochs: bad steps in a row, outside cooldown.
        cooldown_counter: cooldown steps left.
        last_epoch: scheduler steps taken so far; no decision depends on it.
        lrs: LR of each param group.
        lr_dtypes: into what each group's LR is rounded when written; one for each group.
    """

    best: float
    lrs: tuple[float, ...]
    num_bad_epochs: int = 0
    cooldown_counter: float = 0
    last_epoch: int = 0
    lr_dtypes: tuple[LrDtype, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr_dtypes", self.lr_dtypes or ("python",) * len(self.lrs))
        if len(self.lr_dtypes) != len(self.lrs):
            raise ConfigError(f"{len(self.lr_dtypes)} dtypes for {len(self.lrs)} LRs")

    @classmethod
    def initial(
        cls, config: PlateauConfig, lrs: Iterable[float], lr_dtypes: tuple[LrDtype, ...] = ()
    ) -> PlateauState:
        """Return the state of a scheduler that has not stepped yet."""
        return cls(best=config.worst, lrs=tuple(map(float, lrs)), lr_dtypes=lr_dtypes)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Any]) -> PlateauState:
        """Read the state from `ReduceLROnPlateau.state_dict()`, of torch >= 2.2.

        The LRs are those after the scheduler's last step (`_last_lr`); a tensor LR keeps its
        dtype.

        Raises:
            ConfigError: when an entry is missing, as in the state_dict of another scheduler.
        """
        words = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr")
        missing = [word for word in words if word not in state_dict]
        if missing:
            raise ConfigError(
                f"this is no state_dict of ReduceLROnPlateau: it has no {', '.join(missing)}"
            )
        last_lr = state_dict["_last_lr"]
        return cls(
            best=float(state_dict["best"]),
            num_bad_epochs=state_dict["num_bad_epochs"],
            cooldown_counter=state_dict["cooldown_counter"],
            last_epoch=state_dict["last_epoch"],
            lrs=tuple(float(lr) for lr in last_lr),
            lr_dtypes=tuple(lr_dtype_of(lr) for lr in last_lr),
        )

    def to_state_dict(self) -> dict[str, Any]:
        """Return the entries of torch's `state_dict()` that hold the state.

        With `PlateauConfig.to_state_dict` they make a whole one. LRs come as floats: torch
        loads them, and takes the LRs it works with from the optimizer.
        """
        return {
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
            "last_epoch": self.last_epoch,
            "_last_lr": list(self.lrs),
        }


def step(
    config: PlateauConfig, state: PlateauState, metric: float
) -> tuple[PlateauState, Decision]:
    """Take one scheduler step: return the state after it and the decision it made.

    Raises:
        ConfigError: the scheduler fires and `min_lr` is a list of another length than `lrs`.
    """
    metric = float(metric)
    bar = config.bar(state.best)
    improved = config.beats(metric, bar)
    counted = 0 if improved else state.num_bad_epochs + 1
    in_cooldown = state.cooldown_counter > 0
    cooldown_counter = state.cooldown_counter - 1 if in_cooldown else state.cooldown_counter
    bad = 0 if in_cooldown else counted
    kind: Kind = "improved" if improved else "cooldown" if in_cooldown else "bad"
    new_lrs = state.lrs
    held: tuple[Held | None, ...] = (None,) * len(state.lrs)
    if bad > config.patience:
        new_lrs, held = _reduce(config, state)
        kind = "reduced" if new_lrs != state.lrs else "floored"
        cooldown_counter = config.cooldown
    decision = Decision(
        kind=kind,
        metric=metric,
        best=state.best,
        bar=bar,
        improved=improved,
        num_bad_epochs=bad,
        cooldown_counter=cooldown_counter,
        old_lrs=state.lrs,
        new_lrs=new_lrs,
        held=held,
    )
    after = replace(
        state,
        best=metric if improved else state.best,
        num_bad_epochs=0 if decision.fired else bad,
        cooldown_counter=cooldown_counter,
        last_epoch=state.last_epoch + 1,
        lrs=new_lrs,
    )
    return after, decision


def _reduce(
    config: PlateauConfig, state: PlateauState
) -> tuple[tuple[float, ...], tuple[Held | None, ...]]:
    bounds = config.min_lrs(len(state.lrs))
    outcomes = [
        _reduce_group(config, old, bound, dtype)
        for old, bound, dtype in zip(state.lrs, bounds, state.lr_dtypes, strict=True)
    ]
    return tuple(new for new, _ in outcomes), tuple(why for _, why in outcomes)


def _reduce_group(
    config: PlateauConfig, old: float, min_lr: float, dtype: LrDtype
) -> tuple[float, Held | None]:
    scaled = old * config.factor
    new = max(scaled, min_lr)
    if not old - new > config.eps:
        return old, "min_lr" if old - scaled > config.eps else "eps"
    written = rounded(new, dtype)
    return written, "rounding" if written == old else None


def rounded(lr: float, dtype: LrDtype) -> float:
    """Round an LR as writing it does: a tensor LR takes the nearest value of its dtype."""
    return lr if dtype == "python" else stored(lr, dtype)


def lr_dtype_of(lr: object) -> LrDtype:
    """Name the dtype of an LR: a tensor's, or "python" for any plain number.

    Raises:
        ConfigError: a tensor of a dtype that holds no LR.
    """
    name = re.sub(r"^torch\.", "", str(getattr(lr, "dtype", "python")))
    if not hasattr(lr, "fill_"):
        return "python"
    if name not in get_args(LrDtype):
        raise ConfigError(f"an LR cannot be a tensor of {name}")
    return name  # type: ignore[return-value]  # membership was just checked

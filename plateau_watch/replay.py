"""replay: run one configuration over a recorded metric, and keep every state on the way.

One job: apply `scheduler.step` from a start, taking up what came from outside between steps. It
does not know where metric, start or configuration come from. Invariant: a replay of the first k
values is the first k rows of the replay of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision
from plateau_watch.scheduler import LrDtype, PlateauState, step


@dataclass(frozen=True, slots=True)
class Counters:
    """The part of the state that is not LRs: what `load_state_dict` brings."""

    best: float
    num_bad_epochs: int
    cooldown_counter: float

    def same(self, other: Counters) -> bool:
        """Whether these are the same numbers; a NaN is the same as a NaN."""
        return all(
            mine == its or (math.isnan(mine) and math.isnan(its))
            for mine, its in zip(_numbers(self), _numbers(other), strict=True)
        )


def _numbers(counters: Counters) -> tuple[float, ...]:
    return counters.best, counters.num_bad_epochs, counters.cooldown_counter


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """What something other than the scheduler changed just before a step.

    Attributes:
        index: position of that step in the metric, from 0.
        config: the hyper-parameters from here on; None where they stay.
        counters: the state from here on (a loaded checkpoint); None where it stays.
        lrs: the LRs found at this step (a warmup, a resume, a new group); None where they stay.
        lr_dtypes: into what LRs are rounded from here on; None where it stays.
    """

    index: int
    config: PlateauConfig | None = None
    counters: Counters | None = None
    lrs: tuple[float, ...] | None = None
    lr_dtypes: tuple[LrDtype, ...] | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One row for each scheduler step.

    Attributes:
        start: the state before the first step.
        configs: the configuration in force at each step.
        states: the state after each step.
        decisions: what each step decided.
    """

    start: PlateauState
    configs: tuple[PlateauConfig, ...]
    states: tuple[PlateauState, ...]
    decisions: tuple[Decision, ...]

    def __len__(self) -> int:
        return len(self.states)


def replay(
    config: PlateauConfig,
    metric: Iterable[float],
    start: PlateauState,
    changes: Sequence[OutsideChange] = (),
) -> Trace:
    """Step a scheduler over a metric.

    Args:
        config: the configuration at the first step.
        metric: the values the scheduler was given, one for each step.
        start: the state before the first step.
        changes: what came from outside, in index order.

    Raises:
        ConfigError: a list `min_lr` that does not fit the number of param groups.
    """
    state = start
    configs: list[PlateauConfig] = []
    states: list[PlateauState] = []
    decisions: list[Decision] = []
    pending = {change.index: change for change in changes}
    for index, value in enumerate(metric):
        if index in pending:
            config = pending[index].config or config
            state = _changed(state, pending[index])
        state, decision = step(config, state, value)
        configs.append(config)
        states.append(state)
        decisions.append(decision)
    return Trace(start, tuple(configs), tuple(states), tuple(decisions))


def _changed(state: PlateauState, change: OutsideChange) -> PlateauState:
    counters = change.counters or Counters(state.best, state.num_bad_epochs, state.cooldown_counter)
    return replace(
        state,
        best=counters.best,
        num_bad_epochs=counters.num_bad_epochs,
        cooldown_counter=counters.cooldown_counter,
        lrs=state.lrs if change.lrs is None else change.lrs,
        lr_dtypes=state.lr_dtypes if change.lr_dtypes is None else change.lr_dtypes,
    )

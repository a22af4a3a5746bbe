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
    """What something other than the scheduler changed just before a step of the real run.

    Attributes:
        index: position of that step in the metric, from 0.
        was: counters that the real run had before the change.
        was_lrs: LRs that the real run had before the change.
        config: the hyper-parameters from here on; None where they stay.
        counters: the counters from here on (a loaded checkpoint); None where they stay.
        lrs: the LRs from here on (a warmup, a resume, a new group); None where they stay.
        lr_dtypes: into what LRs are rounded from here on; None where it stays.
        missing: steps before this one that the trace has lost.
    """

    index: int
    was: Counters
    was_lrs: tuple[float, ...]
    config: PlateauConfig | None = None
    counters: Counters | None = None
    lrs: tuple[float, ...] | None = None
    lr_dtypes: tuple[LrDtype, ...] | None = None
    missing: int = 0


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
    *,
    open_loop: bool = False,
) -> Trace:
    """Step a scheduler over a metric.

    Args:
        config: the configuration at the first step.
        metric: the values the scheduler was given, one for each step.
        start: the state before the first step.
        changes: what came from outside, in index order.
        open_loop: this is no replay of the real run but a what-if. It ends before a change that
            nobody can carry over: one that met another state than the real run's.

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
            change = pending[index]
            if open_loop and not _carries_over(change, state):
                break
            config = change.config or config
            state = _changed(state, change)
        state, decision = step(config, state, value)
        configs.append(config)
        states.append(state)
        decisions.append(decision)
    return Trace(start, tuple(configs), tuple(states), tuple(decisions))


def _carries_over(change: OutsideChange, state: PlateauState) -> bool:
    """Whether a change of the real run means something to this state.

    An LR that was set, or counters that were loaded, over others than the real run's could have
    been meant absolutely or in proportion; and nobody knows what lost steps would have done.
    """
    if change.missing:
        return False
    if change.counters is not None and not change.was.same(_counters_of(state)):
        return False
    return change.lrs is None or all(
        own == was
        for own, was, now in zip(state.lrs, change.was_lrs, change.lrs, strict=False)
        if now != was
    )


def _changed(state: PlateauState, change: OutsideChange) -> PlateauState:
    counters = change.counters or _counters_of(state)
    return replace(
        state,
        best=counters.best,
        num_bad_epochs=counters.num_bad_epochs,
        cooldown_counter=counters.cooldown_counter,
        lrs=state.lrs if change.lrs is None else _set_lrs(state.lrs, change.was_lrs, change.lrs),
        lr_dtypes=state.lr_dtypes if change.lr_dtypes is None else change.lr_dtypes,
    )


def _set_lrs(
    own: tuple[float, ...], was: tuple[float, ...], now: tuple[float, ...]
) -> tuple[float, ...]:
    """Set the LRs that changed, and those of new groups; the others stay as they are."""
    stay = min(len(own), len(was))
    return tuple(
        own[group] if group < stay and lr == was[group] else lr for group, lr in enumerate(now)
    )


def _counters_of(state: PlateauState) -> Counters:
    return Counters(state.best, state.num_bad_epochs, state.cooldown_counter)

"""trace: a dialect's rules over a metric.

One job: step one configuration of any dialect from its start. Invariant: a trace of the first k
values is the first k rows of the trace of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plateau_watch.decision import Decision
from plateau_watch.dialects.dialect import Config, dialect_of
from plateau_watch.dialects.terms import Lrs
from plateau_watch.precision import Precision, preimage


@dataclass(frozen=True, slots=True)
class DialectTrace:
    """One row for each step.

    Attributes:
        config: whose rules were followed.
        start_lrs: the LRs before the first step, as the framework holds them.
        decisions: what each step decided. `num_bad_epochs` is what the framework counts by
            whatever name; `bar` is exact but for float32 comparisons. A step that does not look at
            its metric (a warmup, half of a mean) is a "cooldown".
    """

    config: Config
    start_lrs: Lrs
    decisions: tuple[Decision, ...]

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def lrs(self) -> tuple[Lrs, ...]:
        """The LRs after each step."""
        return tuple(decision.new_lrs for decision in self.decisions)

    @property
    def fired(self) -> tuple[int, ...]:
        """The indices of the steps that fired."""
        return tuple(index for index, each in enumerate(self.decisions) if each.fired)


def follow(config: Config, metric: Iterable[float], lrs: Iterable[float]) -> DialectTrace:
    """Follow a dialect's rules over a metric.

    Args:
        config: a configuration of any dialect.
        metric: the values the scheduler is given, one for each step.
        lrs: the starting LR of each param group.

    Raises:
        ConfigError: a configuration that does not fit the number of LRs.
    """
    rules = dialect_of(config)
    state = rules.start(config, tuple(map(float, lrs)))
    start_lrs = state.lrs
    decisions = []
    for value in metric:
        state, decision = rules.step(config, state, float(value))
        decisions.append(decision)
    return DialectTrace(config, start_lrs, tuple(decisions))


def could_flip(trace: DialectTrace, precision: Precision) -> tuple[int, ...]:
    """Return the indices of decisions that rounding a logged metric could have flipped.

    Steps that do not count their metric are left out. See `parity.ambiguous`.
    """
    if precision in ("float64", "int"):
        return ()
    improves = dialect_of(trace.config).improves
    return tuple(
        index
        for index, decision in enumerate(trace.decisions)
        if decision.kind != "cooldown"
        and len(
            {
                improves(trace.config, metric, best)
                for metric in preimage(decision.metric, precision)
                for best in preimage(decision.best, precision)
            }
        )
        > 1
    )

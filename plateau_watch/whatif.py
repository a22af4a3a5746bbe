"""what-if: which other configurations to try, and where each one leaves the real schedule.

A what-if is open-loop: from the first step after which its LR differs from the real one, the
recorded metric is no longer what that schedule would have seen. Everything beyond is
hypothetical. Knows no logs and no rendering.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from plateau_watch.config import PlateauConfig
from plateau_watch.replay import OutsideChange, Trace, replay
from plateau_watch.scheduler import PlateauState

Overrides = Mapping[str, Any]
"""Parameters of torch's scheduler that an alternative sets; the others stay as in the real run."""


def grid(choices: Mapping[str, Sequence[Any]]) -> list[Overrides]:
    """Return every combination of the values given for each parameter; none for no choices."""
    if not choices:
        return []
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def around(config: PlateauConfig) -> list[Overrides]:
    """Return a few sensible alternatives to a configuration, one parameter changed in each.

    Half and double the patience, a gentler or a harsher factor, a threshold ten times as large,
    and a cooldown where there is none (none where there is one).
    """
    patience = config.patience if math.isfinite(config.patience) else 10
    alternatives: list[Overrides] = [
        {"patience": patience // 2},
        {"patience": 2 * patience if patience > 0 else 2},
        {"factor": 0.5 if config.factor < 0.3 else 0.1},
        {"threshold": 10 * config.threshold if config.threshold else 1e-4},
        {"cooldown": 0 if config.cooldown else max(1, patience // 2)},
    ]
    return [choice for choice in alternatives if config.with_changes(**choice) != config]


def differing(configs: Sequence[PlateauConfig], choices: Sequence[Overrides]) -> list[Overrides]:
    """Reduce each alternative to what differs from any of the real run's configurations.

    Those that differ from none are dropped, and so are repetitions.
    """
    found: list[Overrides] = []
    for choice in choices:
        kept: dict[str, Any] = {}
        for config in configs:
            kept |= config.with_changes(**choice).differences(config)
        if kept and kept not in found:
            found.append(kept)
    return found


def what_if(
    overrides: Overrides,
    config: PlateauConfig,
    metric: Sequence[float],
    start: PlateauState,
    changes: Sequence[OutsideChange] = (),
) -> Trace:
    """Replay a recorded metric with some parameters changed.

    What came from outside comes here too: parameters edited on the way (those not overridden), a
    loaded state, LRs set by others; the trace ends before a change that cannot be carried over.
    A `best` still at its start follows the mode.
    """
    altered = config.with_changes(**overrides)
    if start.best == config.worst:
        start = replace(start, best=altered.worst)
    carried = [_under(overrides, change) for change in changes]
    return replay(altered, metric, start, carried, open_loop=True)


def diverges_at(
    real: Sequence[tuple[float, ...]], other: Sequence[tuple[float, ...]]
) -> int | None:
    """Return the first index after which the LRs of two schedules differ; None if they never do.

    The other schedule may end early; it is compared as far as it goes.

    The decision at that index was still made on what the real run showed; the metric from the
    next index on was not.
    """
    for index, (ours, theirs) in enumerate(zip(real, other, strict=False)):
        if ours != theirs:
            return index
    return None


def label(overrides: Overrides) -> str:
    """Name an alternative by what it changes: `patience=5 factor=0.5`."""
    return " ".join(f"{name}={_value(value)}" for name, value in overrides.items())


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ":".join(map(_value, value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _under(overrides: Overrides, change: OutsideChange) -> OutsideChange:
    if change.config is None:
        return change
    return replace(change, config=change.config.with_changes(**overrides))

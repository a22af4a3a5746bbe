"""starts: a starting LR that leads to the levels that were logged.

Somebody wrote it, mostly with few digits; where the shortest decimal does not lead to the levels,
one within the rounding of the first logged LR does. Pure arithmetic on a recording's LRs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from plateau_watch.precision import Precision, preimage
from plateau_watch.recording import Recording


def starts_that_fit(recording: Recording, factor: float) -> tuple[float, ...] | None:
    """Return a starting LR of each group that leads to the logged levels; None if there is none.

    It is the middle of those that do: within the rounding of the first logged LR, and of every
    later level as long as they follow the factor.
    """
    columns = zip(*(lrs for lrs in recording.lrs if lrs is not None), strict=True)
    starts = [_start_that_fits(column, factor, recording.lr_precision) for column in columns]
    return None if None in starts else tuple(lr for lr in starts if lr is not None)


def _start_that_fits(logged: Sequence[float], factor: float, precision: Precision) -> float | None:
    levels = [level for level, _ in groupby(logged)]
    low, high = preimage(levels[0], precision)
    scale = 1.0
    for level in levels[1:]:
        scale *= factor
        level_low, level_high = preimage(level, precision)
        if scale <= 0 or level_high < low * scale or level_low > high * scale:
            break
        low, high = max(low, level_low / scale), min(high, level_high / scale)
    return (low + high) / 2 if low < high else None

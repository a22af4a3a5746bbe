"""plausibility: is an explanation something that somebody would have written?

Almost any LR that falls once is explained by some threshold of some metric, so that a configuration
reproduces an LR is not enough to believe it. Here is what else it takes: few digits, small numbers,
torch's mode for the metric, and the more of it the fewer the reductions. Knows no series and no
files, and tries nothing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from plateau_watch.candidates import expected_mode
from plateau_watch.config import Mode
from plateau_watch.conventions import Convention
from plateau_watch.fit import ENOUGH_REDUCTIONS
from plateau_watch.fitted import Fitted
from plateau_watch.simplest import LONGEST_COOLDOWN

STRANGE = 9
"""Strangeness from which on an explanation is taken for a coincidence."""

MOST_DIGITS = 2
"""Significant digits of a threshold that somebody would write."""

MANY_REDUCTIONS = 6
"""Reductions, at uneven distances, that nothing explains by chance."""

LARGEST_THRESHOLD = 0.1
"""The largest threshold that somebody would write, as a part of the metric."""


def strangeness(
    found: Fitted, expected: Mode | None = None, convention: Convention | None = None
) -> int:
    """How far an explanation is from what somebody would write: 0 to `STRANGE`.

    A threshold has few digits and is small, the smaller the evidence the plainer; a cooldown is not
    much longer than the patience. The mode counts where the metric's name calls for one: nobody
    writes `max` for a loss. To leave it at `min` for a score is a mistake that is made with torch
    (Keras chooses by the name); but then the LR falls whatever the metric does, as it does by plan,
    so it is believed only where all else is plain, and the framework and the moment at which it
    logs are known, or the LR falls at steps that no plan would choose.
    """
    config = found.recording.config
    if found.recording.source == "hparams":
        return 0
    few = len(found.fit.reductions) < ENOUGH_REDUCTIONS
    threshold = _odd_threshold(found)
    long_cooldown = config.cooldown > LONGEST_COOLDOWN * config.patience
    if few and (threshold > 0 or long_cooldown):
        return STRANGE
    if expected is not None and config.mode != expected:
        by_torch = convention is not None and convention.rules == "torch"
        told_by_metric = convention is None and not few and not _is_regular(found)
        believed = by_torch or told_by_metric
        return 2 if believed and _mode_forgotten(found) else STRANGE
    return threshold + (config.mode == "max" and expected is None) + (config.cooldown > 0)


def is_telling(found: Fitted) -> bool:
    """Whether an explanation says enough to believe an unusual way to read its log.

    Each such way is one more chance to explain what no plateau scheduler made: all has to be plain,
    several reductions have to agree, and at steps that no plan would choose.
    """
    several = len(found.fit.reductions) >= ENOUGH_REDUCTIONS
    plain = _odd_threshold(found) == 0 and found.recording.config.patience >= 1
    return several and plain and not _is_regular(found)


def may_be_a_plan(found: Fitted) -> bool:
    """Whether the LR falls as often and as evenly as a plan would have it."""
    return len(found.fit.reductions) >= ENOUGH_REDUCTIONS and _is_regular(found)


def _mode_forgotten(found: Fitted) -> bool:
    """Whether torch's defaults, mode and all, made the LR of a score."""
    config = found.recording.config
    plain = _odd_threshold(found) == 0 and config.cooldown == 0
    return config.mode == "min" and plain and config.patience >= 1


def _is_regular(found: Fitted) -> bool:
    """Whether the LR falls every so many steps, as it would by plan."""
    at = [last for _, last in found.fit.reductions]
    return len({after - before for before, after in pairwise(at)}) <= 1


def _odd_threshold(found: Fitted) -> int:
    config = found.recording.config
    threshold = config.threshold
    if threshold in (1e-4, 0.0, 1e-3, 1e-2):
        return 0
    few_digits = float(f"{threshold:.{MOST_DIGITS - 1}e}") == threshold
    sizes = np.abs(found.recording.metric[np.isfinite(found.recording.metric)])
    unit = 1.0 if config.threshold_mode == "rel" else float(np.median(sizes)) if len(sizes) else 0.0
    if few_digits and threshold <= LARGEST_THRESHOLD * unit:
        return 1
    many = len(found.fit.reductions) >= MANY_REDUCTIONS and not _is_regular(found)
    return 3 if few_digits and threshold <= unit and many else STRANGE


def coincidence(found: Fitted) -> str:
    """Say why an explanation that fits is not believed."""
    config, tag = found.recording.config, found.recording.metric_tag
    expected = expected_mode(tag)
    if expected == "max" and _mode_forgotten(found):
        return (
            "no plateau configuration explains this LR, unless its mode was forgotten: mode=min "
            f"with patience={config.patience} on {tag!r} cuts it while the metric improves, and a "
            "schedule by plan would look the same; --metric shows it"
        )
    return (
        "no plateau configuration explains this LR, but for one that nobody would write: "
        f"mode={config.mode} and threshold={config.threshold:.6g} ({config.threshold_mode}) on "
        f"{tag!r} (patience={config.patience}, cooldown={config.cooldown}); --metric shows it"
    )

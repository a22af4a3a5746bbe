"""fitted: metric and LRs that were logged apart -> the recordings that a configuration explains.

Tries each way to read the two (`alignment`) and fits it (`fit`). Where none fits as one course, a
scheduler that began anew where another process took over is tried too: a training that was
resumed without its scheduler's state. Knows no files and does not choose tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from plateau_watch.alignment import alignments
from plateau_watch.config import TORCH_DEFAULTS, Mode, PlateauConfig
from plateau_watch.errors import ConfigError, NotEnoughToldError
from plateau_watch.fit import ENOUGH_REDUCTIONS, NEVER_FALLS, TORCH, Fit, Rulebook, fit
from plateau_watch.observation import observe
from plateau_watch.reading import FOUND_OUT, Reading
from plateau_watch.recording import Recording, Source
from plateau_watch.series import Series
from plateau_watch.simplest import Proven, prove

MOST_SEAMS = 6
"""Places where a fresh scheduler may have begun that are tried one by one."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recording with the simplest configuration that reproduces it, and the set it is from.

    Attributes:
        recording: the log.
        fit: the set.
        rulebook: whose rules made the LR.
    """

    recording: Recording
    fit: Fit
    rulebook: Rulebook = TORCH


class NothingFitsError(NotEnoughToldError):
    """No configuration explains an LR by a metric.

    Attributes:
        failed: each reading, with why nothing fits it.
    """

    def __init__(self, failed: Sequence[tuple[Recording, Fit]]) -> None:
        """Say why: that of the reading in which the most could be told."""
        self.failed = tuple(failed)
        _, most = max(failed, key=lambda each: len(each[1].reductions))
        never = most.why_not == NEVER_FALLS
        super().__init__(
            NEVER_FALLS if never else f"no plateau configuration explains this LR: {most.why_not}"
        )


def fitted(
    metric: Series,
    lrs: Sequence[Series],
    said: Reading = FOUND_OUT,
    *,
    rulebook: Rulebook = TORCH,
    expected: Mode = "min",
    stated: PlateauConfig | None = None,
    seams: Sequence[float] = (),
) -> tuple[Fitted, ...]:
    """Fit a metric and LRs that were logged apart, in every way to read them.

    Args:
        metric: the metric that drove the scheduler.
        lrs: the LR of each param group.
        said: what was said of how the log is to be read.
        rulebook: whose rules made the LR.
        expected: the mode that the metric calls for.
        stated: a configuration that the log's hyper-parameters state; where it reproduces the log,
            it is taken, even if the LR never falls.
        seams: wall times from which on another process may have gone on with the training.

    Returns:
        A fit for each reading that has one, the one nearer to torch's defaults first. All are
        possible; only together do they hold what the configuration may have been.

    Raises:
        NothingFitsError: no configuration reproduces the LR, or it never falls.
        NotEnoughToldError: metric and LR cannot be read as the steps of one scheduler.
    """
    recordings = alignments(metric, lrs, TORCH_DEFAULTS, said)
    where = seam_indices(recordings[0], seams)
    failed: list[tuple[Recording, Fit]] = []
    for anew in _courses(where):
        attempts = [(each, fit(each, rulebook, expected, anew, where)) for each in recordings]
        found = [
            _fitted(recording, tried, proven, "hparams", rulebook=rulebook, anew=anew)
            for recording, tried in attempts
            if stated and (proven := _proven(recording, stated, anew, where))
        ] or [
            _fitted(recording, tried, tried.simplest, "fitted", rulebook=rulebook, anew=anew)
            for recording, tried in attempts
            if tried.simplest is not None
        ]
        if found:
            return tuple(sorted(found, key=_distance))
        failed += attempts if not anew else []
    raise NothingFitsError(failed)


def seam_indices(recording: Recording, seams: Sequence[float]) -> tuple[int, ...]:
    """Return the indices, from 1, of the first step after each seam."""
    begun = (np.flatnonzero(recording.wall_times >= seam)[:1] for seam in seams)
    return tuple(sorted({int(index) for found in begun for index in found if index > 0}))


def _courses(where: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sets of steps before which fresh schedulers may have begun: none, all seams, or one."""
    return list(dict.fromkeys([(), where, *((index,) for index in where[:MOST_SEAMS])]))


def _proven(
    recording: Recording, config: PlateauConfig, anew: Sequence[int], seams: Sequence[int]
) -> Proven | None:
    observed = observe(recording, anew, seams)
    if isinstance(observed, str):
        return None
    try:
        return prove(recording, config, observed)
    except ConfigError:
        return None


def _fitted(
    recording: Recording,
    found: Fit,
    proven: Proven,
    source: Source,
    *,
    rulebook: Rulebook,
    anew: Sequence[int],
) -> Fitted:
    few = source == "fitted" and len(found.reductions) < ENOUGH_REDUCTIONS
    note = (
        f"{len(found.reductions)} reduction(s) are little evidence: some rules fit almost any such "
        "LR, whether a plateau scheduler made it or not"
    )
    guesses = [
        f"a fresh scheduler began before step {recording.steps[index]}: the training was resumed "
        "there without the scheduler's state (best, bad count and cooldown)"
        for index in anew
    ] + [
        f"the LR was set to {', '.join(f'{lr:.6g}' for lr in change.lrs)} before step "
        f"{recording.steps[change.index]}, where another event file or run begins"
        for change in proven.changes
        if change.lrs and found.reductions and change.index > found.reductions[0][0]
    ]
    return Fitted(
        replace(
            recording,
            config=proven.config,
            source=source,
            start=proven.start,
            changes=proven.changes,
            guesses=(*recording.guesses, *guesses),
            warnings=(*recording.warnings, *[note] * few),
        ),
        found,
        rulebook,
    )


def _distance(found: Fitted) -> int:
    """How many parameters differ from torch's defaults."""
    return len(found.recording.config.differences(TORCH_DEFAULTS))

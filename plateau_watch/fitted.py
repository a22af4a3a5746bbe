"""fitted: metric and LRs that were logged apart -> the recordings that a configuration explains.

Tries each way to read the two (`alignment`) and fits it (`fit`). Where none fits as one course, a
scheduler that began anew where another process took over is tried too: a training that was
resumed without its scheduler's state. Knows no files and does not choose tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """A recording with the simplest configuration that reproduces it, and the set it is from."""

    recording: Recording
    fit: Fit


class NothingFitsError(NotEnoughToldError):
    """No configuration explains an LR by a metric.

    Attributes:
        recording: the reading in which the most could be told.
        fit: why nothing fits it.
    """

    def __init__(self, recording: Recording, fit: Fit) -> None:
        """Say why."""
        self.recording, self.fit = recording, fit
        never = fit.why_not == NEVER_FALLS
        super().__init__(
            NEVER_FALLS if never else f"no plateau configuration explains this LR: {fit.why_not}"
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
    courses = list(dict.fromkeys([(), *_anew(recordings[0], seams)]))
    failed: list[tuple[Recording, Fit]] = []
    for anew in courses:
        attempts = [(each, fit(each, rulebook, expected, anew)) for each in recordings]
        found = [
            _fitted(recording, tried, proven, "hparams", anew)
            for recording, tried in attempts
            if stated and (proven := _proven(recording, stated, anew))
        ] or [
            _fitted(recording, tried, tried.simplest, "fitted", anew)
            for recording, tried in attempts
            if tried.simplest is not None
        ]
        if found:
            return tuple(sorted(found, key=_distance))
        failed += attempts
    raise NothingFitsError(*max(failed, key=lambda each: len(each[1].reductions)))


def _anew(recording: Recording, seams: Sequence[float]) -> Iterator[tuple[int, ...]]:
    """Yield sets of steps before which fresh schedulers may have begun: at all seams, or at one."""
    begun = (np.flatnonzero(recording.wall_times >= seam)[:1] for seam in seams)
    indices = sorted({int(index) for found in begun for index in found if index > 0})
    if indices:
        yield tuple(indices)
    for index in indices[:MOST_SEAMS]:
        yield (index,)


def _proven(recording: Recording, config: PlateauConfig, anew: Sequence[int]) -> Proven | None:
    observed = observe(recording, anew)
    if isinstance(observed, str):
        return None
    try:
        return prove(recording, config, observed)
    except ConfigError:
        return None


def _fitted(
    recording: Recording, found: Fit, proven: Proven, source: Source, anew: Sequence[int]
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
    )


def _distance(found: Fitted) -> int:
    """How many parameters differ from torch's defaults."""
    return len(found.recording.config.differences(TORCH_DEFAULTS))

"""detected: the training that some runs are of -> what explains its LR, also where it goes on.

A training may go on from another one that was left; alone it cannot be replayed then, for its
scheduler's state came from a checkpoint. What the logs say of their scheduler, and where another
process may have taken over, is gathered here from all runs of a training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from plateau_watch.candidates import metric_candidates
from plateau_watch.commands.reading import Training
from plateau_watch.commands.stated import Stated
from plateau_watch.continuation import began, begins_at, continued, goes_on_from, may_go_on
from plateau_watch.detection import Detection, detect
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.events.hparams import Hparams
from plateau_watch.pairing import Tags
from plateau_watch.series import Series
from plateau_watch.stated_hparams import StatedHparams, stated_by


def detected(group: Training, said: Stated, others: Sequence[Training]) -> Detection:
    """Find what explains a training; where it goes on from another one, the two together.

    That is a guess, which is said, and not made where it is to be read alone.

    Raises:
        NotEnoughToldError: nothing does.
    """
    tags = Tags(said.metric, said.lrs)
    series, stated = series_of(group), _stated(group)
    found: list[Detection] = []
    for other in others if may_go_on(series) and not said.alone else ():
        before = series_of(other)
        if other[0].run == group[0].run or not goes_on_from(series, before):
            continue
        for until, seen in _checkpoints(before):
            with suppress(NotEnoughToldError):
                seams = (*_seams(other), began(series), *_seams(group))
                both = continued(before, series, until)
                joined = detect(both, tags, said.reading, stated, seams)
                note = (
                    f"it goes on from run {other[0].run!r}{seen}: the two are read as one, its own "
                    f"points from step {begins_at(series)} on; --alone reads it by itself"
                )
                found.append(replace(joined, findings=(note, *joined.findings)))
    by_statement = [each for each in found if each.fitted[0].recording.source == "hparams"]
    best = next(iter(by_statement or found), None)
    return best or detect(series, tags, said.reading, stated, _seams(group))


def _checkpoints(earlier: Sequence[Series]) -> Iterator[tuple[int | None, str]]:
    """Yield up to where a scheduler may have seen a training that was left, and how to say it.

    Checkpoints are often written between a validation and the scheduler's step.
    """
    yield None, ""
    metrics = metric_candidates(earlier)
    if metrics:
        last = int(metrics[0].steps[-1])
        yield last, f" (from a checkpoint that does not know its last metric point, at step {last})"


def series_of(group: Training) -> list[Series]:
    """Return all series of a training, whatever their runs."""
    return [series for log in group for series in log.series.values()]


def _seams(group: Training) -> tuple[float, ...]:
    return tuple(sorted({seam for log in group for seam in log.seams}))


def _stated(group: Training) -> StatedHparams | None:
    hparams: Hparams = {}
    texts: dict[str, str] = {}
    for log in group:
        hparams |= log.hparams
        texts |= log.texts
    return stated_by(hparams, texts)

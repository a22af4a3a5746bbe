"""detected: the training that some runs are of -> what explains its LR, also where it goes on.

A training may go on from another one that was left; alone it cannot be replayed then, for its
scheduler's state came from a checkpoint. What the logs say of their scheduler, and where another
process may have taken over, is gathered here from all runs of a training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

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

MOST_RESUMES = 5
"""Trainings that are put together before one, each of which went on from the one before."""


def detected(group: Training, said: Stated, others: Sequence[Training]) -> Detection:
    """Find what explains a training; where it goes on from another one, the two together.

    That is a guess, which is said, and not made where it is to be read alone.

    Raises:
        NotEnoughToldError: nothing does.
    """
    tags = Tags(said.metric, said.lrs)
    series, stated = series_of(group), _stated(group)
    found: list[Detection] = []
    for before in [] if said.alone else _left_before(group, others):
        for until, seen in _checkpoints(before.series):
            with suppress(NotEnoughToldError):
                seams = (*before.seams, began(series), *_seams(group))
                whole = continued(before.series, series, until)
                joined = detect(whole, tags, said.reading, stated, seams)
                names = ", ".join(map(repr, before.runs))
                some = "the two are" if len(before.runs) == 1 else "they are"
                note = (
                    f"it goes on from run {names}{seen}: {some} read as one, its own points from "
                    f"step {begins_at(series)} on; --alone reads it by itself"
                )
                found.append(replace(joined, findings=(note, *joined.findings)))
    by_statement = [each for each in found if each.fitted[0].recording.source == "hparams"]
    best = next(iter(by_statement or found), None)
    return best or detect(series, tags, said.reading, stated, _seams(group))


@dataclass(frozen=True, slots=True)
class _LeftBefore:
    """What a training may go on from: one that was left, with what that itself went on from.

    Attributes:
        series: of all of them, put together.
        runs: their names, the earliest first.
        seams: where another process may have taken over, among them.
    """

    series: list[Series]
    runs: tuple[str, ...]
    seams: tuple[float, ...]


def _left_before(
    group: Training, others: Sequence[Training], most: int = MOST_RESUMES
) -> Iterator[_LeftBefore]:
    """Yield what a training may go on from, those that reach the furthest back first."""
    series = series_of(group)
    if not may_go_on(series):
        return
    for other in others:
        own = series_of(other)
        if other[0].run == group[0].run or not goes_on_from(series, own):
            continue
        for earlier in _left_before(other, others, most - 1) if most > 1 else ():
            yield _LeftBefore(
                continued(earlier.series, own),
                (*earlier.runs, other[0].run),
                (*earlier.seams, began(own), *_seams(other)),
            )
        yield _LeftBefore(own, (other[0].run,), _seams(other))


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

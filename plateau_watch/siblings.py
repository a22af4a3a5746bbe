"""siblings: runs of one program settle what one of them leaves open.

Where an LR fits as logged before the scheduler's step and after it, nothing in that run decides.
But one program logs at one moment: another run of the same tags that fits in one way only tells
which it was. Knows no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from plateau_watch.detection import Detection
from plateau_watch.fitted import Fitted


def settled_by_siblings(found: Sequence[Detection]) -> list[Detection]:
    """Return detections, those that were open with the reading that all telling siblings have.

    The other readings stay behind it: a sibling makes them unlikely, not impossible.
    """
    return [_settled(each, found) for each in found]


def _settled(each: Detection, others: Sequence[Detection]) -> Detection:
    if len(each.fitted) < 2:
        return each
    telling = [
        other.fitted[0].recording
        for other in others
        if len(other.fitted) == 1 and _tags(other) == _tags(each)
    ]
    if len({recording.logged for recording in telling}) != 1:
        return each
    logged = telling[0].logged
    first = [found for found in each.fitted if found.recording.logged == logged]
    if not first:
        return each
    rest = [found for found in each.fitted if found.recording.logged != logged]
    note = f"run {telling[0].run!r}, with the same tags, fits only as logged {logged}: so is this"
    return replace(each, fitted=(*[_guessed(found, note) for found in first], *rest))


def _guessed(found: Fitted, note: str) -> Fitted:
    recording = found.recording
    return replace(found, recording=replace(recording, guesses=(*recording.guesses, note)))


def _tags(found: Detection) -> tuple[str, tuple[str, ...]]:
    recording = found.fitted[0].recording
    return recording.metric_tag, recording.lr_tags

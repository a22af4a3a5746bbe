"""notes: what was found of a run besides its parameters, for people, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plateau_watch.detection import Detection
from plateau_watch.dialects import translate
from plateau_watch.fitted import Fitted
from plateau_watch.render.facts import config_in_words
from plateau_watch.render.feasible_set import in_words

METRICS_SAID = 4
"""Other metrics that explain the same LR and are said by name."""


def notes(found: Detection) -> Iterator[str]:
    """Say what was found besides the parameters."""
    yield from found.findings
    recording = found.fitted[0].recording
    if found.stated is not None:
        how = "reproduce it" if recording.source == "hparams" else "do not reproduce this LR"
        where = f"the parameters in the log's own {found.stated.where}"
        yield f"{where} ({found.stated.said}) {how}"
    if found.convention is not None:
        yield f"its names are those of {found.convention.framework}"
        if found.convention.rules == "keras":
            in_keras = translate(recording.config, "keras", recording.start.lrs)
            yield f"in Keras' words: {config_in_words(in_keras.config)}"
    if found.also:
        more = len(found.also) - METRICS_SAID
        names = ", ".join(found.also[:METRICS_SAID]) + (f" and {more} more" if more > 0 else "")
        yield f"other metrics explain the same LR as exactly: {names}; --metric decides"


def its_set(fitted: Fitted) -> Iterator[str]:
    """Say the set that a fitted configuration is only the simplest member of."""
    if fitted.recording.source == "fitted":
        yield "fitted: the simplest of all that reproduce this log exactly, which are"
        yield from in_words(fitted.fit)


def other_readings(others: Sequence[Fitted]) -> Iterator[str]:
    """Say what else a logged LR may mean, and the parameters that it then has."""
    for other in others:
        yield (
            f"or, with LRs logged {other.recording.logged} the step, a set whose simplest member "
            f"is {config_in_words(other.recording.config)}: --lr-logged decides"
        )

"""facts: what the header of a run says, in words: metric, LR, configuration, parity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from plateau_watch.decision import number
from plateau_watch.dialects import Config, dialect_of
from plateau_watch.recording import Recording
from plateau_watch.report import RunReport

PLACES_SAID = 6
"""Steps that are listed one by one before the rest is counted."""


def facts(run: RunReport) -> list[tuple[str, str]]:
    """Return the header's lines as (name, sentence)."""
    return [
        ("metric", _metric(run)),
        ("LR", _lr(run)),
        ("config", _config(run)),
        ("parity", parity_in_words(run)),
        *(("found", guess) for guess in run.recording.guesses),
    ]


def parity_in_words(run: RunReport) -> str:
    """Say how the replay compares with the log, and which decisions rounding could flip."""
    recording, parity = run.recording, run.parity
    what = "" if recording.rows else "LR of "
    how = "exactly" if recording.rows else f"exactly, as {recording.lr_precision}"
    count = f"{parity.checked - len(parity.mismatches)} of {parity.checked}"
    said = f"{what}{count} steps reproduced {how}"
    if parity.mismatches:
        said += f"; first difference at step {int(recording.steps[parity.mismatches[0]])}"
    if parity.ambiguous:
        said += f"; {len(parity.ambiguous)} decision(s) that rounding could flip: {_steps(run)}"
    return said


def config_in_words(config: Config) -> str:
    """Write a configuration in the words of its dialect."""
    return " ".join(f"{name}={_value(value)}" for name, value in asdict(config).items())


def _metric(run: RunReport) -> str:
    recording = run.recording
    superseded = f", {recording.superseded} superseded" if recording.superseded else ""
    return (
        f"{recording.metric_tag}, {len(recording)} points, "
        f"steps {int(recording.steps[0])} to {int(recording.steps[-1])}, "
        f"{recording.precision}{superseded}"
    )


def _lr(run: RunReport) -> str:
    recording = run.recording
    groups = len(recording.lr_tags)
    shown = ", ".join(recording.lr_tags[:3]) + (", ..." if groups > 3 else "")
    start = ", ".join(map(number, run.real.start_lrs))
    said = f"{shown}; {groups} group{'s' * (groups > 1)}, starts at {start}"
    if recording.rows:
        return said
    return f"{said}; {_logged(recording)}"


def _logged(recording: Recording) -> str:
    if recording.logged == "late":
        return "logged one step late"
    checked = recording.logged == "after" or recording.lrs[-1] is not None
    last = "" if checked else ", so the last decision cannot be checked"
    return f"logged {recording.logged} the scheduler's step{last}"


_SOURCES = {
    "recorded": "recorded by the hook",
    "given": "as given",
    "hparams": "as the log itself states",
    "fitted": "fitted",
}


def _config(run: RunReport) -> str:
    source = _SOURCES[run.recording.source]
    rules = "" if run.ran_as is None else f"; the rules are those of {dialect_of(run.ran_as).name}"
    return f"{config_in_words(run.config)} ({source}{rules})"


def _steps(run: RunReport) -> str:
    places: Sequence[int] = run.parity.ambiguous
    said = ", ".join(str(int(run.recording.steps[index])) for index in places[:PLACES_SAID])
    return said + (", ..." if len(places) > PLACES_SAID else "")


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ":".join(map(_value, value))
    return number(value) if isinstance(value, float) else str(value)

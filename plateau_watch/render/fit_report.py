"""fit_report: what the parameters can have been, for people and as JSON ("plateau-watch/fit/1")."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plateau_watch.fitted import Fitted
from plateau_watch.history import ANY
from plateau_watch.narrowing import what_would_narrow
from plateau_watch.recording import Recording
from plateau_watch.render.facts import config_in_words
from plateau_watch.render.feasible_set import in_words
from plateau_watch.render.json_text import json_text
from plateau_watch.render.printable import printable
from plateau_watch.report import NotReplayed
from plateau_watch.rules_fit import Rules, Window
from plateau_watch.simplest import Explanation

SCHEMA = "plateau-watch/fit/1"


@dataclass(frozen=True, slots=True)
class FitReport:
    """The runs of a log directory that were fitted, and why the others were not."""

    fitted: tuple[Fitted, ...]
    not_fitted: tuple[NotReplayed, ...]


def as_text(report: FitReport, width: int) -> Iterator[str]:
    """Yield lines: for each run what was looked at, the simplest member, and the whole set."""
    for found in report.fitted:
        yield from _wrapped("", printable(found.recording.run), width)
        for name, text in _facts(found):
            yield from _wrapped(f"  {name:<10}", printable(text), width)
        yield ""
    for run in report.not_fitted:
        yield from _wrapped("", printable(f"{run.run}: {run.reason}"), width)


def _facts(found: Fitted) -> Iterator[tuple[str, str]]:
    recording, reductions = found.recording, found.fit.reductions
    steps = ", ".join(_window(recording, window) for window in reductions) or "never"
    yield "metric", f"{recording.metric_tag}, {len(recording)} points, {recording.precision}"
    yield "LR", f"{', '.join(recording.lr_tags)}; logged {_MEANING[recording.logged]}"
    yield "reduced", f"at {steps}"
    name = "simplest" if recording.source == "fitted" else "stated"
    yield name, config_in_words(recording.config)
    for position, line in enumerate(in_words(found.fit)):
        yield ("" if position else "set"), line
    for position, line in enumerate(what_would_narrow(recording, found.fit)):
        yield ("" if position else "open"), line
    for line in (*recording.guesses, *recording.warnings):
        yield "note", line


_MEANING = {
    "before": "before the scheduler's step",
    "after": "after the scheduler's step",
    "late": "one step late",
}


def _window(recording: Recording, window: Window) -> str:
    first, last = (int(recording.steps[index]) for index in window)
    return str(first) if first == last else f"{first} to {last}"


def _wrapped(margin: str, text: str, width: int) -> list[str]:
    indent = " " * (len(margin) + len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text, width, initial_indent=margin, subsequent_indent=indent, drop_whitespace=True
    )


def as_json(report: FitReport) -> str:
    """Render a report as valid JSON; a bound that is not there is null."""
    document = {
        "schema": SCHEMA,
        "runs": [_run(found) for found in report.fitted],
        "not_fitted": [asdict(run) for run in report.not_fitted],
    }
    return json_text(document)


def _run(found: Fitted) -> dict[str, Any]:
    recording = found.recording
    return {
        "run": recording.run,
        "metric": recording.metric_tag,
        "lr": {"tags": recording.lr_tags, "logged": recording.logged},
        "reductions": [
            {"index": last, "step": int(recording.steps[last]), "not_before": first}
            for first, last in found.fit.reductions
        ],
        "source": recording.source,
        "simplest": asdict(recording.config),
        "set": [_explanation(explanation) for explanation in found.fit.explanations],
        "narrowed_by": what_would_narrow(recording, found.fit),
        "guesses": recording.guesses,
        "warnings": recording.warnings,
    }


def _explanation(explanation: Explanation) -> dict[str, Any]:
    ladder = explanation.ladder
    return {
        "factor": None if ladder.factor is None else _bounds(ladder.factor),
        "min_lrs": [_bounds(bound) for bound in ladder.min_lrs],
        "eps": _bounds(ladder.eps),
        "floored_at_the_end": ladder.floored,
        "rules": [_rules(rules) for rules in explanation.rules],
    }


def _rules(rules: Rules) -> dict[str, Any]:
    return {
        "mode": rules.mode,
        "threshold_mode": rules.threshold_mode,
        "thresholds": [_bounds(interval) for interval in rules.thresholds],
        "patience": _bounds(rules.patience),
        "cooldown": _bounds(rules.cooldown),
    }


def _bounds(interval: Sequence[float]) -> list[float | None]:
    low, high = interval
    open_end = high == ANY or math.isinf(high) or high == sys.float_info.max
    return [low, None if open_end else high]

"""as_json: a replay report as JSON, schema "plateau-watch/replay/1".

Index counts scheduler steps from 0.
"""

from __future__ import annotations

from dataclasses import asdict

from plateau_watch.dialects import Config, dialect_of
from plateau_watch.render.json_text import Json, json_text
from plateau_watch.report import Report, RunReport, Schedule

SCHEMA = "plateau-watch/replay/1"


def as_json(report: Report, *, full: bool = False) -> str:
    """Render a report; with `full`, the LRs after every step too."""
    document = {
        "schema": SCHEMA,
        "logdir": report.logdir,
        "runs": [_run(run, full) for run in report.runs],
        "not_replayed": [asdict(run) for run in report.not_replayed],
        "warnings": report.warnings,
    }
    return json_text(document)


def _run(run: RunReport, full: bool) -> Json:
    recording, parity = run.recording, run.parity
    return {
        "run": recording.run,
        "metric": {
            "tag": recording.metric_tag,
            "points": len(recording),
            "first_step": int(recording.steps[0]),
            "last_step": int(recording.steps[-1]),
            "precision": recording.precision,
            "superseded": recording.superseded,
        },
        "lr": {
            "tag": recording.lr_tags[0],
            "tags": recording.lr_tags,
            "groups": len(recording.lr_tags),
            "precision": recording.lr_precision,
            "logged": recording.logged,
            "start": run.real.start_lrs,
        },
        "config": {**_config(run.config), "source": recording.source},
        "parity": {
            "checked": parity.checked,
            "mismatches": len(parity.mismatches),
            "first_mismatch": _place(run, parity.mismatches[0]) if parity.mismatches else None,
            "ambiguous": [_place(run, index) for index in parity.ambiguous],
        },
        "schedules": [_schedule(run, schedule, full) for schedule in run.schedules],
        "guesses": recording.guesses,
        "warnings": run.warnings,
    }


def _schedule(run: RunReport, schedule: Schedule, full: bool) -> Json:
    leaves, undecided = schedule.diverges_at, schedule.undecided_from
    document: dict[str, Json] = {
        "label": schedule.label,
        "config": _config(schedule.config) if schedule.config else None,
        "reductions": [asdict(firing) for firing in schedule.firings],
        "final_lrs": schedule.final_lrs,
        "diverges_at": None if leaves is None else _place(run, leaves),
        "undecided_from": None if undecided is None else _place(run, undecided),
        "ambiguous": [_place(run, index) for index in schedule.ambiguous],
    }
    if full:
        document["lrs"] = schedule.lrs
        document["decisions"] = [decision.kind for decision in schedule.decisions]
    return document


def _config(config: Config) -> Json:
    return {"dialect": dialect_of(config).name, **asdict(config)}


def _place(run: RunReport, index: int) -> Json:
    return {"index": index, "step": int(run.recording.steps[index])}

"""runs: `plateau-watch runs LOGDIR`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from plateau_watch.candidates import (
    expected_mode,
    lr_candidates,
    metric_candidates,
    mode_word,
    why_an_lr,
)
from plateau_watch.commands.errors import one_clear_line
from plateau_watch.commands.output import PIPE_WIDTH
from plateau_watch.commands.reading import read_logdir, trainings
from plateau_watch.commands.reporting import DUPLICATES
from plateau_watch.events.run_reader import RunLog
from plateau_watch.lr_shape import STEPS, kind_of, shape_of
from plateau_watch.render.json_text import json_text
from plateau_watch.render.printable import printable
from plateau_watch.render.terminal import NARROWEST
from plateau_watch.series import Duplicates
from plateau_watch.stated_hparams import stated_by

SCHEMA = "plateau-watch/runs/1"

UNTOLD = (
    "An LR's shape does not tell a plateau scheduler from steps by plan; whether a metric explains "
    "it is for `plateau-watch fit` to say."
)

EPILOG = """\b
Examples:
  plateau-watch runs runs/
  plateau-watch runs runs/ --format json
"""


@click.command(epilog=EPILOG, short_help="What is in a log directory?")
@click.argument("logdir", type=click.Path(path_type=Path))
@click.option("--run", "pattern", metavar="GLOB", help="Only runs with such a name.")
@DUPLICATES
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def runs(logdir: Path, *, pattern: str | None, duplicates: Duplicates | None, form: str) -> None:
    """List the runs in LOGDIR: files, points, steps, and the tags that look like an LR or a metric.

    By names and shapes only, each with the reason: "(min: 'loss')" is a metric that calls for mode
    min, since it has `loss` in its name. Which of them a scheduler used is for `fit` to say.
    Several trainings in one directory are told apart by their event files, as RUN@TIME.
    """
    with one_clear_line():
        read = read_logdir(logdir, pattern, Console(stderr=True), duplicates)
        logs = [log for group in trainings(read, pattern).asked for log in group]
        described = [_described(log) for log in logs]
        if form == "json":
            document = {"schema": SCHEMA, "runs": described}
            click.echo(json_text(document), nl=False)
            return
        width = max(shutil.get_terminal_size((PIPE_WIDTH, 24)).columns, NARROWEST)
        for run in described:
            for line in _lines(run, width):
                click.echo(line)
        if any(lr["kind"].endswith(STEPS) for run in described for lr in run["lr"]):
            click.echo(textwrap.fill(UNTOLD, width))


def _described(log: RunLog) -> dict[str, Any]:
    stated = stated_by(log.hparams, log.texts)
    steps = [
        int(step)
        for series in log.series.values()
        if len(series)
        for step in (series.steps[0], series.steps[-1])
    ]
    ours = tuple(f"{trace.prefix}/" for trace in log.traces)
    theirs = {tag: series for tag, series in log.series.items() if not tag.startswith(ours)}
    return {
        "run": log.run,
        "files": len(log.files),
        "scalars": len(log.series),
        "points": sum(map(len, log.series.values())),
        "superseded": sum(series.superseded for series in log.series.values()),
        "first_step": min(steps, default=None),
        "last_step": max(steps, default=None),
        "traces": [{"prefix": trace.prefix, "rows": len(trace.rows)} for trace in log.traces],
        "lr": [
            {
                "tags": [series.tag for series in group],
                "why": why_an_lr(group[0].tag),
                "shape": shape_of(group[0]),
                "kind": kind_of(group[0]),
            }
            for group in lr_candidates(theirs.values())
        ],
        "metric": [
            {
                "tag": series.tag,
                "points": len(series),
                "mode": expected_mode(series.tag),
                "why": f"{word!r} in its name" if (word := mode_word(series.tag)) else None,
            }
            for series in metric_candidates(theirs.values())
        ],
        "stated": stated.said if stated else None,
        "stated_in": stated.where if stated else None,
        "warnings": list(log.damages),
    }


def _lr(lr: dict[str, Any]) -> str:
    kind = lr["kind"] if lr["kind"] == lr["shape"] else f"{lr['shape']}: {lr['kind']}"
    return f"{' '.join(lr['tags'])} ({lr['why']}; {kind})"


def _metric(metric: dict[str, Any]) -> str:
    word = metric["why"] and metric["why"].removesuffix(" in its name")
    return f"{metric['tag']} ({metric['mode']}: {word})" if word else metric["tag"]


def _lines(run: dict[str, Any], width: int) -> Iterator[str]:
    yield textwrap.fill(printable(run["run"]), width)
    superseded = f", {run['superseded']} superseded" if run["superseded"] else ""
    steps = (
        "" if run["first_step"] is None else f", steps {run['first_step']} to {run['last_step']}"
    )
    facts = [("files", f"{run['files']}; {run['points']} points{superseded}{steps}")]
    facts += [
        ("trace", f"{trace['prefix']}, {trace['rows']} scheduler steps") for trace in run["traces"]
    ]
    facts += [("LR", _lr(lr)) for lr in run["lr"]]
    facts += [("metric", ", ".join(map(_metric, run["metric"])))] if run["metric"] else []
    facts += [("states", f"{run['stated']} (in its {run['stated_in']})")] if run["stated"] else []
    facts += [("note", warning) for warning in run["warnings"]]
    for name, fact in facts:
        yield textwrap.fill(
            printable(fact), width, initial_indent=f"  {name:<8}", subsequent_indent=" " * 10
        )
    yield ""

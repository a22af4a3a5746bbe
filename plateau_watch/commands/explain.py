"""explain: `plateau-watch explain LOGDIR [--step N]`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from plateau_watch.commands.errors import one_clear_line
from plateau_watch.commands.output import PIPE_WIDTH
from plateau_watch.commands.reporting import report_on, said_options
from plateau_watch.errors import NothingToReadError
from plateau_watch.explanation import explain_run, explain_step, in_short, index_of_step, left_out
from plateau_watch.render.facts import facts, parity_in_words
from plateau_watch.render.printable import printable
from plateau_watch.render.terminal import NARROWEST
from plateau_watch.report import Report, RunReport

RUNS_TOLD = 8
"""Runs that are explained at length without being asked for; the others get a line each."""

LEFT_OUT = "not all is told: --run NAME --step N explains one step, --all everything"

EPILOG = """\b
Examples:
  plateau-watch explain runs/
  plateau-watch explain runs/ --run experiment --step 37
  plateau-watch explain runs/ --run experiment --all
"""


@click.command(epilog=EPILOG, short_help="Why did the LR change, or why not yet?")
@click.argument("logdir", type=click.Path(path_type=Path))
@click.option("--step", type=int, help="The training's step to explain; all firings if not said.")
@click.option("--all", "whole", is_flag=True, help="Every run at length, and every firing of it.")
@said_options
@click.pass_context
def explain(
    context: click.Context,
    /,
    logdir: Path,
    step: int | None,
    whole: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Say why the LR of each run in LOGDIR changed, or at --step why it did or did not.

    Metric, bar, best and when it was reached, the bad count, the cooldown, and what it would have
    taken; without --step the first and last reductions of a run, how many lie between them, and the
    longest waits that ended in an improvement.
    """
    with one_clear_line():
        report = report_on(logdir, options, [])
        width = max(shutil.get_terminal_size((PIPE_WIDTH, 24)).columns, NARROWEST)
        for line in _explained(report, step, whole=whole):
            click.echo(line if len(line) <= width else _wrapped(line, width))
    if not report.runs:
        context.exit(1)


def _explained(report: Report, step: int | None, *, whole: bool) -> Iterator[str]:
    told = report.runs if whole or step is not None else report.runs[:RUNS_TOLD]
    for run in told:
        yield from _lines(run, step, alone=len(report.runs) == 1, whole=whole)
    short = report.runs[len(told) :]
    for run in short:
        yield printable(f"{run.recording.run}: {parity_in_words(run)}; {in_short(run)}")
    yield from [""] * bool(short)
    if step is None and not whole and (short or any(map(left_out, told))):
        yield LEFT_OUT
    yield from _not_explained(report)


def _lines(run: RunReport, step: int | None, *, alone: bool, whole: bool) -> list[str]:
    try:
        explained = (
            explain_run(run, whole=whole)
            if step is None or not run.real.decisions
            else explain_step(run, index_of_step(run, step))
        )
    except NothingToReadError as error:
        if alone:
            raise
        explained = [str(error)]
    return [
        printable(f"{run.recording.run}: {parity_in_words(run)}"),
        *(f"  {printable(line)}" for line in _premises(run)),
        *(f"  {'' if line.startswith('step') else '  '}{printable(line)}" for line in explained),
        "",
    ]


def _not_explained(report: Report) -> list[str]:
    """Why each run could not be explained; where others could, how many, and the first reason."""
    reasons = [printable(f"{run.run}: {run.reason}") for run in report.not_replayed]
    if not report.runs or len(reasons) < 2:
        return reasons
    more = (
        f"{len(reasons) - 1} more runs cannot be explained; `plateau-watch replay` says why of each"
    )
    return [reasons[0], more]


def _premises(run: RunReport) -> list[str]:
    """What the explanation rests on, where the hook did not record it."""
    if run.recording.source == "recorded":
        return list(run.recording.warnings)
    known = dict(facts(run))
    named = [f"{name}: {known[name]}" for name in ("metric", "LR", "config")]
    return [*named, *run.recording.guesses, *run.recording.warnings]


def _wrapped(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, width, subsequent_indent=indent)

"""fit: `plateau-watch fit LOGDIR`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from plateau_watch.commands.errors import one_clear_line
from plateau_watch.commands.output import PIPE_WIDTH
from plateau_watch.commands.reading import read_logdir, trainings
from plateau_watch.commands.reporting import reading_of, reading_options
from plateau_watch.commands.stated import Stated
from plateau_watch.commands.told import fits
from plateau_watch.errors import NothingToReadError
from plateau_watch.render.fit_report import as_json, as_text
from plateau_watch.render.terminal import NARROWEST

EPILOG = """\b
Examples:
  plateau-watch fit runs/
  plateau-watch fit runs/ --metric val/loss --lr lr
  plateau-watch fit runs/ --lr lr-AdamW/pg1 --lr lr-AdamW/pg2 --format json
"""


@click.command(epilog=EPILOG, short_help="Which parameters can a run have had?")
@click.argument("logdir", type=click.Path(path_type=Path))
@reading_options
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.pass_context
def fit(context: click.Context, /, logdir: Path, form: str, **options: Any) -> None:  # noqa: ANN401
    """Find every configuration that reproduces the LR of the runs in LOGDIR exactly.

    Metric, LR and how they were logged are found where they are not said. What the log cannot tell
    apart stays a set: ranges of patience and cooldown, intervals of the threshold. The simplest
    member, nearest to the defaults, is proven by an exact replay.
    """
    stderr = Console(stderr=True)
    with one_clear_line():
        logs = read_logdir(logdir, options["pattern"], stderr, options["duplicates"])
        said = Stated(
            metric=options["metric"],
            lrs=options["lrs"] or None,
            reading=reading_of(options),
            alone=options["alone"],
        )
        report = fits(trainings(logs, options["pattern"]), logdir, said, stderr)
        if not report.fitted and not report.not_fitted:
            raise NothingToReadError("there is no run with scalars that the hook did not record")
        if form == "json":
            click.echo(as_json(report), nl=False)
        else:
            width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
            click.echo("\n".join(as_text(report, max(width, NARROWEST))))
    if not report.fitted:
        context.exit(1)

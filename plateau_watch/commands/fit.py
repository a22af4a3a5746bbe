"""fit: `plateau-watch fit LOGDIR --metric TAG --lr TAG`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.console import Console

from plateau_watch.commands.errors import one_clear_line
from plateau_watch.commands.output import PIPE_WIDTH
from plateau_watch.commands.reading import fits, read_logdir
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.recording import Meaning
from plateau_watch.render.fit_report import as_json, as_text
from plateau_watch.render.terminal import NARROWEST

EPILOG = """\b
Examples:
  plateau-watch fit runs/ --metric val/loss --lr lr
  plateau-watch fit runs/ --metric val_loss --lr lr-AdamW/pg1 --lr lr-AdamW/pg2 --format json
"""


@click.command(epilog=EPILOG, short_help="Which parameters can a run have had?")
@click.argument("logdir", type=click.Path(path_type=Path))
@click.option("--metric", metavar="TAG", required=True, help="The metric the scheduler was given.")
@click.option(
    "--lr", "lrs", metavar="TAG", multiple=True, required=True, help="The LR; once for each group."
)
@click.option(
    "--lr-logged",
    type=click.Choice(["before", "after"]),
    help="Whether LRs are logged before or after the scheduler's step; found out if not said.",
)
@click.option("--run", "pattern", metavar="GLOB", help="Only runs with such a name.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def fit(
    logdir: Path,
    metric: str,
    lrs: tuple[str, ...],
    *,
    lr_logged: Meaning | None,
    pattern: str | None,
    form: str,
) -> None:
    """Find every configuration that reproduces the LR of the runs in LOGDIR exactly.

    What the log cannot tell apart stays a set: ranges of patience and cooldown, intervals of the
    threshold. The simplest member, nearest to torch's defaults, is proven by an exact replay.
    """
    with one_clear_line():
        logs = read_logdir(logdir, pattern, Console(stderr=True))
        report = fits(logs, metric, lrs, lr_logged)
        if not report.fitted:
            first = report.not_fitted[0]
            raise NotEnoughToldError(f"run {first.run!r}: {first.reason}")
        if form == "json":
            click.echo(as_json(report), nl=False)
        else:
            width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
            click.echo("\n".join(as_text(report, max(width, NARROWEST))))

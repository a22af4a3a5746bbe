"""replay: `plateau-watch replay LOGDIR`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from plateau_watch.commands.errors import one_clear_line
from plateau_watch.commands.output import FORMATS, put
from plateau_watch.commands.parameters import grid_choices, grid_options, parse_dialects
from plateau_watch.commands.reporting import report_on, said_options
from plateau_watch.dialects import DIALECTS
from plateau_watch.errors import ConfigError
from plateau_watch.events.whatif_writer import write_schedules
from plateau_watch.recording import Recording
from plateau_watch.render.printable import printable
from plateau_watch.report import Report
from plateau_watch.whatif import grid

EPILOG = """\b
Examples:
  plateau-watch replay runs/
  plateau-watch replay runs/ --patience 3,5,10 --factor 0.1,0.5
  plateau-watch replay runs/ --metric val/loss --lr lr --ran-with patience=10,factor=0.1
  plateau-watch replay runs/ --as keras,optax
  plateau-watch replay runs/ --metric val/loss --lr lr --dialect keras --ran-with patience=5
  plateau-watch replay runs/ --tensorboard /tmp/whatif && tensorboard --logdir /tmp/whatif
  plateau-watch replay runs/ --format json -o replay.json
"""


@click.command(epilog=EPILOG)
@click.argument("logdir", type=click.Path(path_type=Path))
@grid_options
@said_options
@click.option(
    "--as",
    "dialects",
    metavar="NAME[,NAME...]",
    multiple=True,
    help=f"Add what these settings would do in another framework: {', '.join(list(DIALECTS)[1:])}.",
)
@click.option("--explain", is_flag=True, help="Say what each step decided, in words.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write to this file; - is standard output.",
)
@click.option("--full", is_flag=True, help="JSON: add the LRs after every step.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
@click.option(
    "--tensorboard",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write every schedule as a run of its own below DIR, for TensorBoard; what an earlier "
    "call wrote there is replaced.",
)
@click.option(
    "--check", is_flag=True, help="Exit with 1 unless every run is replayed, and exactly."
)
@click.pass_context
def replay(context: click.Context, /, logdir: Path, **options: Any) -> None:  # noqa: ANN401
    """Show why every LR change in LOGDIR happened, and what other parameters would have done.

    The real schedule is replayed exactly and checked against the log; below it stand the
    alternatives: a small set around the real configuration, or the grid of those given. What lies
    beyond the step where an alternative's LR leaves the real one is hypothetical, and marked so.
    """
    with one_clear_line():
        choices = grid_choices(options)
        if choices and options["dialect"] != "torch":
            raise ConfigError("with --dialect there are no alternatives in torch's words; see --as")
        dialects = parse_dialects(options["dialects"])
        report = report_on(logdir, options, grid(choices) if choices else None, dialects)
        if options["directory"] and report.runs:
            _write_for_tensorboard(options["directory"], report, logdir)
        put(
            report,
            options["form"],
            options["output"],
            full=options["full"],
            explain=options["explain"],
            ascii_only=options["ascii_only"],
        )
    if not report.runs or (options["check"] and not _all_reproduced(report)):
        context.exit(1)


def _all_reproduced(report: Report) -> bool:
    return not report.not_replayed and all(run.parity.exact for run in report.runs)


def _write_for_tensorboard(directory: Path, report: Report, logdir: Path) -> None:
    schedulers = Counter(run.recording.run for run in report.runs)
    named = [
        (_run_name(run.recording, alone=schedulers[run.recording.run] == 1), run)
        for run in report.runs
    ]
    written = write_schedules(directory, named, logdir)
    where = printable(str(directory))
    click.echo(f"wrote {len(written)} runs; see them: tensorboard --logdir {where}", err=True)


def _run_name(recording: Recording, *, alone: bool) -> str:
    """Name a recording; where a run has several schedulers, by their prefixes too."""
    prefix = recording.metric_tag.rpartition("/")[0]
    if alone:
        return recording.run
    return prefix if recording.run == "." else f"{recording.run}/{prefix}"

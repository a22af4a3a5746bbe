"""plateau-watch on the command line: parse, read, replay, report, render.

Standard output is the result, standard error is for people. Exit codes: 0 fine; 1 findings (with
`--check` a run that is not reproduced; always, that of all runs none can be explained), or a result
that found no room (a full disk); 2 usage error or nothing to read; 130 Ctrl-C; 141 nobody reads.
"""

from __future__ import annotations

import click

from plateau_watch import __version__
from plateau_watch.commands.ending import Commands
from plateau_watch.commands.explain import explain
from plateau_watch.commands.fit import fit
from plateau_watch.commands.replay import replay
from plateau_watch.commands.runs import runs


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="plateau-watch")
def main() -> None:
    """Make torch's ReduceLROnPlateau explain itself, from TensorBoard event files.

    \b
    plateau-watch replay runs/                   why every LR change happened
    plateau-watch replay runs/ --patience 3,5    and what other parameters would have done
    plateau-watch explain runs/ --step 37        why it changed there, or why not yet
    plateau-watch fit runs/ --metric TAG --lr TAG    which parameters a run can have had
    """  # noqa: D301  click's mark for text that must not be wrapped


main.add_command(replay)
main.add_command(explain)
main.add_command(fit)
main.add_command(runs)

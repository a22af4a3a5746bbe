"""What the tests of the frameworks' callbacks share: what a watched training must have left."""

from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_run
from tests.hooked_runs import METRIC, lrs_after, replayed, trace_in, traces_in, watch_warnings

__all__ = ["METRIC", "lrs_after", "replayed", "trace_in", "traces_in", "watch_warnings"]

PATIENCE = 1
"""Of every scheduler: with METRIC it reduces at the steps 4, 8, 10 and 12."""


def steps_of(logdir, tag):
    """The steps at which a tag was logged, in the one run that has it."""
    (series,) = [
        log.series[tag] for run in discover(logdir) for log in [read_run(run)] if tag in log.series
    ]
    return series.steps.tolist()


def messages(caught):
    return [str(warning.message) for warning in watch_warnings(caught)]

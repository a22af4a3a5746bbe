"""What the tests of the examples share: how one is run, and what is in the logs that it leaves."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from plateau_watch.alignment import from_series
from plateau_watch.comparison import compare
from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_run
from plateau_watch.recording import from_trace

ROOT = Path(__file__).resolve().parents[1]
REPLAY_LOGS = ROOT / "replay_logs"

DIGITS_RUNS = {
    "hooked/seed0",
    "hooked/seed1",
    "hooked/seed2",
    "hooked/two_groups",
    "plain/lr_before_seed0",
    "plain/lr_after_seed1",
}
TAGS = {
    "foreign/lightning/lightning_logs/version_0": {
        *("lr-AdamW", "val_loss", "val_acc", "train_loss", "epoch"),
    },
    "foreign/transformers": {
        *("train/loss", "train/grad_norm", "train/learning_rate", "train/epoch"),
        *("eval/loss", "eval/runtime", "eval/samples_per_second", "eval/steps_per_second"),
        *("train/train_runtime", "train/train_samples_per_second"),
        *("train/train_steps_per_second", "train/total_flos", "train/train_loss"),
    },
    "foreign/ignite": {"lr/group_0", "training/loss", "validation/accuracy", "validation/loss"},
}
"""What the frameworks log by themselves."""


LR_TAGS = {"lr-AdamW", "train/learning_rate", "lr/group_0", "epoch_learning_rate"}


def example(name, *arguments):
    """Run an example as a user does, and return what it printed."""
    return python(ROOT / "examples" / name, *arguments).stdout


def python(*arguments, check=True):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def logs_below(logdir):
    return {run.name: read_run(run) for run in discover(logdir)}


def only_log(logdir):
    (log,) = logs_below(logdir).values()
    return log


def replayed(log):
    (trace,) = log.traces
    return compare(from_trace(trace))


def replayed_plain(log, config):
    return compare(from_series(log.series["val/loss"], [log.series["lr"]], config))


def stated_in(logdir):
    (stated,) = tomllib.loads((logdir / "plateau-watch.toml").read_text())["runs"]
    return stated


def points(log, tag):
    return dict(zip(log.series[tag].steps.tolist(), log.series[tag].values.tolist(), strict=True))


def files_below(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def only(*runs):
    return [argument for run in sorted(runs) for argument in ("--only", run)]

"""What-if runs as a real TensorBoard shows them, and that nobody else's files are touched.

TensorBoard runs as users run it, once with each of its two loaders, and is asked over HTTP.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest

from tests.hooked_runs import (
    METRIC,
    lrs_after,
    trace_in,
)
from tests.whatif_runs import (
    LONG_METRIC,
    SAID,
    STARTED,
    as_shown,
    hooked_run,
    plain_run,
    replay,
)

# A TensorBoard.


class Board:
    """A TensorBoard that runs, and what it says."""

    def __init__(self, address):
        self.address = address

    def ask(self, route, **query):
        with urlopen(f"{self.address}data/plugin/{route}?{urlencode(query)}", timeout=10) as answer:
            return json.load(answer)

    def tags(self):
        """The scalar tags of each run."""
        return {run: {*tags} for run, tags in self.ask("scalars/tags").items()}

    def points(self, run, tag):
        """(wall time, step, value) of each point of a tag."""
        return [tuple(point) for point in self.ask("scalars/scalars", run=run, tag=tag)]


def eventually(check, *, within=60):
    """Ask again until `check` holds; it must before time is up."""
    end = time.monotonic() + within
    while True:
        try:
            if check():
                return
        except URLError as error:
            if time.monotonic() > end:
                raise AssertionError("TensorBoard does not answer") from error
        assert time.monotonic() < end, "TensorBoard never shows what it should"
        time.sleep(0.1)


@contextmanager
def tensorboard(logdir, output, *options):
    """A TensorBoard on a log directory, ended together with its data server."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), *options]
    command += ["--port", "0", "--host", "127.0.0.1", "--reload_interval", "1"]
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        eventually(lambda: address_in(output) or process.poll() is not None)
        assert process.poll() is None, output.read_text()
        yield Board(address_in(output))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def address_in(output):
    found = re.search(r"TensorBoard \S+ at (http://\S+/)", output.read_text())
    return found and found[1]


RUNS = {
    "hooked": len(METRIC),
    "groups": len(METRIC),
    "long": len(LONG_METRIC),
    "plain/after": len(METRIC) - 1,
    "plain/before": len(METRIC) - 1,
}
"""The runs of the log directory, and the last step of each."""

SCHEDULES = ("real", "whatif patience=0", "whatif patience=5")

LOADERS = {"data server": (), "Python loader": ("--load_fast=false",)}


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """Logs of all kinds, and their what-if runs beside them."""
    top = tmp_path_factory.mktemp("top")
    hooked_run(top / "logs" / "hooked", patience=1)
    hooked_run(top / "logs" / "groups", patience=1, lrs=(0.1, 0.02), names=("backbone", "head"))
    hooked_run(top / "logs" / "long", LONG_METRIC, patience=7)
    plain_run(top / "logs" / "plain" / "after", patience=1)
    plain_run(top / "logs" / "plain" / "before", patience=1, logged="before")
    (top / "logs" / "plateau-watch.toml").write_text(SAID)
    replay(top / "logs", top / "whatif", "--patience", "0,5")
    return top


@pytest.fixture(scope="module", params=LOADERS)
def board(request, top):
    output = top / f"tensorboard {request.param}.log"
    with tensorboard(top, output, *LOADERS[request.param]) as board:
        # A loader reads runs in order and files from their beginning: this is all there is.
        last_steps = {
            **{
                f"whatif/{run}/{schedule}": steps
                for run, steps in RUNS.items()
                for schedule in SCHEDULES
            },
            **{f"logs/{run}": steps for run, steps in RUNS.items()},
        }
        eventually(lambda: last_steps.keys() <= board.tags().keys())
        eventually(lambda: all(has_all(board, run, step) for run, step in last_steps.items()))
        yield board


def has_all(board, run, step):
    tag = next(tag for tag in board.tags()[run] if "lr" in tag)
    return last_step(board.points(run, tag)) == step


def last_step(points):
    return points[-1][1] if points else None


def test_every_schedule_of_every_run_is_a_run_with_the_logs_own_lr_tags(board):
    shown = {run: tags for run, tags in board.tags().items() if run.startswith("whatif/")}
    lr_tags = {
        "hooked": {"plateau/lr/0"},
        "long": {"plateau/lr/0"},
        "groups": {"plateau/lr/backbone", "plateau/lr/head"},
        "plain/after": {"lr"},
        "plain/before": {"lr"},
    }
    assert shown == {
        f"whatif/{run}/{schedule}": tags for run, tags in lr_tags.items() for schedule in SCHEDULES
    }


@pytest.mark.parametrize(("schedule", "patience"), [("real", 1), ("whatif patience=5", 5)])
def test_a_hooked_runs_schedules_are_torchs_lrs_at_its_own_steps_and_times(
    top, board, schedule, patience
):
    rows = trace_in(top / "logs" / "hooked").rows
    points = board.points(f"whatif/hooked/{schedule}", "plateau/lr/0")
    assert [value for _, _, value in points] == as_shown(lrs_after(METRIC, patience=patience))
    assert [step for _, step, _ in points] == [*range(1, len(METRIC) + 1)]
    assert [at for at, _, _ in points] == [row.wall_time for row in rows]


@pytest.mark.parametrize(("schedule", "patience"), [("real", 1), ("whatif patience=5", 5)])
@pytest.mark.parametrize("logged", ["after", "before"])
def test_a_plain_runs_schedules_mean_by_lr_what_its_log_means(board, logged, schedule, patience):
    lrs = lrs_after(METRIC, patience=patience)
    points = board.points(f"whatif/plain/{logged}/{schedule}", "lr")
    assert [value for _, _, value in points] == as_shown(
        lrs if logged == "after" else [0.1, *lrs[:-1]]
    )
    assert [step for _, step, _ in points] == [*range(len(METRIC))]
    assert [at for at, _, _ in points] == [STARTED + 60 * step for step in range(len(METRIC))]
    real = board.points(f"logs/plain/{logged}", "lr")
    assert (points == [(at - 1, step, value) for at, step, value in real]) == (schedule == "real")


def test_each_param_group_has_its_own_lr(board):
    for group, start in (("backbone", 0.1), ("head", 0.02)):
        points = board.points("whatif/groups/whatif patience=0", f"plateau/lr/{group}")
        assert [value for _, _, value in points] == as_shown(
            lrs_after(METRIC, patience=0, lrs=(start,))
        )


@pytest.mark.parametrize(("schedule", "patience"), [("real", 7), ("whatif patience=0", 0)])
def test_a_long_run_is_shown_to_its_end_with_strictly_increasing_steps(board, schedule, patience):
    points = board.points(f"whatif/long/{schedule}", "plateau/lr/0")
    lrs = as_shown(lrs_after(LONG_METRIC, patience=patience))
    steps = [step for _, step, _ in points]
    assert len(points) >= 999, "TensorBoard samples 1,000 points"
    assert all(one < other for one, other in pairwise(steps))
    assert steps[-1] == len(LONG_METRIC)
    assert [value for _, _, value in points] == [lrs[step - 1] for step in steps]


@pytest.mark.parametrize(
    ("tag", "number"),
    [
        ("metric", lambda row: row.metric),
        ("best", lambda row: row.counters.best),
        ("bar", lambda row: row.bar),
        ("num_bad_epochs", lambda row: row.counters.num_bad_epochs),
        ("cooldown", lambda row: row.counters.cooldown_counter),
        ("lr/0", lambda row: row.new_lrs[0]),
    ],
)
def test_the_hooks_own_tags_are_shown_with_every_step(top, board, tag, number):
    rows = trace_in(top / "logs" / "hooked").rows
    points = board.points("logs/hooked", f"plateau/{tag}")
    assert points == [
        (row.wall_time, row.step, float(np.float32(number(row))))
        for row in rows
        if np.isfinite(number(row))
    ]
    assert len(points) >= len(METRIC) - 1, "only the first bar is no float32"


def test_the_trace_is_no_scalar_to_tensorboard(board):
    tags = board.tags()["logs/hooked"]
    assert {"plateau/trace", "plateau/config"}.isdisjoint(tags)
    assert tags == {
        *(f"plateau/{name}" for name in ("metric", "best", "bar", "num_bad_epochs", "cooldown")),
        "plateau/lr/0",
    }


def test_a_second_writing_replaces_the_first_in_a_tensorboard_that_is_running(
    request, top, board, tmp_path
):
    hooked_run(tmp_path / "first" / "run", patience=1)
    hooked_run(tmp_path / "second" / "run", METRIC[4:], patience=2)
    directory = top / f"rewritten {request.node.callspec.params['board']}"
    real, gone, new = (
        f"{directory.name}/run/{schedule}"
        for schedule in ("real", "whatif patience=5", "whatif factor=0.5")
    )
    replay(tmp_path / "first", directory, "--patience", "5")
    eventually(lambda: {real, gone} <= board.tags().keys())
    eventually(lambda: last_step(board.points(real, "plateau/lr/0")) == len(METRIC))
    replay(tmp_path / "second", directory, "--factor", "0.5")
    eventually(lambda: new in board.tags() and gone not in board.tags())
    expected = [*enumerate(as_shown(lrs_after(METRIC[4:], patience=2)), start=1)]
    eventually(
        lambda: [point[1:] for point in board.points(real, "plateau/lr/0")] == expected, within=10
    )
    assert [point[1:] for point in board.points(real, "plateau/lr/0")] == expected

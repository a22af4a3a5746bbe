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
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.commands import main
from plateau_watch.events.logdir import WHATIF_MARK as MARK
from tests.hooked_runs import (
    METRIC,
    add_group,
    event_files,
    events_in,
    lrs_after,
    scheduler_with,
    set_lr,
    trace_in,
    values_of,
)
from tests.torch_oracle import lrs_of

STARTED = 1_700_000_000.25
"""Wall time of the first point of a plain run; one point a minute."""

LONG_METRIC = [1.0, *([0.5] * 4), 0.25, *([0.25] * 8), 0.125, *([0.5] * 1200)]
"""Longer than what TensorBoard samples away (1,000 points), with many reductions."""


def replay(logdir, directory, *options, code=0):
    """Run `plateau-watch replay LOGDIR --tensorboard DIR`."""
    arguments = ["replay", logdir, "--tensorboard", directory, *options]
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def hooked_run(directory, metric=METRIC, names=None, **parameters):
    scheduler = scheduler_with(names=names, **parameters)
    with SummaryWriter(str(directory)) as writer, watch(scheduler, writer):
        for value in metric:
            scheduler.step(value)


def plain_run(directory, metric=METRIC, logged="after", **parameters):
    """A training that is not watched and logs with add_scalar."""
    scheduler = scheduler_with(**parameters)
    with SummaryWriter(str(directory)) as writer:
        for step, value in enumerate(metric):
            at = STARTED + 60 * step
            writer.add_scalar("val/loss", value, step, walltime=at)
            if logged == "before":
                writer.add_scalar("lr", lrs_of(scheduler)[0], step, walltime=at + 1)
            scheduler.step(value)
            if logged == "after":
                writer.add_scalar("lr", lrs_of(scheduler)[0], step, walltime=at + 1)


SAID = """
[[runs]]
metric = "val/loss"
lr = "lr"
ran-with = { patience = 1 }
"""


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


def as_shown(lrs):
    return [float(np.float32(lr)) for lr in lrs]


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


# Files.


def shown_lrs(run, tag="plateau/lr/0"):
    """(step, LR) of each point of one written run, as TensorBoard reads the file."""
    return [
        (event.step, values_of(event)[tag].simple_value)
        for event in events_in(run)
        if tag in values_of(event)
    ]


def tree(directory):
    """Every file below a directory with its content and time of change."""
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def directories(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_dir()}


def runs_below(directory):
    return {str(path.parent.relative_to(directory)) for path in event_files(directory)}


@pytest.fixture
def logs(tmp_path):
    hooked_run(tmp_path / "logs" / "run", patience=1)
    return tmp_path / "logs"


def test_a_file_voids_whatever_was_there_before_and_has_each_step_once(logs, tmp_path):
    replay(logs, tmp_path / "out", "--patience", "5")
    (path,) = event_files(tmp_path / "out" / "run" / "real")
    first, start, *points = events_in(path.parent)
    assert first.file_version == "brain.Event:2"
    assert start.session_log.status == 1, "SessionLog.START"
    assert start.step <= points[0].step
    assert [event.step for event in points] == [*range(1, len(METRIC) + 1)]


def test_a_step_axis_that_repeats_is_shown_with_the_last_lr_of_each_step(tmp_path):
    scheduler = scheduler_with(patience=0)
    with watch(scheduler, tmp_path / "logs", step=lambda: scheduler.last_epoch // 3):
        for metric in METRIC:
            scheduler.step(metric)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    lrs = as_shown(lrs_after(METRIC, patience=0))
    assert shown_lrs(tmp_path / "out" / "plateau" / "real") == [
        (0, lrs[1]),
        (1, lrs[4]),
        (2, lrs[7]),
        (3, lrs[10]),
        (4, lrs[11]),
    ]


def test_steps_below_zero_are_shown_too(tmp_path):
    scheduler = scheduler_with(patience=0)
    with watch(scheduler, tmp_path / "logs", step=lambda: scheduler.last_epoch - 5):
        for metric in METRIC[:3]:
            scheduler.step(metric)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    real = tmp_path / "out" / "plateau" / "real"
    assert [step for step, _ in shown_lrs(real)] == [-4, -3, -2]
    assert events_in(real)[1].step <= -4, "what is void begins there"


def test_a_group_that_was_added_later_begins_where_it_was_added(tmp_path):
    scheduler = scheduler_with(patience=1)
    with SummaryWriter(str(tmp_path / "logs")) as writer, watch(scheduler, writer):
        for metric in METRIC[:4]:
            scheduler.step(metric)
        add_group(scheduler, 0.5)
        for metric in METRIC[4:]:
            scheduler.step(metric)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    for schedule in ("real", "whatif patience=5"):
        run = tmp_path / "out" / schedule
        assert [step for step, _ in shown_lrs(run)] == [*range(1, len(METRIC) + 1)]
        assert [step for step, _ in shown_lrs(run, "plateau/lr/1")] == [*range(5, len(METRIC) + 1)]


def test_a_run_that_is_not_reproduced_is_shown_as_it_was_logged_beside_what_was_given(tmp_path):
    plain_run(tmp_path / "logs", patience=1)
    said = ("--metric", "val/loss", "--lr", "lr", "--ran-with", "patience=3", "--patience", "5")
    replay(tmp_path / "logs", tmp_path / "out", *said)
    assert runs_below(tmp_path / "out") == {"real", "whatif given", "whatif patience=5"}
    for schedule, patience in (("real", 1), ("whatif given", 3), ("whatif patience=5", 5)):
        expected = as_shown(lrs_after(METRIC, patience=patience))
        assert shown_lrs(tmp_path / "out" / schedule, "lr") == [*enumerate(expected)]


def test_an_lr_that_was_set_from_outside_reaches_every_schedule(tmp_path):
    scheduler = scheduler_with(patience=1)
    with SummaryWriter(str(tmp_path / "logs")) as writer, watch(scheduler, writer):
        scheduler.step(1.0)
        set_lr(scheduler, 0.75)
        scheduler.step(0.5)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    for schedule in ("real", "whatif patience=5"):
        assert shown_lrs(tmp_path / "out" / schedule) == [(1, as_shown([0.1])[0]), (2, 0.75)]


def test_a_what_if_ends_where_it_cannot_be_decided_and_the_real_run_goes_on(tmp_path):
    scheduler = scheduler_with(patience=0)
    with SummaryWriter(str(tmp_path / "logs")) as writer, watch(scheduler, writer):
        for metric in (1.0, 1.0, 1.0):
            scheduler.step(metric)
        set_lr(scheduler, 0.75)  # over an LR that a patience of 5 would not have had
        scheduler.step(0.5)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    assert [step for step, _ in shown_lrs(tmp_path / "out" / "real")] == [1, 2, 3, 4]
    assert shown_lrs(tmp_path / "out" / "whatif patience=5") == [
        (step, as_shown([0.1])[0]) for step in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("run", "below"),
    [
        ("gan", "gan/"),
        (".", ""),
    ],
)
def test_two_schedulers_of_one_run_have_schedules_of_their_own(tmp_path, run, below):
    generator, critic = scheduler_with(patience=0), scheduler_with(patience=2)
    with (
        SummaryWriter(str(tmp_path / "logs" / run)) as writer,
        watch(generator, writer, prefix="generator"),
        watch(critic, writer, prefix="critic"),
    ):
        for metric in METRIC:
            generator.step(metric)
            critic.step(metric)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    assert runs_below(tmp_path / "out") == {
        f"{below}{prefix}/{schedule}"
        for prefix in ("generator", "critic")
        for schedule in ("real", "whatif patience=5")
    }
    assert len(event_files(tmp_path / "out")) == 4, "TensorBoard shows one file of a run"
    for prefix, patience in (("generator", 0), ("critic", 2)):
        lrs = as_shown(lrs_after(METRIC, patience=patience))
        real = tmp_path / "out" / f"{below}{prefix}" / "real"
        assert shown_lrs(real, f"{prefix}/lr/0") == [*enumerate(lrs, start=1)]


def test_writing_twice_leaves_what_the_second_writing_made_and_nothing_else(logs, tmp_path):
    out = tmp_path / "out"
    hooked_run(logs / "other", patience=1)
    replay(logs, out, "--patience", "2,5")
    first = tree(out)
    replay(logs, out, "--patience", "5", "--run", "run")
    assert runs_below(out) == {"run/real", "run/whatif patience=5"}
    assert directories(out) <= {"run", "run/real", "run/whatif patience=5", "other"}
    left = {name: content for name, (content, _) in tree(out).items() if content}
    assert {str(Path(name).parent) for name in left} == runs_below(out)
    assert len(left) == 2, "neither earlier nor unfinished files"
    assert left.keys().isdisjoint(first)


def test_files_that_are_not_ours_stay(logs, tmp_path):
    out = tmp_path / "out"
    replay(logs, out, "--patience", "2")
    with SummaryWriter(str(out / "mine")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    for path in ("notes.txt", "run/notes.txt", "run/whatif patience=2/notes.txt"):
        (out / path).write_text("mine")
    mine = {name: content for name, content in tree(out).items() if MARK not in name}
    assert len(mine) == 4
    replay(logs, out, "--patience", "5")
    assert mine.items() <= tree(out).items()
    assert runs_below(out) == {"mine", "run/real", "run/whatif patience=5"}


def test_what_if_runs_are_never_taken_for_runs(logs, tmp_path):
    replay(logs, tmp_path / "out", "--patience", "5")
    replay(tmp_path / "out", tmp_path / "again", code=2)
    assert not (tmp_path / "again").exists()


# Places where nothing is ever written.


def refused(logs, directory, watched_over):
    """The one line of the refusal; nothing may have changed."""
    before = tree(watched_over), directories(watched_over)
    result = replay(logs, directory, "--patience", "5", code=2)
    assert (tree(watched_over), directories(watched_over)) == before
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("plateau-watch: ")
    return line


@pytest.mark.parametrize("place", [".", "run", "run/real", "new", "new/deep", "run/../new"])
def test_a_directory_inside_the_log_directory_is_refused(logs, tmp_path, place):
    line = refused(logs, logs / place, tmp_path)
    assert "would put what-if runs into the log directory" in line
    assert line.endswith("choose a directory outside it")


def test_a_relative_directory_inside_the_log_directory_is_refused(logs, tmp_path, monkeypatch):
    monkeypatch.chdir(logs)
    assert "into the log directory" in refused(Path(), Path("new"), tmp_path)
    assert "into the log directory" in refused(Path("../logs"), Path("run"), tmp_path)


def test_a_link_into_the_log_directory_is_refused(logs, tmp_path):
    (tmp_path / "link").symlink_to(logs)
    assert "into the log directory" in refused(logs, tmp_path / "link", tmp_path)
    assert "into the log directory" in refused(logs, tmp_path / "link" / "new", tmp_path)


def test_a_log_directory_given_by_a_link_is_refused_by_its_own_name(logs, tmp_path):
    (tmp_path / "link").symlink_to(logs)
    assert "into the log directory" in refused(tmp_path / "link", logs / "new", tmp_path)


def test_a_directory_whose_run_would_fall_into_the_log_directory_is_refused(logs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run").symlink_to(logs)
    assert "into the log directory" in refused(logs, tmp_path / "out", tmp_path)


def test_a_directory_above_the_log_directory_is_refused_where_a_run_would_fall_into_it(tmp_path):
    hooked_run(tmp_path / "logs" / "logs", patience=1)
    assert "into the log directory" in refused(tmp_path / "logs", tmp_path, tmp_path)


def test_beside_a_single_event_file_nothing_is_written(logs, tmp_path):
    (path,) = event_files(logs)
    assert "into the log directory" in refused(path, logs / "run" / "new", tmp_path)


def test_a_run_directory_with_event_files_of_others_is_refused(logs, tmp_path):
    with SummaryWriter(str(tmp_path / "out" / "run" / "real")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    line = refused(logs, tmp_path / "out", tmp_path)
    assert "already holds event files that plateau-watch did not write" in line


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_directory_that_cannot_be_made_is_one_clear_line(logs, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    assert "cannot write to" in refused(logs, tmp_path / place, tmp_path)


# Names.

ODD = [
    "a:b",
    "a_b",
    "...",
    "..hidden",
    "trailing.",
    " spaces around ",
    "tab\tand\nline",
    "naïve 学習率 📉",
    "学" * 80,
    "x" * 250,
    "-rf",
    "con",
    "C:\\runs",
    "*?<>|\"'",
    "%2e%2e",
    "real",
    "whatif patience=5",
    "\x1b[31mred",
]


def test_runs_with_odd_names_get_safe_directories_of_their_own_inside_the_directory(tmp_path):
    for count, name in enumerate(ODD):
        hooked_run(tmp_path / "logs" / name / name, METRIC[: 3 + count], patience=1)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    files = event_files(tmp_path / "out")
    assert len(files) == len({path.parent for path in files}) == 2 * len(ODD)
    assert {child.name for child in tmp_path.iterdir()} == {"logs", "out"}
    for path in files:
        assert path.resolve().is_relative_to((tmp_path / "out").resolve())
        for part in path.parent.relative_to(tmp_path / "out").parts:
            assert not re.search(r'[\x00-\x1f\x7f<>:"\\|?*]', part)
            assert not part.startswith((".", " "))
            assert not part.endswith((".", " "))
            assert len(part.encode()) <= 200
    lengths = {len(shown_lrs(path.parent)) for path in files}
    assert lengths == {3 + count for count in range(len(ODD)) if 3 + count <= len(METRIC)}


def test_a_run_with_a_plain_name_keeps_it(tmp_path):
    for name in ("lr=0.1,patience=3", "2024-01-01_12-00-00", "naïve 学習率", "a b"):
        hooked_run(tmp_path / "logs" / name, patience=1)
    hooked_run(tmp_path / "logs", patience=1)
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    assert {run.rpartition("/")[0] for run in runs_below(tmp_path / "out")} == {
        "lr=0.1,patience=3",
        "2024-01-01_12-00-00",
        "naïve 学習率",
        "a b",
        "",
    }


def test_a_name_that_is_no_text_gets_a_directory(tmp_path):
    hooked_run(tmp_path / "run", patience=1)
    (tmp_path / "logs").mkdir()
    os.rename(tmp_path / "run", os.fsencode(tmp_path / "logs") + b"/caf\xe9")
    replay(tmp_path / "logs", tmp_path / "out", "--patience", "5")
    (real, _) = sorted(runs_below(tmp_path / "out"))
    assert re.fullmatch(r"caf_-[0-9a-f]{8}/real", real)

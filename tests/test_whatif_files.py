"""What-if runs as files: what is written, what is refused, and how runs are named."""

import os
import re
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.events.logdir import WHATIF_MARK as MARK
from tests.hooked_runs import (
    METRIC,
    add_group,
    event_files,
    events_in,
    lrs_after,
    scheduler_with,
    set_lr,
    values_of,
)
from tests.whatif_runs import (
    as_shown,
    hooked_run,
    plain_run,
    replay,
)

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
    assert "cannot write " in refused(logs, tmp_path / place, tmp_path)


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

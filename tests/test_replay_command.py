"""`plateau-watch replay`: what it prints, writes and refuses."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.commands import main
from tests.command_processes import sent_to_terminal
from tests.runs import METRIC, hooked_run, lr_of, plain_run, scheduler_for

PLAIN = ("--metric", "val/loss", "--lr", "lr", "--ran-with", "patience=2")


def plateau_watch(*arguments, columns=100, code=0):
    """Run the command in this process; its exit code must be as expected."""
    runner = CliRunner(env={"COLUMNS": str(columns)})
    result = runner.invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def replayed(logdir, *arguments):
    return json.loads(plateau_watch("replay", logdir, "--format", "json", *arguments).stdout)


@pytest.fixture(scope="module")
def hooked(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    hooked_run(logdir / "run", patience=2)
    return logdir


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    plain_run(logdir / "run", patience=2)
    return logdir


def real_lrs():
    """LRs after each step, from torch itself."""
    scheduler = scheduler_for(patience=2)
    lrs = []
    for value in METRIC:
        scheduler.step(value)
        lrs.append([lr_of(scheduler)])
    return lrs


def test_a_hooked_run_is_reproduced_exactly_without_options(hooked):
    (run,) = replayed(hooked, "--full")["runs"]
    assert run["parity"] == {
        "checked": len(METRIC),
        "mismatches": 0,
        "first_mismatch": None,
        "ambiguous": [],
    }
    assert run["config"]["source"] == "recorded"
    assert run["config"]["patience"] == 2
    assert run["schedules"][0]["label"] == "real"
    assert run["schedules"][0]["lrs"] == real_lrs()


def test_the_json_says_what_was_read(hooked):
    document = replayed(hooked)
    (run,) = document["runs"]
    assert document["schema"] == "plateau-watch/replay/1"
    assert run["run"] == "run"
    assert run["metric"]["tag"] == "plateau/metric"
    assert run["metric"]["points"] == len(METRIC)
    assert run["metric"]["precision"] == "float64"
    assert run["metric"]["superseded"] == 0
    assert run["lr"]["tag"] == "plateau/lr/0"
    assert run["lr"]["groups"] == 1
    assert "lrs" not in run["schedules"][0]


def test_reductions_are_at_the_index_and_step_where_torch_made_them(hooked):
    (run,) = replayed(hooked)["runs"]
    lrs = [[0.1], *real_lrs()]
    expected = [
        {
            "index": index,
            "step": index + 1,
            "old_lrs": old,
            "new_lrs": new,
            "floored": False,
            "held": [None],
            "hypothetical": False,
        }
        for index, (old, new) in enumerate(pairwise(lrs))
        if old != new
    ]
    assert len(expected) == 3
    assert run["schedules"][0]["reductions"] == expected
    assert run["schedules"][0]["final_lrs"] == lrs[-1]


@pytest.mark.parametrize("logged", ["before", "after"])
def test_a_plain_run_is_reproduced_with_what_is_said_about_it(tmp_path, logged):
    plain_run(tmp_path / "run", patience=2, logged=logged)
    (run,) = replayed(tmp_path, *PLAIN)["runs"]
    assert run["parity"]["checked"] == len(METRIC)
    assert run["parity"]["mismatches"] == 0
    assert run["config"]["source"] == "given"
    assert run["lr"]["logged"] == logged
    assert run["lr"]["start"] == [0.1]
    assert run["metric"]["precision"] == "float32"


def test_what_is_not_said_is_read_from_the_log_directorys_own_file(tmp_path):
    plain_run(tmp_path / "runs" / "one", patience=2)
    (tmp_path / "plateau-watch.toml").write_text(
        '[[runs]]\nmatch = "other/*"\nmetric = "x"\n'
        '[[runs]]\nmatch = "runs/*"\nmetric = "val/loss"\nlr = "lr"\n'
        "ran-with = { patience = 2 }\n"
    )
    (run,) = replayed(tmp_path)["runs"]
    assert run["parity"]["mismatches"] == 0
    (run,) = replayed(tmp_path, "--ran-with", "patience=9")["runs"]
    assert run["config"]["patience"] == 9


def test_without_alternatives_a_small_set_around_the_real_configuration_is_shown(hooked):
    (run,) = replayed(hooked)["runs"]
    assert [schedule["label"] for schedule in run["schedules"]] == [
        "real",
        "patience=1",
        "patience=4",
        "factor=0.5",
        "threshold=0.001",
        "cooldown=1",
    ]


def test_alternatives_are_the_grid_of_what_is_given_and_the_rest_stays_real(hooked):
    (run,) = replayed(hooked, "--patience", "2,4", "--factor", "0.1,0.5")["runs"]
    assert [schedule["label"] for schedule in run["schedules"]] == [
        "real",
        "patience=4",
        "factor=0.5",
        "factor=0.5 patience=4",
    ]
    assert {schedule["config"]["threshold"] for schedule in run["schedules"]} == {1e-4}


def test_a_what_if_says_where_its_lr_leaves_the_real_one(hooked):
    (run,) = replayed(hooked, "--factor", "0.5", "--threshold", "0.0002", "--full")["runs"]
    what_if = run["schedules"][1]
    real = run["schedules"][0]
    leaves = what_if["diverges_at"]["index"]
    assert what_if["lrs"][:leaves] == real["lrs"][:leaves]
    assert what_if["lrs"][leaves] != real["lrs"][leaves]
    assert what_if["diverges_at"]["step"] == leaves + 1
    assert [r["hypothetical"] for r in what_if["reductions"]] == [False, True, True]


def test_a_what_if_that_never_differs_has_no_divergence(hooked):
    (run,) = replayed(hooked, "--threshold", "0.0002")["runs"]
    assert run["schedules"][1]["diverges_at"] is None


def test_json_is_valid_and_floats_round_trip(tmp_path):
    hooked_run(tmp_path / "run", metric=[float("nan"), 1e-300, 0.1], patience=float("inf"))
    text = plateau_watch("replay", tmp_path, "--format", "json", "--full").stdout

    def refuse(constant):
        raise AssertionError(constant)

    (run,) = json.loads(text, parse_constant=refuse)["runs"]
    assert run["config"]["patience"] == "inf"
    assert run["schedules"][0]["final_lrs"] == [0.1]


def test_csv_has_a_row_for_each_schedule_with_all_digits(hooked):
    text = plateau_watch("replay", hooked, "--format", "csv", "--patience", "3").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["schedule"] for row in rows] == ["real", "patience=3"]
    assert float(rows[0]["final_lrs"]) == real_lrs()[-1][0]
    assert rows[1]["patience"] == "3"
    assert rows[1]["reduced_at"] == "12*"


def test_a_run_name_is_no_spreadsheet_formula(tmp_path):
    hooked_run(tmp_path / "=1+1", patience=2)
    text = plateau_watch("replay", tmp_path, "--format", "csv").stdout
    assert next(csv.DictReader(io.StringIO(text)))["run"] == "'=1+1"


def test_markdown_has_a_table_for_each_run(hooked):
    text = plateau_watch("replay", hooked, "--format", "markdown", "--patience", "3").stdout
    assert "## run\n" in text
    assert "16 of 16 steps reproduced exactly" in text
    assert "| patience=3 | 12\\* | - | 0.01 | 7 |" in text


def test_explain_says_what_each_step_decided(hooked):
    text = plateau_watch("replay", hooked, "--explain", columns=200).stdout
    assert "step 1  1 is the first number: new best" in text
    assert "bad step 3 of 2 -> LR 0.1 -> 0.01" in text
    assert len(re.findall(r"^ +step \d+ ", text, re.MULTILINE)) == len(METRIC)


@pytest.mark.parametrize("columns", [40, 60, 80, 140])
@pytest.mark.parametrize("ascii_only", [(), ("--ascii",)])
def test_no_line_is_wider_than_the_terminal(hooked, columns, ascii_only):
    text = plateau_watch("replay", hooked, *ascii_only, "--explain", columns=columns).stdout
    assert max(map(cell_len, text.splitlines())) <= columns


def test_a_narrow_page_has_a_list_for_a_table(hooked):
    text = plateau_watch("replay", hooked, "--patience", "3", columns=40).stdout
    words = text[text.index("\n  patience=3\n    reduced at") :].split()
    assert words[:9] == [
        "patience=3",
        "reduced",
        "at",
        "12*",
        "final",
        "LR",
        "0.01",
        "leaves",
        "at",
    ]
    assert "schedule" not in text


LONG = "models/Hippocampus3.0/a_name_that_is_longer_than_the_page/validation"


@pytest.mark.parametrize("command", ["replay", "runs", "fit", "explain"])
@pytest.mark.parametrize("patience", [2, 99])
def test_a_name_longer_than_the_page_is_wrapped_and_nothing_of_it_is_lost(
    tmp_path, command, patience
):
    plain_run(tmp_path / LONG, patience=patience)
    code = int(patience == 99 and command != "runs")
    lines = plateau_watch(command, tmp_path, columns=40, code=code).stdout.splitlines()
    assert max(map(cell_len, lines)) <= 40
    assert LONG in "".join(line.strip() for line in lines)


def test_ascii_means_ascii(hooked):
    assert plateau_watch("replay", hooked, "--ascii", "--explain").stdout.isascii()


def test_the_lanes_tell_the_hypothetical_apart_without_colour(hooked):
    text = plateau_watch("replay", hooked, "--patience", "3", columns=100).stdout
    real = next(line for line in text.splitlines() if line.startswith("  real"))
    what_if = next(line for line in text.splitlines() if line.startswith("  patience=3"))
    assert real.split()[1:] == list("●●●●12▼●12▼1●12▼")
    assert what_if.split()[1:] == list("●●●●123○¹²³▽○¹²³")


def test_steps_share_columns_where_there_are_more_than_fit(tmp_path):
    metric = [1.0] + [2.0] * 999
    hooked_run(tmp_path / "run", metric=metric, patience=99)
    text = plateau_watch("replay", tmp_path, columns=60).stdout
    assert re.search(r"each column holds \d+ steps", text)
    real = next(line for line in text.splitlines() if line.startswith("  real"))
    assert real.count("▼") + real.count("◆") == 9


def test_a_list_of_groups_is_shown_group_by_group(tmp_path):
    hooked_run(tmp_path / "run", groups=2, patience=2, min_lr=[0.05, 0.0])
    text = plateau_watch("replay", tmp_path).stdout
    assert re.search(r"^ +LR 1 +0\.1", text, re.MULTILINE)
    (run,) = replayed(tmp_path)["runs"]
    assert run["lr"]["groups"] == 2
    assert run["lr"]["tags"] == ["plateau/lr/0", "plateau/lr/1"]
    assert len(run["schedules"][0]["final_lrs"]) == 2


def test_output_goes_to_a_file_whole(hooked, tmp_path):
    target = tmp_path / "out.json"
    assert plateau_watch("replay", hooked, "--format", "json", "-o", target).stdout == ""
    assert json.loads(target.read_text())["runs"]
    assert list(tmp_path.iterdir()) == [target]


def test_output_never_replaces_an_event_file_a_link_or_a_device(hooked, tmp_path):
    event_file = tmp_path / "events.out.tfevents.1.host"
    event_file.write_bytes(b"theirs")
    result = plateau_watch("replay", hooked, "-o", event_file, code=2)
    assert "TensorBoard would read it as an event file" in result.stderr
    assert event_file.read_bytes() == b"theirs"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target.json")
    plateau_watch("replay", hooked, "--format", "json", "-o", link)
    assert link.is_symlink()
    assert json.loads((tmp_path / "target.json").read_text())
    plateau_watch("replay", hooked, "-o", "/dev/null")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("place", ["/", ".", "{directory}"])
def test_output_to_a_directory_is_one_clear_line(hooked, tmp_path, place):
    result = plateau_watch("replay", hooked, "-o", place.format(directory=tmp_path), code=2)
    assert "it is a directory" in result.stderr


def test_output_to_a_dash_is_standard_output(hooked):
    text = plateau_watch("replay", hooked, "--format", "json", "-o", "-").stdout
    assert json.loads(text)["runs"]


def test_a_table_in_a_file_has_no_control_characters(hooked, tmp_path):
    target = tmp_path / "out.txt"
    plateau_watch("replay", hooked, "-o", target)
    assert "real" in target.read_text()
    assert "\x1b" not in target.read_text()


def test_a_run_name_never_reaches_the_terminal_as_an_escape_sequence(tmp_path):
    hooked_run(tmp_path / "a\x1b[31mb [bold]c[/]", patience=2)
    text = plateau_watch("replay", tmp_path).stdout
    assert "\x1b" not in text
    assert "a?[31mb [bold]c[/]" in text


def test_two_schedulers_in_one_run_are_two_reports(tmp_path):
    with SummaryWriter(str(tmp_path / "run")) as writer:
        schedulers = [scheduler_for(patience=2), scheduler_for(patience=3)]
        for scheduler, prefix in zip(schedulers, ("generator", "discriminator"), strict=True):
            watch(scheduler, writer, prefix=prefix)
        for value in METRIC:
            for scheduler in schedulers:
                scheduler.step(value)
    runs = replayed(tmp_path, "--tensorboard", tmp_path.with_name("whatif"))["runs"]
    assert [run["metric"]["tag"] for run in runs] == ["generator/metric", "discriminator/metric"]
    assert [run["parity"]["mismatches"] for run in runs] == [0, 0]
    written = {path.name for path in (tmp_path.with_name("whatif") / "run").iterdir()}
    assert written == {"generator", "discriminator"}


def test_a_run_name_that_is_no_text_is_data_too(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    hooked_run(tmp_path / "run", patience=2).rename(tmp_path / os.fsdecode(b"caf\xe9") / "run")
    for form in ("table", "json", "csv", "markdown"):
        assert "caf" in plateau_watch("replay", tmp_path, "--format", form).stdout


def test_check_is_a_finding_where_a_run_is_not_reproduced(plain):
    plateau_watch("replay", plain, *PLAIN, "--check", code=0)
    plateau_watch("replay", plain, *PLAIN[:-1], "patience=3", "--check", code=1)


def test_check_is_a_finding_where_a_run_is_not_replayed(tmp_path):
    hooked_run(tmp_path / "hooked", patience=2)
    plateau_watch("replay", tmp_path, "--check", code=0)
    plain_run(tmp_path / "plain", patience=99)
    plateau_watch("replay", tmp_path, "--check", code=1)


def test_a_run_whose_trace_lies_in_a_run_below_it_is_not_missing(tmp_path):
    scheduler = scheduler_for(patience=2)
    with SummaryWriter(str(tmp_path / "run")) as writer, watch(scheduler, tmp_path / "run"):
        for step, value in enumerate(METRIC):
            writer.add_scalar("val/loss", value, step)
            scheduler.step(value)
    document = replayed(tmp_path)
    assert [run["run"] for run in document["runs"]] == ["run/plateau"]
    assert document["not_replayed"] == []


def test_what_is_said_of_a_hooked_run_is_not_used_and_that_is_said(hooked):
    (run,) = replayed(hooked, "--ran-with", "patience=7")["runs"]
    assert run["config"]["patience"] == 2
    assert "not used: the hook recorded it" in run["warnings"][0]


def test_metric_and_lr_in_different_runs_are_put_together_and_that_is_said(tmp_path):
    scheduler = scheduler_for(patience=2)
    directories = [str(tmp_path / name) for name in ("train", "validation")]
    with SummaryWriter(directories[0]) as train, SummaryWriter(directories[1]) as validation:
        for step, value in enumerate(METRIC):
            train.add_scalar("epoch_lr", lr_of(scheduler), step)
            train.add_scalar("epoch_loss", 1 / (1 + step), step)
            validation.add_scalar("epoch_loss", value, step)
            scheduler.step(value)
    (run,) = replayed(tmp_path)["runs"]
    assert (run["run"], run["metric"]["tag"]) == ("validation", "epoch_loss")
    assert run["parity"]["mismatches"] == 0
    assert "the LR is that of run 'train'" in run["guesses"]


def test_a_schedule_that_cannot_be_decided_says_so_and_shows_no_final_lr(tmp_path):
    scheduler = scheduler_for(patience=1)
    with SummaryWriter(str(tmp_path)) as writer, watch(scheduler, writer):
        for value in [1.0, 1.0, 1.0, 1.0]:
            scheduler.step(value)
        scheduler.optimizer.param_groups[0]["lr"] = 0.5
        scheduler.step(1.0)
    (run,) = replayed(tmp_path, "--patience", "5", "--full")["runs"]
    what_if = run["schedules"][1]
    assert what_if["diverges_at"] == {"index": 2, "step": 3}
    assert what_if["undecided_from"] == {"index": 4, "step": 5}
    assert what_if["final_lrs"] is None
    assert len(what_if["lrs"]) == 4
    text = plateau_watch("replay", tmp_path, "--patience", "5").stdout
    lane = next(line for line in text.splitlines() if line.startswith("  patience=5"))
    assert lane.split()[1:] == list("●12³?")


def test_a_mismatch_is_said_and_the_logged_lr_is_what_is_real(plain):
    text = plateau_watch("replay", plain, *PLAIN[:-1], "patience=3", columns=200).stdout
    assert "first difference at step 6" in text
    assert "given" in text


def test_only_runs_that_are_asked_for(tmp_path):
    hooked_run(tmp_path / "a" / "one", patience=2)
    hooked_run(tmp_path / "b" / "two", patience=2)
    assert [run["run"] for run in replayed(tmp_path, "--run", "b/*")["runs"]] == ["b/two"]


def test_a_run_without_a_trace_is_explained_without_being_asked(tmp_path):
    hooked_run(tmp_path / "hooked", patience=2)
    plain_run(tmp_path / "plain", patience=2)
    hooked, plain = replayed(tmp_path)["runs"]
    assert (hooked["config"]["source"], plain["config"]["source"]) == ("recorded", "fitted")
    assert plain["config"]["patience"] == 2
    assert plain["parity"]["mismatches"] == 0


def test_runs_that_cannot_be_explained_are_listed_with_why(tmp_path):
    hooked_run(tmp_path / "hooked", patience=2)
    plain_run(tmp_path / "plain", patience=99)
    document = replayed(tmp_path)
    assert [run["run"] for run in document["runs"]] == ["hooked"]
    (left,) = document["not_replayed"]
    assert left["run"] == "plain"
    assert left["reason"].startswith("the LR never falls, so no parameters can be told")
    assert left["reason"].endswith("never fired had a patience of 4 or more")
    assert left["tags"] == {"val/loss": len(METRIC), "lr": len(METRIC)}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["{logdir}/nope"], "there is no '{logdir}/nope'; in '{logdir}' there are: run"),
        (["{empty}"], "no event files below '{empty}' (files with 'tfevents' in their name"),
        (["{logdir}", "--factor", "1.5"], "factor must be below 1, got 1.5"),
        (["{logdir}", "--patience", "x"], "patience must be a number, got 'x'"),
        (["{logdir}", "--patience", "3,,5"], "patience must be a number, got ''"),
        (["{logdir}", "--mode", "best"], "mode must be 'min' or 'max', got 'best'"),
        (["{logdir}", "--metric", "val/los"], "no run has a tag 'val/los'; there are: 'val/loss'"),
        (["{logdir}", "--lr", "learning"], "no run has a tag 'learning'; there are: "),
        (["{logdir}", "--ran-with", "patienc=3"], "did you mean 'patience'?"),
        (["{logdir}", "--ran-with", "3"], "--ran-with takes name=value pairs, got '3'"),
        (["{logdir}", "--run", "rum"], "no run is named 'rum'; there are: 'run'"),
        (["{logdir}", *PLAIN, "-o", "{empty}/no/x"], "cannot write '{empty}/no/x': No such file"),
        (
            ["{logdir}", *PLAIN[:-1], "min_lr=0.1:0.2,patience=0"],
            "min_lr has 2 values for 1 param groups",
        ),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_2(plain, tmp_path, arguments, line):
    places = {"logdir": str(plain), "empty": str(tmp_path)}
    filled = [argument.format(**places) for argument in arguments]
    result = plateau_watch("replay", *filled, code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("plateau-watch: ")
    assert line.format(**places) in result.stderr


def test_a_broken_plateau_watch_toml_is_named(plain, tmp_path):
    plain_run(tmp_path / "run", patience=2)
    for content, complaint in [
        ("[[runs]]\nmetrics = 'x'", "unknown key 'metrics'"),
        ("[[runs", "plateau-watch.toml"),
        ("[[runs]]\nran-with = { factor = 2 }", "factor must be below 1"),
        ("runs = 3", "runs must be a list of tables, got 3"),
        ("runs = [3]", "[[runs]] must be a table, got 3"),
        ("[[runs]]\nran-with = 'patience=3'", "ran-with must be a table"),
        ("[[runs]]\nlr = [1]", "lr must be a string, got 1"),
        ("[[runs]]\nmetric = 7", "metric must be a string, got 7"),
        ("[[runs]]\nlr-logged = 'now'", "lr-logged must be 'before' or 'after' or 'late'"),
        ("[[runs]]\nevery = 0", "every must be a whole number from 1 on, got 0"),
    ]:
        (tmp_path / "plateau-watch.toml").write_text(content)
        result = plateau_watch("replay", tmp_path, code=2)
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1


def test_the_user_is_never_written_to(plain):
    before = {path: path.read_bytes() for path in plain.rglob("*") if path.is_file()}
    plateau_watch("replay", plain, *PLAIN, "--explain")
    assert {path: path.read_bytes() for path in plain.rglob("*") if path.is_file()} == before


def test_help_shows_examples_that_work(hooked):
    text = plateau_watch("replay", "--help").stdout
    assert "plateau-watch replay runs/ --patience 3,5,10 --factor 0.1,0.5" in text
    plateau_watch("replay", hooked, "--patience", "3,5,10", "--factor", "0.1,0.5")


def in_a_terminal(*arguments, columns=80):
    """Run the command with a terminal as its standard output; return what it sent."""
    main_end, other_end = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", "from plateau_watch.commands import main; main()", *arguments]
    process = subprocess.Popen(command, stdout=other_end, env=environment)
    os.close(other_end)
    sent = sent_to_terminal(main_end)
    assert process.wait() == 0
    return sent.decode()


def test_a_terminal_gets_colour_and_a_pipe_none(hooked):
    assert "\x1b[" in in_a_terminal("replay", str(hooked))
    assert "\x1b[" not in plateau_watch("replay", hooked).stdout


def test_a_reader_that_stops_early_is_no_error(hooked):
    command = f"{sys.executable} -m plateau_watch replay {hooked} | head -1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in result.stderr
    assert result.stdout.count("\n") == 1


def test_torch_is_never_imported(hooked, tmp_path):
    blocker = tmp_path / "torch"
    blocker.mkdir()
    (blocker / "__init__.py").write_text("raise ImportError('torch was imported')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1]}"}
    command = [sys.executable, "-m", "plateau_watch", "replay", str(hooked), "--format", "json"]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True, cwd=tmp_path
    )
    assert json.loads(result.stdout)["runs"][0]["parity"]["mismatches"] == 0

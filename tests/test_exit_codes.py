"""Exit codes: 0 fine; 1 what was read is a finding, and is the result; 2 nothing could be read."""

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner
from torch.utils.tensorboard import SummaryWriter

from plateau_watch.commands import main
from tests.command_processes import sent_to_terminal
from tests.runs import hooked_run, plain_run

WHY = "the LR never falls, so no parameters can be told"


def plateau_watch(*arguments, code, columns=80):
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def unexplained(tmp_path_factory):
    """Two runs whose LR nothing explains."""
    logdir = tmp_path_factory.mktemp("unexplained")
    for name in ("one", "two"):
        plain_run(logdir / name, patience=99)
    return logdir


@pytest.mark.parametrize("command", ["replay", "fit", "explain"])
class TestNoRunCanBeExplained:
    def test_that_is_the_result_one_wrapped_block_a_run(self, unexplained, command):
        result = plateau_watch(command, unexplained, code=1)
        assert result.stderr == ""
        assert result.stdout.count(WHY) == 2
        assert "one: " in result.stdout
        assert "two: " in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80

    def test_beside_one_that_can_be_it_is_no_finding(self, tmp_path, command):
        plain_run(tmp_path / "one", patience=99)
        plain_run(tmp_path / "two", patience=2)
        assert WHY in plateau_watch(command, tmp_path, code=0).stdout

    def test_nothing_to_read_is_another_code_and_one_line(self, tmp_path, command):
        SummaryWriter(str(tmp_path / "empty")).close()
        for arguments in [
            [tmp_path / "empty"],
            [tmp_path / "nowhere"],
            [tmp_path, "--run", "x"],
            [tmp_path, "--metric", "x"],
            [tmp_path, "--every", "0"],
        ]:
            result = plateau_watch(command, *arguments, code=2)
            assert result.stdout == ""


def test_json_is_a_document_that_says_why(unexplained):
    document = json.loads(plateau_watch("replay", unexplained, "--format", "json", code=1).stdout)
    assert document["schema"] == "plateau-watch/replay/1"
    assert document["runs"] == []
    assert [run["run"] for run in document["not_replayed"]] == ["one", "two"]
    document = json.loads(plateau_watch("fit", unexplained, "--format", "json", code=1).stdout)
    assert document["schema"] == "plateau-watch/fit/1"
    assert document["runs"] == []
    assert all(run["reason"].startswith(WHY) for run in document["not_fitted"])


def test_csv_and_markdown_say_why_too(unexplained):
    text = plateau_watch("replay", unexplained, "--format", "csv", code=1).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["run"], row["schedule"]) for row in rows] == [("one", ""), ("two", "")]
    assert all(row["not_replayed"].startswith(WHY) for row in rows)
    text = plateau_watch("replay", unexplained, "--format", "markdown", code=1).stdout
    assert text.startswith("## Not replayed\n")
    assert text.count(WHY) == 2


def test_a_file_gets_the_result_all_the_same(unexplained, tmp_path):
    target = tmp_path / "out.json"
    plateau_watch("replay", unexplained, "--format", "json", "-o", target, code=1)
    assert len(json.loads(target.read_text())["not_replayed"]) == 2


def test_nothing_is_written_for_tensorboard_where_there_is_no_schedule(unexplained, tmp_path):
    result = plateau_watch("replay", unexplained, "--tensorboard", tmp_path / "out", code=1)
    assert result.stderr == ""
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_no_run_can_have_is_a_usage_error(tmp_path):
    plain_run(tmp_path / "run", patience=2)
    said = ("--ran-with", "min_lr=0.1:0.2,patience=0")
    assert "for 1 param groups" in plateau_watch("replay", tmp_path, *said, code=2).stderr


def test_there_is_nothing_to_fit_where_the_hook_recorded_all(tmp_path):
    hooked_run(tmp_path, patience=2)
    line = plateau_watch("fit", tmp_path / ".", "--run", ".", code=2).stderr
    assert line == "plateau-watch: there is no run with scalars that the hook did not record\n"


def refusal(*arguments, terminal):
    """What the command says on standard error, which is a terminal of 40 columns or a pipe."""
    command = [sys.executable, "-m", "plateau_watch", *arguments]
    environment = {**os.environ, "COLUMNS": "40"}
    if not terminal:
        result = subprocess.run(command, env=environment, capture_output=True, check=False)
        return result.stderr.decode()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = sent_to_terminal(ours)
    assert process.wait() == 2
    return said.decode().replace("\r\n", "\n")


def test_a_refusal_is_wrapped_at_a_terminals_width_and_one_line_in_a_pipe(tmp_path):
    arguments = ("replay", str(tmp_path), "--ran-with", "patienc=3")
    line = refusal(*arguments, terminal=False)
    assert line.count("\n") == 1
    wrapped = refusal(*arguments, terminal=True)
    assert wrapped.count("\n") > 2
    assert max(map(len, wrapped.splitlines())) <= 40
    assert wrapped.split() == line.split()

"""How the command ends: Ctrl-C at any moment, pipes that nobody reads, no room for output."""

import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command_processes import BUFFERED, CLOSED_PIPE, calls, sent_to_terminal
from tests.event_files import event, simple, write_events
from tests.runs import hooked_run, plain_run

ARGUMENTS = [
    *(("replay", "--format", form) for form in ("table", "json", "csv", "markdown")),
    *(("fit", "--format", form) for form in ("table", "json")),
    *(("runs", "--format", form) for form in ("table", "json")),
    ("explain", "--all"),
]

GONE = 141
"""What a shell says of a tool whose reader has gone."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    hooked_run(logdir / "hooked", patience=2)
    plain_run(logdir / "plain", patience=2)
    return logdir


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    with calls(tmp_path_factory.mktemp("said")) as running:
        yield running


def started(*arguments, **options):
    """Start the command itself; what it says goes to pipes."""
    said = [sys.executable, "-m", "plateau_watch", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": BUFFERED}
    return subprocess.Popen(said, **{**pipes, **options})


# Ctrl-C.


def test_ctrl_c_at_any_moment_is_quiet_and_130(logs, tmp_path, command):
    target = tmp_path / "out.json"
    target.write_text("before")
    arguments = ("replay", logs, "--format", "json", "-o", target, "--patience", "1,3,4,5,6,7")
    seconds = min(command.call(*arguments).seconds for _ in range(2))
    target.write_text("before")
    whole = None
    chance = random.Random(7)
    codes = []
    for _ in range(40):
        ended = command.call(*arguments, send=signal.SIGINT, after=chance.uniform(0, seconds))
        codes.append(ended.code)
        assert ended.code in (0, 130)
        assert ended.stdout == ended.stderr == ""
        assert [*tmp_path.iterdir()] == [target]
        if target.read_text() != "before":
            whole = whole or target.read_text()
            assert target.read_text() == whole
    assert codes.count(130) > 10


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_ctrl_c_of_every_command_is_quiet_and_130(logs, command, arguments):
    ended = command.call(arguments[0], logs, *arguments[1:], send=signal.SIGINT, after=0.005)
    assert ended.code in (0, 130), "0 where it was faster"
    assert ended.stderr == ""


LOADED = """
import os, sys
import plateau_watch_command

class Told:
    def find_spec(self, name, *_):
        if name == "plateau_watch":
            os.write(1, b"loading\\n")

sys.meta_path.insert(0, Told())
sys.argv = ["plateau-watch", "runs", "/"]
plateau_watch_command.run()
"""


@pytest.mark.parametrize("after", [0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_the_command_is_loaded_is_quiet_and_130(after):
    process = subprocess.Popen(
        [sys.executable, "-c", LOADED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "loading\n"
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


def test_the_installed_script_is_that_command(logs):
    script = Path(sys.executable).with_name("plateau-watch")
    assert "plateau_watch_command" in script.read_text()
    result = subprocess.run([script, "runs", logs], capture_output=True, text=True, check=True)
    assert "hooked" in result.stdout


def test_a_command_that_was_started_to_ignore_ctrl_c_goes_on(logs):
    process = started("runs", logs, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    for _ in range(20):
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert "hooked" in stdout


def test_ctrl_c_takes_a_progress_bar_away_and_gives_the_cursor_back(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    script = (
        "import sys\n"
        "from rich.console import Console\n"
        "from plateau_watch.commands import progress\n"
        "from plateau_watch.interruption import end_when_interrupted\n"
        "end_when_interrupted()\n"
        "progress.PATIENCE = 0\n"
        "with progress.reading(100, Console(stderr=True)) as advance:\n"
        "    advance(50)\n"
        "    open(sys.argv[1]).read()\n"
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    said = [sys.executable, "-c", script, tmp_path / "fifo"]
    process = subprocess.Popen(said, stderr=theirs, env=environment)
    os.close(theirs)
    sent = b""
    while b"50/100" not in sent:
        sent += os.read(ours, 65536)
    assert b"\x1b[?25l" in sent, "rich hides the cursor"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    sent += sent_to_terminal(ours)
    assert b"Traceback" not in sent
    assert sent.rindex(b"\x1b[?25h") > sent.rindex(b"\x1b[?25l")
    assert sent.endswith(b"\r\x1b[2K\x1b[?25h")


# Pipes that nobody reads.


def test_a_reader_that_stops_early_ends_it_quietly(tmp_path, command):
    for number in range(200):  # more to say than a pipe holds
        tags = [simple(f"{'x' * 200}{tag}/lr", 0.1) for tag in range(2)]
        run = tmp_path / "logs" / f"{'run' * 60}{number}"
        write_events(run / "events.out.tfevents.1", event(*tags))
    os.mkfifo(tmp_path / "fifo")
    reader = subprocess.Popen(["head", "-c", "1", tmp_path / "fifo"], stdout=subprocess.DEVNULL)
    ended = command.call("runs", tmp_path / "logs", stdout=tmp_path / "fifo")
    assert reader.wait(30) == 0
    assert (ended.code, ended.stderr) == (GONE, "")


@pytest.mark.parametrize(
    "arguments", [*ARGUMENTS, ("replay", "--help"), ("--version",)], ids=" ".join
)
def test_a_pipe_that_nobody_reads_ends_it_quietly(logs, command, arguments):
    where = [logs] if arguments[-1] not in ("--help", "--version") else []
    ended = command.call(arguments[0], *where, *arguments[1:], stdout=CLOSED_PIPE)
    assert (ended.code, ended.stderr) == (GONE, "")


def test_a_standard_error_that_nobody_reads_ends_it_quietly_too(logs, tmp_path, command):
    for arguments, code in (
        (("replay", tmp_path / "nowhere"), 2),
        (("replay", "--unknown"), 2),
        (("replay", logs, "--tensorboard", tmp_path / "out"), GONE),
    ):
        assert command.call(*arguments, stderr=CLOSED_PIPE).code == code


def test_a_finding_is_not_lost_behind_a_reader_that_stops(logs):
    said = f"{sys.executable} -m plateau_watch replay {logs} --check | true"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", said],
        capture_output=True,
        text=True,
        check=False,
        env=BUFFERED,
    )
    assert (result.returncode, result.stderr) == (GONE, "")


# No room.


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_a_full_standard_output_is_one_line_and_exit_code_1(logs, command, arguments):
    ended = command.call(arguments[0], logs, *arguments[1:], stdout="/dev/full")
    assert ended.code == 1
    assert ended.stderr == (
        "plateau-watch: cannot write to standard output: No space left on device\n"
    )


@pytest.mark.parametrize(
    "arguments", [("--help",), ("fit", "--help"), ("--version",)], ids=" ".join
)
def test_help_that_finds_no_room_is_one_line_and_exit_code_1(command, arguments):
    ended = command.call(*arguments, stdout="/dev/full")
    assert ended.code == 1
    assert ended.stderr.count("\n") == 1


def test_a_full_standard_error_changes_no_exit_code(tmp_path, command):
    assert command.call("replay", tmp_path / "nowhere", stderr="/dev/full").code == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_standard_streams_are_no_error(logs, tmp_path, closed):
    said = f"{sys.executable} -m plateau_watch replay {logs} -o {tmp_path}/out {closed}"
    result = subprocess.run(
        ["bash", "-c", said], capture_output=True, text=True, check=False, env=BUFFERED
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "out").stat().st_size


@pytest.mark.parametrize("name", ["replay", "runs"])
def test_names_that_standard_output_cannot_spell_are_no_error(tmp_path, name):
    plain_run(tmp_path / "学習", patience=2)
    environment = {**BUFFERED, "PYTHONIOENCODING": "latin-1"}
    process = started(name, tmp_path, env=environment)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert "??" in stdout
    assert stdout.isascii()

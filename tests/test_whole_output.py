"""`-o FILE` and `--tensorboard DIR` appear whole or not at all, and leave nothing behind."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from plateau_watch import whole_file
from plateau_watch.events.logdir import WHATIF_MARK
from plateau_watch.whole_file import UNFINISHED, unfinished
from tests.command_processes import calls
from tests.event_files import parsed
from tests.hooked_runs import event_files
from tests.runs import hooked_run

GRID = ("--patience", "1,2,3,4,5", "--cooldown", "0,1,2")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logs")
    for name in ("one", "two"):
        hooked_run(logdir / name, patience=2)
    return logdir


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    with calls(tmp_path_factory.mktemp("said")) as running:
        yield running


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB; mounted in this test's own directory, so it needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here; limits on file sizes are tested")
    yield disk
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    subprocess.run(["umount", disk], check=True)


def one_line(ended):
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("plateau-watch: ")
    return line


def content(directory):
    """Every file and directory below a directory, with what it holds."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


# -o FILE.


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o666])
def test_an_existing_file_keeps_its_permissions_and_its_owner(logs, tmp_path, command, mode):
    target = tmp_path / "out.json"
    target.write_text("before")
    target.chmod(mode)
    if not os.geteuid():
        os.chown(target, 12345, 23456)
    before = target.stat()
    with target.open() as kept:
        assert command.call("replay", logs, "--format", "json", "-o", target).code == 0
        assert kept.read() == "before", "who reads it meanwhile reads the whole old one"
    after = target.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert json.loads(target.read_text())["runs"]
    assert [*tmp_path.iterdir()] == [target]


def test_a_new_file_has_the_permissions_that_a_redirection_would_give_it(logs, tmp_path, command):
    target = tmp_path / "out.json"
    command.call("replay", logs, "-o", target)
    (tmp_path / "usual").touch()
    assert target.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_links_are_followed_and_stay(logs, tmp_path, command):
    (tmp_path / "far").mkdir()
    (tmp_path / "two").symlink_to("far/target.json")
    (tmp_path / "one").symlink_to("two")
    for before in ("nothing", "a file"):
        assert command.call("replay", logs, "--format", "json", "-o", tmp_path / "one").code == 0
        assert (tmp_path / "one").is_symlink(), before
        assert (tmp_path / "two").is_symlink(), before
        assert json.loads((tmp_path / "far" / "target.json").read_text())["runs"]
    assert len([*(tmp_path / "far").iterdir()]) == 1


def test_a_link_to_itself_is_one_clear_line(logs, tmp_path, command):
    (tmp_path / "loop").symlink_to("loop")
    ended = command.call("replay", logs, "-o", tmp_path / "loop")
    assert (ended.code, "symbolic links" in one_line(ended)) == (2, True)


def test_a_fifo_gets_the_result(logs, tmp_path, command):
    os.mkfifo(tmp_path / "fifo")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "fifo").read_text()))
    reader.start()
    assert command.call("replay", logs, "--format", "json", "-o", tmp_path / "fifo").code == 0
    reader.join(20)
    assert json.loads(read[0])["runs"]
    assert (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/2"])
def test_standard_output_by_its_name_is_written_to_like_standard_output(logs, tmp_path, name):
    said = [sys.executable, "-m", "plateau_watch", "replay", logs, "--format", "json", "-o", name]
    log = tmp_path / "log"
    log.write_text("kept\n")
    with log.open("a") as appended:
        subprocess.run(said, stdout=appended, stderr=appended, check=True)
    first, rest = log.read_text().split("\n", 1)
    assert first == "kept"
    assert json.loads(rest)["runs"]
    piped = subprocess.run(said, capture_output=True, text=True, check=True)
    assert json.loads(piped.stdout + piped.stderr)["runs"]


def test_a_full_device_is_one_line_and_exit_code_1(logs, command):
    ended = command.call("replay", logs, "-o", "/dev/full")
    assert (ended.code, "No space left on device" in one_line(ended)) == (1, True)


@pytest.mark.parametrize("before", [None, "before"])
def test_a_file_that_finds_no_room_is_one_line_and_what_was_there_stays(
    logs, tmp_path, command, before
):
    if before:
        (tmp_path / "out.json").write_text(before)
    ended = command.call("replay", logs, "-o", tmp_path / "out.json", file_size=500)
    assert ended.code == 1
    assert one_line(ended) == (
        f"plateau-watch: cannot write '{tmp_path / 'out.json'}': File too large; make room there, "
        "or choose another place"
    )
    assert content(tmp_path) == ({"out.json": before.encode()} if before else {})


def test_a_full_disk_is_one_line_and_what_was_there_stays(logs, small_disk, command):
    (small_disk / "out.json").write_text("before")
    (small_disk / "large").write_bytes(bytes(48 << 10))
    before = content(small_disk)
    arguments = ("replay", logs, "--format", "json", "--full", *GRID)
    for place in (("-o", small_disk / "out.json"), ("--tensorboard", small_disk / "board")):
        ended = command.call(*arguments, *place)
        assert (ended.code, "No space left on device" in one_line(ended)) == (1, True)
        assert content(small_disk) == before


def test_a_directory_that_cannot_be_written_is_one_clear_line(logs, small_disk, command):
    (small_disk / "out.json").write_text("before")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for place in (
        ("-o", small_disk / "out.json"),
        ("-o", small_disk / "new.json"),
        ("--tensorboard", small_disk),
        ("--tensorboard", small_disk / "new"),
    ):
        ended = command.call("replay", logs, *place)
        assert (ended.code, "Read-only file system" in one_line(ended)) == (2, True)


def test_a_file_or_directory_that_may_not_be_written_is_one_clear_line(logs, command):
    with tempfile.TemporaryDirectory() as directory:  # pytest's own lets no other user in
        place = Path(directory)
        shutil.copytree(logs, place / "logs")
        (place / "logs").chmod(0o755)
        (place / "out.json").write_text("before")
        (place / "out.json").chmod(0o444)
        (place / "closed").mkdir(0o555)
        place.chmod(0o777)
        other = None if os.geteuid() else 65534  # root may write anywhere
        for arguments in (
            ("-o", place / "out.json"),
            ("-o", place / "closed" / "out.json"),
            ("--tensorboard", place / "closed"),
        ):
            ended = command.call("replay", place / "logs", *arguments, user=other)
            assert (ended.code, "Permission denied" in one_line(ended)) == (2, True)
        assert (place / "out.json").read_text() == "before"
        assert not [*(place / "closed").iterdir()]


def test_a_name_of_255_bytes_is_no_hindrance(logs, tmp_path, command):
    target = tmp_path / ("x" * 250 + ".json")
    assert command.call("replay", logs, "-o", target).code == 0
    assert target.stat().st_size


# --tensorboard DIR.


def is_whole(path):
    """Whether an event file holds sound records only, the first of them and a last point."""
    found, parser = parsed(path.read_bytes())
    return len(found) > 2 and not (parser.pending and parser.pending.length)


def shown(directory):
    """The event files that TensorBoard would show, by run; those that were emptied are none."""
    return {path: path.read_bytes() for path in event_files(directory) if path.stat().st_size}


def test_an_interrupted_writing_leaves_each_run_as_it_was_or_new(logs, tmp_path, command):
    out = tmp_path / "out"
    arguments = ("replay", logs, "--tensorboard", out, *GRID)
    seconds = min(command.call(*arguments).seconds for _ in range(2))
    runs = {path.parent for path in shown(out)}
    assert len(runs) == 2 * 15
    chance = random.Random(4)
    codes = []
    for number in range(24):
        how = signal.SIGINT if number < 12 else signal.SIGKILL
        before = shown(out)
        after = chance.uniform(0.3, 1.1) * seconds
        ended = command.call(*arguments, send=how, after=after)
        codes.append(ended.code)
        assert ended.code in (0, -9, 130)
        now = shown(out)
        assert {path.parent for path in now} == runs, "no run is lost"
        assert all(is_whole(path) for path in now.keys() - before.keys())
        assert all(now[path] == before[path] for path in now.keys() & before.keys())
        if how == signal.SIGINT:
            assert "Traceback" not in ended.stderr
            assert not [name for name in content(out) if UNFINISHED in name]
    assert 130 in codes
    assert -9 in codes
    assert command.call(*arguments).code == 0
    assert len(shown(out)) == len(runs), "one file a run again"
    assert not [name for name in content(out) if UNFINISHED in name], "nothing is left behind"


def test_one_that_is_killed_before_anything_was_there_leaves_nothing_to_see(
    logs, tmp_path, command
):
    seconds = command.call("replay", logs, "--tensorboard", tmp_path / "warm", *GRID).seconds
    for number in range(8):
        out = tmp_path / str(number)
        command.call(
            *("replay", logs, "--tensorboard", out, *GRID),
            send=signal.SIGKILL,
            after=seconds * (0.4 + number / 12),
        )
        assert all(is_whole(path) for path in event_files(out))


@pytest.mark.parametrize("before", [False, True])
def test_a_run_that_finds_no_room_changes_nothing_at_all(logs, tmp_path, command, before):
    out = tmp_path / "deep" / "out"
    if before:
        command.call("replay", logs, "--tensorboard", out, "--patience", "5")
    was = content(tmp_path)
    ended = command.call("replay", logs, "--tensorboard", out, *GRID, file_size=700)
    assert (ended.code, "cannot write" in one_line(ended)) == (1, True)
    assert content(tmp_path) == was


def test_files_are_written_out_of_tensorboards_sight_before_the_first_is_renamed(
    logs, tmp_path, monkeypatch
):
    from click.testing import CliRunner

    from plateau_watch.commands import main
    from plateau_watch.events import whatif_writer

    seen = []
    written = whatif_writer._write

    def write(path, planned):
        written(path, planned)
        seen.append(event_files(tmp_path / "out"))

    monkeypatch.setattr(whatif_writer, "_write", write)
    arguments = ["replay", str(logs), "--tensorboard", str(tmp_path / "out"), *GRID]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert seen == [[]] * 30
    assert "tfevents" not in UNFINISHED


def test_two_that_write_to_one_directory_at_once_lose_no_run(logs, tmp_path, command):
    arguments = ["replay", logs, "--tensorboard", tmp_path, "--patience", "1,3,4,5"]
    command.call(*arguments)
    runs = {path.parent for path in shown(tmp_path)}
    said = [sys.executable, "-m", "plateau_watch", *map(str, arguments)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    both = [subprocess.Popen(said, **quiet) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert {path.parent for path in shown(tmp_path)} == runs


@pytest.mark.parametrize("place", ["one", "one/real"])
def test_a_link_in_a_runs_place_is_refused_and_nothing_is_written_through_it(
    logs, tmp_path, command, place
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out" / place).parent.mkdir(parents=True)
    (tmp_path / "out" / place).symlink_to(elsewhere)
    was = content(tmp_path)
    ended = command.call("replay", logs, "--tensorboard", tmp_path / "out")
    assert ended.code == 2
    assert f"'{tmp_path / 'out' / place}' is a link" in one_line(ended)
    assert content(tmp_path) == was


def test_a_link_as_the_directory_itself_is_followed(logs, tmp_path, command):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert command.call("replay", logs, "--tensorboard", tmp_path / "link").code == 0
    assert shown(tmp_path / "real")


def test_what_is_named_like_a_file_of_ours_and_is_none_stays(logs, tmp_path, command):
    out = tmp_path / "out"
    name = f"events.out.tfevents.1.{WHATIF_MARK}"
    (out / name).mkdir(parents=True)
    (tmp_path / "theirs").write_text("theirs")
    (out / "x").mkdir()
    (out / "x" / name).symlink_to(tmp_path / "theirs")
    assert command.call("replay", logs, "--tensorboard", out).code == 0
    assert (out / name).is_dir()
    assert (out / "x" / name).is_symlink()
    assert (tmp_path / "theirs").read_text() == "theirs"


# What a killed process leaves.


def killed_while_writing(directory):
    """Leave what a process leaves that is killed while it writes."""
    script = (
        "import os, sys\nfrom pathlib import Path\n"
        "from plateau_watch.whole_file import unfinished\n"
        "with unfinished(Path(sys.argv[1])) as hidden:\n"
        "    (hidden / 'content').write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, directory], check=False).returncode == -9


def test_what_a_killed_process_left_goes_with_the_next_call(logs, tmp_path, command):
    killed_while_writing(tmp_path)
    (tmp_path / f"{UNFINISHED}empty").mkdir()
    assert len([*tmp_path.iterdir()]) == 2
    command.call("replay", logs, "-o", tmp_path / "out.json")
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_what_a_process_that_lives_is_writing_stays(tmp_path):
    with unfinished(tmp_path) as ours:
        (ours / "content").write_text("half")
        with unfinished(tmp_path) as other:
            assert other != ours
        assert (ours / "content").read_text() == "half"
    assert not [*tmp_path.iterdir()]


def test_what_is_only_named_like_ours_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lock").touch()
    (tmp_path / f"{UNFINISHED}link").symlink_to("elsewhere")
    (tmp_path / f"{UNFINISHED}file").write_text("theirs")
    (tmp_path / f"{UNFINISHED}full").mkdir()
    (tmp_path / f"{UNFINISHED}full" / "theirs").touch()
    was = content(tmp_path)
    with unfinished(tmp_path):
        pass
    assert content(tmp_path) == was


def test_one_that_another_cleans_up_before_it_holds_its_lock_begins_again(tmp_path, monkeypatch):
    locked = whole_file._locked

    def late(descriptor, *, wait):
        monkeypatch.setattr(whole_file, "_locked", locked)
        whole_file._remove_abandoned(tmp_path)
        assert not [*tmp_path.iterdir()]
        return locked(descriptor, wait=wait)

    monkeypatch.setattr(whole_file, "_locked", late)
    with unfinished(tmp_path) as hidden:
        with unfinished(tmp_path):
            pass
        assert hidden.is_dir(), "it is held now"


def test_many_at_once_do_not_clean_each_other_up(tmp_path):
    failed = []

    def write():
        try:
            for _ in range(30):
                with unfinished(tmp_path) as hidden:
                    (hidden / "content").write_text("whole")
                    (hidden / "content").replace(tmp_path / "out")
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert content(tmp_path) == {"out": b"whole"}

"""A log directory's runs: every directory below it with an event file, each once, in name order."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from plateau_watch.errors import NothingToReadError
from plateau_watch.events.logdir import WHATIF_MARK, RunFiles, discover, is_event_file
from tests.event_files import EVENT_FILE, event, simple, write_events


@pytest.fixture
def logdir(tmp_path):
    """An empty directory, with nothing beside it."""
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


def event_file(directory, name=EVENT_FILE):
    """Make an event file; `discover` never opens it, so it may be empty."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.touch()
    return path


def names(logdir) -> list[str]:
    return [run.name for run in discover(logdir)]


class TestRuns:
    def test_a_run_is_a_directory_with_an_event_file_and_named_by_its_path(self, logdir):
        path = event_file(logdir / "fold" / "1")
        assert discover(logdir) == (RunFiles("fold/1", (path,)),)

    def test_the_log_directory_itself_is_the_run_named_with_a_dot(self, logdir):
        path = event_file(logdir)
        assert discover(logdir) == (RunFiles(".", (path,)),)

    def test_a_run_may_lie_within_a_run(self, logdir):
        event_file(logdir)
        event_file(logdir / "train")
        event_file(logdir / "train" / "lr")
        assert names(logdir) == [".", "train", "train/lr"]

    def test_directories_without_event_files_are_no_runs(self, logdir):
        event_file(logdir / "run")
        event_file(logdir / "checkpoints", "last.ckpt")
        (logdir / "empty").mkdir()
        assert names(logdir) == ["run"]

    def test_runs_come_in_name_order_part_by_part(self, logdir):
        for name in ["b", "a-b", "a", "a/z", "a/b", "B"]:
            event_file(logdir / name)
        assert names(logdir) == ["B", "a", "a/b", "a/z", "a-b", "b"]

    def test_the_event_files_of_a_run_come_in_name_order(self, logdir):
        made = [event_file(logdir, f"events.out.tfevents.{time}.host") for time in (30, 10, 200)]
        (run,) = discover(logdir)
        assert run.files == (made[1], made[0], made[2])

    def test_a_processs_tenth_writer_comes_after_its_ninth(self, logdir):
        tenth, ninth = (event_file(logdir, f"events.out.tfevents.1.host.7.{n}") for n in (10, 9))
        (run,) = discover(logdir)
        assert run.files == (ninth, tenth)

    def test_runs_whose_names_are_no_utf_8_are_found(self, logdir):
        name = os.fsdecode(b"caf\xe9")
        path = event_file(logdir / name)
        assert discover(logdir) == (RunFiles(name, (path,)),)

    def test_a_directory_that_vanishes_while_runs_are_sought_costs_no_other(
        self, logdir, monkeypatch
    ):
        event_file(logdir / "run")
        (logdir / "gone").mkdir()
        scan = os.scandir

        def scan_while_one_vanishes(directory):
            if str(directory).endswith("gone"):
                os.rmdir(directory)
            return scan(directory)

        monkeypatch.setattr(os, "scandir", scan_while_one_vanishes)
        said = []
        assert [run.name for run in discover(logdir, said.append)] == ["run"]
        assert said == []

    def test_a_hidden_directory_may_be_a_run(self, logdir):
        event_file(logdir / ".hidden")
        assert names(logdir) == [".hidden"]


class TestEventFiles:
    @pytest.mark.parametrize(
        "name",
        [
            "events.out.tfevents.1700000000.host.123.0",
            "events.out.tfevents.1700000000.host.v2",
            "tfevents",
            "my.tfevents.backup",
        ],
    )
    def test_any_file_with_tfevents_in_its_name_is_one(self, logdir, name):
        assert is_event_file(event_file(logdir, name))

    @pytest.mark.parametrize("name", ["events.out", "TFEVENTS", "model.pt"])
    def test_a_file_of_another_name_is_none(self, logdir, name):
        assert not is_event_file(event_file(logdir, name))

    def test_a_directory_of_that_name_is_none_but_may_be_a_run(self, logdir):
        inner = event_file(logdir / "tfevents.old")
        assert not is_event_file(inner.parent)
        assert names(logdir) == ["tfevents.old"]

    def test_a_pipe_of_that_name_is_none(self, logdir):
        event_file(logdir / "run")
        os.mkfifo(logdir / "run" / "tfevents.pipe")
        (run,) = discover(logdir)
        assert [path.name for path in run.files] == [EVENT_FILE]

    def test_a_file_of_our_own_what_if_schedules_is_none(self, logdir):
        event_file(logdir / "run")
        event_file(logdir / "whatif", f"events.out.tfevents.1.{WHATIF_MARK}")
        assert names(logdir) == ["run"]

    def test_a_link_to_an_event_file_is_one(self, logdir, tmp_path):
        target = event_file(tmp_path / "elsewhere", "tfevents.data")
        link = logdir / EVENT_FILE
        link.symlink_to(target)
        assert discover(logdir) == (RunFiles(".", (link,)),)

    def test_a_link_to_nothing_is_none(self, logdir):
        (logdir / EVENT_FILE).symlink_to(logdir / "gone")
        assert not is_event_file(logdir / EVENT_FILE)

    def test_a_path_that_does_not_exist_is_none(self, logdir):
        assert not is_event_file(logdir / EVENT_FILE)


class TestLinks:
    def test_a_linked_directory_is_entered(self, logdir, tmp_path):
        event_file(tmp_path / "elsewhere")
        (logdir / "link").symlink_to(tmp_path / "elsewhere")
        assert names(logdir) == ["link"]

    def test_a_link_to_the_log_directory_does_not_make_its_runs_twice(self, logdir):
        event_file(logdir)
        event_file(logdir / "run")
        (logdir / "run" / "up").symlink_to(logdir)
        (logdir / "self").symlink_to(logdir)
        assert names(logdir) == [".", "run"]

    def test_a_directory_linked_twice_is_one_run(self, logdir, tmp_path):
        event_file(tmp_path / "elsewhere" / "deep")
        for name in ("one", "two"):
            (logdir / name).symlink_to(tmp_path / "elsewhere")
        assert names(logdir) == ["one/deep"]

    def test_a_link_that_leads_to_itself_is_passed_over(self, logdir):
        event_file(logdir)
        (logdir / "ouroboros").symlink_to(logdir / "ouroboros")
        assert names(logdir) == ["."]

    def test_the_log_directory_may_be_a_link(self, logdir, tmp_path):
        event_file(logdir / "run")
        (tmp_path / "latest").symlink_to(logdir)
        assert names(tmp_path / "latest") == ["run"]


class TestASingleFile:
    def test_an_event_file_is_a_log_directory_that_holds_it_alone(self, logdir):
        path = event_file(logdir, "tfevents.1")
        event_file(logdir, "tfevents.2")
        assert discover(path) == (RunFiles(".", (path,)),)

    def test_another_file_is_an_error_that_says_what_is_missing(self, logdir):
        path = event_file(logdir, "model.pt")
        with pytest.raises(NothingToReadError, match=r"model\.pt.*no event file.*'tfevents'"):
            discover(path)

    def test_a_pipe_is_an_error(self, logdir):
        os.mkfifo(logdir / "tfevents.pipe")
        with pytest.raises(NothingToReadError, match="no event file"):
            discover(logdir / "tfevents.pipe")


class TestNothingToRead:
    def test_a_directory_without_event_files_is_an_error_that_says_what_was_sought(self, logdir):
        event_file(logdir, "model.pt")
        with pytest.raises(NothingToReadError, match=r"no event files below .*logs.*'tfevents'"):
            discover(logdir)

    def test_a_missing_path_is_an_error_that_names_the_directories_there_are(self, logdir):
        for name in ("mnist", "cifar"):
            (logdir / name).mkdir()
        event_file(logdir, "readme")
        with pytest.raises(NothingToReadError) as error:
            discover(logdir / "mnits" / "run")
        assert str(error.value) == (
            f"there is no {str(logdir / 'mnits' / 'run')!r}; "
            f"in {str(logdir)!r} there are: cifar, mnist"
        )

    def test_of_many_directories_the_first_eight_are_named(self, logdir):
        for number in range(9):
            (logdir / f"run{number}").mkdir()
        with pytest.raises(NothingToReadError, match=r"run0, run1, .*, run7, \.\.\.$"):
            discover(logdir / "gone")

    def test_where_there_are_no_directories_none_are_named(self, logdir):
        with pytest.raises(NothingToReadError) as error:
            discover(logdir / "gone")
        assert str(error.value) == f"there is no {str(logdir / 'gone')!r}"

    def test_a_path_below_a_file_is_a_missing_path(self, logdir):
        path = event_file(logdir)
        with pytest.raises(NothingToReadError, match=r"there is no .*below"):
            discover(path / "below")

    def test_a_name_that_the_file_system_refuses_is_an_error_of_ours(self, logdir):
        with pytest.raises(NothingToReadError, match="too long"):
            discover(logdir / ("x" * 300))

    def test_a_link_to_nothing_is_a_missing_path(self, logdir):
        (logdir / "latest").symlink_to(logdir / "gone")
        with pytest.raises(NothingToReadError, match=r"there is no .*latest"):
            discover(logdir / "latest")


class TestOddDirectories:
    def test_directories_as_deep_as_paths_go_are_entered(self, logdir):
        deep = logdir
        for _ in range(1200):
            deep = deep / "d"
            deep.mkdir()
        event_file(deep)
        assert names(logdir) == ["/".join("d" * 1200)]

    def test_links_that_lead_in_circles_end(self, logdir):
        for name in ("a", "b"):
            event_file(logdir / name)
        (logdir / "a" / "to_b").symlink_to(logdir / "b")
        (logdir / "b" / "to_a").symlink_to(logdir / "a")
        assert sorted(names(logdir)) == ["a", "a/to_b"]

    def test_devices_and_sockets_named_like_event_files_are_none(self, logdir):
        event_file(logdir)
        (logdir / "tfevents.zero").symlink_to("/dev/zero")
        with socket.socket(socket.AF_UNIX) as server:
            before = os.getcwd()
            os.chdir(logdir)
            try:
                server.bind("tfevents.socket")
            finally:
                os.chdir(before)
        (run,) = discover(logdir)
        assert [path.name for path in run.files] == [EVENT_FILE]

    @pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", b"\x1b[31m", b"=1+1", b"'\"\\", b"-x"])
    def test_names_may_hold_any_bytes(self, logdir, name):
        path = event_file(logdir / os.fsdecode(name), os.fsdecode(b"tfevents" + name))
        assert discover(logdir) == (RunFiles(os.fsdecode(name), (path,)),)


class TestPermissions:
    """In a process that is nobody, since root may read everything."""

    CODE = """
import os, sys
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.path[:0] = sys.argv[1:2]
from plateau_watch.commands import main
main(sys.argv[2:])
"""

    def run(self, root, *arguments):
        # Imported before the rights are dropped: the environment may be root's alone.
        code = "import plateau_watch.commands, plateau_watch.events.hparams\n" + self.CODE
        command = [sys.executable, "-c", code, str(root), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    @pytest.fixture
    def shared(self):
        """A log directory that anybody can reach, with a run."""
        with tempfile.TemporaryDirectory() as top:
            os.chmod(top, 0o755)
            write_events(Path(top) / "run" / EVENT_FILE, event(simple("loss", 0.5)))
            yield Path(top)

    def test_a_file_that_may_not_be_read_is_said_and_the_others_are_read(
        self, shared, pytestconfig
    ):
        closed = write_events(shared / "run" / "tfevents.9", event(simple("loss", 0.5), step=1))
        closed.chmod(0)
        done = self.run(pytestconfig.rootpath, "runs", shared, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        (run,) = json.loads(done.stdout)["runs"]
        assert (run["points"], run["warnings"]) == (1, [f"{closed}: Permission denied"])

    def test_a_directory_that_may_not_be_read_is_said_and_the_others_are_read(
        self, shared, pytestconfig
    ):
        closed = shared / "closed"
        closed.mkdir()
        closed.chmod(0)
        done = self.run(pytestconfig.rootpath, "runs", shared, "--format", "json")
        assert done.returncode == 0
        assert [run["run"] for run in json.loads(done.stdout)["runs"]] == ["run"]
        assert done.stderr == f"plateau-watch: cannot read {str(closed)!r}: Permission denied\n"

    def test_where_nothing_may_be_read_that_is_the_error(self, shared, pytestconfig):
        (shared / "run").chmod(0)
        done = self.run(pytestconfig.rootpath, "runs", shared)
        assert done.returncode == 2
        *_, last = done.stderr.splitlines()
        assert last.startswith(f"plateau-watch: no event files below {str(shared)!r}")
        assert last.endswith(f"; cannot read {str(shared / 'run')!r}: Permission denied")

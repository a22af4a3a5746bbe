"""Forked and spawned children, an interpreter that ends, interrupts, and disks that are full."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    Faulty,
    all_warnings,
    event_files,
    in_a_process,
    lrs_after,
    replayed,
    scheduler_with,
    trace_in,
    traces_in,
)
from tests.torch_oracle import lrs_of

# A child has the scheduler, and its parent the log.

FORKED = """
    import json, multiprocessing, os, sys, warnings
    import plateau_watch, tensorboardX, torch, torch.utils.tensorboard
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    logs, metric = sys.argv[1], json.loads(sys.argv[2])
    said = []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *_: said.append(str(message))
    makers = {
        "torch": torch.utils.tensorboard.SummaryWriter,
        "tensorboardX": tensorboardX.SummaryWriter,
        "directory": str,
    }
    def scheduler():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        return ReduceLROnPlateau(optimizer, patience=1)

    schedulers = {kind: scheduler() for kind in makers}
    writers = {kind: make(f"{logs}/{kind}") for kind, make in makers.items()}
    handles = [plateau_watch.watch(schedulers[kind], writers[kind]) for kind in makers]

    def step_all(values):
        for value in values:
            for scheduler in schedulers.values():
                scheduler.step(value)

    def lives_on(result):
        # More steps than any writer's queue holds; then the child watches with a log of its own.
        step_all([7.0] * 30)
        told, said[:] = list(said), []
        for handle in handles:
            handle.close()
        plain = all(type(each) is ReduceLROnPlateau for each in schedulers.values())
        with plateau_watch.watch(schedulers["torch"], f"{logs}/child{result}"):
            schedulers["torch"].step(8.0)
        counts = [each.last_epoch for each in schedulers.values()]
        with open(f"{logs}/{result}.json", "w") as file:
            json.dump([told, said, plain, counts], file)

    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return index

    step_all(metric[:3])
    child = os.fork()
    if child == 0:
        lives_on("fork")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    step_all(metric[3:5])
    child = multiprocessing.get_context("fork").Process(target=lives_on, args=("process",))
    child.start()
    child.join(40)
    assert child.exitcode == 0
    loader = torch.utils.data.DataLoader(Numbers(), num_workers=2, multiprocessing_context="fork")
    assert [int(batch) for batch in loader] == list(range(8))
    step_all(metric[5:])
    for handle in handles:
        handle.close()
    writers["torch"].close()
    writers["tensorboardX"].close()
    print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    """Children of a training that go on stepping: where they log, and what the parent warned of."""
    logs = tmp_path_factory.mktemp("forked")
    return logs, in_a_process(FORKED, logs, json.dumps(METRIC), deadline=120)


@pytest.mark.parametrize("kind", WRITERS)
def test_children_write_nothing_into_the_log_of_their_parent_which_goes_on(forked, kind):
    logs, said = forked
    assert said == []
    report = replayed(logs / kind)
    assert report.recording.metric.tolist() == METRIC
    assert (report.parity.exact, report.warnings) == (True, ())
    assert len(event_files(logs / kind)) == 1


@pytest.mark.parametrize(("child", "before"), [("fork", 3), ("process", 5)])
def test_a_child_steps_on_is_told_once_and_can_watch_by_itself(forked, child, before):
    logs, _ = forked
    told, said, plain, counts = json.loads((logs / f"{child}.json").read_text())
    assert len(told) == len(WRITERS), "once for each watch"
    assert all(
        "this process was forked after watch(), and its parent has the log" in each for each in told
    )
    assert (said, plain) == ([], True)
    assert counts == [before + 31, before + 30, before + 30]
    (row,) = trace_in(logs / f"child{child}").rows
    assert (row.metric, row.last_epoch) == (8.0, before + 31)


def steps_in_a_child(scheduler, answers):
    """What a spawned process does with a scheduler that it was given."""
    lrs = []
    for metric in METRIC:
        scheduler.step(metric)
        lrs.append(lrs_of(scheduler)[0])
    answers.put((lrs, type(scheduler).__module__))


def test_a_spawned_child_gets_a_plain_scheduler(tmp_path):
    scheduler = scheduler_with(patience=1)
    spawning = multiprocessing.get_context("spawn")
    answers = spawning.SimpleQueue()
    with watch(scheduler, tmp_path):
        child = spawning.Process(target=steps_in_a_child, args=(scheduler, answers))
        child.start()
        lrs, module = answers.get()
        child.join(60)
        scheduler.step(1.0)
    assert child.exitcode == 0
    assert (lrs, module) == (lrs_after(METRIC, patience=1), "torch.optim.lr_scheduler")
    assert [row.metric for row in trace_in(tmp_path).rows] == [1.0]


# The end.

AT_THE_END = """
    import atexit, builtins, sys
    import plateau_watch, tensorboardX, torch, torch.utils.tensorboard

    class Late:
        # Goes only with the interpreter.
        def __init__(self):
            self.me = self

        def __del__(self):
            for scheduler in schedulers:
                scheduler.step(1.0)
            print([scheduler.last_epoch for scheduler in schedulers], flush=True)

    def step_all():
        for scheduler in schedulers:
            scheduler.step(1.0)

    atexit.register(step_all)
    writers = [
        torch.utils.tensorboard.SummaryWriter(sys.argv[1] + "/torch"),
        tensorboardX.SummaryWriter(sys.argv[1] + "/tensorboardX"),
        sys.argv[1] + "/directory",
    ]
    schedulers = []
    for writer in writers:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        schedulers.append(torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer))
        plateau_watch.watch(schedulers[-1], writer)
    builtins.late = Late()
    step_all()
"""


def test_an_interpreter_that_ends_with_open_watches_ends_quietly(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(AT_THE_END), tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "plateau" in line or "Error" in line]
    assert (done.returncode, done.stdout, ours) == (0, "[3, 3, 3]\n", [])
    assert {run for run, _ in traces_in(tmp_path)} == {"torch", "tensorboardX", "directory/plateau"}
    assert all(trace.rows[0].number == 1 for trace in traces_in(tmp_path).values())


class Interrupting:
    """Raises KeyboardInterrupt at a moment of its choice, as Ctrl-C does."""

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self.interrupt)
        return self

    def interrupt(self, *_):
        raise KeyboardInterrupt

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


def interrupted_often(scheduler, times=150):
    """Step until an interrupt comes, again and again, each time a little later.

    The interpreter drops one that comes while it frees an object; most arrive.
    """
    arrived = 0
    for count in range(times):
        with Interrupting():
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-5 + count * 2e-6)
                for metric in range(200):
                    scheduler.step(metric % 7)
            except KeyboardInterrupt:
                arrived += 1
    assert arrived > times / 2


def test_ctrl_c_at_any_moment_reaches_the_user_and_the_log_stays_whole(tmp_path):
    scheduler = scheduler_with(patience=3)
    with all_warnings() as caught, watch(scheduler, tmp_path):
        scheduler.step(1.0)
        interrupted_often(scheduler)
        for metric in METRIC:
            scheduler.step(metric)
    assert caught == []
    rows = trace_in(tmp_path).rows  # nothing in the file is damaged
    assert [row.metric for row in rows[-len(METRIC) :]] == METRIC
    assert replayed(tmp_path).parity.exact


def test_a_writers_thread_is_never_asked_whether_it_is_alive(tmp_path, monkeypatch):
    """Interrupted in `is_alive`, Python up to 3.12 takes a running thread for dead, for good."""
    scheduler = scheduler_with()
    with SummaryWriter(str(tmp_path)) as writer, watch(scheduler, writer):
        thread = writer.file_writer.event_writer._async_writer._worker
        monkeypatch.setattr(thread, "is_alive", lambda: pytest.fail("asked"))
        scheduler.step(1.0)
        monkeypatch.undo()
    assert len(trace_in(tmp_path).rows) == 1


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_from_within_a_writer_reaches_the_user(tmp_path, interrupt):
    scheduler = scheduler_with()
    with all_warnings() as caught, SummaryWriter(str(tmp_path)) as writer:
        file_writer = Faulty(writer)
        with watch(scheduler, writer):
            file_writer.fault = interrupt("stop")
            with pytest.raises(interrupt, match="stop"):
                scheduler.step(1.0)
            file_writer.fault = None
            scheduler.step(2.0)
    assert caught == []
    assert [(row.metric, row.number) for row in trace_in(tmp_path).rows] == [(2.0, 2)]


# A disk of 64 KiB, and one that is mounted again as read-only.

SMALL_DISK = """
    import json, pathlib, subprocess, sys, warnings
    import plateau_watch, torch

    disk = sys.argv[1]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    lrs, said = [], []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *_: said.append(str(message).partition(" (")[2][:20])

    def train(steps):
        for _ in range(steps):
            scheduler.step(1.0)
            lrs.append(optimizer.param_groups[0]["lr"])

    filler = pathlib.Path(disk, "filler")
    with plateau_watch.watch(scheduler, disk + "/full"):
        train(5)
        try:
            filler.write_bytes(bytes(1 << 20))
        except OSError:
            pass
        train(50)
        filler.unlink()
        train(5)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with plateau_watch.watch(scheduler, disk + "/readonly"):
        train(5)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        train(5)
    subprocess.run(["cp", "-r", disk, sys.argv[2]], check=True)
    print(json.dumps([lrs, said]))
"""


def test_a_disk_without_room_or_read_only_costs_the_rows_of_that_time(tmp_path):
    """Mounts in a namespace of its own, where the system lets users have one."""
    alone = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        [
            *alone,
            sys.executable,
            "-c",
            textwrap.dedent(SMALL_DISK),
            tmp_path / "disk",
            tmp_path / "log",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lrs, said = json.loads(done.stdout)
    assert lrs == lrs_after([1.0] * len(lrs), patience=1)
    assert said == ["OSError: [Errno 28] ", "OSError: [Errno 30] "]
    full, readonly = replayed(tmp_path / "log" / "full"), replayed(tmp_path / "log" / "readonly")
    there = full.recording.steps.tolist()
    assert there[:5] + there[-5:] == [*range(1, 6), *range(56, 61)]
    assert full.warnings == (
        f"{60 - len(there)} scheduler step(s) before step 56 are missing from the trace",
    )
    assert readonly.recording.steps.tolist() == [*range(66, 71)]
    assert readonly.warnings == ("5 scheduler step(s) before step 66 are missing from the trace",)
    assert full.parity.exact
    assert readonly.parity.exact
    assert os.listdir(tmp_path / "disk") == []

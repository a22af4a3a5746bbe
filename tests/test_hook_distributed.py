"""In torch.distributed rank 0 writes, and every rank trains alike."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from tests.hooked_runs import METRIC, event_files, events_in, lrs_after, replayed, traces_in

RANK = """
    import json, sys, warnings
    from datetime import timedelta
    import plateau_watch, torch, torch.distributed as group
    from torch.optim.lr_scheduler import ReduceLROnPlateau
    from torch.utils.tensorboard import SummaryWriter

    rank, logs, metric = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    warnings.simplefilter("error")

    def train(writer, reduce):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = ReduceLROnPlateau(optimizer, patience=1)
        lrs = []
        with plateau_watch.watch(scheduler, writer):
            for value in metric:
                # Each rank has another part of the data; the mean is what the scheduler gets.
                seen = torch.tensor(value + (0.25 if rank else -0.25), dtype=torch.float64)
                if reduce:
                    group.all_reduce(seen)
                    seen = seen / 2
                scheduler.step(seen)
                lrs.append(optimizer.param_groups[0]["lr"])
        return lrs

    with SummaryWriter(f"{logs}/alone/rank{rank}") as writer:
        alone = train(writer, reduce=False)
    group.init_process_group(
        "gloo",
        init_method=f"file://{logs}/../store",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    with SummaryWriter(f"{logs}/writer/rank{rank}") as writer:
        through_a_writer = train(writer, reduce=True)
    into_a_directory = train(f"{logs}/directory", reduce=True)
    group.barrier()
    group.destroy_process_group()
    with SummaryWriter(f"{logs}/afterwards/rank{rank}") as writer:
        train(writer, reduce=False)
    print(json.dumps([through_a_writer, into_a_directory]))
"""


@pytest.fixture(scope="module")
def group_of_two(tmp_path_factory):
    """Two processes that train together; the LRs of each, and where they logged."""
    top = tmp_path_factory.mktemp("group")
    (top / "logs").mkdir()
    loopback = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RANK), rank, top / "logs", json.dumps(METRIC)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **loopback},
        )
        for rank in "01"
    ]
    try:
        said = [process.communicate(timeout=90) for process in ranks]
    finally:
        for process in ranks:
            process.kill()
            process.communicate()
    assert [process.returncode for process in ranks] == [0, 0], said
    return [json.loads(stdout) for stdout, _ in said], top / "logs"


def test_every_rank_has_the_lrs_of_an_unwatched_scheduler(group_of_two):
    lrs, _ = group_of_two
    expected = lrs_after(METRIC, patience=1)
    assert lrs == [[expected, expected]] * 2


def test_rank_0_writes_every_step_through_its_writer(group_of_two):
    _, logs = group_of_two
    report = replayed(logs / "writer" / "rank0")
    assert report.recording.metric.tolist() == METRIC
    assert report.parity.exact


def test_the_other_rank_writes_nothing_through_its_writer(group_of_two):
    _, logs = group_of_two
    (event,) = events_in(logs / "writer" / "rank1")
    assert event.file_version == "brain.Event:2"
    assert traces_in(logs / "writer" / "rank1") == {}


def test_in_a_directory_that_all_ranks_share_there_is_one_event_file(group_of_two):
    _, logs = group_of_two
    assert len(event_files(logs / "directory")) == 1
    report = replayed(logs / "directory")
    assert report.recording.metric.tolist() == METRIC
    assert report.parity.exact


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("when", ["alone", "afterwards"])
def test_without_a_process_group_every_process_writes_its_own_training(group_of_two, when, rank):
    _, logs = group_of_two
    report = replayed(logs / when / f"rank{rank}")
    shift = 0.25 if rank else -0.25
    assert report.recording.metric.tolist() == [value + shift for value in METRIC]
    assert report.parity.exact

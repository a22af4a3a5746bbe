"""With two processes the first one writes, every rank trains as without us, and nobody waits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.framework_runs import METRIC, PATIENCE, lrs_after, trace_in
from tests.hooked_runs import event_files, events_in, values_of

SCRIPTS = Path(__file__).parent / "two_ranks"

DEADLINE = 90
"""Seconds for the trainings of one framework, which take about ten."""

LAUNCHERS = {
    "lightning": [],
    "transformers": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    "ignite": [],
}
"""What starts the ranks, where a script does not do so itself."""


def run_with_all_its_processes(command, deadline=DEADLINE):
    """Run a command; whatever processes it started end with it."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONWARNINGS": "ignore",
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        },
    )
    try:
        said = process.communicate(timeout=deadline)[0]
    except subprocess.TimeoutExpired:
        # torchrun's ranks are not in its group; asked to end, it ends them.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            said = process.communicate(timeout=10)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()[0]
        pytest.fail(f"a rank hangs: {said}")
    assert process.returncode == 0, said


@pytest.fixture(scope="module", params=sorted(LAUNCHERS))
def trained(request, tmp_path_factory):
    """Where two ranks have trained, and what each has seen, by the name of the training."""
    directory = tmp_path_factory.mktemp(request.param)
    script = SCRIPTS / f"train_with_{request.param}.py"
    command = [sys.executable, *LAUNCHERS[request.param], script, directory, json.dumps(METRIC)]
    run_with_all_its_processes(list(map(str, command)))
    return directory, [json.loads((directory / f"rank_{rank}").read_text()) for rank in (0, 1)]


def test_every_rank_has_the_lrs_of_its_unwatched_twin(trained):
    _, ranks = trained
    expected = lrs_after(METRIC, patience=PATIENCE)
    for rank in ranks:
        assert [rank[name]["lrs"] for name in ("plain", "watched", "nowhere")] == [expected] * 3


def test_each_step_is_one_row_in_the_one_event_file(trained):
    directory, _ = trained
    assert len(event_files(directory / "watched")) == 1
    events = [values_of(event) for event in events_in(directory / "watched")]
    assert sum("plateau/trace" in values for values in events) == len(METRIC)
    assert [row.metric for row in trace_in(directory / "watched").rows] == METRIC


def test_nobody_complains(trained):
    _, ranks = trained
    assert [rank["watched"]["said"] for rank in ranks] == [[], []]


def test_where_there_is_nothing_to_watch_the_first_rank_says_so(trained):
    _, (first, second) = trained
    (message,) = first["nowhere"]["said"]
    assert "PlateauWatch has nothing to watch" in message
    assert second["nowhere"]["said"] == []

"""Trainings that are killed while they log: every record that is whole on disk is read.

Few of them leave half a record, since a writer's flush is one write; `test_every_cut_and_flip` has
all of those.
"""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.event_files import points, read
from tests.written_points import end_of_whole_records, last_of_each_step, written_records

KILLS = 200


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> list[Path]:
    """The event files of 200 trainings that were killed at random moments."""
    top, seed = tmp_path_factory.mktemp("killed"), random.randrange(2**32)
    command = [sys.executable, "-m", "tests.killed_writers", str(top), str(KILLS), str(seed)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], timeout=300)
    return [path for number in range(KILLS) for path in (top / str(number)).iterdir()]


def test_nothing_that_is_whole_on_disk_is_lost_and_the_rest_is_one_note(killed):
    assert len(killed) == KILLS
    for path in killed:
        data, log = path.read_bytes(), read(path.parent)
        written = last_of_each_step(written_records(data))
        assert {tag: points(series) for tag, series in log.series.items()} == written
        rest = len(data) - end_of_whole_records(data)
        assert [f"({rest:,} bytes at" in damage for damage in log.damages] == [True] * bool(rest)


def test_the_kills_were_at_all_sorts_of_moments(killed):
    sizes = [path.stat().st_size for path in killed]
    assert len(set(sizes)) > KILLS / 8
    assert sum(size > 1000 for size in sizes) > KILLS / 4

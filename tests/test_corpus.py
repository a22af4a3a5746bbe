"""Inputs that fuzzing found, and the seeds it began with: reading keeps its promises on each."""

import pytest

from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.run_reader import read_run, read_trainings
from tests.event_files import EVENT_FILE
from tests.reading_invariant import check_reading
from tools.corpus_seeds import CORPUS, seeds

INPUTS = sorted(CORPUS.iterdir())


def test_the_corpus_is_small():
    assert 30 <= len(INPUTS) <= 100
    assert max(path.stat().st_size for path in INPUTS) <= 4096


def test_the_seeds_are_those_that_the_script_writes():
    kept = {path.name: path.read_bytes() for path in INPUTS if path.name.startswith("seed_")}
    assert kept == {f"seed_{name}": data for name, data in seeds().items()}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_reading_an_input_keeps_every_promise(path, tmp_path):
    content = check_reading(path.read_bytes())
    copies = tuple(tmp_path / f"{EVENT_FILE}.{number}.0" for number in range(2))
    for copy in copies:
        copy.write_bytes(path.read_bytes())
    whole = read_run(RunFiles(".", copies[:1]))
    assert {tag: len(each) + each.superseded for tag, each in whole.series.items()} == {
        tag: len(each) for tag, each in content.points.items()
    }
    trainings = read_trainings(RunFiles(".", copies))
    assert sorted(file for each in trainings for file in each.files) == sorted(copies)

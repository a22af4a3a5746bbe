"""The progress bar: on a terminal, and only for what takes long."""

import io
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from rich.console import Console

from plateau_watch.commands import main, progress, told
from tests.runs import plain_run


def shown_after(seconds, monkeypatch, bar, *, terminal):
    """What is shown when 30 of 100 are done, the clock saying that it took so long."""
    clock = iter([0.0, seconds, seconds])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock, seconds))
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    with bar(100, console) as advance:
        advance(10)
        advance(20)
    return shown.getvalue()


@pytest.mark.parametrize(
    ("bar", "counted"),
    [(progress.reading, "30/100 bytes"), (progress.fitting, "30/100 trainings")],
)
class TestBar:
    def test_what_takes_long_shows_a_bar_that_counts(self, monkeypatch, bar, counted):
        assert counted in shown_after(1.5, monkeypatch, bar, terminal=True)

    @pytest.mark.parametrize(("seconds", "terminal"), [(0.5, True), (1.5, False), (0.5, False)])
    def test_a_short_time_or_no_terminal_shows_nothing(
        self, monkeypatch, bar, counted, seconds, terminal
    ):
        assert shown_after(seconds, monkeypatch, bar, terminal=terminal) == ""


@pytest.mark.parametrize("command", ["replay", "fit", "explain"])
def test_fitting_is_counted_in_trainings(tmp_path, monkeypatch, command):
    for name in ("one", "two", "three"):
        plain_run(tmp_path / name, patience=2)
    counted = []

    @contextmanager
    def fitting(total, console):
        counted.append(total)
        assert console.stderr
        yield counted.append

    monkeypatch.setattr(told, "fitting", fitting)
    result = CliRunner().invoke(main, [command, str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert counted == [3, 1, 1, 1]

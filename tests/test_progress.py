"""The progress bar: on a terminal, and only for reading that takes long."""

import io

import pytest
from rich.console import Console

from plateau_watch.commands import progress


def read_for(seconds, monkeypatch, *, terminal):
    """What is shown while 30 of 100 bytes are read, the clock saying that it took so long."""
    clock = iter([0.0, seconds, seconds])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock, seconds))
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    with progress.reading(100, console) as advance:
        advance(10)
        advance(20)
    return shown.getvalue()


def test_reading_that_takes_long_shows_a_bar_of_bytes(monkeypatch):
    assert "30/100 bytes" in read_for(1.5, monkeypatch, terminal=True)


@pytest.mark.parametrize(("seconds", "terminal"), [(0.5, True), (1.5, False), (0.5, False)])
def test_short_reading_or_no_terminal_shows_nothing(monkeypatch, seconds, terminal):
    assert read_for(seconds, monkeypatch, terminal=terminal) == ""

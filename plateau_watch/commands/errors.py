"""errors: what plateau-watch refuses becomes one clear line and exit code 2, or 1 for a full disk.

A terminal gets the line wrapped at its width; what reads a pipe gets it as one. Names in it are
data: nothing in them acts on the terminal.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click
from rich.console import Console

from plateau_watch.errors import OutputUnfinishedError, PlateauWatchError
from plateau_watch.render.printable import printable


class Refusal(click.ClickException):
    """One line on standard error, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        line = printable(f"plateau-watch: {self.format_message()}")
        if sys.stderr.isatty():
            line = textwrap.fill(
                line,
                Console(stderr=True).width,
                subsequent_indent="  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
        click.echo(line, err=True, file=file)


class Unfinished(Refusal):
    """The line for a result that could not be written to its end, exit code 1."""

    exit_code = 1


@contextmanager
def one_clear_line() -> Iterator[None]:
    """Turn whatever plateau-watch refuses into a `Refusal`."""
    try:
        yield
    except OutputUnfinishedError as error:
        raise Unfinished(str(error)) from None
    except PlateauWatchError as error:
        raise Refusal(str(error)) from None

"""errors: what plateau-watch refuses becomes one clear line and exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from plateau_watch.errors import PlateauWatchError


class Refusal(click.ClickException):
    """One line on standard error, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(f"plateau-watch: {self.format_message()}", err=True, file=file)


@contextmanager
def one_clear_line() -> Iterator[None]:
    """Turn whatever plateau-watch refuses into a `Refusal`."""
    try:
        yield
    except PlateauWatchError as error:
        raise Refusal(str(error)) from None

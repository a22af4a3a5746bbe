"""ending: how the command ends, whatever happens: an exit code, and one line at most.

130 after Ctrl-C, and 141 where the reader of a pipe has gone (`| head`): what a shell says of other
tools that these two signals end. Not 0, for `--check | head` would hide its finding, and not 1,
which is a finding. A standard output that is full or broken is one line and 1.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from plateau_watch.commands.errors import Refusal, Unfinished
from plateau_watch.interruption import INTERRUPTED
from plateau_watch.render.printable import printable

READER_GONE = 128 + getattr(signal, "SIGPIPE", 13)
"""141."""


class Commands(click.Group):
    """A group of commands that ends as this module says."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run a command and end the process; return its exit code where that is not wanted."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        _open_what_is_closed()
        try:
            sys.exit(self._ended(args, prog_name, complete_var, extra))
        finally:
            _forget_what_cannot_be_written()

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        """Parse the arguments, among them --help."""
        with _whose_reader_may_go():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command that was named."""
        with _whose_reader_may_go():
            code = super().invoke(ctx)
            sys.stdout.flush()
            return code

    def _ended(
        self,
        args: Sequence[str] | None,
        prog_name: str | None,
        complete_var: str | None,
        extra: dict[str, Any],
    ) -> int:
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            return _shown(error)
        except OSError as error:
            return _shown(Unfinished(_cause(error)))
        except click.Abort:
            return INTERRUPTED
        return code or 0


@contextmanager
def _whose_reader_may_go() -> Iterator[None]:
    """End with a code of our own where click would end with 1, which is a finding."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(READER_GONE) from None


def _shown(error: click.ClickException) -> int:
    """Show an error with nothing in it that acts on the terminal; return the exit code."""
    with suppress(OSError):
        if isinstance(error, Refusal):
            error.show()
        else:
            lines = io.StringIO()
            error.show(lines)
            click.echo("\n".join(map(printable, lines.getvalue().splitlines())), err=True)
    return error.exit_code


def _cause(error: OSError) -> str:
    """Say what went wrong; only what is open already, as standard output is, has no name."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"cannot write to standard output: {reason}"
    return f"{os.fsdecode(error.filename)!r}: {reason}"


def _open_what_is_closed() -> None:
    """Give who closed standard output or error (`>&-`) nothing, instead of an exception."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the encoding lacks


def _forget_what_cannot_be_written() -> None:
    """Flush standard output and error; what they refuse goes nowhere, or Python says it again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)

"""output: a rendered report to standard output or a file."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from plateau_watch.commands.output_file import write_file
from plateau_watch.render.as_csv import as_csv
from plateau_watch.render.as_json import as_json
from plateau_watch.render.as_markdown import as_markdown
from plateau_watch.render.terminal import print_report
from plateau_watch.report import Report

FORMATS = ("table", "json", "csv", "markdown")

PIPE_WIDTH = 100
"""Columns where there is no terminal to ask and COLUMNS is not set."""


def put(
    report: Report,
    form: str,
    path: Path | None,
    *,
    full: bool,
    explain: bool,
    ascii_only: bool,
) -> None:
    """Render a report and print it, or write it to a file.

    Raises:
        OutputRefusedError, OutputUnfinishedError: the file cannot be written.
    """
    path = None if path == Path("-") else path
    renderings: dict[str, Callable[[Report], str]] = {
        "json": lambda report: as_json(report, full=full),
        "csv": as_csv,
        "markdown": as_markdown,
    }
    if form in renderings:
        _put(renderings[form](report), path, "utf-8")
        return
    ascii_only = ascii_only or not (path or _speaks_unicode())
    if path is None and sys.stdout.isatty():
        print_report(report, Console(), explain=explain, ascii_only=ascii_only)
        return
    text = _plain(report, explain=explain, ascii_only=ascii_only)
    _put(text, path, "utf-8" if path else sys.stdout.encoding or "ascii")


def _put(text: str, path: Path | None, encoding: str) -> None:
    content = text.encode(encoding, errors="replace")
    if path:
        write_file(path, content)
    else:
        click.echo(content, nl=False)


def _plain(report: Report, *, explain: bool, ascii_only: bool) -> str:
    """Render for a pipe or a file: no colour, no blanks at the ends of lines."""
    stream = io.StringIO()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    page = Console(file=stream, width=width, color_system=None)
    print_report(report, page, explain=explain, ascii_only=ascii_only)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _speaks_unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()

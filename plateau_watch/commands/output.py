"""output: a rendered report to standard output or a file, whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from plateau_watch.errors import OutputRefusedError
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
        OutputRefusedError: the file cannot be written.
    """
    path = None if path == Path("-") else path
    renderings: dict[str, Callable[[Report], str]] = {
        "json": lambda report: as_json(report, full=full),
        "csv": as_csv,
        "markdown": as_markdown,
    }
    if form in renderings:
        text = renderings[form](report)
        _write(path, text) if path else _print(text, "utf-8")
        return
    ascii_only = ascii_only or not (path or _speaks_unicode())
    if path is None and sys.stdout.isatty():
        print_report(report, Console(), explain=explain, ascii_only=ascii_only)
        return
    text = _plain(report, explain=explain, ascii_only=ascii_only)
    _write(path, text) if path else _print(text, sys.stdout.encoding or "ascii")


def _print(text: str, encoding: str) -> None:
    """Print to a pipe; bytes of a file name that are no text go out as they are."""
    click.echo(_escaped(text, encoding), nl=False)


def _escaped(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding, errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(encoding, errors="replace")


def _plain(report: Report, *, explain: bool, ascii_only: bool) -> str:
    """Render for a pipe or a file: no colour, no blanks at the ends of lines."""
    stream = io.StringIO()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    page = Console(file=stream, width=width, color_system=None)
    print_report(report, page, explain=explain, ascii_only=ascii_only)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _speaks_unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all; what is no regular file is written to as it is."""
    target = Path(os.path.realpath(path))
    _refuse(path, target)
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(_escaped(text, "utf-8"))
        else:
            _replace(target, _escaped(text, "utf-8"))
    except OSError as error:
        raise OutputRefusedError(f"cannot write {str(path)!r}: {error.strerror}") from None


def _refuse(path: Path, target: Path) -> None:
    if str(path) in ("", ".") or target.is_dir():
        raise OutputRefusedError(f"cannot write {str(path)!r}: it is a directory")
    if "tfevents" in target.name:
        raise OutputRefusedError(
            f"cannot write {str(path)!r}: TensorBoard would read it as an event file"
        )


def _replace(target: Path, content: bytes) -> None:
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)

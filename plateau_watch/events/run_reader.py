"""run_reader: the event files of one run -> its series and traces.

Reads each file through a `RecordParser`, decodes what may hold scalars, and preempts: order is
(file name, offset), a SessionLog.START at step s voids earlier points at steps >= s, and then the
last write of a (tag, step) wins. A new attachment of the hook does the same for the rows of its
trace; within one attachment all rows count, whatever their steps. What was passed over is
counted, never guessed. Files of different trainings are told apart before (`told_apart`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plateau_watch.events.file_content import FileContent, series_of, traces_of
from plateau_watch.events.hparams import Hparams
from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.records import Gap, Record, RecordParser
from plateau_watch.events.summaries import Event, NotAnEventError, decode_event, may_hold_scalars
from plateau_watch.events.told_apart import names_of, told_apart
from plateau_watch.recording import RecordedTrace
from plateau_watch.series import Series

BLOCK = 1 << 20
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class RunLog:
    """What the event files of one run hold, or of one of several trainings in its directory.

    Attributes:
        run: name of the run; `RUN@TIME` for one of several trainings in one directory.
        directory: name of the directory, as TensorBoard names the run.
        files: the event files, in reading order.
        series: the scalars, by tag.
        traces: the hook's traces, one for each prefix.
        hparams: hyper-parameters that the log states, by name.
        seams: wall times at which a file begins that was written after those before it: from
            there on another process may have gone on with the training.
        texts: texts that the log holds, by tag; of a tag, the last file's first.
        damages: what was passed over, one line each.
    """

    run: str
    directory: str
    files: tuple[Path, ...]
    series: dict[str, Series]
    traces: tuple[RecordedTrace, ...]
    damages: tuple[str, ...]
    hparams: Hparams = field(default_factory=dict)
    seams: tuple[float, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)


def _nothing(_: int) -> None:
    pass


def read_run(run: RunFiles, advance: Callable[[int], object] = _nothing) -> RunLog:
    """Read a run whole, all its files as those of one training.

    Args:
        run: its name and files.
        advance: told the number of bytes passed, for a progress bar.
    """
    return _joined(run.name, run.name, run.files, _read_files(run.files, advance))


def read_trainings(
    run: RunFiles, advance: Callable[[int], object] = _nothing
) -> tuple[RunLog, ...]:
    """Read a run whose directory may hold several trainings: one log for each, in file order.

    Arguments as for `read_run`.
    """
    contents = _read_files(run.files, advance)
    groups = told_apart(run.files, contents)
    if len(groups) <= 1:
        return (_joined(run.name, run.name, run.files, contents),)
    names = names_of(run.name, [run.files[group[0]].name for group in groups])
    return tuple(
        _joined(
            name,
            run.name,
            tuple(run.files[position] for position in group),
            [contents[position] for position in group],
        )
        for name, group in zip(names, groups, strict=True)
    )


def _joined(
    name: str, directory: str, files: tuple[Path, ...], contents: Sequence[FileContent]
) -> RunLog:
    hparams: Hparams = {}
    texts: dict[str, str] = {}
    for content in contents:
        hparams |= content.hparams
        texts |= content.texts
    return RunLog(
        run=name,
        directory=directory,
        files=files,
        series=series_of(contents, name),
        traces=traces_of(contents, name),
        damages=tuple(damage for content in contents for damage in content.damages),
        hparams=hparams,
        seams=tuple(_seams(contents)),
        texts=texts,
    )


def _seams(contents: Sequence[FileContent]) -> Iterator[float]:
    spans = [span for content in contents if (span := content.span())]
    for position in range(1, len(spans)):
        if spans[position][0] >= max(last for _, last in spans[:position]):
            yield spans[position][0]


def _read_files(files: Sequence[Path], advance: Callable[[int], object]) -> list[FileContent]:
    plugins: dict[str, str] = {}
    return [_read_file(path, FileContent(plugins=plugins), advance) for path in files]


def _read_file(path: Path, content: FileContent, advance: Callable[[int], object]) -> FileContent:
    try:
        for event in _events(path, content.damages, advance):
            content.take(event)
    except OSError as error:
        content.damages.append(f"{path}: {error.strerror or error}")
    return content


def _events(path: Path, damages: list[str], advance: Callable[[int], object]) -> Iterator[Event]:
    """Yield the events of a file; what lies between goes to `damages`."""
    undecodable = 0
    parser = RecordParser(may_hold_scalars)
    for found in _found(path, parser, advance):
        if isinstance(found, Gap):
            damages.append(_skipped(path, found))
            continue
        try:
            yield decode_event(found.payload)
        except NotAnEventError:
            undecodable += 1
    if undecodable:
        damages.append(f"{undecodable} record(s) of {path} are no events")
    if (rest := parser.pending) and rest.length:
        damages.append(
            f"{path} ends within a record ({rest.length:,} bytes at offset {rest.offset:,}): "
            "still being written, or cut off"
            if parser.incomplete
            else _skipped(path, rest)
        )


def _found(
    path: Path, parser: RecordParser, advance: Callable[[int], object]
) -> Iterator[Record | Gap]:
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        while block := file.read(BLOCK):
            yield from parser.feed(block)
            advance(len(block))
            past = min(parser.declined, size - file.tell())
            if past > 0:
                file.seek(past, 1)
                parser.sought(past)
                advance(past)
        yield from parser.finish()


def _skipped(path: Path, gap: Gap) -> str:
    return f"skipped {gap.length:,} bytes at offset {gap.offset:,} of {path} ({gap.reason})"

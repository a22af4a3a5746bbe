"""run_reader: the event files of one run -> its series and traces.

Reads each file as it is now (`tailed_file`), tells files of different
trainings apart (`told_apart`), and joins those of one (`joined`), in the order of (file name,
offset). What was passed over is counted, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plateau_watch.errors import NotEnoughToldError
from plateau_watch.events.axes import Axes, axes_of
from plateau_watch.events.file_content import FileContent
from plateau_watch.events.hparams import Hparams
from plateau_watch.events.joined import Contradiction, Write, contradictions, series_of, traces_of
from plateau_watch.events.logdir import RunFiles
from plateau_watch.events.tailed_file import TailedFile, Taken
from plateau_watch.events.told_apart import names_of, told_apart
from plateau_watch.recording import RecordedTrace
from plateau_watch.series import Duplicates, Series


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


def _last(*_: str) -> Duplicates:
    return "last"


def read_run(run: RunFiles, advance: Callable[[int], object] = _nothing) -> RunLog:
    """Read a run whole, all its files as those of one training; the last write of a step counts.

    Args:
        run: its name and files.
        advance: told the number of bytes passed, for a progress bar.
    """
    return _joined(run.name, run.name, run.files, _read_files(run.files, advance), "last")


def read_trainings(
    run: RunFiles,
    advance: Callable[[int], object] = _nothing,
    duplicates: Callable[[str, str], Duplicates] = _last,
) -> tuple[RunLog, ...]:
    """Read a run whose directory may hold several trainings: one log for each, in file order.

    Args:
        run: its name and files.
        advance: told the number of bytes passed, for a progress bar.
        duplicates: which write of a step counts, asked with a training's name and directory.

    Raises:
        NotEnoughToldError: a step was written with two values, and duplicates may not differ.
    """
    contents = _read_files(run.files, advance)
    apart = told_apart(run.files, contents)
    for position, note in apart.notes:
        contents[position].damages.append(note)
    groups = apart.groups
    if len(groups) <= 1:
        chosen = duplicates(run.name, run.name)
        return (_joined(run.name, run.name, run.files, contents, chosen),)
    names = names_of(run.name, [run.files[group[0]].name for group in groups])
    return tuple(
        _joined(
            name,
            run.name,
            tuple(run.files[position] for position in group),
            [contents[position] for position in group],
            duplicates(name, run.name),
        )
        for name, group in zip(names, groups, strict=True)
    )


def _joined(
    name: str,
    directory: str,
    files: tuple[Path, ...],
    contents: Sequence[FileContent],
    duplicates: Duplicates,
) -> RunLog:
    if duplicates == "error":
        for found in contradictions(contents):
            raise NotEnoughToldError(_refused(name, files, found))
    hparams: Hparams = {}
    texts: dict[str, str] = {}
    for content in contents:
        hparams |= content.hparams
        texts |= content.texts
    return RunLog(
        run=name,
        directory=directory,
        files=files,
        series=series_of(contents, name, "first" if duplicates == "first" else "last"),
        traces=traces_of(contents, name),
        damages=(
            *(damage for content in contents for damage in content.damages),
            *_written_to_later(files, [axes_of(content) for content in contents]),
        ),
        hparams=hparams,
        seams=tuple(_seams(contents)),
        texts=texts,
    )


def _seams(contents: Sequence[FileContent]) -> Iterator[float]:
    spans = [span for content in contents if (span := content.span())]
    for position in range(1, len(spans)):
        if spans[position][0] >= max(last for _, last in spans[:position]):
            yield spans[position][0]


def _written_to_later(files: Sequence[Path], axes: Sequence[Axes]) -> Iterator[str]:
    """Say of each file that was still written to after one behind it in reading order was begun."""
    for position, (path, mine) in enumerate(zip(files, axes, strict=True)):
        for other, its in zip(files[position + 1 :], axes[position + 1 :], strict=True):
            shared = [tag for tag in mine.keys() & its.keys() if its[tag].count > 1]
            if any(mine[tag].last > its[tag].first for tag in shared):
                yield (
                    f"{path} was still written to after {other.name} was begun: points are taken "
                    "in the order of the files' names"
                )
                break


def _refused(run: str, files: Sequence[Path], found: Contradiction) -> str:
    first, second = (_said(files, found.tag, write) for write in (found.first, found.second))
    return (
        f"run {run!r} has two values of {found.tag!r} at step {found.step}: {first}, and {second}; "
        "--duplicates last or --duplicates first decides"
    )


def _said(files: Sequence[Path], tag: str, write: Write) -> str:
    """Say where a point was written: its file, and its record's offset if that is still there."""
    path = files[write.file]
    content = FileContent()
    for offset, event in _events(TailedFile(path, patience=0)):
        content.take(event)
        if tag in content.points and len(content.points[tag]) > write.number:
            return f"{write.value:g} at offset {offset:,} of {path}"
    return f"{write.value:g} in {path}"


def _read_files(files: Sequence[Path], advance: Callable[[int], object]) -> list[FileContent]:
    plugins: dict[str, str] = {}
    return [_read_file(path, FileContent(plugins=plugins), advance) for path in files]


def _read_file(path: Path, content: FileContent, advance: Callable[[int], object]) -> FileContent:
    file = TailedFile(path, patience=0)
    try:
        for _, event in _events(file, advance):
            content.take(event)
    except OSError as error:
        content.damages.append(f"{path}: {error.strerror or error}")
    content.damages += file.damages()
    content.damages += (f"{path}: {said} left out" for said in content.said_left_out())
    return content


def _events(file: TailedFile, advance: Callable[[int], object] = _nothing) -> Iterator[Taken]:
    """Yield the events of a file as it is now, with their offsets."""
    yield from file.look(advance)
    yield from file.end()

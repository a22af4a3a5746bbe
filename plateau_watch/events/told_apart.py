"""told_apart: which event files of one directory belong to one training.

Writers leave one file each time they are opened, so a directory may hold one training in several
files (resumed, or two writers), or several trainings that would make no sense in one series. A
file goes on with an earlier training where it says so (SessionLog.START), where its steps begin
behind that training's first ones and not with a first stride of another length, or where it shares
no tag with it and was written by the same process or at the same time. A file that starts over is
a training of its own. So is one that another process wrote at the same time with other values.

Knows the files' names, as TensorBoard's writers make them: events.out.tfevents.TIME.HOST, since
TF 2 and in torch followed by .PID.NUMBER. Invariant: every file is in exactly one group.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plateau_watch.events.at_once import compared, written_at_once
from plateau_watch.events.axes import Axes, Axis, axes_of, joined, of_several_points
from plateau_watch.events.file_content import FileContent

_NAME = re.compile(r"tfevents\.(?P<time>\d+)\.(?P<host>.+?)(\.(?P<pid>\d+)\.\d+)?(\.v2)?$")

LOOKED_BACK = 100
"""Trainings before a file that it may go on with. Directories of thousands of files are those of
searches, each file a training, and looking at all before each would take minutes."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What an event file's name tells of who wrote it.

    Attributes:
        time: when the file was opened, in seconds since the epoch, as text.
        host: name of the machine.
        pid: the process, as text; None where the name does not say.
    """

    time: str
    host: str
    pid: str | None


def writer_of(name: str) -> Writer | None:
    """Read an event file's name; None where no writer known here made it."""
    match = _NAME.search(name)
    return Writer(match["time"], match["host"], match["pid"]) if match else None


@dataclass(slots=True)
class Apart:
    """The trainings of one directory.

    Attributes:
        groups: positions of the files of each training, in reading order.
        notes: what a reader has to know, with the position of the file that it is about.
    """

    groups: list[list[int]]
    notes: list[tuple[int, str]] = field(default_factory=list)


def told_apart(files: Sequence[Path], contents: Sequence[FileContent]) -> Apart:
    """Group files by training.

    Files without a scalar go with the training before them, or the first one.

    Args:
        files: the event files of one directory, in reading order.
        contents: what each holds.
    """
    trainings: list[_Training] = []
    notes: list[tuple[int, str]] = []
    empty: list[int] = []
    for position, content in enumerate(contents):
        if not content.points and not content.entries:
            (trainings[-1].members if trainings else empty).append(position)
            continue
        file = _File.of(files[position].name, content)
        said: list[str] = []
        recent = reversed(trainings[-LOOKED_BACK:])
        before = next((each for each in recent if _goes_on(each, file, said)), None)
        if before is None:
            trainings.append(_Training([*empty, position]))
            empty = []
        else:
            before.members.append(position)
        (before or trainings[-1]).add(file)
        notes += ((position, note) for note in said[:1])
    return Apart([training.members for training in trainings] or [empty], notes)


def names_of(run: str, files: Sequence[str]) -> list[str]:
    """Name the trainings of one directory by when their first files were opened.

    Those that were opened in the same second are named by their processes too, and where that does
    not tell either, by whole file names.
    """
    writers = [writer_of(name) for name in files]
    if all(writers):
        told = [writer for writer in writers if writer]
        times = Counter(writer.time for writer in told)
        marks = [
            writer.time if times[writer.time] == 1 else f"{writer.time}.{writer.pid}"
            for writer in told
        ]
        if len(set(marks)) == len(marks):
            return [f"{run}@{mark}" for mark in marks]
    marks = [writer.time if writer else name for writer, name in zip(writers, files, strict=True)]
    if len(set(marks)) < len(marks):
        marks = list(files)
    return [f"{run}@{mark}" for mark in marks]


@dataclass(frozen=True, slots=True)
class _File:
    """A file's name and content, and the lowest and highest wall time in it."""

    name: str
    content: FileContent
    axes: Axes
    first: float
    last: float

    @classmethod
    def of(cls, name: str, content: FileContent) -> _File:
        axes = axes_of(content)
        first = min(axis.first for axis in axes.values())
        return cls(name, content, axes, first, max(axis.last for axis in axes.values()))


@dataclass(slots=True)
class _Training:
    """The files of a training so far, those without a scalar only among its members."""

    members: list[int]
    files: list[_File] = field(default_factory=list)
    axes: Axes = field(default_factory=dict)
    first: float = math.inf
    last: float = -math.inf

    def add(self, file: _File) -> None:
        """Take a file that belongs to it."""
        self.files.append(file)
        self.axes = joined(self.axes, file.axes)
        self.first, self.last = min(self.first, file.first), max(self.last, file.last)


def _goes_on(training: _Training, file: _File, said: list[str]) -> bool:
    """Whether a file continues, or stands beside, the files of a training; what is to be said."""
    shared = training.axes.keys() & file.axes.keys()
    if not shared:
        return _meet(training, file) or any(_same_process(each, file) for each in training.files)
    for other in training.files if _meet(training, file) else ():
        at_once = _at_once(other, file, said)
        if at_once is not None:
            return at_once
    several = of_several_points(training.axes, file.axes, shared)
    lowest = min(training.axes[tag].lowest for tag in several)
    highest = file.content.restarts.highest
    if highest is not None and highest > lowest:
        return True
    return not any(_starts_over(training.axes[tag], file.axes[tag]) for tag in several)


def _at_once(other: _File, file: _File, said: list[str]) -> bool | None:
    """Whether two writers at once are one training; None where steps are to decide it."""
    if not _meet(other, file) or _same_process(other, file):
        return None
    if not written_at_once(other.axes, file.axes):
        return None
    found = compared(other.content, file.content)
    if found.values == "same":
        said.append(f"{file.name} was written at the same time as {other.name}, the same values")
        return True
    if found.where is None:
        return False if _known_to_differ(other, file) else None
    tag, step, mine, its = found.where
    said.append(
        f"{file.name} was written at the same time as {other.name}, with other values "
        f"({tag!r} at step {step} is {mine:g} there and {its:g} here): they are trainings of their "
        "own, not one; --run chooses"
    )
    return False


def _starts_over(earlier: Axis, later: Axis) -> bool:
    """Whether steps begin anew: no later than before, or after one stride of another length."""
    if later.lowest <= earlier.lowest:
        return True
    return later.stride != earlier.stride and later.lowest <= later.stride


def _process(file: _File) -> tuple[str, str] | None:
    writer = writer_of(file.name)
    return (writer.host, writer.pid) if writer and writer.pid else None


def _same_process(other: _File, file: _File) -> bool:
    process = _process(file)
    return process is not None and process == _process(other)


def _known_to_differ(other: _File, file: _File) -> bool:
    processes = _process(other), _process(file)
    return None not in processes and processes[0] != processes[1]


def _meet(earlier: _Training | _File, file: _File) -> bool:
    """Whether a file was written while another, or a training, was."""
    return earlier.first <= file.last and file.first <= earlier.last

"""told_apart: which event files of one directory belong to one training.

Writers leave one file each time they are opened, so a directory may hold one training in several
files (resumed, or two writers), or several trainings that would make no sense in one series. A
file goes on with an earlier training where it says so (SessionLog.START), where its steps begin
behind that training's first ones and not with a first stride of another length, or where it shares
no tag with it and was written by the same process or at the same time. A file that starts over is
a training of its own.

Knows the files' names, as TensorBoard's writers make them: events.out.tfevents.TIME.HOST, since
TF 2 and in torch followed by .PID.NUMBER. Invariant: every file is in exactly one group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plateau_watch.events.file_content import FileContent, StepAxis, step_axes

_NAME = re.compile(r"tfevents\.(?P<time>\d+)\.(?P<host>.+?)(\.(?P<pid>\d+)\.\d+)?(\.v2)?$")


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


def told_apart(files: Sequence[Path], contents: Sequence[FileContent]) -> list[list[int]]:
    """Group files by training: positions of the files, each group in reading order.

    Files without a scalar go with the training before them, or the first one.

    Args:
        files: the event files of one directory, in reading order.
        contents: what each holds.
    """
    groups: list[list[int]] = []
    empty: list[int] = []
    for position, content in enumerate(contents):
        if not content.points and not content.entries:
            (groups[-1] if groups else empty).append(position)
            continue
        before = next((g for g in reversed(groups) if _goes_on(g, position, files, contents)), None)
        if before is None:
            groups.append([*empty, position])
            empty = []
        else:
            before.append(position)
    return groups or [empty]


def names_of(run: str, files: Sequence[str]) -> list[str]:
    """Name the trainings of one directory by when their first files were opened.

    Two that were opened in the same second are named by whole file names.
    """
    writers = [writer_of(name) for name in files]
    marks = [writer.time if writer else name for writer, name in zip(writers, files, strict=True)]
    if len(set(marks)) < len(marks):
        marks = list(files)
    return [f"{run}@{mark}" for mark in marks]


def _goes_on(
    group: Sequence[int], position: int, files: Sequence[Path], contents: Sequence[FileContent]
) -> bool:
    """Whether a file continues, or stands beside, the files of a group."""
    earlier = step_axes(contents[member] for member in group)
    later = step_axes([contents[position]])
    shared = earlier.keys() & later.keys()
    if not shared:
        return _same_writer([files[member].name for member in group], files[position].name) or (
            _overlap([contents[member] for member in group], contents[position])
        )
    several = {tag for tag in shared if earlier[tag].count > 1 or later[tag].count > 1} or shared
    lowest = min(earlier[tag].lowest for tag in several)
    says_so = any(step > lowest for step, *_ in contents[position].restarts)
    return says_so or not any(_starts_over(earlier[tag], later[tag]) for tag in several)


def _starts_over(earlier: StepAxis, later: StepAxis) -> bool:
    """Whether steps begin anew: no later than before, or after one stride of another length."""
    if later.lowest <= earlier.lowest:
        return True
    return later.stride != earlier.stride and later.lowest <= later.stride


def _same_writer(group: Sequence[str], name: str) -> bool:
    writer = writer_of(name)
    if writer is None or writer.pid is None:
        return False
    others = (writer_of(other) for other in group)
    return any(
        other is not None and (other.host, other.pid) == (writer.host, writer.pid)
        for other in others
    )


def _overlap(group: Sequence[FileContent], content: FileContent) -> bool:
    """Whether a file was written while a group was."""
    spans = [span for member in group if (span := member.span())]
    own = content.span()
    if own is None or not spans:
        return False
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    return first <= own[1] and own[0] <= last

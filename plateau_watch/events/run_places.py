"""run_places: names of runs -> directories below one of ours, no two of them the same.

Names are data: any text, any length, and whatever bytes a file name can hold. A name that every
file system takes as it is stays readable as it is; what one of them would refuse, cut or read in
another way is replaced, and the name ends in a hash of the whole. Names that a file system may take
for one (`A` and `a`, two spellings of an accent) are one here, so all but the first get a hash too.

Sources: Windows' reserved names and characters (learn.microsoft.com, "Naming Files, Paths, and
Namespaces"); caseless matching, Unicode Standard 3.13, D146; names of 255 bytes or units at most on
ext4, NTFS, APFS, and 143 bytes on eCryptfs. Pure: knows no disk.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence

LONGEST_NAME = 120
"""Bytes of a name before its hash: with it well below the shortest limit, and still readable."""

_DIGITS = 8
"""Of a hash, in hexadecimal: more come where another run's name has these."""

_REFUSED = frozenset('<>:"/\\|?*~')
"""By Windows; "~" is in the short names by which it finds other files."""

_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""What Unicode lets a file system pass over in a name, apart from what is not printable."""

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9])\s*(\..*)?")


def places(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Choose a relative directory for each run, as its parts; none for a first run ".".

    Args:
        names: of runs, with "/" between their parts; the same name twice is two runs.

    Returns:
        One place for each, in the same order: distinct on every file system. It depends on which
        names there are, not on their order, but for equal ones.
    """
    plain = [_parts(name) for name in names]
    kept = [parts == _named(name) for parts, name in zip(plain, names, strict=True)]
    taken: set[tuple[str, ...]] = set()
    chosen: dict[int, tuple[str, ...]] = {}
    for index in sorted(range(len(names)), key=lambda index: (not kept[index], names[index])):
        for parts in _candidates(plain[index], names[index], keep=kept[index]):
            if (key := tuple(map(seen_as, parts))) not in taken:
                taken.add(key)
                chosen[index] = parts
                break
    return tuple(chosen[index] for index in range(len(names)))


def seen_as(part: str) -> str:
    """Fold a part of a path so far that names equal on any file system are equal."""
    folded = _caseless(_caseless(part).upper())
    return _IGNORED.sub("", folded)


def _caseless(text: str) -> str:
    text = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


def _named(name: str) -> tuple[str, ...]:
    return () if name == "." else tuple(name.split("/"))


def _parts(name: str) -> tuple[str, ...]:
    return tuple(map(_safe, _named(name)))


def _candidates(parts: tuple[str, ...], name: str, *, keep: bool) -> Iterator[tuple[str, ...]]:
    """Yield what a run may be called, best first, without end."""
    if keep:
        yield parts
    *above, last = parts or ("run",)
    digest = hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).hexdigest()
    yield (*above, f"{last}-{digest[:_DIGITS]}")
    number = 1
    while True:
        yield (*above, f"{last}-{digest[: 2 * _DIGITS]}-{number}")
        number += 1


def _safe(part: str) -> str:
    """Replace what some file system would refuse, cut, or read in another way."""
    text = "".join("_" if _is_unsafe(character) else character for character in part)
    text = text.strip(". ")
    text = text.encode()[:LONGEST_NAME].decode(errors="ignore").rstrip(". ") or "_"
    return f"_{text}" if _RESERVED.fullmatch(seen_as(text)) else text


def _is_unsafe(character: str) -> bool:
    return (
        character in _REFUSED
        or not character.isprintable()
        or _IGNORED.fullmatch(character) is not None
    )

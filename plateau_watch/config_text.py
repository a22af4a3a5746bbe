"""config_text: the names and values in a text that holds a configuration.

Frameworks and people write what a training was started with as text for TensorBoard: JSON (as
Trainer's `args`), Python (mmengine's config, a Namespace), Markdown tables, YAML, lines of
`name: value`. What they mean is for others to say; a text that is prose has none. Nothing is
evaluated, and no YAML library is needed: of YAML only what indentation tells is read, mappings and
lists.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

Value = float | str | bool

MOST_NAMES = 4096
"""Names that are taken from a text: the largest configurations have some hundreds."""

DEEPEST = 12
"""Levels of nesting that are followed."""

_MARKUP = re.compile(r"^[ \t]*```.*$|</?(pre|code|br)\s*/?>", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(
    r"(?P<indent>\s*)(?P<item>[-*+]\s+)?[-*`\"']*(?P<name>\w[\w./-]*( \w+)?)[*`\"']*\s*"
)

_COMMENT = re.compile(r"(?<=\s)#.*$")
_QUOTES = " \t,*`\"'"
_PLAIN_CALLS = frozenset(
    {"dict", "Namespace", "OrderedDict", "SimpleNamespace", "Config", "ConfigDict"}
)
"""Calls whose name says nothing of what their arguments are for."""


def pairs_in(text: str) -> dict[str, Value]:
    """Return the values in a text by name; those of nested names are joined by dots.

    Args:
        text: any; where no configuration is in it, nothing is returned.
    """
    bare = _MARKUP.sub("", text).strip("\n")
    found = _json(bare)
    if found is None:
        found = _python(bare)
    if found is None:
        return dict(islice(_lines(bare), MOST_NAMES))
    return dict(islice(_flat(found, ()), MOST_NAMES))


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _python(text: str) -> Mapping[str, Any] | None:
    """Read assignments, a dict, or a call with keywords; None where the text is anything else."""
    try:
        with warnings.catch_warnings(action="ignore"):
            body = ast.parse(text.strip()).body
        found: dict[str, Any] = {}
        for statement in body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                found[statement.targets[0].id] = _plain(statement.value)
            elif isinstance(statement, ast.Expr) and isinstance(
                statement.value, ast.Dict | ast.Call
            ):
                found |= _plain(statement.value)
            else:
                return None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return found or None


def _plain(node: ast.expr) -> Any:  # noqa: ANN401  whatever a configuration holds
    """Return what an expression says, without evaluating it; None where it says nothing plain."""
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        return {str(key): _plain(value) for key, value in zip(keys, node.values, strict=True)}
    if isinstance(node, ast.List | ast.Tuple):
        return [_plain(item) for item in node.elts]
    if isinstance(node, ast.Call):
        said = {word.arg: _plain(word.value) for word in node.keywords if word.arg}
        name = ast.unparse(node.func).rpartition(".")[2]
        return said if name in _PLAIN_CALLS else {name: said}
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _flat(content: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Value]]:  # noqa: ANN401
    """Yield what a mapping or list holds, by the names that lead there."""
    if len(path) > DEEPEST:
        return
    if isinstance(content, str):
        nested = _nested(content)
        content = content if nested is None else nested
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _flat(value, (*path, str(name)))
    elif isinstance(content, list | tuple):
        for position, value in enumerate(content):
            yield from _flat(value, (*path, str(position)))
    elif isinstance(content, bool | str):
        yield ".".join(path), content
    elif isinstance(content, int | float):
        yield ".".join(path), float(content)


def _nested(value: str) -> Mapping[str, Any] | None:
    """Read a value that is a mapping or a call, written in a line."""
    if not re.match(r"\s*({|[\w.]+\()", value):
        return None
    found = _json(value)
    return _python(value) if found is None else found


def _lines(text: str) -> Iterator[tuple[str, Value]]:
    """Yield what lines and Markdown tables say; indentation says what belongs to what."""
    above = _Above()
    for line in text.splitlines():
        if line.lstrip().startswith("|"):
            cells = [cell.strip(_QUOTES) for cell in line.strip().strip("|").split("|")]
            if len(cells) > 1 and cells[0].strip("-: "):
                yield from _flat(cells[1], (cells[0],))
            continue
        before, *rest = re.split("[:=]", line, maxsplit=1)
        match = _NAME.fullmatch(before)
        if not rest or not match:
            continue
        path = above.path_of(len(match["indent"]), match["item"] or "")
        value = _COMMENT.sub("", rest[0]).strip(_QUOTES)
        if value:
            yield from _flat(value, (*path, match["name"]))
        else:
            above.open(len(match["indent"]) + len(match["item"] or ""), match["name"])


class _Above:
    """The names that the lines until now are indented below."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str, bool]] = []
        self._items: dict[tuple[str, ...], int] = {}

    def path_of(self, indent: int, item: str) -> tuple[str, ...]:
        """Return the names above a line; an item of a list is a name of its own, its position.

        A list below nothing is a list of pairs, as people write them in Markdown.
        """
        while self._open and self._is_left(indent, item):
            self._open.pop()
        path = tuple(name for _, name, _ in self._open)
        if not item or not path:
            return path
        position = self._items[path] = self._items.get(path, -1) + 1
        self._open.append((indent, str(position), True))
        return (*path, str(position))

    def open(self, indent: int, name: str) -> None:
        """Note a name without a value: what is indented below it belongs to it."""
        self._open.append((indent, name, False))

    def _is_left(self, indent: int, item: str) -> bool:
        its_indent, _, is_item = self._open[-1]
        return its_indent > indent or (its_indent == indent and (is_item or not item))

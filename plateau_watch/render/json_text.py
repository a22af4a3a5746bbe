r"""json_text: a document as JSON that every parser takes.

Non-finite numbers are the strings "nan", "inf", "-inf"; finite ones have as many digits as it takes
to read back the same. Bytes of a file name that are no text, and halves of characters, are written
out as `\xe9` and `\ud83d`: JSON has a spelling for lone surrogates, but strict parsers refuse it.
The text is ASCII, so nothing in it acts on a terminal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

Json = Any

_NO_CHARACTER = re.compile("[\ud800-\udfff]")


def json_text(document: Json) -> str:
    """Write a document: dicts, iterables, strings, numbers, None."""
    return json.dumps(_valid(document), indent=2, allow_nan=False) + "\n"


def _valid(value: Json) -> Json:
    if isinstance(value, str):
        return _NO_CHARACTER.sub(_spelled, value)
    if isinstance(value, dict):
        return {_valid(key): _valid(content) for key, content in value.items()}
    if isinstance(value, Iterable):
        return [_valid(content) for content in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    byte = code - 0xDC00  # as os.fsdecode has it
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\u{code:04x}"

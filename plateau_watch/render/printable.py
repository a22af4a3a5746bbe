"""printable: names from a log are data, and nothing that a terminal would act on is sent on."""

from __future__ import annotations

import re

_ACTED_ON = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace control characters, changes of direction, and bytes that are no text, by "?"."""
    return _ACTED_ON.sub("?", text)

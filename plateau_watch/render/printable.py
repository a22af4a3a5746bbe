"""printable: names from a log are data, and nothing that a terminal would act on is sent on."""

from __future__ import annotations

import unicodedata

_ACTED_ON = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories: controls, what steers layout and direction, halves of characters and bytes
that are no text, ends of lines and paragraphs."""

_JOINERS = "\u200c\u200d"
"""Of these categories, but letters of many scripts (and pictures of several) are joined by them."""


def printable(text: str) -> str:
    """Replace what a terminal would act on, or could not show, by "?"."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("?" if _is_acted_on(character) else character for character in text)


def _is_acted_on(character: str) -> bool:
    return unicodedata.category(character) in _ACTED_ON and character not in _JOINERS

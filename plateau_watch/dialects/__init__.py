"""What other frameworks' plateau schedulers do, each by its own rules and in its own words.

    from plateau_watch.dialects import follow, translate
    translate(PlateauConfig(patience=3), "keras").config

Imports no framework: the rules are small pure functions, compared with the real libraries.
"""

from plateau_watch.dialects.dialect import (
    DIALECTS,
    Config,
    Dialect,
    dialect,
    dialect_of,
    stated,
    terms_of,
)
from plateau_watch.dialects.sentence import in_words
from plateau_watch.dialects.trace import DialectTrace, could_flip, follow
from plateau_watch.dialects.translation import Translation, carry_over, nearest_of_torch, translate

__all__ = [
    "DIALECTS",
    "Config",
    "Dialect",
    "DialectTrace",
    "Translation",
    "carry_over",
    "could_flip",
    "dialect",
    "dialect_of",
    "follow",
    "in_words",
    "nearest_of_torch",
    "stated",
    "terms_of",
    "translate",
]

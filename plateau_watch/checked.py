"""checked: a parameter's value, taken as the number or word it has to be.

Knows no scheduler: who asks says the parameter's name and what it may be. Invariant: what comes
back is never NaN, and an integer stays an integer, so that it compares exactly however large.
"""

from __future__ import annotations

import math
from typing import Any, cast

from plateau_watch.errors import ConfigError


def one_of(name: str, value: object, words: tuple[str, ...]) -> None:
    """Refuse a word that is not among those a parameter takes.

    Raises:
        ConfigError: naming the parameter, what it takes and what it got.
    """
    if value not in words:
        raise ConfigError(f"{name} must be {' or '.join(map(repr, words))}, got {value!r}")


def number(name: str, value: object) -> float:
    """Return a parameter as a number; infinities are numbers, text and NaN are not.

    Raises:
        ConfigError: naming the parameter and what it got.
    """
    if isinstance(value, str):
        raise ConfigError(f"{name} must be a number, got {value!r}")
    try:
        taken = float(cast(Any, value))
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name} must be a number, got {value!r}") from None
    if math.isnan(taken):
        raise ConfigError(f"{name} must be a number, got nan")
    return taken


def count(name: str, value: object) -> float:
    """Return a parameter that is compared with a count; torch lets it be any number.

    Raises:
        ConfigError: it is no number.
    """
    taken = number(name, value)
    if isinstance(value, int):
        return int(value)
    return int(taken) if taken.is_integer() else taken


def whole(name: str, value: object, least: int = 0) -> float:
    """Return a parameter that counts something: a whole number, or infinity.

    Raises:
        ConfigError: it is no number, a fraction, or below the least it may be.
    """
    taken = count(name, value)
    if taken < least or not (isinstance(taken, int) or math.isinf(taken)):
        raise ConfigError(f"{name} must be a whole number from {least} on, got {value!r}")
    return taken

"""intervals: sets of doubles as intervals, exact to the last one.

Where a condition holds on one side of some double and not on the other, that double is found
itself, not a value near it. Knows nothing of what the numbers mean. Doubles here are not negative.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Iterable

_NEIGHBOURS = 2
"""Doubles next to a guess that are looked at one by one."""

Interval = tuple[float, float]
"""Lowest and highest value, both included."""


def last_where(
    holds: Callable[[float], bool], inside: float, outside: float, guess: float
) -> float:
    """Return the last value from `inside` towards `outside` for which something still holds.

    The search starts around the guess, and is as sure without a good one.
    """
    if min(inside, outside) < guess < max(inside, outside):
        found = _beside(holds, inside, outside, guess)
        if found is not None:
            return found
    near, far = _ordinal(inside), _ordinal(outside)

    def narrow(probe: int) -> None:
        nonlocal near, far
        if holds(_from_ordinal(probe)):
            near = probe
        else:
            far = probe

    if guess > 0 and math.isfinite(guess):
        around = _ordinal(guess)
        stride = max(1, int(sys.float_info.epsilon / math.ulp(guess)))
        while stride < abs(far - near):
            for probe in (around - stride, around + stride):
                if min(near, far) < probe < max(near, far):
                    narrow(probe)
            stride *= 16
    while abs(far - near) > 1:
        narrow((near + far) // 2)
    return _from_ordinal(near)


def _beside(
    holds: Callable[[float], bool], inside: float, outside: float, guess: float
) -> float | None:
    """Look at the neighbours of a guess first; None where it is further off."""
    held = holds(guess)
    towards = outside if held else inside
    for _ in range(_NEIGHBOURS):
        following = math.nextafter(guess, towards)
        if holds(following) != held:
            return guess if held else following
        guess = following
    return None


def _ordinal(value: float) -> int:
    """Position of a non-negative double among all of them."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


def _from_ordinal(position: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", position))[0])


def joined(intervals: Iterable[Interval]) -> list[Interval]:
    """Join intervals that overlap or follow each other without a double between them."""
    merged: list[Interval] = []
    for low, high in sorted(intervals):
        if merged and low <= math.nextafter(merged[-1][1], math.inf):
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged

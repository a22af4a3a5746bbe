"""Precision: what storing a number in an encoding does to it, and what can be said afterwards.

Pure arithmetic on single numbers; knows neither files nor schedulers. Invariant: for every value
an encoding can hold, `stored(value)` is the value, and `preimage(value)` holds every float64 that
is stored as it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

Precision = Literal["bfloat16", "float16", "float32", "float64", "int"]
"""The encoding in which a value was stored; from the coarsest to the finest."""

COARSE_TO_FINE: tuple[Precision, ...] = ("bfloat16", "float16", "float32", "float64", "int")


def coarsest(precisions: Iterable[Precision]) -> Precision:
    """Return the coarsest of several encodings: what may be said of all their values.

    An integer is exact, so it never makes others coarser. Without any: float64.
    """
    return min(precisions, key=COARSE_TO_FINE.index, default="float64")


def stored(value: float, precision: Precision) -> float:
    """Return what reading gives back after storing a float64 in an encoding.

    Half precisions are rounded by way of float32, as torch 2.13 does (`Tensor.fill_`). An "int"
    holds what it is given.
    """
    if precision in ("float64", "int"):
        return value
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = np.float32(value)
        if precision == "float16":
            return float(np.float16(single))
        return float(_bfloat16(single) if precision == "bfloat16" else single)


def shortest_decimal(value: float, precision: Precision) -> float:
    """Return the float64 with the fewest decimal digits that is stored as this value.

    It is what somebody wrote in a program: 0.0010000000474974513 in float32 was 0.001.
    """
    if not math.isfinite(value) or precision in ("float64", "int"):
        return value
    for digits in range(1, 17):
        candidate = float(f"{value:.{digits}g}")
        if stored(candidate, precision) == value:
            return candidate
    return value


@lru_cache(maxsize=1 << 16)
def preimage(value: float, precision: Precision) -> tuple[float, float]:
    """Return the lowest and highest float64 that may have been stored as this value.

    Both ends are half a spacing away, and counted in: wider than the truth by at most a tie.
    Non-finite values and exact encodings stand for themselves alone.
    """
    if precision in ("float64", "int") or not math.isfinite(value):
        return value, value
    low, high = _middles(value, precision)
    if precision == "float32":
        return low, high
    # By way of float32: from the lowest to the highest float32 that is stored as this value.
    lowest, highest = np.float32(low), np.float32(high)
    if stored(low, precision) != value:
        lowest = np.nextafter(lowest, np.float32(np.inf))
    if stored(high, precision) != value:
        highest = np.nextafter(highest, np.float32(-np.inf))
    return _middles(float(lowest), "float32")[0], _middles(float(highest), "float32")[1]


def preimages(values: Sequence[float], precision: Precision) -> list[tuple[float, float]]:
    """Return the preimage of each value; many float32 values at once."""
    if precision != "float32":
        return [preimage(value, precision) for value in values]
    column = np.array(values, dtype=np.float64)
    single = column.astype(np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        below = np.nextafter(single, np.float32(-np.inf)).astype(np.float64)
        above = np.nextafter(single, np.float32(np.inf)).astype(np.float64)
        above = np.where(np.isinf(above), column + (column - below), above)
        below = np.where(np.isinf(below), column - (above - column), below)
        low, high = below + (column - below) / 2, column + (above - column) / 2
    exact = ~np.isfinite(column)
    low[exact], high[exact] = column[exact], column[exact]
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _middles(value: float, precision: Precision) -> tuple[float, float]:
    """Return the middles between a value and its neighbours.

    Past the largest value the spacing goes on: up to there it is rounded to, beyond is infinite.
    """
    below, above = -_next_above(-value, precision), _next_above(value, precision)
    if math.isinf(above):
        above = value + (value - below)
    if math.isinf(below):
        below = value - (above - value)
    return below + (value - below) / 2, value + (above - value) / 2


def _next_above(value: float, precision: Precision) -> float:
    if precision == "bfloat16":
        bits = int(np.float32(value).view(np.uint32)) >> 16
        if bits == 0x8000:
            bits = 0
        bits += -1 if bits & 0x8000 else 1
        return float(np.uint32(bits << 16).view(np.float32))
    kind = np.float16 if precision == "float16" else np.float32
    with np.errstate(over="ignore", under="ignore"):
        return float(np.nextafter(kind(value), kind(np.inf)))


def _bfloat16(single: np.float32) -> np.float32:
    """Keep the upper 16 bits of a float32, rounded to nearest, ties to even."""
    if np.isnan(single):
        return single
    bits = int(single.view(np.uint32))
    bits += 0x7FFF + ((bits >> 16) & 1)
    return np.uint32(bits & 0xFFFF0000).view(np.float32)

"""stated_hparams: the scheduler's parameters among a log's own hyper-parameters.

A log may carry what its training was started with (TensorBoard's HParams). Names that say that
they are the scheduler's are read: those with `plateau` or `sched` in them, or `lr_` before torch's
word; a bare `patience` is as often that of early stopping, and is left alone. What is stated is a
claim to be checked against the LR, not a fact. Knows no files.

pytorch-forecasting (1.0, TemporalFusionTransformer) has words of its own: `reduce_on_plateau_
patience` is both patience and cooldown, and `..._reduction` is what the LR is divided by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from plateau_watch.config import PlateauConfig
from plateau_watch.errors import ConfigError

_FORECASTING = "reduce_on_plateau_"

_WORDS = tuple(field.name for field in fields(PlateauConfig))

_NAME = re.compile(
    rf"^(?P<context>.*?(plateau|sched)\w*[/._-]?.*?|lr[_/.])(?P<word>{'|'.join(_WORDS)})$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class StatedHparams:
    """What a log says of its scheduler's parameters.

    Attributes:
        config: those that are stated; the others are torch's defaults.
        said: names and values, as the log has them.
    """

    config: PlateauConfig
    said: str


def stated_in(hparams: Mapping[str, float | str | bool]) -> StatedHparams | None:
    """Find the scheduler's parameters; None where there are none, or they mean nothing."""
    stated: dict[str, Any] = {}
    names: list[str] = []
    for name, value in sorted(hparams.items()):
        found = _forecasting(name, value) or _named(name, value)
        if found:
            stated |= found
            names.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}")
    if not {"patience", "factor"} & stated.keys():
        return None
    try:
        return StatedHparams(PlateauConfig(**stated), ", ".join(names))
    except ConfigError:
        return None


def _forecasting(name: str, value: float | str | bool) -> dict[str, Any]:
    if not name.startswith(_FORECASTING) or not isinstance(value, float):
        return {}
    word = name.removeprefix(_FORECASTING)
    if word == "patience":
        return {"patience": value, "cooldown": value}
    if word == "reduction" and value:
        return {"factor": 1.0 / value}
    return {"min_lr": value} if word == "min_lr" else {}


def _named(name: str, value: float | str | bool) -> dict[str, Any]:
    match = _NAME.match(name)
    if not match or isinstance(value, bool):
        return {}
    word = match["word"].lower()
    if word in ("mode", "threshold_mode"):
        return {word: value}
    try:
        return {word: float(value)}
    except ValueError:
        return {}

"""stated_hparams: the scheduler's parameters among what a log says its training was started with.

That is TensorBoard's HParams, or a text with a configuration (`config_text`). What is the
scheduler's is told by names: those with `plateau` or `sched` in them, or `lr_` before torch's word,
and whatever stands beside a name of a plateau scheduler (`{type: ReduceLROnPlateau, patience: 3}`).
What stands beside the name of another scheduler is not; a bare `patience` is as often that of early
stopping, and is left alone. What is stated is a claim to be checked against the LR, not a fact.
Knows no files.

pytorch-forecasting (1.0, TemporalFusionTransformer) has words of its own: `reduce_on_plateau_
patience` is both patience and cooldown, and `..._reduction` is what the LR is divided by.
transformers (5.24, TrainingArguments) names the scheduler in `lr_scheduler_type`, and what
`lr_scheduler_kwargs` does not say is torch's default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from plateau_watch.config import PlateauConfig
from plateau_watch.config_text import Value, pairs_in
from plateau_watch.errors import ConfigError

HPARAMS = "HParams"

_FORECASTING = "reduce_on_plateau_"

_TRAINER = ("lr_scheduler_type", "reduce_lr_on_plateau")

_WORDS = tuple(field.name for field in fields(PlateauConfig))

_WORD = re.compile(rf"({'|'.join(_WORDS)})$", re.IGNORECASE)
_CONTEXT = re.compile(r"plateau|sched|^lr[_/.]$", re.IGNORECASE)
"""What stands before a word in the name of a scheduler's parameter."""
_PATH = re.compile(r"^(?P<path>.*[/.])?(?P<name>[^/.]+)$")
_WHICH = ("name", "type", "class", "class_path", "_target_", "target", "scheduler", "lr_scheduler")
"""What configurations call the name of the class that the words beside it are for."""
_ARGUMENTS = re.compile(r"_?(kwargs|params|args|config|cfg|options)$", re.IGNORECASE)
_OTHER = re.compile(r"step|cos|exp|linear|poly|cycl|warm|const|sqrt|lambda|early", re.IGNORECASE)
"""Classes that are no plateau scheduler for sure; a name of any other kind says nothing."""


@dataclass(frozen=True, slots=True)
class StatedHparams:
    """What a log says of its scheduler's parameters.

    Attributes:
        config: those that are stated; the others are torch's defaults.
        said: names and values, as the log has them.
        where: where in the log: its HParams, or the text of a tag.
    """

    config: PlateauConfig
    said: str
    where: str = HPARAMS


def stated_by(hparams: Mapping[str, Value], texts: Mapping[str, str]) -> StatedHparams | None:
    """Find the scheduler's parameters in a log: in its HParams, or else in the first text with any.

    Args:
        hparams: hyper-parameters by name.
        texts: texts by tag; torch's writer ends their tags in `/text_summary`.
    """
    found = stated_in(hparams)
    for tag, text in texts.items() if found is None else ():
        where = f"text {tag.removesuffix('/text_summary')!r}"
        found = found or stated_in(pairs_in(text), where)
    return found


def stated_in(hparams: Mapping[str, Value], where: str = HPARAMS) -> StatedHparams | None:
    """Find the scheduler's parameters; None where there are none, or they mean nothing.

    Of several schedulers the first that is named as a plateau scheduler counts.
    """
    contexts: dict[str, dict[str, Value]] = {}
    for name, value in sorted(hparams.items()):
        contexts.setdefault(_path(name, hparams), {})[name] = value
    of_plateau = [path for path in contexts if _is_for_plateau(path, hparams)]
    others = [path for path in contexts if _is_for_plateau(path, hparams) is None]
    for path in (*of_plateau, *others):
        found = _stated(contexts[path], where, sure=path in of_plateau)
        if found:
            return found
    return None


def _path(name: str, hparams: Mapping[str, Value]) -> str:
    """Return what names stand together: what leads to them; Trainer's, wherever they are."""
    if name.startswith("lr_scheduler_") and _TRAINER in hparams.items():
        return "lr_scheduler_kwargs."
    match = _PATH.match(name)
    return (match and match["path"]) or ""


def _stated(hparams: Mapping[str, Value], where: str, *, sure: bool) -> StatedHparams | None:
    stated: dict[str, Any] = {}
    names: list[str] = []
    for name, value in hparams.items():
        found = _forecasting(name, value) or _named(name, value, sure=sure)
        if found or (name, value) == _TRAINER:
            stated |= found
            names.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}")
    if not {"patience", "factor"} & stated.keys() and _TRAINER not in hparams.items():
        return None
    try:
        return StatedHparams(PlateauConfig(**stated), ", ".join(names), where)
    except ConfigError:
        return None


def _is_for_plateau(path: str, hparams: Mapping[str, Value]) -> bool | None:
    """Whether what lies at a path is a plateau scheduler's; None where no name says which."""
    names = list(_classes_at(path, hparams)) if path else []
    if any("plateau" in name.lower() for name in names):
        return True
    return False if any(map(_OTHER.search, names)) else None


def _classes_at(path: str, hparams: Mapping[str, Value]) -> Iterator[str]:
    """Yield what is named as the class of the words at a path: beside them, or beside their list.

    `scheduler.type` and `scheduler.patience`; `lr_scheduler.class_path` and
    `lr_scheduler.init_args.patience`; `lr_scheduler_type` and `lr_scheduler_kwargs.patience`.
    """
    directory = path[:-1]
    names = [directory, *(f"{path}{word}" for word in _WHICH)]
    if _ARGUMENTS.search(directory):
        above = _ARGUMENTS.sub("", directory)
        parent = directory[: directory.rfind(path[-1]) + 1]
        names += [above, *(f"{above}_{word}" for word in _WHICH)]
        names += [f"{parent}{word}" for word in _WHICH if parent]
    for name in names:
        value = hparams.get(name)
        if isinstance(value, str):
            yield value


def _forecasting(name: str, value: Value) -> dict[str, Any]:
    if not name.startswith(_FORECASTING) or not isinstance(value, float):
        return {}
    word = name.removeprefix(_FORECASTING)
    if word == "patience":
        return {"patience": value, "cooldown": value}
    if word == "reduction" and value:
        return {"factor": 1.0 / value}
    return {"min_lr": value} if word == "min_lr" else {}


def _named(name: str, value: Value, *, sure: bool) -> dict[str, Any]:
    match = _WORD.search(name)
    if not match or isinstance(value, bool):
        return {}
    word, before = match[0].lower(), name[: match.start()]
    if not _CONTEXT.search(before) and not (sure and before[-1:] in ("/", ".")):
        return {}
    if word in ("mode", "threshold_mode"):
        return {word: value}
    try:
        return {word: float(value)}
    except ValueError:
        return {}

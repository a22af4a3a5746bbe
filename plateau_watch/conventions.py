"""conventions: what the names of a log's tags tell of the framework that wrote it.

A framework logs its LR at one moment, always the same, under a name of its own, and runs its own
rules. Known names save a guess; where a name says nothing, nothing is said. Knows names only.

Sources: LearningRateMonitor of Lightning 2, keras.callbacks.TensorBoard, ignite's
OptimizerParamsHandler, fastai's TensorBoardCallback, mmengine's RuntimeInfoHook, the TensorBoard
callback of Ultralytics and YOLOv5's training loop, as they were read; the others by what reproduced
logs in public repositories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from plateau_watch.recording import Meaning

Rules = Literal["torch", "keras"]
"""Whose rules made the LR."""


@dataclass(frozen=True, slots=True)
class Convention:
    """How a framework logs its LR.

    Attributes:
        framework: its name, for people.
        logged: what a logged LR means.
        rules: whose rules it runs.
        sure: nobody else writes such names; otherwise it is only the likeliest.
    """

    framework: str
    logged: Meaning
    rules: Rules = "torch"
    sure: bool = True


_BY_LR_TAG = (
    (re.compile(r"^lr-[A-Za-z]\w*(/pg\d+)?(-\d+)?(/.*)?$"), Convention("Lightning", "before")),
    (re.compile(r"^epoch_lr$"), Convention("Keras", "before", "keras")),
    (re.compile(r"^epoch_learning_rate$"), Convention("Keras", "after", "keras")),
    (re.compile(r"^_base/lr/"), Convention("Catalyst 19", "before")),
    (re.compile(r"^lr/(epoch|batch)$"), Convention("Catalyst 20", "after", sure=False)),
    (re.compile(r"^train/learning_rate$"), Convention("transformers", "before", sure=False)),
)

_FRAMEWORK_ALONE = (
    (re.compile(r"^epoch_learning_rate_"), "Keras"),
    (re.compile(r"^(.+/)?lr/group_\d+$"), "ignite"),
    (re.compile(r"^lr_\d+$"), "fastai"),
    (re.compile(r"^(\w+\.)?base_lr$"), "mmengine"),
    (re.compile(r"^lr/pg\d+$"), "Ultralytics"),
    (re.compile(r"^x/lr\d+$"), "YOLOv5"),
)
"""Names that tell the framework and not when it logs: the user's code decides, or none looked."""

KERAS_TF1 = Convention("Keras on TF 1", "late", "keras", sure=False)


def convention_of(lr_tag: str, *, first_missing: bool = False) -> Convention | None:
    """Return the convention that an LR's tag belongs to; None where the name tells nothing.

    Args:
        lr_tag: the tag of the LR.
        first_missing: no LR stands beside the first metric point, and one beside every other: of
            the frameworks that call it `lr` only Keras on TF 1 does that.
    """
    if lr_tag in ("lr", "learning_rate") and first_missing:
        return KERAS_TF1
    return next((known for name, known in _BY_LR_TAG if name.match(lr_tag)), None)


def framework_of(lr_tag: str) -> str | None:
    """Return the framework that names its LR so; None where many do, or none that is known."""
    known = convention_of(lr_tag)
    if known is not None:
        return known.framework
    return next((framework for name, framework in _FRAMEWORK_ALONE if name.match(lr_tag)), None)

"""What `record_replay_logs.py` records: the digits runs and the runs of other frameworks.

A digits run is trained here, in this process. A framework run is one of the other examples, run by
a Python of its own in a scratch directory with relative paths, so that nothing in its log names a
place on this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from digits_cnn import Settings, SmallCNN, fit, make_reproducible, run
from torch.optim import AdamW
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

import plateau_watch

TWO_GROUPS_LR = {"body": 1e-2, "head": 3e-3}
TWO_GROUPS_MIN_LR = {"body": 3e-5, "head": 3e-4}
"""The head reaches its bound first, so one step reduces the body's LR and leaves the head's."""

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class DigitsRun:
    """One training of `digits_cnn.py`."""

    name: str
    seed: int
    what: str
    train: Callable[[Settings, Path], None]
    packages = ("torch", "tensorboard", "scikit-learn", "plateau-watch")

    def record(self, scratch: Path, epochs: int | None) -> None:
        """Train, and leave the event file in a scratch directory."""
        self.train(settings_for(epochs, self.seed), scratch)

    def versions(self) -> str:
        """Return the versions of all that shapes the log."""
        return versions_seen_by(sys.executable, self.packages)


@dataclass(frozen=True)
class FrameworkRun:
    """One training of another example.

    Attributes:
        name: where the event files go, below the directory of the logs.
        script: the example.
        options: parameters of its scheduler, as the example's options.
        fixed: parameters of its scheduler that are no option of the example.
        metric: what the scheduler was given: run (where the log has several) and tag.
        lr: where the LR is logged, and when.
        packages: what shapes the log.
        flags: more options of the example.
        python: the Python that runs it.
    """

    name: str
    script: str
    options: dict[str, float]
    fixed: str
    metric: str
    lr: str
    packages: tuple[str, ...]
    flags: tuple[str, ...] = ()
    python: str = sys.executable

    def record(self, scratch: Path, epochs: int | None) -> None:
        """Train, and leave the event files in a scratch directory."""
        options = dict(self.options) if epochs is None else {**self.options, "epochs": epochs}
        pairs = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        subprocess.run(
            [self.python, HERE / self.script, "--logdir", "log", *pairs, *self.flags],
            cwd=scratch,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def versions(self) -> str:
        """Return the versions of all that shapes the log."""
        return versions_seen_by(self.python, self.packages)

    def hooked(self) -> FrameworkRun:
        """Return the same training with PlateauWatch."""
        return replace(
            self,
            name=self.name.replace("foreign/", "hooked/"),
            packages=(*self.packages, "plateau-watch"),
            flags=tuple(flag for flag in self.flags if flag != "--plain"),
        )

    def scheduler(self) -> str:
        """Return the parameters of the scheduler in one line."""
        stated = [f"{name}={value}" for name, value in self.options.items()]
        return ", ".join([*stated, *([self.fixed] if self.fixed else [])])


def settings_for(epochs: int | None, seed: int = 0) -> Settings:
    """Return the hyper-parameters of a digits run."""
    settings = Settings(seed=seed)
    return settings if epochs is None else replace(settings, epochs=epochs)


def versions_seen_by(python: str, packages: tuple[str, ...]) -> str:
    """Return in one line which versions a Python has."""
    code = (
        "import platform, sys; from importlib.metadata import version; "
        "print('python', platform.python_version(), end=''); "
        "[print(',', name, version(name), end='') for name in sys.argv[1:]]"
    )
    return subprocess.run(
        [python, "-c", code, *packages], check=True, capture_output=True, text=True
    ).stdout


def train_hooked(settings: Settings, logdir: Path) -> None:
    """Train with the hook."""
    run(settings, logdir)


def train_plain_lr_before(settings: Settings, logdir: Path) -> None:
    """Train without the hook; log the LR before the scheduler's step."""
    run(settings, logdir, plain=True, lr_logged="before")


def train_plain_lr_after(settings: Settings, logdir: Path) -> None:
    """Train without the hook; log the LR after the scheduler's step."""
    run(settings, logdir, plain=True, lr_logged="after")


def train_two_groups(settings: Settings, logdir: Path) -> None:
    """Train with the hook, the body and the head of the CNN each with an LR of its own."""
    make_reproducible(settings.seed)
    model = SmallCNN()
    optimizer = AdamW(
        [
            {"name": name, "params": getattr(model, name).parameters(), "lr": lr}
            for name, lr in TWO_GROUPS_LR.items()
        ]
    )
    scheduler = ReduceLROnPlateau(
        optimizer,
        factor=settings.factor,
        patience=settings.patience,
        min_lr=list(TWO_GROUPS_MIN_LR.values()),
    )
    with SummaryWriter(str(logdir)) as writer:
        plateau_watch.watch(scheduler, writer)
        fit(model, optimizer, scheduler, writer, settings)


DIGITS_RUNS = (
    DigitsRun("hooked/seed0", 0, "with the hook", train_hooked),
    DigitsRun("hooked/seed1", 1, "with the hook", train_hooked),
    DigitsRun("hooked/seed2", 2, "with the hook", train_hooked),
    DigitsRun("hooked/two_groups", 0, "with the hook, two param groups", train_two_groups),
    DigitsRun(
        "plain/lr_before_seed0",
        0,
        "no hook; the training of hooked/seed0, `lr` logged before the scheduler's step",
        train_plain_lr_before,
    ),
    DigitsRun(
        "plain/lr_after_seed1",
        1,
        "no hook; the training of hooked/seed1, `lr` logged after the scheduler's step",
        train_plain_lr_after,
    ),
)

LIGHTNING = FrameworkRun(
    "foreign/lightning",
    "lightning_digits.py",
    {"lr": 0.01, "factor": 0.5, "patience": 4, "cooldown": 2},
    "",
    "`val_loss`, at an epoch's last batch (counted from 0)",
    "`lr-AdamW`, at an epoch's first batch, so before the scheduler's step; "
    "what the last epoch's step did is not logged",
    ("lightning", "torch", "tensorboard", "scikit-learn"),
    ("--plain",),
)
TRANSFORMERS = FrameworkRun(
    "foreign/transformers",
    "transformers_digits.py",
    {"lr": 0.01, "factor": 0.3, "patience": 2, "threshold": 0.001},
    "threshold_mode=abs",
    "`eval/loss`, at the batches trained so far",
    "`train/learning_rate`, at the same step, before the scheduler's",
    ("transformers", "accelerate", "torch", "tensorboard", "scikit-learn"),
    ("--plain",),
)
IGNITE = FrameworkRun(
    "foreign/ignite",
    "ignite_digits.py",
    {"lr": 0.01, "factor": 0.25, "patience": 4},
    "mode=max",
    "`validation/accuracy`, by epoch from 1",
    "`lr/group_0`, by iteration from 1, every fifth: before the scheduler's step, which comes at "
    "an epoch's end",
    ("pytorch-ignite", "torch", "tensorboardX", "scikit-learn"),
    ("--plain",),
)
KERAS = FrameworkRun(
    "foreign/keras",
    "keras_digits.py",
    {"factor": 0.2, "patience": 3, "min_delta": 0.001},
    "Keras' rules; lr=0.01",
    "`validation`: `epoch_loss`, by epoch from 0",
    "`train`: `epoch_learning_rate`, by epoch from 0, after the scheduler's step",
    ("keras", "tensorflow_cpu", "scikit-learn"),
)
KERAS_LOGGER_FIRST = replace(
    KERAS,
    name="foreign/keras_logger_first",
    options={"factor": 0.5, "patience": 2, "min_delta": 0.001, "cooldown": 3, "min_lr": 0.0001},
    lr="`train`: `epoch_learning_rate`, by epoch from 0, before the scheduler's step",
    flags=("--logger-first",),
)
FOREIGN_RUNS = (LIGHTNING, TRANSFORMERS, IGNITE)
FRAMEWORK_RUNS = (*FOREIGN_RUNS, *(run.hooked() for run in FOREIGN_RUNS))
KERAS_RUNS = (KERAS, KERAS_LOGGER_FIRST)
"""Recorded only with `--keras-python`: they need TensorFlow, in an environment of its own."""

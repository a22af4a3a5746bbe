"""Record the logs in `replay_logs/` anew, by really training.

The trainings are those of `digits_cnn.py`: three seeds with the hook, two of them once more
without it, logged only by `add_scalar`, and one with two param groups and a bound for each. Next
to them go a README that says how they came about, and the `plateau-watch.toml` that says what the
logs without a trace do not record.

    python examples/record_replay_logs.py replay_logs

Takes about a minute on one CPU core.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from digits_cnn import NOISE, Settings, SmallCNN, fit, make_reproducible, run
from torch.optim import AdamW
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

import plateau_watch

TWO_GROUPS_LR = {"body": 1e-2, "head": 3e-3}
TWO_GROUPS_MIN_LR = {"body": 3e-5, "head": 3e-4}
"""The head reaches its bound first, so one step reduces the body's LR and leaves the head's."""


@dataclass(frozen=True)
class Run:
    """One training to record."""

    name: str
    seed: int
    what: str
    train: Callable[[Settings, Path], None]


def main() -> None:
    """Write the descriptions, then train and record run by run."""
    options = parse_options()
    settings = Settings(epochs=options.epochs)
    write_ours(options.directory / "README.md", readme(settings))
    write_ours(options.directory / "plateau-watch.toml", stated_parameters(settings))
    for recorded in RUNS:
        print(f"{recorded.name}, seed {recorded.seed}")
        with TemporaryDirectory() as scratch:
            recorded.train(replace(settings, seed=recorded.seed), Path(scratch))
            replace_event_file(Path(scratch), options.directory / recorded.name)


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


RUNS = (
    Run("hooked/seed0", 0, "with the hook", train_hooked),
    Run("hooked/seed1", 1, "with the hook", train_hooked),
    Run("hooked/seed2", 2, "with the hook", train_hooked),
    Run("hooked/two_groups", 0, "with the hook, two param groups", train_two_groups),
    Run(
        "plain/lr_before_seed0",
        0,
        "no hook; the training of hooked/seed0, `lr` logged before the scheduler's step",
        train_plain_lr_before,
    ),
    Run(
        "plain/lr_after_seed1",
        1,
        "no hook; the training of hooked/seed1, `lr` logged after the scheduler's step",
        train_plain_lr_after,
    ),
)


def replace_event_file(scratch: Path, directory: Path) -> None:
    """Put a finished run's event file in the place of older ones, without this machine's name."""
    (written,) = scratch.glob("events.out.tfevents.*")
    timestamp = written.name.split(".")[3]
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("events.out.tfevents.*"):
        old.unlink()
    shutil.move(written, directory / f"events.out.tfevents.{timestamp}.example.0")


def write_ours(path: Path, text: str) -> None:
    """Write a file, but over nothing except an earlier version of itself."""
    heading = text.splitlines()[0]
    if path.exists() and path.read_text(encoding="utf-8").splitlines()[:1] != [heading]:
        raise SystemExit(f"{path} is not a file of these logs: give a directory of their own")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def stated_parameters(settings: Settings) -> str:
    """Return the toml that states how the runs without a trace were trained."""
    stated = ", ".join(f"{name} = {json.dumps(value)}" for name, value in ran_with(settings))
    return f"""\
# What these logs do not record themselves: see README.md.
[[runs]]
match = "plain/*"
metric = "val/loss"
lr = ["lr"]
ran-with = {{ {stated} }}
"""


def ran_with(settings: Settings) -> list[tuple[str, float]]:
    """Return the scheduler's parameters that are not torch's defaults."""
    config = plateau_watch.PlateauConfig(
        factor=settings.factor, patience=settings.patience, min_lr=settings.min_lr
    )
    return list(config.differences(plateau_watch.PlateauConfig()).items())


def readme(settings: Settings) -> str:
    """Return the README of the logs."""
    return f"""\
# Recorded logs

Real trainings to try `plateau-watch replay` on: a small CNN on scikit-learn's digits, AdamW,
ReduceLROnPlateau on the validation loss. They were written by

    python examples/record_replay_logs.py replay_logs

which `make replay-logs` runs; it trains anew and replaces them. Other versions or another
processor may round differently and give other curves.

| run | seed | what |
|---|---|---|
{table((recorded.name, recorded.seed, recorded.what) for recorded in RUNS)}

`val/loss` is what the scheduler was given. A plain run logs only `val/loss` and `lr`, so the
parameters of its scheduler are stated in `plateau-watch.toml`. A hooked run has the whole trace,
and beside it what a training logs anyway: there `lr` is the LR of the first param group before the
scheduler's step.

## Hyper-parameters

| name | value |
|---|---|
{table(hyper_parameters(settings))}

All else is torch's default.

## Versions

| package | version |
|---|---|
{table(versions())}
"""


def hyper_parameters(settings: Settings) -> list[tuple[str, object]]:
    """Return name and value of everything that was chosen for the trainings."""
    values = asdict(settings)
    del values["seed"]
    return [
        *values.items(),
        ("noise on training images", NOISE),
        ("lr in two_groups", in_words(TWO_GROUPS_LR)),
        ("min_lr in two_groups", in_words(TWO_GROUPS_MIN_LR)),
    ]


def in_words(values: dict[str, float]) -> str:
    """Write values with their names in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def versions() -> list[tuple[str, object]]:
    """Return the versions of all that shapes the logs."""
    return [
        ("python", platform.python_version()),
        ("torch", torch.__version__),
        ("tensorboard", version("tensorboard")),
        ("scikit-learn", version("scikit-learn")),
        ("plateau-watch", plateau_watch.__version__),
    ]


def table(rows: Iterable[tuple[object, ...]]) -> str:
    """Return the rows of a Markdown table."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Record the example logs anew, by really training.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the runs go")
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    return parser.parse_args()


if __name__ == "__main__":
    main()

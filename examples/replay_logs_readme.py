"""The texts beside the recorded logs: their README, and the `plateau-watch.toml`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from digits_cnn import NOISE, Settings
from recorded_runs import (
    DIGITS_RUNS,
    FRAMEWORK_RUNS,
    KERAS_RUNS,
    TWO_GROUPS_LR,
    TWO_GROUPS_MIN_LR,
)

import plateau_watch

VERSIONS_HEAD = "| run | written with |\n|---|---|\n"


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


def readme(settings: Settings, versions: Mapping[str, str]) -> str:
    """Return the README of the logs; `versions` says for each run what wrote it."""
    return f"""\
# Recorded logs

Real trainings to try `plateau-watch` on, all on scikit-learn's digits. They were written by

    python examples/record_replay_logs.py replay_logs

which `make replay-logs` runs; it trains anew and replaces them. Other versions or another
processor may round differently and give other curves.

## A small CNN, AdamW, ReduceLROnPlateau on the validation loss

| run | seed | what |
|---|---|---|
{table((run.name, run.seed, run.what) for run in DIGITS_RUNS)}

`val/loss` is what the scheduler was given. A plain run logs only `val/loss` and `lr`, so the
parameters of its scheduler are stated in `plateau-watch.toml`. A hooked run has the whole trace,
and beside it what a training logs anyway: there `lr` is the LR of the first param group before the
scheduler's step.

| name | value |
|---|---|
{table(hyper_parameters(settings))}

All else is torch's default.

## Other frameworks

Each is an example of its own, and logs what its framework logs. The foreign runs know nothing of
plateau-watch (`--plain`), and `plateau-watch.toml` does not say their parameters: they show what
can be found in a log. The hooked ones are the same trainings with `PlateauWatch`. All that is not
named is the framework's default.

| run | example | scheduler | metric it was given | LR |
|---|---|---|---|---|
{table(framework_rows())}

## Versions

{VERSIONS_HEAD}{table(sorted(versions.items()))}
"""


def framework_rows() -> list[tuple[object, ...]]:
    """Return what is to be known of each run of another framework."""
    return [
        (run.name, f"`{run.script}`", run.scheduler(), run.metric, run.lr)
        for run in (*FRAMEWORK_RUNS, *KERAS_RUNS)
    ]


def versions_in(text: str) -> dict[str, str]:
    """Return the versions that an earlier README states, for runs that are kept."""
    rows = text.partition(VERSIONS_HEAD)[2].splitlines()
    return dict(row.strip("| ").split(" | ", 1) for row in rows if row)


def hyper_parameters(settings: Settings) -> list[tuple[str, object]]:
    """Return name and value of everything that was chosen for the digits runs."""
    values = asdict(settings)
    del values["seed"]
    return [
        *values.items(),
        ("noise on training images", NOISE),
        ("lr in two_groups", in_words(TWO_GROUPS_LR)),
        ("min_lr in two_groups", in_words(TWO_GROUPS_MIN_LR)),
    ]


def in_words(values: Mapping[str, float]) -> str:
    """Write values with their names in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def table(rows: Iterable[tuple[object, ...]]) -> str:
    """Return the rows of a Markdown table."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)

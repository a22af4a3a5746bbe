"""stated: what the user says about logs that do not record it: metric, LR, configuration.

It comes from options, and for what no option says from `plateau-watch.toml` in the log directory:

    [[runs]]
    match = "plain/*"          # which runs, as a glob on the name; all where absent
    metric = "val/loss"
    lr = ["lr"]                # one tag for each param group
    lr-logged = "after"        # "before" the scheduler's step, or "late"; found out where absent
    skip-first = 1             # metric points that the scheduler never saw; none where absent
    every = 2                  # it saw every second metric point; every one where absent
    repeat = 4                 # it stepped so often on each; once where absent
    duplicates = "first"       # of two points at a step the "first" counts; the "last" where absent
    alone = true               # not read with the run that it goes on from; it is where absent
    ran-with = { patience = 3, factor = 0.5 }
    dialect = "keras"          # whose words ran-with is in, and whose rules; torch's where absent

The first table that matches a run counts. Nothing here is guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar, get_args

from plateau_watch.alignment import MEANINGS
from plateau_watch.commands.parameters import stated_config
from plateau_watch.config import PlateauConfig
from plateau_watch.dialects import Config, dialect, nearest_of_torch, stated
from plateau_watch.errors import ConfigError
from plateau_watch.reading import FOUND_OUT, Reading
from plateau_watch.series import Duplicates

FILE_NAME = "plateau-watch.toml"

Kind = TypeVar("Kind")

_NAMES: dict[type, str] = {
    str: "a string",
    list: "a list of tables",
    dict: "a table",
    bool: "true or false",
}

_KEYS = (
    "match",
    "metric",
    "lr",
    "lr-logged",
    "skip-first",
    "every",
    "repeat",
    "duplicates",
    "alone",
    "ran-with",
    "dialect",
)


@dataclass(frozen=True, slots=True)
class Stated:
    """What was said about a run; None where nothing was.

    Attributes:
        metric: tag of the metric.
        lrs: tag of each param group's LR.
        config: the configuration the run had; of a run of another framework torch's nearest one.
        reading: how the log is to be read.
        alone: it is read by itself, even where it goes on from another run.
        ran_as: the configuration that a run of another framework had, in that one's words.
        duplicates: which of the points at one step counts.
    """

    metric: str | None = None
    lrs: tuple[str, ...] | None = None
    config: PlateauConfig | None = None
    reading: Reading = FOUND_OUT
    alone: bool = False
    ran_as: Config | None = None
    duplicates: Duplicates | None = None

    @property
    def nothing(self) -> bool:
        """Whether nothing is said of the run's scheduler: no tag, no configuration, no reading."""
        return replace(self, alone=False, duplicates=None) == Stated()

    def or_else(self, other: Stated) -> Stated:
        """Return this, with what it does not say taken from another."""
        return Stated(
            metric=self.metric or other.metric,
            lrs=self.lrs or other.lrs,
            config=self.config or other.config,
            reading=other.reading if self.reading == FOUND_OUT else self.reading,
            alone=self.alone or other.alone,
            ran_as=self.ran_as if self.config else other.ran_as,
            duplicates=self.duplicates or other.duplicates,
        )


@dataclass(frozen=True, slots=True)
class StatedFile:
    """The tables of a `plateau-watch.toml`, in order."""

    tables: tuple[tuple[str, Stated], ...] = ()

    def about(self, run: str) -> Stated:
        """Return what the first table that matches a run says."""
        return next((said for match, said in self.tables if fnmatchcase(run, match)), Stated())


def read_stated(logdir: Path) -> StatedFile:
    """Read the log directory's `plateau-watch.toml`; nothing where there is none.

    Raises:
        ConfigError: it is no TOML, or says something unknown.
    """
    path = logdir / FILE_NAME
    if not path.is_file():
        return StatedFile()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return StatedFile(tuple(map(_table, _expected(list, "runs", content.get("runs", [])))))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _table(table: object) -> tuple[str, Stated]:
    said = _expected(dict, "[[runs]]", table)
    unknown = [key for key in said if key not in _KEYS]
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; a [[runs]] table has {', '.join(_KEYS)}")
    logged = said.get("lr-logged")
    if logged is not None and logged not in MEANINGS:
        raise ConfigError(f"lr-logged must be 'before' or 'after' or 'late', got {logged!r}")
    duplicates = said.get("duplicates")
    if duplicates is not None and duplicates not in get_args(Duplicates):
        raise ConfigError(f"duplicates must be 'last' or 'first' or 'error', got {duplicates!r}")
    ran_as = _ran_as(said)
    return _expected(str, "match", said.get("match", "*")), Stated(
        metric=_expected(str, "metric", said["metric"]) if "metric" in said else None,
        lrs=_tags(said["lr"]) if "lr" in said else None,
        config=None if ran_as is None else nearest_of_torch(ran_as),
        reading=Reading(
            logged,
            skip_first=_count("skip-first", said.get("skip-first", 0), 0),
            every=_count("every", said.get("every", 1), 1),
            repeat=_count("repeat", said.get("repeat", 1), 1),
        ),
        alone=_expected(bool, "alone", said.get("alone", False)),
        ran_as=None if isinstance(ran_as, PlateauConfig) else ran_as,
        duplicates=duplicates,
    )


def _ran_as(said: Mapping[str, Any]) -> Config | None:
    """Read `ran-with` in the words of its dialect; None where it is not said."""
    name = dialect(_expected(str, "dialect", said.get("dialect", "torch"))).name
    if "ran-with" in said:
        words = _expected(dict, "ran-with", said["ran-with"])
        if name == "torch":
            return stated_config(words)
        values = {
            word: tuple(value) if isinstance(value, list) else value
            for word, value in words.items()
        }
        return stated(name, values)
    if "dialect" in said:
        raise ConfigError(
            "dialect says in whose words ran-with is: give that too ({} for the defaults)"
        )
    return None


def _count(key: str, value: object, lowest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ConfigError(f"{key} must be a whole number from {lowest} on, got {value!r}")
    return value


def _tags(lr: object) -> tuple[str, ...]:
    tags = lr if isinstance(lr, list) else [lr]
    return tuple(_expected(str, "lr", tag) for tag in tags)


def _expected(kind: type[Kind], key: str, value: object) -> Kind:
    """Return a value that is of the kind a key takes."""
    if not isinstance(value, kind):
        raise ConfigError(f"{key} must be {_NAMES[kind]}, got {value!r}")
    return value

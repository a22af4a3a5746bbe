"""parameters: torch's words on the command line and in plateau-watch.toml -> checked values.

A grid option takes several values, `--patience 3,5,10`; `--ran-with` takes one of each,
`patience=10,factor=0.1`. A bound for each param group is joined by colons: `min_lr=1e-5:1e-6`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from plateau_watch.config import PlateauConfig
from plateau_watch.dialects import Config, dialect, stated
from plateau_watch.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., Any])

_HELP = {
    "mode": "min or max",
    "factor": "the LR is multiplied by this",
    "patience": "bad steps forgiven before the LR is reduced",
    "threshold": "how much better counts as an improvement",
    "threshold_mode": "rel or abs",
    "cooldown": "steps after a reduction in which bad steps do not count",
    "min_lr": "lower bound of the LR; one for each group as 1e-5:1e-6",
    "eps": "smallest change that is written",
}

WORDS = tuple(field.name for field in fields(PlateauConfig))


def grid_options(command: Command) -> Command:
    """Add one option for each parameter of the scheduler; each takes several values."""
    for name in reversed(WORDS):
        command = click.option(
            f"--{name.replace('_', '-')}",
            name,
            metavar="V[,V...]",
            help=f"Alternatives: {_HELP[name]}.",
        )(command)
    return command


def grid_choices(options: Mapping[str, str | None]) -> dict[str, list[Any]]:
    """Read the grid options that were given.

    Raises:
        ConfigError: a value that torch would refuse or that means nothing.
    """
    return {
        name: [_checked(name, _value(name, part)) for part in text.split(",")]
        for name in WORDS
        if (text := options.get(name)) is not None
    }


def parse_ran_with(text: str) -> PlateauConfig:
    """Read `patience=10,factor=0.1`; what is not named has torch's default.

    Raises:
        ConfigError: a word torch does not have, or a value it would refuse.
    """
    return stated_config({name: _value(name, value) for name, value in _pairs(text)})


def parse_ran_as(text: str, name: str) -> Config:
    """Read `patience=10,min_delta=0` in the words of a dialect; the rest has its defaults.

    Raises:
        ConfigError: no such dialect, a word it does not have, or a value it would refuse.
    """
    kinds = {word.name: type(word.default) for word in fields(dialect(name).config)}
    return stated(
        name,
        {
            word: value.strip() if kinds.get(word) is str else _one_or_several(word, value)
            for word, value in _pairs(text)
        },
    )


def parse_dialects(texts: Sequence[str]) -> tuple[str, ...]:
    """Read the names of dialects, comma-separated and repeated; each is given once.

    Raises:
        ConfigError: there is no such dialect.
    """
    names = [part.strip() for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(dialect(name).name for name in names))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"--ran-with takes name=value pairs, got {part!r}")
        yield name.strip(), value


def stated_config(said: Mapping[str, Any]) -> PlateauConfig:
    """Make a configuration of stated parameters, spelled as torch spells them.

    Raises:
        ConfigError: a word torch does not have, or a value it would refuse.
    """
    words = {name.replace("-", "_"): value for name, value in said.items()}
    for name in words:
        if name not in WORDS:
            nearest = get_close_matches(name, WORDS, n=1, cutoff=0.5)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise ConfigError(f"ReduceLROnPlateau has no {name!r}{hint} It has: {', '.join(WORDS)}")
    return PlateauConfig(**words)


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401  a parameter's own type
    return getattr(PlateauConfig(**{name: value}), name)


def _value(name: str, text: str) -> str | float | tuple[float, ...]:
    text = text.strip()
    if name.replace("-", "_") in ("mode", "threshold_mode"):
        return text
    if name.replace("-", "_") == "min_lr":
        return _one_or_several(name, text)
    return _number(name, text)


def _one_or_several(name: str, text: str) -> float | tuple[float, ...]:
    """Read a number, or one for each group, joined by colons."""
    if ":" in text:
        return tuple(_number(name, part) for part in text.split(":"))
    return _number(name, text.strip())


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number, got {text!r}") from None
    return int(text) if text.lstrip("+-").isdigit() else number

"""translation: from one framework's configuration to another's, and what gets lost on the way.

Two ways over: `translate` looks for the same behaviour, `carry_over` for the same settings by
name. Either says what differs in words; nothing is approximated in silence. Knows no files.
"""

from __future__ import annotations

from dataclasses import dataclass

from plateau_watch.config import PlateauConfig
from plateau_watch.dialects import torch
from plateau_watch.dialects.dialect import Config, dialect, dialect_of, terms_of
from plateau_watch.dialects.terms import Lrs, corners, differences


@dataclass(frozen=True, slots=True)
class Translation:
    """A configuration in another dialect.

    Attributes:
        to: the dialect's name.
        config: the configuration there.
        differences: where the two decide or reduce otherwise on ordinary metrics; empty for an
            exact counterpart.
        corners: where even an exact counterpart differs: in the last bit of an LR, or on metrics
            and LRs that few trainings have.
    """

    to: str
    config: Config
    differences: tuple[str, ...]
    corners: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether the two take the same decisions, corners aside."""
        return not self.differences


def translate(config: Config, to: str, lrs: Lrs | None = None) -> Translation:
    """Return the counterpart of a configuration in another dialect: exact, or the nearest.

    Args:
        config: a configuration of any dialect.
        to: the name of the other dialect.
        lrs: the starting LR of each param group, where known: optax' min_scale needs it.

    Raises:
        ConfigError: there is no such dialect, or it has nothing near: optax maximises nothing,
            and no framework but fastai has a factor that raises the LR.
    """
    target = dialect(to)
    if type(config) is target.config:
        return Translation(to, config, (), ())
    counterpart = target.nearest(dialect_of(config).terms(config, lrs), lrs)
    return _compared(config, counterpart, lrs)


def nearest_of_torch(config: Config) -> PlateauConfig:
    """Return the counterpart that a configuration has in torch, whatever differs.

    Raises:
        ConfigError: it has none, as in `translate`.
    """
    return torch.nearest(terms_of(config))


def carry_over(config: PlateauConfig, to: str, lrs: Lrs | None = None) -> Translation:
    """Return torch's settings in another dialect, each under the name it has there.

    It is what somebody gets who moves to that framework and types in the same numbers, but for
    fastai's factor, which becomes a divisor, and min_lr, which optax has as a share.

    Args:
        config: torch's settings.
        to: the name of the other dialect.
        lrs: the starting LR of each param group, where known.

    Raises:
        ConfigError: there is no such dialect, or it cannot have these values.
    """
    return _compared(config, dialect(to).named(config, lrs), lrs)


def _compared(ours: Config, theirs: Config, lrs: Lrs | None) -> Translation:
    us, them = dialect_of(ours), dialect_of(theirs)
    terms = (us.terms(ours, lrs), them.terms(theirs, lrs))
    return Translation(
        to=them.name,
        config=theirs,
        differences=differences(*terms, us.name, them.name),
        corners=corners(*terms, us.name, them.name),
    )

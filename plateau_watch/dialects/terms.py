"""terms: what a dialect's parameters mean, in terms all dialects share, and where two differ.

One job: make configurations of different frameworks comparable. `Terms` is what the parameters
say, in torch's meaning of the words; `Habits` is what no parameter of that framework changes.
Knows no dialect by name and steps nothing. Invariant: two configurations without differences
produce the same LRs on every metric that their corners do not concern.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from plateau_watch.config import Mode, ThresholdMode
from plateau_watch.decision import number

Lrs = tuple[float, ...]
"""The LR of each param group (or of each optimizer, or the one there is)."""

NEARLY = 1e-12
"""Numbers nearer than this, as a share, are told apart by rounding only: 1/10 and 1/(1/0.1)."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What a framework does whatever its parameters are; the defaults are torch's.

    Attributes:
        comparison: how metric and best are compared; matters to the last bit only.
        lr: in what arithmetic an LR is reduced; likewise.
        first: what the first metric is to a scheduler that has none yet.
        low_lr: what a firing does to an LR that is already below min_lr.
        in_cooldown: what a metric is in a cooldown.
    """

    comparison: str = "metric < best"
    lr: str = "a float64 product"
    first: str = "is compared with infinity"
    low_lr: str = "stays"
    in_cooldown: str = "can become best"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a configuration says, in torch's meaning of the words.

    Attributes:
        mode: "min" or "max".
        factor: an LR is multiplied by this.
        patience: bad steps in a row that are forgiven, whole or infinite; the next one fires.
            -1: every step fires.
        relative: share of best by which a metric has to be better.
        absolute: by how much, in the metric's unit; on top of the share.
        cooldown: steps after a firing whose bad ones are not counted.
        min_lr: lower bound of the LR, for all param groups or one for each.
        eps: a change of this or less is not written.
        own: what of the configuration only its own framework has, one clause each.
        habits: what no parameter changes.
    """

    mode: Mode
    factor: float
    patience: float
    relative: float
    absolute: float
    cooldown: float
    min_lr: float | tuple[float, ...]
    eps: float = 0.0
    own: tuple[str, ...] = ()
    habits: Habits = field(default_factory=Habits)


def compared(mode: Mode, threshold: float, threshold_mode: ThresholdMode) -> str:
    """Say how metric and best are compared, in torch's order of operations."""
    sign, change = ("<", "-") if mode == "min" else (">", "+")
    if threshold == 0:
        return f"metric {sign} best"
    if threshold_mode == "rel":
        return f"metric {sign} best * (1 {change} threshold)"
    return f"metric {sign} best {change} threshold"


def lowest(min_lr: float | tuple[float, ...]) -> float:
    """Return the bound that a framework with one for all groups comes nearest with."""
    return min(min_lr) if isinstance(min_lr, tuple) else min_lr


def differences(ours: Terms, theirs: Terms, us: str, them: str) -> tuple[str, ...]:
    """Say what differs between two configurations on ordinary metrics, one sentence each.

    Args:
        ours: one configuration.
        theirs: the other.
        us: the name of the one's framework.
        them: the name of the other's.
    """
    return (
        *_parameters(ours, theirs, us, them),
        *(f"{us} only: {clause}" for clause in ours.own if clause not in theirs.own),
        *(f"{them} only: {clause}" for clause in theirs.own if clause not in ours.own),
    )


def corners(ours: Terms, theirs: Terms, us: str, them: str) -> tuple[str, ...]:
    """Say what differs in the last bit, or on metrics and LRs that few trainings have.

    Arguments as for `differences`.
    """
    our, their = ours.habits, theirs.habits
    said = []
    if our.first != their.first:
        said.append(f"the first metric {our.first} in {us}, {their.first} in {them}")
    if our.comparison != their.comparison:
        said.append(f"a tie may differ: {our.comparison} in {us}, {their.comparison} in {them}")
    if our.lr != their.lr or _only_nearly(ours, theirs):
        said.append(f"an LR is {our.lr} in {us}, {their.lr} in {them}: last bits may differ")
    if our.low_lr != their.low_lr and any(map(_bounded, (ours, theirs))):
        said.append(f"an LR below min_lr {our.low_lr} in {us}, {their.low_lr} in {them}")
    return tuple(said)


def _parameters(ours: Terms, theirs: Terms, us: str, them: str) -> Iterator[str]:
    if ours.mode != theirs.mode:
        yield f"{us} takes the {ours.mode} for best, {them} the {theirs.mode}"
    if not _near((ours.factor,), (theirs.factor,)):
        factors = (number(ours.factor), number(theirs.factor))
        yield f"an LR is multiplied by {factors[0]} in {us}, {factors[1]} in {them}"
    if ours.patience != theirs.patience:
        yield f"{us} fires {_firing(ours)}, {them} {_firing(theirs)}"
    if (ours.relative, ours.absolute) != (theirs.relative, theirs.absolute):
        yield f"an improvement is {_improvement(ours)} in {us}, {_improvement(theirs)} in {them}"
    if ours.cooldown != theirs.cooldown:
        yield f"after a reduction {us} leaves {_uncounted(ours)}, {them} {_uncounted(theirs)}"
    elif ours.cooldown and ours.habits.in_cooldown != theirs.habits.in_cooldown:
        yield (
            f"in a cooldown a metric {ours.habits.in_cooldown} in {us}, "
            f"{theirs.habits.in_cooldown} in {them}"
        )
    if not _near(_bounds(ours, theirs), _bounds(theirs, ours)):
        yield f"the LR stops at {_bound(ours)} in {us}, {_bound(theirs)} in {them}"
    if ours.eps != theirs.eps:
        yield f"{us} writes {_written(ours)}, {them} {_written(theirs)}"


def _near(ours: tuple[float, ...], theirs: tuple[float, ...]) -> bool:
    return len(ours) == len(theirs) and all(
        math.isclose(mine, its, rel_tol=NEARLY) for mine, its in zip(ours, theirs, strict=True)
    )


def _only_nearly(ours: Terms, theirs: Terms) -> bool:
    pairs = (
        ((ours.factor,), (theirs.factor,)),
        (_bounds(ours, theirs), _bounds(theirs, ours)),
    )
    return any(mine != its and _near(mine, its) for mine, its in pairs)


def _bounds(terms: Terms, other: Terms) -> tuple[float, ...]:
    """The bound of each group; one for all is as many as the other configuration has."""
    if isinstance(terms.min_lr, tuple):
        return terms.min_lr
    groups = len(other.min_lr) if isinstance(other.min_lr, tuple) else 1
    return (terms.min_lr,) * groups


def _bounded(terms: Terms) -> bool:
    bounds: Iterable[float] = terms.min_lr if isinstance(terms.min_lr, tuple) else (terms.min_lr,)
    return any(bound > 0 for bound in bounds)


def _firing(terms: Terms) -> str:
    if terms.patience < 0:
        return "at every step"
    if math.isinf(terms.patience):
        return "never"
    return f"at bad step {number(terms.patience + 1)} in a row"


def _improvement(terms: Terms) -> str:
    share = f"{number(terms.relative * 100)}% of best" if terms.relative else ""
    amount = number(terms.absolute) if terms.absolute else ""
    asked = " and ".join(filter(None, (share, amount)))
    return f"more than {asked}" if asked else "anything better"


def _uncounted(terms: Terms) -> str:
    return f"{number(terms.cooldown)} steps uncounted" if terms.cooldown else "none"


def _bound(terms: Terms) -> str:
    bounds = terms.min_lr if isinstance(terms.min_lr, tuple) else (terms.min_lr,)
    return ":".join(map(number, bounds))


def _written(terms: Terms) -> str:
    return f"only changes above {number(terms.eps)}" if terms.eps else "any change"

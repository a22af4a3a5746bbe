"""snapshot: what there is to know of a scheduler at one moment, read off torch's own object.

Only public attributes are read. Knows nothing of logs; changes nothing.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Kind
from plateau_watch.recording import ConfigRecord
from plateau_watch.replay import Counters
from plateau_watch.scheduler import LrDtype, PlateauState, lr_dtype_of, step

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import ReduceLROnPlateau


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A scheduler and its LRs at one moment."""

    config: PlateauConfig
    counters: Counters
    last_epoch: int
    lrs: tuple[float, ...]
    lr_dtypes: tuple[LrDtype, ...]
    groups: tuple[str, ...]

    @classmethod
    def of(cls, scheduler: ReduceLROnPlateau, only: Sequence[int] | None = None) -> Snapshot:
        """Read a scheduler; nothing of it is changed.

        Args:
            scheduler: torch's ReduceLROnPlateau.
            only: the param groups that it reduces, by position; all of them where absent.

        Raises:
            ConfigError: a hyper-parameter or LR that means nothing.
        """
        groups = scheduler.optimizer.param_groups
        entries = dict(scheduler.__dict__)
        if len(entries["min_lrs"]) != len(groups) and entries.get("default_min_lr") is not None:
            # torch itself falls back to the one bound when it next reduces.
            entries["min_lrs"] = [entries["default_min_lr"]] * len(groups)
        names = _group_names(groups)
        if only is not None:
            entries["min_lrs"] = [entries["min_lrs"][index] for index in only]
            names = tuple(names[index] for index in only)
            groups = [groups[index] for index in only]
        return cls(
            config=PlateauConfig.from_state_dict(entries),
            counters=Counters(
                float(scheduler.best), scheduler.num_bad_epochs, scheduler.cooldown_counter
            ),
            last_epoch=scheduler.last_epoch,
            lrs=tuple(float(group["lr"]) for group in groups),
            lr_dtypes=tuple(
                lr_dtype_of(group["lr"]) if _writes_into_tensors() else "python" for group in groups
            ),
            groups=names,
        )

    def follows(self, written: Snapshot) -> bool:
        """Whether the log already tells all but the LRs, which every row carries."""
        return (self.config, self.lr_dtypes, self.groups) == (
            written.config,
            written.lr_dtypes,
            written.groups,
        ) and self.counters.same(written.counters)

    def record(self, reason: Literal["attached", "changed"]) -> ConfigRecord:
        """Return what the log keeps of this moment."""
        return ConfigRecord(
            config=self.config,
            counters=self.counters,
            last_epoch=self.last_epoch,
            lrs=self.lrs,
            lr_dtypes=self.lr_dtypes,
            groups=self.groups,
            reason=reason,
        )

    def state(self) -> PlateauState:
        """Return the scheduler's state, to replay a step from."""
        return PlateauState(
            best=self.counters.best,
            num_bad_epochs=self.counters.num_bad_epochs,
            cooldown_counter=self.counters.cooldown_counter,
            last_epoch=self.last_epoch,
            lrs=self.lrs,
            lr_dtypes=self.lr_dtypes,
        )


def observed_kind(before: Snapshot, after: Snapshot, metric: float) -> Kind:
    """Name what happened: by torch's rules where they were followed, else by what can be seen."""
    state, decision = step(before.config, before.state(), metric)
    followed = Counters(state.best, state.num_bad_epochs, state.cooldown_counter)
    if followed.same(after.counters) and state.lrs == after.lrs:
        return decision.kind
    if any(new < old for old, new in zip(before.lrs, after.lrs, strict=False)):
        return "reduced"
    return "improved" if after.counters.best != before.counters.best else "bad"


def _group_names(groups: list[dict[str, Any]]) -> tuple[str, ...]:
    """Param groups by their own names where all have one, else by position."""
    names = tuple(str(group.get("name", "")) for group in groups)
    if all(names) and len(set(names)) == len(names):
        return names
    return tuple(map(str, range(len(groups))))


@functools.cache
def _writes_into_tensors() -> bool:
    """Whether the scheduler fills a tensor LR in place (torch >= 2.10) or replaces it."""
    major, minor = str(sys.modules["torch"].__version__).split(".")[:2]
    return (int(major), int(minor)) >= (2, 10)

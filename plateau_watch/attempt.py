"""attempt: one metric and one LR, fitted by the rules and in the readings that their names allow.

A name that only one framework writes settles when an LR is logged and whose rules made it; any
other name makes that the likeliest, and everything is tried. Chooses nothing. Knows no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from plateau_watch.candidates import expected_mode
from plateau_watch.config import Mode
from plateau_watch.conventions import Convention, convention_of
from plateau_watch.errors import NotEnoughToldError
from plateau_watch.fit import KERAS, TORCH, Rulebook
from plateau_watch.fitted import Fitted, fitted
from plateau_watch.reading import MEANS, Reading
from plateau_watch.rules_fit import Scope
from plateau_watch.series import Series
from plateau_watch.stated_hparams import StatedHparams

IN_A_HURRY = 4_000
"""Work for a metric that is unlikely: a true one takes half of that in a log of 1,000 steps."""

PLAIN = Scope(thresholds=(0.0, 0.001), cooldown=(0, 0), most_work=5_000)
"""What is looked for in such a way to read a log: little but what most people leave as it is."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One metric and one LR, and what is known of them before anything is fitted."""

    metric: Series
    lrs: Sequence[Series]
    said: Reading
    stated: StatedHparams | None
    asked: bool
    seams: tuple[float, ...] = ()
    unusual: bool = False
    unlikely: bool = False

    @property
    def convention(self) -> Convention | None:
        """The framework whose names these are."""
        metric, lr = self.metric, self.lrs[0]
        first_missing = metric.steps[0] < lr.steps[0] and len(lr) == len(metric) - 1
        return convention_of(lr.tag, first_missing=first_missing)

    @property
    def expected(self) -> Mode | None:
        """The mode that the metric's name calls for."""
        return expected_mode(self.metric.tag)

    @property
    def rulebooks(self) -> tuple[Rulebook, ...]:
        """The rules to look for; without `max` where nobody would write it, unless asked."""
        keras = self.convention is not None and self.convention.rules == "keras"
        sure = self.convention is None or self.convention.sure
        books = (KERAS,) if keras and sure else (KERAS, TORCH) if keras else (TORCH,)
        return tuple(map(self._limited, books))

    def fitted(self, *, all_modes: bool = False) -> tuple[Fitted, ...]:
        """Fit by each of the rulebooks, in the readings that there may be.

        Raises:
            NotEnoughToldError: nothing fits.
        """
        found: list[Fitted] = []
        refused: list[NotEnoughToldError] = []
        for rulebook in self.rulebooks:
            try:
                found += self._fitted_by(
                    rulebook.with_modes(*TORCH.scope.modes) if all_modes else rulebook
                )
            except NotEnoughToldError as error:
                refused.append(error)
        if not found:
            raise refused[0]
        return tuple(found)

    def _limited(self, rules: Rulebook) -> Rulebook:
        if self.unusual:
            modes = (self.expected,) if self.expected else rules.scope.modes
            kinds = (rules.usual.threshold_mode,)
            return replace(rules, scope=replace(PLAIN, modes=modes, threshold_modes=kinds))
        if self.unlikely:
            rules = replace(rules, scope=replace(rules.scope, most_work=IN_A_HURRY))
        return rules.with_modes("min") if self.expected == "min" and not self.asked else rules

    def _fitted_by(self, rulebook: Rulebook) -> tuple[Fitted, ...]:
        """Fit as a framework logs that nobody else is named like; else in every reading."""
        attempt = partial(
            fitted,
            self.metric,
            self.lrs,
            rulebook=rulebook,
            expected=self.expected or "min",
            stated=self.stated.config if self.stated else None,
            seams=self.seams,
        )
        if self.convention and self.convention.sure and self.said.logged is None:
            with suppress(NotEnoughToldError):
                found = attempt(replace(self.said, logged=self.convention.logged))
                return tuple(_as_it_logs(each, self.convention) for each in found)
        return attempt(self.said)


def _as_it_logs(found: Fitted, convention: Convention) -> Fitted:
    recording = found.recording
    guess = f"{MEANS[recording.logged]}, as {convention.framework} logs it"
    return replace(found, recording=replace(recording, guesses=(guess, *recording.guesses)))

"""sentence: a decision of any dialect in one sentence with its numbers.

torch's decisions are told by `decision`; the others without a bar, which for some of them is no
one number. Knows nothing of how a decision comes about.
"""

from __future__ import annotations

import math

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision, apart, changes_in_words, number
from plateau_watch.decision import in_words as torch_in_words
from plateau_watch.dialects.dialect import Config, terms_of


def in_words(decision: Decision, config: Config) -> str:
    """Explain a decision in one sentence.

    Example: `0.5312 is not better than best 0.52985: bad step 4, fires at 4 -> LR 0.001 ->
    0.0001`.
    """
    if isinstance(config, PlateauConfig):
        return torch_in_words(decision, config)
    return f"{_comparison(decision)}: {_consequence(decision, config)}"


def _comparison(decision: Decision) -> str:
    metric, best = apart((decision.metric, decision.best))
    if math.isinf(decision.best) and decision.improved:
        return f"{number(decision.metric)} is the first best"
    if decision.improved:
        return f"{metric} is better than best {best}"
    if decision.kind == "cooldown":
        return metric
    return f"{metric} is not better than best {best}, or not by enough"


def _consequence(decision: Decision, config: Config) -> str:
    left = decision.cooldown_counter
    cooling = f", cooldown {number(left)} left" if left > 0 else ""
    changed = "" if decision.old_lrs == decision.new_lrs else changes_in_words(decision)
    if not decision.fired:
        said = {"improved": "new best", "cooldown": "not counted"}.get(decision.kind)
        bad_steps, fires_at = decision.num_bad_epochs, terms_of(config).patience + 1
        bad = f"bad step {bad_steps}, fires at {number(fires_at)}"
        if bad_steps >= fires_at:
            bad = f"bad step {bad_steps}, and no LR is above min_lr any more"
        lr = f" -> LR {changed}" if changed else ""
        return f"{said or bad}{cooling}{lr}"
    count = f"bad step {decision.num_bad_epochs}" if decision.num_bad_epochs else "fired"
    return f"{count} -> {f'LR {changed}' if changed else 'fired, but no LR changed'}"

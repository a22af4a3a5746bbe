"""explanation: why the LR changed at a step, or why it did not yet, in sentences.

Adds to a decision's own sentence what only the run knows: when the best was reached, how long the
scheduler had waited, and what it would have taken. Knows no files and no rendering.
"""

from __future__ import annotations

from collections.abc import Sequence

from plateau_watch.decision import Decision, apart, number
from plateau_watch.dialects import in_words, terms_of
from plateau_watch.errors import NothingToReadError
from plateau_watch.report import RunReport

LONGEST_WAITS = 3
"""Waits that ended in an improvement and are told, the longest first."""

FIRINGS_AT_AN_END = 2
"""Firings that are told at the beginning of a run, and at its end; those between are counted."""

UNKNOWN = "no known configuration reproduces this log, so its decisions cannot be told"


def explain_run(run: RunReport, *, whole: bool = False) -> list[str]:
    """Explain the firings of the real schedule, where it stands, and its longest waits.

    Args:
        run: the run.
        whole: every firing; else the first and last ones, and how many lie between them.
    """
    decisions = run.real.decisions
    if not decisions:
        return [UNKNOWN]
    fired = _fired(run)
    between = [] if whole else _between(fired)
    lines: list[str] = []
    for index in fired:
        if index not in between:
            lines += explain_step(run, index)
        elif index == between[0]:
            lines.append(_counted(run, between))
    if not fired:
        lines.append("the scheduler never fired")
    at_the_end = [] if decisions[-1].fired else explain_step(run, len(decisions) - 1)
    return lines + at_the_end + _waits(run, decisions)


def left_out(run: RunReport) -> int:
    """Return how many firings `explain_run` only counts, unless it is to be whole."""
    return len(_between(_fired(run)))


def in_short(run: RunReport) -> str:
    """Say in a line when the real schedule fired."""
    if not run.real.decisions:
        return UNKNOWN
    fired = [str(_step(run, index)) for index in _fired(run)]
    between = len(fired) - FIRINGS_AT_AN_END
    shown = [*fired[:FIRINGS_AT_AN_END], f"+{between} more"] if between > 1 else fired
    return f"fired at {', '.join(shown)}" if fired else "the scheduler never fired"


def explain_step(run: RunReport, index: int) -> list[str]:
    """Explain the decision at an index, from 0: what it was, since when, and what was needed."""
    decision, config = run.real.decisions[index], run.real.configs[index]
    lines = [f"step {_step(run, index)}: {in_words(decision, config)}"]
    why: list[str] = []
    best = _best_at(run.real.decisions, index)
    if best is not None:
        reached = f"the best, {number(decision.best)}, was reached at step {_step(run, best)}"
        why.append(f"{reached}, {index - best} scheduler step(s) before")
    if decision.kind in ("bad", "reduced", "floored"):
        why.append(_needed(decision, terms_of(config).mode))
    lines += ["; ".join(why)] * bool(why)
    left = terms_of(config).patience - decision.num_bad_epochs + 1
    if decision.kind == "bad" and left > 0:
        lines.append(f"it fires after {number(left)} more bad step(s) in a row")
    return lines


def index_of_step(run: RunReport, step: int) -> int:
    """Return the index of the last scheduler step taken at a training step.

    Raises:
        NothingToReadError: none was; the nearest ones are named.
    """
    steps = [int(each) for each in run.recording.steps]
    if step in steps:
        return len(steps) - 1 - steps[::-1].index(step)
    near = sorted(sorted(set(steps), key=lambda each: abs(each - step))[:4])
    raise NothingToReadError(
        f"run {run.recording.run!r} has no scheduler step at {step}; the nearest are at "
        f"{', '.join(map(str, near))}"
    )


def _fired(run: RunReport) -> list[int]:
    return [index for index, decision in enumerate(run.real.decisions) if decision.fired]


def _between(fired: Sequence[int]) -> Sequence[int]:
    """Return the firings that are only counted: none where there would be one."""
    between = fired[FIRINGS_AT_AN_END:-FIRINGS_AT_AN_END]
    return between if len(between) > 1 else ()


def _counted(run: RunReport, fired: Sequence[int]) -> str:
    floored = sum(run.real.decisions[index].kind == "floored" for index in fired)
    said = (
        f"steps {_step(run, fired[0])} to {_step(run, fired[-1])}: it fired {len(fired)} more times"
    )
    return f"{said}, {floored} of them without changing an LR" if floored else said


def _needed(decision: Decision, mode: str) -> str:
    bar, _ = apart((decision.bar, decision.metric), fewest=8)
    side = "below" if mode == "min" else "above"
    return f"a metric {side} {bar} would have been an improvement"


def _best_at(decisions: Sequence[Decision], index: int) -> int | None:
    """Index at which the best before a step was reached; None if it was there from the start."""
    return next((at for at in range(index - 1, -1, -1) if decisions[at].improved), None)


def _waits(run: RunReport, decisions: Sequence[Decision]) -> list[str]:
    """Tell the longest runs of bad steps that an improvement ended before the scheduler fired."""
    ended = [
        (decisions[index - 1].num_bad_epochs, index)
        for index in range(1, len(decisions))
        if decisions[index].improved and decisions[index - 1].kind == "bad"
    ]
    longest = sorted(ended, key=lambda wait: (-wait[0], wait[1]))[:LONGEST_WAITS]
    return [
        f"step {_step(run, index)}: an improvement after {count} bad step(s) of the "
        f"{number(terms_of(run.real.configs[index]).patience)} that are forgiven"
        for count, index in longest
    ]


def _step(run: RunReport, index: int) -> int:
    return int(run.recording.steps[index])

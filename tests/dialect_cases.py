"""Random cases for the frameworks' oracles, and what our own rules answer to them.

The corners are weighted in: NaN, infinities, ties with the bar, LRs at and below min_lr. The
numbers come from a seed, so that a failing case can be found again.
"""

import json
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from plateau_watch.dialects import dialect, follow

ORACLES = Path(__file__).parent / "dialect_oracles"

SPECIAL = [
    math.nan,
    math.nan,
    math.nan,
    math.inf,
    -math.inf,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-40,
    1e-300,
    1e300,
    3e38,
]
LRS = [0.1, 0.01, 1e-3, 3e-4, 1e-5, 1.0, 0.25, 1e-8]
FACTORS = [0.1, 0.5, 0.3, 0.7, 0.99999999]
THRESHOLDS = [0.0, 1e-4, 0.01, 0.1, 0.25, 1.0]
BOUNDS = [0.0, 0.0, 1e-6, 1e-5, 1e-3, 0.02, 0.3]


def _metric(draw: random.Random, config: dict) -> list[float]:
    """A metric of one of four kinds: smooth, few distinct values, wild, or along the bar."""
    length = draw.randint(1, 40)
    kind = draw.choice(["smooth", "ties", "wild", "bar"])
    if kind == "bar":
        return _along_the_bar(draw, config, length)
    if kind == "smooth":
        level, values = draw.uniform(-1, 2), []
        for _ in range(length):
            level *= draw.uniform(0.8, 1.15)
            values.append(level)
        return values
    if kind == "ties":
        return [draw.randint(-4, 4) / 4 for _ in range(length)]
    return [
        draw.choice(SPECIAL) if draw.random() < (0.3 if position else 0.6) else draw.uniform(-1, 1)
        for position in range(length)
    ]


def _along_the_bar(draw: random.Random, config: dict, length: int) -> list[float]:
    """Values a few float32s or float64s around the bar that the last one leads to."""
    sign = -1 if config.get("mode", config.get("comp", "min")) in ("min", "less") else 1
    share = config.get("rtol", config.get("threshold", 0.0))
    amount = config.get("atol", config.get("min_delta", 0.0))
    if config.get("threshold_mode") == "abs":
        share, amount = 0.0, share
    values = [draw.uniform(0.5, 100.0)]
    for _ in range(length - 1):
        bar = values[-1] * (1 + sign * share) + sign * amount
        if draw.random() < 0.5:
            bar = float(np.float32(bar))
            away = draw.randint(-2, 2)
            values.append(bar + away * abs(float(np.spacing(np.float32(bar)))) / 2)
        else:
            values.append(bar + draw.randint(-2, 2) * math.ulp(bar))
    return values


def _torch_words(draw: random.Random) -> dict:
    return {
        "mode": draw.choice(["min", "max"]),
        "factor": draw.choice(FACTORS),
        "patience": draw.randint(0, 4),
        "threshold": draw.choice(THRESHOLDS),
        "cooldown": draw.randint(0, 4),
        "min_lr": draw.choice(BOUNDS),
    }


def _keras(draw: random.Random) -> dict:
    words = _torch_words(draw)
    words["min_delta"] = words.pop("threshold") * draw.choice([1, 1, -1])
    return words


def _optax(draw: random.Random) -> dict:
    rtol, atol = draw.choice(THRESHOLDS), draw.choice(THRESHOLDS)
    return {
        "factor": draw.choice(FACTORS),
        "patience": draw.randint(0, 4),
        "rtol": rtol,
        "atol": atol if rtol or atol else 1e-300,
        "cooldown": draw.randint(0, 3),
        "accumulation_size": draw.choice([1, 1, 1, 2, 7]),
        "min_scale": draw.choice([0.0, 0.0, 1e-3, 0.25, 1.5]),
    }


def _ignite(draw: random.Random) -> dict:
    return {
        **_torch_words(draw),
        "threshold_mode": draw.choice(["rel", "abs"]),
        "eps": draw.choice([0.0, 1e-8, 1e-3]),
        "param_group_index": draw.choice([None, None, 0, 1]),
    }


def _paddle(draw: random.Random) -> dict:
    epsilon = draw.choice([0.0, 1e-8, 1e-3])
    mode = draw.choice(["rel", "abs"])
    return {**_torch_words(draw), "threshold_mode": mode, "epsilon": epsilon}


def _timm(draw: random.Random) -> dict:
    words = _torch_words(draw)
    return {
        "decay_rate": words["factor"],
        "patience_t": words["patience"],
        "threshold": words["threshold"],
        "cooldown_t": words["cooldown"],
        "warmup_t": draw.choice([0, 0, 1, 3, 7]),
        "warmup_lr_init": draw.choice([0.0, 1e-6, 0.5]),
        "lr_min": words["min_lr"],
        "mode": words["mode"],
    }


def _fastai(draw: random.Random) -> dict:
    return {
        "comp": draw.choice(["less", "greater"]),
        "min_delta": draw.choice(THRESHOLDS),
        "patience": draw.randint(0, 4),
        "factor": draw.choice([10.0, 2.0, 3.0, 1.0, 0.5]),
        "min_lr": draw.choice(BOUNDS),
    }


CONFIGS = {
    "keras": _keras,
    "tf-keras": lambda draw: {**_keras(draw), "numpy": draw.choice([1, 2])},
    "fastai": _fastai,
    "optax": _optax,
    "paddle": _paddle,
    "ignite": _ignite,
    "timm": _timm,
}
GROUPS = {"fastai": 2, "ignite": 2, "timm": 2}
"""How many param groups a framework's cases have, where they have several."""

METRICS = {"optax": 10}
"""Metrics for each configuration, where it takes long to make one."""


def cases(name: str, count: int, seed: int = 0) -> list[dict]:
    """Make cases for a dialect; the first ones have every parameter's default."""
    draw = random.Random(f"{name} {seed}")
    made = []
    config = asdict(dialect(name).config())
    for index in range(count):
        if index >= count // 20 and index % METRICS.get(name, 1) == 0:
            config = CONFIGS[name](draw)
        lrs = [draw.choice(LRS) for _ in range(GROUPS.get(name, 1))]
        made.append({"config": config, "lrs": lrs, "metric": _metric(draw, config)})
    return made


def oracle_answers(
    name: str, asked: list[dict], python: str = sys.executable, backend: Sequence[str] = ()
) -> list:
    """Ask the real framework, in a process of its own."""
    script = ORACLES / f"{name.replace('-', '_')}_oracle.py"
    result = subprocess.run(
        [python, str(script), *backend],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def our_answer(name: str, case: dict) -> dict:
    """Follow our own rules: LRs and counters, in the order in which the oracles write them."""
    rules = dialect(name)
    config = rules.config(**case["config"])
    trace = follow(config, case["metric"], case["lrs"])
    state, states = rules.start(config, tuple(case["lrs"])), []
    for value in case["metric"]:
        state, _ = rules.step(config, state, value)
        states.append(_counters(name, state))
    return {"lrs": [list(lrs) for lrs in trace.lrs], "state": states}


def _counters(name: str, state) -> list:
    if name in ("keras", "tf-keras"):
        return [state.best, state.wait, state.cooldown_counter]
    if name == "fastai":
        return [state.best, state.wait]
    if name == "optax":
        return [state.scale, state.best_value, state.plateau_count, state.cooldown_count,
                state.count, state.avg_value]  # fmt: skip
    if name == "timm":
        state = state.plateau
    return [state.best, state.num_bad_epochs, state.cooldown_counter]


def as_text(answer: dict) -> str:
    """Write an answer so that equal text is equal numbers, NaN included."""
    numbers = [[[repr(float(each)) for each in row] for row in answer[key]] for key in answer]
    return json.dumps(numbers)


def differing(name: str, asked: list[dict], answers: list) -> list[dict]:
    """Return the cases to which the real framework has another answer than we."""
    return [
        case
        for case, theirs in zip(asked, answers, strict=True)
        if theirs is not None and as_text(our_answer(name, case)) != as_text(theirs)
    ]

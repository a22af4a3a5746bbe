"""optax' own transformation under jit; LRs are the starting LR times its scale."""

import functools
import json
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
from optax.contrib import reduce_on_plateau


@functools.cache
def compiled_from(config):
    transformation = reduce_on_plateau(**json.loads(config))

    def after(state, value):
        return transformation.update(jnp.float32(1.0), state, value=value)[1]

    return transformation, jax.jit(after)


def answer(case):
    transformation, compiled = compiled_from(json.dumps(case["config"]))
    current = transformation.init(jnp.zeros(()))
    lrs, state = [], []
    for value in case["metric"]:
        current = compiled(current, value)
        lrs.append([lr * float(current.scale) for lr in case["lrs"]])
        state.append([
            float(current.scale), float(current.best_value), int(current.plateau_count),
            int(current.cooldown_count), int(current.count), float(current.avg_value),
        ])  # fmt: skip
    return {"lrs": lrs, "state": state}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)

"""Hypothesis strategies: configurations, metrics and schedules, with the corners weighted in."""

import math

from hypothesis import strategies as st

from plateau_watch.config import PlateauConfig

SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300]

metrics = st.one_of(
    st.sampled_from(SPECIAL),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0.4, 0.6),
    # few distinct values: ties and repeated bests
    st.integers(-3, 3).map(lambda n: n / 4),
)

thresholds = st.one_of(st.sampled_from([0.0, 1.0, 1e-4, -0.01, 0.1, 2.0]), st.floats(-2, 2))
factors = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.9999999]), st.floats(0, 0.999))
epsilons = st.one_of(st.sampled_from([0.0, 1e-8, 1e-3, 0.05]), st.floats(0, 0.1))
bounds = st.one_of(st.sampled_from([0.0, 1e-6, 0.01]), st.floats(0, 0.2))
learning_rates = st.one_of(
    st.sampled_from([0.1, 0.01, 1e-3, 3e-4, 1e-8, 1.0]), st.floats(1e-10, 10)
)
lr_dtypes = st.sampled_from(["python", "python", "float64", "float32", "float16", "bfloat16"])


@st.composite
def configs(draw, groups: int = 1, min_lrs=bounds) -> PlateauConfig:
    return PlateauConfig(
        mode=draw(st.sampled_from(["min", "max"])),
        factor=draw(factors),
        patience=draw(st.integers(0, 4)),
        threshold=draw(thresholds),
        threshold_mode=draw(st.sampled_from(["rel", "abs"])),
        cooldown=draw(st.integers(0, 3)),
        min_lr=draw(
            st.one_of(min_lrs, st.lists(min_lrs, min_size=groups, max_size=groups).map(tuple))
        ),
        eps=draw(epsilons),
    )

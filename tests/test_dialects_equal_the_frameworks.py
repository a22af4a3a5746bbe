"""Each dialect equals its real framework after every step, with ==: LRs and counters.

keras, optax and ignite are asked here, in processes of their own. fastai, timm, paddle and
tf-keras are asked by `tools/check_dialects.py` where they are installed; what their sources say is
pinned in `test_dialects_by_their_rules`. torch's own dialect is `scheduler`, which has its tests.
"""

import pytest

from plateau_watch import PlateauConfig, PlateauState, replay
from plateau_watch.dialects import DIALECTS, follow
from tests.dialect_cases import ORACLES, as_text, cases, differing, oracle_answers, our_answer


@pytest.mark.parametrize(
    ("name", "count", "backend"),
    [
        ("keras", 600, ["torch"]),
        ("keras", 200, ["jax"]),
        ("optax", 600, []),
        ("ignite", 1000, []),
    ],
)
def test_a_dialect_equals_the_real_library_on_random_traces(name, count, backend):
    asked = cases(name, count, seed=len(backend))
    answers = oracle_answers(name, asked, backend=backend)
    assert len(answers) == count
    assert differing(name, asked, answers) == []


def test_the_comparison_notices_one_wrong_bit():
    asked = cases("ignite", 20)
    answers = [our_answer("ignite", case) for case in asked]
    assert differing("ignite", asked, answers) == []
    answers[7]["lrs"][-1][0] *= 1 + 2**-52
    assert differing("ignite", asked, answers) == [asked[7]]


def test_random_cases_meet_what_frameworks_differ_in():
    text = " ".join(as_text(our_answer(name, case)) for name in DIALECTS if name != "torch"
                    for case in cases(name, 40))  # fmt: skip
    assert all(f'"{special}"' in text for special in ("nan", "inf", "-inf"))


def test_torchs_dialect_is_torchs_scheduler():
    config = PlateauConfig(patience=1, cooldown=2, min_lr=0.02)
    metric = [1.0, 2.0, 2.0, 2.0, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0]
    replayed = replay(config, metric, PlateauState.initial(config, (0.1, 0.01)))
    trace = follow(config, metric, (0.1, 0.01))
    assert trace.decisions == replayed.decisions
    assert trace.lrs == tuple(state.lrs for state in replayed.states)


def test_every_dialect_but_torchs_has_an_oracle():
    names = {path.name.removesuffix("_oracle.py") for path in ORACLES.glob("*_oracle.py")}
    assert names == {name.replace("-", "_") for name in DIALECTS if name != "torch"}

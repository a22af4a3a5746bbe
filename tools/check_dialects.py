"""Compare a dialect's rules with its real framework, in whatever environment has that framework.

The tests do this for keras, optax and ignite. fastai and timm declare torchvision, tf-keras and
paddle are large: install them elsewhere and name that Python.

    python -m tools.check_dialects tf-keras /path/to/python
    python -m tools.check_dialects paddle /path/to/python --cases 5000 --seed 1

Exits with 1 where an answer differs from ours.
"""

from __future__ import annotations

import argparse
import sys

from tests.dialect_cases import CONFIGS, cases, differing, oracle_answers


def main() -> int:
    """Compare, and say how many cases were asked and how many differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dialect", choices=CONFIGS)
    parser.add_argument("python", nargs="?", default=sys.executable)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    asked = cases(said.dialect, said.cases, said.seed)
    answers = oracle_answers(said.dialect, asked, said.python)
    wrong = differing(said.dialect, asked, answers)
    answered = sum(answer is not None for answer in answers)
    print(f"{said.dialect}: {answered} cases answered, {len(wrong)} differ")
    for case in wrong[:3]:
        print(case)
    return bool(wrong) or not answered


if __name__ == "__main__":
    sys.exit(main())

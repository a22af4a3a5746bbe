"""SECURITY.md says what is so: the tests it names are there, and its caps are the code's."""

import ast
import re
from pathlib import Path

import pytest

from plateau_watch import config_text
from plateau_watch.events import file_content, hparams, records, summaries, tensors

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()

NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))
CAPS = dict(re.findall(r"`([A-Z_]+)` = ([\d,]+)", PAGE))


def test_the_page_names_tests_and_caps():
    assert len(NAMED) >= 15
    assert set(CAPS) == {
        "LONGEST",
        "LONGEST_KEPT",
        "LARGE",
        "PEEK",
        "LARGEST",
        "MOST_TEXTS",
        "MOST_NAMES",
        "DEEPEST",
        "MOST_TAGS",
        "MOST_VALUES",
        "LONGEST_TAG",
        "MOST_HPARAMS",
    }


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_the_page_names_is_there(file, test):
    tree = ast.parse((ROOT / "tests" / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert test in functions


@pytest.mark.parametrize("cap", CAPS)
def test_a_cap_is_the_one_in_the_code(cap):
    values = [
        getattr(module, cap)
        for module in (records, tensors, file_content, config_text, summaries, hparams)
        if hasattr(module, cap)
    ]
    assert set(values) == {int(CAPS[cap].replace(",", ""))}

"""The shape of the code: what imports what, and what an import costs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import plateau_watch

ROOT = Path(__file__).parents[1]


def loaded_by(statement: str, names: list[str]) -> str:
    """Which of some modules a fresh Python has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint([name for name in {names!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["torch", "tensorboard", "google.protobuf", "click", "rich", "numba", "tensorflow"]
    assert loaded_by("import plateau_watch", heavy) == "[]"


def test_importing_the_package_of_the_integrations_loads_no_framework():
    frameworks = ["torch", "lightning", "pytorch_lightning", "transformers", "ignite"]
    assert loaded_by("import plateau_watch.integrations.attachment", frameworks) == "[]"


def test_the_command_line_loads_no_torch():
    assert loaded_by("import plateau_watch.commands", ["torch", "tensorflow"]) == "[]"


def test_the_public_names_are_these():
    assert plateau_watch.__all__ == [
        "Decision",
        "PlateauConfig",
        "PlateauState",
        "Trace",
        "Watch",
        "in_words",
        "replay",
        "step",
        "watch",
    ]


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(linter), "--no-cache"], capture_output=True, text=True, cwd=directory, check=False
    )


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(ROOT / "plateau_watch", tmp_path / "plateau_watch")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_dependencies_point_one_way(copied):
    result = lint_imports(copied)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("series.py", "from plateau_watch.scheduler import step"),
        ("scheduler.py", "import torch"),
        ("events/records.py", "from plateau_watch.render import terminal"),
        ("report.py", "import rich"),
        ("dialects/keras.py", "import keras"),
        ("dialects/terms.py", "from plateau_watch.comparison import compare"),
        ("recorder/watch.py", "import lightning"),
        ("integrations/attachment.py", "import transformers"),
        ("recorder/sinks.py", "from plateau_watch.integrations import attachment"),
    ],
)
def test_the_contract_can_fail(copied, module, statement):
    path = copied / "plateau_watch" / module
    path.write_text(path.read_text() + f"\n{statement}\n")
    assert lint_imports(copied).returncode == 1

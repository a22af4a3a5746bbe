"""README.md: what it shows is what the commands print, and its two commands are there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_what_its_commands_print():
    assert README.count("<!-- output of: plateau-watch") == 3
    subprocess.run([sys.executable, "tools/readme_outputs.py", "--check"], cwd=ROOT, check=True)


def test_the_two_commands_are_on_the_first_screen():
    first_screen = "\n".join(README.splitlines()[:25])
    assert "make replay" in first_screen
    assert "make test" in first_screen
    assert "pip install plateau-watch[torch]" in first_screen

"""Write into README.md what its commands print, so that it never shows what they do not.

A comment `<!-- output of: COMMAND -->` (with ` | lines A-B` for a part) stands before each fenced
block that this script fills.

    python tools/readme_outputs.py            # write
    python tools/readme_outputs.py --check    # exit with 1 where README.md differs
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from click.testing import CliRunner

from plateau_watch.commands import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

BLOCK = re.compile(
    r"(<!-- output of: plateau-watch (?P<command>[^|>]*?)(?: \| lines (?P<lines>\d+-\d+))? -->\n"
    r"```\n)(?P<output>.*?)(?=```\n)",
    re.DOTALL,
)


def filled(text: str) -> str:
    """Return a text with every block replaced by what its command prints in 80 columns."""
    return BLOCK.sub(lambda block: block[1] + _output(block["command"], block["lines"]), text)


def _output(command: str, lines: str | None) -> str:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(
        main, shlex.split(command), catch_exceptions=False
    )
    if result.exit_code:
        raise SystemExit(f"plateau-watch {command} failed: {result.output}")
    printed = result.stdout.splitlines(keepends=True)
    if lines:
        first, last = map(int, lines.split("-"))
        printed = printed[first - 1 : last]
    return "".join(printed)


if __name__ == "__main__":
    before = README.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" in sys.argv:
        sys.exit(before != after)
    README.write_text(after, encoding="utf-8")

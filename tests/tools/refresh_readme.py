"""Put the program's own help texts and exit codes into README.md and docs/cli.md.

Blocks stand between markers. A block begins with ``<!-- help -->``, ``<!-- help: export -->`` or
``<!-- exit-codes -->`` and ends with ``<!-- end -->``. ``--check`` changes nothing and exits 1 if
something would change.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from portarchive.cli.verbs import EXIT_CODES
from portarchive.errors import ExitCode

README = Path(__file__).resolve().parents[2] / "README.md"
CLI = README.parent / "docs" / "cli.md"
BLOCK = re.compile(
    r"(?P<begin><!-- (?P<kind>help|exit-codes)(?:: (?P<verb>[a-z]+))? -->\n)"
    r".*?(?P<end><!-- end -->)",
    re.DOTALL,
)


def help_text(verb: str | None) -> str:
    """What the program prints, at a fixed width, as somebody at a terminal sees it."""
    words = [sys.executable, "-m", "portarchive", *([verb] if verb else []), "--help"]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def exit_codes() -> str:
    """A table of every code of the program."""
    words = dict(EXIT_CODES)
    rows = [f"| {code.value} | {words[code.value]} |" for code in ExitCode]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows]) + "\n"


def refreshed(text: str) -> str:
    """The README with every block as the program has it now."""

    def block(match: re.Match[str]) -> str:
        inside = help_text(match["verb"]) if match["kind"] == "help" else exit_codes()
        return match["begin"] + inside + match["end"]

    return BLOCK.sub(block, text)


def main() -> int:
    stale = False
    for file in (README, CLI):
        old = file.read_text(encoding="utf-8")
        new = refreshed(old)
        stale = stale or old != new
        if old != new and "--check" not in sys.argv[1:]:
            file.write_text(new, encoding="utf-8")
    return int(stale and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""``portarchive --help`` is quick because it loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("imapclient", "jmapc", "pyarrow", "duckdb", "keyring", "pymap", "jsonschema", "asyncio")

SCRIPT = """
import json, sys
from portarchive.cli import main
sys.argv = ["portarchive", *sys.argv[1:]]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
print(json.dumps([code or 0, sorted({name.partition(".")[0] for name in sys.modules})]),
      file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert done.stdout
    assert "portarchive" in names
    return set(names)


def test_help_loads_nothing_heavy() -> None:
    assert loaded("--help").isdisjoint(HEAVY)


def test_version_loads_nothing_heavy() -> None:
    assert loaded("--version").isdisjoint(HEAVY)


def test_help_of_a_verb_loads_nothing_heavy() -> None:
    assert loaded("export", "--help").isdisjoint(HEAVY)

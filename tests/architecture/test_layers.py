"""The rooms keep to their walls: import-linter's contracts, module sizes, module names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "portarchive").rglob("*.py"))
LIMIT = 500


def test_contracts_hold() -> None:
    """The lint of pyproject.toml, run as ``make check`` runs it."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_short(module: Path) -> None:
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= LIMIT, f"{module.name} has {lines} lines: it does more than one thing"


@pytest.mark.parametrize("word", ["utils", "util", "common", "helpers", "helper", "misc", "shared"])
def test_no_drawer_for_odds_and_ends(word: str) -> None:
    """A function lives with what uses it."""
    stems = {part for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert word not in stems


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_email_package_where_octets_pass(module: Path) -> None:
    """Nothing parses and re-emits a message (docs/adr/0004)."""
    room = module.relative_to(ROOT / "portarchive").parts[0]
    if room in {"archive", "connectors", "jobs"}:
        text = module.read_text(encoding="utf-8")
        assert "import email" not in text
        assert "from email" not in text


OWNERS = {
    "backports": {"archive"},
    "dns": {"connectors/jmap"},
    "duckdb": {"index"},
    "imapclient": {"connectors/imap"},
    "jmapc": {"connectors/jmap"},
    "jsonschema": {"schema.py", "validate"},
    "jsonschema_rs": {"validate"},
    "keyring": {"access"},
    "pyarrow": {"index"},
    "pymap": {"demo"},
    "referencing": {"schema.py", "validate"},
    "requests": {"connectors/jmap"},
    "rich": {"cli"},
    "typer": {"cli"},
    "urllib3": {"connectors/jmap"},
}

IMPORTED_AS = {"dnspython": "dns"}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_known_in_one_room(library: str) -> None:
    """Whoever replaces a library has one place to look."""
    package = ROOT / "portarchive"
    users = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            if any(name.partition(".")[0] == library for name in names):
                users.add(module.relative_to(package))
    assert users, f"{library} is not used, and need not be installed"
    strangers = {
        str(user)
        for user in users
        if not any(user.is_relative_to(owner) for owner in OWNERS[library])
    }
    assert not strangers


def test_every_dependency_has_a_room() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = {
        re.split(r"[^\w-]", entry)[0].replace("-", "_") for entry in project["dependencies"]
    }
    assert {IMPORTED_AS.get(name, name) for name in installed} == set(OWNERS)

"""Every error has a code of its own, and a line in the troubleshooting guide."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from portarchive import errors

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/troubleshooting.md"
README = ROOT / "README.md"
KEBAB = re.compile(r"[a-z]+(-[a-z]+)*")


def classes() -> list[type[errors.PortArchiveError]]:
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.PortArchiveError)
    ]


def codes_given_where_raised() -> set[str]:
    """Codes handed to an error's constructor, or to what says it, somewhere in the package."""
    names = {one.__name__ for one in classes()} | {"_say"}
    found: set[str] = set()
    for module in (ROOT / "portarchive").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and called(node) in names:
                found |= {
                    word.value.value
                    for word in node.keywords
                    if word.arg == "code"
                    and isinstance(word.value, ast.Constant)
                    and isinstance(word.value.value, str)
                }
    return found


def in_section(file: Path, heading: str) -> set[str]:
    """The first column of the tables under a heading, without backticks."""
    text = file.read_text(encoding="utf-8")
    assert heading in text
    section = re.split(r"^## ", text.partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `?(\w[\w-]*)`? \|", section, re.MULTILINE)) - {"code"}


def called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def codes_of_the_ledger() -> set[str]:
    """Codes of failures, notes and notices that connectors and jobs write."""
    place = {"Failure": 0, "Notice": 0, "note": 0, "_remark": 0, "FolderFailed": 1}
    found: list[ast.expr | None] = []
    for room in ("connectors", "jobs"):
        for module in (ROOT / "portarchive" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and len(node.args) > place.get(called(node), 99):
                    found.append(node.args[place[called(node)]])
                if isinstance(node, ast.Dict):
                    pairs = zip(node.keys, node.values, strict=True)
                    found += [
                        v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "code"
                    ]
    return {
        node.value
        for node in found
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_codes_are_unique_and_plain() -> None:
    codes = Counter(one.code for one in classes())
    assert not [code for code, times in codes.items() if times > 1]
    for code in codes:
        assert KEBAB.fullmatch(code)


def test_every_class_says_what_it_is_for() -> None:
    assert all(one.__doc__ for one in classes())


def test_every_code_is_documented_and_no_other() -> None:
    raised = {one.code for one in classes()} | codes_given_where_raised()
    assert in_section(GUIDE, "## Errors") == raised


def test_every_code_of_the_ledger_is_documented() -> None:
    documented = in_section(GUIDE, "## Messages that are missing") | in_section(GUIDE, "## Notes")
    written = codes_of_the_ledger()
    assert {"server-refused", "size-mismatch"} <= written
    assert written <= documented


def test_exit_codes_of_the_readme() -> None:
    rows = in_section(README, "## Exit codes")
    assert rows == {str(code.value) for code in errors.ExitCode}


def test_every_exit_code_but_success_can_be_met() -> None:
    by_errors = {one.exit_code for one in classes()}
    by_jobs = {
        errors.ExitCode.OK,
        errors.ExitCode.FINDINGS,
        errors.ExitCode.INCOMPLETE,
        errors.ExitCode.INTERRUPTED,
    }
    assert by_errors | by_jobs == set(errors.ExitCode)

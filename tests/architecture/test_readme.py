"""README.md says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portarchive.cli.verbs import EXIT_CODES, VERBS
from portarchive.errors import ExitCode
from tools import refresh_readme

TEXT = refresh_readme.README.read_text(encoding="utf-8")
CLI = refresh_readme.CLI.read_text(encoding="utf-8")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("verb", [None, *(verb.name for verb in VERBS)])
def test_help_is_the_programs(verb: str | None) -> None:
    """``make docs`` mends it."""
    marker = f"<!-- help: {verb} -->" if verb else "<!-- help -->"
    assert marker + "\n" + refresh_readme.help_text(verb) + "<!-- end -->" in (
        CLI if verb else TEXT
    )


def test_exit_codes_are_the_programs() -> None:
    assert "<!-- exit-codes -->\n" + refresh_readme.exit_codes() + "<!-- end -->" in TEXT
    assert {code for code, _ in EXIT_CODES} <= {code.value for code in ExitCode}


def test_refreshing_changes_a_stale_block_and_nothing_else() -> None:
    stale = "before\n<!-- exit-codes -->\nold\n<!-- end -->\nafter\n"
    fresh = refresh_readme.refreshed(stale)
    assert fresh.startswith("before\n<!-- exit-codes -->\n| code |")
    assert fresh.endswith("|\n<!-- end -->\nafter\n")
    assert refresh_readme.refreshed(fresh) == fresh


def test_opens_with_the_two_commands() -> None:
    first = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert first is not None
    commands = [line.partition("#")[0].strip() for line in first[1].splitlines()]
    assert commands == ["make demo", "portarchive export imaps://you@example.org ARCHIVE"]
    assert TEXT.index("```sh") < 40


def test_every_make_target_named_in_a_document_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make (?:PYTHON=\S+ )?([a-z]+)", text, re.MULTILINE))
        assert named
        assert named <= targets


def test_every_option_named_in_the_prose_exists() -> None:
    """An option that the README praises and the program does not have is a lie."""
    helps = "".join(refresh_readme.help_text(verb.name) for verb in VERBS)
    known = set(re.findall(r"--[a-z][a-z-]+", helps)) | {"--version", "--help"}
    prose = re.sub(r"```text.*?```", "", TEXT, flags=re.DOTALL)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose)) <= known

"""The registry of codes is whole, its page is what it says, and no check uses another code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portarchive.archive.dialect import QUIRKS
from portarchive.validate.codes import all_codes, checkable, explain
from tools.make_codes_doc import PAGE, page

ROOT = Path(__file__).parents[2]
# Statements P-001 ... P-059 of the draft, and its inconsistencies, numbered by section.
STATEMENTS = {f"P-{n:03}" for n in range(1, 60)}
INCONSISTENCIES = {
    f"C-{n:03}"
    for n in (
        *range(1, 16),
        *range(20, 49),
        *range(50, 64),
        *(70, 71, 72, 73, 74, 75, 76, 77, 79, 80, 81, 82, 83),
        *(90, 91, 92, 93, 95),
        *(*range(100, 110), *range(111, 119)),
    )
}
CODE = re.compile(r"\b[PCFZME]-\d{3}[a-z]?\b")


def test_every_statement_of_the_draft_has_a_code_or_a_reason() -> None:
    codes = all_codes()
    assert codes.keys() >= STATEMENTS
    for code in STATEMENTS:
        assert codes[code].severity or codes[code].why


def test_every_inconsistency_of_the_draft_has_a_decision() -> None:
    codes = all_codes()
    assert codes.keys() >= INCONSISTENCIES
    for code in INCONSISTENCIES:
        assert codes[code].severity or codes[code].why
    assert {code[:5] for code in codes if code.startswith("C-")} == INCONSISTENCIES


def test_every_row_says_what_it_has_to() -> None:
    for row in all_codes().values():
        assert CODE.fullmatch(row.id)
        assert row.meaning
        assert row.clause
        assert bool(row.severity) != bool(row.why)
        assert "|" not in row.id


def test_checks_use_these_codes_and_all_of_them() -> None:
    used: set[str] = set()
    for module in [
        *(ROOT / "portarchive/validate").rglob("*.py"),
        *(ROOT / "portarchive/archive").glob("tree*.py"),
        ROOT / "portarchive/archive/dialect.py",
    ]:
        if not module.name.startswith("codes"):
            used |= set(re.findall(r'"([PCFZME]-\d{3}[a-z]?)"', module.read_text("utf-8")))
    assert used == {row.id for row in checkable()}


def test_the_page_is_generated() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_quirks_have_codes() -> None:
    known = {row.id for row in checkable()}
    assert {quirk.code for quirk in QUIRKS} <= known
    assert len({quirk.name for quirk in QUIRKS}) == len(QUIRKS)


@pytest.mark.parametrize("word", ["p-014", "P-014", " P-014 "])
def test_explain(word: str) -> None:
    row = explain(word)
    assert row is not None
    assert row.id == "P-014"
    assert explain("P-999") is None

"""docs/index.md is what the code says."""

from __future__ import annotations

import sys
from pathlib import Path

from portarchive.index.columns import DEFECTS, TABLES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))

from make_index_doc import DOC, refreshed  # noqa: E402 - a tool, no package


def test_the_document_is_fresh() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert refreshed(text) == text, "run tests/tools/make_index_doc.py"


def test_every_defect_that_the_code_knows_is_documented() -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "portarchive/index").glob("*.py")
    ]
    for code in DEFECTS:
        assert sum(f'"{code}"' in source for source in sources) >= 2, f"{code} is never set"


def test_names_are_of_one_table_each_once() -> None:
    for name, table in TABLES.items():
        names = [column.name for column in table]
        assert len(names) == len(set(names)), name

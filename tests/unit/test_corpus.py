"""The public corpus: as the script writes it, complete, and found in it what must be found."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import portarchive
from portarchive.archive.tree import Limits
from portarchive.errors import ExitCode
from portarchive.validate.codes import Severity, all_codes, checkable

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/corpus"
CASES = sorted(path.parent for path in CORPUS.glob("*/*/*/expected.json"))
NO_CASE = {
    "F-001": "a bug of the validator, no property of an archive",
    "M-026": "rights and disks that fail: no checkout and no container holds them",
}
WORST = {"bad": Severity.ERROR, "warn": Severity.WARNING, "good": Severity.NOTE}
CONTAINERS_ONLY = {"F-010", "F-011", "F-012", "F-013", "F-014", "F-015", "F-019", "F-020"}


def expected(case: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((case / "expected.json").read_bytes())
    return told


def test_the_script_writes_the_committed_corpus(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "tests/tools/make_corpus.py", "--output", str(tmp_path)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Pacific/Chatham"},
    )
    made = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(CORPUS): path for path in CORPUS.glob("*/**/*") if path.is_file()}
    assert made.keys() == kept.keys()
    assert [name for name in made if made[name].read_bytes() != kept[name].read_bytes()] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: "/".join(case.parts[-3:]))
def test_found_is_what_must_be_found(case: Path) -> None:
    told = expected(case)
    report = portarchive.validate(
        case / told["archive"],
        level=told["level"],
        base=case / told["base"] if "base" in told else None,
        limits=dataclasses.replace(Limits(), **told.get("limits", {})),
    )
    wanted = Counter((one["code"], one["path"], one["pointer"]) for one in told["findings"])
    found = Counter((one.code, one.path, one.pointer) for one in report.findings)
    assert found == wanted
    assert report.counts.total() == len(report.findings)
    assert report.dialect in {told["dialect"], None}
    worst = ExitCode.FINDINGS if case.parts[-3] == "bad" else ExitCode.OK
    assert report.exit_code() is worst


def test_every_case_lies_where_it_belongs() -> None:
    for case in CASES:
        kind, dialect, name = case.parts[-3:]
        told = expected(case)
        found = [all_codes()[one["code"]].severity for one in told["findings"]]
        worst = next((one for one in WORST.values() if one in found), Severity.NOTE)
        assert worst is WORST[kind], case
        assert told["dialect"] == dialect
        code = name.partition("_")[0]
        if code in all_codes():
            assert code in {one["code"] for one in told["findings"]}, case
        else:
            assert "-" not in code, case


def test_every_code_has_a_case() -> None:
    named = {case.name.partition("_")[0] for case in CASES}
    assert {row.id for row in checkable()} - named == NO_CASE.keys()


def test_a_checkout_can_hold_it() -> None:
    """Names for every file system; what no checkout can hold is in a container; small."""
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    names = [path.relative_to(CORPUS).as_posix() for path in files]
    for case in CASES:
        found = {one["code"] for one in expected(case)["findings"]}
        assert not found & CONTAINERS_ONLY or not (case / "archive").is_dir(), case
    assert all(name.isascii() for name in names)
    assert len({name.lower() for name in names}) == len(names)
    assert max(map(len, names)) < 180
    assert not [path for path in CORPUS.rglob("*") if path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_readme_counts() -> None:
    text = (CORPUS / "README.md").read_text(encoding="utf-8")
    kinds = Counter(case.parts[-3] for case in CASES)
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in WORST)
    assert f"{len(CASES)} archives: {counts}." in text
    for code in NO_CASE:
        assert f"`{code}`" in text

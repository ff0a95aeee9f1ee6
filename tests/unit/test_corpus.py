"""The public corpus: as the script writes it, complete, and found in it what must be found."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
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
NO_CASE = {row.id: row.no_case for row in checkable() if row.no_case}
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


@contextlib.contextmanager
def unreadable(archive: Path, names: list[str]) -> Iterator[Path]:
    """A copy in which nobody may read these; root, who may, is somebody else for a while."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        copy = shutil.copytree(archive, Path(place) / "archive")
        for path in copy.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        portarchive.validate(copy)  # what is loaded on demand may lie where nobody can read
        for name in names:
            (copy / name).chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield copy
        finally:
            if root:
                os.seteuid(0)
            for name in names:
                (copy / name).chmod(0o700)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "/".join(case.parts[-3:]))
def test_found_is_what_must_be_found(case: Path) -> None:
    told = expected(case)
    archive = case / told["archive"]
    names = told.get("unreadable")
    with unreadable(archive, names) if names else nullcontext(archive) as path:
        report = portarchive.validate(
            path,
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
    """Or the registry, and with it docs/codes.md, says why it can have none."""
    named = {case.name.partition("_")[0] for case in CASES}
    assert {row.id for row in checkable()} - named == NO_CASE.keys() == {"F-001"}
    page = (ROOT / "docs/codes.md").read_text(encoding="utf-8")
    for code, why in NO_CASE.items():
        assert f"| {code} | {why} |" in page


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

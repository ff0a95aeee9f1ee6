"""How a validation ends, what its report holds, and what no corpus can have."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import portarchive
from portarchive.archive.tree import Limits
from portarchive.errors import ExitCode, NotAnArchive, SettingsError, Unfinished
from portarchive.validate.report import KEPT, Report
from validating import SECOND, chained, dumped, folder, good, item, tarred, write, zipped

MORE = "mail/INBOX/more.eml"


def symlink(path: Path) -> None:
    (path / MORE).symlink_to("/etc/hostname")


def pipe(path: Path) -> None:
    os.mkfifo(path / MORE)


def not_utf8(path: Path) -> None:
    (path / os.fsdecode(b"mail/INBOX/caf\xe9.eml")).write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "code"), [(symlink, "F-012"), (pipe, "F-013"), (not_utf8, "F-011")]
)
def test_what_only_a_file_system_can_have(
    make: Callable[[Path], None], code: str, tmp_path: Path
) -> None:
    """No checkout can hold these; the corpus has them in containers."""
    path = write(chained(), tmp_path / "a")
    make(path)
    assert portarchive.validate(path).counts == {code: 1}


def test_an_item_beside_archive_json(tmp_path: Path) -> None:
    """A folder.json at the root is read like every other; the archive's own files are no mail."""
    names = ["more.eml", SECOND, "archive.json", "folder.json", "../x.eml", "missing.eml"]
    items = [{**item(number), "filename": name} for number, name in enumerate(names, 1)]
    for one in items:
        del one["portarchive:size"], one["portarchive:sha256"]
    files = good() | {"folder.json": dumped(folder("Jane", "M9", items)), "more.eml": b""}
    report = portarchive.validate(write(files, tmp_path / "a"))
    found = {(one.code, one.pointer) for one in report.findings if one.path == "folder.json"}
    assert found == {
        ("C-040", ""),
        ("C-035b", "/items"),
        ("C-035", "/items/2/filename"),
        ("C-035", "/items/3/filename"),
        ("C-035", "/items/4/filename"),
        ("C-111", "/items/5/filename"),
    }
    assert (report.folders, report.messages) == (2, 2)


@pytest.mark.parametrize("files", [good, chained])
def test_nothing_is_wrong_with_a_good_one(files: object, tmp_path: Path) -> None:
    for path in (
        write(files(), tmp_path / "a"),  # type: ignore[operator]
        zipped(files(), tmp_path / "a"),  # type: ignore[operator]
        tarred(files(), tmp_path / "a"),  # type: ignore[operator]
    ):
        report = portarchive.validate(path)
        assert report.counts.keys() <= {"M-001"}
        assert report.exit_code(strict=True) is ExitCode.OK
        assert (report.folders, report.messages) == (2, 2)


SMALL = {
    "F-002": {"document": 100},
    "F-005": {"value": 10},
    "F-016": {"entries": 3},
    "F-018": {"total": 100},
}


@pytest.mark.parametrize("code", SMALL)
@pytest.mark.parametrize("container", ["directory", "zip", "tar"])
def test_limits(code: str, container: str, tmp_path: Path) -> None:
    files = good()
    files["mail/INBOX/folder.json"] = files["mail/INBOX/folder.json"].replace(
        b'"INBOX"', b'"%s"' % (b"x" * (3 << 20))
    )
    path = {"directory": write, "zip": zipped, "tar": tarred}[container](files, tmp_path / "a")
    report = portarchive.validate(path, limits=dataclasses.replace(Limits(), **SMALL[code]))
    assert report.counts[code]
    assert report.exit_code() is ExitCode.FINDINGS


def test_an_unfinished_archive(tmp_path: Path) -> None:
    files = good()
    del files["archive.json"]
    write(files, tmp_path)
    with pytest.raises(NotAnArchive):
        portarchive.validate(tmp_path)
    (tmp_path / ".portarchive").mkdir()
    with pytest.raises(Unfinished) as caught:
        portarchive.validate(tmp_path)
    assert caught.value.exit_code is ExitCode.UNFINISHED


@pytest.mark.parametrize("octets", [b"", b"hello", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"])
def test_what_is_no_archive(octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(octets)
    try:
        report = portarchive.validate(path)
    except NotAnArchive as error:
        assert error.exit_code is ExitCode.NO_ARCHIVE
    else:
        assert report.counts["Z-014"]
    with pytest.raises(NotAnArchive):
        portarchive.validate(tmp_path / "nothing")


def test_there_are_three_levels(tmp_path: Path) -> None:
    files = chained()
    files["mail/INBOX/7-0000000001.eml"] = b"x" * len(files["mail/INBOX/7-0000000001.eml"])
    write(files, tmp_path)
    assert portarchive.validate(tmp_path, level="schema").ok
    assert portarchive.validate(tmp_path, level="structure").ok
    assert not portarchive.validate(tmp_path, level="deep").ok
    del files["mail/INBOX/7-0000000001.eml"]
    (tmp_path / "mail/INBOX/7-0000000001.eml").unlink()
    assert portarchive.validate(tmp_path, level="schema").ok
    assert not portarchive.validate(tmp_path, level="structure").ok
    with pytest.raises(SettingsError):
        portarchive.validate(tmp_path, level="deeper")


def test_a_report_stays_small(tmp_path: Path) -> None:
    files = good()
    document = json.loads(files["mail/INBOX/folder.json"])
    document["items"] = [{"uid": str(n), "filename": "nope"} for n in range(1, 2 * KEPT)]
    document["last_uid"] = 2 * KEPT
    files["mail/INBOX/folder.json"] = json.dumps(document).encode()
    report = portarchive.validate(write(files, tmp_path))
    assert report.counts["C-111"] == 2 * KEPT - 1
    assert sum(found.code == "C-111" for found in report.findings) == KEPT
    assert report.to_dict()["totals"]["error"] >= 2 * KEPT - 1


def test_exit_codes() -> None:
    report = Report("x", "deep")
    assert report.exit_code(strict=True) is ExitCode.OK
    report.add("E-001")
    assert report.exit_code(strict=True) is ExitCode.OK
    report.add("F-020")
    assert report.exit_code() is ExitCode.OK
    assert report.exit_code(strict=True) is ExitCode.FINDINGS
    report.add("C-111")
    assert report.exit_code() is ExitCode.FINDINGS
    report.add("F-001")
    assert report.exit_code() is ExitCode.BUG
    with pytest.raises(KeyError):
        report.add("P-001")


def test_a_broken_check_is_never_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: object) -> None:
        raise ZeroDivisionError("private words")

    monkeypatch.setattr("portarchive.validate.engine.check_ledger", broken)
    report = portarchive.validate(write(chained(), tmp_path))
    assert report.exit_code() is ExitCode.BUG
    text = next(found.text for found in report.findings if found.code == "F-001")
    assert "ZeroDivisionError" in text
    assert "private" not in text


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """It is there when names are looked at, and gone when it is read."""
    from portarchive.validate import engine

    path = write(good(), tmp_path)
    original = engine.check_tree

    def vanish(run: object) -> None:
        original(run)  # type: ignore[arg-type]
        (path / "mail/INBOX/folder.json").unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "check_tree", vanish)
        report = portarchive.validate(path)
    assert report.counts["M-026"]


def test_nothing_is_written(tmp_path: Path) -> None:
    path = write(chained(), tmp_path)
    before = sorted((p, p.stat().st_mtime_ns) for p in path.rglob("*"))
    portarchive.validate(path)
    assert sorted((p, p.stat().st_mtime_ns) for p in path.rglob("*")) == before

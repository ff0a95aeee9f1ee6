"""Parts of the validator by themselves: dialects, processes that hash, sets, places."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest

import portarchive
from portarchive import schema
from portarchive.archive import dialect
from portarchive.archive.tree import Limits
from portarchive.errors import Unfinished
from portarchive.validate import engine, hashing
from portarchive.validate.checks.ledger import size_of_set
from portarchive.validate.checks.metadata import schema_of
from portarchive.validate.checks.references import plain_uid
from portarchive.validate.ijson import Document
from portarchive.validate.ijson_places import Defect
from validating import chained, good, write


@pytest.mark.parametrize(
    ("version", "file", "wanted"),
    [
        ("draft-ietf-mailmaint-pdparchive-02", "archive.json", "ietf-02"),
        ("Draft-IETF-Mailmaint-PDPArchive-01", "archive.json", "ietf-01"),
        ("draft-happel-mailmaint-pdparchive-01", "index.json", "happel-01"),
        ("draft-ietf-mailmaint-pdparchive-09", "archive.json", "ietf-02"),
        ("PDPA v1.0", "archive.json", "ietf-02"),
        ("draft-ietf-mailmaint-pdparchive-011", "archive.json", "ietf-02"),
        (None, "index.json", "happel-02"),
        (7, "archive.json", "ietf-02"),
    ],
)
def test_identify(version: object, file: str, wanted: str) -> None:
    found = dialect.identify({"archive": {"version": version}}, file)
    assert found.dialect == wanted
    assert found.by_version == ("version-unknown" not in found.quirks)
    assert ("older-dialect" in found.quirks) == (wanted != "ietf-02")


@pytest.mark.parametrize("metadata", [None, 5, [], {}, {"archive": 5}, {"dataset": []}])
def test_identify_anything(metadata: object) -> None:
    assert dialect.identify(metadata).dialect == "ietf-02"


def test_the_first_draft_is_known_by_its_selector() -> None:
    assert dialect.identify({"dataset": {"selector": "x"}}).dialect == "ietf-00"


def test_dialects_are_those_that_have_schemas() -> None:
    assert set(dialect.DIALECTS) == set(schema.DIALECTS)
    for name in dialect.DIALECTS:
        for kind in schema.names():
            assert schema_of(kind, name)


def test_lists_have_nothing_but_entries_to_check() -> None:
    """They are checked entry by entry, so that a rule for a whole list would be passed over."""
    for name in dialect.DIALECTS:
        properties = schema.load("folder", name)["properties"]
        for member in ("items", "portarchive:kept", "portarchive:placeholder"):
            assert properties.get(member, {}).keys() <= {"description", "type", "items"}


def test_an_old_archive(tmp_path: Path) -> None:
    """As draft-happel-mailmaint-pdparchive-01 has it."""
    folder = {
        "uidvalidity": 7,
        "last_uid": 2,
        "is_subscribed": True,
        "role": "inbox",
        "uids": {"1": "1.eml", "2": "2.eml"},
        "flags": {"1": ["$seen"]},
    }
    about = {"version": "draft-happel-mailmaint-pdparchive-01", "id": 123}
    files = {
        "index.json": json.dumps(
            {"archive": about, "dataset": {"extent": "full"}, "datasource": {}}
        ).encode(),
        "mail/INBOX/folder.json": json.dumps(folder).encode(),
        "mail/INBOX/1.eml": b"From: a\r\nDate: b\r\n\r\n",
        "mail/INBOX/2.eml": b"From: a\r\nDate: c\r\n\r\n",
    }
    report = portarchive.validate(write(files, tmp_path))
    assert report.dialect == "happel-01"
    assert report.ok, report.findings
    assert report.messages == 2
    assert report.counts.keys() >= {"F-070", "F-073"}


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_FEW_FILES", 0)
    monkeypatch.setattr(hashing, "_FEW_OCTETS", 0)
    monkeypatch.setattr(hashing, "_CHUNK_FILES", 2)


@pytest.mark.usefixtures("in_processes")
def test_processes_find_what_one_process_finds(tmp_path: Path) -> None:
    files = chained()
    files["mail/INBOX/7-0000000001.eml"] = b"changed"
    files["blob/sketch-1"] = b""
    path = write(files, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_FEW_FILES", 10**9)
        patch.setattr(hashing, "_FEW_OCTETS", 10**9)
        alone = portarchive.validate(path).to_dict()
    assert portarchive.validate(path).to_dict() == alone
    assert alone["counts"]["M-009"] == 2


@pytest.mark.usefixtures("in_processes")
@pytest.mark.parametrize("program", ["raise SystemExit", "print('x')", "import os; os.abort()"])
def test_a_process_that_dies_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(hashing, "_PROGRAM", program)
    files = chained()
    files["blob/sketch-1"] = b"changed"
    report = portarchive.validate(write(files, tmp_path))
    assert report.counts["M-009"] == 1
    assert not report.counts["F-001"]


def test_an_archive_that_is_published_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(chained(), tmp_path)
    original = engine.check_references

    def publish(run: Any) -> None:
        (path / "archive.json").write_bytes(good()["archive.json"])
        original(run)

    monkeypatch.setattr(engine, "check_references", publish)
    with pytest.raises(Unfinished) as caught:
        portarchive.validate(path)
    assert caught.value.code == "changed-meanwhile"


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 0), ("1", 1), ("1:5,9", 6), ("Ma,Mb", 2), ("5:1", 0), ("1:9999999999999999999999", 1)],
)
def test_size_of_set(text: str, size: int) -> None:
    assert size_of_set(text) == size


def test_uids_are_compared_bare() -> None:
    bare = "062adcfa-105d-455c-bc60-6db68b69c3f3"
    assert plain_uid(f"URN:UUID:{bare.upper()}") == bare
    assert plain_uid("Home") == "Home"


PLACED = [
    (b'{"a":\n  tru}', "P-003", "2:3"),
    (b'{"a": 1,}', "P-003", "1:9"),
    (b'{"a": {"b~/c": 1, "b~/c": 2}}', "P-003d", "/a/b~0~1c"),
    (b'{"items": [{}, {"x": "\\udfff"}]}', "P-003e", "/items/1/x"),
    (b'{"a":\n"\xff"}', "P-003b", "2:2"),
    (b'{"a": 123456789012345678901234567890}', "P-003g", "/a"),
    (b'{"a": [NaN]}', "P-003", "/a/0"),
]


@pytest.mark.parametrize(("octets", "code", "place"), PLACED)
@pytest.mark.parametrize("before", [0, 3_000_000])
def test_defects_are_placed(octets: bytes, code: str, place: str, before: int) -> None:
    """Also behind more blanks than one window holds."""
    defects: list[Defect] = []
    # what comes before is another line, and moves every line by one
    blanks = b" " * before + b"\n" if before else b""
    document = Document(io.BytesIO(blanks + octets), Limits(), defects.append)
    for _ in document.parts(("items",)):
        pass
    line, colon, column = place.partition(":")
    if before and colon:
        place = f"{int(line) + 1}:{column}"
    assert [(one.code, one.pointer) for one in defects] == [(code, place)]


def test_windows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"a": "é\U0001f600" * 50, "items": [{"n": n, "s": "x\\u"} for n in range(40)]}
    octets = json.dumps(value, ensure_ascii=False).encode()
    for window in (1, 2, 3, 7, 64):
        monkeypatch.setattr("portarchive.validate.ijson._WINDOW", window)
        document = Document(io.BytesIO(octets), Limits(), pytest.fail)
        assert document.whole() == value


def test_limits_of_values() -> None:
    defects: list[Defect] = []
    limits = dataclasses.replace(Limits(), string=5, depth=3)
    octets = b'{"a": "123456", "b": [[[1]]], "c": 1}'
    document = Document(io.BytesIO(octets), limits, defects.append)
    assert document.whole() is None
    assert [(one.code, one.pointer) for one in defects] == [("F-004", "/a"), ("F-003", "/b/0/0")]

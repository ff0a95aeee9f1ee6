"""Rows taken over: each once, and none from an index that does not look as it should."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive.contents import open_contents
from portarchive.index import columns
from portarchive.index.build import IndexReport, build
from portarchive.index.place import locate, state_of

ATTACHED = (
    b"From: a@example.org\r\nMessage-ID: <attached@example.org>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--b--\r\n"
)


def indexed(archive: Path, place: Path, **options: Any) -> IndexReport:
    with open_contents(archive) as contents:
        return build(contents, place, jobs=1, **options)


def everything(place: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: pq.read_table(place / f"{name}.parquet").to_pylist() for name in columns.TABLES}


def not_current(place: Path) -> None:
    file = place / "index.json"
    state = json.loads(file.read_bytes())
    state["archive"]["changed_meanwhile"] = True
    file.write_text(json.dumps(state))


def unchained(archive: Path) -> None:
    """Make it an archive without a manifest."""
    file = archive / "archive.json"
    told = json.loads(file.read_bytes())
    del told["archive"]["portarchive:manifest"]
    file.write_text(json.dumps(told))


def rewritten(place: Path, name: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change rows of a table, and index.json so that it tells the size of the new file."""
    file = place / f"{name}.parquet"
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
    state = json.loads((place / "index.json").read_bytes())
    state["tables"][name]["octets"] = file.stat().st_size
    (place / "index.json").write_text(json.dumps(state))


@pytest.mark.parametrize("times", [2, 3])
def test_a_message_that_is_listed_twice_has_two_rows(tmp_path: Path, times: int) -> None:
    source = account("ids", INBOX=2)
    source.add(ATTACHED, "INBOX")
    archive, place = tmp_path / "a", tmp_path / "i"
    export(source, archive)
    unchained(archive)
    indexed(archive, place)
    folder = archive / "mail/INBOX/folder.json"
    told = json.loads(folder.read_bytes())
    listed = next(value for value in told.values() if isinstance(value, list) and value)
    listed += [dict(listed[-1]) for _ in range(times - 1)]
    folder.write_text(json.dumps(told))
    report = indexed(archive, place)
    assert (report.read, report.taken, report.rebuilt) == (times - 1, 3, False)
    found = everything(place)
    assert [row["row_id"] for row in found["attachments"]] == list(range(2, 2 + times))
    indexed(archive, place)
    assert everything(place) == found
    indexed(archive, place, rebuild=True)
    assert everything(place) == found


def first(name: str, value: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0][name] = value

    return change


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("attachments", first("row_id", 10**9)),
        ("attachments", first("row_id", 3)),
        ("attachments", first("row_id", -1)),
        ("attachments", first("row_id", None)),
        ("attachments", list[dict[str, Any]].clear),
        ("messages", first("reference_ids", None)),
        ("messages", first("in_reply_to", [None])),
        ("messages", first("defects", None)),
        ("messages", first("defects", ["unheard-of"])),
        ("messages", first("to_addresses", None)),
        ("messages", first("to_addresses", [{"name": None, "address": "a@b"}])),
        ("messages", first("attachment_count", None)),
        ("messages", first("one_click", None)),
        ("messages", list[dict[str, Any]].pop),
    ],
)
def test_an_index_of_odd_rows_is_as_good_as_none(
    tmp_path: Path, table: str, change: Callable[[list[dict[str, Any]]], Any]
) -> None:
    source = account("ids", INBOX=2)
    source.add(ATTACHED, "INBOX")
    archive, place = tmp_path / "a", tmp_path / "i"
    export(source, archive)
    indexed(archive, place)
    good = everything(place)
    rewritten(place, table, change)
    not_current(place)
    report = indexed(archive, place)
    assert (report.read, report.rebuilt) == (3, True)
    assert everything(place) == good


def test_texts_that_are_not_utf_8_are_as_good_as_none(tmp_path: Path) -> None:
    archive, place = tmp_path / "a", tmp_path / "i"
    export(account("ids", INBOX=2), archive)
    indexed(archive, place)
    good = everything(place)
    file = place / "messages.parquet"
    table = pq.read_table(file)
    number = table.schema.get_field_index("message_id")
    odd = pa.array([b"\xff"] * 2, pa.binary()).view(pa.string())
    pq.write_table(table.set_column(number, table.schema.field(number), odd), file)
    state = json.loads((place / "index.json").read_bytes())
    state["tables"]["messages"]["octets"] = file.stat().st_size
    (place / "index.json").write_text(json.dumps(state))
    not_current(place)
    assert indexed(archive, place).rebuilt
    assert everything(place) == good


def packed(tree: Path, to: Path) -> Path:
    to.unlink(missing_ok=True)
    with zipfile.ZipFile(to, "w") as out:
        for name in sorted(archive_facts.files(tree, private=True)):
            out.write(tree / name, name)
    return to


def test_a_container_published_anew_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = account("ids", INBOX=3)
    places = []
    for wanted in ((3, 0), (1, 3)):
        export(source, tmp_path / "a")
        container = packed(tmp_path / "a", tmp_path / "a.zip")
        (tmp_path / "link.zip").unlink(missing_ok=True)
        (tmp_path / "link.zip").symlink_to(container)
        with open_contents(container) as contents:
            place = locate(container, contents)
            assert locate(tmp_path / "link.zip", contents) == place
            assert locate(tmp_path / "other.zip", contents) != place
            report = build(contents, place, jobs=1)
        assert (report.read, report.taken, report.rebuilt) == (*wanted, not places)
        assert state_of(place) is not None
        places.append(place)
        source.add(mail("new"), "INBOX")
    assert places[0] == places[1]
    assert [file.name for file in (tmp_path / "cache/portarchive/index").iterdir()] == [
        places[0].name
    ]

"""folder.json: our own layout line by line, any other through the general parser, alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archive_facts
from portarchive.archive import folder_state, model
from portarchive.archive.folder_file import FolderFile, FolderFileWriter, parse_entry
from portarchive.errors import Damaged

HEADER: dict[str, Any] = {
    "$schema": model.FOLDER_SCHEMA,
    "name": "Entwürfe \U0001f4ec",
    "uidvalidity": 7,
    "allowed_keywords": ["$seen", "größer"],
    "foreign": {"items": [1], "x": "],"},
}
ITEMS: list[dict[str, Any]] = [
    {
        "uid": "1",
        "filename": "7-0000000001.eml",
        "flags": [],
        model.SIZE: 3,
        model.SHA256: "0" * 64,
    },
    {
        "uid": "2",
        "filename": "../A/x.eml",
        "flags": ["$seen", 'a"b\\c', "],"],
        "x": {"filename": 1},
    },
    {"uid": 'o"d', "filename": "ü.eml", "flags": ["{"], "later": None},
]
KEPT = [{"uid": "9", "filename": "9.eml", "flags": [], "expunged_at": "2026-01-01T00:00:00Z"}]


def write(path: Path, header: dict[str, Any], **lists: list[dict[str, Any]]) -> FolderFileWriter:
    writer = FolderFileWriter(path, header)
    writer.entries(model.dumps(entry).encode() for entry in lists["items"])
    for member in (model.KEPT, model.PLACEHOLDER):
        if lists.get(member):
            writer.section(member)
            writer.entries(model.dumps(entry).encode() for entry in lists[member])
    writer.close()
    return writer


def everything(file: FolderFile) -> dict[str, list[dict[str, Any]]]:
    return {member: list(file.entries(member)) for member in model.ITEM_LISTS}


@pytest.mark.parametrize("items", [[], ITEMS[:1], ITEMS])
@pytest.mark.parametrize("kept", [[], KEPT])
@pytest.mark.parametrize("placeholders", [[], KEPT * 2])
def test_what_is_written_is_json_and_is_read(
    tmp_path: Path, items: list[Any], kept: list[Any], placeholders: list[Any]
) -> None:
    path = tmp_path / "folder.json"
    lists = {"items": items, model.KEPT: kept, model.PLACEHOLDER: placeholders}
    writer = write(path, HEADER, **lists)
    octets = path.read_bytes()
    document = archive_facts.strict(octets)
    assert document == HEADER | {
        name: found for name, found in lists.items() if found or name == "items"
    }
    assert writer.sha256 == archive_facts.sha256(octets)
    assert (writer.size, writer.count) == (len(octets), sum(map(len, lists.values())))
    file = FolderFile(path, "f")
    assert file.header == HEADER
    assert everything(file) == lists
    assert [member for member, _ in file.all_lines()] == [
        member for member in model.ITEM_LISTS for _ in lists[member]
    ]
    for place, line in file.lines_with_offsets():
        assert file.line_at(place) == line


def test_one_item_a_line_and_members_in_order(tmp_path: Path) -> None:
    path = tmp_path / "folder.json"
    shuffled = {name: HEADER[name] for name in sorted(HEADER, reverse=True)}
    write(path, shuffled, items=ITEMS)
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 1 + len(ITEMS) + 1
    assert list(json.loads(lines[0] + "]}"))[:4] == [
        "$schema",
        "name",
        "uidvalidity",
        "allowed_keywords",
    ]


@pytest.mark.parametrize("layout", [{"indent": 1}, {"indent": None}, {"separators": (",", ":")}])
def test_other_layouts_read_the_same(tmp_path: Path, layout: dict[str, Any]) -> None:
    path = tmp_path / "folder.json"
    lists = {"items": ITEMS, model.KEPT: KEPT}
    path.write_text(json.dumps(HEADER | lists, **layout), "utf-8")
    file = FolderFile(path, "f")
    assert file.header == HEADER
    assert everything(file) == lists | {model.PLACEHOLDER: []}
    for place, line in file.lines_with_offsets():
        assert parse_entry(file.line_at(place)) == parse_entry(line)


def test_heads_of_entries(tmp_path: Path) -> None:
    for entry in ITEMS:
        line = model.dumps(entry).encode()
        uid, filename, flags = folder_state.split_head(line)
        assert (uid, filename, json.loads(flags)) == (
            entry["uid"],
            entry["filename"],
            entry["flags"],
        )
        assert folder_state.split_head_any(line) == entry["filename"]
        assert folder_state.split_head_any(b"I 12 " + line) == entry["filename"]
        fresh = parse_entry(folder_state.replace_flags(line, b'["new"]'))
        assert fresh == entry | {"flags": ["new"]}


@pytest.mark.parametrize(
    "entry",
    [
        {"x": {"filename": "evil"}, "uid": "1", "filename": "good.eml", "flags": []},
        {"x": {"y": 1, "filename": "evil"}, "uid": "1", "filename": "good.eml", "flags": []},
        {"uid": '","filename":"evil', "filename": "good.eml", "flags": []},
        {"flags": ['"filename":"evil"'], "uid": "1", "filename": "good.eml"},
    ],
)
def test_an_entry_is_named_by_its_own_filename(entry: dict[str, Any]) -> None:
    line = model.dumps(entry).encode()
    assert folder_state.split_head_any(line) == "good.eml"
    assert folder_state.split_head(line)[:2] == (entry["uid"], "good.eml")


def test_the_digest_of_an_entry() -> None:
    digest = "ab" * 32
    last = model.dumps({"uid": "1", "filename": "f", "flags": [], model.SHA256: digest}).encode()
    inside = model.dumps({"uid": "1", model.SHA256: digest, "later": "0" * 90}).encode()
    assert folder_state.line_sha256(last) == folder_state.line_sha256(inside) == digest.encode()
    assert folder_state.line_sha256(b'{"uid":"1"}') == b""
    # Known by its place, without a search: it is looked up for each of 300,000 messages.
    assert last[-88:-66] == folder_state._SHA256_LAST


@pytest.mark.parametrize(
    ("less", "more"),
    [("2", "10"), ("10", "A"), ("A", "B"), ("18446744073709551615", "x"), ("9" * 19, "9" * 20)],
)
def test_the_order_of_uids(less: str, more: str) -> None:
    assert folder_state.order_key(less) < folder_state.order_key(more)


@pytest.mark.parametrize("other", ["07", "+7", "7 ", "\u0667", "7_0", "00", ""])
def test_different_uids_are_different_keys(other: str) -> None:
    assert folder_state.order_key(other) != folder_state.order_key("7")
    assert folder_state.order_key(other) != folder_state.order_key("0")
    assert folder_state.order_key("70") != folder_state.order_key(other)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"null",
        b'{"items":{}}',
        b'{"items":[],"items":[]}',
        b'{"name":"a","name":"b","items":[\n]}\n',
        b'{"name":NaN,"items":[\n]}\n',
        b'{"name":"\xff","items":[\n]}\n',
        b'{"items":' + b"[" * 5000,
        b'{"items":[',
    ],
)
def test_what_is_no_folder_json(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "folder.json"
    path.write_bytes(octets)
    with pytest.raises(Damaged, match="the name"):
        FolderFile(path, "the name")


@pytest.mark.parametrize("member", [*model.ITEM_LISTS, "all"])
def test_torn_at_every_offset(tmp_path: Path, member: str) -> None:
    path = tmp_path / "folder.json"
    write(path, {"name": "a"}, items=ITEMS[:1], **{model.KEPT: KEPT, model.PLACEHOLDER: KEPT})
    whole = path.read_bytes()
    for size in range(len(whole) - 1):
        path.write_bytes(whole[:size])
        try:
            file = FolderFile(path, "f")
            found = list(file.all_lines()) if member == "all" else list(file.entries(member))
        except Damaged:
            continue
        # Only what lies wholly before the cut may still read as it was.
        assert member != "all"
        assert found == (ITEMS[:1] if member == "items" else KEPT)
        assert whole.index(b"],") < size


def test_a_line_of_somebody_else_in_our_layout(tmp_path: Path) -> None:
    path = tmp_path / "folder.json"
    path.write_bytes(b'{"name":"a","items":[\nhello\n]}\n')
    with pytest.raises(Damaged):
        list(FolderFile(path, "f").entries("items"))
    path.write_bytes(b'{"name":"a","items":[\n{"uid":1,"uid":2}\n]}\n')
    with pytest.raises(Damaged):
        list(FolderFile(path, "f").entries("items"))

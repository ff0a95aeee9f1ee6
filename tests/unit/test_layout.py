"""Which directory belongs to which mailbox, read back from the folder.json files."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from portarchive.archive.layout import Layout, own_name
from portarchive.errors import Damaged, UnsafePath


def folder(root: Path, path: str, **header: Any) -> None:
    directory = root / "mail" / path
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "folder.json").write_text(json.dumps(header | {"items": []}), "utf-8")


def test_an_empty_place(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.published == {}
    assert layout.assign([("INBOX",), ("A", "B")]) == {
        ("A",): "A",
        ("INBOX",): "INBOX",
        ("A", "B"): "A/B",
    }


def test_names_are_read_back(tmp_path: Path) -> None:
    raw = base64.b64encode(b"Entw\xfcrfe").decode()
    folder(tmp_path, "INBOX", name="INBOX")
    folder(tmp_path, "a%2Fb", name="a/b", original_name="a/b")
    folder(tmp_path, "a%2Fb/x", name="x")
    folder(tmp_path, "Entw%FCrfe", name="Entw%FCrfe", **{"portarchive:raw_name": raw})
    folder(tmp_path, "nameless")
    names = Layout(tmp_path).names()
    assert names == {
        "INBOX": ("INBOX",),
        "a%2Fb": ("a/b",),
        "a%2Fb/x": ("a/b", "x"),
        "Entw%FCrfe": ("Entw\udcfcrfe",),
        "nameless": ("nameless",),
    }


def test_a_directory_is_kept_for_life(tmp_path: Path) -> None:
    folder(tmp_path, "odd", name="Work")
    folder(tmp_path, "odd/Deep", name="Deep")
    layout = Layout(tmp_path)
    given = layout.assign([("Work", "Deep"), ("Work", "New"), ("work",)])
    assert given.pop(("work",)).startswith("work~"), "a twin of what is published, by name"
    assert given == {
        ("Work",): "odd",
        ("Work", "Deep"): "odd/Deep",
        ("Work", "New"): "odd/New",
    }


def test_directories_without_folder_json_are_nobodys(tmp_path: Path) -> None:
    folder(tmp_path, "A/B/C", name="C")
    (tmp_path / "mail/x.eml").mkdir()
    folder(tmp_path, "%78.eml", name="x.eml")
    assert set(Layout(tmp_path).published) == {"A/B/C", "%78.eml"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder(tmp_path / "elsewhere", "Secret", name="Secret")
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/link").symlink_to(tmp_path / "elsewhere/mail/Secret")
    assert Layout(tmp_path).published == {}


def test_a_folder_json_that_does_not_parse(tmp_path: Path) -> None:
    (tmp_path / "mail/A").mkdir(parents=True)
    (tmp_path / "mail/A/folder.json").write_bytes(b"{")
    with pytest.raises(Damaged, match=r"mail/A/folder\.json"):
        Layout(tmp_path)


def test_a_directory_whose_name_is_not_text(tmp_path: Path) -> None:
    folder(tmp_path, "caf\udce9", name="café")
    with pytest.raises(UnsafePath, match="Unicode"):
        Layout(tmp_path)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"name": "n"}, "n"),
        ({"name": "n", "original_name": "o"}, "o"),
        ({"name": 7}, "dir"),
        ({"name": "n", "portarchive:raw_name": "not base64!"}, "n"),
        ({"name": "n", "portarchive:raw_name": 7}, "n"),
        ({"name": "n", "portarchive:raw_name": "YWJj"}, "abc"),
    ],
)
def test_the_name_of_a_mailbox(header: dict[str, object], name: str) -> None:
    assert own_name(header, "dir") == name

"""The same source, or another one: by account, host, and what folders say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporting import account, export, mail
from portarchive.connectors.memory import MemorySource
from portarchive.errors import Refused, WrongSource
from portarchive.jobs.identity import check_selection, check_unfinished, host


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("imaps://imap.example.org:993", "imap.example.org"),
        ("imap://IMAP.Example.ORG", "imap.example.org"),
        ("imaps://[::1]:993", "::1"),
        ("maildir:/var/mail/x", "maildir:/var/mail/x"),
        ("imaps://[broken", "imaps://[broken"),
        ("", ""),
    ],
)
def test_the_host_of_an_endpoint(service: str, name: str) -> None:
    assert host(service) == name


def test_another_port_is_the_same_host(tmp_path: Path) -> None:
    source = account(INBOX=2)
    source.service = "imaps://mail.example.org:993"
    export(source, tmp_path / "a")
    source.service = "imap://mail.example.org:143"
    assert not export(source, tmp_path / "a").published


def moved(path: Path, change: Any) -> MemorySource:
    """An archive is made; then the same account answers at another host, changed."""
    source = account("lists", INBOX=5, Work=5, Third=5)
    export(source, path)
    source.service = "imaps://elsewhere.example.org"
    for box in source._boxes.values():
        box.record = type(box.record)(folder_id=box.record.folder_id, path=box.record.path)
    change(source)
    return source


def boxes(source: MemorySource) -> list[Any]:
    return list(source._boxes.values())


def none(_: MemorySource) -> None:
    """MAILBOXIDs are gone, UIDVALIDITY and sizes are the same."""


def one_folder(source: MemorySource) -> None:
    for box in boxes(source)[1:]:
        box.uidvalidity += 1


def two_folders(source: MemorySource) -> None:
    boxes(source)[0].uidvalidity += 1


def other_sizes(source: MemorySource) -> None:
    for box in boxes(source):
        for item in box.items.values():
            item.message.octets += b"longer"


def one_other_size(source: MemorySource) -> None:
    for box in boxes(source)[:2]:
        next(iter(box.items.values())).message.octets += b"longer"


def few(source: MemorySource) -> None:
    for name in ("INBOX", "Work", "Third"):
        source.expunge(name, 1, 2, 3)


def three_left(source: MemorySource) -> None:
    for name in ("INBOX", "Work"):
        source.expunge(name, 1, 2)
        source.add(mail("new"), name)


def ids(source: MemorySource) -> None:
    for box in boxes(source)[:2]:
        box.record = type(box.record)(
            folder_id=box.record.folder_id, path=box.record.path, uid=box.record.folder_id
        )
        box.uidvalidity += 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (none, True),
        (one_folder, False),
        (two_folders, True),
        (other_sizes, False),
        (one_other_size, False),
        (few, False),
        (three_left, True),
        (ids, True),
    ],
)
def test_two_folders_that_agree(tmp_path: Path, change: Any, same: bool) -> None:
    source = moved(tmp_path / "a", change)
    if same:
        assert export(source, tmp_path / "a").complete
    else:
        with pytest.raises(WrongSource) as caught:
            export(source, tmp_path / "a")
        assert "jane@example.org" in caught.value.text
        assert "--accept-source-change" in (caught.value.hint or "")


def test_selections() -> None:
    check_selection({}, {}, change=False)
    check_selection({"a": [1]}, {"a": [1]}, change=False)
    check_selection({"a": [1]}, {}, change=True)
    with pytest.raises(Refused):
        check_selection({"a": [1]}, {"a": [2]}, change=False)


@pytest.mark.parametrize(
    "began", [None, [], {}, {"account": "joe"}, {"account": "jane", "service": 7}]
)
def test_an_interrupted_run_of_somebody_else(began: object) -> None:
    source = {"account": "jane", "service": "imaps://h"}
    check_unfinished({"source": source}, source)
    with pytest.raises(WrongSource):
        check_unfinished({"source": began}, source)

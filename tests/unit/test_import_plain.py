"""Of plain text no more is kept than its digest: what is said of it is as exact as of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from importing import account, archived, folder_of, letter, octets, place
from portarchive.archive.contents import Contents
from portarchive.connectors.memory import Fault, MemoryAccount, MemoryTarget, Rewriting
from portarchive.errors import ConnectionLost
from portarchive.jobs.replay import deliver
from portarchive.jobs.replay.pieces import print_of_octets

PLAIN = [letter(str(number)) for number in range(8)]
LOST = ConnectionLost("the server closed the connection")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return archived(tmp_path / "archive", account(INBOX=PLAIN))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a message of the archive was read, and looked at as a whole."""
    counts = {"read": 0, "looked": 0}

    def counting(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **more: Any) -> Any:
            counts[name] += 1
            return inner(*args, **more)

        return outer

    monkeypatch.setattr(Contents, "octets", counting("read", Contents.octets))
    monkeypatch.setattr(deliver, "print_of_octets", counting("looked", print_of_octets))
    return counts


def test_plain_text_is_read_once_and_looked_at_no_closer(
    archive: Path, counted: dict[str, int]
) -> None:
    report = place(archive, MemoryTarget(MemoryAccount()), verify="bytes")
    assert report.total("placed") == report.read_back == len(PLAIN)
    assert report.complete
    assert counted == {"read": len(PLAIN), "looked": 0}


def test_without_uids_it_is_found_by_what_was_sent(archive: Path, counted: dict[str, int]) -> None:
    target = MemoryAccount()
    report = place(archive, MemoryTarget(target, uidplus=False))
    assert report.total("placed") == len(PLAIN)
    assert report.complete
    assert octets(target) == PLAIN
    assert counted == {"read": len(PLAIN), "looked": len(PLAIN)}


@pytest.mark.parametrize("at", [1, 3])
def test_what_was_sent_and_not_answered_is_not_sent_again(archive: Path, at: int) -> None:
    target = MemoryAccount()
    fault = Fault(where="stored", error=LOST, after=at)
    report = place(archive, MemoryTarget(target, faults=[fault]))
    assert report.total("placed") == len(PLAIN)
    assert sorted(octets(target)) == sorted(PLAIN)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ((b"hello", b"holla"), "body"),
        ((b"hello", b"hello, hello"), "body"),
        ((b"Jane", b"Joan"), "header"),
        ((b"Message-ID", b"Received: by x\r\nMessage-ID"), "header"),
        ((b"e", b"E"), "octets"),
    ],
)
def test_what_the_target_changed_of_it_is_named(
    archive: Path, change: tuple[bytes, bytes], what: str
) -> None:
    report = place(archive, Changing(change), verify="bytes")
    told = folder_of(report, "INBOX").altered
    assert [(entry["what"], entry["known"]) for entry in told] == [([what], False)] * len(PLAIN)
    assert not report.complete


def test_what_can_no_longer_be_compared_is_named_too(archive: Path) -> None:
    """The archive is taken away between placing and reading back."""
    target = Changing((b"hello", b"holla"))
    target.before_fetch = lambda: [file.unlink() for file in (archive / "mail/INBOX").glob("*.eml")]
    report = place(archive, target, verify="bytes")
    told = folder_of(report, "INBOX").altered
    assert [entry["what"] for entry in told] == [["octets"]] * len(PLAIN)
    assert report.total("placed") == len(PLAIN)


class Changing(MemoryTarget):
    """Changes the octets of each message that it is given."""

    def __init__(self, change: tuple[bytes, bytes]) -> None:
        super().__init__(MemoryAccount(), rewriting=Rewriting())
        self.change = change
        self.before_fetch: Callable[[], object] = list

    def _store(self, parcel):
        outcome = super()._store(parcel)
        for item in self.account.mailboxes()["F1"].items.values():
            if item.message.octets in PLAIN:
                item.message.octets = item.message.octets.replace(*self.change)
        return outcome

    def fetch(self, messages):
        self.before_fetch()
        self.before_fetch = list
        yield from super().fetch(messages)

"""UIDVALIDITY: a folder's messages get new numbers, and are not fetched again for that."""

from __future__ import annotations

from pathlib import Path

import pytest

import archive_facts
from exporting import KINDS, account, export, has, mail
from portarchive.connectors.memory import MemorySource


def holds(path: Path, source: MemorySource) -> archive_facts.Facts:
    facts = archive_facts.check(path)
    for name, messages in has(source).items():
        assert [(item.uid, item.flags, item.sha256) for item in facts.items[name]] == [
            (uid, flags, archive_facts.sha256(octets)) for uid, (flags, octets) in messages.items()
        ]
    return facts


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_found_again(tmp_path: Path, kind: str, whole: bool) -> None:
    """Scenario 25."""
    source = account(kind, whole=whole, INBOX=100, Work=20)
    source.add(mail("both"), ["INBOX", "Work"])
    export(source, tmp_path / "a")
    before = archive_facts.messages(tmp_path / "a")
    source.expunge("INBOX", 1)
    source.set_flags("INBOX", 2, ["$seen"])
    source.reset_uidvalidity("INBOX")
    source.add(mail("new"))
    source.reconnect()
    source.fetches.clear()
    report = export(source, tmp_path / "a")
    assert report.complete
    assert sum(source.fetches) == 1
    assert report.totals.matched == 100
    facts = holds(tmp_path / "a", source)
    assert facts.headers["INBOX"]["uidvalidity"] == 2001
    assert facts.headers["INBOX"]["last_uid"] >= 101
    assert facts.ledger("INBOX")["notes"] == [
        {"code": "uidvalidity-changed", "old": 1001, "new": 2001, "matched": 100, "fetched": 1}
    ]
    assert len(facts.kept["INBOX"]) == 1
    assert before.items() <= archive_facts.messages(tmp_path / "a").items(), "files keep names"
    assert report.totals.newly_kept == 1
    assert not export(source, tmp_path / "a").published


@pytest.mark.parametrize("kind", KINDS)
def test_both_folders_of_one_message_at_once(tmp_path: Path, kind: str) -> None:
    source = account(kind, whole=True, INBOX=3, Work=2)
    for number in range(3):
        source.add(mail(f"both-{number}"), ["INBOX", "Work"])
    export(source, tmp_path / "a")
    source.reset_uidvalidity("INBOX")
    source.reset_uidvalidity("Work")
    source.reconnect()
    report = export(source, tmp_path / "a")
    assert report.complete
    assert report.totals.fetched == 0
    holds(tmp_path / "a", source)


def test_what_is_not_unique_is_fetched(tmp_path: Path) -> None:
    """Two that cannot be told apart by size, instant and Message-ID are not guessed at."""
    source = account("lists", INBOX=2)
    for letter in (b"a", b"b"):
        octets = mail("twin")[:-2] + letter + b"\r\n"
        source.add(octets, received="2026-05-05T05:05:05+00:00")
    export(source, tmp_path / "a")
    source.reset_uidvalidity("INBOX")
    source.reconnect()
    report = export(source, tmp_path / "a")
    assert (report.totals.matched, report.totals.fetched) == (2, 2)
    facts = holds(tmp_path / "a", source)
    assert facts.kept["INBOX"] == [], "their octets are items again"
    assert len(archive_facts.messages(tmp_path / "a")) == 4


def test_one_of_two_twins_is_gone(tmp_path: Path) -> None:
    source = account("lists", INBOX=0)
    for letter in (b"a", b"b"):
        octets = mail("twin")[:-2] + letter + b"\r\n"
        source.add(octets, received="2026-05-05T05:05:05+00:00")
    export(source, tmp_path / "a")
    source.expunge("INBOX", 1)
    source.reset_uidvalidity("INBOX")
    source.reconnect()
    export(source, tmp_path / "a")
    facts = holds(tmp_path / "a", source)
    assert len(facts.kept["INBOX"]) == 1


def test_a_change_within_the_run(tmp_path: Path) -> None:
    source = account("lists", INBOX=40)
    fetched: list[object] = []

    def reset(_: object) -> None:
        fetched.append(_)
        if len(fetched) == 20:
            source.expunge("INBOX", 3)
            source.reset_uidvalidity("INBOX")

    source.after_message = reset
    report = export(source, tmp_path / "a")
    assert report.complete
    holds(tmp_path / "a", source)


def test_twice_and_back_again(tmp_path: Path) -> None:
    source = account("lists", INBOX=5)
    export(source, tmp_path / "a")
    for _ in range(3):
        source.reset_uidvalidity("INBOX")
        source.reconnect()
        export(source, tmp_path / "a")
        holds(tmp_path / "a", source)
    (box,) = source._boxes.values()
    box.uidvalidity = 1001
    source.expunge("INBOX", 1, 2)
    source.add(mail("new"))
    export(source, tmp_path / "a")
    holds(tmp_path / "a", source)


def test_two_folders_of_one_uidvalidity(tmp_path: Path) -> None:
    """Scenario 27."""
    source = account("lists", INBOX=3, Work=3)
    for box in source._boxes.values():
        box.uidvalidity = 1
    export(source, tmp_path / "a")
    source.add(mail("new"), "Work")
    report = export(source, tmp_path / "a")
    assert report.totals.fetched == 1
    facts = holds(tmp_path / "a", source)
    assert {header["uidvalidity"] for header in facts.headers.values()} == {1}


@pytest.mark.parametrize("later", [None, 5])
def test_no_uidvalidity(tmp_path: Path, later: int | None) -> None:
    """Scenario 27: 0 is none; later the server may find one."""
    source = account("lists", INBOX=3)
    (box,) = source._boxes.values()
    box.uidvalidity = None  # type: ignore[assignment]  # what a connector says of 0
    export(source, tmp_path / "a")
    facts = holds(tmp_path / "a", source)
    assert "uidvalidity" not in facts.headers["INBOX"]
    assert min(archive_facts.messages(tmp_path / "a")) == "mail/INBOX/0-0000000001.eml"
    box.uidvalidity = later  # type: ignore[assignment]  # dito
    source.add(mail("new"))
    report = export(source, tmp_path / "a")
    assert report.totals.fetched == 1
    holds(tmp_path / "a", source)

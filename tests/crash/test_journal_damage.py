"""A journal cut at every offset, and with every bit of a sample turned: never wrong data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killing import fast_directory

import archive_facts
from exporting import account, export, mail
from portarchive.archive import batch
from portarchive.connectors.memory import MemorySource

MESSAGES = 7


class Stopped(Exception):
    """A run is stopped as if the process had died."""


def source_of(update: bool) -> MemorySource:
    source = account("lists", INBOX=3, Work=1)
    if update:
        source.expunge("INBOX", 1)
        source.reset_uidvalidity("Work")
        source.reconnect()
        for number in range(3):
            source.add(mail(f"new-{number}"))
        source.add(mail("work"), "Work")
    return source


@contextmanager
def interrupted(update: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """(the archive that an interrupted run left, a place for copies)."""
    monkeypatch.setattr(batch, "MESSAGES", 2)
    with fast_directory() as directory:
        left = directory / "left"
        if update:
            export(source_of(False), left, fsync=False)
        source = source_of(update)
        events: list[object] = []

        def stop(event: object) -> None:
            events.append(event)
            if type(event).__name__ == "FolderDone" and len(events) > 5:
                raise Stopped

        source.after_event = stop
        with pytest.raises(Stopped):
            export(source, left, fsync=False)
        yield left, directory / "copy"


def resumes(left: Path, copy: Path, journal: bytes, expected: archive_facts.Facts) -> int:
    """Run on what is left with this journal. Returns how many messages were fetched."""
    archive_facts.copy(left, copy)
    (copy / ".portarchive/journal").write_bytes(journal)
    update = (left / "archive.json").exists()
    source = source_of(update)
    report = export(source, copy, fsync=False, retry=False)
    assert report.complete
    assert archive_facts.check(copy).what() == expected.what()
    return sum(source.fetches)


def expected_of(update: bool, copy: Path) -> archive_facts.Facts:
    if update:
        export(source_of(False), copy, fsync=False)
    export(source_of(update), copy, fsync=False)
    return archive_facts.check(copy)


@pytest.mark.parametrize("update", [False, True])
def test_cut_at_every_offset(update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 22."""
    with interrupted(update, monkeypatch) as (left, copy):
        expected = expected_of(update, copy)
        whole = (left / ".portarchive/journal").read_bytes()
        assert whole.count(b"\n= ") >= 3
        fetched = [resumes(left, copy, whole[:size], expected) for size in range(len(whole) + 1)]
        assert fetched == sorted(fetched, reverse=True), "the more is left, the less is fetched"
        assert fetched[0] > fetched[-1]


@pytest.mark.parametrize("update", [False, True])
def test_bits_turned(update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(22)
    with interrupted(update, monkeypatch) as (left, copy):
        expected = expected_of(update, copy)
        whole = (left / ".portarchive/journal").read_bytes()
        for at in range(0, len(whole), 5):
            octets = bytearray(whole)
            octets[at] ^= 1 << generator.randrange(8)
            resumes(left, copy, bytes(octets), expected)


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"= 0 00000000\n", b"garbage", b"\0" * 4096, b"= 1 00000000\n" * 3]
)
def test_something_else_in_its_place(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with interrupted(False, monkeypatch) as (left, copy):
        expected = expected_of(False, copy)
        assert resumes(left, copy, octets, expected) == 4


def test_a_journal_of_another_state_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit came between: what the journal says is in the archive, or is nobody's."""
    with interrupted(True, monkeypatch) as (left, copy):
        expected = expected_of(True, copy)
        journal = (left / ".portarchive/journal").read_bytes()
        (copy / ".portarchive/journal").write_bytes(journal)
        (copy / "mail/INBOX/1001-0000000077.eml").write_bytes(b"nobody's")
        report = export(source_of(True), copy, fsync=False, retry=False)
        assert not report.resumed
        assert not report.published
        assert archive_facts.check(copy).what() == expected.what()

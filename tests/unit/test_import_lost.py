"""Lost answers: what is stored late, and messages that break the connection each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from importing import account, archived, folder_of, letter, octets, place, totals
from portarchive.connectors.memory import MemoryAccount, MemoryTarget
from portarchive.errors import ConnectionLost
from portarchive.progress import Event, Notice

PLAIN = [letter(str(number)) for number in range(5)]


class Slow(MemoryTarget):
    """It hangs up over one message, and stores it so many seconds later."""

    def __init__(self, *words: Any, name: bytes, after: float, **more: Any) -> None:
        super().__init__(*words, **more)
        self.name, self.after, self.held = name, after, None
        self.done: set[bytes] = set()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.after -= seconds
        self.settle()

    def settle(self) -> None:
        if self.held is not None and self.after <= 0:
            held, self.held = self.held, None
            super()._store(held)

    def _store(self, parcel):
        if self.name in (parcel.octets or b"") and self.name not in self.done:
            self.done.add(self.name)
            self.held = parcel
            self._break()
        return super()._store(parcel)


@pytest.mark.parametrize("after", [0.5, 1, 3.5, 4])
def test_what_is_stored_after_the_server_hung_up_is_waited_for(tmp_path: Path, after) -> None:
    archive = archived(tmp_path / "archive", account(INBOX=PLAIN))
    to = MemoryAccount()
    target = Slow(to, name=b"<2@", after=after)
    report = place(archive, target, sleep=target.sleep)
    assert sorted(octets(to)) == sorted(PLAIN)
    assert report.complete
    assert target.slept[0] == 1.0
    assert sum(target.slept) >= after


class Later(Slow):
    """It stores what it held with the last message of all."""

    def _store(self, parcel):
        outcome = super()._store(parcel)
        if b"<4@" in (parcel.octets or b""):
            self.after = 0
            self.settle()
        return outcome


def test_what_is_stored_later_still_is_named(tmp_path: Path) -> None:
    archive = archived(tmp_path / "archive", account(INBOX=PLAIN))
    to = MemoryAccount()
    target = Later(to, name=b"<2@", after=1000, window=1)
    report = place(archive, target, sleep=target.sleep)
    assert len(octets(to)) == 6
    assert not report.complete
    (entry,) = folder_of(report, "INBOX").altered
    assert (entry["uid"], entry["what"], entry["known"]) == ("3", ["stored-late"], False)
    again = place(archive, MemoryTarget(to))
    assert again.complete
    assert totals(again)["present"] == 5


def test_new_mail_and_own_copies_are_no_late_ones(tmp_path: Path) -> None:
    archive = archived(tmp_path / "archive", account(INBOX=[*PLAIN, PLAIN[2]]))
    to = MemoryAccount()
    to.add(PLAIN[2])
    to.add(PLAIN[2])
    to.add(PLAIN[2])

    class Busy(Later):
        def settle(self) -> None:
            if self.held is not None and self.after <= 0:
                self.held = None
                self.account.add(letter("new"))

    target = Busy(to, name=b"<3@", after=1000, window=1)
    report = place(archive, target, sleep=target.sleep)
    assert report.complete, folder_of(report, "INBOX").altered
    assert len(octets(to)) == 3 + 4 + 1


class Poisoned(MemoryTarget):
    """Some messages break it."""

    def _store(self, parcel):
        if b"POISON" in (parcel.octets or b""):
            self._break()
        return super()._store(parcel)


@pytest.mark.parametrize("poisoned", [1, 3, 4, 9, 20])
@pytest.mark.parametrize("first", [False, True])
def test_messages_that_break_the_connection_stop_no_run(
    tmp_path: Path, poisoned: int, first: bool
) -> None:
    bad = [letter(f"p{number}", b"POISON\r\n") for number in range(poisoned)]
    mail = [*bad, *PLAIN] if first else [*PLAIN, *bad]
    archive = archived(tmp_path / "archive", account(INBOX=mail))
    to = MemoryAccount()
    for run in range(2):
        report = place(archive, Poisoned(to))
        assert sorted(octets(to)) == sorted(PLAIN)
        assert not report.complete
        told = folder_of(report, "INBOX")
        assert {entry["code"] for entry in told.failed} == {"connection-lost"}
        assert told.failed_count == poisoned
        assert totals(report).get("present", 0) == (5 if run else 0)


class Broken(MemoryTarget):
    """It takes nothing at all."""

    def _store(self, parcel):
        self.sent.append(parcel.key)
        self._break()


def test_a_server_that_takes_nothing_ends_the_run_and_what_was_accused_is_named(
    tmp_path: Path,
) -> None:
    mail = [letter(str(number)) for number in range(100)]
    archive = archived(tmp_path / "archive", account(INBOX=mail))
    said: list[Event] = []
    target = Broken(MemoryAccount())
    with pytest.raises(ConnectionLost):
        place(archive, target, observer=said.append)
    assert len(target.sent) < 250
    texts = [each.text for each in said if isinstance(each, Notice)]
    assert any(".eml was sent alone, and the connection broke" in text for text in texts), texts

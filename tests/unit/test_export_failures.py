"""What cannot be had is named, the rest goes on, and the next run asks for exactly that again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import archive_facts
from exporting import KINDS, account, export, has, mail
from portarchive.archive import batch
from portarchive.connectors.base import Wanted
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost
from portarchive.records import Change, Failure, FolderFailed, MessageRef, Vanished

WORDS = b"Subject: Retrieval using the IMAP4 protocol failed\r\n\r\nSorry.\r\n"


def ref_of(source: MemorySource, folder: str, uid: int) -> MessageRef:
    """A reference to a message that is there."""
    (box,) = [box for box in source._boxes.values() if "/".join(box.record.path) == folder]
    from portarchive.records import Placement

    return MessageRef((Placement(box.record.folder_id, str(uid)),))


def heal(source: MemorySource) -> None:
    source._answers.clear()
    source._poison.clear()


def uids(found: list[archive_facts.Item]) -> list[str]:
    return [item.uid for item in found]


@pytest.mark.parametrize("kind", KINDS)
def test_seven_of_a_hundred_are_refused(tmp_path: Path, kind: str) -> None:
    """Scenario 2."""
    bad = {3, 4, 5, 50, 77, 99, 100}
    source = account(kind, INBOX=100, Work=2)
    for uid in bad:
        source.answer(ref_of(source, "INBOX", uid), Failure("server-refused", "NO [LIMIT]"))
    report = export(source, tmp_path / "a")
    assert not report.complete
    assert report.totals.failed == 7
    facts = archive_facts.check(tmp_path / "a")
    failed = facts.ledger("INBOX")["failed"]
    assert {int(entry["uid"]) for entry in failed} == bad
    assert {(e["code"], e["text"], e["stored"]) for e in failed} == {
        ("server-refused", "NO [LIMIT]", False)
    }
    assert len(facts.items["INBOX"]) == 93

    asked: list[int] = []
    source.fetches.clear()
    again = export(source, tmp_path / "a")
    assert sum(source.fetches) == 7
    assert not again.complete
    assert not again.published
    heal(source)
    source.after_message = lambda ref: asked.append(int(ref.placements[0].uid))
    last = export(source, tmp_path / "a")
    assert set(asked) == bad
    assert last.complete
    assert len(archive_facts.check(tmp_path / "a").items["INBOX"]) == 100
    assert export(source, tmp_path / "a").published is False


@pytest.mark.parametrize("whole_batch", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_message_is_isolated(tmp_path: Path, kind: str, whole_batch: bool) -> None:
    source = account(kind, INBOX=70, Work=5)
    source.poison(ref_of(source, "INBOX", 33), whole_batch=whole_batch)
    report = export(source, tmp_path / "a")
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    (failed,) = facts.ledger("INBOX")["failed"]
    assert (failed["uid"], failed["code"]) == ("33", "connection-lost")
    assert len(facts.items["INBOX"]) == 69
    assert len(facts.items["Work"]) == 5


def test_ok_with_no_data_is_a_failure(tmp_path: Path) -> None:
    """Scenario 6."""
    source = account("lists", INBOX=3)
    source.answer(ref_of(source, "INBOX", 2), None)
    report = export(source, tmp_path / "a")
    assert not report.complete
    (failed,) = archive_facts.check(tmp_path / "a").ledger("INBOX")["failed"]
    assert (failed["uid"], failed["code"], failed["stored"]) == ("2", "no-data", False)


def test_gone_before_it_was_had(tmp_path: Path) -> None:
    source = account("lists", INBOX=3)
    source.answer(ref_of(source, "INBOX", 2), Vanished())
    report = export(source, tmp_path / "a")
    assert report.complete
    assert archive_facts.check(tmp_path / "a").ledger("INBOX")["vanished"]["uids"] == "2"


@pytest.mark.parametrize("kind", KINDS)
def test_a_size_that_is_wrong_is_a_note(tmp_path: Path, kind: str) -> None:
    """Scenarios 3 and 4."""

    class Exchange(MemorySource):
        def fetch(self, refs):
            for ref, outcome in super().fetch(refs):
                yield ref._replace(size=3 * (ref.size or 0)), outcome

    source = Exchange(capabilities=KINDS[kind])
    for number in range(3):
        source.add(mail(str(number)))
    report = export(source, tmp_path / "a")
    assert report.complete
    notes = archive_facts.check(tmp_path / "a").ledger("INBOX")["notes"]
    assert notes == [{"code": "size-mismatch", "count": 3, "uids": "1:3"}]
    source.add(mail("more"))
    export(source, tmp_path / "a")
    notes = archive_facts.check(tmp_path / "a").ledger("INBOX")["notes"]
    assert notes == [{"code": "size-mismatch", "count": 4, "uids": "1:4"}]
    source.expunge("INBOX", 1, 2, 3)
    export(source, tmp_path / "a")
    notes = archive_facts.check(tmp_path / "a").ledger("INBOX")["notes"]
    assert notes == [{"code": "size-mismatch", "uid": "4"}]


# --- placeholders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_placeholder_is_stored_apart_and_replaced_later(tmp_path: Path, kind: str) -> None:
    """Scenario 5."""
    source = account(kind, INBOX=3)
    source.answer(ref_of(source, "INBOX", 2), Failure("placeholder", "sorry", WORDS))
    report = export(source, tmp_path / "a")
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["INBOX"]) == ["1", "3"]
    assert facts.placeholders["INBOX"] == [("2", archive_facts.sha256(WORDS))]
    (failed,) = facts.ledger("INBOX")["failed"]
    assert (failed["code"], failed["stored"]) == ("placeholder", True)
    assert [path.name for path in (tmp_path / "a").rglob("*~placeholder.eml")] == [
        "1001-0000000002~placeholder.eml"
    ]
    for _ in range(2):
        assert export(source, tmp_path / "a").published is False
        assert len(archive_facts.messages(tmp_path / "a")) == 3
    heal(source)
    assert export(source, tmp_path / "a").complete
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["INBOX"]) == ["1", "2", "3"]
    assert facts.placeholders["INBOX"] == []
    assert len(archive_facts.messages(tmp_path / "a")) == 3


def test_other_words_take_the_place_of_the_first(tmp_path: Path) -> None:
    source = account("lists", INBOX=2)
    ref = ref_of(source, "INBOX", 2)
    for words in (WORDS, b"other words\r\n", b"", WORDS):
        source.answer(ref, Failure("placeholder", "sorry", words))
        export(source, tmp_path / "a")
        facts = archive_facts.check(tmp_path / "a")
        assert facts.placeholders["INBOX"] == [("2", archive_facts.sha256(words))]
        assert len(archive_facts.messages(tmp_path / "a")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_placeholder_goes_with_its_message(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=3)
    source.answer(ref_of(source, "INBOX", 2), Failure("placeholder", "sorry", WORDS))
    export(source, tmp_path / "a")
    source.expunge("INBOX", 2)
    assert export(source, tmp_path / "a").complete
    assert archive_facts.check(tmp_path / "a").placeholders["INBOX"] == []


def test_a_placeholder_stays_while_the_message_fails_otherwise(tmp_path: Path) -> None:
    source = account("lists", INBOX=2)
    ref = ref_of(source, "INBOX", 2)
    source.answer(ref, Failure("placeholder", "sorry", WORDS))
    export(source, tmp_path / "a")
    source.answer(ref, Failure("server-refused", "NO"))
    export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert facts.placeholders["INBOX"] == [("2", archive_facts.sha256(WORDS))]


def test_a_placeholder_of_old_numbers_goes(tmp_path: Path) -> None:
    source = account("lists", INBOX=3)
    source.answer(ref_of(source, "INBOX", 2), Failure("placeholder", "sorry", WORDS))
    export(source, tmp_path / "a")
    source.expunge("INBOX", 1)
    source.reset_uidvalidity("INBOX")
    heal(source)
    source.answer(ref_of(source, "INBOX", 1), Failure("placeholder", "sorry", WORDS))
    export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert [uid for uid, _ in facts.placeholders["INBOX"]] == ["1"]
    assert uids(facts.items["INBOX"]) == ["2"]
    assert [path.name for path in (tmp_path / "a").rglob("*~placeholder.eml")] == [
        "2001-0000000001~placeholder.eml"
    ]


# --- folders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_cannot_be_opened(tmp_path: Path, kind: str) -> None:
    """Scenario 11."""
    source = account(kind, INBOX=2, Locked=3, Work=2)
    source.refuse_folder("Locked", "folder-unavailable", "NO [INUSE] try later")
    report = export(source, tmp_path / "a")
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.ledger("Locked")["error"] == {
        "code": "folder-unavailable",
        "text": "NO [INUSE] try later",
    }
    assert facts.headers["Locked"]["portarchive:noselect"] is True
    assert "uidvalidity" not in facts.headers["Locked"]
    assert [len(facts.items[name]) for name in ("INBOX", "Locked", "Work")] == [2, 0, 2]
    assert export(source, tmp_path / "a").published is False
    source.refuse_folder("Locked", None)
    report = export(source, tmp_path / "a")
    assert report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert "portarchive:noselect" not in facts.headers["Locked"]
    assert facts.ledger("Locked")["notes"] == []
    assert len(facts.items["Locked"]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_fails_later_keeps_what_it_has(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=2, Work=3)
    export(source, tmp_path / "a")
    source.refuse_folder("Work", "folder-unavailable", "NO")
    source.add(mail("new"), "Work")
    source.expunge("Work", 1)
    report = export(source, tmp_path / "a")
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["Work"]) == ["1", "2", "3"]
    assert facts.ledger("Work")["archived"] == 3
    source.refuse_folder("Work", None)
    source.fetches.clear()
    assert export(source, tmp_path / "a").complete
    assert sum(source.fetches) == 1
    assert uids(archive_facts.check(tmp_path / "a").items["Work"]) == ["2", "3", "4"]


class Breaks(MemorySource):
    """Work is lost in its middle, after its messages were fetched, and cannot be opened again."""

    breaks = True

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        for event in super().changes(wanted):
            folder = getattr(event, "folder_id", "")
            if self.breaks and type(event).__name__ == "FolderDone" and folder == "F2":
                yield FolderFailed("F2", "connection-lost", "gone each time")
            else:
                yield event


def breaking(kind: str) -> Breaks:
    source = Breaks(capabilities=KINDS[kind], whole_account=False)
    source.create_folder("Work")
    for number in range(3):
        source.add(mail(f"inbox-{number}"))
        source.add(mail(f"work-{number}"), "Work", flags=["$draft"] if number == 1 else [])
    return source


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_folder_that_is_lost_in_its_middle(tmp_path: Path, kind: str) -> None:
    source = breaking(kind)
    report = export(source, tmp_path / "a")
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.ledger("Work")["error"]["code"] == "connection-lost"
    assert uids(facts.items["Work"]) == ["1", "2", "3"]
    assert facts.headers["Work"]["uidvalidity"] == 1002
    assert "portarchive:noselect" not in facts.headers["Work"]
    source.breaks = False
    source.fetches.clear()
    assert export(source, tmp_path / "a").complete
    assert sum(source.fetches) == 0
    archive_facts.check(tmp_path / "a")


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_renumbered_folder_that_is_lost_in_its_middle(
    tmp_path: Path, kind: str, mirror: bool
) -> None:
    """What is published has the old numbers still: it must not be taken for lost."""
    source = breaking(kind)
    source.breaks = False
    export(source, tmp_path / "a")
    before = archive_facts.messages(tmp_path / "a")
    source.reset_uidvalidity("Work")
    source.add(mail("late"), "Work")
    source.breaks = True
    report = export(source, tmp_path / "a", mirror=mirror)
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.headers["Work"]["uidvalidity"] == 1002
    assert uids(facts.items["Work"]) == ["1", "2", "3"]
    assert facts.kept["Work"] == []
    assert archive_facts.messages(tmp_path / "a") == before
    source.breaks = False
    assert export(source, tmp_path / "a", mirror=mirror).complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.headers["Work"]["uidvalidity"] == 2002
    assert len(facts.items["Work"]) == 4
    assert facts.kept["Work"] == []


# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_drop_in_the_middle_loses_nothing(tmp_path: Path, kind: str) -> None:
    """Scenario 18: within one run."""
    source = account(kind, INBOX=1000)
    source.faults.append(Fault(where="fetch", error=ConnectionLost("reset"), after=500))
    delivered: list[object] = []
    source.after_message = delivered.append
    report = export(source, tmp_path / "a", fsync=False)
    assert report.complete
    assert len(delivered) == 1000
    assert source.reconnects == 1
    assert len(archive_facts.check(tmp_path / "a").items["INBOX"]) == 1000


@pytest.mark.parametrize("after", [0, 1, 499, 500, 501, 999])
def test_a_drop_for_good_loses_a_batch_at_most(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenarios 18 and 20: over two runs."""
    monkeypatch.setattr(batch, "MESSAGES", 100)
    source = account("lists", INBOX=1000)
    gone = ConnectionLost("reset")
    source.faults += [
        Fault(where="fetch", error=gone, after=after),
        Fault(where="reconnect", error=gone, times=99),
    ]
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", fsync=False)
    source.faults.clear()
    source.reconnect()
    delivered: list[object] = []
    source.after_message = delivered.append
    report = export(source, tmp_path / "a", fsync=False)
    assert report.complete
    assert report.resumed == (after > 0)
    assert len(delivered) <= 1000 - after + 100
    assert len(archive_facts.check(tmp_path / "a").items["INBOX"]) == 1000


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), MemoryError()])
def test_any_exception_leaves_what_can_be_resumed(
    tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 20."""
    monkeypatch.setattr(batch, "MESSAGES", 5)
    source = account("ids", INBOX=20, Work=20)
    left = [23]

    def strike(_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise error

    source.after_message = strike
    with pytest.raises(type(error)):
        export(source, tmp_path / "a")
    source.reconnect()
    delivered: list[object] = []
    source.after_message = delivered.append
    assert export(source, tmp_path / "a").complete
    assert len(delivered) <= 40 - 23 + 5
    archive_facts.check(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_octets_cut_in_the_middle_are_had_anew(tmp_path: Path, kind: str) -> None:
    source = MemorySource(capabilities=KINDS[kind], large=100, chunk=50)
    for number in range(10):
        source.add(mail(str(number), 400))
    source.faults.append(Fault(where="chunks", error=ConnectionLost("cut"), after=30, times=2))
    assert export(source, tmp_path / "a").complete
    facts = archive_facts.check(tmp_path / "a")
    octets = [octets for _, octets in has(source)["INBOX"].values()]
    assert [i.sha256 for i in facts.items["INBOX"]] == list(map(archive_facts.sha256, octets))


def test_octets_cut_each_time_are_a_failure(tmp_path: Path) -> None:
    source = MemorySource(large=100, chunk=50)
    source.add(mail("small"))
    source.add(mail("large", 400))
    source.faults.append(Fault(where="chunks", error=ConnectionLost("cut"), after=2, times=99))
    report = export(source, tmp_path / "a")
    assert not report.complete
    (failed,) = archive_facts.check(tmp_path / "a").ledger("INBOX")["failed"]
    assert (failed["uid"], failed["code"], failed["stored"]) == ("2", "cut", False)
    assert len(archive_facts.messages(tmp_path / "a")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_gone_before_the_resume(tmp_path: Path, kind: str) -> None:
    """What was had of it is kept, and its parent has a folder.json of its own."""
    source = MemorySource(capabilities=KINDS[kind], whole_account=False)
    source.create_folder("A/b")
    source.add(mail("one"), "A/b")
    source.add(mail("two"))

    def stop(event: object) -> None:
        if type(event).__name__ == "FolderDone":
            raise KeyboardInterrupt

    source.after_event = stop
    with pytest.raises(KeyboardInterrupt):
        export(source, tmp_path / "a")
    source.after_event = None
    source.reconnect()
    source.delete_folder("A/b")
    assert export(source, tmp_path / "a").complete
    facts = archive_facts.check(tmp_path / "a")
    assert set(facts.headers) == {"A", "A/b", "INBOX"}
    assert facts.headers["A"]["portarchive:noselect"] is True
    assert len(facts.kept["A/b"]) == 1
    assert not export(source, tmp_path / "a").published

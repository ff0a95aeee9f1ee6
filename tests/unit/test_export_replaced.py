"""A uid means what it meant only in the same mailbox: by its id, by the ids of its messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import archive_facts
from exporting import EVERYTHING, KINDS, LISTS_ONLY, account, export, has, mail
from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.base import Wanted
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost
from portarchive.records import FolderOpened, MessageRef


def holds(path: Path, source: MemorySource) -> archive_facts.Facts:
    """The archive has what the source has, octet for octet, and every digest is right."""
    facts = archive_facts.check(path)
    for name, messages in has(source).items():
        assert [(item.uid, item.flags, item.sha256) for item in facts.items[name]] == [
            (uid, flags, archive_facts.sha256(octets)) for uid, (flags, octets) in messages.items()
        ], name
    reader = ArchiveReader.open(path)
    assert [problem for _, _, problem in reader.check_digests() if problem] == []
    return facts


def box_of(source: MemorySource, name: str):
    return source._box(name)


def anew(source: MemorySource, name: str, count: int, text: str = "other") -> None:
    """Delete a mailbox and make it anew, under the same UIDVALIDITY."""
    validity = box_of(source, name).uidvalidity
    source.delete_folder(name)
    source.create_folder(name)
    box_of(source, name).uidvalidity = validity
    for number in range(count):
        source.add(mail(f"{text}-{number}"), name)


def swap(source: MemorySource, one: str, other: str) -> None:
    source.rename_folder(one, "aside")
    source.rename_folder(other, one)
    source.rename_folder("aside", other)


def nameless(source: MemorySource) -> None:
    """Mailboxes have no ids."""
    for box in source._boxes.values():
        box.record = replace(box.record, uid=None)


def sums(octets: list[bytes]) -> list[str]:
    return [archive_facts.sha256(each) for each in octets]


# --- another mailbox, as its id says --------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_deleted_and_made_anew(tmp_path: Path, kind: str, whole: bool, count: int) -> None:
    source = account(kind, whole=whole, INBOX=1, Work=3)
    export(source, tmp_path / "a")
    anew(source, "Work", count)
    report = export(source, tmp_path / "a")
    assert report.complete
    assert report.totals.fetched == count
    facts = holds(tmp_path / "a", source)
    kept = {item.sha256 for item in facts.kept["Work"]}
    assert kept == set(sums([mail(f"Work-{number}") for number in (1, 2, 3)]))
    assert not export(source, tmp_path / "a").published


@pytest.mark.parametrize("kind", KINDS)
def test_made_anew_with_the_same_mail(tmp_path: Path, kind: str) -> None:
    """What is matched is not fetched again, but for the least one, which is compared."""
    source = account(kind, whole=False, INBOX=1, Work=3)
    old = {uid: item.message for uid, item in box_of(source, "Work").items.items()}
    export(source, tmp_path / "a")
    anew(source, "Work", 1)
    for message in old.values():
        source.place(box_of(source, "Work"), message, ())
    source.fetches.clear()
    report = export(source, tmp_path / "a")
    # a listing that was not asked to identify messages has nothing to match them by
    matched = 0 if kind == "lists" else 3
    assert (report.totals.matched, report.totals.fetched) == (matched, 4 - matched)
    assert sum(source.fetches) == (4 if kind == "lists" else 2)
    facts = holds(tmp_path / "a", source)
    assert not facts.kept["Work"]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("single_copy", [False, True])
def test_two_change_places(tmp_path: Path, kind: str, whole: bool, single_copy: bool) -> None:
    source = account(kind, whole=whole, INBOX=1, A=3, B=3)
    source.add(mail("shared"), ["A", "INBOX"])
    source.add(mail("b-too"), "B")
    for name in ("A", "B"):
        box_of(source, name).uidvalidity = 7
    export(source, tmp_path / "a", single_copy=single_copy)
    source.set_flags("A", 2, ["$seen"])
    swap(source, "A", "B")
    source.expunge("B", 1)
    source.add(mail("later"), "B")
    report = export(source, tmp_path / "a", single_copy=single_copy)
    assert report.complete
    if kind == "ids":
        assert report.totals.fetched == 1, "files went along"
        notes = {e["path"]: [n["code"] for n in e["notes"]] for e in report.folders}
        assert (notes["A"], notes["B"]) == (["renamed"], ["renamed"])
    facts = holds(tmp_path / "a", source)
    assert {item.sha256 for kept in facts.kept.values() for item in kept} == {*sums([mail("A-1")])}
    assert not export(source, tmp_path / "a", single_copy=single_copy).published


def test_an_empty_one_and_a_full_one_change_places(tmp_path: Path) -> None:
    source = account("ids", whole=False, A=3, B=0)
    box_of(source, "A").uidvalidity = box_of(source, "B").uidvalidity = 7
    export(source, tmp_path / "a")
    swap(source, "A", "B")
    report = export(source, tmp_path / "a")
    assert report.totals.fetched == 0
    facts = holds(tmp_path / "a", source)
    assert not any(facts.kept.values())


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_renamed_and_another_one_has_the_old_name(
    tmp_path: Path, whole: bool, mirror: bool
) -> None:
    source = account("ids", whole=whole, A=3)
    export(source, tmp_path / "a", mirror=mirror)
    source.rename_folder("A", "B")
    source.create_folder("A")
    box_of(source, "A").uidvalidity = box_of(source, "B").uidvalidity
    for number in range(4):
        source.add(mail(f"new-{number}"), "A")
    report = export(source, tmp_path / "a", mirror=mirror)
    assert report.complete
    assert report.totals.fetched == 4
    facts = holds(tmp_path / "a", source)
    assert not any(facts.kept.values())
    assert not export(source, tmp_path / "a", mirror=mirror).published


def test_an_id_that_two_mailboxes_bear_is_not_followed(tmp_path: Path) -> None:
    source = account("ids", whole=False, A=2, B=2)
    for name in ("A", "B"):
        box = box_of(source, name)
        box.uidvalidity, box.record = 7, replace(box.record, uid="X")
    export(source, tmp_path / "a")
    source.rename_folder("A", "C")
    report = export(source, tmp_path / "a")
    assert report.complete
    holds(tmp_path / "a", source)


@pytest.mark.parametrize("both", [True, False])
def test_ids_of_mailboxes_alone_that_come_twice(tmp_path: Path, both: bool) -> None:
    """Without ids of messages nothing would show the mistake."""
    source = account("lists", whole=False, A=2, **({"B": 2} if both else {}))
    for name in ("A", "B") if both else ("A",):
        box = box_of(source, name)
        box.uidvalidity, box.record = 7, replace(box.record, uid="X")
    export(source, tmp_path / "a")
    source.rename_folder("A", "C")
    if both:
        source.rename_folder("B", "D")
    else:
        source.create_folder("D")
        box = box_of(source, "D")
        box.uidvalidity, box.record = 7, replace(box.record, uid="X")
        for number in range(2):
            source.add(mail(f"D-{number}"), "D")
    report = export(source, tmp_path / "a")
    assert report.complete
    holds(tmp_path / "a", source)


@pytest.mark.parametrize("name", ["0", "Z"])
def test_a_mailbox_that_bears_the_id_of_one_that_is_there_still(tmp_path: Path, name: str) -> None:
    """Whichever comes first: the ids of the messages show it."""
    source = account("ids", whole=False, A=3)
    export(source, tmp_path / "a")
    source.create_folder(name)
    box = box_of(source, name)
    box.record = replace(box.record, uid=box_of(source, "A").record.uid)
    box.uidvalidity = box_of(source, "A").uidvalidity
    for number in range(3):
        source.add(mail(f"else-{number}"), name)
    report = export(source, tmp_path / "a")
    assert report.complete
    holds(tmp_path / "a", source)


@pytest.mark.parametrize("kind", KINDS)
def test_the_run_breaks_off_after_some_of_it(tmp_path: Path, kind: str) -> None:
    """The journal has messages of the new mailbox, folder.json those of the old one."""
    source = account(kind, whole=False, INBOX=0, Work=5, Zoo=1)
    export(source, tmp_path / "a")
    anew(source, "Work", 3)
    source.faults.append(Fault(where="fetch", error=ConnectionLost("gone"), after=2))
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    source.faults.clear()
    source.reconnect()
    report = export(source, tmp_path / "a")
    assert report.resumed
    facts = holds(tmp_path / "a", source)
    assert len(facts.kept["Work"]) == 5, "nothing of the old one is lost"


def test_a_token_that_does_not_say_whose_it_is(tmp_path: Path) -> None:
    """Archives of earlier versions: folder.json has the id of the mailbox, the token has not."""

    class Watched(MemorySource):
        asked: Wanted | None = None

        def changes(self, wanted):
            self.asked = wanted
            return super().changes(wanted)

    source = Watched(capabilities=EVERYTHING)
    source.add(mail("one"))
    export(source, tmp_path / "a")
    export(source, tmp_path / "a")
    (token,) = source.asked.tokens.values()
    assert token["mailbox_id"] == box_of(source, "INBOX").record.uid


# --- another message, as its own id says ----------------------------------------------------------


@pytest.mark.parametrize("listed", ["whole", "changes"])
def test_a_known_uid_with_another_id_is_another_message(tmp_path: Path, listed: str) -> None:
    source = account("ids", whole=False, INBOX=5)
    if listed == "whole":
        source.capabilities = replace(LISTS_ONLY, object_ids=True)
    nameless(source)
    export(source, tmp_path / "a")
    source.add(mail("INBOX-x"))  # of the same length as the others
    items = box_of(source, "INBOX").items
    items[3].message = items.pop(6).message
    items[3].modseq = source._modseq
    report = export(source, tmp_path / "a")
    assert report.complete
    assert "uids-reused" in {notice["code"] for notice in report.notices}
    facts = holds(tmp_path / "a", source)
    assert [item.sha256 for item in facts.kept["INBOX"]] == sums([mail("INBOX-3")])
    assert not export(source, tmp_path / "a").published


def test_all_ids_are_made_in_another_way(tmp_path: Path) -> None:
    """A new version of the server: its mail is the same, and is not fetched again."""
    source = account("ids", whole=False, INBOX=20)
    export(source, tmp_path / "a")
    for item in box_of(source, "INBOX").items.values():
        item.message.email_id = f"S{item.message.email_id}"
    source.capabilities = replace(LISTS_ONLY, object_ids=True)
    source.fetches.clear()
    report = export(source, tmp_path / "a")
    assert report.complete
    facts = holds(tmp_path / "a", source)
    assert not facts.kept["INBOX"]


def test_a_journal_whose_mailbox_was_replaced_before_it_was_ever_published(tmp_path: Path) -> None:
    source = account("ids", whole=False, INBOX=4)
    nameless(source)
    source.faults.append(Fault(where="fetch", error=ConnectionLost("gone"), after=2))
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    source.faults.clear()
    source.reconnect()
    anew(source, "INBOX", 4)
    nameless(source)
    report = export(source, tmp_path / "a")
    assert report.resumed
    assert report.complete
    holds(tmp_path / "a", source)


def test_all_of_it_is_in_the_journal_and_the_end_is_missing(tmp_path: Path) -> None:
    """The journal has other messages under the uids that are published: those were not lost."""
    source = account("ids", whole=False, INBOX=3, Zoo=1)
    nameless(source)
    export(source, tmp_path / "a")
    for number, item in enumerate(box_of(source, "INBOX").items.values(), 1):
        source.add(mail(f"INBOX-{number + 5}"), "Zoo")
        zoo = box_of(source, "Zoo").items
        item.message, item.modseq = zoo.pop(max(zoo)).message, source._modseq
    source.add(mail("Zoo-9"), "Zoo")
    done: list[object] = []

    def stop(event: object) -> None:
        done.append(event)
        if sum(type(each).__name__ == "FolderDone" for each in done) == 3:
            source.drop()

    source.after_event = stop
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    source.after_event = None
    source.reconnect()
    report = export(source, tmp_path / "a")
    assert report.resumed
    facts = holds(tmp_path / "a", source)
    old = sums([mail(f"INBOX-{number}") for number in (1, 2, 3)])
    assert [item.sha256 for item in facts.kept["INBOX"]] == old


def test_a_source_that_gives_other_ids_each_time_ends(tmp_path: Path) -> None:
    class Restless(MemorySource):
        def changes(self, wanted):
            for event in super().changes(wanted):
                if isinstance(event, MessageRef):
                    self._serial += 1
                    yield event._replace(email_id=f"R{self._serial}")
                else:
                    yield event

    source = Restless(capabilities=replace(LISTS_ONLY, object_ids=True), whole_account=False)
    for number in range(5):
        source.add(mail(f"m{number}"))
    for _ in range(3):
        report = export(source, tmp_path / "a")
        assert report.complete
        holds(tmp_path / "a", source)


class Announcing(MemorySource):
    """Says something about the uids of its folders."""

    note = "uid-not-sticky"

    def changes(self, wanted):
        tokens = {key: {**token, "uidvalidity": -1} for key, token in wanted.tokens.items()}
        for event in super().changes(replace(wanted, tokens=tokens)):
            if isinstance(event, FolderOpened):
                yield replace(event, notes=({"code": self.note},))
            else:
                yield event


@pytest.mark.parametrize("note", ["uid-not-sticky", "uidvalidity-zero"])
def test_uids_that_do_not_last_are_not_believed(tmp_path: Path, note: str) -> None:
    source = Announcing(capabilities=LISTS_ONLY, whole_account=False)
    source.note = note
    moment = "2026-05-05T05:05:05+00:00"
    for number in range(1, 5):
        source.add(mail(f"m{number}"), received=moment)
    box = box_of(source, "INBOX")
    if note == "uidvalidity-zero":
        box.uidvalidity = None
    export(source, tmp_path / "a")
    assert not export(source, tmp_path / "a").published, "the same mail is no change"
    box.items[2].message, box.items[3].message = box.items[3].message, box.items[2].message
    source.fetches.clear()
    report = export(source, tmp_path / "a")
    assert report.complete
    assert report.totals.matched == 4
    holds(tmp_path / "a", source)
    source.add(mail("mX"), received=moment)
    box.items[1].message = box.items.pop(5).message  # of one size and one instant with the old one
    report = export(source, tmp_path / "a")
    facts = holds(tmp_path / "a", source)
    assert [item.sha256 for item in facts.kept["INBOX"]] == sums([mail("m1")])


# --- equal ids are equal octets only if they are --------------------------------------------------


def copies(*names: str, whole: bool = False) -> MemorySource:
    """A message in each of the folders A, B, …, all of one id."""
    source = MemorySource(capabilities=EVERYTHING, whole_account=whole)
    moment = "2026-05-05T05:05:05+00:00"
    for folder, name in zip("ABCDEFGH", names, strict=False):
        source.create_folder(folder)
        source.add(mail(name), folder, received=moment)
        box_of(source, folder).items[1].message.email_id = "SAME"
    return source


@pytest.mark.parametrize("whole", [False, True])
def test_one_id_for_different_messages_of_one_size_and_one_instant(
    tmp_path: Path, whole: bool
) -> None:
    source = copies("aaaa", "bbbb", "cccc", "dddd", whole=whole)
    report = export(source, tmp_path / "a")
    assert report.complete
    assert (report.totals.fetched, report.totals.linked) == (4, 0)
    assert [notice["code"] for notice in report.notices] == ["email-id-reused"]
    assert source.fetches == ([1, 1, 3] if whole else [1, 1, 1, 1, 1]), "one to be compared"
    holds(tmp_path / "a", source)
    source.create_folder("H")
    source.add(mail("eeee"), "H", received="2026-05-05T05:05:05+00:00")
    box_of(source, "H").items[1].message.email_id = "SAME"
    source.fetches.clear()
    report = export(source, tmp_path / "a")
    assert report.totals.fetched == 1
    assert source.fetches == [1], "what is here shows that the ids say nothing"
    holds(tmp_path / "a", source)


def test_one_copy_is_compared_and_the_others_are_believed(tmp_path: Path) -> None:
    source = copies("same", "same", "same")
    report = export(source, tmp_path / "a")
    assert (report.totals.fetched, report.totals.linked) == (1, 2)
    assert sum(source.fetches) == 2
    source.fetches.clear()
    source.create_folder("H")
    source.add(mail("same"), "H", received="2026-05-05T05:05:05+00:00")
    box_of(source, "H").items[1].message.email_id = "SAME"
    report = export(source, tmp_path / "a")
    assert (report.totals.fetched, report.totals.linked) == (0, 1)
    assert source.fetches == [], "the archive shows it"
    holds(tmp_path / "a", source)


def test_one_id_and_two_instants(tmp_path: Path) -> None:
    source = copies("aaaa")
    source.create_folder("B")
    source.add(mail("aaaa"), "B", received="2026-05-05T05:05:06+00:00")
    box_of(source, "B").items[1].message.email_id = "SAME"
    report = export(source, tmp_path / "a")
    assert (report.totals.fetched, report.totals.linked) == (2, 0)
    holds(tmp_path / "a", source)


@pytest.mark.parametrize("where", ["fetch", "chunks"])
def test_the_connection_breaks_while_a_copy_is_compared(tmp_path: Path, where: str) -> None:
    source = copies("same", "same", "same")
    source._large = 1
    source.faults.append(Fault(where=where, error=ConnectionLost("gone"), after=1, times=1))
    report = export(source, tmp_path / "a")
    assert report.complete
    holds(tmp_path / "a", source)


def test_files_of_a_void_journal_are_nobodys_octets(tmp_path: Path) -> None:
    """A mailbox is replaced in mid-run: its files are written over, and their ids come again."""
    source = account("ids", whole=False, A=3, Z=0)
    refs = dict(box_of(source, "A").items)
    done: list[object] = []

    def replaced(_: object) -> None:
        done.append(_)
        if len(done) == 2:
            anew(source, "A", 3)
            for item in refs.values():
                source.place(box_of(source, "Z"), item.message, ())
            source.drop()

    source.after_message = replaced
    report = export(source, tmp_path / "a")
    source.after_message = None
    report = export(source, tmp_path / "a")
    assert report.complete
    holds(tmp_path / "a", source)

"""Which messages count as being there already: the rounds one by one, and what each must not do."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from importing import (
    account,
    archived,
    folder_of,
    letter,
    normal,
    octets,
    place,
    retrying,
    totals,
)
from portarchive.connectors.memory import Fault, MemoryAccount, MemoryTarget, Rewriting
from portarchive.errors import ConnectionLost
from portarchive.jobs.replay import run
from portarchive.jobs.replay.match import changes_instant
from portarchive.jobs.replay.report import ImportReport
from portarchive.placing import Alteration, LineEnds, NameRules, TargetCapabilities
from portarchive.records import Received

WHEN = "2024-02-29T12:00:01+00:00"
LATER = "2024-03-01T12:00:01+00:00"
SAME = letter("same")


class Case:
    """An archive of one INBOX, and an account."""

    def __init__(self, root: Path, *mail: bytes | tuple[bytes, str], **habits: Any) -> None:
        source = account()
        for each in mail:
            message, when = each if isinstance(each, tuple) else (each, WHEN)
            source.add(message, received=when)
        self.archive = archived(root / "archive", source)
        self.state = root / "state"
        self.target = MemoryAccount()
        self.rewriting = Rewriting(**habits)

    def there(self, message: bytes, when: str | Received = WHEN) -> None:
        self.target.add(message, received=when)

    def run(self, **how: Any) -> ImportReport:
        inner = {name: how.pop(name) for name in list(how) if name in {"uidplus", "faults"}}
        to = MemoryTarget(self.target, rewriting=self.rewriting, **inner)
        report = place(self.archive, to, **how)
        self.sent = len(to.sent)
        return report

    def rounds(self, **how: Any) -> dict[str, int]:
        """What was there, by round; and what was placed."""
        report = self.run(**how)
        placed = {"placed": report.total("placed")} if report.total("placed") else {}
        failed = {"failed": report.total("failed_count")} if report.total("failed_count") else {}
        return {**report.by_round(), **placed, **failed}


# --- equal octets ---------------------------------------------------------------------------------


def test_equal_octets_at_any_instant(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"), letter("b"), b"no header at all", b"")
    case.there(letter("a"))
    case.there(letter("b"), LATER)
    case.there(b"no header at all", LATER)
    assert case.rounds() == {"octets": 3, "placed": 1}
    assert case.rounds() == {"octets": 4}


def test_each_message_of_the_target_is_used_at_most_once(tmp_path: Path) -> None:
    case = Case(tmp_path, SAME, (SAME, LATER), SAME)
    case.there(SAME)
    assert case.rounds() == {"octets": 1, "placed": 2}
    assert octets(case.target) == [SAME] * 3
    assert case.rounds() == {"octets": 3}
    assert case.rounds(state=case.state) == {"octets": 3}
    case.target.expunge("INBOX", 2)
    assert case.rounds(state=case.state) == {"ledger": 2, "placed": 1}


def test_more_of_them_on_the_target_is_not_our_business(tmp_path: Path) -> None:
    case = Case(tmp_path, SAME)
    for _ in range(3):
        case.there(SAME)
    assert case.rounds() == {"octets": 1}
    assert len(octets(case.target)) == 3


def test_of_equal_octets_those_of_equal_instants_are_pairs(tmp_path: Path) -> None:
    source = account()
    source.add(SAME, received=WHEN, flags=["early"])
    source.add(SAME, received=LATER, flags=["late"])
    archive = archived(tmp_path / "archive", source)
    target = MemoryAccount()
    target.add(SAME, received=LATER)
    place(archive, MemoryTarget(target))
    assert [flags for flags, _ in target.contents()["INBOX",].values()] == [(), ("early",)]


@pytest.mark.parametrize("size", [10, 40_000])
@pytest.mark.parametrize("strict", [False, True])
def test_equal_size_and_header_and_another_body(tmp_path: Path, size: int, strict: bool) -> None:
    """A body that was damaged at its place of old is not the message: it is placed."""
    right, wrong = letter("a", b"x" * size), letter("a", b"y" * size)
    case = Case(tmp_path, right)
    case.there(wrong)
    assert case.rounds(strict_match=strict) == {"placed": 1}
    assert octets(case.target) == [wrong, right]
    assert case.rounds(strict_match=strict) == {"octets": 1}


def test_two_messages_that_differ_in_their_bodies_alone_survive_twice(tmp_path: Path) -> None:
    """Failure 8."""
    one, other = letter("a", b"one\r\n"), letter("a", b"two\r\n")
    longer = letter("a", b"three\r\n")
    case = Case(tmp_path, one, other, longer)
    case.there(other)
    assert case.rounds() == {"octets": 1, "placed": 2}
    assert case.rounds() == {"octets": 3}
    assert Counter(octets(case.target)) == Counter([one, other, longer])


def test_line_ends_are_no_difference(tmp_path: Path) -> None:
    """An archive of LF; the target has CR LF, and gets CR LF."""
    case = Case(tmp_path, normal(SAME), normal(letter("b")))
    case.there(SAME)
    report = case.run()
    assert report.by_round() == {"octets": 1}
    assert folder_of(report, "INBOX").line_ends == 1
    assert octets(case.target) == [SAME, letter("b")]


def test_a_header_of_mixed_company_is_the_same_alone(tmp_path: Path) -> None:
    """Its size is compared with headers that are fetched apart from their bodies."""
    mixed = letter("a", b"one\ntwo\r\n" + b"x" * 20_000)
    case = Case(tmp_path, mixed)
    case.there(mixed)
    assert case.rounds() == {"octets": 1}


def test_of_equal_octets_and_instants_those_of_equal_flags_are_pairs(tmp_path: Path) -> None:
    source = account()
    for flags in (["one"], ["two"], [], ["$seen", "three"]):
        source.add(SAME, received=WHEN, flags=flags)
    archive = archived(tmp_path / "archive", source)
    for state in (None, tmp_path / "state", tmp_path / "state"):
        target = MemoryAccount()
        for flags in (["two"], ["$seen"], [], ["one"]):
            target.add(SAME, received=WHEN, flags=flags)
        report = place(archive, MemoryTarget(target), state)
        told = folder_of(report, "INBOX").differs
        assert [(entry["uid"], entry["what"]) for entry in told] == [("4", ["flags"])]


# --- what a server is known to change -------------------------------------------------------------


def test_only_what_the_target_changes_is_as_changed(tmp_path: Path) -> None:
    """Octets over 127 of a body are nobody's on any list; see also ``test_import_changed``."""
    one, other = (b"From: x\r\n\r\n" + text.encode() + b"\r\n" for text in ("АБ", "ВГ"))
    for known in ({Alteration.NUL}, {Alteration.EIGHT_BIT_HEADER}, {Alteration.CR_RUN}):
        case = Case(tmp_path / "".join(known), other)
        case.there(one)
        to = MemoryTarget(case.target)
        to.capabilities = dataclasses.replace(to.capabilities, alterations=frozenset(known))
        assert totals(place(case.archive, to))["placed"] == 1


@pytest.mark.parametrize("name", ["a", ""])
def test_a_changed_one_and_one_that_always_looked_so(tmp_path: Path, name: str) -> None:
    """Neither takes the other's place, in whatever order they came."""
    sent = letter(name, b"a\0b\r\n") if name else b"From: x\r\n\r\na\0b\r\n"
    alike = sent.replace(b"\0", b"\x80")

    def run(case: Case) -> dict[str, int]:
        to = MemoryTarget(case.target)
        known = frozenset({Alteration.NUL})
        to.capabilities = dataclasses.replace(to.capabilities, alterations=known)
        report = place(case.archive, to)
        placed = {"placed": report.total("placed")} if report.total("placed") else {}
        return {**report.by_round(), **placed}

    changed = "message-id-and-body" if name else "fields-and-body"
    for number, (there, found) in enumerate(
        [
            ([], {"placed": 2}),
            ([WHEN], {"octets": 1, "placed": 1}),
            ([LATER], {"octets": 1, "placed": 1}),
            ([WHEN, LATER], {"octets": 1, changed: 1}),
            ([LATER, WHEN, WHEN], {"octets": 1, changed: 1}),
            ([LATER, LATER], {"octets": 1, "placed": 1}),
        ]
    ):
        case = Case(tmp_path / str(number), sent, alike)
        for when in there:
            case.there(alike, when)
        assert run(case) == found, there


# --- what a server rewrote ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "habits",
    [
        {"adds_received": True},
        {"folds_headers": True},
        {"line_ends": LineEnds.CRLF},
        {"line_ends": LineEnds.LF},
        {"changes_message_id": True},
        {"adds_received": True, "folds_headers": True, "line_ends": LineEnds.LF},
    ],
    ids=str,
)
@pytest.mark.parametrize("uidplus", [False, True])
def test_a_second_run_brings_nothing(tmp_path: Path, habits: dict, uidplus: bool) -> None:
    """Failures 12, 14 and 16: with Message-ID and without, and a message of no fields at all."""
    references = b"References:" + b" <x@example.org>" * 20 + b"\r\n"
    mail = [
        letter("a"),
        letter("b", b"one\ntwo\r\n", fields=references),
        letter("long" * 60),
        letter("c", b"1"),
        (letter("c", b"2"), LATER),
        b"From: x\r\nSubject: y\r\n" + references + b"\r\nbody\r\n",
        b"From: x\r\nSubject: y\r\n\r\nother body\r\n",
        b"Subject:\r\n\r\nsubject of nothing\r\n",
        b"\r\nno header\r\n",
        b"X: y\r\n\r\n",
    ]
    case = Case(tmp_path, *mail, **habits)
    report = case.run(uidplus=uidplus)
    assert (report.total("placed"), report.total("failed_count")) == (len(mail), 0)
    for _ in range(2):
        report = case.run(uidplus=uidplus)
        assert sum(report.by_round().values()) == len(mail)
        assert case.sent == 0
    assert len(octets(case.target)) == len(mail)


def test_message_id_and_body_need_the_instant(tmp_path: Path) -> None:
    received = b"Received: from somewhere\r\n" + SAME
    for when, found in ((WHEN, {"message-id-and-body": 1}), (LATER, {"placed": 1})):
        case = Case(tmp_path / when, SAME)
        case.there(received, when)
        assert case.rounds() == found


def test_the_parent_of_exchange(tmp_path: Path) -> None:
    """Failure 14; a long id, folded, is the same one."""
    name = b"<" + b"y" * 200 + b"@example.org>"
    mail = b"Message-ID: " + name + b"\r\nSubject: s\r\n\r\nbody\r\n"
    case = Case(tmp_path, mail)
    case.there(
        b"Message-ID: <new@example.org>\r\nSubject: s\r\n"
        b"X-MS-Exchange-Parent-Message-Id:\r\n " + name + b"\r\n\r\nbody\r\n"
    )
    assert case.rounds() == {"message-id-and-body": 1}


def test_a_parent_is_a_field_of_the_header_alone(tmp_path: Path) -> None:
    case = Case(tmp_path, SAME)
    case.there(letter("other", b"X-MS-Exchange-Parent-Message-Id: <same@example.org>\r\n"))
    assert case.rounds() == {"placed": 1}


# --- Message-ID and instant alone -----------------------------------------------------------------


def footer(message: bytes) -> bytes:
    return message + b"-- \r\nscanned by nobody\r\n"


def test_by_number(tmp_path: Path) -> None:
    """A server that writes into bodies; as many are left on both sides."""
    case = Case(tmp_path, letter("a"), letter("b", b"1"), letter("b", b"2"))
    for mail in (letter("a"), letter("b", b"1"), letter("b", b"2")):
        case.there(footer(mail))
    assert case.rounds() == {"message-id": 3}


def test_by_number_is_not_when_there_are_too_few(tmp_path: Path) -> None:
    """Nothing tells which of the two it was: both are placed, and both are there the next time."""
    case = Case(tmp_path, letter("b", b"1"), letter("b", b"2"))
    case.there(letter("b", b"rewritten beyond recognition"))
    assert case.rounds() == {"placed": 2}
    assert case.rounds() == {"octets": 2}


def test_what_has_the_body_and_more_is_the_one_with_that_body(tmp_path: Path) -> None:
    """A part first, then the whole, on a server that writes below or above each message."""
    one, other = letter("b", b"1\r\n"), letter("b", b"2\r\n")
    for number, there in enumerate((footer(other), letter("b", b"BANNER\r\n2\r\n"))):
        case = Case(tmp_path / str(number), one, other)
        case.there(there)
        assert case.rounds() == {"message-id": 1, "placed": 1}
        assert octets(case.target) == [there, one]
        assert case.rounds() == {"octets": 1, "message-id": 1}


@pytest.mark.parametrize("ledger", [True, False])
def test_a_copy_of_another_message_is_not_the_one_that_is_missing(tmp_path: Path, ledger) -> None:
    """Of one Message-ID and instant; its owner copied the one, and the other has not come yet."""
    one, other = letter("b", b"1\r\n"), letter("b", b"22\r\n")
    state = tmp_path / "state"
    case = Case(tmp_path, one)
    case.there(footer(one))
    assert case.rounds(state=state) == {"message-id": 1}
    case.there(footer(one))
    source = account()
    for mail in (one, other):
        source.add(mail, received=WHEN)
    case.archive = archived(tmp_path / "more", source)
    found = {"ledger" if ledger else "message-id": 1}
    assert case.rounds(state=state if ledger else None) == {**found, "placed": 1}
    assert octets(case.target) == [footer(one), footer(one), other]


def test_more_of_them_than_messages(tmp_path: Path) -> None:
    """An owner copied a message below which the server had written."""
    case = Case(tmp_path, letter("a"), letter("b", b"1"), letter("b", b"1"))
    for mail in [letter("a")] * 2 + [letter("b", b"1")] * 3:
        case.there(footer(mail))
    for _ in range(2):
        assert case.rounds() == {"message-id": 3}


def test_fewer_of_them_than_twins(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("b"), letter("b"), letter("b"))
    case.there(footer(letter("b")))
    assert case.rounds() == {"message-id": 1, "placed": 2}
    assert case.rounds() == {"octets": 2, "message-id": 1}


def test_by_number_of_the_rest(tmp_path: Path) -> None:
    """One of two is there as it was: the other may be what became of the other."""
    case = Case(tmp_path, letter("b", b"1"), letter("b", b"2"))
    case.there(letter("b", b"1"))
    case.there(footer(letter("b", b"2")))
    assert case.rounds() == {"octets": 1, "message-id": 1}


def test_by_number_needs_the_instant(tmp_path: Path) -> None:
    case = Case(tmp_path, SAME)
    case.there(footer(SAME), LATER)
    assert case.rounds() == {"placed": 1}


# --- without Message-ID ---------------------------------------------------------------------------


def test_fields_and_body(tmp_path: Path) -> None:
    mail = b"From: x\r\nDate: now\r\nSubject:  a   b\r\n\r\nbody\r\n"
    case = Case(tmp_path, mail, b"From: x\r\nDate: now\r\nSubject: a b\r\n\r\nother\r\n")
    case.there(b"Received: x\r\n" + mail.replace(b"  a   b", b" a b"), LATER)
    assert case.rounds() == {"fields-and-body": 1, "placed": 1}


def test_what_has_no_field_needs_the_instant(tmp_path: Path) -> None:
    """Nothing but its date tells one message of no content from another."""
    case = Case(tmp_path, b"X-One: 1\r\n\r\n", (b"X-Two: 2\r\n\r\n", LATER))
    case.there(b"X-Other: other\r\n\r\n", "2025-01-01T00:00:00+00:00")
    case.there(b"Received: y\r\nX-Two: 2\r\n\r\n", LATER)
    assert case.rounds() == {"fields-and-body": 1, "placed": 1}


# --- instants -------------------------------------------------------------------------------------


def test_an_instant_that_the_target_does_not_keep_is_any(tmp_path: Path) -> None:
    mail = (letter("b"), "2199-01-01T00:00:00+00:00")
    case = Case(tmp_path, mail, letter("c"), clamps_dates=True, adds_received=True)
    altered = folder_of(case.run(), "INBOX").altered
    assert [entry["what"] for entry in altered] == [["future-date", "header"], ["header"]]
    assert case.rounds() == {"message-id-and-body": 2}
    # and a target that keeps them is held to them
    case.rewriting = Rewriting(adds_received=True)
    assert case.rounds() == {"message-id-and-body": 1, "placed": 1}


def test_which_instants_those_are() -> None:
    names = NameRules()
    plain = TargetCapabilities(names=names)
    known = frozenset({Alteration.EARLY_DATE, Alteration.FUTURE_DATE})
    clamping = TargetCapabilities(names=names, alterations=known)
    earliest = clamping.earliest
    for epoch, changed in (
        (earliest - 1, True), (earliest, False), (0, False), (4_000_000_000, True),
    ):  # fmt: skip
        assert changes_instant(epoch, clamping) == changed
        assert not changes_instant(epoch, plain)
    assert changes_instant(None, plain)


def test_no_date_matches_any(tmp_path: Path) -> None:
    case = Case(tmp_path, SAME, adds_received=True)
    file = case.archive / "mail" / "INBOX" / "folder.json"
    archive = stripped(case.archive, tmp_path / "bare", file)
    report = place(archive, MemoryTarget(case.target, rewriting=case.rewriting))
    assert folder_of(report, "INBOX").placed == 1
    for _ in range(2):
        report = place(archive, MemoryTarget(case.target, rewriting=case.rewriting))
        assert report.by_round() == {"message-id-and-body": 1}


def stripped(archive: Path, to: Path, file: Path) -> Path:
    """As another generator might have made it: no dates, no digests, no manifest."""
    import json
    import shutil

    shutil.copytree(archive, to)
    folder = to / file.relative_to(archive)
    told = json.loads(folder.read_text("utf-8"))
    for item in told["items"]:
        for name in [name for name in item if name.startswith("portarchive:")]:
            del item[name]
    folder.write_text(json.dumps(told), "utf-8")
    for message in folder.parent.glob("*.eml"):
        message.write_bytes(message.read_bytes().replace(b"Date: Tue", b"X-Date: Tue"))
    metadata = json.loads((to / "archive.json").read_text("utf-8"))
    metadata["archive"].pop("portarchive:manifest")
    (to / "archive.json").write_text(json.dumps(metadata), "utf-8")
    for name in ("manifest.json", "manifest-sha256.txt"):
        (to / name).unlink()
    shutil.rmtree(to / ".portarchive")
    return to


# --- ids ------------------------------------------------------------------------------------------


def test_ids_of_another_account_are_nothing(tmp_path: Path) -> None:
    """The account in memory gives ids that both sides may share by accident."""
    case = Case(tmp_path, letter("a"))
    case.there(letter("b"))
    ids = [item.message.email_id for item in case.target.mailboxes()["F1"].items.values()]
    assert ids == ["M2"]
    case.there(letter("c"))
    assert case.rounds() == {"placed": 1}


@pytest.fixture
def same_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account in memory has no ids that an archive could name as its own."""
    monkeypatch.setattr(run, "same_ids", lambda *_: True)


def other_box(case: Case, message: bytes, when: str = WHEN) -> None:
    """A mailbox with the INBOX's UIDVALIDITY, and in it another message at UID 1."""
    case.target.create_folder("Trash", roles=("trash",))
    case.target.add(message, "Trash", received=when)
    trash, inbox = (case.target.mailboxes()[box] for box in ("F2", "F1"))
    trash.uidvalidity = inbox.uidvalidity
    trash.items = {1: next(iter(trash.items.values()))}
    trash.items[1].message.email_id = "M77"


@pytest.mark.usefixtures("same_account")
@pytest.mark.parametrize("by_name", [False, True])
def test_a_uid_of_one_mailbox_is_none_of_another(tmp_path: Path, by_name: bool) -> None:
    one, other = letter("one", b"AAAA\r\n"), letter("two", b"BBBB\r\n")
    source = account()
    source.add(one, received=WHEN, flags=["\\Deleted"])
    archive = archived(tmp_path / "archive", source)
    case = Case(tmp_path / "x")
    other_box(case, other)
    if by_name:
        for box in case.target.mailboxes().values():
            box.record = dataclasses.replace(box.record, uid=None)
            for item in box.items.values():
                item.message.email_id = ""
    report = place(archive, MemoryTarget(case.target))
    assert (report.total("placed"), report.by_round()) == (1, {})
    assert sorted(octets(case.target, "Trash")) == [one, other]


@pytest.mark.usefixtures("same_account")
@pytest.mark.parametrize(
    ("there", "when", "email_id", "rounds"),
    [
        (letter("a"), WHEN, "M2", {"ids": 1}),
        (letter("b"), WHEN, "", {"ids": 1}),  # UID, size and instant: nothing else is asked
        (letter("b"), WHEN, "M9", {"placed": 1}),
        (letter("b"), LATER, "", {"placed": 1}),
        (letter("a"), LATER, "M2", {"octets": 1}),
        (letter("b", b"longer"), WHEN, "M2", {"placed": 1}),
    ],
)
def test_ids_of_the_same_account(tmp_path: Path, there, when, email_id, rounds) -> None:
    case = Case(tmp_path, letter("a"))
    case.there(there, when)
    case.target.mailboxes()["F1"].items[1].message.email_id = email_id
    assert case.rounds() == rounds


@pytest.mark.usefixtures("same_account")
def test_strictly_no_id_is_believed(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"))
    case.there(letter("b"))
    case.target.mailboxes()["F1"].items[1].message.email_id = ""
    assert case.rounds(strict_match=True) == {"placed": 1}


# --- strictly -------------------------------------------------------------------------------------


def test_strictly_a_rewriting_server_gets_duplicates_and_nothing_else_does(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"), letter("b"), adds_received=True)
    assert case.rounds(strict_match=True, state=case.state) == {"placed": 2}
    # a ledger makes it faster, never different
    assert case.rounds(strict_match=True, state=case.state) == {"placed": 2}
    assert case.rounds(state=case.state) == {"ledger": 2}
    case.rewriting = Rewriting()
    case.there(letter("a"))
    assert case.rounds(strict_match=True) == {"octets": 1, "placed": 1}


@pytest.mark.parametrize("uidplus", [False, True])
def test_strictly_what_this_run_sent_is_recognised_all_the_same(
    tmp_path: Path, uidplus: bool
) -> None:
    case = Case(tmp_path, *[letter(str(n)) for n in range(9)], adds_received=True)
    lost = Fault(where="stored", error=ConnectionLost("lost"), after=4)
    report = case.run(strict_match=True, faults=[lost], uidplus=uidplus)
    assert (report.total("placed"), report.total("failed_count")) == (9, 0)
    assert len(octets(case.target)) == 9


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["fetch", "headers", "chunks"])
def test_what_cannot_be_read_is_not_brought_twice(tmp_path: Path, where: str) -> None:
    large = letter("large", b"x" * 20_000)
    case = Case(tmp_path, letter("a"), large, letter("c"))
    case.run()
    poison = [Fault(where=where, error=ConnectionLost("lost"), times=40)]
    target = MemoryTarget(case.target, faults=poison, large=1000, chunk=500)
    report = place(case.archive, target)
    assert report.total("placed") == 0
    assert len(octets(case.target)) == 3
    # by Message-ID and instant where at least the header can be had, else by all octets
    assert not folder_of(report, "INBOX").failed
    assert sum(report.by_round().values()) == 3
    assert case.rounds() == {"octets": 3}


def test_what_cannot_be_read_at_all_is_named(tmp_path: Path) -> None:
    mail = [b"From: x\r\nSubject: y\r\n\r\n" + b"x" * 20_000, letter("b")]
    case = Case(tmp_path, *mail)
    case.run()
    for wheres, failed in ((("headers",), 0), (("fetch", "headers"), 2)):
        lost = ConnectionLost("lost")
        poison = [Fault(where=where, error=lost, times=99) for where in wheres]
        report = place(case.archive, MemoryTarget(case.target, faults=poison))
        assert report.total("placed") == 0
        assert report.total("failed_count") == failed
        assert len(octets(case.target)) == 2


def test_what_is_gone_meanwhile_is_brought(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"))
    case.there(letter("a"))
    target = MemoryTarget(case.target)
    fetch = target.fetch

    def gone(messages):
        case.target.expunge("INBOX", 1)
        target.fetch = fetch
        return fetch(messages)

    target.fetch = gone
    report = place(case.archive, target)
    assert totals(report)["placed"] == 1
    assert octets(case.target) == [letter("a")]


def test_a_wrapper_is_what_jobs_see() -> None:
    target = MemoryTarget(MemoryAccount())
    assert retrying(target).capabilities is target.capabilities

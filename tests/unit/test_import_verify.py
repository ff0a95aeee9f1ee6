"""What is read back after placing, what is said of it; what a target refuses, and how it ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from importing import account, archived, flags, folder_of, letter, normal, octets, place, totals
from portarchive.cli.import_view import summary
from portarchive.connectors.memory import Fault, MemoryAccount, MemoryTarget, Rewriting
from portarchive.errors import ConnectionLost
from portarchive.jobs.replay import pieces
from portarchive.jobs.replay.options import SAMPLE
from portarchive.placing import Alteration, FolderLook, LineEnds, TargetCapabilities
from portarchive.records import Received

WHEN = "2024-02-29T12:00:01+00:00"
LOST = ConnectionLost("the server closed the connection")
PLAIN = [letter(str(number)) for number in range(6)]


class Case:
    def __init__(self, root: Path, *mail: bytes, **habits: Any) -> None:
        self.archive = archived(root / "archive", account(INBOX=mail))
        self.target = MemoryAccount()
        self.habits = Rewriting(**habits)

    def run(self, to: MemoryTarget | None = None, **how: Any):
        inner = {name: how.pop(name) for name in list(how) if name in INNER}
        self.to = to or MemoryTarget(self.target, rewriting=self.habits, **inner)
        return place(self.archive, self.to, **how)


INNER = {"uidplus", "faults", "answers_late", "window", "now", "capabilities"}


def altered(report) -> list[tuple[str, list[str], bool]]:
    told = folder_of(report, "INBOX").altered
    return [(entry["uid"], entry["what"], entry["known"]) for entry in told]


def failed(report) -> list[tuple[str, str]]:
    return [(entry["uid"], entry["code"]) for entry in folder_of(report, "INBOX").failed]


# --- what the target changed ----------------------------------------------------------------------


def test_plain_ones_by_sample_or_all(tmp_path: Path) -> None:
    case = Case(tmp_path, *[letter(str(n)) for n in range(4 * SAMPLE)])
    report = case.run()
    assert 0 < report.read_back < 3 * SAMPLE // 4
    assert report.complete
    case.target = MemoryAccount()
    assert case.run(verify="bytes").read_back == 4 * SAMPLE


def test_odd_ones_are_all_read_back(tmp_path: Path) -> None:
    odd = [
        normal(letter("lf")),
        letter("mixed", b"a\nb\r\n"),
        letter("nul", b"a\0b\r\n"),
        letter("8bit", b"\xff\r\n"),
        letter("long", b"x" * 999 + b"\r\n"),
        letter("cr", b"a\r\r\n"),
        b"\r\nno header\r\n",
    ]
    report = Case(tmp_path, *odd).run()
    assert report.read_back >= len(odd)
    assert report.complete


class Same(MemoryTarget):
    """Changes octets at the same size, as Cyrus does with headers (munge8bit)."""

    change = (b"hello", b"holla")

    def _store(self, parcel):
        outcome = super()._store(parcel)
        for box in self.account.mailboxes().values():
            for item in box.items.values():
                item.message.octets = item.message.octets.replace(*self.change)
        return outcome


@pytest.mark.parametrize(
    ("change", "what", "known"),
    [
        ((b"hello", b"holla"), "body", False),
        ((b"Jane", b"Joan"), "header", False),
        ((b"\xe4", b"X"), "8bit-header", True),
        ((b"\xff", b"X"), "body", False),
        ((b"\0", b"\x80"), "nul", True),
    ],
)
def test_at_the_same_size(tmp_path: Path, change, what, known) -> None:
    name = b"Subject: \xe4\r\n" if b"\xe4" in change else b"Subject: x\r\n"
    mail = letter("a", b"hello \xff \0\r\n" if b"\0" in change else b"hello \xff\r\n", fields=name)
    case = Case(tmp_path, mail)
    to = Same(case.target)
    to.change = change
    to.capabilities = _with(to.capabilities, Alteration.EIGHT_BIT_HEADER, Alteration.NUL)
    assert altered(case.run(to, verify="bytes")) == [("1", [what], known)]
    # and it is found again
    again = place(case.archive, MemoryTarget(case.target, capabilities=to.capabilities))
    if known:
        assert sum(again.by_round().values()) == 1


@pytest.mark.parametrize(
    ("body", "changes", "what", "known"),
    [
        (b"hello \0\r\n", [(b"\0", b"\x80")], "nul", True),
        (b"hello \0\r\n", [(b"\0", b"\x80"), (b"hello", b"holla")], "body", False),
        (b"hello \0\r\n", [(b"Message-ID", b"Received: x\r\nMessage-ID")], "header", False),
        (b"hello \0\r\n", [(b"Jane", b"Joan"), (b"hello", b"holla")], "octets", False),
        (b"hello\r\r\n", [(b"\r\r\n", b"\r\n")], "cr-run", True),
        (b"hello\r\r\n", [(b"\r\r\n", b"\r\n"), (b"hello", b"holla")], "body", False),
        (b"hello\r\r\n", [(b"hello", b"holla")], "body", False),
        (b"a\nhello\r\r\n", [(b"\r\r\n", b"\r\n"), (b"a\n", b"a\r\n")], "cr-run", True),
        (b"hello\na\r\n", [(b"o\n", b"o\r\n")], "bare-lf", True),
        (b"hello\na\r\n", [(b"o\n", b"x\r\n")], "body", False),
    ],
)
@pytest.mark.parametrize("large", [0, 1 << 20])
def test_no_message_is_excused_for_what_is_odd_in_it(
    tmp_path: Path, body: bytes, changes, what: str, known: bool, large: int
) -> None:
    """A NUL or CR CR LF explains what servers make of these, and nothing else."""

    class Changes(MemoryTarget):
        def _store(self, parcel):
            outcome = super()._store(parcel)
            for item in self.account.mailboxes()["F1"].items.values():
                for change in changes:
                    item.message.octets = item.message.octets.replace(*change)
            return outcome

    case = Case(tmp_path, letter("a", body))
    to = Changes(case.target, large=large, chunk=3)
    to.capabilities = _with(to.capabilities, Alteration.NUL, Alteration.CR_RUN, Alteration.BARE_LF)
    assert altered(case.run(to)) == [("1", [what], known)]


@pytest.mark.parametrize("size", [3, 300])
@pytest.mark.parametrize(
    ("ends", "foreseen"),
    [
        (b"a\r\r\n", {"cr-run": 1}),
        (b"a\nb\r\n", {"bare-lf": 1}),
        (b"a\nb\r\r\n", {"bare-lf": 1, "cr-run": 1}),
        (b"a\r\nb\r\n\r", {"cr-run": 1}),
        (b"a\r\nb\r\n\n", {"bare-lf": 1}),
    ],
)
def test_cr_cr_lf_is_no_bare_lf(tmp_path: Path, monkeypatch, size, ends, foreseen) -> None:
    monkeypatch.setattr(pieces, "WHOLE", 200)
    case = Case(tmp_path, letter("a", b"abcdefg\r\n" * (size // 9) + ends))
    to = MemoryTarget(case.target)
    to.capabilities = _with(to.capabilities, Alteration.CR_RUN, Alteration.BARE_LF)
    assert folder_of(case.run(to, dry_run=True), "INBOX").losses == foreseen


def _with(capabilities: TargetCapabilities, *known: Alteration) -> TargetCapabilities:
    from dataclasses import replace

    return replace(capabilities, alterations=frozenset(known))


def test_line_ends(tmp_path: Path) -> None:
    mixed = letter("mixed", b"a\nb\r\n")
    case = Case(tmp_path, mixed, normal(letter("lf")), letter("crlf"), line_ends=LineEnds.CRLF)
    report = case.run()
    assert altered(report) == [("1", ["bare-lf"], True)]
    assert folder_of(report, "INBOX").line_ends == 1
    assert octets(case.target)[1:] == [letter("lf"), letter("crlf")]


@pytest.mark.parametrize("uidplus", [False, True])
def test_headers_and_dates(tmp_path: Path, uidplus: bool) -> None:
    source = account()
    source.add(letter("a"), received="2199-01-01T00:00:00+00:00")
    case = Case(tmp_path, adds_received=True, clamps_dates=True)
    archived(case.archive, source)
    assert altered(case.run(uidplus=uidplus)) == [("1", ["future-date", "header"], False)]


def test_a_date_that_was_changed_without_need(tmp_path: Path) -> None:
    class Now(MemoryTarget):
        def _store(self, parcel):
            outcome = super()._store(parcel)
            for item in self.account.mailboxes()["F1"].items.values():
                item.message.received = Received("2000-01-01T00:00:00Z", 946_684_800)
            return outcome

    case = Case(tmp_path, letter("a"))
    assert altered(case.run(Now(case.target))) == [("1", ["date"], False)]


def test_flags_that_were_added(tmp_path: Path) -> None:
    class Adds(MemoryTarget):
        def _flags(self, spot):
            return (*super()._flags(spot), "$hasattachment", "Spam")

    case = Case(tmp_path, letter("a"))
    report = case.run(Adds(case.target))
    assert altered(report) == [("1", ["flags-added"], False)]
    assert flags(case.target) == [("$hasattachment", "Spam")]


def test_what_cannot_be_read_back(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a", b"\xff"), letter("b"))
    report = case.run(faults=[Fault(where="fetch", error=LOST, times=50)])
    assert ("1", ["not-read-back"], False) in altered(report)
    assert report.total("placed") == 2
    assert case.run().by_round() == {"octets": 2}


def test_a_mailbox_that_cannot_be_looked_at_any_more(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"), letter("b"))
    to = MemoryTarget(case.target)
    store = to._store

    def refuse(parcel):
        case.target.refuse_folder("INBOX", "folder-unavailable", "not now")
        return store(parcel)

    to._store = refuse
    report = case.run(to)
    assert [what for _, what, _ in altered(report)] == [["not-read-back"]] * 2
    case.target.refuse_folder("INBOX", None)
    assert case.run().by_round() == {"octets": 2}


def test_a_mailbox_that_cannot_be_looked_at_gets_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"))
    case.target.refuse_folder("INBOX", "folder-unavailable", "not now")
    report = case.run()
    assert failed(report) == [("1", "folder-unavailable")]
    assert case.to.sent == []


# --- what is taken and not there ------------------------------------------------------------------


@pytest.mark.parametrize("uidplus", [False, True])
def test_what_the_target_took_and_does_not_have_is_missing(tmp_path: Path, uidplus: bool) -> None:
    """Failure 9."""
    case = Case(tmp_path, *PLAIN, loses=3)
    report = case.run(uidplus=uidplus)
    assert failed(report) == [("3", "lost-by-target"), ("6", "lost-by-target")]
    assert not report.complete
    case.habits = Rewriting()
    report = case.run(uidplus=uidplus)
    assert (report.by_round(), report.total("placed")) == ({"octets": 4}, 2)
    assert len(octets(case.target)) == 6


def test_import_twice_is_import_once(tmp_path: Path) -> None:
    """Failure 13."""
    case = Case(tmp_path, *PLAIN)
    case.run()
    first = case.target.contents()
    for state in (None, tmp_path / "state", tmp_path / "state"):
        assert place(case.archive, MemoryTarget(case.target), state).total("placed") == 0
    assert case.target.contents() == first


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("limit", "[LIMIT] Too many identical emails"),
        ("refused", "no"),
        ("bad-message", "contains bare newlines"),
        ("folder-gone", "[TRYCREATE]"),
    ],
)
def test_one_refused_message_is_named_and_the_rest_comes(tmp_path: Path, code, text) -> None:
    """Failure 17."""

    def refuses(parcel, octets):
        return (code, text) if b"<2@" in octets else None

    case = Case(tmp_path, *PLAIN, refuses=refuses)
    report = case.run()
    (entry,) = folder_of(report, "INBOX").failed
    assert (entry["uid"], entry["code"], entry["text"]) == ("3", code, text)
    assert report.total("placed") == 5
    assert report.ended is None


def test_too_big(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("big", b"x" * 500), letter("small"), append_limit=300)
    plan = case.run(dry_run=True)
    assert folder_of(plan, "INBOX").losses == {"too-big": 1}
    report = case.run()
    assert failed(report) == [("1", "too-big")]
    assert "300" in folder_of(report, "INBOX").failed[0]["text"]
    assert len(case.to.sent) == 1  # it was not even tried


def test_a_date_that_is_refused_is_left_to_the_target(tmp_path: Path) -> None:
    def refuses(parcel, octets):
        return ("date", "no such date") if parcel.spots[0].received.epoch is not None else None

    case = Case(tmp_path, letter("a"), refuses=refuses)
    report = case.run()
    assert altered(report) == [("1", ["date"], False)]
    assert report.total("placed") == 1


def test_ten_over_quota_in_a_row_end_the_run(tmp_path: Path) -> None:
    mail = [letter(f"{n:02}") for n in range(40)]
    case = Case(tmp_path, *mail, quota=5 * len(mail[0]))
    report = case.run(window=1)
    assert report.ended == "over-quota"
    assert report.total("placed") == 5
    assert len(case.to.sent) == 15
    assert {code for _, code in failed(report)} == {"over-quota"}
    assert len(failed(report)) == 35
    # with room the rest comes, once
    case.habits = Rewriting()
    report = case.run()
    assert (report.by_round(), report.total("placed")) == ({"octets": 5}, 35)


def test_a_full_account_ends_other_folders_too(tmp_path: Path, monkeypatch) -> None:
    from portarchive.jobs.replay import gather

    monkeypatch.setattr(gather, "GROUP", 1)
    source = account(INBOX=[letter(str(n)) for n in range(12)], Work=[letter("w")])
    case = Case(tmp_path)
    archived(case.archive, source)
    case.habits = Rewriting(quota=0)
    report = case.run()
    assert report.ended == "over-quota"
    assert folder_of(report, "Work").failed[0]["code"] == "over-quota"


def test_over_quota_now_and_then_does_not_end_it(tmp_path: Path) -> None:
    """A large message has no room where small ones have."""

    def refuses(parcel, octets):
        return ("over-quota", "[OVERQUOTA]") if parcel.size > 1000 else None

    mail = [letter(f"{n}", b"x" * (2000 if n % 2 else 1)) for n in range(40)]
    case = Case(tmp_path, *mail, refuses=refuses)
    report = case.run(window=1)
    assert (report.ended, report.total("placed"), len(failed(report))) == (None, 20, 20)


# --- what breaks the connection -------------------------------------------------------------------


class Poisonous(MemoryTarget):
    """Breaks the connection whenever one of these messages is sent."""

    words: tuple[bytes, ...] = ()

    def _store(self, parcel):
        if any(word in b"".join(parcel.chunks()) for word in self.words):
            self.sent.append(parcel.key)
            self._break()
        return super()._store(parcel)


@pytest.mark.parametrize("words", [(b"<2@",), (b"<0@", b"<1@", b"<2@"), (b"<5@",)])
@pytest.mark.parametrize("late", [False, True])
def test_a_message_that_breaks_the_connection_is_named(tmp_path: Path, words, late) -> None:
    """Alone, three times; what is beside it comes, once."""
    case = Case(tmp_path, *PLAIN)
    to = Poisonous(case.target, answers_late=late)
    to.words = words
    report = case.run(to)
    assert {code for _, code in failed(report)} == {"connection-lost"}
    assert len(failed(report)) == len(words)
    assert report.total("placed") == 6 - len(words)
    assert len(octets(case.target)) == 6 - len(words)
    assert max(to.sent.count(key) for key in to.sent) <= 4


def test_a_lost_answer_is_no_lost_message(tmp_path: Path) -> None:
    case = Case(tmp_path, *PLAIN)
    faults = [Fault(where="stored", error=LOST, after=number) for number in range(4)]
    report = case.run(faults=faults)
    assert totals(report)["placed"] == 6
    assert sorted(octets(case.target)) == sorted(PLAIN)


def test_mail_that_comes_meanwhile_is_not_ours(tmp_path: Path) -> None:
    """A copy of a message arrives by itself while it is sent: none of them is touched."""
    case = Case(tmp_path, *PLAIN)
    to = MemoryTarget(case.target)
    store = to._store

    def arrives(parcel):
        case.target.add(letter("new"))
        return store(parcel)

    to._store = arrives
    report = case.run(to)
    assert report.complete
    assert len(octets(case.target)) == 12
    assert sum(case.run().by_round().values()) == 6


# --- what the plan foresees -----------------------------------------------------------------------


def test_losses_in_the_plan(tmp_path: Path) -> None:
    mail = [
        letter("a", b"x\ny\r\n"), letter("b", b"x" * 1200), letter("c", b"\0"), letter("d"),
    ]  # fmt: skip
    case = Case(tmp_path, *mail, line_ends=LineEnds.CRLF)
    plan = case.run(dry_run=True)
    assert folder_of(plan, "INBOX").losses == {"bare-lf": 1, "long-line": 1}
    assert plan.total("to_place") == 4


def test_dates_that_the_target_is_known_to_change_are_foreseen(tmp_path: Path) -> None:
    source = account()
    for year in ("1999", "2024", "2199"):
        source.add(letter(year), received=f"{year}-01-01T00:00:00+00:00")
    case = Case(tmp_path)
    archived(case.archive, source)
    to = MemoryTarget(case.target)
    to.capabilities = dataclasses.replace(
        _with(to.capabilities, Alteration.EARLY_DATE, Alteration.FUTURE_DATE), earliest=946_684_800
    )
    losses = folder_of(case.run(to, dry_run=True), "INBOX").losses
    assert losses == {"early-date": 1, "future-date": 1}


@pytest.mark.parametrize(
    ("words", "foreseen"),
    [
        (("$seen", "$flagged"), {}),
        (("$flagged", "Red"), {}),
        (("$seen", "Blue"), {"keywords-unsure": 1}),
        (("$answered",), {"keywords-unsure": 1}),
    ],
)
def test_keywords_that_a_mailbox_does_not_promise_are_foreseen(
    tmp_path: Path, words, foreseen
) -> None:
    class Few(MemoryTarget):
        def existing(self, folder_ids, newer_than=None):
            for event in super().existing(folder_ids, newer_than):
                if isinstance(event, FolderLook):
                    kept = ("$seen", "$flagged", "red")
                    yield event._replace(keywords=kept, new_keywords=False)
                else:
                    yield event

    source = account()
    source.add(letter("a"), flags=words)
    case = Case(tmp_path)
    archived(case.archive, source)
    plan = case.run(Few(case.target), dry_run=True)
    assert folder_of(plan, "INBOX").losses == foreseen


# --- what was there already -----------------------------------------------------------------------


def differs(report) -> list[tuple[str, list[str]]]:
    return [(entry["uid"], entry["what"]) for entry in folder_of(report, "INBOX").differs]


@pytest.mark.parametrize("state", [False, True])
def test_other_flags_and_dates_of_what_was_there_are_named(tmp_path: Path, state: bool) -> None:
    """Its owner may have read it meanwhile: named, left as it is, and no reason for exit 3."""
    source = account()
    for name in "abcd":
        source.add(letter(name), flags=["$flagged"], received="2024-01-01T00:00:00+00:00")
    case = Case(tmp_path)
    archived(case.archive, source)
    where = tmp_path / "state" if state else None
    place(case.archive, MemoryTarget(case.target), where)
    items = case.target.mailboxes()["F1"].items
    items[2].flags = ("$flagged", "$seen")
    items[3].flags = ()
    items[3].message.received = Received("2000-01-01T00:00:00Z", 946_684_800)
    items[4].flags = ("$flagged", "$hasattachment")  # the server's own
    before = case.target.contents()
    for dry_run in (True, False):
        report = place(case.archive, MemoryTarget(case.target), where, dry_run=dry_run)
        assert differs(report) == [("2", ["flags"]), ("3", ["flags", "date"])]
        assert (report.complete, altered(report)) == (True, [])
        assert totals(report)["differs"] == 2
    assert case.target.contents() == before


def test_what_an_earlier_run_named_and_is_known_is_told_again(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a", b"a\nb\r\n"), letter("b"), line_ends=LineEnds.CRLF)
    state = tmp_path / "state"
    for complete, present in ((False, False), (True, True), (True, True)):
        report = case.run(state=state)
        assert altered(report) == [("1", ["bare-lf"], True)]
        (entry,) = folder_of(report, "INBOX").altered
        assert (entry["present"], entry["named"]) == (present, present)
        assert report.complete is complete
    report = case.run()
    assert altered(report) == [("1", ["bare-lf"], True)]
    assert not report.complete  # as far as this run knows, nobody was ever told


def test_what_is_unknown_of_the_server_is_never_well(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a"), adds_received=True)
    state = tmp_path / "state"
    for _ in range(3):
        report = case.run(state=state, verify="bytes")
        assert altered(report) == [("1", ["header"], False)]
        assert not report.complete


def test_another_body_under_the_same_name_is_not_the_message(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.target.add(letter("a", b"something else\r\n"), received=WHEN)
    source = account()
    source.add(letter("a", b"the body of old\r\n"), received=WHEN)
    archived(case.archive, source)
    report = case.run()
    assert report.by_round() == {"message-id": 1}
    assert altered(report) == [("1", ["body"], False)]
    assert not report.complete


@pytest.mark.parametrize("other", [False, True])
def test_what_was_there_is_excused_for_a_nul_and_nothing_else(tmp_path: Path, other: bool) -> None:
    source = account()
    mail = letter("a", b"hello \0 world\r\n")
    source.add(mail, received=WHEN)
    case = Case(tmp_path)
    archived(case.archive, source)
    there = mail.replace(b"\0", b"\x80")
    case.target.add(there.replace(b"world", b"earth") if other else there, received=WHEN)
    to = MemoryTarget(case.target)
    to.capabilities = _with(to.capabilities, Alteration.NUL)
    report = case.run(to)
    assert altered(report) == ([] if other else [("1", ["nul"], True)])
    assert report.total("placed") == (1 if other else 0)


def test_what_could_not_be_read_back_is_not_remembered(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a", b"\xff"), adds_received=True)
    state = tmp_path / "state"
    case.run(state=state, faults=[Fault(where="fetch", error=LOST, times=50)])
    report = case.run(state=state)
    assert report.by_round() == {"message-id-and-body": 1}
    assert altered(report) == [("1", ["header"], False)]


def test_words_of_what_was_there(tmp_path: Path) -> None:
    case = Case(tmp_path, letter("a", b"a\nb\r\n"), letter("b"), line_ends=LineEnds.CRLF)
    case.run(state=tmp_path / "state")
    case.target.mailboxes()["F1"].items[2].flags = ("$seen",)
    text = "\n".join(summary(case.run(state=tmp_path / "state")))
    assert "altered by the server (bare-lf), as this server is known to; an earlier run" in text
    assert "there already, with other flags; left so" in text
    assert "INCOMPLETE" not in text

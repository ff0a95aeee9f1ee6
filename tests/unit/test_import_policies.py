r"""Flags and keywords on the way: KW-4 and KW-6 to KW-9, each with its override and its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from importing import account, archived, flags, folder_of, letter, place, totals
from portarchive.cli import import_view
from portarchive.cli.import_view import summary
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget, Rewriting
from portarchive.jobs.replay import report as report_module
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.policies import Policies, Treatment
from portarchive.jobs.replay.run import same_service
from portarchive.placing import Alteration, LineEnds


def treat(*words: str, same: bool = False, jmap: bool = False, **options: Any) -> Treatment:
    policies = Policies(ImportOptions(**options), same_provider=same, jmap=jmap)
    found = policies.treat(words)
    assert policies.treat(words) is found  # asked for once
    return found


def test_what_a_person_set_is_kept() -> None:
    words = ("$seen", "$answered", "$flagged", "$draft", "$muted", "$followed", "$Forwarded",
             "$MDNSent", "NonJunk", "$label1", "Zuhause", "$MailFlagBit1", "$Junk", "$memo",
             "$unsubscribed", "$Important")  # fmt: skip
    assert treat(*words) == (words, (), False)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("$notify", "announces-old-mail"),
        ("$new", "announces-old-mail"),
        ("$istrusted", "of-the-old-provider"),
        ("$SubmitPending", "would-send"),
        ("two words", "not-in-grammar"),
        ("a]b", "not-in-grammar"),
        ("$x) {3+}\r\n", "not-in-grammar"),
        ("\\Bogus", "not-in-grammar"),
        ("ümlaut", "not-in-grammar"),
    ],
)
def test_what_is_dropped_and_named(word: str, reason: str) -> None:
    """KW-7, and what is no flag at all."""
    assert treat("$seen", word) == (("$seen",), ((word, reason),), False)


@pytest.mark.parametrize("word", ["$notify", "$new", "$istrusted", "$SubmitPending", "$ISTRUSTED"])
def test_each_can_be_kept_all_the_same(word: str) -> None:
    assert treat(word, keywords={word.lower(): True}) == ((word,), (), False)


@pytest.mark.parametrize("word", ["$seen", "$Junk", "Label1", "LABEL1"])
def test_each_can_be_dropped(word: str) -> None:
    assert treat(word, keywords={word.lower(): False}).dropped == ((word, "asked"),)


def test_no_override_lets_out_what_is_no_flag() -> None:
    word = "x) {3+}\r\n"
    assert treat(word, keywords={word: True}).flags == ()


def test_trust_stays_with_the_provider_that_gave_it() -> None:
    assert treat("$istrusted", same=True).flags == ("$istrusted",)
    assert treat("$notify", same=True).flags == ()
    assert same_service("imaps://mail.example.org:993", "imap://MAIL.example.org")
    assert not same_service("imaps://mail.example.org", "imaps://example.net")
    assert not same_service(None, "imaps://example.net")
    assert not same_service("imaps://[broken", "imaps://[broken")


def test_junk_is_held_when_asked() -> None:
    words = ("$Junk", "$NotJunk", "$Phishing")
    assert treat(*words).flags == words
    held = treat(*words, hold_junk=True)
    assert held == ((), tuple((word, "held-junk") for word in words), False)
    # a single one can be let through
    assert treat("$Junk", hold_junk=True, keywords={"$junk": True}).flags == ("$Junk",)


@pytest.mark.parametrize(
    ("words", "kept", "reason"),
    [
        (("$MailFlagBit0", "$MailFlagBit2"), (), "colour-without-flag"),
        (("$muted", "$followed"), ("$followed",), "followed-and-muted"),
        (("$hasattachment", "$hasnoattachment"), ("$hasattachment",), "both-attachment-keywords"),
    ],
)
def test_contradictions_are_mended_when_asked(words, kept, reason) -> None:
    """KW-6."""
    assert treat(*words).flags == words
    mended = treat(*words, normalise=True)
    assert mended.flags == kept
    assert {why for _, why in mended.dropped} == {reason}
    colour = ("$flagged", "$MailFlagBit0")
    assert treat(*colour, normalise=True).flags == colour


def test_imported_is_added_when_asked() -> None:
    """KW-8."""
    assert treat("$seen").flags == ("$seen",)
    assert treat("$seen", mark_imported=True).flags == ("$seen", "$imported")
    assert treat("$Imported", mark_imported=True).flags == ("$Imported",)


def test_deleted() -> None:
    r"""KW-4: never set unless asked; JMAP has no such keyword."""
    assert treat("$seen", "\\Deleted") == (("$seen",), (), True)
    assert treat("\\deleted", deleted="keep") == (("\\deleted",), (), False)
    assert treat("\\Deleted", deleted="keep", jmap=True) == ((), (), True)
    assert treat("\\Deleted", deleted="skip").deleted


def test_jmap_has_a_grammar_of_its_own() -> None:
    """KW-5."""
    long = "x" * 256
    assert treat(long, "ok", jmap=True) == (("ok",), ((long, "not-in-grammar"),), False)


# --- on the target --------------------------------------------------------------------------------


class Case:
    def __init__(self, root: Path, *words: list[str], **habits: Any) -> None:
        self.source = MemorySource()
        for number, each in enumerate(words):
            self.source.add(letter(str(number)), flags=each)
        self.archive = archived(root / "archive", self.source)
        self.target = MemoryAccount()
        self.habits = Rewriting(**habits)

    def run(self, **options: Any):
        self.to = MemoryTarget(self.target, rewriting=self.habits)
        return place(self.archive, self.to, **options)


def dropped(report) -> dict[tuple[str, str], int]:
    return {
        (entry["keyword"], entry["reason"]): entry["count"]
        for entry in folder_of(report, "INBOX").dropped
    }


def test_the_report_counts_what_was_dropped(tmp_path: Path) -> None:
    case = Case(tmp_path, ["$notify"], ["$notify", "$seen"], ["$istrusted"])
    assert dropped(case.run()) == {
        ("$notify", "announces-old-mail"): 2,
        ("$istrusted", "of-the-old-provider"): 1,
    }
    assert flags(case.target) == [(), ("$seen",), ()]


@pytest.mark.parametrize(
    ("policy", "inbox", "trash"),
    [
        ("trash", [("$seen",)], [("$flagged",)]),
        ("skip", [("$seen",)], None),
        ("keep", [("$seen",), ("\\Deleted", "$flagged")], None),
    ],
)
def test_deleted_messages(tmp_path: Path, policy, inbox, trash) -> None:
    case = Case(tmp_path, ["$seen"], ["\\Deleted", "$flagged"])
    report = case.run(deleted=policy)
    assert flags(case.target) == inbox
    assert (("Trash",) in case.target.contents()) == (trash is not None)
    if trash is not None:
        assert flags(case.target, "Trash") == trash
    assert totals(report).get("trashed", 0) == (policy == "trash")
    assert report.by_reason() == ({"deleted": 1} if policy == "skip" else {})
    assert sum(case.run(deleted=policy).by_round().values()) == len(inbox) + bool(trash)


def test_unannounced_keywords_are_tried_once(tmp_path: Path) -> None:
    r"""KW-9: no ``\*``; one new connection a folder tells which of them stayed."""
    words = [["One"], ["$seen"], ["One", "Two"], ["Known"], ["Two", "$flagged"], ["One"]]
    case = Case(tmp_path, *words, no_new_keywords=True, kept_keywords=("known",))
    report = case.run()
    assert case.to.reconnects == 1
    assert flags(case.target) != []
    assert sorted(flags(case.target)) == [(), (), (), ("$flagged",), ("$seen",), ("Known",)]
    assert dropped(report) == {
        ("One", "not-kept-by-target"): 3,
        ("Two", "not-kept-by-target"): 2,
    }
    assert report.complete
    # the next run says the same of what is there
    assert dropped(case.run()) == dropped(report)


def test_unannounced_keywords_that_stay(tmp_path: Path) -> None:
    words = [["One"], ["One", "Two"], []]
    case = Case(tmp_path, *words, no_new_keywords=True, keeps_unannounced=True)
    report = case.run()
    assert case.to.reconnects == 1
    assert dropped(report) == {}
    assert sorted(flags(case.target)) == [(), ("One",), ("One", "Two")]
    case.source.add(letter("new"), flags=["Two"])
    archived(case.archive, case.source)
    assert dropped(case.run()) == {}


def test_a_trial_that_is_refused_is_made_with_the_next(tmp_path: Path) -> None:
    def refuses(parcel, octets):
        return ("refused", "no") if b"<0@" in octets else None

    case = Case(tmp_path, ["One"], ["One"], ["One"], no_new_keywords=True, refuses=refuses)
    report = case.run()
    assert dropped(report)["One", "not-kept-by-target"] == 2  # of those that are there
    assert flags(case.target) == [(), ()]
    assert totals(report)["failed"] == 1
    assert "altered" not in totals(report)


def test_a_refusal_isolates_the_guilty_keyword(tmp_path: Path) -> None:
    """Failure 36: the message comes without it, and so do the next ones at once."""
    words = [["Good", "Bad", "Other"], ["Bad"], ["Good"], ["bad", "Other"]]
    case = Case(tmp_path, *words, refuses_keywords=frozenset({"Bad"}))
    report = case.run()
    assert dropped(report) == {("Bad", "refused-by-target"): 2, ("bad", "refused-by-target"): 1}
    assert report.complete
    assert sorted(flags(case.target)) == [(), ("Good",), ("Good", "Other"), ("Other",)]


def test_two_guilty_keywords_in_one_message(tmp_path: Path) -> None:
    case = Case(tmp_path, ["A", "B", "$seen"], refuses_keywords=frozenset({"A", "B"}))
    report = case.run()
    assert flags(case.target) == [("$seen",)]
    assert set(dropped(report)) == {("A", "refused-by-target"), ("B", "refused-by-target")}


def test_keywords_that_get_lost_in_silence_are_named(tmp_path: Path) -> None:
    case = Case(tmp_path, ["One"], ["Two"], drops_keywords=frozenset({"one"}))
    report = case.run()
    (altered,) = folder_of(report, "INBOX").altered
    assert (altered["uid"], altered["what"], altered["known"]) == ("1", ["flags"], False)
    assert not report.complete


def flagless(case: Case, *, known: bool = True) -> MemoryTarget:
    """Like an mbox without ``--mbox-status``."""
    target = MemoryTarget(case.target)
    listed = frozenset({Alteration.FLAGS} if known else ())
    target.capabilities = replace(target.capabilities, keywords=False, alterations=listed)
    return target


def test_a_target_without_flags(tmp_path: Path) -> None:
    """What is lost is named, in the plan and after it, and is no success."""
    case = Case(tmp_path, ["One", "$seen"], ["$seen", "$new"], [])
    plan = place(case.archive, flagless(case), dry_run=True)
    assert folder_of(plan, "INBOX").losses == {"flags": 2}
    lost = {
        ("$new", "announces-old-mail"): 1,
        ("$seen", "no-flags-there"): 2,
        ("One", "no-flags-there"): 1,
    }
    assert dropped(plan) == lost
    assert "2 messages: flags, which an mbox keeps only with --mbox-status" in "\n".join(
        summary(plan)
    )
    report = place(case.archive, flagless(case), tmp_path / "state")
    assert flags(case.target) == [(), (), ()]
    assert dropped(report) == lost
    altered = [(e["uid"], e["what"], e["known"]) for e in folder_of(report, "INBOX").altered]
    assert altered == [("1", ["flags"], True), ("2", ["flags"], True)]
    assert not report.complete
    text = "\n".join(summary(report))
    assert "INBOX: $seen not set on 2 messages: an mbox keeps flags only with --mbox-status" in text
    assert "INCOMPLETE" in text
    assert "altered by the server" not in text
    again = place(case.archive, flagless(case), tmp_path / "state")
    assert dropped(again) == lost
    assert again.complete  # an earlier run named it, and it is on the list
    assert not place(case.archive, flagless(case)).complete  # nobody knows of that run


def test_flags_that_get_lost_beyond_the_list(tmp_path: Path) -> None:
    case = Case(tmp_path, ["$seen"])
    report = place(case.archive, flagless(case, known=False))
    (altered,) = folder_of(report, "INBOX").altered
    assert (altered["what"], altered["known"]) == (["flags"], False)
    assert "altered by the server (flags)" in "\n".join(summary(report))


def test_lost_flags_do_not_crowd_out_what_else_was_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "NAMED", 2)
    monkeypatch.setattr(import_view, "SHOWN", 1)
    case = Case(tmp_path, *[["$seen"]] * 3)
    source = MemorySource()
    for number in range(8):
        body = b"x\ny\r\n" if number > 4 else b"x\r\n"
        source.add(letter(str(number), body), flags=["$seen"])
    archive = archived(tmp_path / "more", source)
    target = MemoryTarget(case.target, rewriting=Rewriting(line_ends=LineEnds.CRLF))
    target.capabilities = replace(
        target.capabilities, keywords=False, alterations=frozenset({Alteration.FLAGS})
    )
    report = place(archive, target)
    folder = folder_of(report, "INBOX")
    assert (folder.altered_count, folder.unkept, len(folder.altered)) == (8, 5, 2)
    assert [entry["what"] for entry in folder.altered] == [["flags", "bare-lf"]] * 2
    assert "INBOX: 2 more altered; --json names them" in "\n".join(summary(report))


def test_two_hands_in_one_archive(tmp_path: Path) -> None:
    """Nothing is remembered between two runs but what the user asked of each."""
    archive = archived(tmp_path / "a", account(INBOX=[letter("a")]))
    one, other = MemoryAccount(), MemoryAccount()
    place(archive, MemoryTarget(one), mark_imported=True)
    place(archive, MemoryTarget(other))
    assert (flags(one), flags(other)) == ([("$imported",)], [()])

"""Providers that show the newest messages of a folder only: what slides out of view is not gone."""

from __future__ import annotations

import pytest
from running import KINDS, command, export, letter, stamps

import archive_facts

CAP = 1_000
"""Gmail's least folder size limit."""

GMAIL = {
    kind: [*(name for name in offered if name != "OBJECTID"), "X-GM-EXT-1"]
    for kind, offered in KINDS.items()
}


def cap_note(ran, path: str = "INBOX") -> dict[str, object]:
    (note,) = [n for n in ran.folders[path]["notes"] if n["code"] == "suspected-cap"]
    return note


def fill(scripted, kind: str, count: int = CAP + 20):
    scripted.capabilities = list(GMAIL[kind])
    inbox = scripted.mailbox("INBOX")
    inbox.cap = CAP
    for number in range(count):
        inbox.add(letter(number), email_id=f"{number}")
    return inbox


def come(inbox, first: int, count: int) -> None:
    for number in range(first, first + count):
        inbox.add(letter(number), email_id=f"{number}")


@pytest.mark.parametrize("kind", GMAIL)
@pytest.mark.parametrize("words", [(), ("--mirror",)])
def test_what_slides_out_of_view_stays_an_item(scripted, root, kind, words) -> None:
    inbox = fill(scripted, kind)
    assert export(scripted, root, *words).code == 0
    come(inbox, 5000, 7)
    inbox.expunge(*[uid for uid in inbox.visible() if uid > 500][:2])  # two really go
    sent = scripted.bodies
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert scripted.bodies - sent == 7
    assert cap_note(ran)["hidden"] == 5, "seven came, two went: five more are out of sight"
    assert "5 that it showed before" in ran.out
    assert len(ran.uids()) == CAP + 5
    assert not {"501", "502"} & set(ran.uids()), "what went above the lowest uid shown is gone"
    assert len(ran.there.kept["INBOX"]) == (0 if words else 2)
    assert len(archive_facts.messages(root)) == CAP + (5 if words else 7)
    (said,) = [line for line in import_plan(root).splitlines() if "INBOX" in line]
    assert f"{CAP + 5:,} to place" in said


def import_plan(root) -> str:
    ran = command("import", root, f"maildir:{root.parent / 'M'}", "--dry-run", root=root)
    assert ran.code == 0
    return ran.out


@pytest.mark.parametrize("kind", GMAIL)
def test_it_is_said_at_each_run_and_nothing_is_written_for_it(scripted, root, kind) -> None:
    inbox = fill(scripted, kind)
    export(scripted, root)
    come(inbox, 5000, 7)
    export(scripted, root)
    before = stamps(root)
    ran = export(scripted, root)
    assert ran.code == 0
    assert stamps(root) == before
    assert "7 that it showed before" in ran.out
    inbox.set_flags(inbox.visible()[-1], [r"\Flagged"])
    sent = scripted.bodies
    ran = export(scripted, root)
    assert scripted.bodies == sent
    assert cap_note(ran)["hidden"] == 7
    assert len(ran.uids()) == CAP + 7
    assert ran.item(str(inbox.visible()[-1]))["flags"] == ["$flagged"]


@pytest.mark.parametrize("kind", GMAIL)
def test_when_all_is_shown_again_what_is_not_there_is_gone(scripted, root, kind) -> None:
    inbox = fill(scripted, kind)
    export(scripted, root)
    come(inbox, 5000, 50)
    assert cap_note(export(scripted, root))["hidden"] == 50
    inbox.cap = None
    inbox.expunge(*list(inbox.mails)[:30])
    inbox.expunge(*list(inbox.mails)[-5:])
    ran = export(scripted, root)
    assert ran.code == 0
    assert not ran.notes()
    assert ran.uids() == [str(uid) for uid in inbox.mails]


def test_qresync_names_as_vanished_what_slid_out_of_view(scripted, root) -> None:
    """A server that takes its own view for the mailbox; the sum of its changes is right."""
    inbox = fill(scripted, "qresync")
    scripted.add_mailbox("Other").add(letter(9000), email_id="9000")
    export(scripted, root, "--mirror")
    for uid in inbox.visible()[:7]:
        inbox.modseq += 1
        inbox.expunged.append((inbox.modseq, uid))
    come(inbox, 5000, 7)
    ran = export(scripted, root, "--mirror")
    assert ran.code == 0
    assert cap_note(ran)["hidden"] == 7
    assert len(ran.uids()) == CAP + 7


def test_a_lower_limit_takes_nothing_away(scripted, root) -> None:
    inbox = fill(scripted, "condstore", 2_500)
    inbox.cap = None
    export(scripted, root, "--mirror")
    inbox.cap = CAP
    ran = export(scripted, root, "--mirror")
    assert ran.code == 0
    assert cap_note(ran)["hidden"] == 1_500
    assert len(ran.uids()) == 2_500


@pytest.mark.parametrize("words", [(), ("--mirror",)])
def test_a_new_uidvalidity_of_a_folder_not_all_of_which_is_shown(scripted, root, words) -> None:
    """What is hidden cannot be told from what is gone then: nothing of it is deleted."""
    inbox = fill(scripted, "condstore")
    export(scripted, root, *words)
    come(inbox, 5000, 30)
    export(scripted, root, *words)
    inbox.reset_uidvalidity(9)
    ran = export(scripted, root, *words)
    assert len(archive_facts.messages(root)) == CAP + 30
    assert "sudden-loss" in ran.err + ran.out or "lost 30 messages" in ran.err + ran.out
    if words:
        assert ran.code == 3
        assert "held" in ran.folders["INBOX"]
    else:
        assert ran.code == 0
        assert len(ran.there.kept["INBOX"]) == 30


@pytest.mark.parametrize("kind", ["qresync", "plain"])
def test_ten_thousand_of_yahoo(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    inbox.cap = 10_000
    inbox.add_many(10_050, lambda uid: b"Subject: %d\r\n\r\n" % uid)
    export(scripted, root, "--mirror", "--no-fsync")
    inbox.add_many(20, lambda uid: b"Subject: %d\r\n\r\n" % uid)
    ran = export(scripted, root, "--mirror", "--no-fsync")
    assert ran.code == 0
    assert cap_note(ran)["hidden"] == 20
    assert len(ran.uids()) == 10_020
    assert not ran.there.kept["INBOX"]


@pytest.mark.parametrize("kind", GMAIL)
@pytest.mark.parametrize("others", [0, 2])
def test_what_comes_into_view_when_others_go_is_had(scripted, root, kind, others) -> None:
    """The count is what it was, and nothing that is shown has changed."""
    inbox = fill(scripted, kind)
    for number in range(others):  # small folders are looked at together
        scripted.add_mailbox(f"Other {number}").add(letter(9000 + number), email_id=f"9{number}")
    assert export(scripted, root).code == 0
    inbox.expunge(*inbox.visible()[500:503])
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 3
    assert ran.uids() == [str(uid) for uid in inbox.visible()]

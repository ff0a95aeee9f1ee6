"""A server restored from a backup: UIDs that were given once are given to other messages."""

from __future__ import annotations

import pytest
from running import KINDS, export, letter

WITHOUT_IDS = {
    f"{kind}, no ids": [name for name in offered if name != "OBJECTID"]
    for kind, offered in KINDS.items()
    if "OBJECTID" in offered
}
OFFERED = {**KINDS, **WITHOUT_IDS}


def octets(inbox) -> list[bytes]:
    return sorted(mail.body() for mail in inbox.mails.values())


def fill(scripted, kind: str, others: int):
    scripted.capabilities = list(OFFERED[kind])
    inbox = scripted.mailbox("INBOX")
    for number in range(10):
        inbox.add(letter(number), email_id=f"E{number}")
    for number in range(others):  # small folders are looked at together
        scripted.add_mailbox(f"Other {number}").add(letter(100 + number), email_id=f"O{number}")
    return inbox


def restore(inbox, *, modseq: int) -> None:
    """To the state when it had seven messages."""
    for uid in (8, 9, 10):
        del inbox.mails[uid]
    inbox.next_uid, inbox.modseq = 8, modseq


@pytest.mark.parametrize("kind", OFFERED)
@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize("modseq", [8, 500])
def test_new_mail_under_old_uids_is_had(scripted, root, kind, others, modseq) -> None:
    inbox = fill(scripted, kind, others)
    assert export(scripted, root).code == 0
    restore(inbox, modseq=modseq)
    for number in (50, 51):  # one of them like the one that had its uid, but for what it says
        inbox.add(letter(number, text=b"new"), email_id=f"E{number}")
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert sorted(ran.octets().values()) == octets(inbox)
    assert scripted.bodies - sent <= 3, "the new ones, and one to be compared"
    assert len(ran.there.kept["INBOX"]) == 3, "what the backup did not have"
    inbox.add(letter(60), email_id="E60")
    inbox.add(letter(61), email_id="E61")
    sent = scripted.bodies
    ran = export(scripted, root)
    assert sorted(ran.octets().values()) == octets(inbox)
    assert scripted.bodies - sent == 2


@pytest.mark.parametrize("kind", OFFERED)
@pytest.mark.parametrize("others", [0, 2])
def test_counters_that_go_back_and_no_new_mail(scripted, root, kind, others) -> None:
    inbox = fill(scripted, kind, others)
    export(scripted, root)
    restore(inbox, modseq=8)
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies == sent
    assert len(ran.uids()) == 7
    assert ran.notes() == ["counters-went-back"]
    assert "restore from a backup" in ran.out
    for number in (50, 51, 52, 53):
        inbox.add(letter(number, text=b"new"), email_id=f"E{number}")
    ran = export(scripted, root)
    assert sorted(ran.octets().values()) == octets(inbox)
    assert len(ran.there.kept["INBOX"]) == 3


@pytest.mark.parametrize("kind", ["condstore, no ids", "qresync, no ids"])
@pytest.mark.parametrize("others", [0, 2])
def test_highestmodseq_tells_when_uidnext_has_caught_up(scripted, root, kind, others) -> None:
    inbox = fill(scripted, kind, others)
    for uid in range(1, 8):
        inbox.set_flags(uid, [r"\Seen"])
    export(scripted, root)
    restore(inbox, modseq=8)
    for number in (50, 51, 52, 53):
        inbox.add(letter(number, text=b"new"))
    ran = export(scripted, root)
    assert ran.code == 0
    assert sorted(ran.octets().values()) == octets(inbox)


@pytest.mark.parametrize("kind", ["qresync", "plain"])
def test_restored_between_a_run_that_broke_off_and_the_next(scripted, root, kind) -> None:
    """Nothing is published yet: the uids that were had are above UIDNEXT."""
    inbox = fill(scripted, kind, 0)
    other = scripted.add_mailbox("Z")
    other.add_many(3000, lambda uid: b"Subject: %d\r\n\r\n" % uid)
    hook = scripted.on(
        "EXAMINE", lambda event: event.bye("down"), when=lambda event: event.args[0] == b"Z"
    )
    login = scripted.on("*", lambda event: event.bye("down"), when=lambda _: hook.hits > 0)
    assert export(scripted, root, "--max-wait", "0").code == 12
    login.off()
    hook.off()
    restore(inbox, modseq=8)
    inbox.add(letter(50, text=b"new"), email_id="E50")
    ran = export(scripted, root)
    assert ran.code == 0
    assert sorted(ran.octets().values()) == octets(inbox)


def test_a_dry_run_says_what_the_run_would_fetch(scripted, root) -> None:
    inbox = fill(scripted, "plain", 0)
    export(scripted, root)
    restore(inbox, modseq=8)
    for number in (500, 501):
        inbox.add(letter(number, text=b"longer"))
    ran = export(scripted, root, "--dry-run")
    assert "would fetch 2 messages" in ran.out

"""Large mailboxes by every extension there is for them: nothing is cut off, whoever limits what."""

from __future__ import annotations

import json
import time

import pytest
from running import PASSWORD, command, comparable, export, letter, url_of

from servers.scripted import CAPABILITIES, ScriptedServer

LIMITED = "MESSAGELIMIT=1000"

SETS = {
    "batches": ("ESEARCH", "UIDBATCHES"),
    "batches, no numbers": ("ESEARCH", "UIDBATCHES", "UIDONLY", "ENABLE"),
    "pages": ("ESEARCH", "PARTIAL"),
    "pages, no numbers": ("ESEARCH", "PARTIAL", "UIDONLY", "ENABLE"),
    "windows": ("ESEARCH",),
    "windows, no numbers": ("UIDONLY", "ENABLE"),
    "one search": (),
    "all of them": (*CAPABILITIES, "UIDBATCHES", "PARTIAL", "UIDONLY"),
    "of one server, not the numbers": (*CAPABILITIES, "UIDBATCHES", "PARTIAL"),
}


def fill(server: ScriptedServer, count: int, folder: str = "INBOX") -> None:
    mailbox = server.mailbox(folder)
    mailbox.add_many(count + count // 8, letter)
    for uid in range(5, mailbox.next_uid, 10):
        mailbox.mails.pop(uid, None)
    while len(mailbox.mails) > count:
        mailbox.mails.popitem()


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("kind", SETS)
def test_ub07_a_limit_of_1000_gives_3500_of_3500(scripted, root, kind, announced) -> None:
    """With the limit told at the login, and with one that comes down on us later."""
    scripted.capabilities = [*dict.fromkeys(("IMAP4rev1", "LITERAL+", *SETS[kind]))]
    fill(scripted, 3500)
    if announced:
        scripted.capabilities.append(LIMITED)
    else:
        scripted.on(
            "EXAMINE",
            lambda _: LIMITED in scripted.capabilities or scripted.capabilities.append(LIMITED),
            when=lambda _: LIMITED not in scripted.capabilities,
        )
    ran = export(scripted, root)
    assert ran.code == 0
    entry = ran.folders["INBOX"]
    assert (entry["listed"], entry["archived"]) == (3500, 3500)
    assert not ran.notes()
    assert ran.uids() == [str(uid) for uid in scripted.mailbox("INBOX").mails]
    assert scripted.bodies == 3500
    assert max(map(len, scripted.commands)) < 8000


@pytest.mark.parametrize("kind", ["batches", "pages, no numbers", "windows", "all of them"])
def test_an_update_under_a_limit_sees_every_change(scripted, root, kind) -> None:
    scripted.capabilities = [*dict.fromkeys(("IMAP4rev1", *SETS[kind], LIMITED))]
    fill(scripted, 2500)
    export(scripted, root)
    inbox = scripted.mailbox("INBOX")
    for uid in list(inbox.mails)[::2]:
        inbox.set_flags(uid, [r"\Seen", "seen-by-jane"])
    inbox.expunge(*list(inbox.mails)[100:120])
    inbox.add_many(1200, letter)
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 1200
    fresh = export(scripted, root.with_name("fresh"))
    assert comparable(ran.there) == comparable(fresh.there)


def test_condstore_alone_under_a_limit_sees_every_change(scripted, root) -> None:
    """CHANGEDSINCE is cut off too: 1,250 changed flags, 1,000 at a time."""
    kept = set(CAPABILITIES) - {"QRESYNC", "OBJECTID"}
    scripted.capabilities = [*(name for name in CAPABILITIES if name in kept), LIMITED]
    fill(scripted, 2500)
    export(scripted, root)
    inbox = scripted.mailbox("INBOX")
    for uid in list(inbox.mails)[::2]:
        inbox.set_flags(uid, [r"\Flagged"])
    ran = export(scripted, root)
    assert sum("$flagged" in item.flags for item in ran.there.items["INBOX"]) == 1250
    assert scripted.bodies == 2500


@pytest.mark.parametrize("kind", ["batches", "pages", "windows"])
def test_each_way_ends_in_the_same_archive(scripted, root, kind) -> None:
    scripted.capabilities = ["IMAP4rev1", *SETS[kind]]
    fill(scripted, 12_000)
    ran = export(scripted, root, "--min-size", "100", "--max-size", "101")
    assert ran.code == 0
    assert ran.folders["INBOX"]["listed"] == 12_000
    scripted.capabilities = ["IMAP4rev1"]
    scripted.mailbox("INBOX").uidnext = None
    other = export(scripted, root.with_name("other"), "--min-size", "100", "--max-size", "101")
    assert comparable(ran.there) == comparable(other.there)
    skipped = [one.folders["INBOX"]["skipped"] for one in (ran, other)]
    assert skipped[0] == skipped[1]


def test_ub06_mail_that_arrives_while_batches_are_read_is_had(scripted, root) -> None:
    scripted.capabilities += ["UIDBATCHES", "UIDONLY"]
    fill(scripted, 6000)

    def arrive(event) -> None:
        scripted.mailbox("INBOX").add(letter(99_999))

    scripted.on("UIDBATCHES", arrive, times=1)
    ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.uids()) == 6001


def test_ub10_the_server_says_how_far_it_is(scripted, root) -> None:
    def slowly(event) -> None:
        event.untagged(f'OK [INPROGRESS ("{event.tag}" 175 1000)] at it')
        event.untagged('OK [INPROGRESS ("x" 7 0)] nonsense')
        event.untagged("OK [INPROGRESS (NIL NIL NIL)] still")

    scripted.mailbox("INBOX").add(letter(1), email_id="M1")
    scripted.on("UID FETCH", slowly, times=1)
    ran = export(scripted, root, "--progress", "json")
    told = [json.loads(line) for line in ran.err.splitlines()]
    assert [event for event in told if event["event"] == "working"] == [
        {"event": "working", "done": 175, "goal": 1000},
        {"event": "working", "done": None, "goal": None},
    ]
    scripted.mailbox("INBOX").add(letter(2), email_id="M2")
    scripted.on("UID FETCH", slowly, times=1)
    ran = export(scripted, root, "--progress", "plain")
    assert "the server is still at work: 175 of 1,000" in ran.err


def test_ub10_no_time_out_while_the_server_says_that_it_works(scripted, root) -> None:
    """More often than it must, for longer than the time-out: a machine that lags lags for less."""

    def slowly(event) -> None:
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            event.untagged("OK [INPROGRESS (NIL 1 NIL)] at it")
            event.session.flush()
            time.sleep(0.05)

    scripted.mailbox("INBOX").add(letter(1), email_id="M1")
    scripted.on("UID FETCH", slowly, times=1)
    ran = export(scripted, root, "--timeout", "3", "--max-wait", "0")
    assert ran.code == 0
    assert scripted.logins == 1


def test_a_refused_extension_is_a_note_and_no_loss(scripted, root) -> None:
    scripted.capabilities = ["IMAP4rev1", "ESEARCH", "UIDBATCHES"]
    scripted.least_batch = 1_000_000
    fill(scripted, 6000)
    ran = command("export", url_of(scripted), root, "-v", password=PASSWORD, root=root)
    assert ran.code == 0
    assert "UIDBATCHES was refused" in ran.err
    assert len(ran.uids()) == 6000


@pytest.mark.parametrize("others", [0, 3])
def test_a_search_that_names_four_thousand_million_messages(scripted, root, others) -> None:
    """Of a folder alone, and of small ones that are looked at together."""
    scripted.capabilities = ["IMAP4rev1", "ESEARCH", "LIST-EXTENDED", "LIST-STATUS"]
    for number in range(3):
        scripted.mailbox("INBOX").add(letter(number))
    for number in range(others):
        scripted.add_mailbox(f"Other {number}").add(letter(100 + number))

    def lie(event) -> bool:
        event.untagged(f'ESEARCH (TAG "{event.tag}") UID ALL 1:4294967295')
        event.tagged("OK", "done")
        return True

    scripted.on("UID SEARCH", lie)
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies == 3 + others
    scripted.mailbox("INBOX").add(letter(50))
    assert export(scripted, root).code == 0
    assert scripted.bodies == 4 + others
    assert len(scripted.commands) < 60


def test_a_mailbox_of_two_thousand_million_messages_by_its_own_count(scripted, root) -> None:
    scripted.capabilities = ["IMAP4rev1"]
    inbox = scripted.mailbox("INBOX")
    inbox.exists, inbox.uidnext = 2**31, 4294967295
    for number in range(3):
        inbox.add(letter(number))
    ran = export(scripted, root)
    assert ran.code == 3, "it says itself that there are more"
    assert len(ran.uids()) == 3
    assert ran.notes() == ["count-mismatch"]
    assert ran.folders["INBOX"]["error"]["code"] == "listing-mismatch"
    assert len(scripted.commands) < 30

"""Re-runs and updates: scenarios 15, 16 and 21, and an update is what a fresh export would be."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from running import KINDS, bag, comparable, export, letter, stamps

import archive_facts
from servers.daemon import Account
from servers.dovecot import Dovecot

DATE = datetime(2023, 4, 5, 6, 7, 8, tzinfo=UTC)

# What Dovecot offers after the login; the real server behind it is the same.
OFFERED = {
    "qresync": "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE UNSELECT NAMESPACE UIDPLUS ESEARCH MOVE"
    " LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC",
    "condstore": "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE UNSELECT NAMESPACE UIDPLUS ESEARCH MOVE"
    " LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE",
    "neither": "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE UNSELECT NAMESPACE UIDPLUS ESEARCH MOVE"
    " LIST-EXTENDED LIST-STATUS SPECIAL-USE",
    "plain": "IMAP4rev1 UIDPLUS MOVE",
}


@pytest.fixture(scope="module", params=OFFERED)
def kind_of_dovecot(request) -> Iterator[Dovecot]:
    """A Dovecot that offers less and less."""
    passwords = "passdb {\n driver = static\n args = password=pl4nted-s3cret\n}\n"
    with Dovecot(extra=f"imap_capability = {OFFERED[request.param]}\n{passwords}") as server:
        yield server


# --- 15, 16 -------------------------------------------------------------------------------------


def fill(scripted) -> None:
    for name in ("Work", "Work/2024", "Empty"):
        scripted.add_mailbox(name)
    for name in ("INBOX", "Work", "Work/2024"):
        for number in range(20):
            octets, email_id = letter(number, text=name.encode()), f"M{name[-2:]}-{number}"
            scripted.mailbox(name).add(octets, ["\\Seen", "Kw"], email_id=email_id)


@pytest.mark.parametrize("kind", KINDS)
def test_15_a_second_export_writes_nothing(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    fill(scripted)
    first = export(scripted, root)
    before, sent = stamps(root), scripted.body_octets
    for words in ((), ("--json",), ("--connections", "3")):
        again = export(scripted, root, *words)
        assert again.code == 0
        assert stamps(root) == before, "a file was written again"
        assert scripted.body_octets == sent, "a body was fetched again"
    assert again.there.fingerprint == first.there.fingerprint


def test_15_on_dovecot(kind_of_dovecot, root) -> None:
    account = kind_of_dovecot.account("jane15")
    messages = [(letter(number), ["\\Seen", "Kw"], DATE) for number in range(30)]
    account.populate({"INBOX": messages, "Work/2024": messages})
    first = export(account, root)
    before = stamps(root)
    again = export(account, root, "--json")
    assert (first.code, again.code) == (0, 0)
    assert again.report["published"] is False
    assert stamps(root) == before


@pytest.mark.parametrize("kind", KINDS)
def test_16_one_odd_mail_is_archived_once_in_five_polls(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    inbox.add(b"From: x@example.org\r\nSubject:\r\nMessage-ID:\r\nDate:\r\n\r\n\r\n", date=None)
    inbox.add(b"")
    digests = set()
    for poll in range(5):
        inbox.add(letter(poll))
        ran = export(scripted, root)
        assert ran.code == 0
        assert len(archive_facts.messages(root)) == len(ran.uids()) == poll + 3
        digests.add(ran.there.items["INBOX"][0].sha256)
    assert len(digests) == 1
    assert scripted.bodies <= 7 + 4, "the odd ones were fetched again and again"


# --- 21 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_21_half_of_the_uids_expunged_fetches_no_survivor_again(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    for number in range(400):
        inbox.add(letter(number))
    first = export(scripted, root)
    files = archive_facts.messages(root)
    inbox.expunge(*range(1, 401, 2))
    sent = scripted.body_octets
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.body_octets == sent
    assert ran.uids() == [str(uid) for uid in range(2, 401, 2)]
    kept = ran.there.kept["INBOX"]
    assert [item.uid for item in kept] == [str(uid) for uid in range(1, 401, 2)]
    assert {*kept, *ran.there.items["INBOX"]} == set(first.there.items["INBOX"])
    assert archive_facts.messages(root) == files
    entry = ran.folders["INBOX"]
    assert (entry["listed"], entry["archived"]) == (200, 200)


@pytest.mark.parametrize("kind", KINDS)
def test_21_an_update_that_breaks_off_does_not_begin_again(scripted, root, kind) -> None:
    """Expunges and arrivals, and the connection is lost for good in the middle of it."""
    scripted.capabilities = list(KINDS[kind])
    inbox, other = scripted.mailbox("INBOX"), scripted.add_mailbox("Other")
    for number in range(200):
        inbox.add(letter(number))
        other.add(letter(number, text=b"other"), email_id=f"Other{number}")
    assert export(scripted, root).code == 0
    inbox.expunge(*range(1, 201, 2))
    for number in range(200, 260):
        inbox.add(letter(number))
    other.add(letter(1000), email_id="Other1000")
    sent = scripted.bodies
    hook = scripted.on(
        "EXAMINE", lambda event: event.bye("[UNAVAILABLE] going down"),
        when=lambda event: event.args[0] == b"Other",
    )  # fmt: skip
    login = scripted.on("*", lambda event: event.bye("down"), when=lambda _: hook.hits > 0)
    broken = export(scripted, root, "--max-wait", "0")
    assert broken.code == 12
    assert broken.err.count("error: ") == 1
    hook.off()
    login.off()
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 61, "each new message once"
    assert len(ran.uids()) == 160


# --- an update and a fresh export ---------------------------------------------------------------


def same(account, root, *words) -> None:
    """The updated archive against a fresh one of the same moment."""
    updated = export(account, root, *words)
    assert updated.code == 0
    fresh_root = root.with_name("fresh")
    fresh = export(account, fresh_root, *words)
    assert fresh.code == 0
    assert comparable(updated.there) == comparable(fresh.there)
    for path, entry in fresh.folders.items():
        now = updated.folders[path]
        assert (now["listed"], now["archived"]) == (entry["listed"], entry["archived"])
    for path, header in fresh.there.headers.items():
        assert updated.there.headers[path] == header, path
    shutil.rmtree(fresh_root)


def letters(first: int, count: int) -> list[tuple[bytes, list[str], datetime]]:
    flags = [[], ["\\Seen"], ["\\Seen", "\\Answered"], ["$Forwarded"], ["\\Flagged", "Project-X"]]
    return [(letter(n), flags[n % 5], DATE) for n in range(first, first + count)]


def change_all(account: Account, uids: dict[str, list[int]]) -> Iterator[str]:
    """Every kind of change, one after the other; yields what was done."""
    inbox, work = uids["INBOX"], uids["Work/2024"]
    account.set_flags("INBOX", inbox[:3], ["\\Seen", "\\Flagged"])
    yield "flags"
    account.expunge("INBOX", inbox[5:12])
    yield "expunges"
    account.append_many("INBOX", letters(500, 7))
    yield "arrivals"
    account.set_flags("INBOX", inbox[20:23], ["New-Keyword", "project-x"])
    account.set_flags("INBOX", inbox[23:25], [])
    yield "keywords"
    account.expunge("INBOX", inbox[-2:])
    account.append_many("INBOX", letters(600, 2))
    yield "as many arrivals as expunges"
    account.move("INBOX", inbox[30:33], "Work/2024")
    yield "moves"
    account.expunge("Work/2024", work)
    account.set_flags("INBOX", inbox[13:15], ["\\Deleted", "\\Draft"])
    yield "several at once"
    account.create("Neu/Ärger")
    account.append_many("Neu/Ärger", letters(700, 3))
    yield "a folder more"
    account.delete("Archive")
    yield "a folder less"
    account.rename("Neu", "Alt")
    yield "a folder renamed"
    account.expunge("INBOX", [uid for uid in inbox if uid in account.messages("INBOX")])
    yield "the rest of the old ones"


def test_an_update_is_what_a_fresh_export_would_be(kind_of_dovecot, root) -> None:
    account = kind_of_dovecot.account("jane")
    uids = account.populate(
        {"INBOX": letters(0, 40), "Work/2024": letters(100, 10), "Archive": letters(200, 5)}
    )
    export(account, root)
    everything = bag(export(account, root).there)
    for what in change_all(account, uids):
        try:
            same(account, root)
        except AssertionError as error:
            error.add_note(f"after {what}")
            raise
        everything |= bag(archive_facts.read(root))
    facts = archive_facts.read(root)
    kept = {item.sha256 for items in facts.kept.values() for item in items}
    drafts = {archive_facts.sha256(letter(number)) for number in (13, 14)}
    assert not drafts & kept, "drafts are not kept"
    assert kept | set(bag(facts)) | drafts == set(everything), "nothing that was there is lost"


def test_an_update_is_what_a_fresh_export_would_be_with_mirror(kind_of_dovecot, root) -> None:
    account = kind_of_dovecot.account("mirrored")
    uids = account.populate(
        {"INBOX": letters(0, 60), "Work/2024": letters(100, 10), "Archive": letters(200, 5)}
    )["INBOX"]
    export(account, root, "--mirror")
    account.expunge("INBOX", uids[:15])
    account.append_many("INBOX", letters(500, 5))
    same(account, root, "--mirror")
    facts = archive_facts.read(root)
    assert not any(facts.kept.values())
    assert len(archive_facts.messages(root)) == 65


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_of_a_scripted_account_with_ids(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    work = scripted.add_mailbox("Work", mailbox_id="M2")
    inbox.mailbox_id = "M1"
    for number in range(30):
        inbox.add(letter(number), email_id=f"E{number}")
        work.add(letter(100 + number), email_id=f"F{number}")
    export(scripted, root)
    inbox.expunge(1, 2, 30)
    for number in (3, 4):
        inbox.set_flags(number, ["\\Seen", "a", "B"])
    work.add(letter(3), email_id="E3")  # a copy of what is in the inbox
    inbox.add(letter(900), email_id="E900")
    same(scripted, root)
    work.expunge(*range(1, 11))
    scripted.add_mailbox("Later", mailbox_id="M3").add(letter(100), email_id="F0")
    same(scripted, root)


# --- Cyrus --------------------------------------------------------------------------------------


def test_an_update_is_what_a_fresh_export_would_be_on_cyrus(cyrus_mailbox, root) -> None:
    cyrus_mailbox.populate(
        {"INBOX": letters(0, 40), "Work/2024": letters(100, 10), "Archive": letters(200, 5)}
    )
    uids = {name: list(cyrus_mailbox.messages(name)) for name in ("INBOX", "Work/2024")}
    export(cyrus_mailbox, root)
    everything = bag(archive_facts.read(root))
    for number, what in enumerate(change_all(cyrus_mailbox, uids)):
        everything |= bag(archive_facts.read(root))
        if number % 2:  # two changes at once: Cyrus takes its time
            export(cyrus_mailbox, root)
            continue
        try:
            same(cyrus_mailbox, root)
        except AssertionError as error:
            error.add_note(f"after {what}")
            raise
        everything |= bag(archive_facts.read(root))
    facts = archive_facts.read(root)
    kept = {item.sha256 for items in facts.kept.values() for item in items}
    drafts = {archive_facts.sha256(letter(number)) for number in (13, 14)}
    assert kept | set(bag(facts)) | drafts == set(everything)


def copies(account) -> None:
    """Two messages in two folders each, one of them twice in one folder, and two of their own."""
    one, two = letter(1), letter(2)
    account.populate(
        {
            "INBOX": [(one, ["\\Seen"], DATE), (two, [], DATE), (letter(3), [], DATE)],
            "Copies": [(one, ["kw"], DATE), (two, [], DATE), (letter(4), [], DATE)],
            "Twice": [(one, [], DATE), (one, ["x"], DATE)],
        }
    )


def test_equal_messages_are_hard_links_on_cyrus(cyrus_mailbox, root) -> None:
    copies(cyrus_mailbox)
    ran = export(cyrus_mailbox, root, "--json")
    assert ran.code == 0
    files = {path: (root / path).stat() for path in archive_facts.messages(root)}
    assert len(files) == 8, "one file a uid"
    assert len({about.st_ino for about in files.values()}) == 4, "fetched once, linked"
    assert ran.report["totals"]["fetched"] == 4
    assert ran.report["totals"]["linked"] == 4
    assert ran.item("1")["portarchive:email_id"] == ran.item("1", "Copies")["portarchive:email_id"]
    assert ran.item("1", "Copies")["flags"] == ["kw"]
    assert {ran.there.headers[name]["uid"] for name in ("INBOX", "Copies", "Twice")} >= {
        ran.there.headers["INBOX"]["uid"]
    }
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,255}", ran.there.headers[name]["uid"])
               for name in ("INBOX", "Copies", "Twice"))  # fmt: skip
    before = stamps(root)
    assert export(cyrus_mailbox, root).code == 0
    assert stamps(root) == before
    cyrus_mailbox.append("Later", letter(1), [], DATE)
    ran = export(cyrus_mailbox, root, "--json")
    assert ran.report["totals"]["fetched"] == 0
    assert ran.report["totals"]["linked"] == 1


def test_equal_messages_are_one_file_on_cyrus_with_single_copy(cyrus_mailbox, root) -> None:
    copies(cyrus_mailbox)
    ran = export(cyrus_mailbox, root, "--single-copy")
    assert ran.code == 0
    # Within one folder every UID has its own file.
    assert len(archive_facts.messages(root)) == 5
    assert ran.item("1", "INBOX")["filename"].startswith("../Copies/")
    assert [len(ran.octets(name)) for name in ("INBOX", "Copies", "Twice")] == [3, 3, 2]
    before = stamps(root)
    assert export(cyrus_mailbox, root, "--single-copy").code == 0
    assert stamps(root) == before
    cyrus_mailbox.expunge("Copies", [1])
    same(cyrus_mailbox, root, "--single-copy")
    cyrus_mailbox.delete("Copies")
    same(cyrus_mailbox, root, "--single-copy")


def test_what_cyrus_says_of_mailbox_ids_in_a_status_is_not_believed(cyrus_mailbox, root) -> None:
    """LIST-STATUS with MAILBOXID has garbage octets there: the id comes from EXAMINE."""
    cyrus_mailbox.append("Work", letter(1))
    ran = export(cyrus_mailbox, root)
    with cyrus_mailbox.connect() as client:
        client.select("Work", readonly=True)
        (said,) = client.response("MAILBOXID")[1]
    assert ran.there.headers["Work"]["uid"] == said.decode().strip("()")

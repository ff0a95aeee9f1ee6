"""Bytes in are bytes stored: scenarios 34, 37, 42, 44 and 45, and the promises P1 and P7."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from defective_mail import CORPUS
from running import KINDS, export, letter, stamps

import archive_facts
from servers import scripted_faults as faults
from servers.daemon import Account

DATE = datetime(2023, 4, 5, 6, 7, 8, tzinfo=UTC)


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def test_the_corpus_is_large_and_every_message_another() -> None:
    assert len(CORPUS) >= 60
    assert len(set(CORPUS.values())) == len(CORPUS)


def fill(scripted) -> list[str]:
    for octets in CORPUS.values():
        scripted.mailbox("INBOX").add(octets)
    return [digest(octets) for octets in CORPUS.values()]


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_34_defective_mail_is_stored_as_it_was_sent(scripted, root, kind, connections) -> None:
    scripted.capabilities = list(KINDS[kind])
    sent = fill(scripted)
    ran = export(scripted, root, "--connections", connections)
    assert ran.code == 0
    stored = ran.octets()
    for (name, octets), uid in zip(CORPUS.items(), ran.uids(), strict=True):
        assert stored[uid] == octets, name
    assert [item.sha256 for item in ran.there.items["INBOX"]] == sent
    before = stamps(root)
    assert export(scripted, root, "--connections", connections).code == 0
    assert stamps(root) == before


@pytest.mark.parametrize("trouble", ["uid last", "no size", "wrong size", "chatter", "cut"])
def test_34_in_answers_of_another_shape(scripted, root, trouble) -> None:
    sent = fill(scripted)
    if trouble == "uid last":
        scripted.uid_last = True
    elif trouble == "no size":
        scripted.on_message(
            lambda d: d.data.remove(next(pair for pair in d.data if pair[0] == "RFC822.SIZE")),
            body=True,
        ).when = lambda d: any(pair[0] == "RFC822.SIZE" for pair in d.data)
    elif trouble == "wrong size":
        for mail in scripted.mailbox("INBOX").mails.values():
            mail.size = 7
    elif trouble == "chatter":
        faults.chatter(scripted, every=2)
    else:
        faults.drop_after(scripted, 40, in_literal=0)
        faults.drop_after(scripted, 60, in_literal=10)
    ran = export(scripted, root)
    assert ran.code == 0
    assert [item.sha256 for item in ran.there.items["INBOX"]] == sent


@pytest.mark.parametrize("kind", KINDS)
def test_34_found_again_after_a_uidvalidity_change(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    for number, octets in enumerate(CORPUS.values()):
        scripted.mailbox("INBOX").add(octets, email_id=f"E{number}")
    sent = [digest(octets) for octets in CORPUS.values()]
    export(scripted, root)
    scripted.mailbox("INBOX").reset_uidvalidity(9, renumber_from=1000)
    ran = export(scripted, root)
    assert ran.code == 0
    assert [item.sha256 for item in ran.there.items["INBOX"]] == sent
    assert not ran.there.kept["INBOX"]


@pytest.mark.parametrize("name", ["empty", "one CR", "the end of a FETCH", "ends like a literal"])
def test_34_alone_in_a_mailbox(scripted, root, name) -> None:
    scripted.mailbox("INBOX").add(CORPUS[name])
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.octets() == {"1": CORPUS[name]}


def appended(account: Account) -> int:
    """APPEND what the server takes; says how many those are."""
    taken = 0
    for octets in CORPUS.values():
        try:
            account.append("Odd", octets, [], DATE)
        except (RuntimeError, OSError):
            continue
        taken += 1
    return taken


@pytest.mark.parametrize("server", ["mailbox", "cyrus_mailbox"])
def test_34_as_far_as_real_servers_take_it(request, root, server) -> None:
    account: Account = request.getfixturevalue(server)
    taken = appended(account)
    assert taken >= 30
    ran = export(account, root)
    assert ran.code == 0
    sent = {str(uid): message.octets for uid, message in account.messages("Odd").items()}
    assert len(sent) == taken
    assert ran.octets("Odd") == sent


def test_34_written_behind_dovecots_back(mailbox, root) -> None:
    """Straight into the Maildir: what APPEND would have refused or mended."""
    mailbox.populate({"INBOX": [(octets, (), DATE) for octets in CORPUS.values()]})
    ran = export(mailbox, root)
    sent = {str(uid): message.octets for uid, message in mailbox.messages("INBOX").items()}
    assert ran.octets() == sent
    assert (ran.code == 0) == (len(sent) == len(CORPUS)), ran.err
    clean = [o for o in CORPUS.values() if b"\n" not in o.replace(b"\r\n", b"") and b"\0" not in o]
    assert {digest(octets) for octets in clean if octets} <= set(map(digest, sent.values()))


# --- 37, P7 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_37_a_mailbox_is_examined_and_peeked_at_only(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    for number in range(50):
        scripted.mailbox("INBOX").add(letter(number), ["$Forwarded"] * (number % 2))
    before = [mail.flags for mail in scripted.mailbox("INBOX").mails.values()]
    assert export(scripted, root).code == 0
    scripted.mailbox("INBOX").add(letter(50))
    assert export(scripted, root).code == 0
    assert [mail.flags for mail in scripted.mailbox("INBOX").mails.values()][:50] == before
    words = {line.split()[0].upper() for line in scripted.commands}
    assert words <= {
        "CAPABILITY", "LOGIN", "AUTHENTICATE", "ID", "ENABLE", "NAMESPACE", "LIST", "LSUB",
        "STATUS", "EXAMINE", "UID", "NOOP", "LOGOUT", "UNSELECT",
    }  # fmt: skip
    fetches = [line for line in scripted.said("UID FETCH") if "BODY" in line]
    assert fetches
    assert all("BODY.PEEK[" in line for line in fetches)


@pytest.mark.parametrize("connections", [1, 3])
def test_37_a_server_that_marks_as_read_anyway_is_reported(scripted, root, connections) -> None:
    for number in range(200):
        scripted.mailbox("INBOX").add(letter(number))
    faults.marks_seen(scripted)
    ran = export(scripted, root, "--connections", connections)
    assert ran.code == 0
    (note,) = [n for n in ran.folders["INBOX"]["notes"] if n["code"] == "seen-set-by-server"]
    assert note["count"] == 200
    assert "seen-set-by-server" in ran.out + ran.err, "nobody is warned"
    assert all("$seen" not in item.flags for item in ran.there.items["INBOX"]), (
        "the flags are those from before we looked"
    )


def test_37_what_dovecot_calls_recent_and_unseen_stays_so(mailbox, root) -> None:
    for number in range(5):
        mailbox.append("INBOX", letter(number))
    assert export(mailbox, root).code == 0
    with mailbox.connect() as client:
        said = client.status("INBOX", "(RECENT UNSEEN)")[1][0]
    assert said.endswith(b"(RECENT 5 UNSEEN 5)")


# --- 42 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_42_a_literal_that_says_no_is_a_literal(scripted, root, kind, connections) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    octets = [faults.TRAP, b"X-Spam-Flag: NO\r\n\r\nNO\r\n"]
    octets += [b"p%d NO failed\r\n" % n * 50 for n in range(1, 30)]
    octets += [
        b"X-Spam-Flag: NO\r\nMessage-ID: NO [ALERT] p%d BAD <x@y>\r\n\r\n" % n for n in range(9)
    ]
    for message in octets * 20:
        inbox.add(message)
    ran = export(scripted, root, "--connections", connections)
    assert ran.code == 0
    assert list(ran.octets().values()) == octets * 20
    inbox.reset_uidvalidity(5)  # now the Message-IDs come as literals
    assert export(scripted, root, "--connections", connections).code == 0


# --- 44 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [{3}, set(range(1, 21))])
def test_44_a_missing_internaldate_is_a_note(scripted, root, kind, missing) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    for number in range(1, 21):
        date = None if number in missing else '"02-Mar-2024 10:00:00 +0100"'
        inbox.add(letter(number), date=date)
    ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.uids()) == 20
    for item in ran.there.items["INBOX"]:
        assert (item.received is None) == (int(item.uid) in missing)
    assert "no-date" in ran.notes()
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


def test_44_a_filter_by_date_takes_what_has_none(scripted, root) -> None:
    scripted.mailbox("INBOX").add(letter(1), date=None)
    scripted.mailbox("INBOX").add(letter(2), date='"02-Mar-2001 10:00:00 +0100"')
    ran = export(scripted, root, "--since-date", "2020-01-01")
    assert ran.code == 0
    assert ran.uids() == ["1"]


DATES = {
    '"01-Jan-1970 00:00:00 +0000"': "1970-01-01T00:00:00+00:00",
    '" 2-Mar-2024 10:00:00 +0530"': "2024-03-02T10:00:00+05:30",
    '"2-Mar-2024 10:00:00 -1100"': "2024-03-02T10:00:00-11:00",
    '"31-Dec-2037 23:59:59 +1400"': "2037-12-31T23:59:59+14:00",
    '"29-Feb-2023 10:00:00 +0000"': None,
    '"01-Jan-1969 00:00:00 +0000"': None,
    '"00-000-0000 00:00:00 +0000"': None,
    '"01-Feb-2024 03:04:05"': None,
    '"rubbish"': None,
    '""': None,
}


def test_44_dates_in_odd_zones_and_none(scripted, root) -> None:
    for number, date in enumerate(DATES):
        scripted.mailbox("INBOX").add(letter(number), date=date)
    ran = export(scripted, root)
    assert ran.code == 0
    assert [item.received for item in ran.there.items["INBOX"]] == list(DATES.values())
    for uid, (sent, text) in zip(ran.uids(), DATES.items(), strict=True):
        raw = ran.item(uid).get("portarchive:received_at_raw")
        assert raw == (None if text or sent == '""' else sent.strip('"'))


# --- 45 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_45_answers_that_break_the_grammar_are_lived_with(
    scripted, root, kind, connections
) -> None:
    scripted.capabilities = list(KINDS[kind])
    for number in range(120):
        scripted.mailbox("INBOX").add(letter(number), ["\\Seen", "a"])
    faults.oddities(scripted)
    faults.chatter(scripted, every=4)
    ran = export(scripted, root, "--connections", connections)
    assert ran.code == 0
    assert list(ran.octets().values()) == [letter(number) for number in range(120)]
    assert ran.item("7")["flags"] == ["$seen", "a"]
    again = export(scripted, root)
    assert again.code == 0
    assert again.there.fingerprint == ran.there.fingerprint


def test_45_flags_that_are_none(scripted, root) -> None:
    """Flags a server should not have: brackets, quotes, 8-bit, double ones, no backslash."""
    flags = [
        "\\Seen",
        "$MDNSent",
        "Gr\xfcn",
        "[odd]",
        "a]b",
        "x/y",
        "NIL",
        "\\Flagged",
        "\\NotOurs",
    ]
    inbox = scripted.mailbox("INBOX")
    inbox.add(letter(1), flags)
    inbox.add(letter(2), ["\\Recent", "\\SEEN", "Kw", "kw", "KW"])
    ran = export(scripted, root)
    assert ran.code == 0
    assert set(ran.item("1")["flags"]) >= {"$seen", "$flagged", "$MDNSent"}
    assert ran.item("2")["flags"] == ["$seen", "Kw"]
    before = archive_facts.files(root)
    assert export(scripted, root).code == 0
    assert archive_facts.files(root) == before

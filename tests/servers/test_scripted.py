"""The scripted server speaks IMAP as a real one does, and misbehaves exactly as told."""

from __future__ import annotations

import imaplib
import re
import ssl
import time
from collections.abc import Iterator

import pytest

from servers import scripted_faults as faults
from servers.scripted import PLAIN_CAPABILITIES, ScriptedServer

_clients: list[imaplib.IMAP4] = []


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while _clients:
        client = _clients.pop()
        client.file.close()
        client.sock.close()  # shutdown() fails on a connection that is closed already


def connect(server: ScriptedServer) -> imaplib.IMAP4:
    _clients.append(imaplib.IMAP4("localhost", server.port, 10))
    return _clients[-1]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def client_of(server: ScriptedServer, folder: str | None = "INBOX") -> imaplib.IMAP4:
    client = connect(server)
    client.login("jane", server.password)
    if folder is not None:
        assert client.select(folder, readonly=True)[0] == "OK"
    return client


def raw(client: imaplib.IMAP4, line: str) -> bytes:
    """Send a line, return everything up to and with its tagged answer."""
    client.send(f"T {line}\r\n".encode("latin-1"))
    got = b""
    while True:
        part = client.readline()
        got += part
        if not part:
            raise EOFError(got.decode("latin-1"))
        if found := re.search(rb"\{(\d+)\}\r\n\Z", part):
            got += client.read(int(found[1]))
        elif re.match(rb"T (OK|NO|BAD)", part):
            return got


def test_examine_fetch_and_search(server: ScriptedServer) -> None:
    inbox = server.mailbox("INBOX")
    inbox.add(faults.TRAP, [r"\Seen", "kw"], '" 1-Jan-2001 01:02:03 +0100"', email_id="M1")
    inbox.add(b"Subject: x\r\n folded\r\nTo: y\r\n\r\nbody\r\n", uid=7, email_id="E7")
    with client_of(server) as client:
        assert raw(client, "UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE EMAILID)") == (
            b'* 1 FETCH (UID 1 FLAGS (\\Seen kw) INTERNALDATE " 1-Jan-2001 01:02:03 +0100" '
            b"RFC822.SIZE %d EMAILID (M1))\r\n"
            b'* 2 FETCH (UID 7 FLAGS () INTERNALDATE "01-Feb-2024 03:04:05 +0000" '
            b"RFC822.SIZE 36 EMAILID (E7))\r\nT OK fetched\r\n" % len(faults.TRAP)
        )
        assert server.body_octets == 0
        assert raw(client, "UID FETCH 1 (BODY.PEEK[])") == (
            b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\nT OK fetched\r\n"
            % (len(faults.TRAP), faults.TRAP)
        )
        assert server.body_octets == len(faults.TRAP)
        assert raw(client, "UID FETCH 7 (BODY.PEEK[]<8.6> BODY.PEEK[HEADER.FIELDS (SUBJECT)])") == (
            b"* 2 FETCH (UID 7 BODY[]<8> {6}\r\n x\r\n f BODY[HEADER.FIELDS (SUBJECT)] {23}\r\n"
            b"Subject: x\r\n folded\r\n\r\n)\r\nT OK fetched\r\n"
        )
        assert raw(client, "UID SEARCH RETURN (COUNT ALL) NOT KEYWORD KW").startswith(
            b'* ESEARCH (TAG "T") UID COUNT 1 ALL 7\r\n'
        )
        assert raw(client, "UID SEARCH SEEN ON 1-Jan-2001").startswith(b"* SEARCH 1\r\n")
        assert raw(client, "FETCH 2 UID") == b"* 2 FETCH (UID 7)\r\nT OK fetched\r\n"
    server.check()


def test_what_could_change_a_mailbox_is_a_violation(server: ScriptedServer) -> None:
    server.mailbox("INBOX").add(b"a: b\r\n\r\n")
    with client_of(server) as client:
        raw(client, "UID FETCH 1 (BODY[])")
        raw(client, "UID STORE 1 +FLAGS (x)")
        raw(client, "SELECT INBOX")
        raw(client, "UID FETCH 1 (NONSENSE)")
        raw(client, f"UID SEARCH UID {'1,' * 5000}1")
    assert [line.split(":")[0][:15] for line in server.violations] == [
        "not PEEK",
        "UID STORE 1 +FL",
        "SELECT INBOX",
        "'UID FETCH 1 (N",
        "a line of 10020",
    ]
    with pytest.raises(AssertionError):
        server.check()


def test_changes_reach_condstore_and_qresync(server: ScriptedServer) -> None:
    inbox = server.mailbox("INBOX")
    for number in range(5):
        inbox.add(b"n: %d\r\n\r\n" % number)
    with client_of(server, None) as client:
        assert b"ENABLED QRESYNC" in raw(client, "ENABLE QRESYNC")
        raw(client, "EXAMINE INBOX")
        modseq = inbox.modseq
        inbox.set_flags(2, ["k"])
        inbox.expunge(4)
        inbox.add(b"new: 6\r\n\r\n")
        changed = b"* 2 FETCH (UID 2 FLAGS (k) MODSEQ (7))\r\n"
        assert raw(client, "NOOP") == changed + b"* VANISHED 4\r\n* 5 EXISTS\r\nT OK done\r\n"
        answer = raw(client, f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
        assert answer.startswith(b"* VANISHED (EARLIER) 4\r\n" + changed)
        answer = raw(client, f"EXAMINE INBOX (QRESYNC (1 {modseq} 1:5))")
        assert b"* VANISHED (EARLIER) 4\r\n" + changed in answer
    server.check()


def test_names_in_every_form(server: ScriptedServer) -> None:
    server.add_mailbox("Ärger", attributes=("\\Sent",))
    server.add_mailbox("123", form="atom")
    server.add_mailbox(b'lit"\\\xff', form="literal")
    server.add_mailbox(b'q"\\\xe4', delimiter=None, subscribed=False)
    with client_of(server, None) as client:
        assert raw(client, 'LIST "" "*"') == (
            b'* LIST () "/" "INBOX"\r\n* LIST (\\Sent) "/" "&AMQ-rger"\r\n* LIST () "/" 123\r\n'
            b'* LIST () "/" {6}\r\nlit"\\\xff\r\n* LIST () NIL "q\\"\\\\\xe4"\r\nT OK done\r\n'
        )
        answer = raw(client, 'LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))')
        assert b'* LIST (\\Sent \\Subscribed) "/" "&AMQ-rger"\r\n' in answer
        assert b"* STATUS {6}\r\nlit" in answer
        assert b"q" not in raw(client, 'LSUB "" "*"')
        assert b"T OK" in raw(client, 'EXAMINE "q\\"\\\\\xe4"')
        assert raw(client, "EXAMINE nowhere") == b"T NO [NONEXISTENT] No such mailbox\r\n"
    server.check()


def test_names_as_courier_has_them() -> None:
    with ScriptedServer(delimiter=".", prefix="INBOX.") as server:
        server.add_mailbox("INBOX.Work.2024")
        with client_of(server, None) as client:
            assert b'NAMESPACE (("INBOX." ".")) NIL NIL' in raw(client, "NAMESPACE")
            assert b'* LIST () "." "INBOX.Work.2024"\r\n' in raw(client, 'LIST "INBOX." "*"')
            assert b"Work" not in raw(client, 'LIST "" "INBOX.%"')


def test_lies_about_numbers(server: ScriptedServer) -> None:
    inbox = server.mailbox("INBOX")
    inbox.add_many(12_000, lambda uid: b"n: %d\r\n\r\n" % uid)
    inbox.cap = 10_000
    inbox.mails[12_000].size = 0
    inbox.mails[12_000].date = None
    inbox.mails[11_999].octets = None
    with client_of(server) as client:
        assert client.untagged_responses["EXISTS"] == [b"10000"]
        assert raw(client, "UID FETCH 1,2001 UID") == b"* 1 FETCH (UID 2001)\r\nT OK fetched\r\n"
        assert b"(UID 12000 RFC822.SIZE 0)" in raw(client, "UID FETCH * (INTERNALDATE RFC822.SIZE)")
        assert b"BODY[] NIL" in raw(client, "UID FETCH 11999 BODY.PEEK[]")
    inbox.exists, inbox.status_messages = 5, 6
    inbox.reset_uidvalidity(0, renumber_from=50_000)
    with client_of(server) as client:
        assert client.untagged_responses["EXISTS"] == [b"5"]
        assert client.untagged_responses["UIDVALIDITY"] == [b"0"]
        assert b"MESSAGES 6" in raw(client, "STATUS INBOX (MESSAGES)")


def test_login_tokens_and_tls() -> None:
    with ScriptedServer(tls="starttls") as server:
        context = ssl.create_default_context(cafile=server.ca_file)
        server.tokens["t1"] = "jane"
        client = connect(server)
        client.starttls(context)
        client.authenticate("XOAUTH2", lambda _: b"user=jane\1auth=Bearer t1\1\1")
        client.logout()
        for mechanism, said in (
            ("XOAUTH2", b"user=jane\1auth=Bearer t2\1\1"),
            ("OAUTHBEARER", b"n,a=jane,\1auth=Bearer t2\1\1"),
            ("PLAIN", b"\0jane\0wrong"),
        ):
            client = connect(server)
            client.starttls(context)
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                client.authenticate(mechanism, lambda _, said=said: said)
            client.logout()
        assert server.logins == 1
    with ScriptedServer(tls="implicit", certificate_for="elsewhere.example") as server:
        context = ssl.create_default_context(cafile=server.ca_file)
        with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
            imaplib.IMAP4_SSL("localhost", server.port, ssl_context=context)


def test_messages_that_cannot_be_had(server: ScriptedServer) -> None:
    inbox = server.mailbox("INBOX")
    for number in range(1, 7):
        inbox.add(b"n: %d\r\n\r\n" % number)
    refusal = faults.refuse_uids(server, "INBOX", {2})
    faults.no_data(server, "INBOX", {5})
    faults.placeholder(server, "INBOX", {6})
    with client_of(server) as client:
        assert raw(client, "UID FETCH 1:4 BODY.PEEK[]") == b"T NO [SERVERBUG] Internal error\r\n"
        assert b"UID 2 FLAGS" in raw(client, "UID FETCH 1:4 FLAGS")
        refusal.off()
        assert raw(client, "UID FETCH 1:4 BODY.PEEK[]").endswith(b"T OK fetched\r\n")
        assert raw(client, "UID FETCH 5 BODY.PEEK[]") == b"T OK fetched\r\n"
        assert b"couldn't retrieve" in raw(client, "UID FETCH 6 BODY.PEEK[]")
        faults.refuse_uids(server, "INBOX", {1}, whole=False, text="bad one")
        answer = raw(client, "UID FETCH 1:2 BODY.PEEK[]")
        assert answer == b"* 2 FETCH (UID 2 BODY[] {8}\r\nn: 2\r\n\r\n)\r\nT NO bad one\r\n"
        faults.batch_limit(server, 3)
        assert raw(client, "UID FETCH 2:5 BODY.PEEK[]").startswith(b"T NO [LIMIT]")


def test_connections_break(server: ScriptedServer) -> None:
    inbox = server.mailbox("INBOX")
    for number in range(10):
        inbox.add(b"n: %d\r\n\r\n" % number)
    faults.drop_after(server, 3)
    with pytest.raises(EOFError) as broken:
        raw(client_of(server), "UID FETCH 1:10 BODY.PEEK[]")
    assert broken.value.args[0].count(" FETCH (") == 3
    faults.drop_after(server, 2, in_literal=4)
    client = client_of(server)
    client.send(b"T UID FETCH 1:10 BODY.PEEK[]\r\n")
    assert client.file.read().endswith(b"* 3 FETCH (UID 3 BODY[] {8}\r\nn: 2")
    faults.drop_on(server, "EXAMINE", folder="INBOX")
    with pytest.raises(imaplib.IMAP4.abort):
        client_of(server)
    with client_of(server) as client:
        assert raw(client, "UID FETCH 1:10 BODY.PEEK[]").endswith(b"T OK fetched\r\n")
    assert (server.bodies, server.connections, server.logins) == (15, 4, 4)


def test_not_now(server: ScriptedServer) -> None:
    server.mailbox("INBOX").add(b"a: b\r\n\r\n")
    server.add_mailbox("Work")
    faults.throttle(server, milliseconds=300)
    with client_of(server) as client:
        assert raw(client, "UID FETCH 1 BODY.PEEK[]") == (
            b"T BAD Request is throttled. Suggested Backoff Time: 300 milliseconds\r\n"
        )
        faults.throttled_code(server)
        assert raw(client, "UID FETCH 1 BODY.PEEK[]").startswith(b"T NO [THROTTLED]")
        assert raw(client, "UID FETCH 1 BODY.PEEK[]").endswith(b"T OK fetched\r\n")
        faults.examine_no(server, "Work")
        assert raw(client, "EXAMINE Work").startswith(b"T NO [SERVERBUG]")
        assert raw(client, "EXAMINE INBOX").endswith(b"T OK [READ-ONLY] opened\r\n")
        faults.list_return_bad(server)
        assert raw(client, 'LIST "" * RETURN (SPECIAL-USE)').startswith(b"T BAD")
    faults.login_refused(server, times=1)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client_of(server)
    server.check()


def test_token_expires_in_the_middle(server: ScriptedServer) -> None:
    for number in range(4):
        server.mailbox("INBOX").add(b"n: %d\r\n\r\n" % number)
    faults.expire_token(server, "old", "new", after=2)

    def login(token: str) -> imaplib.IMAP4:
        client = connect(server)
        client.authenticate("XOAUTH2", lambda _: f"user=jane\1auth=Bearer {token}\1\1".encode())
        client.select(readonly=True)
        return client

    with pytest.raises(EOFError, match="BYE Session invalidated - AccessTokenExpired"):
        raw(login("old"), "UID FETCH 1:4 BODY.PEEK[]")
    with pytest.raises(imaplib.IMAP4.error):
        login("old")
    assert raw(login("new"), "UID FETCH 3:4 BODY.PEEK[]").count(b" FETCH (") == 2


def test_talk_that_nobody_asked_for(server: ScriptedServer) -> None:
    inbox = server.mailbox("INBOX")
    for number in range(1, 7):
        inbox.add(b"n: %d\r\n\r\n" % number)
    seen = faults.marks_seen(server)
    with client_of(server) as client:
        answer = raw(client, "UID FETCH 1 BODY.PEEK[]")
        assert b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n" in answer
        seen.off()
        faults.chatter(server, every=1)
        assert b"* 0 RECENT\r\n" in raw(client, "UID FETCH 1:2 FLAGS")
        faults.oddities(server)
        assert raw(client, "ID NIL") == b"* ID ()\r\nT OK\r\n"
        assert b" 2279 -1))" in raw(client, "UID FETCH 1 FLAGS")
        faults.expunge_during(server, "INBOX", {3, 6}, after=2)
        faults.arrive_during(server, "INBOX", [b"late: 7\r\n\r\n"], after=2)
        answer = raw(client, "UID FETCH 1:6 BODY.PEEK[]")
        assert b"UID 6" not in answer
        assert answer.endswith(b"* 3 EXPUNGE\r\n* 5 EXPUNGE\r\n* 5 EXISTS\r\nT OK\r\n")
        assert b"* 5 FETCH (UID 7 FLAGS ()" in raw(client, "UID FETCH 7 (FLAGS)")


def test_a_server_without_any_extension() -> None:
    with ScriptedServer(capabilities=PLAIN_CAPABILITIES, mechanisms=()) as server:
        server.mailbox("INBOX").add(b"a: b\r\n\r\n")
        with client_of(server) as client:
            for line in ("ID NIL", "NAMESPACE", "ENABLE QRESYNC", 'LIST "" * RETURN (SUBSCRIBED)'):
                assert b"T BAD" in raw(client, line)
            assert raw(client, "UID SEARCH ALL") == b"* SEARCH 1\r\nT OK done\r\n"
            assert b"MODSEQ" not in raw(client, "EXAMINE INBOX")


def test_a_script_may_answer_anything(server: ScriptedServer) -> None:
    hook = server.on("NOOP", lambda event: event.tagged("OK", "scripted") or True, times=1)
    with client_of(server) as client:
        assert raw(client, "NOOP") == b"T OK scripted\r\n"
        assert raw(client, "NOOP") == b"T OK done\r\n"
    assert hook.hits == 1
    server.greeting = b"* BYE too busy\r\n"
    with pytest.raises(imaplib.IMAP4.error, match="too busy"):
        connect(server)


def test_a_huge_folder_is_feasible(server: ScriptedServer) -> None:
    began = time.process_time()
    server.mailbox("INBOX").add_many(300_000, lambda uid: b"n: %d\r\n\r\n" % uid)
    with client_of(server) as client:
        assert raw(client, "UID SEARCH RETURN (ALL) ALL").startswith(
            b'* ESEARCH (TAG "T") UID ALL 1:300000\r\n'
        )
        answer = raw(client, "UID FETCH 299001:300000 (FLAGS INTERNALDATE RFC822.SIZE)")
        assert answer.count(b"\r\n") == 1001
    assert time.process_time() - began < 60

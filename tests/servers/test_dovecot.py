"""The Dovecot of the tests does what the other tests rely on."""

from __future__ import annotations

import base64
import imaplib
import ssl
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from servers.daemon import Account, Message
from servers.dovecot import Dovecot


def living(group: int) -> list[str]:
    """The processes of this group that are not dead yet."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:  # it ended while we looked
            continue
        state, _, of_group = rest.split()[:3]
        if int(of_group) == group and state != "Z":
            found.append(name)
    return found


DATE = datetime(2023, 4, 5, 6, 7, 8, tzinfo=UTC)


def test_append_and_fetch_keep_octets_flags_and_date(dovecot_user: Account) -> None:
    octets = b"Subject: caf\xe9\r\n\r\nbody without end"
    uid = dovecot_user.append("INBOX", octets, [r"\Seen", "$Forwarded"], DATE)
    assert dovecot_user.messages("INBOX") == {uid: Message(octets, (r"\Seen", "$Forwarded"), DATE)}


def test_both_ports_speak_tls_that_the_ca_file_trusts(dovecot_user: Account) -> None:
    server = dovecot_user.server
    context = ssl.create_default_context(cafile=server.ca_file)
    with imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=context) as client:
        client.login(dovecot_user.user, dovecot_user.password)
    with imaplib.IMAP4("localhost", server.port) as client:
        client.starttls(context)
        client.login(dovecot_user.user, dovecot_user.password)
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL(
            "localhost", server.tls_port, ssl_context=ssl.create_default_context()
        ).shutdown()


def test_a_wrong_password_is_refused_at_once(dovecot: Dovecot) -> None:
    began = time.monotonic()
    for _ in range(10):
        client = imaplib.IMAP4("localhost", dovecot.port)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login("anybody", "wrong")
        client.shutdown()
    assert time.monotonic() - began < 20, "it has a delay of two seconds for each by itself"


def test_tokens_come_and_go(dovecot_user: Account) -> None:
    server = dovecot_user.server

    def attempt(mechanism: str, token: str) -> None:
        said = {
            "XOAUTH2": f"user={dovecot_user.user}\1auth=Bearer {token}\1\1",
            "OAUTHBEARER": f"n,a={dovecot_user.user},\1auth=Bearer {token}\1\1",
        }[mechanism]
        with imaplib.IMAP4("localhost", server.port) as client:
            client.authenticate(mechanism, lambda _: said.encode())

    server.tokens["t1"] = dovecot_user.user
    attempt("XOAUTH2", "t1")
    attempt("OAUTHBEARER", "t1")
    del server.tokens["t1"]
    for mechanism in ("XOAUTH2", "OAUTHBEARER"):
        with pytest.raises(imaplib.IMAP4.error):
            attempt(mechanism, "t1")


def test_populate_is_fast_and_ordered_and_readable(dovecot_user: Account) -> None:
    zone = timezone(timedelta(hours=2))
    messages = [
        Message(
            b"Message-ID: <%d@x>\r\n\r\nline\r\n" % number,
            (r"\Flagged", "$Junk") if number % 3 == 0 else (),
            DATE.astimezone(zone) - timedelta(hours=number),
        )
        for number in range(10_000)
    ]
    began = time.monotonic()
    uids = dovecot_user.populate({"Bulk/Ärger & Co": messages})["Bulk/Ärger & Co"]
    assert time.monotonic() - began < 60
    found = dovecot_user.messages("Bulk/Ärger & Co")
    assert list(found) == uids == list(range(1, 10_001))
    assert list(found.values()) == messages
    # More of it later, by both ways in.
    assert dovecot_user.append("Bulk/Ärger & Co", b"a: b\r\n\r\n") == 10_001
    dovecot_user.expunge("Bulk/Ärger & Co", range(5, 10_000))
    more = dovecot_user.populate({"Bulk/Ärger & Co": [(b"c: d\n\nbare\n", ["k"], DATE)]})
    assert more["Bulk/Ärger & Co"] == [10_002]
    found = dovecot_user.messages("Bulk/Ärger & Co")
    assert list(found) == [1, 2, 3, 4, 10_000, 10_001, 10_002]
    assert found[10_002] == Message(b"c: d\r\n\r\nbare\r\n", ("k",), DATE)
    assert found[10_000] == messages[-1]


def test_mailboxes_change_behind_the_back(dovecot_user: Account) -> None:
    uids = [dovecot_user.append("A/B", b"n: %d\r\n\r\n" % n, ["kw"], DATE) for n in range(4)]
    dovecot_user.set_flags("A/B", uids[:2], [r"\Answered"])
    dovecot_user.move("A/B", uids[3:], "INBOX")
    dovecot_user.rename("A/B", "A/C")
    dovecot_user.create("A/D")
    dovecot_user.delete("A/D")
    assert sorted(dovecot_user.folders()) == ["A", "A/C", "INBOX"]
    before = dovecot_user.messages("A/C")
    assert [m.flags for m in before.values()] == [(r"\Answered",), (r"\Answered",), ("kw",)]
    old = dovecot_user.uidvalidity("A/C")
    assert dovecot_user.reset_uidvalidity("A/C", renumber_from=101) == old
    assert dovecot_user.uidvalidity("A/C") == old + 1
    after = dovecot_user.messages("A/C")
    assert list(after) == [101, 102, 103]
    assert list(after.values()) == list(before.values())


def test_special_use_and_a_server_without_tls() -> None:
    with Dovecot(tls=False, special_use={"Gesendet": r"\Sent"}) as server:
        server.create("u", "Gesendet")
        assert server.tls_port is None
        with server.connect("u") as client:
            assert "STARTTLS" not in client.capabilities
            lines = client.list()[1]
        assert rb'(\HasNoChildren \Sent) "/" Gesendet' in lines
        directory, group = server.directory, server._daemon.process.pid
    assert not directory.exists()
    deadline = time.monotonic() + 60
    while (left := living(group)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == []


def test_login_by_sasl_plain_with_initial_response(dovecot_user: Account) -> None:
    said = base64.b64encode(f"\0{dovecot_user.user}\0{dovecot_user.password}".encode()).decode()
    with imaplib.IMAP4("localhost", dovecot_user.server.port) as client:
        assert client._simple_command("AUTHENTICATE", "PLAIN", said)[0] == "OK"
        client.state = "AUTH"

"""The Cyrus of the tests does what the other tests rely on."""

from __future__ import annotations

import base64
import imaplib
import json
import re
import ssl
import urllib.request
from datetime import UTC, datetime

import pytest

from servers.cyrus import Cyrus
from servers.daemon import Account, Message

DATE = datetime(2023, 4, 5, 6, 7, 8, tzinfo=UTC)
OCTETS = b"Message-ID: <1@x>\r\nSubject: one\r\n\r\nbody\r\n"


def test_append_and_fetch_keep_octets_flags_and_date(cyrus_user: Account) -> None:
    uid = cyrus_user.append("Work/Ä", OCTETS, [r"\Seen", "$Forwarded"], DATE)
    assert cyrus_user.messages("Work/Ä") == {
        uid: Message(OCTETS, (r"\Seen", "$Forwarded"), DATE),
    }
    assert sorted(cyrus_user.folders()) == ["INBOX", "Sent", "Trash", "Work", "Work/&AMQ-"]


def test_equal_octets_have_one_emailid(cyrus_user: Account) -> None:
    cyrus_user.populate({"INBOX": [(OCTETS,), (b"a: b\r\n\r\n",)], "Copy": [(OCTETS,)]})
    found = []
    with cyrus_user.connect() as client:
        assert "OBJECTID" in client.capability()[1][0].decode().split()
        for folder in ("INBOX", "Copy"):
            client.select(folder, readonly=True)
            lines = client.uid("FETCH", "1:*", "(EMAILID)")[1]
            found += [re.search(rb"EMAILID \((\S+)\)", line)[1] for line in lines]
    assert found[0] == found[2] != found[1]


def test_both_ports_speak_tls_that_the_ca_file_trusts(cyrus_user: Account) -> None:
    server = cyrus_user.server
    context = ssl.create_default_context(cafile=server.ca_file)
    with imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=context) as client:
        client.login(cyrus_user.user, cyrus_user.password)
    with imaplib.IMAP4("localhost", server.port) as client:
        client.starttls(context)
        client.login(cyrus_user.user, cyrus_user.password)
        with pytest.raises(imaplib.IMAP4.error):
            client.login(cyrus_user.user, "wrong")


def test_mailboxes_change_behind_the_back(cyrus_user: Account) -> None:
    uids = cyrus_user.populate({"A": [(b"n: %d\r\n\r\n" % n, ["kw"], DATE) for n in range(4)]})["A"]
    cyrus_user.set_flags("A", uids[:1], [r"\Answered"])
    cyrus_user.expunge("A", uids[1:2])
    cyrus_user.move("A", uids[2:3], "INBOX")
    cyrus_user.rename("A", "B")
    before = cyrus_user.messages("B")
    assert {uid: message.flags for uid, message in before.items()} == {
        uids[0]: (r"\Answered",),
        uids[3]: ("kw",),
    }
    old = cyrus_user.reset_uidvalidity("B")
    assert cyrus_user.uidvalidity("B") != old
    assert list(cyrus_user.messages("B").values()) == list(before.values())


def test_jmap_answers(cyrus_user: Account) -> None:
    secret = base64.b64encode(f"{cyrus_user.user}:{cyrus_user.password}".encode()).decode()
    request = urllib.request.Request(
        cyrus_user.server.jmap_url, headers={"Authorization": f"Basic {secret}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        session = json.load(answer)
    assert session["username"] == cyrus_user.user
    assert "urn:ietf:params:jmap:mail" in session["capabilities"]


def test_a_place_that_only_root_may_enter(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest's own directories are closed to others: as a checkout in /root is.
    closed = tmp_path_factory.mktemp("closed")
    from servers import daemon

    (closed / "cyrus").symlink_to(daemon.PACKAGES / "cyrus")
    monkeypatch.setattr(daemon, "PACKAGES", closed)
    with Cyrus() as server:
        server.append("jane", "INBOX", OCTETS)
        assert (server.directory / "packages/usr/lib/cyrus/bin/imapd").is_file()

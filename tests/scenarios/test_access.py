"""Getting in and telling nobody: TLS, every mechanism, several connections, and P12."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
import trustme
from running import (
    BEYOND_ASCII,
    BODY,
    EVENT,
    KINDS,
    PASSWORD,
    QUOTED,
    REPORT,
    SECRETS,
    SUBJECT,
    TOKENS,
    WRONG,
    comparable,
    eventually,
    export,
    finish,
    letter,
    start,
    url_of,
)

import archive_facts
from servers import scripted_faults as faults
from servers.scripted import Refuse


@pytest.fixture
def other_ca(tmp_path) -> Path:
    path = tmp_path / "other-ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


# --- TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "connections"), [("mailbox", 1), ("mailbox", 3), ("cyrus_mailbox", 3)]
)
def test_tls_and_starttls_on_real_servers(request, root, server, connections) -> None:
    account = request.getfixturevalue(server)
    count = 120 if server == "mailbox" else 60
    account.populate({"INBOX": [(letter(number), (), None) for number in range(count)]})
    password = PASSWORD if server == "mailbox" else account.password
    found = []
    for number, url in enumerate((account.url(), account.url(tls=False))):
        words = ["--ca-file", account.server.ca_file, "--connections", connections]
        ran = export(url, root.with_name(f"archive{number}"), *words, password=password)
        assert ran.code == 0
        found.append(comparable(ran.there))
        shutil.rmtree(ran.root)
    assert found[0] == found[1]
    assert len(found[0]["INBOX"]) == count


@pytest.mark.parametrize("server", ["mailbox", "cyrus_mailbox"])
@pytest.mark.parametrize("tls", [True, False])
def test_the_wrong_authority_on_real_servers(request, root, server, tls, other_ca) -> None:
    account = request.getfixturevalue(server)
    said = export(account.url(tls=tls), root, "--ca-file", other_ca).refused(12)
    assert "certificate" in said.err
    export(account.url(tls=tls), root).refused(12)
    assert not root.exists()


def test_a_big_message_over_tls(mailbox, root) -> None:
    octets = letter(1, size=5_000_000)
    mailbox.append("INBOX", octets)
    ran = export(mailbox.url(), root, "--ca-file", mailbox.server.ca_file)
    assert ran.octets() == {"1": octets}


# --- several connections --------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [2, 3, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_several_connections_bring_the_same_as_one(scripted, root, kind, connections) -> None:
    scripted.capabilities = list(KINDS[kind])
    scripted.add_mailbox("Work")
    for number in range(700):
        scripted.mailbox("INBOX").add(letter(number), ["\\Seen"] * (number % 2))
        scripted.mailbox("Work").add(letter(1000 + number), email_id=f"W{number}")
    scripted.mailbox("Work").mails[5].octets = letter(5, size=600_000)
    one = export(scripted, root.with_name("one"))
    many = export(scripted, root, "--connections", connections)
    assert (one.code, many.code) == (0, 0)
    assert comparable(one.there) == comparable(many.there)
    assert one.there.headers == many.there.headers
    assert scripted.logins >= 1 + min(connections, 8)
    for entry in many.folders.values():
        assert entry["state"] == one.folders[entry["path"]]["state"]


def test_fewer_connections_than_asked_for_are_enough(scripted, root) -> None:
    """A provider that allows two: the third is refused, and nothing is lost."""
    for number in range(700):
        scripted.mailbox("INBOX").add(letter(number))

    def full(_) -> None:
        raise Refuse("[LIMIT] Maximum number of connections from user+IP exceeded")

    for name in ("LOGIN", "AUTHENTICATE"):
        scripted.on(name, full, when=lambda event: event.session.number > 2)
    ran = export(scripted, root, "--connections", "5")
    assert ran.code == 0
    assert len(ran.uids()) == 700
    assert scripted.logins == 2


# --- mechanisms -----------------------------------------------------------------------------------

PASSWORDS = [PASSWORD, BEYOND_ASCII, QUOTED]


@pytest.mark.parametrize("password", PASSWORDS, ids=["plain", "beyond ascii", "quoted"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", None])
@pytest.mark.parametrize("kind", ["qresync", "plain"])
def test_passwords_by_every_mechanism(scripted, root, password, mechanism, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    scripted.password = password
    scripted.mailbox("INBOX").add(letter(1))
    words = ["--auth", mechanism] if mechanism else []
    assert export(scripted, root, *words, password=password).code == 0
    if mechanism == "PLAIN":
        assert scripted.said("AUTHENTICATE PLAIN")
    assert scripted.logins == 1


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("password", PASSWORDS, ids=["plain", "beyond ascii", "quoted"])
def test_where_login_is_disabled_it_is_never_sent(scripted, root, password, asked) -> None:
    scripted.capabilities = ["IMAP4rev1", "LOGINDISABLED"]
    scripted.mechanisms = ["LOGIN"]
    scripted.passwords = {"jane": password}
    words = ["--auth", "LOGIN"] if asked else []
    assert export(scripted, root, *words, password=password).code == 0
    assert scripted.said("AUTHENTICATE LOGIN")
    assert not scripted.said("LOGIN")
    ran = export(scripted, root, *words, password=WRONG).refused(11)
    assert "UGFzc3dvcmQ6" not in ran.err
    assert "Password:" not in ran.err
    scripted.mechanisms = []
    ran = export(scripted, root, *words, password=password).refused(11)
    assert "TLS" in ran.err
    assert not scripted.said("LOGIN")


@pytest.mark.parametrize("password", [PASSWORD, BEYOND_ASCII], ids=["plain", "beyond ascii"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_passwords_on_dovecot(mailbox, root, password, mechanism) -> None:
    mailbox.append("INBOX", letter(1))
    assert export(mailbox, root, "--auth", mechanism, password=password).code == 0
    export(mailbox, root, "--auth", mechanism, password=WRONG).refused(11)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2", None])
def test_tokens_on_dovecot(mailbox, root, tmp_path, mechanism) -> None:
    mailbox.append("INBOX", letter(1))
    token = tmp_path / "token"
    token.write_text(TOKENS[0])
    words = ["--token-command", f"cat {token}", *(["--auth", mechanism] if mechanism else [])]
    export(mailbox, root, *words, password=None).refused(11)
    assert not root.exists()
    mailbox.server.tokens[TOKENS[0]] = mailbox.user
    assert export(mailbox, root, *words, password=None).code == 0
    del mailbox.server.tokens[TOKENS[0]]
    before = archive_facts.files(root)
    export(mailbox, root, *words, password=None).refused(11)
    assert archive_facts.files(root) == before


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2", None])
@pytest.mark.parametrize("kind", ["qresync", "plain"])
def test_tokens_on_the_scripted_server(scripted, root, tmp_path, mechanism, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    scripted.tokens[TOKENS[0]] = "jane"
    scripted.mailbox("INBOX").add(letter(1))
    (tmp_path / "token").write_text(TOKENS[0] + "\nmore\n")
    words = ["--token-command", f"cat {tmp_path}/token"]
    words += ["--auth", mechanism] if mechanism else []
    assert export(scripted, root, *words, password=None).code == 0
    assert scripted.said(f"AUTHENTICATE {mechanism or ''}")


# --- P12 ------------------------------------------------------------------------------------------


def fill(scripted) -> None:
    for number in range(30):
        scripted.mailbox("INBOX").add(letter(number))


SPEECHES = (
    "", "-v", "-v -v -v", "--json", "--progress json", "--progress none", "-q", "--dry-run -v",
    "-v --json --progress json", "--check -v", "--check --json",
)  # fmt: skip


@pytest.mark.parametrize("words", SPEECHES)
def test_p12_no_secret_and_no_mail_text_is_said(scripted, root, words) -> None:
    fill(scripted)
    ran = export(scripted, root, *words.split())  # judged there: output, logs, files, argv
    assert ran.code == 0
    if "--json" in words:
        REPORT.validate(ran.report)
    if "--progress json" in words:
        for line in ran.err.splitlines():
            EVENT.validate(json.loads(line))


def test_p12_the_judge_would_notice(scripted, root) -> None:
    """What is planted is there to be found: in the messages, and at the server."""
    fill(scripted)
    export(scripted, root)
    octets = b"".join(path.read_bytes() for path in root.rglob("*.eml"))
    assert BODY in octets
    assert SUBJECT in octets
    shutil.rmtree(root)
    assert export(scripted, root, "--auth", "LOGIN").code == 0
    assert any(PASSWORD in line for line in scripted.commands)


ECHOES = {
    "the password": lambda: WRONG,
    "the password in quotes": lambda: f'LOGIN jane "{WRONG}"',
    "the response in base64": lambda: base64.b64encode(f"\0jane\0{WRONG}".encode()).decode(),
    "the password in base64": lambda: base64.b64encode(WRONG.encode()).decode(),
    "the whole command": lambda: (
        "A1 AUTHENTICATE PLAIN " + base64.b64encode(f"\0jane\0{WRONG}".encode()).decode()
    ),
}


@pytest.mark.parametrize("status", ["NO", "BAD", "BYE"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("echo", ECHOES)
def test_p12_a_server_that_echoes_the_login(scripted, root, mechanism, echo, status) -> None:
    def refuse(event) -> None:
        if status == "BYE":
            event.bye(f"refused: {ECHOES[echo]()}")
        raise Refuse(f"refused: {ECHOES[echo]()}", status)

    for name in ("LOGIN", "AUTHENTICATE"):
        scripted.on(name, refuse)
    for words in ((), ("--json",), ("-v", "--progress", "json")):
        said = export(scripted, root, "--auth", mechanism, *words, password=WRONG)
        assert said.code in {11, 12}
        for hidden in (WRONG, base64.b64encode(WRONG.encode()).decode()):
            assert hidden not in said.out + said.err
    assert not root.exists()


def test_p12_a_token_that_is_refused(scripted, root, tmp_path) -> None:
    (tmp_path / "token").write_text(TOKENS[1])
    for words in (("--auth", "XOAUTH2"), ("--auth", "OAUTHBEARER"), ("-v", "--json")):
        command = ["--token-command", f"cat {tmp_path}/token"]
        said = export(scripted, root, *command, *words, password=None)
        assert said.code == 11
    assert not root.exists()


def test_p12_nothing_in_the_arguments_of_the_process_or_its_children(scripted, root) -> None:
    """Of the real process, while it runs: /proc shows arguments to everybody."""
    fill(scripted)
    seen: list[bytes] = []

    def look(_) -> None:
        eventually(lambda: process)
        family = {str(process.pid)}
        for status in sorted(Path("/proc").glob("[0-9]*/stat")):
            try:
                pid, parent = status.parent.name, status.read_text().rpartition(")")[2].split()[1]
                if parent in family or pid in family:
                    family.add(pid)
                    seen.append((status.parent / "cmdline").read_bytes())
            except (FileNotFoundError, ProcessLookupError):
                continue

    process = None
    scripted.on_message(look, times=1)
    process = start("export", url_of(scripted), root)
    ran = finish(process, root)
    assert ran.code == 0
    assert seen
    assert not any(secret.encode() in line for secret in SECRETS for line in seen)


def test_p12_not_in_a_crash_report_either(scripted, root) -> None:
    """A server that talks about the mail in its refusals: its words are data, ours are not."""
    fill(scripted)
    faults.refuse_uids(scripted, "INBOX", {3}, text="[SERVERBUG] cannot read message")
    ran = export(scripted, root, "-v")
    assert ran.code == 3
    assert ran.failed() == {"3": "server-refused"}

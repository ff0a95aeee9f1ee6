"""What comes before any mailbox is opened: CAPABILITY, the login, NAMESPACE, LIST, refused or odd.

A refusal for the moment is waited for, and no odd answer gives a mailbox another name.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from running import KINDS, TOKENS, comparable, export, letter, stamps

from servers.scripted import CAPABILITIES, Refuse, ScriptedServer

EXCHANGE = ("IMAP4rev1", "SASL-IR", "UIDPLUS", "ID", "UNSELECT", "NAMESPACE", "LITERAL+")
WITHOUT_IR = tuple(name for name in CAPABILITIES if name != "SASL-IR")


def fill(server: ScriptedServer) -> None:
    for number in range(3):
        server.mailbox("INBOX").add(letter(number))


def refuse(text: str, status: str = "NO"):
    def do(_) -> None:
        raise Refuse(text, status)

    return do


def by_token(root: Path, token: str) -> list[str]:
    """A token that no command line has in it."""
    file = root.with_name("token")
    file.write_text(token)
    return ["--token-command", f"cat {file}"]


# --- challenges -----------------------------------------------------------------------------------

CHALLENGES = ("", "go ahead", "ready", "Ready for literal data", "=", "====", "é", "{", "A" * 3000)


@pytest.mark.parametrize("challenge", CHALLENGES)
@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "OAUTHBEARER"])
def test_what_comes_with_a_challenge_means_nothing(scripted, root, mechanism, challenge) -> None:
    scripted.capabilities = list(WITHOUT_IR)
    scripted.challenge = challenge
    scripted.tokens[TOKENS[0]] = "jane"
    fill(scripted)
    words = ["--auth", mechanism.lower()]
    if mechanism == "PLAIN":
        ran = export(scripted, root, *words)
    else:
        ran = export(scripted, root, *words, *by_token(root, TOKENS[0]), password=None)
    assert ran.code == 0, ran.err
    assert ran.uids() == ["1", "2", "3"]


@pytest.mark.parametrize("challenge", [b"+\r\n", b"+ \r\n", b"+ VXNlcg\r\n", b"+ User Name:\r\n"])
def test_the_login_mechanism_is_asked_in_any_words(scripted, root, challenge) -> None:
    scripted.mechanisms = ["LOGIN"]
    fill(scripted)
    answers = []

    def ask(event) -> bool:
        for _ in range(2):
            event.send(challenge)
            event.session.flush()
            answers.append(event.session.read_line())
        event.session.user = "jane"
        event.tagged("OK", "in")
        return True

    scripted.on("AUTHENTICATE", ask)
    assert export(scripted, root).code == 0
    assert len(answers) == 2
    assert scripted.said("AUTHENTICATE") == ["AUTHENTICATE LOGIN"], "the server speaks first"


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "OAUTHBEARER"])
def test_the_first_message_goes_with_the_command(scripted, root, mechanism, deaf) -> None:
    """SASL-IR (RFC 4959), and servers that announce it and ask all the same."""
    scripted.deaf_to_initial = deaf
    scripted.challenge = "go ahead" if deaf else ""
    scripted.tokens[TOKENS[0]] = "jane"
    fill(scripted)
    words = ["--auth", mechanism.lower()]
    if mechanism == "PLAIN":
        ran = export(scripted, root, *words)
    else:
        ran = export(scripted, root, *words, *by_token(root, TOKENS[0]), password=None)
    assert ran.code == 0, ran.err
    (line,) = scripted.said("AUTHENTICATE")
    assert len(line.split()) == 3


@pytest.mark.parametrize("initial", [False, True])
def test_a_long_token_makes_no_long_line(scripted, root, initial) -> None:
    """No command line is over 8 kB: such a token comes when it is asked for."""
    scripted.capabilities = list(CAPABILITIES if initial else WITHOUT_IR)
    token = "t" * 3500
    scripted.tokens[token] = "jane"
    fill(scripted)
    ran = export(scripted, root, "--token-command", f"echo {token}", password=None)
    assert ran.code == 0, ran.err
    assert len(scripted.said("AUTHENTICATE")[0].split()) == 2


@pytest.mark.parametrize("capabilities", [CAPABILITIES, WITHOUT_IR])
def test_a_wrong_token_is_told_from_an_odd_challenge(scripted, root, capabilities) -> None:
    scripted.capabilities = list(capabilities)
    ran = export(scripted, root, *by_token(root, TOKENS[1]), password=None).refused(11)
    assert "invalid_token" in ran.err or "400" in ran.err


def test_a_server_that_asks_for_ever_is_one_clear_line(scripted, root) -> None:
    def ask(event) -> bool:
        while True:
            event.send(b"+ more\r\n")
            event.session.flush()
            event.session.read_line()

    scripted.on("AUTHENTICATE", ask)
    ran = export(scripted, root)
    assert ran.code == 12
    assert "on and on" in ran.err


@pytest.mark.parametrize("before", [0, 200, 250, 262, 270])
def test_a_secret_that_is_said_back_is_hidden_before_words_are_cut(scripted, root, before) -> None:
    scripted.on("AUTHENTICATE", refuse("x" * before + f" wrong: {scripted.password}", "NO"))
    ran = export(scripted, root)
    assert ran.code == 11
    assert scripted.password[:6] not in ran.err + ran.out


# --- refused for the moment -----------------------------------------------------------------------

MOMENTS = (
    "Server Unavailable. 15",
    "User is authenticated but not connected.",
    "Request is throttled. Suggested Backoff Time: 1000 milliseconds",
    "[UNAVAILABLE] Temporary authentication failure",
    "Temporary authentication failure, please try again later",
    "[INUSE] somebody else is here",
)


@pytest.mark.parametrize("text", MOMENTS)
@pytest.mark.parametrize("command", ["AUTHENTICATE", "LOGIN", "CAPABILITY", "LIST", "NAMESPACE"])
def test_a_refusal_for_the_moment_is_waited_for(scripted, root, command, text) -> None:
    scripted.capabilities = list(EXCHANGE)
    scripted.mechanisms = [] if command == "LOGIN" else ["PLAIN"]
    fill(scripted)
    for status in ("BAD", "NO"):
        hook = scripted.on(command, refuse(text, status), times=1)
        ran = export(scripted, root.with_name(status), "--max-wait", "2")
        assert ran.code == 0, ran.err
        assert hook.hits == 1
        assert "waiting" in ran.err
        assert ran.uids() == ["1", "2", "3"]


@pytest.mark.parametrize("text", MOMENTS)
@pytest.mark.parametrize("command", ["AUTHENTICATE", "CAPABILITY"])
def test_a_goodbye_for_the_moment_is_waited_for(scripted, root, command, text) -> None:
    fill(scripted)
    hook = scripted.on(command, lambda event: event.bye(text), times=1)
    ran = export(scripted, root, "--max-wait", "2")
    assert ran.code == 0, ran.err
    assert hook.hits == 1
    assert "waiting" in ran.err


@pytest.mark.parametrize("text", MOMENTS[:2])
def test_a_greeting_that_is_a_goodbye_for_the_moment(scripted, root, text) -> None:
    scripted.greeting = f"* BYE {text}\r\n".encode()
    ran = export(scripted, root, "--max-wait", "0").refused(12)
    assert text[:10] in ran.err
    assert 2 < scripted.connections <= 10


def test_a_wrong_password_is_a_wrong_password(scripted, root) -> None:
    """Said with any words beside its code, it is not tried again."""
    text = "[AUTHENTICATIONFAILED] Invalid credentials, please try again later"
    hook = scripted.on("AUTHENTICATE", refuse(text))
    assert export(scripted, root).refused(11).code == 11
    assert hook.hits == 1


def test_what_stays_refused_ends_with_the_servers_words(scripted, root) -> None:
    fill(scripted)
    hook = scripted.on("LIST", refuse("Server Unavailable. 15"))
    ran = export(scripted, root, "--max-wait", "0").refused(12)
    assert "Server Unavailable. 15" in ran.err
    assert 2 < hook.hits < 100
    login = scripted.on("AUTHENTICATE", refuse("Server Unavailable. 15"))
    assert export(scripted, root, "--max-wait", "0").refused(12).code == 12
    assert 2 < login.hits <= 10


@pytest.mark.parametrize("nth", [1, 2])
def test_capability_that_is_refused_for_good(scripted, root, nth) -> None:
    """Before the login and after it: taken for none it would make another server of this one."""
    fill(scripted)
    seen = []

    def do(_) -> None:
        seen.append(1)
        if len(seen) == nth:
            raise Refuse("no")

    scripted.on("CAPABILITY", do)
    ran = export(scripted, root)
    assert ran.code == 12
    assert "does not speak IMAP" not in ran.err


# --- NAMESPACE ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("text", ["Server Unavailable. 15", "[UNAVAILABLE] x", "[SERVERBUG] broken",
                                  "[NOPERM] never", None])  # fmt: skip
@pytest.mark.parametrize("mirror", [False, True])
def test_a_refused_namespace_renames_nothing(root, kind, text, mirror) -> None:
    with ScriptedServer(delimiter=".", prefix="INBOX.") as server:
        server.password = "pl4nted-s3cret"
        server.capabilities = ["NAMESPACE", *(n for n in KINDS[kind] if n != "NAMESPACE")]
        server.namespaces = '(("INBOX." ".")) NIL (("shared." "."))'
        fill(server)
        for at, name in enumerate(("INBOX.Work", "INBOX.Work.Sub", "shared.team")):
            server.add_mailbox(name).add(letter(100 + at))
        words = ["--mirror"] * mirror
        first = export(server, root, *words)
        assert set(first.folders) == {"INBOX", "Work", "Work/Sub"}
        before, sent = stamps(root), server.bodies

        def do(event) -> bool:
            if text is not None:
                raise Refuse(text)
            event.tagged("OK", "and nothing said")
            return True

        server.on("NAMESPACE", do, times=1)
        ran = export(server, root, *words, "--max-wait", "2")
        passing = text is not None and "navailable" in text.lower()
        assert ran.code == (0 if passing else 12)
        assert "Traceback" not in ran.err
        assert stamps(root) == before
        last = export(server, root, *words)
        assert last.code == 0
        assert comparable(last.there) == comparable(first.there)
        assert server.bodies == sent
    server.check()

"""What comes before any mailbox is opened: CAPABILITY, the login, NAMESPACE, LIST, refused or odd.

A refusal for the moment is waited for, and no odd answer gives a mailbox another name.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import (
    KINDS,
    PASSWORD,
    TOKENS,
    command,
    comparable,
    export,
    letter,
    stamps,
    url_of,
)

from archive_facts import sha256
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


REFUSALS = ("Server Unavailable. 15", "[SERVERBUG] broken", "[NOPERM] never", "", None,
            "* NAMESPACE", "* NAMESPACE (INBOX.) NIL NIL", '* NAMESPACE ((NIL ".")) NIL NIL',
            '* NAMESPACE (("a\x7f." ".")) NIL NIL')  # fmt: skip


def withhold(text: str | None):
    """NAMESPACE refused; or answered OK, with nothing or with this."""

    def do(event) -> bool:
        if text is not None and not text.startswith("*"):
            raise Refuse(text)
        if text is not None:
            event.untagged(text[2:])
        event.tagged("OK", "done")
        return True

    return do


@contextmanager
def courier(kind: str = "qresync", namespaces: str = '(("INBOX." ".")) NIL (("shared." "."))'):
    """All mailboxes below INBOX, but for one that somebody shares."""
    with ScriptedServer(delimiter=".", prefix="INBOX.") as server:
        server.password = PASSWORD
        server.capabilities = ["NAMESPACE", *(n for n in KINDS[kind] if n != "NAMESPACE")]
        server.namespaces = namespaces
        fill(server)
        for at, name in enumerate(("INBOX.Work", "INBOX.Work.Sub", "#shared.team")):
            wire = name if '"#shared."' in namespaces else name.removeprefix("#")
            server.add_mailbox(wire).add(letter(100 + at))
        yield server
    server.check()


def told(ran) -> list[str]:
    return [n["text"] for n in ran.report["notices"] if n["code"] == "no-namespaces"]


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("text", REFUSALS)
@pytest.mark.parametrize("mirror", [False, True])
def test_a_namespace_refused_once_renames_nothing(root, kind, text, mirror) -> None:
    with courier(kind) as server:
        words = ["--mirror"] * mirror
        first = export(server, root, *words)
        assert set(first.folders) == {"INBOX", "Work", "Work/Sub"}
        before, sent = stamps(root), server.bodies
        server.on("NAMESPACE", withhold(text), times=1)
        ran = export(server, root, *words, "--max-wait", "2", "--json")
        assert ran.code == 0
        assert not told(ran)
        assert stamps(root) == before
        assert server.bodies == sent


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("text", REFUSALS[1:])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_namespace_that_stays_refused_renames_nothing(root, kind, text, mirror) -> None:
    """The archive knows what it was told, also which mailboxes are those of others."""
    with courier(kind) as server:
        words = ["--mirror"] * mirror
        first = export(server, root, *words)
        before, sent = stamps(root), server.bodies
        hook = server.on("NAMESPACE", withhold(text))
        assert told(export(server, root, *words, "--json", "--dry-run"))
        ran = export(server, root, *words, "--json")
        assert ran.code == 0
        assert "names that they had" in told(ran)[0]
        assert stamps(root) == before
        server.add_mailbox("Elsewhere").add(letter(200))  # the shape is another one now
        server.mailbox("INBOX.Work").add(letter(201))
        ran = export(server, root, *words)
        assert ran.code == 0
        assert set(ran.folders) == {*first.folders, "Elsewhere"}
        assert server.bodies == sent + 2
        hook.off()
        before = stamps(root)
        ran = export(server, root, *words, "--json")
        assert not told(ran)
        assert stamps(root) == before


@pytest.mark.parametrize("text", REFUSALS[1:])
def test_a_namespace_that_was_never_told(root, text) -> None:
    """The shape of the first listing tells, is kept, and is what the server says in the end."""
    with courier(namespaces='(("INBOX." ".")) NIL (("#shared." "."))') as server:
        hook = server.on("NAMESPACE", withhold(text))
        first = export(server, root, "--json")
        assert first.code == 0
        assert "all folders lie below 'INBOX.'" in told(first)[0]
        assert set(first.folders) == {"INBOX", "Work", "Work/Sub", "#shared/team"}
        before = stamps(root)
        assert export(server, root).code == 0
        assert stamps(root) == before
        server.add_mailbox("Elsewhere").add(letter(200))
        sent = server.bodies
        ran = export(server, root)
        assert set(ran.folders) == {*first.folders, "Elsewhere"}
        hook.off()
        ran = export(server, root, "--json")
        assert (ran.code, told(ran)) == (0, [])
        assert set(ran.folders) >= {"INBOX", "Work", "Work/Sub", "Elsewhere"}
        assert server.bodies == sent + 1


@pytest.mark.parametrize("names", [("Work", "INBOX.Sub"), ("INBOXES.a",), (), ("INBOX",)])
def test_a_shape_that_tells_of_no_prefix(root, names) -> None:
    with ScriptedServer(delimiter=".") as server:
        server.password = PASSWORD
        server.namespaces = '(("" ".")) NIL NIL'
        fill(server)
        for name in set(names) - {"INBOX"}:
            server.add_mailbox(name).add(letter(100))
        hook = server.on("NAMESPACE", withhold(""))
        ran = export(server, root, "--json")
        assert "whole names" in told(ran)[0]
        assert set(ran.folders) == {"INBOX", *(name.replace(".", "/") for name in names)}
        hook.off()
        sent, names_before = server.bodies, set(ran.folders)
        ran = export(server, root)
        assert (ran.code, set(ran.folders), server.bodies) == (0, names_before, sent)
    server.check()


@pytest.mark.parametrize("kind", ["qresync", "plain"])
def test_a_guess_that_was_wrong_loses_nothing(root, kind) -> None:
    with courier(kind) as server:
        server.remove_mailbox("shared.team")
        hook = server.on("NAMESPACE", withhold(""))
        assert set(export(server, root).folders) == {"INBOX", "Work", "Work/Sub"}
        hook.off()
        server.namespaces = '(("" ".")) NIL NIL'
        ran = export(server, root)
        assert ran.code == 0
        held = {item.sha256 for items in ran.there.items.values() for item in items}
        assert held == {sha256(letter(number)) for number in (0, 1, 2, 100, 101)}
        assert {"INBOX/Work", "INBOX/Work/Sub"} <= set(comparable(ran.there))


@pytest.mark.parametrize("refused", ["resume", "begin", "both"])
def test_a_run_that_broke_off_and_a_namespace_that_is_refused(root, refused) -> None:
    """Nothing is published yet: the journal knows by which prefixes folders were named."""
    with courier() as server:
        large = server.add_mailbox("INBOX.Z")  # is opened alone, when the others were had
        large.add_many(3000, lambda uid: b"Subject: %d\r\n\r\n" % uid)
        withheld = server.on("NAMESPACE", withhold("")) if refused != "resume" else None
        down = server.on(
            "EXAMINE",
            lambda event: event.bye("down"),
            when=lambda event: event.args[0] == large.wire,
        )
        login = server.on("*", lambda event: event.bye("down"), when=lambda _: down.hits > 0)
        assert export(server, root, "--max-wait", "0").code == 12
        sent = server.bodies
        assert sent
        login.off()
        down.off()
        if refused == "begin":
            withheld.off()
        elif refused == "resume":
            server.on("NAMESPACE", withhold(""))
        server.add_mailbox("Elsewhere").add(letter(200))
        ran = export(server, root)
        assert ran.code == 0
        assert {"INBOX", "Elsewhere"} <= set(ran.folders)
        if refused == "resume":
            assert set(ran.folders) == {"INBOX", "Work", "Work/Sub", "Z", "Elsewhere"}
        elif refused == "both":
            whole = {"INBOX", "INBOX/Work", "INBOX/Work/Sub", "INBOX/Z"}
            assert set(ran.folders) == {*whole, "shared/team", "Elsewhere"}
        if refused != "begin":
            new = large.wire, b"Elsewhere", *([b"shared.team"] if refused == "both" else ())
            assert server.bodies - sent == sum(len(server.mailbox(name).mails) for name in new)


def test_a_namespace_that_was_not_announced_before(root) -> None:
    with courier() as server:
        everything = list(server.capabilities)
        server.capabilities = [name for name in everything if name != "NAMESPACE"]
        first = export(server, root)
        assert "INBOX/Work" in first.folders
        before = stamps(root)
        server.capabilities = everything
        server.on("NAMESPACE", withhold(""))
        ran = export(server, root)
        assert (ran.code, set(ran.folders)) == (0, set(first.folders))
        mails = {path: stamp for path, stamp in stamps(root).items() if path.startswith("mail/")}
        assert mails == {path: stamp for path, stamp in before.items() if path.startswith("mail/")}


def announce(server: ScriptedServer, *, namespace: bool) -> None:
    kept = [name for name in server.capabilities if name != "NAMESPACE"]
    server.capabilities = ["NAMESPACE", *kept] if namespace else kept


def mails(root: Path) -> dict[str, object]:
    return {path: stamp for path, stamp in stamps(root).items() if path.startswith("mail/")}


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("refused", [False, True])
def test_a_namespace_that_is_announced_no_more_renames_nothing(root, kind, mirror, refused) -> None:
    """Again and again, and when it is back; whether the server ever told or was made out."""
    with courier(kind) as server:
        words = ["--mirror"] * mirror
        if refused:
            server.remove_mailbox("shared.team")
            withheld = server.on("NAMESPACE", withhold(""))
        first = export(server, root, *words)
        assert set(first.folders) == {"INBOX", "Work", "Work/Sub"}
        before, sent = mails(root), server.bodies
        announce(server, namespace=False)
        assert "names that they had" in told(export(server, root, *words, "--json", "--dry-run"))[0]
        for _ in range(2):
            ran = export(server, root, *words, "--json")
            assert ran.code == 0
            assert "as it once did" in told(ran)[0]
            assert "names that they had" in told(ran)[0]
            assert (mails(root), server.bodies) == (before, sent)
        server.add_mailbox("INBOX.New").add(letter(200))
        assert set(export(server, root, *words).folders) == {*first.folders, "New"}
        before = mails(root)
        announce(server, namespace=True)
        if refused:
            withheld.off()
        ran = export(server, root, *words, "--json")
        assert (ran.code, told(ran)) == (0, [])
        assert (mails(root), server.bodies) == (before, sent + 1)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_namespace_that_was_never_announced(root, mirror) -> None:
    with courier() as server:
        announce(server, namespace=False)
        words = ["--mirror", "--json"] if mirror else ["--json"]
        first = export(server, root, *words)
        assert {"INBOX/Work", "shared/team"} <= set(first.folders)
        before = stamps(root)
        ran = export(server, root, *words)
        assert (first.code, ran.code, told(first), told(ran)) == (0, 0, [], [])
        assert stamps(root) == before


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("how", ["refused", "no more announced"])
def test_a_comparison_knows_the_names_that_the_archive_has(root, how, swapped) -> None:
    with courier() as server:
        assert export(server, root).code == 0
        sides = [root, url_of(server)]
        if swapped:
            sides.reverse()
        assert command("diff", *sides, root=root).code == 0
        if how == "refused":
            server.on("NAMESPACE", withhold(""))
        else:
            announce(server, namespace=False)
        ran = command("diff", *sides, root=root)
        assert ran.code == 0, ran.out
        assert "names that they had" in " ".join(ran.err.split())


def test_a_comparison_with_another_account_takes_no_names_from_the_archive(root) -> None:
    with courier() as server:
        assert export(server, root).code == 0
    with ScriptedServer(delimiter=".") as other:
        other.password = PASSWORD
        fill(other)
        other.on("NAMESPACE", withhold(""))
        ran = command("diff", root, url_of(other, "joe"), root=root)
    assert "names that they had" not in " ".join(ran.err.split())
    assert "whole names" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    "planted",
    [
        {"personal": [{"prefix": 'x"\r\nA1 DELETE INBOX\r\n', "delimiter": "."}], "other": 3},
        {"personal": "x", "shared": [{"prefix": "s\n", "delimiter": "\n"}, 7, {}]},
        {"personal": [{"prefix": "\ud800", "delimiter": None}], "assumed": "yes"},
        {"other": [{"prefix": "*" * 100000, "delimiter": "é"}]},
        [],
    ],
)
def test_what_an_archive_says_is_not_believed_unseen(scripted, root, planted) -> None:
    """It may come from anybody: nothing of it reaches a command line that is no prefix."""
    fill(scripted)
    scripted.add_mailbox("Work").add(letter(9))
    assert export(scripted, root).code == 0
    plant(root, planted)
    scripted.on("NAMESPACE", withhold(""))
    ran = export(scripted, root, "--namespace", "all", "--change-selection")
    assert ran.code in {0, 3, 16}
    assert not any("DELETE" in line or "\n" in line for line in scripted.commands)


def plant(root: Path, namespaces: object) -> None:
    """The manifest says this, and the chain of digests holds."""
    manifest = json.loads((root / "manifest.json").read_bytes())
    manifest["source"]["namespaces"] = namespaces
    octets = json.dumps(manifest).encode()
    (root / "manifest.json").write_bytes(octets)
    document = json.loads((root / "archive.json").read_bytes())
    link = document["archive"]["portarchive:manifest"]
    link.update(sha256=sha256(octets), bytes=len(octets))
    (root / "archive.json").write_text(json.dumps(document))

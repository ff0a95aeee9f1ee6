"""Lines of LIST that no grammar allows: the mailbox is named as not understood, and nothing goes.

``* LIST () "/" Foo Bar`` is about Foo Bar, or about Foo: nobody knows, so nobody guesses.
"""

from __future__ import annotations

import pytest
from running import KINDS, PATIENCE, export, letter, stamps

import archive_facts
from servers.scripted import ScriptedServer

ODD = {
    "a blank without quotes": (b"Foo Bar", b'() "/" Foo Bar', "Foo Bar"),
    "a quote that is not escaped": (b'a"b', b'() "/" "a"b"', 'a"b'),
    "a quote that is not closed": (b"Foo Bar", b'() "/" "Foo', '"Foo'),
    "no attributes": (b"xx1", b'"/" "xx1"', '* LIST "/" "xx1"'),
    "no delimiter": (b"xx1", b'() "xx1"', '* LIST () "xx1"'),
    "no name": (b"xx1", b'() "/"', '* LIST () "/"'),
    "a blank and parentheses": (b"Foo (x)", b'() "/" Foo (x)', "Foo (x)"),
    "controls": (b"Foo Bar", b'() "/" Foo \x1b[31mBar', "Foo \x1b[31mBar"),
}


def fill(server: ScriptedServer, wire: bytes = b"Foo Bar") -> None:
    for at, name in enumerate((b"INBOX", b"Foo", b"a", b"Old", wire)):
        if name != b"INBOX":
            server.add_mailbox(name)
        for number in range(3):
            server.mailbox(name).add(letter(10 * at + number))


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("case", ODD)
def test_a_mailbox_that_is_not_understood_is_named(scripted, root, kind, case) -> None:
    wire, line, _ = ODD[case]
    scripted.capabilities = list(KINDS[kind])
    fill(scripted, wire)
    scripted.mailbox(wire).line = line
    ran = export(scripted, root, "--json")
    assert ran.code == 3
    notices = [n for n in ran.report["notices"] if n["code"] == "not-understood"]
    assert len(notices) == 1
    assert "* LIST" in notices[0]["text"]
    assert notices[0]["text"].isprintable()
    assert {p: e["archived"] for p, e in ran.folders.items() if "error" not in e} == {
        "INBOX": 3, "Foo": 3, "a": 3, "Old": 3,
    }  # fmt: skip
    (odd,) = [entry for entry in ran.folders.values() if "error" in entry]
    assert odd["error"]["code"] == "not-understood"
    again = export(scripted, root)
    assert again.code == 3
    assert "not understood" in again.out
    dry = export(scripted, root, "--dry-run")
    assert dry.code == 3
    scripted.mailbox(wire).line = None
    ran = export(scripted, root)
    assert ran.code == 0
    assert sum(len(items) for items in ran.there.items.values()) == 15


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("case", ODD)
def test_nothing_counts_as_gone_meanwhile(scripted, root, kind, mirror, case) -> None:
    wire, line, _ = ODD[case]
    scripted.capabilities = list(KINDS[kind])
    fill(scripted, wire)
    words = ["--mirror"] * mirror
    assert export(scripted, root, *words).code == 0
    before = stamps(root / "mail")
    box = scripted.mailbox(wire)
    box.line = line
    scripted.remove_mailbox("Old")
    scripted.mailbox("Foo").add(letter(99))
    ran = export(scripted, root, *words)
    assert ran.code == 3
    after = stamps(root / "mail")
    assert {path: after.get(path) for path in before if not path.startswith("Foo/")} == {
        path: stamp for path, stamp in before.items() if not path.startswith("Foo/")
    }
    assert ran.uids("Foo") == ["1", "2", "3", "4"], "the others go on"
    for entry in (ran.folders["Old"], ran.folders[archive_path(ran, wire)]):
        assert entry["error"]["code"] == "not-understood"
        assert entry["archived"] == 3
    box.line = None
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert "portarchive:gone_at" in ran.there.headers["Old"], "now it is known"
    assert "portarchive:gone_at" not in ran.there.headers[archive_path(ran, wire)]


def archive_path(ran, wire: bytes) -> str:
    """Where the archive has a folder."""
    (path,) = [
        path for path, header in ran.there.headers.items()
        if wire.decode() in {header["name"], header.get("original_name"), path}
    ]  # fmt: skip
    return path


def test_the_inbox_itself(scripted, root) -> None:
    fill(scripted)
    assert export(scripted, root, "--mirror").code == 0
    scripted.mailbox("INBOX").line = b'"/" INBOX'
    ran = export(scripted, root, "--mirror")
    assert ran.code == 3
    assert len(ran.octets()) == 3


def test_not_one_line_is_understood(scripted, root) -> None:
    fill(scripted)
    assert export(scripted, root).code == 0
    before = stamps(root)
    for box in scripted.mailboxes:
        box.line = b'"/" ' + box.wire
    ran = export(scripted, root)
    assert ran.code == 12
    assert '* LIST "/" INBOX' in ran.err
    assert stamps(root) == before


def test_one_that_is_left_out_costs_nothing(scripted, root) -> None:
    fill(scripted)
    scripted.mailbox("Foo Bar").line = b'() "/" Foo Bar'
    ran = export(scripted, root, "--exclude", "Foo Bar")
    assert ran.code == 0
    assert set(ran.folders) == {"INBOX", "Foo", "a", "Old"}
    assert not (root / "mail/Foo Bar").exists()


def test_the_name_of_another_is_not_taken(scripted, root) -> None:
    """``"a`` seems to be a, which is there: both are named."""
    scripted.mailbox("INBOX").add(letter(1))
    scripted.add_mailbox("a").add(letter(2))
    scripted.add_mailbox("b", line=b'() "/" a (b (c))').add(letter(3))
    scripted.add_mailbox("c", line=b'"()" "/" "a"').add(letter(4))
    ran = export(scripted, root)
    assert ran.code == 3
    assert ran.octets("a") == {"1": letter(2)}
    assert len([entry for entry in ran.folders.values() if "error" in entry]) == 2


@pytest.mark.parametrize(
    "line",
    [
        b'() "/" "xx1" ("CHILDINFO" ("SUBSCRIBED"))',
        b'(\\HasChildren) "/" xx1 (CHILDINFO ("SUBSCRIBED" "SPECIAL-USE"))',
        b'(\\NonExistent2) "/" "xx1" ("OLDNAME" ("old name"))',
        b'() "/" "xx1" ("X-VENDOR" (a (b "c)" {3}\r\n()")) "N" 1:3,5)',
        b'() "/" {3}\r\nxx1 ("OLDNAME" ({2}\r\n")))',
        b'() "/" "xx1" ()',
        b"()  /\t xx1 ",
        b'( \\HasNoChildren  \\ ) "/" xx1',
        b'() "\\" xx1',
        b'() "\\\\" "xx1"',
        b'() "" "xx1"',
        b"() nil xx1",
    ],
)  # fmt: skip
def test_what_is_understood_all_the_same(scripted, root, line) -> None:
    """RFC 5258 §3.5, RFC 9051 §6.3.9.7, and what can mean one thing only."""
    scripted.add_mailbox("xx1", line=line).add(letter(1))
    ran = export(scripted, root)
    assert ran.code == 0, ran.out
    assert archive_facts.folder_json(root, "xx1")["items"]


def test_counts_of_another_are_not_believed(scripted, root) -> None:
    """``* STATUS Foo Bar (…)`` says nothing of Foo, which would seem to stand still."""
    fill(scripted)
    scripted.mailbox("Foo").counted = False
    scripted.mailbox("Foo Bar").counted = False
    assert export(scripted, root).code == 0
    told = archive_facts.folder_json(root, "Foo")

    def say(event) -> None:
        event.untagged(
            f"STATUS Foo Bar (MESSAGES 3 UIDNEXT 4 UIDVALIDITY {told['uidvalidity']}"
            f" HIGHESTMODSEQ {told['highest_modseq']})"
        )

    scripted.on("LIST", say)
    scripted.mailbox("Foo").add(letter(99))
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.uids("Foo") == ["1", "2", "3", "4"]


@pytest.mark.parametrize("line", [b'() "/" Foo Bar', b'() "/" "a"b"'])
def test_a_subscription_that_is_not_understood_is_nobodys(scripted, root, line) -> None:
    scripted.capabilities = ["IMAP4rev1"]
    fill(scripted)
    scripted.mailbox("Foo").subscribed = False
    scripted.mailbox("a").subscribed = False
    scripted.on("LSUB", lambda event: event.untagged(f"LSUB {line.decode()}"))
    ran = export(scripted, root)
    assert ran.code == 0
    for name in ("Foo", "a"):
        assert ran.there.headers[name].get("subscribed") is not True


# --- what looks like a literal --------------------------------------------------------------------

BRACED = (b"abc{3}", b"a/{3}", b"{a}{12}", b"abc{3+}", b"abc{9999999}", b"x~{3}", b"]{3}")


@pytest.mark.parametrize("kind", ["qresync", "plain"])
@pytest.mark.parametrize("wire", BRACED)
def test_a_name_that_ends_like_a_literal(scripted, root, kind, wire) -> None:
    """A literal is a token of its own: what ends an atom is none (RFC 9051 §9)."""
    scripted.capabilities = list(KINDS[kind])
    fill(scripted, wire)
    scripted.mailbox(wire).form = "atom"
    for _ in range(2):
        ran = export(scripted, root, "--timeout", PATIENCE)
        assert ran.code == 0, ran.err
        assert sum(len(items) for items in ran.there.items.values()) == 15


@pytest.mark.parametrize(
    ("wire", "last"),
    [(b"{3}", True), (b"{2}", True), (b"~{3}", True), (b"{3}", False), (b"{17}", False)],
)
def test_a_name_that_is_nothing_but_an_announcement(scripted, root, wire, last) -> None:
    """It takes the next line for its own: the run ends at once, and the archive is as it was."""
    fill(scripted, wire)
    assert export(scripted, root, "--mirror").code == 0
    before = stamps(root)
    scripted.mailbox(wire).form = "atom"
    if not last:
        scripted.add_mailbox("abc", line=b'() "/" abc').add(letter(90))
    ran = export(scripted, root, "--mirror", "--timeout", PATIENCE).refused(12)
    assert "LIST" in ran.err
    assert stamps(root) == before


WORDS = ("OK still here {3}", "NO careful {3}", "OK [ALERT] {3}", "OK {3}")


@pytest.mark.parametrize("text", WORDS)
@pytest.mark.parametrize("command", ["CAPABILITY", "LIST", "EXAMINE", "UID FETCH"])
def test_words_for_people_that_end_like_a_literal(scripted, root, command, text) -> None:
    fill(scripted)
    scripted.on(command, lambda event: event.untagged(text))
    ran = export(scripted, root, "--timeout", PATIENCE)
    assert ran.code == 0, ran.err
    assert sum(len(items) for items in ran.there.items.values()) == 15


@pytest.mark.parametrize("codes", ["", "[CAPABILITY IMAP4rev1 AUTH=PLAIN] ", "[ALERT] "])
def test_a_greeting_that_ends_like_a_literal(scripted, root, codes) -> None:
    fill(scripted)
    scripted.greeting = f"* OK {codes}ready {{3}}\r\n".encode()
    ran = export(scripted, root, "--timeout", PATIENCE)
    assert ran.code == 0, ran.err

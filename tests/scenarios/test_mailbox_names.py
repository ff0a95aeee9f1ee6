"""Hostile mailbox names, manifests that hold everywhere, odd LISTs: scenarios 39, 41 and 43."""

from __future__ import annotations

import base64
import subprocess
import unicodedata
from pathlib import Path

import pytest
from running import KINDS, Ran, command, export, letter, stamps

import archive_facts
from servers import scripted_faults as faults
from servers.scripted_model import wire_name

NAMES = (
    # mangled and foreign text
    "Envoyés", "EnvoyÃ©s", "Ärger/Öl", "送信済み", "Отправленные", "صندوق", "🎻 Geige", "a\u0308b",
    # twins by normal form, by case, by both
    "Cafe\u0301", "Café", "CAFÉ", "cafe\u0301", "Sent", "SENT", "sent", "Straße", "STRASSE",
    "\u0131", "I", "ﬁn", "fin", "Å", "\u212b", "Ω", "\u2126",
    # numbers, atoms, modified UTF-7
    "2024", "0", "00", "NIL", "R&D", "&", "&&", "&-", "Tom & Jerry", "~", "a-b_c",
    # what file systems and archives dislike
    "a:b", "a*b", "a?b", "a<b", "a>b", "a|b", 'a"b', "a\\b", "50%", "%41", "%2F", "a~deadbeef",
    " leading", "trailing ", "dot.", "..dots", "...", ".", "..", ".hidden", "tab\tin it", "CON",
    "con", "nul.txt", "COM1", "LPT¹", "aux ", "folder.json", "x.eml", ".portarchive",
    "archive.json",
    "manifest.json", "manifest-sha256.txt", ".DS_Store", "Thumbs.db", "desktop.ini", "index",
    "mail",
    # controls, layout, invisible ones
    "line\nfeed", "carriage\rreturn", "nul\0octet", "esc\x1b[31m", "del\x7f", "rtl\u202egnp.exe",
    "zero\u200bwidth", "\ufefffirst", "line\u2028separator", "soft\u00adhyphen",
    # other providers' habits
    "_xF8FF_slash", "[Gmail]/All Mail", "[Gmail]/Sent", "INBOX/Sent Items", "Inbox.old", "#news",
    "~joe",
    # long ones, deep ones, ones that walk away
    "x" * 300, "é" * 150, "😀" * 80, "x" * 299 + "y", "/".join("abcdefghijklmnopqrst"),
    "../../../tmp/evil", "a/../b", "a/./b", "/absolute", "a//b", "trailing/",
)  # fmt: skip

RAW = (
    b"Envoy\xe9s", b"\xff\xfe\x00"[:2], b"&AOk", b"&AOk-&AOk-", b"A&B", b"&ZeVnLIqe", b"&2AA-",
    b"&*-", b"half\xe2\x82", b"&AGE-", b"R&amp;D", b"Envoy\xc3\xa9\xff",
)  # fmt: skip
"""Octets that are no modified UTF-7, or not its one spelling, nor UTF-8."""

UTF8 = (b"Envoy\xc3\xa9s roh", "日本".encode())
"""Raw UTF-8 where modified UTF-7 belongs: shown as it is meant."""


def names_of(root: Path) -> dict[str, tuple[str, ...]]:
    """What every directory says its mailbox is called, from the root."""
    found = {}
    for file in (root / "mail").rglob("folder.json"):
        directory = file.parent
        names = []
        while directory != root / "mail":
            document = archive_facts.strict((directory / "folder.json").read_bytes())
            if "original_name" in document:
                assert document["original_name"] == document["name"]
            raw = document.get("portarchive:raw_name")
            name = document["name"] if raw is None else f"raw {raw}"
            names.append(name)
            directory = directory.parent
        found[file.parent.relative_to(root / "mail").as_posix()] = tuple(reversed(names))
    return found


def check_names(root: Path) -> None:
    """One directory each on any file system, nothing outside, nothing odd in a path."""
    paths = [str(path.relative_to(root)) for path in root.rglob("*")]
    for path in paths:
        assert unicodedata.normalize("NFC", path) == path, path
        assert not any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in path), ascii(path)
        for part in path.split("/"):
            assert len(part.encode()) <= 255
            assert part[-1] not in ". "
            assert not set(part) & set('\\:*?"<>|'), part
            assert part.split(".")[0].upper() not in {"CON", "NUL", "COM1", "AUX", "LPT¹"}
    folded = [unicodedata.normalize("NFC", path).casefold() for path in paths]
    assert len(set(folded)) == len(folded), "twins on a file system that folds case"


def messages_by_name(ran: Ran) -> dict[tuple[str, ...], str]:
    names = names_of(ran.root)
    return {names[path]: items[0].sha256 for path, items in ran.there.items.items() if items}


def fill(scripted) -> dict[tuple[str, ...], str]:
    """One mailbox for each name, with one message; what should come of them."""
    expected = {}
    forms = ("quoted", "literal")
    for number, name in enumerate((*NAMES, *RAW, *UTF8)):
        mailbox = scripted.add_mailbox(name, form=forms[number % 2])
        if name in {"2024", "0", "NIL", "#news", "_xF8FF_slash"}:
            mailbox.form = "atom"
        octets = letter(number)
        mailbox.add(octets, email_id=f"M{number}")
        mailbox.uidvalidity = 1000 + number
        if name in RAW:
            names = (f"raw {base64.b64encode(name).decode()}",)
        elif isinstance(name, bytes):
            names = (name.decode(),)
        else:
            names = tuple(name.split("/"))
        expected[names] = archive_facts.sha256(octets)
    return expected


@pytest.mark.parametrize("kind", KINDS)
def test_39_hostile_names_each_have_a_directory(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    assert len(NAMES) + len(RAW) >= 100
    expected = fill(scripted)
    ran = export(scripted, root)
    assert ran.code == 0
    check_names(root)
    assert messages_by_name(ran) == expected
    assert sorted(path.name for path in root.parent.iterdir()) == ["archive"]
    before = stamps(root)
    again = export(scripted, root)
    assert again.code == 0
    assert stamps(root) == before
    for words in (("info",), ("ls",)):
        said = command(*words, root, root=root)
        assert said.code == 0
        assert not any(ord(sign) < 32 and sign != "\n" for sign in said.out)


def test_39_order_and_lateness_do_not_move_a_directory(scripted, root) -> None:
    """A twin that appears later gets another directory; the first keeps its own."""
    for number, name in enumerate(("sent", "b")):
        scripted.add_mailbox(name).add(letter(number), email_id=f"M{number}")
    first = export(scripted, root)
    for number, name in enumerate(("SENT", "Sent", "sEnt"), 10):
        scripted.add_mailbox(name).add(letter(number), email_id=f"M{number}")
    scripted.mailboxes.reverse()
    ran = export(scripted, root)
    assert ran.code == 0
    assert (root / "mail/sent/folder.json").exists()
    assert ran.there.items["sent"] == first.there.items["sent"]
    assert set(names_of(root).values()) == {
        ("INBOX",), ("sent",), ("b",), ("SENT",), ("Sent",), ("sEnt",),
    }  # fmt: skip
    check_names(root)


@pytest.mark.parametrize("delimiter", [".", "\\", "|", ":", "^", None])
def test_39_other_delimiters(scripted, root, delimiter) -> None:
    scripted.mailbox("INBOX").delimiter = delimiter
    join = delimiter or "/"
    paths = [("Work",), ("Work", "a/b" if delimiter else "2024"), ("Work", "2025")]
    for number, path in enumerate(paths):
        scripted.add_mailbox(join.join(path), delimiter=delimiter).add(
            letter(number), email_id=f"M{number}"
        )
    ran = export(scripted, root)
    assert ran.code == 0
    found = set(messages_by_name(ran))
    if delimiter is None:
        assert found == {("Work",), ("Work/2024",), ("Work/2025",)}
    else:
        assert found == set(paths)
    check_names(root)


def test_39_a_personal_prefix_is_removed_but_not_from_twins(scripted, root) -> None:
    scripted.namespaces = '(("INBOX." ".")) NIL NIL'
    scripted.mailbox("INBOX").delimiter = "."
    scripted.mailbox("INBOX").add(letter(0), email_id="M0")
    for number, name in enumerate(("INBOX.Sent", "INBOX.Work.2024", "Sent", "INBOX.Only"), 1):
        scripted.add_mailbox(name, delimiter=".").add(letter(number), email_id=f"M{number}")
    ran = export(scripted, root)
    assert ran.code == 0
    assert set(messages_by_name(ran)) == {
        ("INBOX",), ("INBOX", "Sent"), ("Sent",), ("Work", "2024"), ("Only",),
    }  # fmt: skip
    assert ran.there.manifest["source"]["namespaces"]["personal"] == [
        {"prefix": "INBOX.", "delimiter": "."}
    ]


def test_39_inboxes_in_other_spellings(scripted, root) -> None:
    scripted.mailbox("INBOX").wire = b"Inbox"
    scripted.mailbox("INBOX").add(letter(0), email_id="M0")
    for number, name in enumerate(("INBOX/a", "inbox/a", "Inbox/b"), 1):
        scripted.add_mailbox(name).add(letter(number), email_id=f"M{number}")
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.there.headers["INBOX"]["name"] == "INBOX"
    assert ran.there.headers["INBOX"]["portarchive:role"] == "inbox"
    assert sum(len(items) for items in ran.there.items.values()) == 4
    assert len([path for path, items in ran.there.items.items() if items]) == 4
    names = messages_by_name(ran)
    assert {("INBOX", "a"), ("inbox", "a"), ("INBOX", "b")} <= names.keys()
    assert names["inbox", "a"] == archive_facts.sha256(letter(2))


@pytest.mark.parametrize("name", [b"evil\r\nA1 DELETE INBOX", b"nul\0", b"only\nLF"])
def test_39_a_name_that_cannot_be_said_is_reported_and_says_nothing(scripted, root, name) -> None:
    scripted.mailbox("INBOX").add(letter(1), email_id="M1")
    scripted.add_mailbox(name, form="literal").add(letter(2), email_id="M2")
    scripted.add_mailbox("Last").add(letter(3), email_id="M3")
    ran = export(scripted, root)
    assert ran.code == 3
    (broken,) = [entry for entry in ran.folders.values() if "error" in entry]
    assert broken["error"]["code"] == "folder-unavailable"
    assert len(ran.uids()) == len(ran.uids("Last")) == 1
    check_names(root)
    assert not any("DELETE" in line for line in scripted.commands)
    assert {path.parent for path in root.rglob("folder.json")} == {
        path for path in (root / "mail").rglob("*") if path.is_dir()
    }


@pytest.mark.parametrize("server", ["mailbox", "cyrus_mailbox"])
def test_39_names_that_real_servers_take(request, root, server) -> None:
    account = request.getfixturevalue(server)
    expected = {}
    with account.connect() as client:
        for number, name in enumerate(NAMES):
            wire = wire_name(name).decode()
            quoted = '"' + wire.replace("\\", "\\\\").replace('"', '\\"') + '"'
            if any(octet in wire for octet in "\r\n\0"):
                continue
            try:
                if client.create(quoted)[0] != "OK":
                    continue
            except client.error:
                continue
            octets = letter(number)
            client.literal = octets
            if client._simple_command("APPEND", quoted)[0] == "OK":
                expected[tuple(name.split("/"))] = archive_facts.sha256(octets)
    assert len(expected) >= 40
    ran = export(account, root)
    assert ran.code == 0
    check_names(root)
    found = messages_by_name(ran)
    # A server may tidy a name: what counts is that every mailbox of it has its directory.
    assert sorted(found.values()) == sorted(expected.values())
    same = sum(found.get(names) == digest for names, digest in expected.items())
    assert same >= 0.9 * len(expected)


# --- 41 -------------------------------------------------------------------------------------------


def test_41_sha256sum_reads_the_manifest_whatever_the_names(scripted, root) -> None:
    fill(scripted)
    assert export(scripted, root).code == 0
    text = (root / "manifest-sha256.txt").read_text("utf-8")
    assert unicodedata.normalize("NFC", text) == text
    assert "\\" not in text
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", "manifest-sha256.txt"],
            cwd=root,
            env={"LC_ALL": locale, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_41_twins_by_normal_form_are_two_folders(scripted, root) -> None:
    scripted.add_mailbox("Cafe\u0301").add(letter(1), email_id="M1")
    scripted.add_mailbox("Café").add(letter(2), email_id="M2")
    scripted.add_mailbox("line\nfeed").add(letter(3), email_id="M3")
    ran = export(scripted, root)
    assert ran.code == 0
    assert set(messages_by_name(ran)) == {("Cafe\u0301",), ("Café",), ("line\nfeed",)}
    assert len([path for path in ran.there.items if path.startswith("Café")]) == 2
    check_names(root)


# --- 43 -------------------------------------------------------------------------------------------


def test_43_list_extended_that_answers_bad_falls_back(scripted, root) -> None:
    scripted.add_mailbox("Sent", attributes=[r"\Sent"]).add(letter(1), email_id="M1")
    scripted.add_mailbox("Parent", attributes=[r"\NoSelect"])
    scripted.add_mailbox("Parent/Child", subscribed=False).add(letter(2), email_id="M2")
    usual = export(scripted, root.with_name("usual"))
    hook = faults.list_return_bad(scripted)
    ran = export(scripted, root)
    assert hook.hits
    assert ran.code == 0
    assert ran.there.what() == usual.there.what()
    assert ran.there.headers["Sent"]["special_use"] == r"\Sent"
    assert ran.there.headers["Parent/Child"]["is_subscribed"] is False
    assert ran.there.headers["Parent"]["portarchive:noselect"] is True


@pytest.mark.parametrize("option", ["SPECIAL-USE", "STATUS", "SUBSCRIBED"])
def test_43_one_option_that_answers_bad(scripted, root, option) -> None:
    """LIST-EXTENDED without SPECIAL-USE, and what else may be announced and not understood."""
    scripted.add_mailbox("Sent", attributes=[r"\Sent"]).add(letter(1), email_id="M1")

    def refuse(event) -> bool:
        event.tagged("BAD", "Command Argument Error. 11")
        return True

    scripted.on(
        "LIST", refuse, when=lambda e: option in e.line.upper().partition(" RETURN ")[2]
    )  # fmt: skip
    ran = export(scripted, root)
    assert ran.code == 0
    assert set(ran.folders) == {"INBOX", "Sent"}


def test_43_announced_without_special_use(scripted, root) -> None:
    scripted.capabilities = [name for name in KINDS["qresync"] if name != "SPECIAL-USE"]
    scripted.add_mailbox("Sent", attributes=[r"\Sent"]).add(letter(1), email_id="M1")
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.there.headers["Sent"]["portarchive:role"] == "sent"

"""Targets of the scenarios, looked at without the program under test."""

from __future__ import annotations

import calendar
import imaplib
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from imapclient.imap_utf7 import decode

from servers.daemon import Account, MailServer


class Held(NamedTuple):
    """A message as its owner sees it. ``flags``: lower case, system flags as ``$seen``."""

    octets: bytes
    flags: frozenset[str]
    epoch: int


@dataclass
class Goal:
    """A place that takes mail.

    Attributes:
        kind: of which its closed list is.
        url: TARGET.
        password: of the account.
        words: options that it needs.
    """

    kind: str
    url: str
    password: str = ""
    words: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The same as SOURCE of an export, which makes no layout."""
        return self.url.removesuffix("?layout=fs")

    def contents(self) -> dict[str, list[Held]]:
        """By path with slashes: all mailboxes that can hold mail."""
        raise NotImplementedError

    def octets(self) -> Counter[bytes]:
        return Counter(held.octets for found in self.contents().values() for held in found)


class ImapGoal(Goal):
    """An account of a real server, looked at by ``imaplib``."""

    def __init__(self, kind: str, account: Account, password: str | None = None) -> None:
        super().__init__(
            kind, f"{account.url(tls=False)}?tls=none", password or account.server.password
        )
        self.account = account

    def contents(self) -> dict[str, list[Held]]:
        server, user = self.account.server, self.account.user
        found = {}
        with server.connect(user) as client:
            names = [name for name, attributes in listed(client) if "\\noselect" not in attributes]
        for name in names:
            found[name] = [
                Held(octets, frozenset(map(archived, flags)), calendar.timegm(date.utctimetuple()))
                for octets, flags, date in server.messages(user, name).values()
            ]
        return found

    def subscribed(self) -> set[str]:
        with self.account.server.connect(self.account.user) as client:
            return {name for name, _ in listed(client, "LSUB")}

    def roles(self) -> dict[str, str]:
        """By role: the mailbox."""
        with self.account.server.connect(self.account.user) as client:
            return {
                attribute: name
                for name, attributes in listed(client, special=True)
                for attribute in attributes
                if attribute in {"\\sent", "\\drafts", "\\trash", "\\junk", "\\archive"}
            }


class Pymap(MailServer):
    """The embedded server as a ``MailServer``: one account. A login takes half a second there."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.host, self.port, self.user, self.password = "127.0.0.1", port, user, password


def listed(
    client: imaplib.IMAP4, command: str = "LIST", *, special: bool = False
) -> Iterator[tuple[str, set[str]]]:
    """Names of mailboxes, decoded, with their attributes in lower case."""
    if special:
        client._simple_command("LIST", '""', '"*"', "RETURN", "(SPECIAL-USE)")
        _, lines = client._untagged_response("OK", [None], "LIST")
    else:
        _, lines = client.list() if command == "LIST" else client.lsub()
    for line in lines:
        if line:
            text = b"".join(line[::-1]) if isinstance(line, tuple) else line
            found = re.fullmatch(rb'\((.*?)\) (?:"(?:\\?.)"|NIL) (.*)', text)
            if found is None:  # a literal: the name comes behind its size
                attributes, name = re.match(rb"\((.*?)\)", line[0])[1], line[1]
            else:
                attributes, name = found[1], found[2]
                if name[:1] == b'"':
                    name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
            yield decode(name), {word.lower() for word in attributes.decode().split()}


def archived(flag: str) -> str:
    """A flag of IMAP as the archive has it, in lower case."""
    low = flag.lower()
    return f"${low[1:]}" if low in {r"\seen", r"\answered", r"\flagged", r"\draft"} else low


class MaildirGoal(Goal):
    """A Maildir, read file by file."""

    LETTERS: ClassVar = {
        "S": "$seen", "R": "$answered", "F": "$flagged", "D": "$draft", "T": "\\deleted",
        "P": "$forwarded",
    }  # fmt: skip

    def __init__(self, root: Path, *, layout: str = "") -> None:
        self.root = root
        super().__init__("maildir", f"maildir:{root}{layout}", words=("--no-fsync",))

    def contents(self) -> dict[str, list[Held]]:
        found = {}
        for directory in [self.root, *self.root.rglob("*")]:
            if not (directory / "cur").is_dir():
                continue
            name = str(directory.relative_to(self.root))
            dots = name.startswith(".")
            path = "INBOX" if name == "." else name[1:].replace(".", "/") if dots else name
            words, letters = directory / "dovecot-keywords", dict(self.LETTERS)
            for line in words.read_text().splitlines() if words.exists() else ():
                number, word = line.split(" ")
                letters[chr(97 + int(number))] = word.lower()
            files = [*(directory / "new").iterdir(), *(directory / "cur").iterdir()]
            found["/".join(decode(part.encode()) for part in path.split("/"))] = [
                Held(
                    file.read_bytes(),
                    frozenset(letters[each] for each in file.name.partition(":2,")[2]),
                    file.stat().st_mtime_ns // 1_000_000_000,
                )
                for file in files
            ]
            assert not any((directory / "tmp").iterdir()), "a file was left in tmp"
        return found


class MboxGoal(Goal):
    """A tree of mboxrd files, with flags in header fields or without."""

    LETTERS: ClassVar = {
        "R": "$seen", "A": "$answered", "F": "$flagged", "T": "$draft", "D": "\\deleted",
    }  # fmt: skip
    POSTMARK = re.compile(
        rb"(?:\A|\n)From MAILER-DAEMON(@mboxrd)?(\.status)?(\.unended)? +"
        rb"([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\n"
    )
    FIELD = re.compile(rb"(Status|X-Status|X-Keywords): ([^\n]*)\n")

    def __init__(self, root: Path, *, status: bool = True) -> None:
        self.root = root
        words = ("--no-fsync", "--mbox-status") if status else ("--no-fsync",)
        super().__init__("mbox" if status else "mbox without flags", f"mbox:{root}", words=words)

    def contents(self) -> dict[str, list[Held]]:
        found = {}
        for file in self.root.rglob("*"):
            if file.is_file():
                assert file.suffix == ".mbox", file
                path = "/".join(file.relative_to(self.root).with_suffix("").parts)
                found[path] = list(self._messages(file.read_bytes()))
        return found

    def _messages(self, octets: bytes) -> Iterator[Held]:
        marks = list(self.POSTMARK.finditer(octets))
        starts = [mark.start() for mark in marks[1:]]
        for mark, end in zip(marks, [*starts, len(octets) - 1], strict=False):
            text = octets[mark.end() : end]
            assert octets[end : end + 1] == b"\n"
            flags: set[str] = set()
            for _ in range(3 if mark[2] else 0):
                name, value = self.FIELD.match(text).groups()  # type: ignore[union-attr]  # told
                words = value.decode().lower().split()
                told = words if name == b"X-Keywords" else map(self.LETTERS.get, value.decode())
                flags |= {word for word in told if word}
                text = text[len(name) + len(value) + 3 :]
            if mark[3]:
                text = text.removesuffix(b"\n")
            text = re.sub(rb"(?m)^>(>*From )", rb"\1", text)
            when = time.strptime(mark[4].decode(), "%a %b %d %H:%M:%S %Y")
            yield Held(text, frozenset(flags), calendar.timegm(when))

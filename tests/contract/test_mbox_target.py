"""The mbox target keeps the contract, with flags in header fields and without."""

from __future__ import annotations

import calendar
import re
import time
from pathlib import Path

import pytest

from contract.target_facts import Held, mail, parcel, placed
from contract.target_ground import BOX
from contract.target_suite import TargetContract
from portarchive.connectors.mbox import open_target
from portarchive.keywords import fold

LETTERS = {"R": "$seen", "A": "$answered", "F": "$flagged", "T": "$draft", "D": "\\Deleted"}
POSTMARK = re.compile(
    rb"(?:\A|\n)From MAILER-DAEMON(@mboxrd)?(\.status)?(\.unended)? +"
    rb"([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\n"
)
FIELDS = re.compile(rb"(?:(Status|X-Status|X-Keywords): ([^\n]*)\n)")


class MboxOwner:
    """A tree of mboxrd files as its owner's other programs read and fill it."""

    secret = "an mbox file has no password"

    def __init__(self, root: Path, *, status: bool) -> None:
        self.root, self.status = root, status
        root.mkdir()

    def target(self):
        return open_target(
            str(self.root), {"no_fsync": "1"} | ({"status": "1"} if self.status else {})
        )

    def file(self, path) -> Path:
        *parents, name = [("%2E" + part[1:]) if part[0] == "." else part for part in path]
        return self.root.joinpath(*parents, name + ".mbox")

    def contents(self):
        found = {}
        for file in self.root.rglob("*"):
            assert file.suffix != ".lock"
            if file.is_file():
                names = file.relative_to(self.root).with_suffix("").parts
                path = tuple("." + name[3:] if name[:3] == "%2E" else name for name in names)
                found[path] = list(self.read(file.read_bytes()))
        return found

    @staticmethod
    def read(octets: bytes):
        marks = list(POSTMARK.finditer(octets))
        assert not octets or marks[0].start() == 0
        ends = [*(mark.start() for mark in marks[1:]), len(octets) - 1]
        for mark, end in zip(marks, ends[len(ends) - len(marks) :], strict=True):
            text = octets[mark.end() : end]
            assert octets[end : end + 1] == b"\n"
            flags: dict[str, str] = {}
            if mark[2]:
                assert text.startswith(b"Status: ")
                for _ in range(3):
                    field = FIELDS.match(text)
                    assert field is not None
                    text = text[field.end() :]
                    words = field[2].decode()
                    told = words.split() if field[1] == b"X-Keywords" else map(LETTERS.get, words)
                    flags |= {fold(flag): flag for flag in told if flag}
            if mark[3]:
                assert text.endswith(b"\n")
                text = text[:-1]
            text = re.sub(rb"(?m)^>(>*From )", rb"\1", text)
            epoch = calendar.timegm(time.strptime(mark[4].decode(), "%a %b %d %H:%M:%S %Y"))
            yield Held(text, frozenset(flags.values()), epoch)

    def create(self, path):
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).touch()

    def delete(self, path):
        self.file(path).unlink()

    def add(self, path, octets, flags=(), received=None):
        when = time.gmtime(received.timestamp() if received else time.time())
        letters = {fold(flag): letter for letter, flag in LETTERS.items()}
        chosen = "".join(letters[fold(flag)] for flag in flags)
        sender = "MAILER-DAEMON@mboxrd.status" if chosen else "MAILER-DAEMON"
        fields = f"Status: {'R' * ('R' in chosen)}O\nX-Status: {chosen.replace('R', '')}\n"
        fields += "X-Keywords: \n"
        text = re.sub(rb"(?m)^(>*From )", rb">\1", octets)
        with self.file(path).open("ab") as file:
            file.write(f"From {sender} {time.asctime(when)}\n".encode())
            file.write((fields.encode() if chosen else b"") + text + b"\n")

    def empty(self, path):
        self.file(path).write_bytes(b"")

    def drop(self):
        """There is no connection."""


class TestMboxTarget(TargetContract):
    """With ``status=1``, and without."""

    wire = False

    @pytest.fixture(params=[False, True], ids=["bare", "status"])
    def provider(self, request, tmp_path):
        return MboxOwner(tmp_path / "mail", status=request.param)

    def test_messages_that_arrive_in_between(self, provider, target, box) -> None:
        for number in range(6):
            found = placed(target, [parcel(number, mail(number), box)])
            provider.add(BOX, mail(100 + number))
            assert found[number].uids[0][1]
        _, messages = self.look(target, box)
        assert len(messages) == len(provider.contents()[BOX]) == 12

"""The Maildir target keeps the contract: both layouts, in a tree that its owner looks at."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from imapclient.imap_utf7 import decode, encode

from contract.target_facts import Held
from contract.target_suite import TargetContract
from portarchive.connectors.maildir import open_target
from portarchive.keywords import fold

LETTERS = {
    "S": "$seen", "R": "$answered", "F": "$flagged", "D": "$draft", "T": "\\Deleted",
    "P": "$Forwarded",
}  # fmt: skip
HIDDEN = re.compile(r"%2E|%25(?=2E|63|6E|74)|%63(?=ur$)|%6E(?=ew$)|%74(?=mp$)")


class MaildirOwner:
    """A Maildir as its owner's other programs read and fill it."""

    secret = "a Maildir has no password"

    def __init__(self, root: Path, *, layout: str) -> None:
        self.root, self.layout = root, layout
        self._numbers = itertools.count(1)
        self._make(root)

    def target(self):
        return open_target(str(self.root), {"no_fsync": "1"})

    def directory(self, path) -> Path:
        if path == ("INBOX",):
            return self.root
        names = [encode(name).decode("ascii") for name in path]
        return (
            self.root.joinpath(*names)
            if self.layout == "fs"
            else self.root / ("." + ".".join(names))
        )

    def _make(self, directory: Path) -> None:
        for name in ("cur", "new", "tmp"):
            (directory / name).mkdir(parents=True)

    def path(self, directory: Path) -> tuple[str, ...]:
        name = str(directory.relative_to(self.root))
        if name == ".":
            return ("INBOX",)
        parts = name.split("/") if self.layout == "fs" else name[1:].split(".")
        if self.layout == "fs":
            parts = [
                HIDDEN.sub(lambda found: chr(int(found[0][1:], 16)), part, count=1)
                for part in parts
            ]
        return tuple(decode(part.encode()) for part in parts)

    def contents(self):
        found = {}
        for directory in [self.root, *self.root.rglob("*")]:
            if not (directory / "cur").is_dir():
                continue
            words = directory / "dovecot-keywords"
            told = dict(LETTERS)
            if words.exists():
                for line in words.read_text().splitlines():
                    number, word = line.split(" ")
                    told[chr(97 + int(number))] = word
            found[self.path(directory)] = held = []
            for file in [*(directory / "new").iterdir(), *(directory / "cur").iterdir()]:
                flags = {fold(told[each]): told[each] for each in file.name.partition(":2,")[2]}
                seconds = file.stat().st_mtime_ns // 1_000_000_000
                held.append(Held(file.read_bytes(), frozenset(flags.values()), seconds))
            assert not any((directory / "tmp").iterdir())
        return found

    def create(self, path):
        self._make(self.directory(path))

    def delete(self, path):
        shutil.rmtree(self.directory(path))

    def add(self, path, octets, flags=(), received=None):
        letters = {fold(flag): letter for letter, flag in LETTERS.items()}
        chosen = "".join(sorted(letters[fold(flag)] for flag in flags))
        name = f"{next(self._numbers)}.other:2,{chosen}"
        file = self.directory(path) / "cur" / name
        file.write_bytes(octets)
        when = received.timestamp() if received else time.time()
        os.utime(file, (when, when))

    def empty(self, path):
        for file in (self.directory(path) / "cur").iterdir():
            file.unlink()

    def drop(self):
        """There is no connection."""


class TestMaildirTarget(TargetContract):
    """In a tree that is there; new ones are the unit tests' matter."""

    wire = False

    @pytest.fixture(params=["maildir++", "fs"])
    def provider(self, request, tmp_path):
        owner = MaildirOwner(tmp_path / "Maildir", layout=request.param)
        # a folder tells the layout
        owner.create(("Archive",))
        return owner

"""The Maildir source keeps the contract: both layouts, with Dovecot's numbers and without."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from pathlib import Path

import pytest
from imapclient.imap_utf7 import encode as utf7

from contract.source_suite import SourceContract
from portarchive.connectors.maildir import open_source
from portarchive.keywords import fold

LETTERS = {
    "$seen": "S", "$answered": "R", "$flagged": "F", "$draft": "D", "\\deleted": "T",
    "$forwarded": "P",
}  # fmt: skip


class MaildirProvider:
    """A Maildir as a mail server keeps it: delivered through ``tmp``, renamed to change flags.

    Args:
        root: where it is to lie.
        dotted: Maildir++; else directories.
        numbered: with ``dovecot-uidlist``; else unique names are all there is.
    """

    secret = "a Maildir has no password"

    def __init__(self, root: Path, *, dotted: bool, numbered: bool) -> None:
        self.root, self.dotted, self.numbered = root, dotted, numbered
        self.clock = 1_700_000_000
        self._make(root)

    def source(self):
        return open_source(str(self.root), {})

    # --- places

    def directory(self, folder: str) -> Path:
        if folder == "INBOX":
            return self.root
        names = [utf7(name).decode("ascii") for name in folder.split("/")]
        return self.root / ("." + ".".join(names)) if self.dotted else self.root.joinpath(*names)

    def _make(self, directory: Path) -> None:
        for name in ("cur", "new", "tmp"):
            (directory / name).mkdir(parents=True)
        if self.numbered:
            self._write_list(directory, 1_600_000_000, 1, {})

    def files(self, folder: str) -> dict[str, Path]:
        directory = self.directory(folder)
        found = [*(directory / "new").iterdir(), *(directory / "cur").iterdir()]
        return {path.name.split(":")[0]: path for path in found}

    # --- numbers

    def _list(self, directory: Path) -> tuple[int, int, dict[str, int]]:
        head, *lines = (directory / "dovecot-uidlist").read_text().splitlines()
        _, validity, following = head.split(" ")[:3]
        uids = {line.split(" :")[1]: int(line.split(" ")[0]) for line in lines}
        return int(validity[1:]), int(following[1:]), uids

    def _write_list(self, directory: Path, validity: int, following: int, uids) -> None:
        lines = [f"3 V{validity} N{following}", *(f"{uid} :{name}" for name, uid in uids.items())]
        part = directory / "dovecot-uidlist.part"
        part.write_text("".join(f"{line}\n" for line in lines))
        part.rename(directory / "dovecot-uidlist")

    def _unique(self, folder: str, uid: str) -> str:
        if not self.numbered:
            return uid
        uids = self._list(self.directory(folder))[2]
        return next(name for name, number in uids.items() if str(number) == uid)

    # --- what the owner does

    def add(self, folder, octets, flags=(), received=None):
        directory = self.directory(folder)
        self.clock += 1
        unique = str(self.clock)
        if self.numbered:
            validity, following, uids = self._list(directory)
            self._write_list(directory, validity, following + 1, {**uids, unique: following})
        path = directory / "tmp" / unique
        path.write_bytes(octets)
        when = received.timestamp() if received else time.time()
        os.utime(path, (when, when))
        letters = self.letters(directory, flags)
        path.rename(directory / (f"cur/{unique}:2,{letters}" if letters else f"new/{unique}"))
        return str(following) if self.numbered else unique

    def letters(self, directory: Path, flags) -> str:
        found = []
        path = directory / "dovecot-keywords"
        words = (
            [line.split(" ")[1] for line in path.read_text().splitlines()] if path.exists() else []
        )
        for flag in flags:
            if fold(flag) not in LETTERS and flag not in words:
                words.append(flag)
                path.write_text("".join(f"{number} {word}\n" for number, word in enumerate(words)))
            found.append(LETTERS.get(fold(flag)) or chr(97 + words.index(flag)))
        return "".join(sorted(found))

    def copy(self, folder, uid, to):
        path = self.files(folder)[self._unique(folder, uid)]
        flags, octets = self.contents()[folder, uid]
        date = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
        return self.add(to, octets, flags, date)

    def expunge(self, folder, *uids):
        directory = self.directory(folder)
        for uid in uids:
            self.files(folder)[self._unique(folder, uid)].unlink()
        if self.numbered:
            validity, following, known = self._list(directory)
            there = self.files(folder)
            self._write_list(
                directory, validity, following,
                {name: number for name, number in known.items() if name in there},
            )  # fmt: skip

    def set_flags(self, folder, uid, flags):
        unique = self._unique(folder, uid)
        directory = self.directory(folder)
        letters = self.letters(directory, flags)
        self.files(folder)[unique].rename(directory / f"cur/{unique}:2,{letters}")

    def create(self, folder):
        self._make(self.directory(folder))

    def rename(self, folder, to):
        self.directory(folder).rename(self.directory(to))

    def delete(self, folder):
        shutil.rmtree(self.directory(folder))

    def reset_uidvalidity(self, folder):
        if self.numbered:
            directory = self.directory(folder)
            validity, _, uids = self._list(directory)
            fresh = {name: number for number, name in enumerate(uids, 1)}
            self._write_list(directory, validity + 1, len(fresh) + 1, fresh)

    def drop(self):
        """The file system goes away and comes back: the same tree, and not the same directory."""
        gone = self.root.with_name(self.root.name + ".gone")
        self.root.rename(gone)
        shutil.copytree(gone, self.root)
        shutil.rmtree(gone)

    def contents(self):
        found = {}
        for directory in [self.root, *self.root.rglob("*")]:
            if (directory / "cur").is_dir():
                folder = self.folder(directory)
                uids = self._list(directory)[2] if self.numbered else {}
                path = directory / "dovecot-keywords"
                lines = path.read_text().splitlines() if path.exists() else []
                told = {letter: flag for flag, letter in LETTERS.items()}
                told |= {"T": "\\Deleted", "P": "$Forwarded"}
                told |= {chr(97 + number): line.split(" ")[1] for number, line in enumerate(lines)}
                for unique, file in self.files(folder).items():
                    letters = file.name.partition(":2,")[2]
                    uid = str(uids[unique]) if self.numbered else unique
                    found[folder, uid] = frozenset(map(told.get, letters)), file.read_bytes()
        return found

    def folder(self, directory: Path) -> str:
        from imapclient.imap_utf7 import decode

        if directory == self.root:
            return "INBOX"
        name = str(directory.relative_to(self.root))
        parts = name[1:].split(".") if self.dotted else name.split("/")
        return "/".join(decode(part.encode()) for part in parts)


class TestNumbered(SourceContract):
    """As Dovecot leaves it."""

    @pytest.fixture(params=[True, False], ids=["maildir++", "fs"])
    def provider(self, request, tmp_path):
        return MaildirProvider(tmp_path / "Maildir", dotted=request.param, numbered=True)


class TestNamed(SourceContract):
    """As any other program leaves it: the unique name is the uid, and there is no UIDVALIDITY."""

    @pytest.fixture(params=[True, False], ids=["maildir++", "fs"])
    def provider(self, request, tmp_path):
        return MaildirProvider(tmp_path / "Maildir", dotted=request.param, numbered=False)

    def test_another_uidvalidity_brings_what_identifies_a_message(self, provider) -> None:
        """Of another source (``uidvalidity`` None by the job's own hand), in place of another."""
        from contract.source_suite import NOON, listing, mail, of
        from portarchive.records import FolderOpened, MessageRef

        octets = [mail(1), b"Subject: nameless\r\n\r\n", mail(3)]
        for each in octets:
            provider.add("INBOX", each, received=NOON)
        source = provider.source()
        (folder,) = source.folders()
        token = {"by": "uid", "uidvalidity": 7, "named": []}
        events = listing(source, tokens={folder.folder_id: token})
        (opened,) = of(FolderOpened, events)
        assert opened.complete
        assert opened.uidvalidity is None
        refs = of(MessageRef, events)
        assert [ref.size for ref in refs] == [len(each) for each in octets]
        assert [ref.message_id for ref in refs] == [b"<1@example.org>", b"", b"<3@example.org>"]
        assert {ref.placements[0].received.epoch for ref in refs} == {int(NOON.timestamp())}
        source.close()

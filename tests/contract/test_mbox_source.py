"""The mbox source keeps the contract on a tree of files that another program writes."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from pathlib import Path
from types import MappingProxyType

import pytest

from contract.source_suite import OCTETS, SourceContract, listing, of
from portarchive.connectors.mbox import open_source
from portarchive.keywords import fold
from portarchive.records import FolderOpened, MessageRef

LETTERS = {"$seen": "R", "$answered": "A", "$flagged": "F", "$draft": "T", "\\deleted": "D"}
FIELDS = re.compile(rb"(?m)^(?:X-Status|X-Keywords):[^\n]*\n")


class MboxProvider:
    """A tree of mboxrd files, each rewritten as a whole, as mail programs do.

    Flags are header fields, so octets change with them. An item keeps the octets that it was first
    seen with; ``contents`` tells those.
    """

    secret = "an mbox file has no password"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[str, list[list]] = {}
        self.first: dict[tuple[str, str], bytes] = {}
        root.mkdir()
        self.create("INBOX")

    def source(self):
        return open_source(str(self.root), {})

    def path(self, folder: str) -> Path:
        return self.root.joinpath(*folder.split("/"))

    # --- messages are [octets without fields, flags, date, octets as stored]

    def uids(self, folder: str) -> list[str]:
        counts: dict[str, int] = {}
        found = []
        for bare, *_ in self.folders[folder]:
            digits = hashlib.sha256(bare).hexdigest()[:32]
            counts[digits] = counts.get(digits, 0) + 1
            found.append(digits if counts[digits] == 1 else f"{digits}-{counts[digits]}")
        return found

    def number(self, folder: str, uid: str) -> int:
        return self.uids(folder).index(uid)

    @staticmethod
    def stored(bare: bytes, flags) -> bytes:
        letters = "".join(LETTERS.get(fold(flag), "") for flag in flags)
        words = " ".join(flag for flag in flags if fold(flag) not in LETTERS)
        fields = f"X-Status: {letters}\r\n" if letters else ""
        fields += f"X-Keywords: {words}\r\n" if words else ""
        return fields.encode() + bare

    def write(self, folder: str, *, append: int = 0) -> None:
        chosen = self.folders[folder][-append:] if append else self.folders[folder]
        text = b"".join(
            b"From MAILER-DAEMON %s\n%s\n"
            % (
                time.asctime(time.gmtime(date)).encode(),
                re.sub(rb"(?m)^(>*From )", rb">\1", octets),
            )
            for _, _, date, octets in chosen
        )
        if append:
            with self.path(folder).open("ab") as file:
                file.write(text)
            return
        part = self.root / ".part"
        part.write_bytes(text)
        part.rename(self.path(folder))

    def add(self, folder, octets, flags=(), received=None):
        date = received.timestamp() if received else time.time()
        stored = self.stored(octets, flags)
        self.folders[folder].append([octets, list(flags), date, stored])
        self.write(folder, append=1)
        uid = self.uids(folder)[-1]
        self.first[folder, uid] = stored
        return uid

    def copy(self, folder, uid, to):
        octets, flags, date, _ = self.folders[folder][self.number(folder, uid)]
        self.folders[to].append([octets, flags, date, self.stored(octets, flags)])
        self.write(to, append=1)
        copied = self.uids(to)[-1]
        self.first[to, copied] = self.stored(octets, flags)
        return copied

    def expunge(self, folder, *uids):
        known = self.uids(folder)
        self.folders[folder] = [
            message
            for message, uid in zip(self.folders[folder], known, strict=True)
            if uid not in uids
        ]
        self.write(folder)

    def set_flags(self, folder, uid, flags):
        message = self.folders[folder][self.number(folder, uid)]
        message[1], message[3] = list(flags), self.stored(message[0], flags)
        self.write(folder)

    def create(self, folder):
        self.path(folder).parent.mkdir(parents=True, exist_ok=True)
        self.path(folder).touch()
        self.folders[folder] = []

    def rename(self, folder, to):
        self.path(folder).rename(self.path(to))
        self.folders[to] = self.folders.pop(folder)
        self.first |= {
            (to, uid): octets for (name, uid), octets in self.first.items() if name == folder
        }

    def delete(self, folder):
        self.path(folder).unlink()
        del self.folders[folder]

    def reset_uidvalidity(self, folder):
        """There is none: the same messages have the same uids for ever."""

    def drop(self):
        """The file system goes away and comes back: the same tree, and not the same directory."""
        gone = self.root.with_name(self.root.name + ".gone")
        self.root.rename(gone)
        shutil.copytree(gone, self.root)
        shutil.rmtree(gone)

    def contents(self):
        return {
            (folder, uid): (frozenset(message[1]), self.first[folder, uid])
            for folder, messages in self.folders.items()
            for uid, message in zip(self.uids(folder), messages, strict=True)
        }


class TestMbox(SourceContract):
    """What no mbox can hold is a last line without an end: its writer has to add one."""

    octets = MappingProxyType(
        {name: octets for name, octets in OCTETS.items() if octets.endswith(b"\n")}
    )

    def alike(self, contents):
        return {key: (flags, FIELDS.sub(b"", octets)) for key, (flags, octets) in contents.items()}

    @pytest.fixture
    def provider(self, tmp_path):
        return MboxProvider(tmp_path / "Mail")

    def test_another_uidvalidity_brings_what_identifies_a_message(self, provider) -> None:
        """Of another source (``uidvalidity`` None by the job's own hand), in place of another."""
        from contract.source_suite import NOON, mail

        octets = [mail(1), b"Subject: nameless\r\n\r\n", mail(3)]
        uids = [provider.add("INBOX", each, received=NOON) for each in octets]
        source = provider.source()
        (folder,) = source.folders()
        events = listing(source, tokens={folder.folder_id: {"uidvalidity": None}})
        (opened,) = of(FolderOpened, events)
        assert opened.complete
        refs = of(MessageRef, events)
        assert {ref.placements[0].uid: (ref.size, ref.message_id) for ref in refs} == dict(
            zip(
                uids,
                zip(
                    map(len, octets),
                    [b"<1@example.org>", b"", b"<3@example.org>"],
                    strict=True,
                ),
                strict=True,
            )
        )
        assert {ref.placements[0].received.epoch for ref in refs} == {int(NOON.timestamp())}
        source.close()

    def test_a_file_rewritten_in_place_brings_no_strangers_octets(self, provider) -> None:
        """Without another inode: what is read is compared with what was indexed."""
        from contract.source_suite import mail, read

        uids = [provider.add("INBOX", mail(number)) for number in range(5)]
        source = provider.source()
        refs = of(MessageRef, listing(source))
        text = provider.path("INBOX").read_bytes()
        first = text.index(b"From MAILER", 10)
        with provider.path("INBOX").open("r+b") as file:  # the first message is gone
            file.write(text[first:])
            file.truncate()
        found = {}
        for pair in source.fetch(refs):
            uid = pair[0].placements[0].uid
            found[uid] = read(pair) if pair[1] else None
        assert found == {uids[0]: None} | {
            uid: mail(number) for number, uid in enumerate(uids) if number
        }
        assert provider.path("INBOX").stat().st_size == len(text) - first
        source.close()

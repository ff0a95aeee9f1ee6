"""The ledger: what earlier runs placed where, so that the next one need not look so hard.

One file for each target in the user's state directory, never in the archive. It may be deleted at
any time: matching finds the same without it. An entry is believed only while the mailbox's
UIDVALIDITY is the one it was written under and the message has the size and the instant it had. A
line ends with a digest of itself: one that was cut, edited or put together is none. One run at a
time writes it: the one that holds the target's lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from portarchive.placing import Present
from portarchive.records import SourceIdentity

_LINE: Final = re.compile(
    rb'(\[\[.*\],(?:[0-9]{1,20}|null)),"([^"\\]+)","([0-9a-f]{64})",([0-9]{1,20}|null)'
    rb'(?:,"([a-z0-9 -]*)"(?:,(-?[0-9]{1,20}|null),"([0-9a-f]{8})")?)?\]\n?'
)
_SEAL: Final = len(b',"01234567"]')

Box = tuple[tuple[str, ...], int | None]
"""A mailbox: path and UIDVALIDITY."""


class Entry(NamedTuple):
    """One message that was placed and read back.

    Attributes:
        path: of the mailbox.
        uidvalidity: None where there is none.
        uid: on the target.
        sha256: of the archive's octets.
        size: as the target counts it; None if it does not.
        altered: what the target changed of its octets: values of ``Alteration`` and the like.
        epoch: the instant that the target has for it.
    """

    path: tuple[str, ...]
    uidvalidity: int | None
    uid: str
    sha256: bytes
    size: int | None
    altered: tuple[str, ...] = ()
    epoch: int | None = None

    @property
    def told(self) -> bytes:
        """All but the place in the form in which it is kept: it may be one of a million."""
        told = self.sha256 + _size(self.size) + _instant(self.epoch)
        return b" ".join((told, *(word.encode() for word in self.altered)))


class Ledger:
    """What is remembered of one target. Use as a context manager.

    Args:
        directory: the user's state directory for this program; None to remember nothing.
        target: whose ledger.
        write: False for a dry run: nothing is written.
    """

    def __init__(
        self, directory: Path | None, target: SourceIdentity, *, write: bool = True
    ) -> None:
        self._entries: dict[Box, dict[str, bytes]] = defaultdict(dict)
        self._file: int | None = None
        if directory is None:
            return
        name = hashlib.sha256(f"{target.service}\n{target.account}".encode()).hexdigest()[:32]
        path = directory / "placed" / f"{name}.jsonl"
        if write:
            # a home that cannot be written to costs the ledger, not the import
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file = os.open(
                    path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
        self._load(path)
        if self._file is not None and self._torn(path):
            os.write(self._file, b"\n")

    @staticmethod
    def _torn(path: Path) -> bool:
        """Whether the last line was cut by a crash: what follows must not be joined to it."""
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return file.read(1) not in (b"", b"\n")

    def _load(self, path: Path) -> None:
        try:
            file = path.open("rb")
        except OSError:
            return
        boxes: dict[bytes, dict[str, bytes] | None] = {}
        with file:
            for line in file:
                found = _LINE.fullmatch(line)
                if found is None:
                    continue  # cut, or none of ours
                start, uid, sha256, size, altered, epoch, seal = found.groups()
                if seal is not None and seal != _seal(line.rstrip(b"\n")[:-_SEAL]):
                    continue
                if start not in boxes:
                    box = _box(start)
                    boxes[start] = self._entries[box] if box is not None else None
                if (entries := boxes[start]) is not None:
                    told = bytes.fromhex(sha256.decode()) + (b"" if size == b"null" else size)
                    if epoch is not None:
                        told += b"@" + (b"" if epoch == b"null" else epoch)
                    if altered:
                        told += b" " + altered
                    entries[uid.decode("utf-8", "replace")] = told

    def remembered(
        self, path: tuple[str, ...], uidvalidity: int | None, presents: Iterable[Present]
    ) -> Iterator[tuple[Present, bytes, bool]]:
        """Those that are as they were left, each with the digest of what was placed there.

        The third says whether the instant is known to be as it was. It is not by the lines of
        versions before this one, which told none.
        """
        known = self._entries.get((path, uidvalidity))
        if not known:
            return
        for present in presents:
            told = known.get(present.uid)
            if told is not None:
                as_it_was = told[32:].partition(b" ")[0]
                size = _size(present.size)
                if as_it_was == size + _instant(present.received.epoch):
                    yield present, told[:32], True
                elif as_it_was == size:
                    yield present, told[:32], False

    def altered(self, path: tuple[str, ...], uidvalidity: int | None, uid: str) -> tuple[str, ...]:
        """What was said of a remembered message, see ``Entry``."""
        told = self._entries.get((path, uidvalidity), {}).get(uid, b"")
        return tuple(told[32:].decode().split(" ")[1:])

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember; what cannot be written is not remembered."""
        if self._file is None:
            return
        lines = map(_line, self._new(entries))
        with contextlib.suppress(OSError):
            while text := b"".join(itertools.islice(lines, 1000)):
                while text:
                    text = text[os.write(self._file, text) :]

    def _new(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            known = self._entries[entry.path, entry.uidvalidity]
            told = entry.told
            if known.get(entry.uid) != told:
                known[entry.uid] = told
                yield entry

    def close(self) -> None:
        """Nothing more is remembered."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _line(entry: Entry) -> bytes:
    uid = entry.uid
    told = (
        _start(entry.path, entry.uidvalidity),
        f'"{uid}"' if uid.isascii() and uid.isalnum() else json.dumps(uid),
        f'"{entry.sha256.hex()}"',
        "null" if entry.size is None else str(entry.size),
        json.dumps(" ".join(entry.altered)) if entry.altered else '""',
        "null" if entry.epoch is None else str(entry.epoch),
    )
    text = ",".join(told).encode()
    return b'%b,"%b"]\n' % (text, _seal(text))


@lru_cache(maxsize=64)
def _start(path: tuple[str, ...], uidvalidity: int | None) -> str:
    """What the lines of one mailbox begin with."""
    return json.dumps([list(path), uidvalidity], separators=(",", ":"))[:-1]


def _seal(text: bytes) -> bytes:
    """What a line ends with, of all that is before it."""
    return hashlib.sha256(text).hexdigest()[:8].encode()


def _size(size: int | None) -> bytes:
    return b"" if size is None else b"%d" % size


def _instant(epoch: int | None) -> bytes:
    return b"@" if epoch is None else b"@%d" % epoch


def _box(start: bytes) -> Box | None:
    """The mailbox that a line begins with; None if it is none of ours."""
    try:
        value: Any = json.loads(start + b"]")
    except (ValueError, RecursionError):
        return None
    path, uidvalidity = value if isinstance(value, list) and len(value) == 2 else (None, None)
    if not isinstance(path, list) or not all(isinstance(name, str) for name in path):
        return None
    return tuple(path), uidvalidity if isinstance(uidvalidity, int) else None

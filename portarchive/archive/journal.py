"""The journal: what an unfinished run has made durable, batch by batch.

A file of *blocks*: lines, then ``= <number of lines> <CRC-32>``. A block counts whole or not at
all; what follows the first block that does not check is as if never written (torn by a crash, or
flipped by a disk), and the messages it named are fetched again. Line forms::

    S {source, account, selection, base}       the first line of the first block
    F <n> {path, uidvalidity}                   folder number n is at this path under mail/
    I <n> {entry of items}                      a message stored in folder n
    P <n> {entry of placeholder}                a provider's placeholder stored in folder n
    N <n> {uid, code}                           a note for the ledger about a message
    X <n>                                       forget what was said of folder n (UIDVALIDITY)

``base`` is the fingerprint of the archive.json that the run started from, so that a journal left
behind by a commit that had all but ended is known for what it is.
"""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portarchive.archive import ijson
from portarchive.archive.durable import FILE_MODE, Durability, write_all
from portarchive.errors import Damaged

NAME = "journal"
_LOOKS = 2048
"""Lines looked up before the pages of the file are given back."""


class Journal:
    """The journal of one run, appended to in blocks."""

    def __init__(self, path: Path, durability: Durability) -> None:
        self._path = path
        self._durability = durability
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        self._size = os.fstat(self._fd).st_size
        self._map: mmap.mmap | None = None
        self._looks = 0

    def append(self, lines: list[bytes]) -> list[int]:
        """Write one block and make it durable.

        Args:
            lines: without line ends.

        Returns:
            The offset of each line in the file.
        """
        offsets: list[int] = []
        at = self._size
        for line in lines:
            offsets.append(at)
            at += len(line) + 1
        text = b"\n".join(lines) + b"\n"
        block = text + b"= %d %08x\n" % (len(lines), zlib.crc32(text))
        write_all(self._fd, block)
        self._durability.descriptor(self._fd)
        self._size += len(block)
        return offsets

    def line(self, offset: int) -> bytes:
        """The line at an offset that ``append`` or ``read`` gave."""
        if self._map is None or len(self._map) < self._size:
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self._fd, self._size, prot=mmap.PROT_READ)
        self._looks += 1
        if self._looks % _LOOKS == 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)  # pages once read count as our memory
        return self._map[offset : self._map.find(b"\n", offset)]

    def truncate(self, size: int) -> None:
        """Cut off a torn end, once, before anything is appended."""
        if size < self._size:
            os.ftruncate(self._fd, size)
            self._durability.descriptor(self._fd)
            self._size = size

    def close(self) -> None:
        """Close; the file stays for the next run."""
        if self._map is not None:
            self._map.close()
        os.close(self._fd)


@dataclass(slots=True)
class JournaledFolder:
    """What the journal says of one folder: offsets of its lines, and (code, uid) of notes."""

    path: str
    uidvalidity: int | None
    items: list[int] = field(default_factory=list)
    placeholders: list[int] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Recovered:
    """What a journal left by an earlier run holds.

    Attributes:
        header: its first record; None if not even that was written whole.
        size: how far it checks; the rest is to be cut off.
    """

    header: dict[str, Any] | None = None
    folders: dict[int, JournaledFolder] = field(default_factory=dict)
    size: int = 0


def recover(path: Path) -> Recovered:
    """Read a journal as far as its blocks check.

    Raises:
        Damaged: a block checks and yet says what no run of ours says.
        OSError: it cannot be read.
    """
    out = Recovered()
    if not path.exists():
        return out
    for offset, line in _checked_lines(path, out):
        kind, _, rest = line.partition(b" ")
        try:
            _take(out, kind, rest, offset)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"the journal of the interrupted run is not ours: {error}") from None
    return out


def _take(out: Recovered, kind: bytes, rest: bytes, offset: int) -> None:
    if kind == b"S":
        out.header = ijson.parse(rest, NAME)
        return
    number, _, value = rest.partition(b" ")
    if kind == b"F":
        record = ijson.parse(value, NAME)
        out.folders[int(number)] = JournaledFolder(record["path"], record["uidvalidity"])
    elif kind == b"I":
        out.folders[int(number)].items.append(offset + len(b"I ") + len(number) + 1)
    elif kind == b"P":
        out.folders[int(number)].placeholders.append(offset + len(b"P ") + len(number) + 1)
    elif kind == b"N":
        remark = ijson.parse(value, NAME)
        out.folders[int(number)].remarks.append((str(remark["code"]), str(remark["uid"])))
    elif kind == b"X":
        del out.folders[int(number)]
    else:
        raise ValueError("unknown record")


def _checked_lines(path: Path, out: Recovered) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every line in a block that checks; sets ``out.size``."""
    with path.open("rb", buffering=1 << 20) as file:
        at = 0
        crc = 0
        block: list[tuple[int, bytes]] = []
        for raw in file:
            if raw[:2] != b"= ":
                block.append((at, raw[:-1]))
                crc = zlib.crc32(raw, crc)
                at += len(raw)
                continue
            if raw != b"= %d %08x\n" % (len(block), crc):
                return
            at += len(raw)
            yield from block
            out.size = at
            block.clear()
            crc = 0

"""A tree that is a ZIP file (``.zip``, ``.pdpa``), read in place: stored and deflated members."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from portarchive.archive.tree import (
    BadMemberError,
    Folder,
    Limits,
    Member,
    Stream,
    Trouble,
    unsafe_name,
)
from portarchive.archive.tree_zip_directory import (
    ENCRYPTED,
    UTF8,
    Entry,
    find_directory,
    read_directory,
    wide_sizes,
)

_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_STORED = 0
_DEFLATED = 8
_DESCRIPTOR = 8
_FULL32 = 0xFFFFFFFF
_CHUNK = 1 << 20

Place = tuple[int, int, int, int, int]
"""(offset of the octets, packed length, length, method, CRC-32)."""


class ZipTree:
    """``Tree`` over a ZIP file. One object must not be used by two threads at once."""

    kind = "zip"
    random_access = True

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        self._file: BinaryIO = path.open("rb")
        self._length = os.fstat(self._file.fileno()).st_size

    def scan(self) -> Iterator[Member | Folder | Trouble]:
        """As ``Tree.scan``."""
        span = find_directory(self._file, self._length)
        if isinstance(span, Trouble):
            yield span
            return
        if span.shift or span.trailing:
            yield Trouble(
                "Z-011", "", f"{span.shift:,} octets before and {span.trailing:,} after the ZIP"
            )
        elif span.gap:
            yield Trouble("Z-011", "", f"{span.gap:,} octets between its directory and its end")
        spans: list[tuple[int, int, str]] = []
        total = count = guessed = 0
        first_guessed = ""
        # a handle of its own: the local headers are looked at between two entries
        with self.path.open("rb", buffering=_CHUNK) as directory:
            for entry in read_directory(directory, span):
                count += 1
                if count > self._limits.entries:
                    yield Trouble("F-016", "", f"over {count - 1:,} entries", fatal=True)
                    return
                if isinstance(entry, Trouble):
                    yield entry
                    continue
                total += entry.size
                if total > max(self._limits.expansion * self._length, self._limits.expansion_floor):
                    yield Trouble(
                        "F-017",
                        "",
                        f"it holds over {self._limits.expansion} times its size",
                        fatal=True,
                    )
                    return
                if entry.guessed:
                    guessed += 1
                    first_guessed = first_guessed or entry.name
                found = self._judge(entry)
                if isinstance(found, Member):
                    spans.append((found.place[0], found.place[0] + found.place[1], found.name))
                yield found
        if guessed:
            what = "its name is" if guessed == 1 else f"{guessed:,} names are"
            yield Trouble("Z-016", first_guessed, f"{what} not marked as UTF-8")
        yield from _overlaps(spans, span.start)

    def _judge(self, entry: Entry) -> Member | Folder | Trouble:
        name = entry.name
        directory = name.endswith("/")
        unsafe = unsafe_name(name.removesuffix("/"))
        if unsafe is not None:
            return unsafe
        if entry.mode and not directory:
            if stat.S_ISLNK(entry.mode):
                return Trouble("F-012", name, "it is a symbolic link")
            if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG}:
                return Trouble("F-013", name, "it is neither a file nor a directory")
        if directory:
            if entry.size:
                return Trouble("Z-004", name, "it is a directory, and claims octets")
            return Folder(name.removesuffix("/"))
        if entry.flags & ENCRYPTED:
            return Trouble("Z-006", name, "it is encrypted, and there is no passphrase")
        if entry.method not in {_STORED, _DEFLATED}:
            return Trouble("Z-007", name, f"compression method {entry.method} is not supported")
        if entry.method == _STORED and entry.size != entry.packed:
            return Trouble("Z-004", name, "its two sizes differ though it is not compressed")
        start = self._local(entry)
        if isinstance(start, Trouble):
            return start
        return Member(name, entry.size, (start, entry.packed, entry.size, entry.method, entry.crc))

    def _local(self, entry: Entry) -> int | Trouble:
        """Where the octets begin, by the local header, if that agrees with the directory."""
        length = _LOCAL.size + len(entry.raw)
        if entry.offset > self._length - length:  # a seek would fail beyond 2^63
            return Trouble("Z-013", entry.name, "its local header lies outside the file")
        self._file.seek(entry.offset)
        head = self._file.read(length)
        if len(head) != length or head[:4] != _LOCAL_MAGIC:
            return Trouble("Z-013", entry.name, "there is no local header where it should be")
        (_, _, flags, method, _, _, crc, packed, size, names, extras) = _LOCAL.unpack_from(head)
        if (
            names != len(entry.raw)
            or head[_LOCAL.size :] != entry.raw
            or (flags ^ entry.flags) & (ENCRYPTED | UTF8)
            or method != entry.method
        ):
            return Trouble("Z-013", entry.name, "its local header says something else")
        if not flags & _DESCRIPTOR:
            if _FULL32 in {packed, size}:
                size, packed = wide_sizes(self._file.read(extras), size, packed)
            if (crc, packed, size) != (entry.crc, entry.packed, entry.size):
                return Trouble("Z-004", entry.name, "its local header has other sizes")
        start = entry.offset + length + int(extras)
        if start + entry.packed > self._length:
            return Trouble("Z-004", entry.name, "it reaches beyond the end of the file")
        return start

    def open(self, name: str, place: Any) -> Stream:
        """As ``Tree.open``."""
        del name
        return _MemberStream(self._file, place)

    def stream(self, linked: Callable[[str], bool] | None = None) -> Iterator[tuple[str, Stream]]:
        """As ``Tree.stream``; there are no aliases."""
        del linked
        for found in list(self.scan()):
            if isinstance(found, Member):
                yield found.name, self.open(found.name, found.place)

    def close(self) -> None:
        """As ``Tree.close``."""
        self._file.close()


def _overlaps(spans: list[tuple[int, int, str]], directory: int) -> Iterator[Trouble]:
    spans.sort()
    end, before = 0, ""
    for start, stop, name in spans:
        if start < end:
            yield Trouble("Z-003", name, f"its octets are also those of {before!a}")
        elif stop > directory:
            yield Trouble("Z-003", name, "its octets are also those of the central directory")
        if stop > end:
            end, before = stop, name


class _MemberStream:
    """The octets of one member, never more than its claimed length."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self._file = file
        self._at, self._packed, self._left, method, self._expected = place
        self._inflate = zlib.decompressobj(-15) if method == _DEFLATED else None
        self._crc = 0
        self._pending = b""

    def read(self, size: int, /) -> bytes:
        if self._left == 0:
            self._finish()
            return b""
        octets = self._some(min(size, self._left))
        if not octets:
            raise BadMemberError("Z-004", "it holds fewer octets than it claims")
        self._left -= len(octets)
        self._crc = zlib.crc32(octets, self._crc)
        if self._left == 0:
            self._finish()
        return octets

    def _raw(self, size: int) -> bytes:
        size = min(size, self._packed)
        self._file.seek(self._at)
        octets = self._file.read(size)
        self._at += len(octets)
        self._packed -= len(octets)
        return octets

    def _some(self, size: int) -> bytes:
        if self._inflate is None:
            return self._raw(size)
        while not self._inflate.eof:
            source = self._pending or self._raw(min(_CHUNK, max(size, 4096)))
            try:
                octets = self._inflate.decompress(source, size)
            except zlib.error:
                raise BadMemberError("Z-005", "its compressed octets are damaged") from None
            self._pending = self._inflate.unconsumed_tail
            if octets or not source:
                return octets
        return b""

    def _finish(self) -> None:
        """Once: what is left over, and the checksum."""
        if self._expected < 0:
            return
        expected, self._expected = self._expected, -1
        if self._inflate is not None and not self._inflate.eof and self._some(1):
            raise BadMemberError("Z-004", "it holds more octets than it claims")
        if self._crc != expected:
            raise BadMemberError("Z-005", "its checksum does not fit")

    def close(self) -> None:
        pass

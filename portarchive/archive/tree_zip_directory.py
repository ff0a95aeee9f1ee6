"""The central directory of a ZIP file, read entry by entry and believed in nothing.

Written out here because a library that refuses a whole file over one bad entry, or keeps one of
two entries of a name, cannot say what is wrong where. Clauses: PKWARE APPNOTE 6.3.10, sections
4.3 (layout), 4.4 (fields), 4.5.3 (ZIP64).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from portarchive.archive.tree import Trouble

_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_MAGIC = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_MAGIC = b"PK\x06\x06"
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_CENTRAL_MAGIC = b"PK\x01\x02"
_SIGNATURE = struct.Struct("<4sH")
_SIGNATURE_MAGIC = b"PK\x05\x05"
_MAX_COMMENT = 0xFFFF
_FULL16 = 0xFFFF
_FULL32 = 0xFFFFFFFF
_ZIP64_EXTRA = 1
_UNICODE_PATH_EXTRA = 0x7075

ENCRYPTED = 1
UTF8 = 0x800


@dataclass(frozen=True, slots=True)
class DirectorySpan:
    """Where the central directory lies.

    Attributes:
        start, end: offsets in the file.
        count: entries that the end record claims.
        shift: octets that stand before the ZIP data.
        trailing: octets after it.
        gap: octets between the directory and the end records that are none of APPNOTE's.
    """

    start: int
    end: int
    count: int
    shift: int
    trailing: int
    gap: int = 0


@dataclass(slots=True)
class Entry:
    """One entry of the central directory; sizes and offset with ZIP64 applied.

    Attributes:
        name: decoded; lone surrogates stand for octets that are not UTF-8 (PEP 383).
        guessed: the name is neither ASCII nor marked as UTF-8, by a flag or an extra field.
        mode: of Unix, 0 if the entry tells none.
        offset: of the local header in the file.
        header: what the local header must repeat: (flags, method, raw name).
    """

    name: str
    guessed: bool
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int
    raw: bytes


def find_directory(file: BinaryIO, length: int) -> DirectorySpan | Trouble:
    """Where the central directory is, or why it cannot be found.

    Raises:
        OSError: the file cannot be read.
    """
    room = min(length, _END.size + _MAX_COMMENT + _LOCATOR.size)
    file.seek(length - room)
    tail = file.read(room)
    at = tail.rfind(_END_MAGIC)
    while at >= 0:
        if at + _END.size <= len(tail):
            end = _END.unpack_from(tail, at)
            if at + _END.size + end[7] <= len(tail):
                break
        at = tail.rfind(_END_MAGIC, 0, at)
    if at < 0:
        return Trouble("Z-001", "", "there is no end record: the file is cut off", fatal=True)
    position = length - room + at
    trailing = length - (position + _END.size + end[7])
    _, disk, first_disk, here, count, size, offset, _ = end
    before = position
    # the narrow record may have real values beside a wide one
    narrow = [(count, _FULL16), (size, _FULL32), (offset, _FULL32)]
    full = here == _FULL16 or any(value == most for value, most in narrow)
    locator_at = at - _LOCATOR.size
    if locator_at >= 0 and tail[locator_at : locator_at + 4] == _LOCATOR_MAGIC:
        record = _LOCATOR.unpack_from(tail, locator_at)
        found = _end64(file, record[2], position - _LOCATOR.size)
        if found is None and full:
            return Trouble("Z-001", "", "the ZIP64 end record is damaged", fatal=True)
        if found is not None:
            before, disk, first_disk, count, size, offset = found
            for (value, most), wide in zip(narrow, (count, size, offset), strict=True):
                if value not in {most, wide}:
                    text = "its two end records disagree: readers differ about what it holds"
                    return Trouble("Z-001", "", text, fatal=True)
    if disk or first_disk:
        return Trouble("Z-009", "", "it is one part of several", fatal=True)
    start = before - size
    if start < 0 or offset > start:
        return Trouble("Z-001", "", "the central directory lies outside the file", fatal=True)
    if start != offset and not _is_directory(file, start) and _is_directory(file, offset):
        # what stands before the end records is no directory: the offset is the truth
        gap = before - (offset + size)
        gap = 0 if _is_signature(file, offset + size, gap) else gap
        return DirectorySpan(offset, offset + size, count, 0, trailing, gap)
    return DirectorySpan(start, before, count, start - offset, trailing)


def _is_directory(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    return file.read(4) == _CENTRAL_MAGIC


def _is_signature(file: BinaryIO, at: int, length: int) -> bool:
    """Whether a digital signature (APPNOTE 4.3.13) and nothing else fills a place."""
    file.seek(at)
    head = file.read(min(length, _SIGNATURE.size))
    if len(head) != _SIGNATURE.size or head[:4] != _SIGNATURE_MAGIC:
        return False
    return bool(_SIGNATURE.size + _SIGNATURE.unpack(head)[1] == length)


def _end64(file: BinaryIO, at: int, limit: int) -> tuple[int, int, int, int, int, int] | None:
    """(its own offset, disk, first disk, count, size, offset) of the ZIP64 end record."""
    for position in (at, limit - _END64.size):  # the second where data stands before the ZIP
        if 0 <= position <= limit - _END64.size:
            file.seek(position)
            record = _END64.unpack(file.read(_END64.size))
            if record[0] == _END64_MAGIC:
                return position, record[4], record[5], record[7], record[8], record[9]
    return None


def read_directory(file: BinaryIO, span: DirectorySpan) -> Iterator[Entry | Trouble]:
    """The entries in their order; ends with a fatal Trouble where one is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    file.seek(span.start)
    left = span.end - span.start
    count = 0
    while left >= _CENTRAL.size:
        fixed = file.read(_CENTRAL.size)
        if fixed[:4] != _CENTRAL_MAGIC:
            break
        (_, _, system, _, _, flags, method, _, _, crc, packed, size, names, extras, comments) = (
            _CENTRAL.unpack(fixed)[:15]
        )
        attributes, offset = _CENTRAL.unpack(fixed)[17:]
        rest = file.read(names + extras + comments)
        left -= _CENTRAL.size + len(rest)
        if len(rest) != names + extras + comments or left < 0:
            break
        count += 1
        raw = rest[:names]
        name, guessed = _name(raw, flags, rest[names : names + extras])
        if _FULL32 in {packed, size, offset}:
            wide = _zip64(rest[names : names + extras], size, packed, offset)
            if wide is None:
                yield Trouble("Z-004", name, "its ZIP64 sizes are missing")
                continue
            size, packed, offset = wide
        mode = attributes >> 16 if system == 3 else 0
        yield Entry(name, guessed, flags, method, crc, packed, size, mode, offset + span.shift, raw)
    # a signature may be counted among the directory's octets
    if left and not (left > 0 and _is_signature(file, span.end - left, left)):
        yield Trouble("Z-002", "", f"the central directory breaks off after {count:,} entries")
    elif count != span.count and count & _FULL16 != span.count:
        yield Trouble("Z-010", "", f"{count:,} entries, and the end record says {span.count:,}")


def _name(raw: bytes, flags: int, extra: bytes) -> tuple[str, bool]:
    if flags & UTF8 or raw.isascii():
        return raw.decode("utf-8", "surrogateescape"), False
    told = _field(extra, _UNICODE_PATH_EXTRA)
    # of another name if its checksum is not that of this one (APPNOTE 4.6.9)
    if told[:5] == b"\x01" + zlib.crc32(raw).to_bytes(4, "little"):
        name = told[5:].decode("utf-8", "surrogateescape")
        # a reader that does not know the field takes another name for it
        return name, name not in {raw.decode("utf-8", "replace"), raw.decode("cp437")}
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode("cp437"), True


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int] | None:
    """The wide values, each present only where the narrow one is full (APPNOTE 4.5.3)."""
    field = _field(extra, _ZIP64_EXTRA)
    out = []
    for narrow in (size, packed, offset):
        if narrow != _FULL32:
            out.append(narrow)
        elif len(field) >= 8:
            out.append(int.from_bytes(field[:8], "little"))
            field = field[8:]
        else:
            return None
    return out[0], out[1], out[2]


def wide_sizes(extra: bytes, size: int, packed: int) -> tuple[int, int]:
    """(length, packed length) of a local header, as its ZIP64 field has them where it has one."""
    wide = _zip64(extra, size, packed, 0)
    return (size, packed) if wide is None else wide[:2]


def _field(extra: bytes, wanted: int) -> bytes:
    """The first extra field of a kind (APPNOTE 4.5.1), b"" if there is none."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        at += 4
        if kind == wanted:
            return extra[at : at + length]
        at += length
    return b""

"""ZIP and tar files octet by octet: libraries would refuse to write what is wrong in them.

Members are stored, or deflated by ``deflated_run`` below: what a library's compressor makes of the
same octets differs from one version to the next.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pdpa_corpus.parts import A, Files

STORED, DEFLATED = 0, 8
SIGNATURE = b"PK\x05\x05\x04\0sign"
"""Of a directory (APPNOTE 4.3.13)."""
ENCRYPTED, UTF8 = 1, 0x800
REGULAR, SYMLINK, FIFO = 0o100644, 0o120777, 0o010644
_DATE = (1980 - 1980) << 9 | 1 << 5 | 1
_FULL = 0xFFFFFFFF


@dataclass
class Entry:
    """A member of a ZIP file; what is None is as it should be.

    Attributes:
        name: octets.
        octets: its content.
        packed: compressed, if the method is not STORED.
        local_name, size, crc, offset: lies of the local header (name) or the central directory.
        inside: the octets at this offset of the file are it; no local header is written.
    """

    name: bytes
    octets: bytes = b""
    method: int = STORED
    packed: bytes | None = None
    flags: int | None = None
    mode: int = REGULAR
    local_name: bytes | None = None
    size: int | None = None
    crc: int | None = None
    offset: int | None = None
    inside: int | None = None


def ordered(files: Files, *, first: str = A) -> list[str]:
    """The metadata first, then the rest in path order."""
    return sorted(files, key=lambda name: (name != first, name))


def entries(files: Files) -> list[Entry]:
    """One a file."""
    return [Entry(name.encode(), files[name]) for name in ordered(files)]


def local_header(entry: Entry, *, wide: bool = False) -> bytes:
    """What stands before a member's octets."""
    packed = entry.octets if entry.packed is None else entry.packed
    name = entry.name if entry.local_name is None else entry.local_name
    sizes = (len(packed), len(entry.octets))
    extra = struct.pack("<HHQQ", 1, 16, sizes[1], sizes[0]) if wide else b""
    return (
        struct.pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            45 if wide else 20,
            _flags(entry),
            entry.method,
            0,
            _DATE,
            zlib.crc32(entry.octets),
            *((_FULL, _FULL) if wide else sizes),
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def zip_of(
    members: list[Entry],
    *,
    wide: bool = False,
    beside: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    listed_last: Collection[bytes] = (),
    **end: int,
) -> bytes:
    """A ZIP file.

    Args:
        members: in their order.
        wide: ZIP64 records throughout (APPNOTE 4.5.3, 4.3.14).
        beside: a ZIP64 end record beside one that has real values.
        after: octets behind the central directory.
        before: octets in front of it, which offsets do not count.
        listed_last: members that the central directory has at its end, wherever they lie.
        end: ``count`` and ``disk``: lies of the end record.
    """
    body = bytearray()
    listed: list[tuple[bool, bytes]] = []
    for entry in members:
        packed = entry.octets if entry.packed is None else entry.packed
        offset = len(body) if entry.inside is None else entry.inside
        if entry.inside is None:
            body += local_header(entry, wide=wide) + packed
        if entry.offset is not None:
            offset = entry.offset
        size = len(entry.octets) if entry.size is None else entry.size
        extra = struct.pack("<HHQQQ", 1, 24, size, len(packed), offset) if wide else b""
        narrow = (_FULL, _FULL) if wide else (len(packed), size)
        record = (
            struct.pack(
                "<4s4B4HL2L5H2L",
                b"PK\x01\x02",
                45 if wide else 20,
                3,
                45 if wide else 20,
                0,
                _flags(entry),
                entry.method,
                0,
                _DATE,
                zlib.crc32(entry.octets) if entry.crc is None else entry.crc,
                *narrow,
                len(entry.name),
                len(extra),
                0,
                0,
                0,
                entry.mode << 16,
                _FULL if wide else offset,
            )
            + entry.name
            + extra
        )
        listed.append((entry.name in listed_last, record))
    directory = b"".join(record for _, record in sorted(listed, key=lambda one: one[0]))
    count, start, length = len(members), len(body), len(directory)
    records = b""
    if wide or beside:
        records = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start
        ) + struct.pack("<4sLQL", b"PK\x06\x07", 0, start + length + len(after), 1)
    told = 0xFFFF if wide else end.get("count", count)
    narrow_end = (_FULL, _FULL) if wide else (length, start)
    disk = end.get("disk", 0)
    records += struct.pack("<4s4H2LH", b"PK\x05\x06", disk, 0, told, told, *narrow_end, 0)
    return before + bytes(body) + directory + after + records


def _flags(entry: Entry) -> int:
    if entry.flags is not None:
        return entry.flags
    return 0 if entry.name.isascii() else UTF8


def zipped(files: Files, *more: Entry, **named: Any) -> tuple[str, bytes]:
    """An archive as a ZIP file, with entries more at its end."""
    return ".zip", zip_of([*entries(files), *more], **named)


def deflated_run(before: bytes, octet: bytes, count: int, after: bytes = b"") -> bytes:
    """``before + octet * count + after`` as a deflate stream (RFC 1951), count a multiple of 258.

    Two stored blocks, and between them one block of fixed codes: one literal, then matches of 258
    octets at distance 1, 13 bits each.
    """
    if count % 258 or octet[0] > 143:
        raise ValueError("258 octets a match, and a literal of eight bits")
    bits = [0, 1, 0]  # not the last block; fixed codes, least significant bit first
    bits += [int(bit) for bit in f"{0x30 + octet[0]:08b}"]
    matches = [1, 1, 0, 0, 0, 1, 0, 1, *[0] * 5]  # length 258, no extra bits; distance 1
    bits += matches * (count // 258 - 1)
    bits += [1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, *[0] * 5]  # length 257: code 284, extra 30
    bits += [0] * 7  # end of block
    bits += [1, 0, 0]  # the last block, stored
    bits += [0] * (-len(bits) % 8)
    middle = bytes(
        sum(bit << place for place, bit in enumerate(bits[at : at + 8]))
        for at in range(0, len(bits), 8)
    )
    stream = b"\0" + _stored(before) + middle + _stored(after)
    if zlib.decompress(stream, -15) != before + octet * count + after:
        raise ValueError("the deflate stream is wrong")
    return stream


def _stored(octets: bytes) -> bytes:
    return struct.pack("<2H", len(octets), len(octets) ^ 0xFFFF) + octets


def tar_of(files: Files, *more: tarfile.TarInfo, last: str = "") -> bytes:
    """A tar file with entries without octets at its end; ``last``: the file that comes last."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(ordered(files), key=lambda name: name == last):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            tar.addfile(info, io.BytesIO(files[name]))
        for entry in more:
            tar.addfile(entry)
    return out.getvalue()


def tarred(files: Files, *more: tarfile.TarInfo, last: str = "") -> tuple[str, bytes]:
    """An archive as a tar file."""
    return ".tar", tar_of(files, *more, last=last)


def gzipped(octets: bytes) -> bytes:
    """As a gzip file (RFC 1952) of one stored block."""
    tail = struct.pack("<2L", zlib.crc32(octets), len(octets))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff\x01" + _stored(octets) + tail


def zstandard(octets: bytes) -> bytes:
    """As a Zstandard frame (RFC 8878) of one raw block."""
    head = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<L", len(octets))
    return head + (len(octets) << 3 | 1).to_bytes(3, "little") + octets


def global_header(octets: bytes) -> bytes:
    """A pax header for all members that follow (POSIX pax, type g)."""
    info = tar_entry("pax_global_header", tarfile.XGLTYPE)
    info.size = len(octets)
    return info.tobuf(tarfile.USTAR_FORMAT) + octets + bytes(-len(octets) % tarfile.BLOCKSIZE)


def volume_label(text: str) -> bytes:
    """A header of GNU tar --label."""
    return tar_entry(text, b"V").tobuf(tarfile.GNU_FORMAT)


def listed(directory: str, files: Files) -> bytes:
    """A directory of GNU tar --listed-incremental: with its times, and the names of its files."""
    names = [name.rpartition("/")[2] for name in files if name.startswith(f"{directory}/")]
    octets = b"".join(b"Y" + name.encode() + b"\0" for name in sorted(names)) + b"\0"
    info = tar_entry(f"{directory}/", b"D")
    info.size = len(octets)
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[345:369] = b"15301317553\0" * 2
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + octets + bytes(-len(octets) % tarfile.BLOCKSIZE)


def tar_entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A tar entry without octets."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info

"""Small genuine files to attach: PDF, PNG, ZIP, WAV, vCard, calendar objects.

Everything is stored uncompressed: compressors differ between systems, stored octets do not.
"""

from __future__ import annotations

import struct
import zlib

SWIFT = """
........................
..#..................#..
...##..............##...
....###..........###....
.....####..##..####.....
......############......
........########........
..........####..........
...........##...........
..........#..#..........
.........#....#.........
........................
"""
ROSE = """
.....######.....
...##..##..##...
..#..#.##.#..#..
.#..#..##..#..#.
.#.#.######.#.#.
#...##.##.##...#
#.####.##.####.#
##############.#
#.####.##.####.#
#...##.##.##...#
.#.#.######.#.#.
.#..#..##..#..#.
..#..#.##.#..#..
...##..##..##...
.....######.....
................
"""


def png(picture: str, scale: int = 2) -> bytes:
    """A grey picture drawn with ``#`` and ``.``, each sign a square of ``scale`` pixels."""
    rows = [row for row in picture.strip().split("\n") for _ in range(scale)]
    width = len(rows[0]) * scale
    shades = b"".join(
        b"\0" + bytes(0x30 if sign == "#" else 0xE8 for sign in row for _ in range(scale))
        for row in rows
    )
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", _stored(shades))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1951 section 3.2.4)."""
    out = b"\x78\x01"
    for at in range(0, len(data), 65535):
        block = data[at : at + 65535]
        last = at + 65535 >= len(data)
        out += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    return out + struct.pack(">I", zlib.adler32(data))


def pdf(*lines: str) -> bytes:
    """One page of Latin-1 text in Helvetica."""
    shown = "".join(f"({_pdf_text(line)}) Tj T*\n" for line in lines)
    page = f"BT /F1 12 Tf 15 TL 60 780 Td\n{shown}ET\n".encode("latin-1")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n" % len(page) + page + b"endstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    places: list[int] = []
    for index, item in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % index + item + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % at for at in places)
    count = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n" % count
        + table
        + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(out))
    )


def _pdf_text(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def zipped(**files: str) -> bytes:
    """A ZIP of text files, stored, all dated 1 January 2026. ``__`` in a name stands for the dot."""
    body = directory = b""
    for key, words in files.items():
        name, data = key.replace("__", ".").encode(), words.encode()
        common = struct.pack(
            "<HHHHHIIIHH",
            20,
            0x800,
            0,
            0,
            0x5C21,
            zlib.crc32(data),
            len(data),
            len(data),
            len(name),
            0,
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + common + name + data
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def fork(hertz: int = 415, milliseconds: int = 150) -> bytes:
    """A tone as a triangle wave, 8 bit, 8 kHz."""
    rate = 8000
    wave = bytes(
        128 + (abs(2 * ((at * hertz * 256 // rate) % 256) - 256) - 128) * 3 // 4
        for at in range(rate * milliseconds // 1000)
    )
    form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    body = (
        b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", len(wave))
        + wave
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def event(method: str, *lines: str, before: tuple[str, ...] = ()) -> str:
    """An iTIP object (RFC 5546) with one VEVENT."""
    head = ("BEGIN:VCALENDAR", "PRODID:-//example.org//Kitchen Calendar 4//EN", "VERSION:2.0")
    return "\n".join(
        (*head, f"METHOD:{method}", *before, "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR")
    )

"""Puts letters together as octets: header fields, MIME parts, encoded words.

Owns the wire form of the samples. Refuses to use a mail library: the octets must be the same with
every Python, and some of them are wrong on purpose.
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from textwrap import dedent

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOME = "mail.example.org"


@dataclass(frozen=True)
class Part:
    """A MIME entity: the header fields that describe it, and its encoded body."""

    fields: tuple[str, ...]
    body: bytes

    def octets(self) -> bytes:
        return fields(*self.fields) + b"\r\n" + self.body


@dataclass(frozen=True)
class Placed:
    """One place of a letter: folder path joined by ``/``, flags, internal date."""

    folder: str
    flags: tuple[str, ...]
    received: datetime


@dataclass(frozen=True)
class Letter:
    """A finished message with its places in the mailbox."""

    slug: str
    octets: bytes
    places: tuple[Placed, ...]
    message_id: str = ""
    references: tuple[str, ...] = field(default=())


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def date_time(when: datetime) -> str:
    """RFC 5322 section 3.3, independent of the locale."""
    minutes = int((when.utcoffset() or timedelta()).total_seconds()) // 60
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    day = f"{DAYS[when.weekday()]}, {when.day} {MONTHS[when.month - 1]} {when.year}"
    return f"{day} {when.hour:02d}:{when.minute:02d}:{when.second:02d} {zone}"


def server_time(when: datetime) -> datetime:
    """The same instant on the clock of Jane's server, which keeps Central European time."""

    def last_sunday(month: int) -> datetime:
        end = datetime(when.year, month, 31, 1, tzinfo=UTC)
        return end - timedelta(days=(end.weekday() + 1) % 7)

    hours = 2 if last_sunday(3) <= when < last_sunday(10) else 1
    return when.astimezone(timezone(timedelta(hours=hours)))


def number(text: str) -> int:
    """A number that looks arbitrary and is always the same."""
    return zlib.crc32(text.encode())


def crlf(text: str) -> str:
    """Takes the indentation of the source off, and ends lines as RFC 5322 wants it."""
    return dedent(text).strip("\n").replace("\n", "\r\n") + "\r\n"


def fields(*lines: str | bytes) -> bytes:
    """Header fields as they are: UTF-8 where a line is not ASCII (RFC 6532), octets untouched."""
    raw = (line if isinstance(line, bytes) else line.encode() for line in lines)
    return b"".join(line.replace(b"\n", b"\r\n") + b"\r\n" for line in raw)


def address(mailbox: str) -> str:
    found = re.search(r"<([^>]*)>", mailbox)
    return found[1] if found else mailbox


def word(text: str, charset: str = "utf-8", form: str = "B") -> str:
    """RFC 2047 encoded words, folded, each one whole by itself."""
    words: list[str] = []
    chunk = ""
    for char in text:
        if chunk and len(_word(chunk + char, charset, form)) > 72:
            words.append(_word(chunk, charset, form))
            chunk = ""
        chunk += char
    return "\n ".join([*words, _word(chunk, charset, form)])


def _word(text: str, charset: str, form: str) -> str:
    data = text.encode(_codec(charset))
    if form == "B":
        return f"=?{charset}?B?{base64.b64encode(data).decode()}?="
    letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    coded = "".join(chr(c) if c in letters else "_" if c == 0x20 else f"={c:02X}" for c in data)
    return f"=?{charset}?Q?{coded}?="


def _codec(charset: str) -> str:
    return {"iso-8859-8-i": "iso8859_8", "us-ascii": "ascii"}.get(charset.lower(), charset)


def base64_lines(data: bytes) -> bytes:
    coded = base64.b64encode(data)
    return b"".join(coded[at : at + 76] + b"\r\n" for at in range(0, len(coded), 76))


def quoted_printable(data: bytes) -> bytes:
    """RFC 2045 section 6.7, lines of at most 76."""
    out: list[bytes] = []
    for line in data.split(b"\r\n"):
        row = b""
        for at, octet in enumerate(line):
            blank_at_end = octet in b" \t" and at == len(line) - 1
            safe = (0x21 <= octet <= 0x7E and octet != 0x3D) or (
                octet in b" \t" and not blank_at_end
            )
            piece = bytes([octet]) if safe else b"=%02X" % octet
            if len(row) + len(piece) > 75:
                out.append(row + b"=")
                row = b""
            row += piece
        out.append(row)
    return b"\r\n".join(out)


def text(
    words: str,
    charset: str = "us-ascii",
    encoding: str = "7bit",
    *,
    subtype: str = "plain",
    params: str = "",
) -> Part:
    """A text part. ``encoding`` is the Content-Transfer-Encoding; 7bit and 8bit leave it as it is."""
    data = crlf(words).encode(_codec(charset))
    coded = {"base64": base64_lines, "quoted-printable": quoted_printable}.get(encoding, bytes)(
        data
    )
    kind = f"Content-Type: text/{subtype}; charset={charset}{params}"
    return Part((kind, f"Content-Transfer-Encoding: {encoding}"), coded)


def html(words: str, charset: str = "utf-8", encoding: str = "quoted-printable") -> Part:
    return text(words, charset, encoding, subtype="html")


def attachment(data: bytes, kind: str, disposition: str, *more: str) -> Part:
    """``disposition`` is the whole field value, so that every way to write a name can be shown."""
    head = (f"Content-Type: {kind}", "Content-Transfer-Encoding: base64")
    return Part((*head, f"Content-Disposition: {disposition}", *more), base64_lines(data))


def multipart(
    subtype: str, *parts: Part, boundary: str = "", params: str = "", preamble: str = ""
) -> Part:
    inside = [part.octets() for part in parts]
    mark = boundary or f"=_{zlib.crc32(b''.join(inside)):08x}_{len(parts)}"
    body = crlf(preamble).encode() if preamble else b""
    for octets in inside:
        body += (
            b"--"
            + mark.encode()
            + b"\r\n"
            + octets
            + (b"" if octets.endswith(b"\r\n") else b"\r\n")
        )
    body += b"--" + mark.encode() + b"--\r\n"
    return Part((f'Content-Type: multipart/{subtype};{params}\n boundary="{mark}"',), body)


def message(octets: bytes) -> Part:
    return Part(("Content-Type: message/rfc822", "Content-Disposition: inline"), octets)


def place(folder: str, received: datetime | str, flags: str = "") -> Placed:
    when = instant(received) if isinstance(received, str) else received
    return Placed(folder, tuple(flags.split()), when)


def letter(
    slug: str,
    sender: str,
    to: str,
    subject: str | bytes,
    date: str,
    part: Part,
    *,
    folder: str,
    flags: str = "",
    received: str = "",
    also: tuple[Placed, ...] = (),
    reply: Letter | None = None,
    extra: tuple[str | bytes, ...] = (),
    with_id: bool = True,
) -> Letter:
    """A letter as it would lie in the mailbox: what came in bears the marks of its way.

    Args:
        date: of the Date field, RFC 3339; the internal date is some seconds later on the clock of
            the server, or ``received``; of what Jane sent herself it is the same.
        reply: the letter that this one answers.
        extra: whole header fields.
    """
    when = instant(date)
    own = folder in {"Sent", "Drafts", "Memos"}
    came = when if own else server_time(when + timedelta(seconds=2 + number(slug) % 50))
    if received:
        came = instant(received)
    domain = address(sender).rpartition("@")[2] or "example.net"
    ident = f"<{when:%Y%m%d%H%M%S}.{number(slug):08X}@{domain}>" if with_id else ""
    chain = (*reply.references, reply.message_id) if reply else ()
    head: list[str | bytes] = [] if own else list(trace(sender, slug, came))
    head += [f"Date: {date_time(when)}", f"From: {sender}"]
    head += [f"To: {to}"] if to else []
    head += [b"Subject: " + subject if isinstance(subject, bytes) else f"Subject: {subject}"]
    head += [f"Message-ID: {ident}"] if ident else []
    head += [f"In-Reply-To: {chain[-1]}", "References: " + "\n ".join(chain)] if chain else []
    head += [*extra, "MIME-Version: 1.0", *part.fields]
    octets = fields(*head) + b"\r\n" + part.body
    return Letter(slug, octets, (place(folder, came, flags), *also), ident, chain)


def trace(sender: str, slug: str, came: datetime) -> tuple[str, ...]:
    """What a server puts in front on delivery (RFC 5321 section 4.4)."""
    mailbox = address(sender)
    domain = mailbox.rpartition("@")[2] or "example.net"
    ident = f"{number(slug + domain):08x}"
    host = 10 + number(domain) % 200
    return (
        f"Return-Path: <{mailbox}>",
        (
            f"Received: from mx.{domain} (mx.{domain} [192.0.2.{host}])\n"
            f"\tby {HOME} (Postfix) with ESMTPS id {ident}\n"
            f"\tfor <jane@example.org>; {date_time(came)}"
        ),
    )

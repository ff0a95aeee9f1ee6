"""What a message consists of: its parts (RFC 2046), found without decoding any.

Looks for boundary lines as Python's email package does, within bounds of depth and number. Does not
look into attached messages: they are attachments, not messages of the archive.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from portarchive.index import header as headers
from portarchive.index import words
from portarchive.index.header import Fields, Octets
from portarchive.index.parameters import Valued, parse

DEPTH: Final = 32
"""Multiparts within multiparts; what is deeper is one part (``mime-too-deep``)."""
PARTS: Final = 1000
"""Parts of a message (``mime-too-many``)."""

PART_FIELDS: Final = frozenset(
    {b"content-type", b"content-disposition", b"content-transfer-encoding", b"content-id"}
)
REPORT: Final = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/feedback-report",
        "message/disposition-notification",
        "message/global-disposition-notification",
        "text/rfc822-headers",
        "message/global-headers",
    }
)
MESSAGES: Final = frozenset({"message/rfc822", "message/global"})
_SIGNATURES: Final = frozenset(
    {
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    }
)
_WANTED: Final = headers.Wanted(PART_FIELDS)
_LINE_END: Final = re.compile(rb"[ \t]*(\r\n|\r|\n|\Z)")
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(set(range(256)) - set(_BASE64))
_PIECE: Final = 1 << 20


class Part(NamedTuple):
    """A leaf of the tree of parts.

    Attributes:
        number: as in IMAP (``2.1``).
        media_type: lower case.
        valued: of its Content-Type.
        disposition: lower case; "" if it has none.
        name: of its file, decoded.
        encoding: Content-Transfer-Encoding, lower case.
        content_id: without its angle brackets.
        start, end: where its octets lie in the message.
        kind: ``text`` (to be read as the message), ``attachment``, ``inline`` (shown within a
            text), ``signature``, or ``report`` (the machine's parts of a multipart/report).
    """

    number: str
    media_type: str
    valued: Valued
    disposition: str
    name: str | None
    encoding: str
    content_id: str | None
    start: int
    end: int
    kind: str


class Structure(NamedTuple):
    """A message taken apart.

    Attributes:
        media_type: of the message itself.
        valued: of its Content-Type.
        media_types: of all parts from above to below, multiparts included.
        parts: the leaves.
        defects: codes of docs/index.md.
    """

    media_type: str
    valued: Valued
    media_types: list[str]
    parts: list[Part]
    defects: list[str]


def structure(octets: Octets, fields: Fields, start: int, end: int) -> Structure:
    """Take a message apart.

    Args:
        octets: the message.
        fields: of its header.
        start: where its body begins.
        end: where it ends.
    """
    walk = _Walk(octets)
    media_type, valued = walk.part(fields, start, end, ("", ""), "", 0)
    return Structure(media_type, valued, walk.media_types, walk.parts, walk.defects)


class _Walk:
    def __init__(self, octets: Octets) -> None:
        self._octets = octets
        self.media_types: list[str] = []
        self.parts: list[Part] = []
        self.defects: list[str] = []

    def part(
        self, fields: Fields, start: int, end: int, within: tuple[str, str], number: str, depth: int
    ) -> tuple[str, Valued]:
        """One part and what is in it. ``within``: the two multiparts around it, nearest first."""
        media_type, valued = self._media_type(fields, within[0])
        self.media_types.append(media_type)
        if media_type.startswith("multipart/"):
            ranges = self._ranges(valued, start, end, depth)
            if ranges is not None:
                for count, (first, last) in enumerate(ranges, 1):
                    if len(self.media_types) >= PARTS:
                        self.defects.append("mime-too-many")
                        break
                    found = headers.read(self._octets, first, last, _WANTED)
                    name = f"{number}.{count}" if number else str(count)
                    around = (media_type, within[0])
                    self.part(found.fields, found.body, last, around, name, depth + 1)
                return media_type, valued
        self._leaf(media_type, valued, fields, start, end, within, number or "1")
        return media_type, valued

    def _media_type(self, fields: Fields, within: str) -> tuple[str, Valued]:
        told = fields.get(b"content-type")
        if told is None:
            # RFC 2046 §5.1.5
            return "message/rfc822" if within == "multipart/digest" else "text/plain", parse(b"")
        valued = parse(told[0])
        value = valued.value
        if value.count("/") != 1 or value[0] == "/" or value[-1] == "/":
            self.defects.append("content-type-bad")
            return "text/plain", valued  # RFC 2045 §5.2
        return value, valued

    def _ranges(
        self, valued: Valued, start: int, end: int, depth: int
    ) -> list[tuple[int, int]] | None:
        """Where the parts of a multipart lie; None if it has to be taken as one part."""
        if depth >= DEPTH:
            self.defects.append("mime-too-deep")
            return None
        boundary = valued.parameters.get(b"boundary", b"").rstrip()
        if not boundary:
            text = valued.text(b"boundary")[0]
            boundary = text.encode("utf-8").rstrip() if text else b""
        if not boundary:
            self.defects.append("mime-no-boundary")
            return None
        ranges, closed = _cut(self._octets, start, end, b"--" + boundary)
        if not ranges:
            self.defects.append("mime-no-parts")
            return None
        if not closed:
            self.defects.append("mime-no-end")
        return ranges

    def _leaf(
        self,
        media_type: str,
        valued: Valued,
        fields: Fields,
        start: int,
        end: int,
        within: tuple[str, str],
        number: str,
    ) -> None:
        disposition, name = "", None
        told = fields.get(b"content-disposition")
        if told is not None:
            disposed = parse(told[0])
            disposition = disposed.value[:64]
            name, defect = disposed.text(b"filename")
            if defect is not None:
                self.defects.append("filename-odd")
        if name is None and valued.parameters:
            name, defect = valued.text(b"name")
            if defect is not None:
                self.defects.append("filename-odd")
        content_id = fields.get(b"content-id")
        encoding = fields.get(b"content-transfer-encoding")
        spelled = parse(encoding[0]).value if encoding else "7bit"
        self.parts.append(
            Part(
                number,
                media_type,
                valued,
                disposition,
                name,
                spelled[:64],
                words.raw(content_id[0].strip(b"<> "), 998) if content_id else None,
                start,
                max(start, end),
                _kind(media_type, disposition, name, within, content_id is not None),
            )
        )


def _kind(
    media_type: str,
    disposition: str,
    name: str | None,
    within: tuple[str, str],
    has_id: bool,  # noqa: FBT001 - of one call
) -> str:
    if media_type in REPORT or (media_type in MESSAGES and within[0] == "multipart/report"):
        return "report"
    if disposition == "attachment":
        return "attachment"
    if media_type in _SIGNATURES:
        return "signature"
    if media_type.startswith("text/") and not name:
        return "text"
    if disposition == "inline" and not media_type.startswith(("text/", "message/")):
        return "inline"
    if has_id and "multipart/related" in within:
        return "inline"
    if media_type.startswith("multipart/") and not name:
        return "text"  # one that could not be taken apart: its octets are what there is to read
    return "attachment"


def _cut(octets: Octets, start: int, end: int, mark: bytes) -> tuple[list[tuple[int, int]], bool]:
    """Where the parts between boundary lines lie, and whether the last line was there."""
    ranges: list[tuple[int, int]] = []
    begun = -1
    at = octets.find(mark, start, end)
    while at >= 0:
        after = at + len(mark)
        if at == start or octets[at - 1] in b"\r\n":
            last = octets[after : min(after + 2, end)] == b"--"
            line_end = _LINE_END.match(octets, after + 2 if last else after, end)
            if line_end is not None:
                if begun >= 0:
                    ranges.append((begun, max(begun, _before(octets, at, begun))))
                if last:
                    return ranges, True
                begun = line_end.end()
                if len(ranges) > PARTS:
                    break
        at = octets.find(mark, after, end)
    if begun >= 0:
        ranges.append((begun, end))
    return ranges, False


def _before(octets: Octets, at: int, start: int) -> int:
    """Where a line ends that ends before ``at``: its line end belongs to the boundary."""
    if at - 2 >= start and octets[at - 2 : at] == b"\r\n":
        return at - 2
    return at - 1 if at - 1 >= start else at


# --- sizes and texts ----------------------------------------------------------------------------


def decoded_size(octets: Octets, part: Part) -> int:
    """Octets of a part when it is decoded; of an unknown encoding, as it is."""
    if part.encoding == "base64":
        letters = 0
        for at in range(part.start, part.end, _PIECE):
            piece = octets[at : min(at + _PIECE, part.end)]
            letters += len(piece.translate(None, _NOT_BASE64))
        return letters * 3 // 4
    if part.encoding == "quoted-printable":
        return sum(len(binascii.a2b_qp(piece)) for piece in _lines(octets, part.start, part.end))
    return part.end - part.start


def _lines(octets: Octets, start: int, end: int) -> Iterator[bytes]:
    """Pieces of a part that end where a line ends."""
    while start < end:
        at = octets.find(b"\n", min(start + _PIECE, end), min(start + 2 * _PIECE, end))
        stop = min(start + _PIECE, end) if at < 0 else at + 1
        yield octets[start:stop]
        start = stop


def decoded(octets: Octets, part: Part, longest: int) -> bytes:
    """The octets of a part, decoded; of at most ``longest`` encoded ones."""
    piece = octets[part.start : min(part.end, part.start + longest)]
    if part.encoding == "base64":
        letters = piece.translate(None, _NOT_BASE64)
        return binascii.a2b_base64(letters[: len(letters) // 4 * 4] + _rest(letters))
    return binascii.a2b_qp(piece) if part.encoding == "quoted-printable" else piece


def _rest(letters: bytes) -> bytes:
    rest = letters[len(letters) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def text_of(octets: Octets, part: Part, longest: int = 1 << 20) -> str:
    """A text to be read, in Unicode."""
    return words.in_charset(decoded(octets, part, longest), part.valued.token(b"charset"))[0]

"""Encoded words of a header field (RFC 2047), decoded. Pure, never raises."""

from __future__ import annotations

import binascii
import re
from typing import Final

_WORD: Final = re.compile(rb"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[^?]*)?\?([BbQq])\?([^?]*)\?=")
_UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def decode(value: bytes) -> str:
    """The text of an unfolded value.

    Blanks between two encoded words fall away (§6.2). The octets of words in a row are joined
    before they are decoded, because writers cut characters in two, though §5 forbids it. What
    stands outside is UTF-8, else Latin-1. Controls and noncharacters become U+FFFD.
    """
    parts: list[tuple[str, bytes]] = []
    at = 0
    for found in _WORD.finditer(value):
        between = value[at : found.start()]
        if between and (between.strip() or not parts):
            parts.append(("", between))
        charset = found[1].decode("ascii").lower()
        octets = _base64(found[3]) if found[2] in b"Bb" else _quoted(found[3])
        if parts and parts[-1][0] == charset:
            parts[-1] = charset, parts[-1][1] + octets
        else:
            parts.append((charset, octets))
        at = found.end()
    if value[at:]:
        parts.append(("", value[at:]))
    return _UNFIT.sub("\ufffd", "".join(_text(octets, charset) for charset, octets in parts))


def _base64(octets: bytes) -> bytes:
    try:
        return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))
    except binascii.Error:
        return octets


def _quoted(octets: bytes) -> bytes:
    return binascii.a2b_qp(octets, header=True)


def _text(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset or "utf-8")
    except (LookupError, ValueError):
        return octets.decode("latin-1")

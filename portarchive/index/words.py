"""Text of header fields: encoded words (RFC 2047), bare 8-bit octets, and the charsets of both.

Never raises, never drops: what cannot be decoded stays as it is spelled and is named as a defect.
Control characters are left in: the index holds data, and who shows it has to make it harmless.
"""

from __future__ import annotations

import binascii
import codecs
import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 8192
"""Octets of a value that are decoded."""

_WORD: Final = re.compile(
    rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?((?:[^?]|\?(?!=)){0,2000})\?="
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")

# Only these are text: Python's "idna", "unicode_escape" and others would be work or worse.
_CODECS: Final = frozenset(
    {
        "ascii", "utf-8", "utf-8-sig", "utf-7", "utf-16", "utf-16-be", "utf-16-le",
        "utf-32", "utf-32-be", "utf-32-le", "iso8859-1", "iso8859-2", "iso8859-3",
        "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9",
        "iso8859-10", "iso8859-11", "iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16",
        "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
        "cp1258", "cp437", "cp720", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857",
        "cp858", "cp860", "cp861", "cp862", "cp863", "cp864", "cp865", "cp866", "cp869",
        "cp874", "cp1125", "koi8-r", "koi8-t", "koi8-u", "kz1048", "ptcp154", "tis-620",
        "hp-roman8", "mac-roman", "mac-cyrillic", "mac-greek", "mac-iceland", "mac-latin2",
        "mac-turkish", "gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp950",
        "euc_jp", "euc_jis_2004", "euc_jisx0213", "shift_jis", "shift_jis_2004",
        "shift_jisx0213", "cp932", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2",
        "iso2022_jp_2004", "iso2022_jp_3", "iso2022_jp_ext", "iso2022_kr", "euc_kr",
        "cp949", "johab",
    }
)  # fmt: skip
_ALIASES: Final = {
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "windows-31j": "cp932",
    "x-sjis": "cp932",
    "x-euc-jp": "euc_jp",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac-roman",
    "ks_c_5601-1987": "cp949",
    "x-windows-949": "cp949",
    "windows-874": "cp874",
    "cp-850": "cp850",
}
# what such text is in practice holds more characters than its name says
_WIDER: Final = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}


@lru_cache(maxsize=512)
def codec(charset: str) -> str | None:
    """The name of Python's codec for a charset of a message; None if nobody knows it."""
    name = charset.strip().strip("\"'").lower()[:60]
    name = _ALIASES.get(name, name)
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError, TypeError):
        return None
    return _WIDER.get(found, found) if found in _CODECS else None


def decode(value: bytes, fallback: str | None = None) -> tuple[str, str | None]:
    """The text of an unfolded value.

    Blanks between encoded words fall away (RFC 2047 §6.2); octets of words in a row are joined
    before they are decoded, because writers cut characters in two, though §5 forbids it.

    Args:
        value: ``LONGEST`` octets of it are decoded.
        fallback: the charset of the message, for bare octets that are not UTF-8.

    Returns:
        The text, and a defect or None.
    """
    cut = None
    if len(value) > LONGEST:
        value, cut = value[:LONGEST], "value-cut"
    if b"=?" not in value:
        if value.isascii():
            return value.decode("ascii"), cut
        text, defect = bare(value, fallback)
        return text, defect or cut
    return _words(value, fallback, cut)


def bare(value: bytes, fallback: str | None = None) -> tuple[str, str | None]:
    """Octets that no charset is told of: UTF-8 (RFC 6532), else a guess."""
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        pass
    known = codec(fallback) if fallback else None
    if known is not None and known not in {"ascii", "utf-8"}:
        try:
            return _whole(value.decode(known)), "charset-guessed"
        except (ValueError, LookupError):
            pass
    try:
        return value.decode("cp1252"), "charset-guessed"
    except UnicodeDecodeError:
        return value.decode("latin-1"), "charset-guessed"


def raw(value: bytes, longest: int = LONGEST) -> str:
    r"""Octets as they are; those that are not UTF-8 as ``\xNN``."""
    return value[:longest].decode("utf-8", "backslashreplace")


def clean(text: str) -> str:
    """Text of JSON or of the file system, fit for a table: lone surrogates become U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def in_charset(octets: bytes, charset: str | None) -> tuple[str, bool]:
    """Octets in a charset that is told; False if it is unknown or they are not in it."""
    known = codec(charset or "us-ascii")
    if known is None:
        return bare(octets)[0], False
    try:
        return _whole(octets.decode(known)), True
    except (ValueError, LookupError):
        text, defect = bare(octets)
        return text, defect is None and known == "ascii"


def _whole(text: str) -> str:
    # UTF-7 can spell half a character
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _words(value: bytes, fallback: str | None, defect: str | None) -> tuple[str, str | None]:
    pieces: list[tuple[str | None, bytes]] = []
    at = 0
    for found in _WORD.finditer(value):
        between = value[at : found.start()]
        if between and (not pieces or pieces[-1][0] is None or between.strip()):
            pieces.append((None, between))
        charset = found[1].decode("latin-1").lower()
        if found[2] in b"Bb":
            octets, good = _base64(found[3])
        else:
            octets, good = binascii.a2b_qp(found[3], header=True), True
        if codec(charset) is None:
            pieces.append((None, found[0]))
            defect = "charset-unknown"
        elif pieces and pieces[-1][0] == charset:
            pieces[-1] = charset, pieces[-1][1] + octets
        else:
            pieces.append((charset, octets))
        if not good:
            defect = "encoded-word-bad"
        at = found.end()
    if value[at:]:
        pieces.append((None, value[at:]))
    texts = []
    for spelled, octets in pieces:
        if spelled is None:
            text, trouble = bare(octets, fallback)
            defect = trouble or defect
        else:
            text, good = in_charset(octets, spelled)
            if not good:
                defect = "encoded-word-bad"
        texts.append(text)
    return "".join(texts), defect


def _base64(octets: bytes) -> tuple[bytes, bool]:
    """Decoded as far as that goes (many writers forget the padding)."""
    letters = _NOT_BASE64.sub(b"", octets)
    good = len(letters) == len(octets.replace(b" ", b"").rstrip(b"="))
    rest = len(letters) % 4
    if rest == 1:
        return binascii.a2b_base64(letters[:-1]), False
    return binascii.a2b_base64(letters + b"=" * (-rest % 4)), good

"""Names in a Maildir: of folders, and of message files with the flags in them. Pure.

A message file is ``unique:2,FLAGS``; the *unique name* is what stays when flags change
(https://cr.yp.to/proto/maildir.html). File systems that forbid the colon get ``;`` or ``!``.
"""

from __future__ import annotations

import binascii
import os
import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from portarchive.connectors.local.escaped import escaped, unescaped
from portarchive.connectors.local.spelling import percent

_SHIFTED: Final = re.compile(rb"&([^-]*)-")
_TO_ENCODE: Final = re.compile(r"&|[^\x20-\x7e]+")
_INFO: Final = re.compile(r"[:;!](?:2,([A-Za-z]*)[^:;!/]*|1,[^:;!/]*)\Z")
_SIZE: Final = re.compile(r",S=(\d{1,18})(?=,|\Z)")
_WIRE_SIZE: Final = re.compile(r",W=(\d{1,18})(?=,|\Z)")
_SECONDS: Final = re.compile(r"(\d{9,10})(?=[._])")
_TO_SPELL: Final = re.compile("[%/\ud800-\udfff]")
_PLACED: Final = re.compile(r"\d{1,12}\.M\d{6}P\d{1,10}Q\d{1,10}R[0-9a-f]{16}\.")

FLAGS: Final = {
    "P": "$Forwarded",  # "passed": resent, forwarded or bounced
    "R": "$answered",
    "S": "$seen",
    "T": "\\Deleted",
    "D": "$draft",
    "F": "$flagged",
}
"""The letters of the specification, in the archive's spelling of what they mean."""


def segment(octets: bytes) -> tuple[str, bytes | None]:
    """One segment of a folder's name: its text, and its octets if they do not decode.

    Modified UTF-7 (RFC 3501 §5.1.3) where it is that in its canonical spelling; UTF-8 where there
    are 8-bit octets; else ASCII as it is.
    """
    if not octets.isascii():
        try:
            return octets.decode("utf-8"), None
        except UnicodeDecodeError:
            return octets.decode("utf-8", "surrogateescape"), octets
    try:
        text = _SHIFTED.sub(_shifted, octets).decode("utf-8")
        if encoded(text) == octets:
            return text, None
    except (UnicodeError, binascii.Error):
        pass
    return octets.decode("ascii"), None


def _shifted(found: re.Match[bytes]) -> bytes:
    if not found[1]:
        return b"&"
    padded = found[1].replace(b",", b"/") + b"=" * (-len(found[1]) % 4)
    return binascii.a2b_base64(padded).decode("utf-16-be").encode("utf-8")


def encoded(text: str) -> bytes:
    """One segment of a folder's name in modified UTF-7, as Dovecot and Courier write it.

    Raises:
        UnicodeError: lone surrogates.
    """

    def shift(found: re.Match[str]) -> str:
        if found[0] == "&":
            return "&-"
        coded = binascii.b2a_base64(found[0].encode("utf-16-be"), newline=False)
        return "&" + coded.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"

    return _TO_ENCODE.sub(shift, text).encode("ascii")


_RESERVED: Final = frozenset(
    {
        b"cur", b"new", b"tmp", b"subscriptions", b"subscriptions.lock", b"maildirfolder",
        b"maildirsize", b"courierimapsubscribed", b"courierimapuiddb", b"courierimapkeywords",
        b"courierimapacl", b"dovecot-uidlist", b"dovecot-uidlist.lock", b"dovecot-keywords",
        b"dovecot-keywords.lock", b"dovecot-uidvalidity", b"dovecot-acl", b"dovecot-acl-list",
        b"dovecot.index", b"dovecot.index.log", b"dovecot.index.log.2", b"dovecot.index.cache",
        b"dovecot.list.index", b"dovecot.list.index.log", b"dovecot.mailbox.log",
    }
)  # fmt: skip
"""What lies in a folder besides folders."""


def directory_name(octets: bytes) -> bytes:
    """The directory of a folder of the directory layout. ``octets``: of its encoded name."""
    return escaped(octets, _RESERVED)


def from_directory(name: bytes) -> bytes:
    """The other way round."""
    return unescaped(name, _RESERVED)


class FileName(NamedTuple):
    """A message file's name, taken apart. ``letters``: the flags, as they stand."""

    unique: str
    letters: str


def file_name(name: str) -> FileName:
    """Take a name of ``cur/`` or ``new/`` apart; octets that do not decode are surrogates."""
    found = _INFO.search(name)
    if found is None or not found.start():
        return FileName(name, "")
    return FileName(name[: found.start()], found[1] or "")


def twin_name(unique: str, mark: str) -> str:
    """What stands for one of several files of a unique name: no file can be called so."""
    return f"{unique}/{mark}"


def is_twin(unique: str) -> bool:
    """Whether it was made by ``twin_name``."""
    return "/" in unique


def twin_of(unique: str) -> str:
    """The name that the files share."""
    return unique.partition("/")[0]


def spelled(unique: str, *, numbered: bool = False) -> str:
    """A unique name as the uid of an item: percent-encoded are ``%``, ``/``, octets not decoding.

    Args:
        unique: may be one of ``twin_name``.
        numbered: other messages of its folder have numbers. A name that is nothing but digits must
            not be taken for one, and has its first digit encoded as well.
    """
    if numbered and unique.isdecimal() and unique.isascii():
        return f"%{ord(unique[0]):02X}{unique[1:]}"
    return percent(unique, _TO_SPELL)


def unspelled(uid: str) -> str:
    """The unique name of an item's uid."""
    return os.fsdecode(unquote_to_bytes(uid)) if "%" in uid else uid


def told_size(unique: str) -> int | None:
    """The octets of the file as its name tells them (Maildir++, ``,S=``)."""
    found = _SIZE.search(unique)
    return int(found[1]) if found else None


def told_wire_size(unique: str) -> int | None:
    """The octets with every line end as CRLF, as the name tells them (Dovecot, ``,W=``)."""
    found = _WIRE_SIZE.search(unique)
    return int(found[1]) if found else None


def told_seconds(unique: str) -> int | None:
    """The instant with which a unique name begins: when the message was delivered."""
    found = _SECONDS.match(unique)
    return int(found[1]) if found else None


def unique_name(epoch: int, delivery: str, host: str) -> str:
    """The beginning of the unique name of a message that is placed here.

    Args:
        epoch: when it was received; before 1970 it is 0 in the name.
        delivery: ``delivery_name``.
        host: without slash and colon.
    """
    return f"{max(epoch, 0)}.{delivery}.{host}"


def delivery_name(microseconds: int, process: int, number: int, random: str) -> str:
    """What makes a delivery unlike any other (https://cr.yp.to/proto/maildir.html).

    Args:
        microseconds: of the clock's second.
        process: its id.
        number: of the delivery within the process.
        random: 16 hex digits of the operating system's own.
    """
    return f"M{microseconds:06d}P{process}Q{number}R{random}"


def is_placed(unique: str) -> bool:
    """Whether this module named it: then the file's time is meant, whatever it is."""
    return _PLACED.match(unique) is not None


def order(uid: str) -> tuple[int, str]:
    """The order of references: numbers by value, then names."""
    if uid.isascii() and uid.isdecimal() and len(uid) < 20:
        return int(uid), uid
    return 1 << 64, uid

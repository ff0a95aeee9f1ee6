"""When a message of anybody's archive was received: what the item says, else its own header.

Owns the order of the places where that may stand (format.md section 9) and how tolerantly each is
read. Refuses to guess: the time of a file is none of them, and an instant outside of 1900 … 9999
is no date of a message (archives have such of before 1970, as they were given them).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from portarchive.archive import model
from portarchive.records import Received

ARCHIVE: Final = "archive"
FOREIGN: Final = "foreign"
RECEIVED_FIELD: Final = "received-field"
DATE_FIELD: Final = "date-field"
NONE: Final = "none"

UNKNOWN: Final = Received(None, None)

FOREIGN_MEMBERS: Final = ("received_at", "receivedAt", "internal_date", "internaldate")
"""Members of an item that other generators may use. The draft has none and no generator that is
published writes one: these are what the draft's style, RFC 8621 §4.1.1 and RFC 9051 §2.3.3 would
make of it."""

HEADER_LIMIT: Final = 1 << 20
"""Octets of a message in which its header is looked for."""

_FIRST: Final = -2_208_988_800  # 1900-01-01T00:00:00Z
_LAST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_LONGEST: Final = 512  # octets of a date in a field, with comments
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)([Tt ])([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d{1,30})?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3])(:?)([0-5]\d))",
    re.ASCII,
)
_INTERNALDATE: Final = re.compile(
    r" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4})", re.ASCII
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun",
                  "jul", "aug", "sep", "oct", "nov", "dec")  # fmt: skip
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_TIME: Final = (  # blanks around a colon: obs-hour, obs-minute, obs-second of RFC 5322 §4.3
    rb"(?P<hour>\d{1,2})(?:[ \t]*:[ \t]*|\.)(?P<minute>\d\d)"
    rb"(?:(?:[ \t]*:[ \t]*|\.)(?P<second>\d\d)(?:\.\d{1,9})?)?(?!\d)"
)
_ZONE: Final = (
    rb"(?:[ \t]*(?:GMT|UTC?|Z)?[ \t]*(?P<offset>[+-]\d\d?:?\d\d)(?!\d)"
    rb"|[ \t]*(?P<zone>[A-Za-z]{1,5})(?![A-Za-z]))?"
)
_FIELD: Final = re.compile(
    rb"(?<!\d)(?P<day>\d{1,2})[ \t-]*(?P<month>[A-Za-z]{3,9})\.?[ \t,-]*(?P<year>\d{2,4})"
    rb"[ \t,]+" + _TIME + _ZONE
)
_ASCTIME: Final = re.compile(
    rb"(?P<month>[A-Za-z]{3,9})\.?[ \t]+(?P<day>\d{1,2})[ \t,]+"
    rb"(?:" + _TIME + _ZONE + rb"[ \t]+(?P<year>\d{4})"
    rb"|(?P<year_>\d{4})[ \t,]+" + _TIME.replace(b">", b"_>") + _ZONE.replace(b">", b"_>") + rb")"
)
_ZONES: Final = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
                 "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}  # fmt: skip
_COMMENT: Final = re.compile(rb"\([^()]*\)")


# --- the places in their order ------------------------------------------------------------------


def of_item(item: Mapping[str, Any]) -> tuple[Received, str]:
    """What an item of a folder.json says itself.

    Returns:
        The date and ``ARCHIVE`` or ``FOREIGN``; without a usable one ``NONE``, with the server's
        own spelling if the item has that.
    """
    text = item.get(model.RECEIVED_AT)
    if text.__class__ is str:
        found = rfc3339(text)
        if found is not None:
            return found, ARCHIVE
    raw = item.get(model.RECEIVED_AT_RAW)
    if raw.__class__ is str:
        found = spelled(raw)
        if found is not None:
            return Received(found.text, found.epoch, raw), ARCHIVE
    for name in FOREIGN_MEMBERS:
        text = item.get(name)
        if text.__class__ is str:
            found = spelled(text)
            if found is not None:
                return found, FOREIGN
    return (Received(None, None, raw) if raw.__class__ is str else UNKNOWN), NONE


def of_header(octets: bytes) -> tuple[Received, str]:
    """What the header of a message says.

    The newest Received field is the first (RFC 5321 §4.4: trace fields are put in front); one
    without a usable date is passed over.

    Args:
        octets: the message, or its beginning; ``HEADER_LIMIT`` of it is looked at.
    """
    header = _header(octets)
    for value in _values(header, b"received"):
        found = _last_date(value)
        if found is not None:
            return found, RECEIVED_FIELD
    for value in _values(header, b"date"):
        found = field_date(value)
        if found is not None:
            return found, DATE_FIELD
    return UNKNOWN, NONE


def has_whole_header(octets: bytes) -> bool:
    """Whether the beginning of a message holds all of it that ``of_header`` may need."""
    return len(octets) >= HEADER_LIMIT or (
        octets.startswith((b"\n", b"\r\n")) or _EMPTY_LINE.search(octets) is not None
    )


# --- spellings ----------------------------------------------------------------------------------


def rfc3339(text: str) -> Received | None:
    """A date-time of RFC 3339 (``T`` may be a blank, the offset may lack its colon).

    None if it is none or outside of 1900 … 9999. The text stays as it is spelled, but for those
    two; the leap second 60 is the next minute's 0.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, between, hour, minute, second, sign, hours, colon, minutes = found.groups()
    days = _days(day)
    if days is None:
        return None
    epoch = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes) * 60
        epoch += offset if sign == "-" else -offset
    if between == " " or colon == "":
        text = f"{day}T{hour}:{minute}:{second}{f'{sign}{hours}:{minutes}' if sign else 'Z'}"
    return Received(text, epoch) if _FIRST <= epoch <= _LAST else None


def spelled(text: str) -> Received | None:
    """A date in any spelling that is known: RFC 3339, INTERNALDATE, that of a header field."""
    if len(text) > _LONGEST:
        return None
    text = text.strip()
    found = _INTERNALDATE.fullmatch(text)
    if found is not None:
        day, month, year, time, zone = found.groups()
        if month.lower() not in _MONTHS:
            return None
        number = _MONTHS.index(month.lower()) + 1
        return rfc3339(f"{year}-{number:02d}-{int(day):02d}T{time}{zone[:3]}:{zone[3:]}")
    return rfc3339(text) or field_date(text.encode("utf-8", "replace"))


def field_date(value: bytes) -> Received | None:
    """The date-time of a header field (RFC 5322 §3.3, obsolete forms and worse).

    None if there is none or it is outside of 1900 … 9999. A zone that nobody knows is UTC
    (RFC 5322 §4.3).
    """
    value = value[:_LONGEST].strip()
    before = None
    while b"(" in value and value != before:
        before, value = value, _COMMENT.sub(b" ", value)
    found = _FIELD.search(value) or _ASCTIME.search(value)
    if found is None:
        return None
    # a name with a low line is that of the second alternative of ``_ASCTIME``
    part = dict.fromkeys(("second", "offset", "zone"), "")
    for name, text in found.groupdict(b"").items():
        part[name.rstrip("_")] = part.get(name.rstrip("_")) or text.decode("ascii")
    month = part["month"][:3].lower()
    if month not in _MONTHS:
        return None
    year = part["year"]
    if len(year) < 4:  # RFC 5322 §4.3
        year = str(int(year) + (2000 if len(year) == 2 and int(year) < 50 else 1900))
    return rfc3339(
        f"{year}-{_MONTHS.index(month) + 1:02d}-{int(part['day']):02d}"
        f"T{int(part['hour']):02d}:{part['minute']}:{part['second'] or '00'}"
        f"{_zone(part['offset'], part['zone'])}"
    )


def _zone(offset: str, name: str) -> str:
    if not offset:
        return f"{_ZONES.get(name.upper(), 0):+03d}:00"
    sign, digits = offset[0], offset[1:].replace(":", "").zfill(4)
    text = f"{sign}{digits[:2]}:{digits[2:]}"
    return text if int(digits[:2]) < 24 and int(digits[2:]) < 60 else "+00:00"


@lru_cache(maxsize=8192)
def _days(day: str) -> int | None:
    """Days since 1970-01-01."""
    try:
        return dt.date.fromisoformat(day).toordinal() - _EPOCH
    except ValueError:
        return None


# --- header fields ------------------------------------------------------------------------------


def _header(octets: bytes) -> bytes:
    octets = octets[:HEADER_LIMIT]
    if octets.startswith((b"\n", b"\r\n")):
        return b""
    found = _EMPTY_LINE.search(octets)
    return octets if found is None else octets[: found.start() + 1]


def _values(header: bytes, name: bytes) -> Iterator[bytes]:
    """The values of the first fields of a name, unfolded (RFC 5322 §2.2.3)."""
    lowered = b"\n" + header.lower()
    at = lowered.find(b"\n" + name)
    left = 16  # of more than these nobody needs the date
    while at >= 0 and left:
        colon = at + 1 + len(name)
        while lowered[colon : colon + 1] in {b" ", b"\t"}:
            colon += 1
        if lowered[colon : colon + 1] == b":":
            end = lowered.find(b"\n", colon)
            while end >= 0 and lowered[end + 1 : end + 2] in {b" ", b"\t"}:
                end = lowered.find(b"\n", end + 1)
            # ``lowered`` has one octet more in front
            yield _FOLD.sub(b"", header[colon : end - 1 if end >= 0 else len(header)])
            left -= 1
        at = lowered.find(b"\n" + name, at + 1)


def _last_date(value: bytes) -> Received | None:
    """The date of a Received field: behind its last semicolon that is in no comment."""
    tail = value[-2 * _LONGEST :]
    before = None
    while b"(" in tail and tail != before:
        before, tail = tail, _COMMENT.sub(b" ", tail)
    _, semicolon, date = tail.rpartition(b";")
    return field_date(date) if semicolon else None

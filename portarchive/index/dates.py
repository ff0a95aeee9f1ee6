"""Dates of header fields (RFC 5322 §3.3, §4.3) as instants, and whether they keep to the grammar.

The reading itself is that of ``archive.received``, so that the index and an import never differ
about a date; here is a quick way for what nearly all dates look like.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final, NamedTuple

from portarchive.archive.received import field_date
from portarchive.records import Received

_QUICK: Final = re.compile(
    rb"(?:[A-Za-z]{3}, +)?(\d{1,2}) +([A-Za-z]{3}) +(\d{4}) +(\d\d):(\d\d):(\d\d) +"
    rb"([+-])(\d\d)(\d\d)(?: +\([^()]*\))?"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
         b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1)
}  # fmt: skip
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_LAST: Final = 253_402_300_799
_GRAMMAR: Final = re.compile(
    rb"[ \t\r\n]*(?:(mon|tue|wed|thu|fri|sat|sun)[ \t\r\n]*,)?"
    rb"[ \t\r\n]*(\d{1,2})[ \t\r\n]*"
    rb"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[ \t\r\n]*(\d{2,9})[ \t\r\n]+"
    rb"(\d\d)[ \t\r\n]*:[ \t\r\n]*(\d\d)(?:[ \t\r\n]*:[ \t\r\n]*(\d\d))?"
    rb"(?:[ \t\r\n]+([+-])(\d\d)([0-5]\d)|[ \t\r\n]*(ut|gmt|[ecmp][sd]t|[a-ik-z]))[ \t\r\n]*",
    re.IGNORECASE,
)
_WEEKDAYS: Final = (b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun")
_ZONES: Final = {b"e": -5, b"c": -6, b"m": -7, b"p": -8}
_COMMENT: Final = re.compile(rb"\((?:[^()\\]|\\.)*\)", re.DOTALL)
_LONGEST: Final = 998
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)$")


class Instant(NamedTuple):
    """A date.

    Attributes:
        epoch: milliseconds since 1970 UTC.
        offset: minutes east of UTC, as written.
    """

    epoch: int
    offset: int


def parse(value: bytes) -> Instant | None:
    """The date-time of a field; None if there is none or it is outside of 1970 … 9999."""
    found = _QUICK.fullmatch(value)
    if found is not None:
        day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
        days = _days(year, month.lower(), day)
        if days is not None and hour < b"24" and minute < b"60" and second <= b"60":
            offset = int(hours) * 60 + int(minutes)
            if hours < b"24" and minutes < b"60":
                if sign == b"-":
                    offset = -offset
                clock = int(hour) * 3600 + int(minute) * 60 + int(second)
                epoch = days * 86400 + clock - offset * 60
                if 0 <= epoch <= _LAST:
                    return Instant(epoch * 1000, offset)
                return None
    # the second reading is of obsolete forms that are legal all the same
    told = of_received(field_date(value)) or _strictly(value)
    return told if told is not None and 0 <= told.epoch <= _LAST * 1000 else None


def of_received(when: Received | None) -> Instant | None:
    """The instant of a record of the archive."""
    if when is None or when.epoch is None or when.text is None:
        return None
    found = _OFFSET.search(when.text)
    offset = 0
    if found is not None:
        offset = int(found[2]) * 60 + int(found[3])
        if found[1] == "-":
            offset = -offset
    return Instant(when.epoch * 1000, offset)


def is_grammatical(value: bytes) -> bool:
    """Whether a value is a ``date-time`` of RFC 5322 (§3.3, §4.3: obsolete forms included).

    That is more than its grammar: the day of the week is that of the date, the day is one of the
    month, hours, minutes and seconds are some, and a zone is ``+hhmm`` or one of the list.
    """
    return _strictly(value) is not None


def _strictly(value: bytes) -> Instant | None:
    if len(value) > _LONGEST:
        return None
    before = None
    while b"(" in value and value != before:
        before, value = value, _COMMENT.sub(b" ", value)
    found = _GRAMMAR.fullmatch(value)
    if found is None:
        return None
    named, day, month, told, hour, minute, second, sign, hours, minutes, zone = found.groups()
    year = int(told)
    if len(told) == 2:
        year += 2000 if year < 50 else 1900
    elif len(told) == 3:
        year += 1900
    days = _days(b"%d" % year, month.lower(), day) if year >= 1900 else None
    clock = int(hour), int(minute), int(second or 0)
    if days is None or clock[0] > 23 or clock[1] > 59 or clock[2] > 60:
        return None
    if named is not None and _WEEKDAYS[(days + 3) % 7] != named.lower():
        return None
    if sign is None:
        offset = _offset(zone.lower())
    else:
        offset = int(sign + b"1") * (int(hours) * 60 + int(minutes))
    epoch = days * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2] - offset * 60
    return Instant(epoch * 1000, offset)


def _offset(zone: bytes) -> int:
    """Minutes; a single letter tells nothing, for too many had its sign wrong (§4.3)."""
    if len(zone) != 3 or zone == b"gmt":
        return 0
    return (_ZONES[zone[:1]] + (zone[1:2] == b"d")) * 60


@lru_cache(maxsize=16384)
def _days(year: bytes, month: bytes, day: bytes) -> int | None:
    """Days since 1970-01-01."""
    number = _MONTHS.get(month)
    if number is None:
        return None
    try:
        return dt.date(int(year), number, int(day)).toordinal() - _EPOCH
    except ValueError:
        return None

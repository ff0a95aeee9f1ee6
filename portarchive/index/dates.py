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
    rb"\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)\s*,)?\s*\d{1,2}\s+"
    rb"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\s+\d{2,4}\s+"
    rb"\d\d\s*:\s*\d\d(?:\s*:\s*\d\d)?\s+(?:[+-]\d{4}|[a-z]+)\s*",
    re.IGNORECASE,
)
_COMMENT: Final = re.compile(rb"\([^()]*\)")
_LONGEST: Final = 512
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
    return of_received(field_date(value))


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
    """Whether a value is a ``date-time`` of RFC 5322, obsolete forms included."""
    value = value[:_LONGEST]
    before = None
    while b"(" in value and value != before:
        before, value = value, _COMMENT.sub(b" ", value)
    return _GRAMMAR.fullmatch(value) is not None


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

"""When a message was received, as files tell it: instants made into ``records.Received``. Pure."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final

from portarchive.connectors.local.header import values
from portarchive.records import Received

NO_DATE: Final = Received(None, None)

DAY: Final = 86_400
OLDEST: Final = DAY
"""Instants up to here are what a program writes that had no date: zero, in any time zone."""

SAYABLE: Final = range(-62_135_596_800, 253_402_300_800)
"""Instants of the years 1 to 9999, which is what RFC 3339 can say."""

MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
         b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1,
    )
}  # fmt: skip

_TWO: Final = [f"{value:02d}" for value in range(60)]
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_DATE: Final = re.compile(
    rb"(\d{1,2})[ \t]+([A-Za-z]{3})[a-z]*[ \t]+(\d{2,4})[ \t]+(\d\d?):(\d\d)(?::(\d\d))?"
    rb"(?:[ \t]+([+-]\d{4}|[A-Za-z]{1,5}))?"
)
_ZONES: Final = {b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5,
                 b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7}  # fmt: skip


def plausible(epoch: float, now: float) -> bool:
    """Whether an instant can be the date of a message: not the zero, and not in the future."""
    return OLDEST < epoch <= now + DAY


def received(epoch: int) -> Received:
    """An instant as RFC 3339 in UTC, which is what files tell: they have no offset."""
    day, seconds = divmod(epoch, DAY)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{_day(day)}T{_TWO[hour]}:{_TWO[minute]}:{_TWO[second]}+00:00"
    return Received(text, epoch)


@lru_cache(maxsize=4096)
def _day(day: int) -> str:
    return dt.date.fromordinal(_EPOCH + day).isoformat()


@lru_cache(maxsize=4096)
def days(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01; None if there is no such day."""
    try:
        return dt.date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


def zone_seconds(zone: bytes | None) -> int:
    """Seconds east of UTC; 0 for a zone that nobody knows (RFC 5322 §4.3)."""
    if not zone:
        return 0
    if zone[:1] in b"+-":
        seconds = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
        return -seconds if zone[:1] == b"-" else seconds
    return _ZONES.get(zone.upper(), 0) * 3600


def instant(value: bytes) -> int | None:
    """The instant of a ``date-time`` (RFC 5322 §3.3, obsolete forms too); None if it is none."""
    found = _DATE.search(value, 0, 200)
    if found is None:
        return None
    year = int(found[3])
    if len(found[3]) < 4:  # RFC 5322 §4.3
        year += 2000 if year < 50 and len(found[3]) == 2 else 1900
    day = days(year, MONTHS.get(found[2].lower(), 0), int(found[1]))
    hour, minute, second = int(found[4]), int(found[5]), int(found[6] or 0)
    if day is None or hour > 23 or minute > 59 or second > 60:
        return None
    return day * DAY + hour * 3600 + minute * 60 + second - zone_seconds(found[7])


def from_header(header: bytes, now: float) -> int | None:
    """The newest Received field's date, else the Date field's; None without a plausible one.

    Trace fields are prepended (RFC 5321 §4.4): the first one is the newest.
    """
    lowered = header.lower()
    for value in values(header, lowered, b"received")[:1]:
        epoch = instant(value.rpartition(b";")[2])
        if epoch is not None and plausible(epoch, now):
            return epoch
    for value in values(header, lowered, b"date")[:1]:
        epoch = instant(value)
        if epoch is not None and plausible(epoch, now):
            return epoch
    return None

"""The ``From `` line between messages (RFC 4155 appendix A): what is one, and what it tells. Pure.

A line of text may begin with ``From `` too. A postmark is told from it by its date; that an empty
line must come before it is for the scanner to see.

Postmarks that are written here say so by their sender: ``MAILER-DAEMON@mboxrd`` is no address, and
a sign that everything that begins like a postmark within the message is quoted, so that no
Content-Length is needed to find its end, and that the date is meant as it stands.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final, NamedTuple

from portarchive.connectors.local import dates

LONGEST: Final = 1024
"""Octets of the longest line that is looked at."""

_WEEKDAY: Final = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_ZONE: Final = rb"([A-Za-z]{1,5}|[+-]\d{4})"
# asctime, with a zone before the year (Takeout) or after it
_ASCTIME: Final = re.compile(
    rb" " + _WEEKDAY + rb",?[ \t]+([A-Z][a-z]{2})[ \t]+(\d{1,2})[ \t]+(\d\d?):(\d\d)(?::(\d\d))?"
    rb"(?:[ \t]+" + _ZONE + rb")?[ \t]+(\d{4})(?:[ \t]+" + _ZONE + rb")?"
)
_RFC5322: Final = re.compile(
    rb"[ \t](?:" + _WEEKDAY + rb",[ \t]*)?\d{1,2}[ \t]+[A-Z][a-z]{2}[ \t]+\d{4}[ \t]+\d\d?:\d\d"
)
_GMAIL: Final = re.compile(rb"From (\d{10,20})@xxx ")
_OWN: Final = re.compile(rb"From MAILER-DAEMON@mboxrd(\.status)?(\.unended)? ")
OWN: Final = b"From MAILER-DAEMON@mboxrd"
"""How a postmark of our own begins."""

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun",
                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # fmt: skip
_BARE: Final = frozenset({b"From", b"From -"})
FIELD: Final = re.compile(rb"[!-9;-~]{1,200}[ \t]*:|>?From ")
"""How a header begins (RFC 5322 §3.6.8)."""
STRICT_FIELD: Final = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
"""The same where nothing else tells that it is one: a line of postmarks is no header."""


def instant(line: bytes) -> int | None:
    """Seconds since 1970 of a postmark's date; None if the line is no postmark with a date.

    Without a zone it is UTC (RFC 4155). The instant may be one that means nothing (0).
    """
    found = _ASCTIME.search(line)
    if found is None:
        return dates.instant(line) if _RFC5322.search(line) else None
    month, day, hour, minute, second, before, year, after = found.groups()
    days = _days(year, month, day)
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if days is None or hours > 23 or minutes > 59 or seconds > 60:
        return None
    zone = before or after
    east = 0 if zone is None or zone == b"+0000" else dates.zone_seconds(zone)
    return days * dates.DAY + hours * 3600 + minutes * 60 + seconds - east


@lru_cache(maxsize=4096)
def _days(year: bytes, month: bytes, day: bytes) -> int | None:
    return dates.days(int(year), dates.MONTHS.get(month.lower(), 0), int(day))


def is_bare(line: bytes) -> bool:
    """``From `` and nothing after it, as some writers have it: good only before a header."""
    return line.rstrip() in _BARE


def gmail_id(line: bytes) -> int:
    """The message id (X-GM-MSGID) that Takeout writes for a sender; 0 if there is none."""
    found = _GMAIL.match(line)
    number = int(found[1]) if found else 0
    return number if number < 1 << 64 else 0


class Own(NamedTuple):
    """What a postmark that is written here tells of its message.

    Attributes:
        status: its first lines, as long as they are Status, X-Status or X-Keywords, were put there
            to tell its flags.
        unended: its last line has no end; the one in the file was put there.
    """

    status: bool = False
    unended: bool = False


def own(line: bytes) -> Own | None:
    """What a postmark tells if it is one of ours."""
    if not line.startswith(OWN):
        return None
    found = _OWN.match(line)
    return None if found is None else Own(found[1] is not None, found[2] is not None)


def spelled(epoch: int, told: Own) -> bytes:
    """A postmark with its line end (RFC 4155 appendix A: asctime in UTC).

    Raises:
        ValueError, OverflowError: not in the years 1 to 9999.
    """
    days, seconds = divmod(epoch, dates.DAY)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    day, year = _spelled_day(days)
    sender = OWN + (b".status" if told.status else b"") + (b".unended" if told.unended else b"")
    return b"%s %s %02d:%02d:%02d %s\n" % (sender, day, hour, minute, second, year)


@lru_cache(maxsize=4096)
def _spelled_day(days: int) -> tuple[bytes, bytes]:
    date = dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + days)
    day = f"{_WEEKDAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date.day:2d}"
    return day.encode("ascii"), b"%04d" % date.year

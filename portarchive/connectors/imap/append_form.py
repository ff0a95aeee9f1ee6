r"""How one message stands in an APPEND command: flags, date, literal. Pure.

The only place where something of an archive becomes part of an APPEND command: flags that are a
system flag or an atom, a date that was formatted from a number, a size. Everything else is octets
of a literal, and a literal that does not wait for the server's consent goes only where its size is
known, not 0 and within the server's limit.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final

from portarchive import keywords
from portarchive.records import Received

MAX_FLAGS: Final = 7_000
"""Octets of a flag list; servers need not take lines over 8,192 (RFC 7162 §4)."""

LONG: Final = 255
"""Characters of a keyword that JMAP allows (RFC 8621 §4.1.1), and no server was seen to mind."""

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
                  b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")  # fmt: skip
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_LAST: Final = dt.date.max.toordinal()
_DAY: Final = 86_400
_ZONE: Final = re.compile(r"([+-])(\d\d):?(\d\d)\Z")

SURE: Final = range(1 << 32)
"""Instants that no server is known to answer with BAD (Cyrus does to those before 1970)."""


@lru_cache(maxsize=4096)
def flag_list(flags: tuple[str, ...]) -> bytes:
    r"""Flags as ``APPEND`` has them, in parentheses; what is no flag there is left out.

    ``\Recent`` is no flag of a message and never among them (RFC 9051 §2.3.2).
    """
    spelled = dict[str, str]()
    for flag in flags:
        text = keywords.to_imap(flag)
        if text is not None:
            spelled.setdefault(keywords.fold(text), text)
    return b"(" + " ".join(spelled.values()).encode("ascii") + b")"


@lru_cache(maxsize=4096)
def has_long(flags: tuple[str, ...]) -> bool:
    """Whether one of them is longer than servers are sure to read (Cyrus: BAD from 1,024 on)."""
    return any(len(flag) > LONG for flag in flags)


@lru_cache(maxsize=4096)
def _day(ordinal: int) -> bytes | None:
    if not 1 <= ordinal <= _LAST:
        return None
    date = dt.date.fromordinal(ordinal)
    return b"%2d-%s-%04d" % (date.day, _MONTHS[date.month - 1], date.year)


@lru_cache(maxsize=256)
def _zone(text: str) -> tuple[int, bytes]:
    """Seconds east of UTC and ``+hhmm``; UTC for what names no zone."""
    found = _ZONE.search(text)
    if found is None or int(found[2]) > 23 or int(found[3]) > 59:
        return 0, b"+0000"
    seconds = (int(found[2]) * 60 + int(found[3])) * 60 * (-1 if found[1] == "-" else 1)
    return seconds, f"{found[1]}{found[2]}{found[3]}".encode("ascii")


def date_time(received: Received) -> bytes | None:
    """``date-time`` of RFC 9051 §9 with its quotes, in the zone of the archive's text.

    None if there is no instant, or none that four digits of a year can tell: then the server takes
    its own now.
    """
    if received.epoch is None:
        return None
    offset, zone = _zone((received.text or "")[-6:])
    days, seconds = divmod(received.epoch + offset, _DAY)
    day = _day(days + _EPOCH)
    if day is None:
        zone = b"+0000"
        days, seconds = divmod(received.epoch, _DAY)
        day = _day(days + _EPOCH)
        if day is None:
            return None
    minutes, second = divmod(seconds, 60)
    return b'"%s %02d:%02d:%02d %s"' % (day, *divmod(minutes, 60), second, zone)


_DATE: Final = re.compile(
    rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)([0-5]\d)"
)


def early(raw: str | None) -> Received | None:
    """An INTERNALDATE before 1970, which archives keep verbatim, as an instant; None if it is none.

    To compare with what was sent: no server is asked for such a date but by us.
    """
    found = _DATE.fullmatch((raw or "").encode("utf-8", "replace"))
    month = found[2].capitalize() if found is not None else b""
    if found is None or month not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[at]) for at in (1, 3, 4, 5, 6))
    zone = dt.timedelta(hours=int(found[7]), minutes=int(found[7][:1] + found[8]))
    try:
        moment = dt.datetime(
            year, _MONTHS.index(month) + 1, day, hour, minute, second, tzinfo=dt.timezone(zone)
        )
        epoch = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    return Received(moment.isoformat(), epoch // dt.timedelta(seconds=1), raw)


def head(flags: tuple[str, ...], received: Received) -> bytes | None:
    """What stands before the literal, a blank at both ends; None if the flags take too much."""
    listed = flag_list(flags)
    if len(listed) > MAX_FLAGS:
        return None
    date = date_time(received)
    return b" " + listed + b" " if date is None else b" " + listed + b" " + date + b" "


_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")


def has_utf8_header(octets: bytes) -> bool:
    """Whether its header is UTF-8 that is not ASCII: such a message is to be marked as UTF8.

    Asked only where UTF8=ACCEPT is enabled (RFC 6855 §4).
    """
    if octets.isascii():
        return False
    end = _HEADER_END.search(octets)
    header = octets if end is None else octets[: end.start()]
    if header.isascii() or b"\0" in octets:
        return False
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def opening(size: int, *, ahead: bool, utf8: bool) -> bytes:
    """The start of a literal. ``ahead``: it is not waited for (RFC 7888); ``utf8``: RFC 6855 §4."""
    mark = b"+" if ahead else b""
    return b"%s{%d%s}\r\n" % (b"UTF8 (~" if utf8 else b"", size, mark)

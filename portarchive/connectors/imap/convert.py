"""Values of the wire made values of a record: dates, object ids. Pure, cached where it is hot."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final

from portarchive.records import Received

_DAY: Final = re.compile(rb"[ 0-3][0-9]-[A-Za-z]{3}-[0-9]{4}")
_ZONE: Final = re.compile(rb"[+-][0-9]{4}")
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
         b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1,
    )
}  # fmt: skip
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_TWO: Final = {b"%02d" % value: value for value in range(61)}

UNKNOWN: Final = Received(None, None, None)
"""The server named no date."""

OBJECT_ID: Final = re.compile(rb"[A-Za-z0-9_-]{1,255}")
"""The grammar of RFC 8474 §7; what does not match is ignored (Cyrus sends garbage at times)."""


@lru_cache(maxsize=8192)
def _day(day: bytes, zone: bytes) -> tuple[str, str, int] | None:
    """``"YYYY-MM-DDT"``, ``"+hh:mm"``, epoch of that midnight; None if there is no such day."""
    if _DAY.fullmatch(day) is None or _ZONE.fullmatch(zone) is None:
        return None
    month = _MONTHS.get(day[3:6].lower())
    hours, minutes = int(zone[1:3]), int(zone[3:5])
    if month is None or hours > 23 or minutes > 59:
        return None
    try:
        date = dt.date(int(day[7:]), month, int(day[:2]))
    except ValueError:
        return None
    offset = (hours * 60 + minutes) * 60 * (-1 if zone[:1] == b"-" else 1)
    text = f"{zone[:3].decode('ascii')}:{zone[3:].decode('ascii')}"
    return f"{date.isoformat()}T", text, (date.toordinal() - _EPOCH) * 86400 - offset


def received(raw: bytes | None) -> Received:
    """INTERNALDATE (``date-time`` of RFC 9051 §9) as RFC 3339 with the offset of the server.

    A date is usable when it names a real instant that is not before 1970-01-01T00:00:00Z: an
    instant before the epoch is what servers make of a date they do not have (30-Dec-1899), and
    importers and time stamps of files cannot hold it. Anything else is kept verbatim in ``raw``.
    The leap second 60 is the instant of the next minute's 0, which RFC 3339 may spell ``:60``.

    Args:
        raw: between the quotes; None or empty if the server named none.
    """
    if not raw:
        return UNKNOWN
    if len(raw) == 25 and raw[1:2] == b"-":  # a day of one digit without its blank
        return received(b"0" + raw)
    hour, minute, second = _TWO.get(raw[12:14]), _TWO.get(raw[15:17]), _TWO.get(raw[18:20])
    if (
        hour is not None and minute is not None and second is not None
        and hour < 24 and minute < 60
        and len(raw) == 26 and raw[14] == raw[17] == 58 and raw[11] == raw[20] == 32
    ):  # fmt: skip
        day = _day(raw[:11], raw[21:])
        if day is not None:
            epoch = day[2] + hour * 3600 + minute * 60 + second
            if epoch >= 0:
                return Received(f"{day[0]}{raw[12:20].decode('ascii')}{day[1]}", epoch)
    return Received(None, None, verbatim(raw))


@lru_cache(maxsize=1024)
def save_date(raw: bytes | None) -> str | None:
    """SAVEDATE (RFC 8514) as RFC 3339; None for NIL and for what is no date.

    Remembered: what was delivered or copied together was saved in the same second.
    """
    return received(raw).text if raw else None


def verbatim(raw: bytes) -> str:
    """Octets of the server as text: UTF-8, else Latin-1; never raises, loses nothing."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def object_id(token: object) -> str | None:
    """An object id from ``(id)`` or ``id``; None for NIL and for what breaks the grammar."""
    if isinstance(token, list):
        token = token[0] if len(token) == 1 else None
    if isinstance(token, bytes) and OBJECT_ID.fullmatch(token):
        return token.decode("ascii")
    return None


def object_ids(token: object) -> dict[str, str]:
    """The ids of a compound ``OBJECTID (EMAILID m THREADID t)`` by name, upper case.

    As draft-ietf-mailmaint-imap-objectid-bis has it: missing keys are left out, none at all is
    legal. What breaks the grammar of an id is ignored.
    """
    found: dict[str, str] = {}
    pairs = token if isinstance(token, list) else []
    for name, value in zip(pairs[::2], pairs[1::2], strict=False):
        known = object_id(value)
        if isinstance(name, bytes) and known is not None:
            found[name.decode("ascii", "replace").upper()] = known
    return found


_FIELD: Final = re.compile(rb"message-id[ \t]*:(.*?)\r?\n(?![ \t])", re.IGNORECASE | re.DOTALL)


def message_id(header: bytes) -> bytes:
    """The value of the first Message-ID field of ``BODY[HEADER.FIELDS (MESSAGE-ID)]``.

    Unfolded (RFC 5322 §2.2.3) and without blanks around it; ``b""`` if there is none.
    """
    found = _FIELD.match(header + b"\r\n")
    return re.sub(rb"\r?\n(?=[ \t])", b"", found[1]).strip() if found else b""

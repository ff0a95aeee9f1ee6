"""Delivery status notifications (RFC 3464, RFC 6522): one row a recipient.

Recognised by media types, never by a subject. A broken one is kept as far as it can be read and
says so in ``error``. Refuses to look for the sent message: that needs the whole archive.
"""

from __future__ import annotations

import re
from typing import Any, Final

from portarchive.index import dates, status_codes, words
from portarchive.index.authentication import without_comments
from portarchive.index.header import Fields, Octets, Wanted, fields_of, read
from portarchive.index.identifiers import message_id
from portarchive.index.structure import MESSAGES, Part, Structure, decoded

STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
RECIPIENTS: Final = 1000
"""Recipients of one report."""
TEXT: Final = 2000
"""Characters of a value."""
_LONGEST: Final = 4 << 20
_HEADERS: Final = frozenset({"text/rfc822-headers", "message/global-headers"})
_GROUPS: Final = re.compile(rb"\n[ \t]*\n\s*")
_RECIPIENT: Final = frozenset({b"final-recipient", b"action", b"status", b"original-recipient"})
_ACTIONS: Final = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_XTEXT: Final = re.compile(rb"\+([0-9A-F]{2})")

_ORIGINAL: Final = Wanted({b"message-id", b"cfbl-feedback-id"})
_ALL: Final = Wanted(None)


def rows(octets: Octets, found: Structure) -> list[dict[str, Any]]:
    """The rows of a message; none if it is no notification. Keys are columns of docs/index.md."""
    parts = [part for part in found.parts if part.media_type in STATUS_TYPES]
    claimed = (
        found.media_type == "multipart/report"
        and found.valued.token(b"report-type") == "delivery-status"
    )
    if not parts:
        return [{"ordinal": 0, "error": "no-status-part"}] if claimed else []
    original = original_message_id(octets, found)
    out: list[dict[str, Any]] = []
    for part in parts:
        out += _of_part(octets, part)
    for number, row in enumerate(out):
        row["ordinal"] = number
        row["original_message_id"] = original
    return out[:RECIPIENTS]


def original_fields(octets: Octets, found: Structure) -> Fields:
    """The fields of the returned message or header that identify it."""
    for part in found.parts:
        if part.kind == "report" and (part.media_type in MESSAGES or part.media_type in _HEADERS):
            if part.encoding in {"base64", "quoted-printable"}:
                piece = decoded(octets, part, _LONGEST)
                return read(piece, 0, len(piece), _ORIGINAL).fields
            return read(octets, part.start, part.end, _ORIGINAL).fields
    return {}


def original_message_id(octets: Octets, found: Structure) -> str | None:
    """The Message-ID of the returned message."""
    told = original_fields(octets, found).get(b"message-id")
    return message_id(told[0])[0] if told else None


def groups(octets: Octets, part: Part) -> list[Fields]:
    """The groups of fields of a part that is made of them."""
    text = decoded(octets, part, _LONGEST).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    out = []
    for group in _GROUPS.split(text.strip(b"\n"), maxsplit=RECIPIENTS + 1):
        fields, _ = fields_of(group, _ALL)
        if fields:
            out.append(fields)
    return out


def _of_part(octets: Octets, part: Part) -> list[dict[str, Any]]:
    found = groups(octets, part)
    if not found:
        return [{"error": "status-empty"}]
    whole = found[0]
    first = next(
        (number for number, one in enumerate(found) if not _RECIPIENT.isdisjoint(one)), len(found)
    )
    recipients = found[first:]
    # otherwise there is no empty line between, no group of the message, or a line too many in it
    trouble = None if first == 1 else "status-groups"
    for group in found[1:first]:
        for name, values in group.items():
            whole.setdefault(name, []).extend(values)
    if b"reporting-mta" not in whole:
        trouble = trouble or "no-reporting-mta"
    if not recipients:
        return [{**_of_message(whole), "error": "no-recipient"}]
    about = _of_message(whole)
    return [{**about, **_of_recipient(fields, trouble)} for fields in recipients]


def _of_message(fields: Fields) -> dict[str, Any]:
    arrival = _value(fields, b"arrival-date")
    envelope = _value(fields, b"original-envelope-id")
    return {
        "reporting_mta": _typed(fields, b"reporting-mta")[1],
        "dsn_gateway": _typed(fields, b"dsn-gateway")[1],
        "received_from_mta": _typed(fields, b"received-from-mta")[1],
        "arrival_date": instant(arrival),
        "original_envelope_id": None if envelope is None else xtext(envelope),
    }


def _of_recipient(fields: Fields, trouble: str | None) -> dict[str, Any]:
    action = _value(fields, b"action")
    status = _value(fields, b"status")
    final_type, final = _typed(fields, b"final-recipient")
    original_type, original = _typed(fields, b"original-recipient")
    diagnostic_type, diagnostic = _typed(fields, b"diagnostic-code", comments=True)
    told = None if action is None else _text(without_comments(action)).strip().lower()
    code = None if status is None else _text(status)
    explained = status_codes.explain(code) if code is not None else status_codes.NONE
    if final is None:
        trouble = trouble or "no-final-recipient"
    if told not in _ACTIONS:
        trouble = trouble or ("no-action" if told is None else "action-unknown")
    if explained.status_class is None:
        trouble = trouble or ("no-status" if code is None else "status-bad")
    return {
        "final_recipient": final,
        "final_recipient_type": final_type,
        "original_recipient": original,
        "original_recipient_type": original_type,
        "action": told,
        "status": code,
        **explained._asdict(),
        "remote_mta": _typed(fields, b"remote-mta")[1],
        "diagnostic_type": diagnostic_type,
        "diagnostic_text": diagnostic,
        "last_attempt_date": instant(_value(fields, b"last-attempt-date")),
        "will_retry_until": instant(_value(fields, b"will-retry-until")),
        "final_log_id": _optional(_value(fields, b"final-log-id")),
        "error": trouble,
    }


def instant(value: bytes | None) -> int | None:
    """A date of a report, milliseconds since 1970 UTC."""
    found = None if value is None else dates.parse(value)
    return None if found is None else found.epoch


def xtext(value: bytes) -> str:
    """An envelope id without the encoding it has in SMTP (RFC 3461 §4)."""
    return _text(_XTEXT.sub(lambda pair: bytes([int(pair[1], 16)]), value))


def _value(fields: Fields, name: bytes) -> bytes | None:
    told = fields.get(name)
    return told[0] if told and told[0] else None


def _text(value: bytes) -> str:
    return words.decode(value)[0][:TEXT]


def _optional(value: bytes | None) -> str | None:
    return None if value is None else _text(value)


def _typed(fields: Fields, name: bytes, *, comments: bool = False) -> tuple[str | None, str | None]:
    """``type; value`` (RFC 3464 §2.1.2). Without a type all of it is the value."""
    value = _value(fields, name)
    if value is None:
        return None, None
    kind, semicolon, rest = value.partition(b";")
    if not semicolon:
        kind, rest = b"", value
    text = _text(rest if comments else without_comments(rest)).strip()
    told = _text(without_comments(kind)).strip().lower()[:64]
    return told or None, text or None

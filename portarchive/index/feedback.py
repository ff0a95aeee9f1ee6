"""Feedback reports: ARF (RFC 5965, RFC 6430, RFC 6591), and what CFBL adds to them (RFC 9477).

One row a report. Part three is what counts (RFC 5965 §2 g); it may be redacted. A malformed report
is kept as far as it can be read, and says so in ``errors``. None is ever sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from portarchive.index import words
from portarchive.index.authentication import after_comment, without_comments
from portarchive.index.delivery import TEXT, groups, instant, original_fields, xtext
from portarchive.index.header import Fields, Octets
from portarchive.index.identifiers import message_id
from portarchive.index.mailing import feedback_of
from portarchive.index.structure import Structure

_TYPE: Final = "message/feedback-report"
_ONCE: Final = (b"feedback-type", b"user-agent", b"version")
_AT_MOST_ONCE: Final = (
    b"original-envelope-id",
    b"original-mail-from",
    b"arrival-date",
    b"received-date",
    b"reporting-mta",
    b"source-ip",
    b"incidents",
)
_MANY: Final = 100
_COMMENT: Final = re.compile(rb"\s+\(")
_INCIDENTS: Final = 2**32 - 1


def rows(octets: Octets, found: Structure) -> list[dict[str, Any]]:
    """The rows of a message; none if it is no report. Keys are columns of docs/index.md."""
    parts = [part for part in found.parts if part.media_type == _TYPE]
    claimed = (
        found.media_type == "multipart/report"
        and found.valued.token(b"report-type") == "feedback-report"
    )
    if not parts:
        return [{"ordinal": 0, "errors": ["no-report-part"]}] if claimed else []
    original = original_fields(octets, found)
    out = []
    for number, part in enumerate(parts):
        told: Fields = {}
        for group in groups(octets, part):
            for name, values in group.items():
                told.setdefault(name, []).extend(values)
        out.append({"ordinal": number, **_row(told, original, claimed=claimed)})
    return out


def _row(told: Fields, original: Fields, *, claimed: bool) -> dict[str, Any]:
    identifier = original.get(b"message-id")
    feedback_id = original.get(b"cfbl-feedback-id")
    incidents = _one(told, b"incidents")
    errors = _errors(told)
    if not claimed:
        errors.append("not-multipart-report")
    if not original:
        errors.append("no-original")
    envelope = told.get(b"original-envelope-id")
    arrival = told.get(b"arrival-date") or told.get(b"received-date")
    count = int(incidents) if incidents and incidents.isdecimal() and len(incidents) < 11 else None
    return {
        "feedback_type": _lower(_one(told, b"feedback-type")),
        "user_agent": _one(told, b"user-agent"),
        "version": _one(told, b"version"),
        "original_mail_from": _path(told, b"original-mail-from"),
        "original_rcpt_to": _paths(told, b"original-rcpt-to"),
        "original_envelope_id": xtext(envelope[0]) if envelope else None,
        "arrival_date": instant(arrival[0]) if arrival else None,
        "reporting_mta": _mta(_one(told, b"reporting-mta")),
        "source_ip": _one(told, b"source-ip"),
        "incidents": count if count is not None and count <= _INCIDENTS else None,
        "authentication_results": _list(told, b"authentication-results"),
        "reported_domains": _list(told, b"reported-domain", bare=without_comments),
        "reported_uris": _list(told, b"reported-uri", bare=_uri),
        "original_message_id": message_id(identifier[0])[0] if identifier else None,
        "cfbl_feedback_id": feedback_of(feedback_id[0]) if feedback_id else None,
        "errors": errors,
    }


def _errors(told: Fields) -> list[str]:
    errors = [f"no-{name.decode()}" for name in _ONCE if name not in told]
    errors += [
        f"repeated-{name.decode()}"
        for name in (*_ONCE, *_AT_MOST_ONCE)
        if len(told.get(name, ())) > 1
    ]
    if b"arrival-date" in told and b"received-date" in told:
        errors.append("two-arrival-dates")  # RFC 5965 §3.2
    return errors


def _one(told: Fields, name: bytes) -> str | None:
    values = told.get(name)
    if not values:
        return None
    return words.decode(without_comments(values[0]))[0].strip()[:TEXT] or None


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _path(told: Fields, name: bytes) -> str | None:
    values = _paths(told, name)
    return values[0] if values else None


def _paths(told: Fields, name: bytes) -> list[str]:
    return [text.strip("<> ") for text in _list(told, name, bare=without_comments)]


def _list(told: Fields, name: bytes, *, bare: Callable[[bytes], bytes] = bytes) -> list[str]:
    return [words.decode(bare(one))[0].strip()[:TEXT] for one in told.get(name, ())[:_MANY]]


def _uri(value: bytes) -> bytes:
    """A URI without the comments around it (RFC 5965 §3.5); a parenthesis within is part of it."""
    value = value.strip()
    while value.startswith(b"("):
        value = value[after_comment(value, 1) :].lstrip()
    return _COMMENT.split(value, maxsplit=1)[0]


def _mta(text: str | None) -> str | None:
    return None if text is None else text.partition(";")[2].strip() or text

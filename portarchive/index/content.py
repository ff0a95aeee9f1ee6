"""The content of one message: everything that its octets tell, as the columns of the index.

A pure function of the octets and of what the item claims of them, so that what was read once need
not be read again. Never raises for anything that is in a message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from portarchive.index import (
    addresses,
    authentication,
    columns,
    dates,
    delivery,
    feedback,
    header,
    identifiers,
    mailing,
    structure,
    words,
)
from portarchive.index.addresses import Address
from portarchive.index.header import Fields, Octets

RAW: Final = 4000
"""Characters of a raw value, and of a subject."""
_DATE: Final = 1000
_TYPES: Final = 64
_NAMES: Final = 100
_MOST: Final = 32767

_ONCE: Final = frozenset(
    {
        b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc",
        b"message-id", b"in-reply-to", b"references", b"subject",
    }
)  # fmt: skip
_WANTED: Final = header.Wanted(
    {
        *_ONCE,
        *structure.PART_FIELDS,
        *mailing.FIELDS,
        b"dkim-signature",
        b"authentication-results",
    }
)
_REPORTS: Final = frozenset({"multipart/report", *structure.REPORT})


class Content(NamedTuple):
    """What a message tells.

    Attributes:
        row: values of ``columns.CONTENT``.
        attachments: values of ``columns.ATTACHMENTS`` from ``ordinal`` on.
        delivery_status, feedback_reports: by name of column, without ``row_id`` and the link.
        thread_ids: numbers of its own identifier (0: it has none) and of those it refers to.
    """

    row: list[Any]
    attachments: list[tuple[Any, ...]]
    delivery_status: list[dict[str, Any]]
    feedback_reports: list[dict[str, Any]]
    thread_ids: list[int]


def blank(size: int | None, sha256: str | None, defect: str) -> Content:
    """The content of a message whose octets are not to be had."""
    row: list[Any] = [None] * len(columns.CONTENT)
    for number, column in enumerate(columns.CONTENT):
        if column.kind == "strings" or column.kind.startswith("list"):
            row[number] = []
        elif column.name in {"one_click", "wrong_recipient", "expires_ambiguous"}:
            row[number] = False
        elif column.name in {"expires_count", "attachment_count", "inline_count"}:
            row[number] = 0
    row[0] = size if size is not None and size <= columns.LARGEST else None
    row[1], row[-1] = sha256, [defect]
    return Content(row, [], [], [], [0])


def read(octets: Octets, size: int | None = None, sha256: str | None = None) -> Content:
    """What a message tells.

    Args:
        octets: all of it.
        size: as its item claims; None if it does not.
        sha256: likewise.
    """
    length = len(octets)
    digest = hashlib.sha256(octets).hexdigest()
    defects: set[str] = set()
    if sha256 is not None and sha256 != digest:
        defects.add("digest-mismatch")
    if size is not None and size != length:
        defects.add("size-mismatch")
    found = header.read(octets, 0, length, _WANTED)
    fields = found.fields
    defects.update(found.defects)
    if octets.find(b"\0", 0, min(found.body, header.LIMIT)) >= 0:
        defects.add("nul")
    shape = structure.structure(octets, fields, found.body, length)
    defects.update(shape.defects)
    _look_for_what_is_missing(fields, defects)

    fallback = charset_of(shape)
    date = _date(fields, defects)
    from_ = _people(fields, b"from", fallback, defects)
    first = from_[0][0] if from_[0] else None
    if first is None:
        defects.add("from-missing")
    subject, subject_raw = _subject(fields, fallback, defects)
    identifier, in_reply_to, references = _identifiers(fields, defects)
    signatures = authentication.signatures(fields.get(b"dkim-signature", ()))
    mail = mailing.read(fields, signatures)
    if mail.expires_count and not all(dates.parse(one) for one in fields[b"expires"]):
        defects.add("expires-bad")
    parts = _attachments(octets, shape)
    status: list[dict[str, Any]] = []
    reports: list[dict[str, Any]] = []
    if not _REPORTS.isdisjoint(shape.media_types):
        status = delivery.rows(octets, shape)
        reports = feedback.rows(octets, shape)
    row = [
        length,
        digest,
        found.body,
        *date,
        *_of_first(first),
        *from_,
        *_people(fields, b"sender", fallback, defects),
        *_people(fields, b"reply-to", fallback, defects),
        *_people(fields, b"to", fallback, defects),
        *_people(fields, b"cc", fallback, defects),
        *_people(fields, b"bcc", fallback, defects),
        subject,
        subject_raw,
        identifier,
        in_reply_to,
        references,
        *mail[:6],
        list(dict.fromkeys(one.domain for one in signatures if one.domain)),
        sorted({name for one in signatures for name in one.fields})[: authentication.RESULTS],
        *mail[6:],
        shape.media_type,
        list(dict.fromkeys(shape.media_types))[:_TYPES],
        _report_type(shape),
        *_summary(parts),
        authentication.results(fields.get(b"authentication-results", ())),
        sorted(defects),
    ]
    return Content(row, parts, status, reports, thread_ids(identifier, in_reply_to, references))


def thread_ids(
    identifier: str | None, in_reply_to: Sequence[str], references: Sequence[str]
) -> list[int]:
    """The numbers that threads are computed with: 64 bits of a digest of each identifier."""
    own = _number(identifier) if identifier else 0
    if not in_reply_to and not references:
        return [own]
    return [own, *(_number(one) for one in dict.fromkeys((*references, *in_reply_to)))]


def _number(identifier: str) -> int:
    octets = identifier.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(octets, digest_size=8).digest(), "little") >> 1 or 1


def _look_for_what_is_missing(fields: Fields, defects: set[str]) -> None:
    if not fields:
        defects.add("no-header")
    if b"date" not in fields:
        defects.add("date-missing")
    for name, told in fields.items():
        if len(told) > 1 and name in _ONCE:
            defects.add("repeated-field")


def charset_of(shape: structure.Structure) -> str | None:
    """The charset that a message names first, for fields with bare octets that are not UTF-8."""
    told = shape.valued.token(b"charset")
    if told is None and shape.parts and shape.parts[0].kind == "text":
        told = shape.parts[0].valued.token(b"charset")
    return told


def _date(fields: Fields, defects: set[str]) -> tuple[int | None, int | None, str | None]:
    told = fields.get(b"date")
    if told is None:
        return None, None, None
    found = dates.parse(told[0])
    raw = words.raw(told[0], _DATE)
    if found is None:
        defects.add("date-bad")
        return None, None, raw
    return found.epoch, found.offset, raw


def _people(
    fields: Fields, name: bytes, fallback: str | None, defects: set[str]
) -> tuple[tuple[Address, ...], str | None]:
    """The addresses of a field, and the field as written if it is more than that."""
    told = fields.get(name)
    if told is None:
        return (), None
    value = told[0] if len(told) == 1 else b", ".join(told)
    found, good = addresses.parse(value, fallback)
    if good:
        if not value.isascii() or b"=?" in value:
            _, trouble = words.decode(value, fallback)
            if trouble is not None and trouble != "value-cut":
                defects.add(trouble)
                return found, words.raw(value, RAW)
        return found, None
    if len(found) >= addresses.MOST or len(value) >= addresses.LONGEST:
        defects.add("addresses-cut")
    else:
        defects.add("address-odd")
    return found, words.raw(value, RAW)


def _of_first(first: Address | None) -> tuple[str | None, str | None, str | None]:
    if first is None:
        return None, None, None
    address = first.address.lower()
    _, at, domain = address.rpartition("@")
    return address or None, first.name or None, (domain or None) if at else None


def _subject(
    fields: Fields, fallback: str | None, defects: set[str]
) -> tuple[str | None, str | None]:
    told = fields.get(b"subject")
    if told is None:
        return None, None
    text, trouble = words.decode(told[0], fallback)
    if len(text) > RAW:
        text, trouble = text[:RAW], trouble or "value-cut"
    if trouble is None:
        return text, None
    defects.add(trouble)
    return text, words.raw(told[0], RAW)


def _identifiers(fields: Fields, defects: set[str]) -> tuple[str | None, list[str], list[str]]:
    own = None
    told = fields.get(b"message-id")
    if told is not None:
        own, good = identifiers.message_id(told[0])
        if not good:
            defects.add("message-id-odd")
    reply = fields.get(b"in-reply-to")
    before = fields.get(b"references")
    return (
        own,
        identifiers.references(reply) if reply else [],
        identifiers.references(before) if before else [],
    )


def _report_type(shape: structure.Structure) -> str | None:
    if shape.media_type != "multipart/report":
        return None
    told = shape.valued.token(b"report-type")
    return None if told is None else told[:64]


def _summary(parts: list[tuple[Any, ...]]) -> tuple[int, int, int, list[str]]:
    """How many attachments and inline parts, their octets, their names."""
    if not parts:
        return 0, 0, 0, []
    counted = [part for part in parts if part[4] != "signature"]
    attached = sum(part[4] == "attachment" for part in counted)
    return (
        min(attached, _MOST),
        min(len(counted) - attached, _MOST),
        sum(part[8] for part in counted),
        [part[2] for part in counted if part[2]][:_NAMES],
    )


def _attachments(octets: Octets, shape: structure.Structure) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = []
    for part in shape.parts:
        if part.kind in {"text", "report"}:
            continue
        out.append(
            (
                len(out),
                part.number,
                part.name,
                part.media_type,
                part.kind,
                part.disposition or None,
                part.content_id,
                part.encoding,
                structure.decoded_size(octets, part),
                part.end - part.start,
            )
        )
    return out

"""Mailing: lists, one-click and wrong-recipient offers, complaint addresses, and Expires.

RFC 2369, RFC 2919, RFC 8058, draft-ietf-mailmaint-wrong-recipient, RFC 9477, RFC 10080. URIs are
text here. Nothing is ever fetched, posted or resolved.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from portarchive.index import dates, words
from portarchive.index.authentication import Signature, after_comment, without_comments
from portarchive.index.dates import Instant
from portarchive.index.header import Fields

FIELDS: Final = frozenset(
    {
        b"list-id",
        b"list-unsubscribe",
        b"list-unsubscribe-post",
        b"cfbl-address",
        b"cfbl-feedback-id",
        b"expires",
        b"expires-because",
    }
)
URIS: Final = 20
"""URIs of List-Unsubscribe and complaint addresses that are kept."""
URI: Final = 2048
"""Characters of a URI."""
_TEXT: Final = 1000
_LONGEST: Final = 1 << 16
_ANGLE: Final = re.compile(rb"<([^<>]*)>")
_ANGLE_OR_COMMENT: Final = re.compile(rb"<([^<>]*)>|\(")
_SECURE: Final = re.compile(
    rb"https://(?:[!$-.0-;=A-Z_a-z~]*@)?(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_][0-9A-Za-z._~%-]*)(?::[0-9]*)?"
    rb"(?:[/?#][!-~]*)?",
    re.IGNORECASE,
)
_BLANKS: Final = re.compile(rb"\s+")
_ONE_CLICK: Final = b"list-unsubscribe=one-click"
_WRONG_RECIPIENT: Final = b"wrong-recipient=one-click"
_ARGUMENTS: Final = re.compile(rb"[\s,;&]+")
_REPORT: Final = re.compile(rb";\s*report\s*=\s*\"?([A-Za-z0-9-]{1,32})", re.IGNORECASE)


class Complaint(NamedTuple):
    """A CFBL-Address: where complaints go, and in which format (``arf`` or ``xarf``)."""

    address: str
    report: str


class Mailing(NamedTuple):
    """What the fields say; the attributes are columns of docs/index.md."""

    list_id: str | None
    list_unsubscribe: list[str]
    list_unsubscribe_post: str | None
    one_click: bool
    wrong_recipient: bool
    dkim_covers_list_headers: bool | None
    cfbl_addresses: list[Complaint]
    cfbl_feedback_id: str | None
    expires_at: int | None
    expires_raw: str | None
    expires_count: int
    expires_valid: bool | None
    expires_ambiguous: bool
    expires_because: str | None


NONE: Final = Mailing(
    None, [], None, False, False, None, [], None, None, None, 0, None, False, None
)  # fmt: skip


def read(fields: Fields, signatures: list[Signature]) -> Mailing:
    """What a header says."""
    if FIELDS.isdisjoint(fields):
        return NONE
    uris = _uris(fields)
    post = fields.get(b"list-unsubscribe-post", [])
    one_click, wrong_recipient = _offers(fields, uris, post)
    expires = fields.get(b"expires", [])
    latest, spelled, valid = _expires(expires)
    feedback_id = fields.get(b"cfbl-feedback-id")
    because = fields.get(b"expires-because")
    return Mailing(
        list_id=_list_id(fields),
        list_unsubscribe=[words.raw(uri, URI) for uri in (uris or _unbracketed(fields))[:URIS]],
        list_unsubscribe_post=words.raw(b", ".join(post), _TEXT) if post else None,
        one_click=one_click,
        wrong_recipient=wrong_recipient,
        dkim_covers_list_headers=_covers(fields, signatures),
        cfbl_addresses=_complaints(fields),
        cfbl_feedback_id=feedback_of(feedback_id[0]) if feedback_id else None,
        expires_at=latest.epoch if latest else None,
        expires_raw=words.raw(spelled, _TEXT) if spelled is not None else None,
        expires_count=len(expires),
        expires_valid=valid if expires else None,
        expires_ambiguous=len(expires) > 1,
        expires_because=words.decode(because[0])[0][:_TEXT] if because else None,
    )


def feedback_of(value: bytes) -> str:
    """A CFBL-Feedback-ID without comments and blanks, which do not count (RFC 9477 §3.2)."""
    return words.raw(_BLANKS.sub(b"", without_comments(value[:_LONGEST])), _TEXT)


def _list_id(fields: Fields) -> str | None:
    told = fields.get(b"list-id")
    if not told:
        return None
    found = _ANGLE.findall(told[0][:_LONGEST])
    if found:
        return words.raw(_BLANKS.sub(b"", found[-1]).lower(), _TEXT)
    return words.decode(told[0])[0][:_TEXT]


def _uris(fields: Fields) -> list[bytes]:
    """All URIs in order (RFC 2369 §2: in angle brackets, blanks within them do not count).

    A parenthesis in a URI is part of it; outside of the brackets it opens a comment.
    """
    out = []
    for value in fields.get(b"list-unsubscribe", []):
        cut = value[:_LONGEST]
        at = 0
        while (found := _ANGLE_OR_COMMENT.search(cut, at)) is not None:
            at = found.end()
            if found[1] is None:
                at = after_comment(cut, at)
            else:
                out.append(_BLANKS.sub(b"", found[1]))
    return out


def _unbracketed(fields: Fields) -> list[bytes]:
    """What a writer means that forgets the brackets."""
    told = [value.strip() for value in fields.get(b"list-unsubscribe", [])]
    return [one for one in told if b":" in one and b" " not in one and len(one) < URI]


def _offers(fields: Fields, uris: list[bytes], post: list[bytes]) -> tuple[bool, bool]:
    """RFC 8058 §3.1: one field each, one https URI and no http URI, the single pair of the post.

    Of the draft: an https URI, and its argument among those of the post. Arguments compare
    without regard to case, as literals of an ABNF do. An https URI has a host (RFC 9110 §4.2.2).

    Args:
        fields: the header.
        uris: all of List-Unsubscribe, in angle brackets, none left out.
        post: the values of List-Unsubscribe-Post.
    """
    secure = [uri for uri in uris if uri[:6].lower() == b"https:"]
    if not post or not any(_SECURE.fullmatch(uri) for uri in secure):
        return False, False
    arguments = [one for one in _ARGUMENTS.split(b" ".join(post).lower()) if one]
    one_click = (
        arguments == [_ONE_CLICK]
        and len(secure) == 1
        and not any(uri[:5].lower() == b"http:" for uri in uris)
        and len(fields[b"list-unsubscribe"]) == 1
    )
    return one_click, _WRONG_RECIPIENT in arguments


def _covers(fields: Fields, signatures: list[Signature]) -> bool | None:
    """Whether one signature covers both fields (RFC 8058 §4); None if there is nothing to cover."""
    if b"list-unsubscribe" not in fields:
        return None
    wanted = {"list-unsubscribe", "list-unsubscribe-post"}
    return any(wanted <= signature.fields for signature in signatures)


def _complaints(fields: Fields) -> list[Complaint]:
    out = []
    for value in fields.get(b"cfbl-address", [])[:URIS]:
        told = without_comments(value[:_LONGEST])
        report = _REPORT.search(told)
        address = words.raw(_BLANKS.sub(b"", told.partition(b";")[0]).strip(b"<>"), 512)
        out.append(Complaint(address, report[1].decode("ascii").lower() if report else "arf"))
    return out


def _expires(values: list[bytes]) -> tuple[Instant | None, bytes | None, bool]:
    """The latest instant, the field it stands in (else the first one), and whether that is valid.

    The latest keeps a message in force for longest: a field that somebody added cannot hide it.
    """
    best: tuple[Instant, bytes] | None = None
    for value in values:
        instant = dates.parse(value)
        if instant is not None and (best is None or instant.epoch > best[0].epoch):
            best = instant, value
    if best is None:
        return None, values[0] if values else None, False
    return best[0], best[1], dates.is_grammatical(best[1])

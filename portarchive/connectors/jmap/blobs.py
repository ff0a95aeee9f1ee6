"""The octets of many blobs in one answer: ``Blob/get`` (RFC 9404 section 4.2, or Cyrus's own).

Owns how it is asked and what its answer is worth. Octets are asked for in base64 whatever they are:
``data:asText`` would have them pass as text.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from portarchive.connectors.jmap.body import Overrun
from portarchive.connectors.jmap.convert import whole
from portarchive.connectors.jmap.replies import Answer, MethodError, expect
from portarchive.connectors.jmap.resource import MAIL
from portarchive.connectors.jmap.session import Session
from portarchive.errors import ConnectionLost

_DATA: Final = "data:asBase64"
_PROPERTIES: Final = [_DATA, "size"]
_EXISTENCE: Final = ["id", "blobId", "mailboxIds", "keywords"]


def describe(session: Session, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Emails by id as they are now; those that are gone are not in it."""
    return {
        email["id"]: email
        for emails, _ in session.get("Email", ids, _EXISTENCE)
        for email in emails
    }


def fetch(
    session: Session, sizes: Mapping[str, int], capability: str
) -> dict[str, bytes] | MethodError:
    """The octets of blobs, those that came whole, by id; or why there are none at all.

    Args:
        session: logged in.
        sizes: by the ids that are wanted, octets that the message has, 0 if that is not known.
        capability: the one that brings ``Blob/get``.

    Raises:
        RateLimited: also for ``serverUnavailable``; and what ``Session.call`` raises.
    """
    arguments = {"ids": list(sizes), "properties": _PROPERTIES}
    answer = session.call([("Blob/get", arguments)], using=(MAIL, capability))[0]
    if not isinstance(answer, MethodError):
        return _octets(answer, sizes)
    if answer.type == "serverUnavailable":
        expect("Blob/get", answer)
    return answer


def piece(
    session: Session, capability: str, blob_id: str, size: int, offset: int, length: int
) -> bytes:
    """Some octets out of the middle of a blob.

    Args:
        session: logged in.
        capability: the one that brings ``Blob/get``.
        blob_id: whose octets.
        size: octets that the whole message has.
        offset: where to begin.
        length: how many, at most.

    Raises:
        Overrun: the blob has more than the message.
        ConnectionLost: they did not come.
        MethodRefused, and what ``Session.call`` raises.
    """
    arguments = {"ids": [blob_id], "properties": _PROPERTIES, "offset": offset, "length": length}
    answer = session.ask("Blob/get", arguments, using=(MAIL, capability))
    found = answer.get("list")
    blob = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
    if (whole(blob.get("size")) or 0) > size:
        raise Overrun
    octets = _decoded(blob.get(_DATA))
    if octets is None:
        raise ConnectionLost("the server left out the octets of a message")
    return octets


def _octets(answer: Answer, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """What came whole: as many octets as the server itself says the blob has.

    If it does not say so here, no fewer than the message has (RFC 8621 section 4.1.1).
    """
    found = {}
    listed = answer.get("list")
    for blob in listed if isinstance(listed, list) else ():
        if not isinstance(blob, dict) or blob.get("isTruncated") is True:
            continue
        octets, blob_id = _decoded(blob.get(_DATA)), blob.get("id")
        size = whole(blob.get("size"))
        if octets is None or not isinstance(blob_id, str):
            continue
        if len(octets) == size or (size is None and len(octets) >= sizes.get(blob_id, 0)):
            found[blob_id] = octets
    return found


def _decoded(data: object) -> bytes | None:
    if not isinstance(data, str):
        return None
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except (ValueError, binascii.Error):
        return None

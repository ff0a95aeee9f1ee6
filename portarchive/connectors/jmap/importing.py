"""One window of messages becomes Emails: blobs, ``Email/import``, and what the server says of each.

A message that the account has already is joined to it; one whose blob got lost is uploaded again;
a request that is too much is halved. Whatever a server says of one message is that one's outcome.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from portarchive import keywords
from portarchive.connectors.jmap.convert import object_id, whole
from portarchive.connectors.jmap.framing import Call
from portarchive.connectors.jmap.join import join
from portarchive.connectors.jmap.refusals import lacks_blob, refusal
from portarchive.connectors.jmap.replies import Answer, LimitReached, MethodError, expect, texts
from portarchive.connectors.jmap.resource import BLOB, CYRUS_BLOB, MAIL, printable
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.transport import HttpRefused
from portarchive.connectors.jmap.windows import FRAME, INLINE, weight
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited
from portarchive.placing import Merged, Parcel, Placed, PlaceOutcome, Refused, Unsure

TRIES: Final = 3
"""How often a blob is uploaded that the server then does not know (failure 24)."""

LAST: Final = 253402300799
"""The last second of 9999: a UTCDate has four digits for the year."""

_FIRST: Final = -62135596800

_NO_METHOD: Final = frozenset({"unknownMethod", "unknownCapability", "accountNotSupportedByMethod"})
_ENDS: Final = frozenset(
    {"serverUnavailable", "accountReadOnly", "forbidden", "accountNotFound", "unknownMethod"}
)
"""Errors that are about no message: every other one would be answered the same."""

Results = list[tuple[Parcel, PlaceOutcome]]


class _Stream:
    """Octets of a parcel with their number, as the transport sends them."""

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel

    def __iter__(self) -> Iterator[bytes]:
        return self._parcel.chunks()

    def __len__(self) -> int:
        return self._parcel.size


class Importer:
    """Imports for one target; safe for threads.

    Args:
        session: logged in.
        latest: the last instant that the server keeps, seconds since 1970.

    Attributes:
        later: the server wants no more for now.
    """

    def __init__(self, session: Session, latest: int) -> None:
        self.later: ConnectorError | None = None
        self._session = session
        self._latest = latest
        self._inline = self._way()
        self._keeps_blob_ids = False

    def _way(self) -> tuple[str, str] | None:
        """Method and capability that make blobs within a request."""
        if self._session.limits.max_calls_in_request < 2:
            return None
        if self._session.has(BLOB):
            return "Blob/upload", BLOB
        if self._session.has(CYRUS_BLOB):
            return "Blob/set", CYRUS_BLOB
        return None

    def run(self, window: Sequence[Parcel]) -> Results:
        """What became of each.

        Raises:
            What ``Session.call`` raises, and what reading a parcel does: nothing is known of any.
        """
        return self._window(window)

    def _window(self, window: Sequence[Parcel], *, inline: bool = True) -> Results:
        results: Results = []
        blobs: dict[int, str] = {}
        created: dict[str, Any] = {}
        way = self._inline if inline else None
        for number, parcel in enumerate(window):
            at_once = self._refused_at_once(parcel)
            if at_once is not None:
                results.append((parcel, at_once))
            elif way is not None and self._fits(parcel, way[1]):
                octets = parcel.octets if parcel.octets is not None else b"".join(parcel.chunks())
                created[f"b{number}"] = _blob(octets, way[1])
                blobs[number] = f"#b{number}"
            else:
                found = self._upload(parcel)
                if isinstance(found, Refused):
                    results.append((parcel, found))
                else:
                    blobs[number] = found
        if not blobs:
            return results
        todo = {f"e{number}": window[number] for number in blobs}
        emails = {f"e{number}": _email(window[number], blob) for number, blob in blobs.items()}
        calls: list[Call] = [("Email/import", {"emails": emails})]
        using = [MAIL]
        if created and way is not None:
            calls.insert(0, (way[0], {"create": created}))
            using.append(way[1])
        inline = bool(created)
        boxes = sorted({spot.folder_id for parcel in todo.values() for spot in parcel.spots})
        looks = self._has_room(len(calls), len(boxes))
        if looks:
            calls.append(("Mailbox/get", {"ids": boxes, "properties": ["id"]}))
        try:
            answers = self._session.call(calls, using=using, together=True)
        except LimitReached:
            return results + self._halves(list(todo.values()), inline=inline)
        there = answers.pop() if looks else {}
        if created and isinstance(answers[0], MethodError):
            if answers[0].type in _NO_METHOD:
                self._inline = None
                return results + self._window(list(todo.values()), inline=False)
            if isinstance(answers[-1], MethodError) or not answers[-1].get("created"):
                # no Email was made without its blob
                return results + self._smaller(answers[0], list(todo.values()), inline=inline)
        sent = {
            f"e{number}": _blob_id(answers[0], f"b{number}") if blob[0] == "#" else blob
            for number, blob in blobs.items()
        }
        return results + _still_there(there, self._sort(answers[-1], todo, sent, inline=inline))

    def _has_room(self, calls: int, boxes: int) -> bool:
        """Whether one request can also look at the mailboxes."""
        limits = self._session.limits
        return calls < limits.max_calls_in_request and boxes <= limits.max_objects_in_get

    def _refused_at_once(self, parcel: Parcel) -> Refused | None:
        if parcel.size == 0:
            return Refused("bad-message", "an empty message is no message")
        epoch = _epoch(parcel)
        if epoch is not None and not -62135596800 <= epoch <= self._latest:
            return Refused("date", "the server keeps no such date")
        return None

    def _fits(self, parcel: Parcel, capability: str) -> bool:
        """Whether its blob can be made within the request."""
        if parcel.size > INLINE or weight(parcel) + FRAME > self._session.limits.max_size_request:
            return False
        own = self._session.account.capabilities.get(capability, {})
        limit = whole(own.get("maxSizeBlobSet"))
        return limit is None or parcel.size <= limit

    def _upload(self, parcel: Parcel) -> str | Refused:
        try:
            octets = parcel.octets if parcel.octets is not None else _Stream(parcel)
            uploaded = self._session.upload(octets)
        except LimitReached as error:
            return Refused("too-big", error.text)
        except HttpRefused as error:
            kind = printable(error.problem.get("type"))
            quota = error.status == 507 or "quota" in kind.lower()
            return Refused("over-quota" if quota else "refused", error.text)
        if uploaded.size != parcel.size:
            text = f"the server counts {uploaded.size} octets of {parcel.size}"
            return Refused("refused", text)
        return uploaded.blob_id

    def _halves(self, parcels: Sequence[Parcel], *, inline: bool) -> Results:
        """A request that was too much, in two; one message alone by an upload."""
        if len(parcels) == 1:
            if inline:
                return self._window(parcels, inline=False)
            return [(parcels[0], Refused("too-big", "the server takes no request of that size"))]
        middle = len(parcels) // 2
        return self._window(parcels[:middle], inline=inline) + self._window(
            parcels[middle:], inline=inline
        )

    def _smaller(self, error: MethodError, parcels: Sequence[Parcel], *, inline: bool) -> Results:
        """After an error of a whole method that did nothing: less at a time."""
        if error.type in _ENDS:
            expect("the import", error)
        if error.type == "serverPartialFail":
            raise ConnectionLost(
                "the server did a part of what it was told, and does not say which"
            )
        if error.type == "requestTooLarge" and len(parcels) > 1:
            self._session.limits.shrink("maxObjectsInSet", len(parcels))
        if len(parcels) == 1 and not inline:
            return [(parcels[0], refusal(error.arguments))]
        return self._halves(parcels, inline=inline)

    def _sort(
        self,
        answer: Answer | MethodError,
        todo: Mapping[str, Parcel],
        sent: Mapping[str, str | None],
        *,
        inline: bool,
        tries: int = TRIES,
    ) -> Results:
        """What Email/import says of each (RFC 8621 section 4.8)."""
        if isinstance(answer, MethodError):
            return self._smaller(answer, list(todo.values()), inline=inline)
        created, failed = _mapping(answer.get("created")), _mapping(answer.get("notCreated"))
        self._keeps_blob_ids = self._keeps_blob_ids or any(
            blob is not None and _mapping(created.get(key)).get("blobId") == blob
            for key, blob in sent.items()
        )
        results: Results = []
        again: list[Parcel] = []
        twins: list[tuple[Parcel, str]] = []
        for key, parcel in todo.items():
            made = _mapping(created.get(key))
            email_id = object_id(made.get("id"))
            if email_id is not None:
                uids = tuple((spot.folder_id, email_id) for spot in parcel.spots)
                altered = self._is_altered(made, parcel, sent.get(key))
                results.append((parcel, Placed(uids, email_id, altered)))
                continue
            error = _mapping(failed.get(key))
            there = object_id(error.get("existingId"))
            if error.get("type") == "alreadyExists" and there is not None:
                twins.append((parcel, there))
            elif error.get("type") == "rateLimit":
                words = printable(error.get("description")) or "so many messages at a time"
                self.later = RateLimited(f"the server takes no more of it now: {words}")
                results.append((parcel, Unsure(words)))
            elif lacks_blob(error) and tries > 1:
                again.append(parcel)
            else:
                results.append((parcel, refusal(error)))
        try:
            results += join(self._session, twins)
        except ConnectionLost as error:
            # what was imported is known; done twice, a join is done once
            self.later = error
            results += [(parcel, Unsure(error.text, email_id)) for parcel, email_id in twins]
            return results + [(parcel, Unsure(error.text)) for parcel in again]
        for parcel in again:
            results += self._again(parcel, tries - 1)
        return results

    def _is_altered(self, made: Mapping[str, Any], parcel: Parcel, sent: str | None) -> bool:
        """Whether the server says that it changed the octets.

        Another blobId says so (RFC 8621 section 4.8), but for servers that give each Email another
        one than the upload had.
        """
        size, blob = whole(made.get("size")), made.get("blobId")
        other = sent is not None and isinstance(blob, str) and blob != sent
        return (size is not None and size != parcel.size) or (other and self._keeps_blob_ids)

    def _again(self, parcel: Parcel, tries: int) -> Results:
        """The server does not know a blob that it has just been given: by upload, once more."""
        found = self._upload(parcel)
        if isinstance(found, Refused):
            return [(parcel, found)]
        answer = self._session.call([("Email/import", {"emails": {"e": _email(parcel, found)}})])
        return self._sort(answer[0], {"e": parcel}, {"e": found}, inline=False, tries=tries)


def _still_there(answer: Answer | MethodError, results: Results) -> Results:
    """Nothing is placed in a mailbox that is gone: Cyrus goes on importing into what it deleted."""
    missing = {} if isinstance(answer, MethodError) else answer.get("notFound")
    gone = texts(missing)
    if not gone:
        return results
    kept: Results = []
    for parcel, outcome in results:
        told: PlaceOutcome = outcome
        if isinstance(outcome, Placed | Merged):
            uids = tuple(pair for pair in outcome.uids if pair[0] not in gone)
            told = outcome._replace(uids=uids)
            if not uids:
                told = Refused("folder-gone", "the mailbox is gone")
        kept.append((parcel, told))
    return kept


def _blob(octets: bytes, capability: str) -> dict[str, Any]:
    """As RFC 9404 section 4.1 has it, or as Cyrus does."""
    data = {"data:asBase64": base64.b64encode(octets).decode("ascii")}
    if capability == BLOB:
        return {"data": [data], "type": "message/rfc822"}
    return {**data, "type": "message/rfc822"}


def _email(parcel: Parcel, blob_id: str) -> dict[str, Any]:
    marks = (keywords.to_jmap(flag) for spot in parcel.spots for flag in spot.flags)
    email: dict[str, Any] = {
        "blobId": blob_id,
        "mailboxIds": {spot.folder_id: True for spot in parcel.spots},
        "keywords": {mark: True for mark in marks if mark is not None},
    }
    epoch = _epoch(parcel)
    if epoch is not None:
        instant = datetime.fromtimestamp(epoch, UTC)
        email["receivedAt"] = instant.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    return email


def _epoch(parcel: Parcel) -> int | None:
    """The earliest of its instants: an Email has one."""
    return min(
        (spot.received.epoch for spot in parcel.spots if spot.received.epoch is not None),
        default=None,
    )


def _blob_id(answer: Answer | MethodError, key: str) -> str | None:
    """The blob that was made within the request."""
    if isinstance(answer, MethodError):
        return None
    made = _mapping(_mapping(answer.get("created")).get(key))
    return object_id(made.get("blobId")) or object_id(made.get("id"))


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}

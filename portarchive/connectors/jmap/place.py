"""Messages are placed: octets become blobs, blobs become Emails, many at a time.

A window of messages is one request where the server can make blobs in a request (``Blob/upload``
of RFC 9404, Cyrus's ``Blob/set``), since an import costs a server much more time than the way to
it; larger messages, and all of them elsewhere, are uploaded first (RFC 8620 section 6.1). Several
windows are on their way at once, as far as the server permits. Nothing is kept as a blob for
later: each window's are used at once, long before they could expire.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from portarchive import keywords
from portarchive.connectors.jmap.convert import object_id, whole
from portarchive.connectors.jmap.framing import Call
from portarchive.connectors.jmap.join import join
from portarchive.connectors.jmap.replies import Answer, LimitReached, MethodError, expect
from portarchive.connectors.jmap.resource import BLOB, CYRUS_BLOB, MAIL, printable
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.transport import HttpRefused
from portarchive.errors import ConnectorError
from portarchive.placing import Parcel, Placed, PlaceOutcome, Refused, Unsure

WINDOW: Final = 50
"""Messages of one request."""

WINDOW_OCTETS: Final = 4 << 20
INLINE: Final = 1 << 20
"""Octets of a message that still travels within a request, in base64."""

AHEAD: Final = 4
TRIES: Final = 3
"""How often a blob is uploaded that the server then does not know (failure 24)."""

_NO_METHOD: Final = frozenset({"unknownMethod", "unknownCapability", "accountNotSupportedByMethod"})
_CODES: Final = {
    "overQuota": "over-quota",
    "maxQuotaReached": "over-quota",
    "tooManyKeywords": "keyword",
    "tooManyMailboxes": "refused",
    "tooLarge": "too-big",
    "invalidEmail": "bad-message",
    "forbidden": "refused",
}

Results = list[tuple[Parcel, PlaceOutcome]]


class _Stream:
    """Octets of a parcel with their number, as the transport sends them."""

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel

    def __iter__(self) -> Iterator[bytes]:
        return self._parcel.chunks()

    def __len__(self) -> int:
        return self._parcel.size


class Placer:
    """Places for one target."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._inline = self._way()

    def _way(self) -> tuple[str, str] | None:
        """Method and capability that make blobs within a request."""
        if self._session.limits.max_calls_in_request < 2:
            return None
        if self._session.has(BLOB):
            return "Blob/upload", BLOB
        if self._session.has(CYRUS_BLOB):
            return "Blob/set", CYRUS_BLOB
        return None

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``."""
        width = max(1, min(AHEAD, self._session.limits.max_concurrent_requests))
        rest = self._windows(iter(parcels))
        waiting: deque[tuple[list[Parcel], Future[Results]]] = deque()
        lost: ConnectorError | None = None
        pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix="jmap-place")
        try:
            while True:
                more = () if lost is not None else islice(rest, width - len(waiting))
                waiting.extend((window, pool.submit(self._window, window)) for window in more)
                if not waiting:
                    break
                window, future = waiting.popleft()
                try:
                    yield from future.result()
                except ConnectorError as error:
                    lost = lost or error
                    yield from ((parcel, Unsure(error.text)) for parcel in window)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        if lost is not None:
            raise lost

    def _windows(self, parcels: Iterator[Parcel]) -> Iterator[list[Parcel]]:
        """At most so many, so many octets; a large message and a careful one travel alone."""
        most = min(WINDOW, self._session.limits.max_objects_in_set)
        # base64 takes four octets for three
        room = min(WINDOW_OCTETS, self._session.limits.max_size_request * 2 // 3)
        window: list[Parcel] = []
        octets = 0
        for parcel in parcels:
            alone = parcel.careful or parcel.octets is None or parcel.size > INLINE
            if window and (alone or len(window) >= most or octets + parcel.size > room):
                yield window
                window, octets = [], 0
            window.append(parcel)
            octets += parcel.size
            if alone:
                yield window
                window, octets = [], 0
        if window:
            yield window

    # --- one window -----------------------------------------------------------------------------

    def _window(self, window: Sequence[Parcel], tries: int = TRIES) -> Results:
        """What became of each; in a thread of its own."""
        results: Results = []
        blobs: dict[int, str] = {}
        created: dict[str, Any] = {}
        for number, parcel in enumerate(window):
            if parcel.size == 0:
                results.append((parcel, Refused("bad-message", "an empty message is no message")))
            elif self._fits(parcel):
                octets = parcel.octets if parcel.octets is not None else b"".join(parcel.chunks())
                created[f"b{number}"] = self._blob(octets)
                blobs[number] = f"#b{number}"
            else:
                found = self._upload(parcel)
                if isinstance(found, Refused):
                    results.append((parcel, found))
                else:
                    blobs[number] = found
        if not blobs:
            return results
        emails = {f"e{number}": _email(window[number], blob) for number, blob in blobs.items()}
        calls: list[Call] = [("Email/import", {"emails": emails})]
        using = [MAIL]
        if created and self._inline is not None:
            method, capability = self._inline
            calls.insert(0, (method, {"create": created}))
            using.append(capability)
        try:
            answers = self._session.call(calls, using=using)
        except LimitReached:
            return results + self._halves([window[number] for number in blobs])
        if created and isinstance(answers[0], MethodError) and answers[0].type in _NO_METHOD:
            self._inline = None
            return results + self._window([window[number] for number in blobs], tries)
        todo = {f"e{number}": window[number] for number in blobs}
        return results + self._sort(answers[-1], todo, tries)

    def _fits(self, parcel: Parcel) -> bool:
        """Whether its blob can be made within the request."""
        if self._inline is None or parcel.size > INLINE:
            return False
        limit = whole(
            self._session.account.capabilities.get(self._inline[1], {}).get("maxSizeBlobSet")
        )
        return limit is None or self._inline[1] != BLOB or parcel.size <= limit

    def _blob(self, octets: bytes) -> dict[str, Any]:
        data = {"data:asBase64": base64.b64encode(octets).decode("ascii")}
        if self._inline is not None and self._inline[1] == BLOB:
            return {"data": [data], "type": "message/rfc822"}
        return {**data, "type": "message/rfc822"}

    def _upload(self, parcel: Parcel) -> str | Refused:
        try:
            octets = parcel.octets if parcel.octets is not None else _Stream(parcel)
            uploaded = self._session.upload(octets)
        except LimitReached as error:
            return Refused("too-big", error.text)
        except HttpRefused as error:
            quota = error.status == 507 or "quota" in str(error.problem.get("type", "")).lower()
            return Refused("over-quota" if quota else "refused", error.text)
        if uploaded.size != parcel.size:
            text = f"the server counts {uploaded.size} octets of {parcel.size}"
            return Refused("refused", text)
        return uploaded.blob_id

    def _halves(self, parcels: Sequence[Parcel]) -> Results:
        if len(parcels) == 1:
            return [(parcels[0], Refused("too-big", "the server takes no request of that size"))]
        middle = len(parcels) // 2
        return self._window(parcels[:middle]) + self._window(parcels[middle:])

    def _sort(
        self, answer: Answer | MethodError, todo: Mapping[str, Parcel], tries: int
    ) -> Results:
        """What Email/import says of each (RFC 8621 section 4.8)."""
        if isinstance(answer, MethodError):
            if answer.type == "serverUnavailable":
                expect("Email/import", answer)
            parcels = list(todo.values())
            if len(parcels) > 1 and answer.type not in {"accountReadOnly", "forbidden"}:
                return self._halves(parcels)
            return [(parcel, _refusal(answer.arguments)) for parcel in parcels]
        created = answer.get("created") or {}
        failed = answer.get("notCreated") or {}
        results: Results = []
        again: list[Parcel] = []
        twins: list[tuple[Parcel, str]] = []
        for key, parcel in todo.items():
            made, error = created.get(key), failed.get(key)
            email_id = object_id(made.get("id")) if isinstance(made, Mapping) else None
            if isinstance(made, Mapping) and email_id is not None:
                uids = tuple((spot.folder_id, email_id) for spot in parcel.spots)
                size = whole(made.get("size"))
                altered = size is not None and size != parcel.size
                results.append((parcel, Placed(uids, email_id, altered)))
                continue
            words = error if isinstance(error, Mapping) else {"type": "serverFail"}
            there = object_id(words.get("existingId"))
            if words.get("type") == "alreadyExists" and there is not None:
                twins.append((parcel, there))
            elif _lacks_blob(words) and tries > 1:
                again.append(parcel)
            else:
                results.append((parcel, _refusal(words)))
        results += join(self._session, twins)
        if again:
            results += self._again(again, tries - 1)
        return results

    def _again(self, parcels: Sequence[Parcel], tries: int) -> Results:
        """The server does not know a blob that it has just been given: by upload, once more."""
        results: Results = []
        for parcel in parcels:
            found = self._upload(parcel)
            if isinstance(found, Refused):
                results.append((parcel, found))
                continue
            answer = self._session.call(
                [("Email/import", {"emails": {"e": _email(parcel, found)}})]
            )
            results += self._sort(answer[0], {"e": parcel}, tries)
        return results


def _email(parcel: Parcel, blob_id: str) -> dict[str, Any]:
    marks = (keywords.to_jmap(flag) for spot in parcel.spots for flag in spot.flags)
    email: dict[str, Any] = {
        "blobId": blob_id,
        "mailboxIds": {spot.folder_id: True for spot in parcel.spots},
        "keywords": {mark: True for mark in marks if mark is not None},
    }
    instants = [spot.received.epoch for spot in parcel.spots if spot.received.epoch is not None]
    if instants:
        instant = datetime.fromtimestamp(min(instants), UTC)
        email["receivedAt"] = instant.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    return email


def _lacks_blob(error: Mapping[str, Any]) -> bool:
    named = error.get("properties")
    return error.get("type") in {"blobNotFound", "notFound"} or (
        error.get("type") == "invalidProperties" and isinstance(named, list) and named == ["blobId"]
    )


def _refusal(error: Mapping[str, Any]) -> Refused:
    """A SetError in the words of ``placing``."""
    kind = printable(error.get("type"), 60) or "serverFail"
    named = error.get("properties")
    properties = [printable(each, 60) for each in named] if isinstance(named, list) else []
    code = _CODES.get(kind, "refused")
    if kind == "invalidProperties":
        if any(each.startswith("keywords") for each in properties):
            code = "keyword"
        elif "receivedAt" in properties:
            code = "date"
        elif any(each.startswith("mailboxIds") for each in properties):
            code = "folder-gone"
    words = " ".join(filter(None, (kind, *properties, printable(error.get("description")))))
    return Refused(code, words)

"""Octets by the fastest way that the server has.

Small messages come many in an answer (``Blob/get``), a second request on its way while the first is
taken in; without that method by parallel downloads. Large ones are streamed, one at a time, so that
no message is ever held in memory. A batch that is refused is cut in two until the one bad message
is alone, and that one is tried by a download before it is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from portarchive.connectors.base import Outcome
from portarchive.connectors.jmap import blobs, convert
from portarchive.connectors.jmap.body import Overrun, PiecedBody, StreamedBody, WholeBody, most
from portarchive.connectors.jmap.replies import MethodError
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.transport import HttpRefused
from portarchive.records import Failure, MessageRef, Vanished

Pair = tuple[MessageRef, Outcome]
Item = TypeVar("Item")
Result = TypeVar("Result")

LARGE: Final = 1 << 20
"""Octets from which on a message is streamed."""

BATCH: Final = 4 << 20
"""Octets of messages in one answer: more brings nothing, and several are in memory at once."""

BATCH_MESSAGES: Final = 500
AHEAD: Final = 2
DOWNLOADS: Final = 4

_NO_SUCH_METHOD: Final = frozenset(
    {"unknownMethod", "accountNotSupportedByMethod", "unknownCapability", "accountNotFound"}
)


class Known(NamedTuple):
    """A message that was there just now, and where its octets are (None: it is not said)."""

    ref: MessageRef
    blob_id: str | None


class Fetcher:
    """Fetches for one source. Safe for as many threads as it starts itself."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._blob = session.blob_capability

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[Pair]:
        """See ``Source.fetch``.

        What is still there is asked first: servers keep the blobs of what was destroyed.
        """
        small: list[Known] = []
        large: list[Known] = []
        for ref, known in self._known(refs):
            if isinstance(known, Vanished | Failure):
                yield ref, known
            elif ref.size is None or ref.size >= LARGE:
                large.append(known)
            else:
                small.append(known)
        yield from self._batched(small) if self._blob is not None else self._parallel(small)
        yield from self._streamed(large)

    def _known(
        self, refs: Sequence[MessageRef]
    ) -> list[tuple[MessageRef, Known | Failure | Vanished]]:
        ids = list(dict.fromkeys(uid_of(ref) for ref in refs))
        found = blobs.describe(self._session, ids)
        return [(ref, _as_it_is(ref, found.get(uid_of(ref)))) for ref in refs]

    # --- many at a time -------------------------------------------------------------------------

    def _batched(self, items: Sequence[Known]) -> Iterator[Pair]:
        most = min(BATCH_MESSAGES, self._session.limits.max_objects_in_get)
        width = min(AHEAD, self._session.limits.max_concurrent_requests)
        for pairs in ahead(self._batch, batches(items, most), width):
            yield from pairs

    def _batch(self, items: Sequence[Known]) -> list[Pair]:
        """What became of a few small messages; in a thread of its own."""
        sizes = {item.blob_id: item.ref.size or 0 for item in items if item.blob_id}
        if self._blob is None or not sizes:
            return [self._one(item) for item in items]
        answer = blobs.fetch(self._session, sizes, self._blob)
        if isinstance(answer, MethodError):
            if answer.type in _NO_SUCH_METHOD:
                self._blob = None
            elif answer.type == "requestTooLarge":
                self._session.too_many(list(sizes))
            if self._blob is None or len(items) == 1:
                return [self._one(item) for item in items]
            middle = len(items) // 2
            return self._batch(items[:middle]) + self._batch(items[middle:])
        pairs: list[Pair] = []
        for item in items:
            octets = answer.get(item.blob_id or "")
            pairs.append(self._one(item) if octets is None else (item.ref, WholeBody(octets)))
        return pairs

    def _parallel(self, items: Sequence[Known]) -> Iterator[Pair]:
        wished = max(DOWNLOADS, self._session.settings.connections)
        width = min(wished, self._session.limits.max_concurrent_requests)
        return ahead(self._one, items, width)

    def _one(self, item: Known) -> Pair:
        """A small message by a request of its own, into memory: as much as it has, no more."""
        body = self._opened(item)
        if not isinstance(body, StreamedBody | PiecedBody):
            return item.ref, body
        try:
            return item.ref, WholeBody(b"".join(body.chunks()))
        except Overrun as error:
            return item.ref, _overrun(error)

    # --- one at a time --------------------------------------------------------------------------

    def _streamed(self, items: Sequence[Known]) -> Iterator[Pair]:
        for item in items:
            body = self._opened(item)
            try:
                yield item.ref, body
            finally:
                if isinstance(body, StreamedBody | PiecedBody):
                    body.finish()

    def _opened(self, item: Known) -> Outcome:
        """The beginning of a download; or a body in pieces where there is no download for us."""
        ref, blob_id = item
        if blob_id is None:
            return Failure("no-data", "the server does not say where the octets are")
        try:
            if self._session.can_download or self._blob is None:
                reply = self._session.download(blob_id)
                if ref.size is not None and (reply.length or 0) > most(ref.size):
                    reply.close()
                    return _overrun(Overrun())
                return StreamedBody(reply, ref.size)
            if ref.size is None:
                return Failure("no-data", "the server does not say how large the message is")
            read = partial(blobs.piece, self._session, self._blob, blob_id, ref.size)
            return PiecedBody(ref.size, read)
        except HttpRefused as error:
            if not blobs.describe(self._session, [uid_of(ref)]):
                return Vanished()
            code = "no-data" if error.status in {404, 410} else "server-refused"
            return Failure(code, error.text)


def _overrun(error: Overrun) -> Failure:
    return Failure("server-misbehaved", error.text)


def uid_of(ref: MessageRef) -> str:
    """The Email id."""
    return ref.placements[0].uid


def batches(items: Iterable[Known], most: int) -> Iterator[list[Known]]:
    """In order, at most so many and ``BATCH`` octets at a time, but one at least."""
    part: list[Known] = []
    octets = 0
    for item in items:
        size = item.ref.size or 0
        if part and (len(part) >= most or octets + size > BATCH):
            yield part
            part, octets = [], 0
        part.append(item)
        octets += size
    if part:
        yield part


def ahead(work: Callable[[Item], Result], items: Iterable[Item], width: int) -> Iterator[Result]:
    """Results in order, ``width`` of them being worked on while one is taken in."""
    with _threads(width) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > width:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _threads(width: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix="jmap")
    try:
        yield pool
    finally:
        # What is under way ends by itself, or when the transport is closed; nobody waits for it.
        pool.shutdown(wait=False, cancel_futures=True)


def _as_it_is(ref: MessageRef, email: Mapping[str, Any] | None) -> Known | Failure | Vanished:
    """The reference with the flags of this moment; ``Vanished`` if it is nowhere it was named."""
    if email is None:
        return Vanished()
    if not isinstance(email.get("mailboxIds"), Mapping):
        return Failure("no-data", "the server does not say in which mailboxes the message is")
    there = set(convert.mailbox_ids(email))
    if not any(place.folder_id in there for place in ref.placements):
        return Vanished()
    marks = convert.flags(email.get("keywords"))
    placements = tuple(
        place._replace(flags=marks) if place.folder_id in there else place
        for place in ref.placements
    )
    return Known(ref._replace(placements=placements), convert.object_id(email.get("blobId")))

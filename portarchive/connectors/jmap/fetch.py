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
from typing import Any, Final, TypeVar

from portarchive.connectors.base import Outcome
from portarchive.connectors.jmap import blobs, convert
from portarchive.connectors.jmap.body import PiecedBody, StreamedBody, WholeBody
from portarchive.connectors.jmap.replies import MethodRefused
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


class Fetcher:
    """Fetches for one source. Safe for as many threads as it starts itself."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._blob = session.blob_capability

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[Pair]:
        """See ``Source.fetch``."""
        small = [ref for ref in refs if ref.size is not None and ref.size < LARGE]
        if self._blob is not None:
            yield from self._batched(small)
        else:
            yield from self._parallel(small)
        yield from self._streamed([ref for ref in refs if ref.size is None or ref.size >= LARGE])

    # --- many at a time -------------------------------------------------------------------------

    def _batched(self, refs: Sequence[MessageRef]) -> Iterator[Pair]:
        most = min(BATCH_MESSAGES, self._session.limits.max_objects_in_get)
        width = min(AHEAD, self._session.limits.max_concurrent_requests)
        for pairs in ahead(self._batch, batches(refs, most), width):
            yield from pairs

    def _batch(self, refs: Sequence[MessageRef]) -> list[Pair]:
        """What became of a few small messages; in a thread of its own."""
        if self._blob is None:
            return self._singly(refs)
        ids = list(dict.fromkeys(uid_of(ref) for ref in refs))
        batch = blobs.fetch(self._session, ids, self._blob)
        refused = batch.refused
        if refused is not None:
            if refused.type in _NO_SUCH_METHOD:
                self._blob = None
                return self._singly(refs)
            if refused.type == "requestTooLarge":
                self._session.too_many(ids)
            if len(refs) > 1:
                middle = len(refs) // 2
                return self._batch(refs[:middle]) + self._batch(refs[middle:])
        pairs: list[Pair] = []
        for ref in refs:
            email = batch.emails.get(uid_of(ref))
            if refused is not None and email is None:
                pairs += self._singly([ref])
                continue
            now = _as_it_is(ref, email)
            octets = None if email is None else batch.octets.get(str(email.get("blobId")))
            if now is None:
                pairs.append((ref, Vanished()))
            elif octets is not None:
                pairs.append((now, WholeBody(octets)))
            else:
                pairs.append((now, self._downloaded(now, email)))
        return pairs

    def _parallel(self, refs: Sequence[MessageRef]) -> Iterator[Pair]:
        limits = self._session.limits
        wished = max(DOWNLOADS, self._session.settings.connections)
        width = min(wished, limits.max_concurrent_requests)
        for part in batches(refs, min(BATCH_MESSAGES, limits.max_objects_in_get)):
            yield from ahead(self._one, self._present(part), width)

    def _singly(self, refs: Sequence[MessageRef]) -> list[Pair]:
        return [self._one(item) for item in self._present(refs)]

    def _present(
        self, refs: Sequence[MessageRef]
    ) -> list[tuple[MessageRef, Mapping[str, Any] | None]]:
        found = blobs.describe(self._session, list(dict.fromkeys(uid_of(ref) for ref in refs)))
        return [(ref, found.get(uid_of(ref))) for ref in refs]

    def _one(self, item: tuple[MessageRef, Mapping[str, Any] | None]) -> Pair:
        ref, email = item
        now = _as_it_is(ref, email)
        if now is None:
            return ref, Vanished()
        return now, self._downloaded(now, email)

    def _downloaded(self, ref: MessageRef, email: Mapping[str, Any] | None) -> Outcome:
        """A small message by a request of its own, into memory."""
        body = self._opened(ref, email)
        if isinstance(body, StreamedBody | PiecedBody):
            return WholeBody(b"".join(body.chunks()))
        return body

    # --- one at a time --------------------------------------------------------------------------

    def _streamed(self, refs: Sequence[MessageRef]) -> Iterator[Pair]:
        for part in batches(refs, self._session.limits.max_objects_in_get):
            for ref, email in self._present(part):
                now = _as_it_is(ref, email)
                if now is None:
                    yield ref, Vanished()
                    continue
                body = self._opened(now, email)
                try:
                    yield now, body
                finally:
                    if isinstance(body, StreamedBody | PiecedBody):
                        body.finish()

    def _opened(self, ref: MessageRef, email: Mapping[str, Any] | None) -> Outcome:
        """The beginning of a download; or a body in pieces where there is no download for us."""
        blob_id = convert.object_id(email.get("blobId")) if email is not None else None
        if blob_id is None:
            return Failure("no-data", "the server does not say where the octets are")
        if not self._session.can_download and self._blob is not None:
            if ref.size is None:
                return Failure("no-data", "the server does not say how large the message is")
            read = partial(blobs.piece, self._session, self._blob, blob_id)
            return PiecedBody(ref.size, read)
        try:
            return StreamedBody(self._session.download(blob_id), ref.size or 0)
        except HttpRefused as error:
            return self._no_octets(ref, error.status, error.text)
        except MethodRefused as error:
            return Failure("server-refused", error.text)

    def _no_octets(self, ref: MessageRef, status: int, words: str) -> Outcome:
        """Gone by now, or a message of which the server has everything but the octets."""
        if not blobs.describe(self._session, [uid_of(ref)]):
            return Vanished()
        return Failure("no-data" if status in {404, 410} else "server-refused", words)


def uid_of(ref: MessageRef) -> str:
    """The Email id."""
    return ref.placements[0].uid


def batches(refs: Iterable[MessageRef], most: int) -> Iterator[list[MessageRef]]:
    """In order, at most so many and ``BATCH`` octets at a time, but one at least."""
    part: list[MessageRef] = []
    octets = 0
    for ref in refs:
        size = ref.size or 0
        if part and (len(part) >= most or octets + size > BATCH):
            yield part
            part, octets = [], 0
        part.append(ref)
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
        # What is under way ends by itself; nobody waits for its answer.
        pool.shutdown(wait=False, cancel_futures=True)


def _as_it_is(ref: MessageRef, email: Mapping[str, Any] | None) -> MessageRef | None:
    """The reference with the flags of this moment; None if the message is nowhere it was named."""
    if email is None:
        return None
    there = set(convert.mailbox_ids(email))
    if not any(placement.folder_id in there for placement in ref.placements):
        return None
    marks = convert.flags(email.get("keywords"))
    return ref._replace(
        placements=tuple(
            placement._replace(flags=marks) if placement.folder_id in there else placement
            for placement in ref.placements
        )
    )

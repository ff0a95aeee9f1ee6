"""Messages are placed: octets become blobs, blobs become Emails, many at a time.

A window of messages is one request where the server can make blobs in a request (``Blob/upload``
of RFC 9404, Cyrus's ``Blob/set``), since an import costs a server much more time than the way to
it; larger messages, and all of them elsewhere, are uploaded first (RFC 8620 section 6.1). Several
windows are on their way at once, as far as the server permits. Nothing is kept as a blob for
later: each window's are used at once, long before they could expire.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from portarchive.connectors.jmap.importing import LAST, Importer, Results
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.settle import settle
from portarchive.connectors.jmap.windows import Windows
from portarchive.errors import ConnectorError
from portarchive.placing import Parcel, PlaceOutcome, Unsure

AHEAD: Final = 4


class Placer:
    """Places for one target.

    Args:
        session: logged in.
        latest: the last instant that the server keeps, seconds since 1970.
    """

    def __init__(self, session: Session, latest: int = LAST) -> None:
        self._session = session
        self._importer = Importer(session, latest)
        self._slowest = 0.0
        self._broke = False

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``."""
        width = max(1, min(AHEAD, self._session.limits.max_concurrent_requests))
        windows = Windows(self._session.limits, parcels)
        waiting: deque[tuple[list[Parcel], Future[Results]]] = deque()
        lost: ConnectorError | None = None
        self._importer.later = None
        pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix="jmap-place")
        try:
            while True:
                while lost is None and len(waiting) < width and (window := windows.next()):
                    waiting.append((window, pool.submit(self._timed, window)))
                if not waiting:
                    break
                window, future = waiting[0]
                try:
                    yield from future.result()
                except ConnectorError as error:
                    lost = lost or error
                    self._broke = True
                    yield from ((parcel, Unsure(error.text)) for parcel in window)
                waiting.popleft()
                lost = lost or self._importer.later
            yield from ((parcel, Unsure("it was not sent")) for parcel in windows.rest())
        except (KeyboardInterrupt, GeneratorExit):
            # Whoever stops us, here or while an outcome is looked at, waits for no answer.
            if not all(future.done() for _, future in waiting):
                self._broke = True
                self._session.close()
            raise
        finally:
            # Whoever looks what is there must not do so while something is still on its way.
            pool.shutdown(wait=True, cancel_futures=True)
        if lost is not None:
            raise lost

    def settle(self) -> None:
        """After a new connection: wait until what the old one sent has come to its end.

        Raises:
            What ``Session.call`` raises.
        """
        if self._broke:
            settle(self._session, self._slowest)
            self._broke = False

    def _timed(self, window: Sequence[Parcel]) -> Results:
        """What became of each; in a thread of its own."""
        began = time.monotonic()
        results = self._importer.run(window)
        self._slowest = max(self._slowest, time.monotonic() - began)
        return results

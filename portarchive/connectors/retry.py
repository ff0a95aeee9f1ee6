"""A source that survives its connection: waits, reconnects, asks again, isolates what is poison.

``RetryingSource`` wraps any ``Source`` and is one. It owns patience and blame: how long to wait,
what to ask again, and which single message or folder is given up as data because the connection
breaks each time it is asked for alone. It refuses to know any protocol, and to lose or double a
message: each one asked for is delivered once, or named as a ``Failure``, or the run ends with the
error and the advice to run it again.

For the job that uses it:

* ``BodyCut`` out of ``Body.chunks``: drop what was written of that message and go on with the loop
  over ``fetch``; it is handed out again later, or becomes ``Failure("cut", …)``.
* ``FolderOpened`` of a folder that was open already: its listing starts over. So it does after any
  reconnect during a ``fetch``, since an iterator of ``changes`` belongs to its connection.
  References with a placement in this folder that were not fetched yet are void. What was stored
  stays stored, if UIDVALIDITY is the same: only what is not here needs fetching. A delta is named
  once more from the same token, so taking it in twice must do no harm.
* A message that was given up is answered with the same ``Failure`` when it is asked for again in
  the run, without asking the server.
"""

from __future__ import annotations

import contextlib
import random as chance
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from portarchive.connectors.base import Outcome, Recalling, Source, Wanted
from portarchive.connectors.isolation import STRIKES, Isolation
from portarchive.connectors.patience import Patience, reason
from portarchive.errors import (
    BodyCut,
    ConnectionLost,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    TokenExpired,
)
from portarchive.progress import Observer
from portarchive.records import (
    Body,
    Change,
    Failure,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    SourceIdentity,
    Vanished,
)

Answer = TypeVar("Answer")
Key = tuple[str, str]

WINDOW = 2048
"""Messages of one request at most: what is held here to be asked for again."""


class WatchedBody:
    """A body that remembers what cut it."""

    def __init__(self, body: Body, clock: Callable[[], float]) -> None:
        self.size = body.size
        self.octets: bytes | None = None
        self.cut: ConnectorError | None = None
        self.cut_at = 0.0
        self._body, self._clock = body, clock

    def chunks(self) -> Iterator[bytes]:
        """See ``records.Body``; raises ``BodyCut`` for whatever can be mended by reconnecting."""
        try:
            yield from self._body.chunks()
        except (ConnectionLost, TokenExpired, RateLimited) as error:
            self.cut, self.cut_at = error, self._clock()
            raise BodyCut(f"the octets of a message ended early: {error.text}") from error


class RetryingSource:
    """See the module; ``capabilities`` are those of the wrapped source.

    Args:
        source: what is wrapped. Nobody else may use it meanwhile.
        observer: is told ``Waiting``, also of 0 seconds, before each reconnect.
        max_wait: the longest wait in seconds that a server may ask for.
        sleep: waits so many seconds.
        attempts: so many losses in a row without any progress end the run, and so many messages or
            folders given up in a row without one delivered. To find one message out of
            ``WINDOW`` takes up to 7.
        clock: seconds, monotonic.
        random: from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        source: Source,
        *,
        observer: Observer,
        max_wait: float = 3600.0,
        sleep: Callable[[float], object] = time.sleep,
        attempts: int = 8,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.capabilities = source.capabilities
        self._source = source
        self._patience = Patience(
            source.reconnect,
            observer=observer,
            max_wait=max_wait,
            sleep=sleep,
            attempts=attempts,
            clock=clock,
            random=random,
        )
        self._given_up: dict[Key, Failure] = {}
        self._uidvalidity: dict[str, int | None] = {}

    def identity(self) -> SourceIdentity:
        """See ``Source.identity``."""
        return self._persist(self._source.identity)

    def recall(self, said: Mapping[str, Any] | None) -> None:
        """See ``Recalling.recall``; nothing where the source has none."""
        source = self._source
        if isinstance(source, Recalling):
            self._persist(lambda: source.recall(said))

    def folders(self) -> Sequence[Folder]:
        """See ``Source.folders``."""
        return self._persist(self._source.folders)

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. A folder that loses the connection alone three times fails."""
        patience = self._patience
        rest = Isolation((folder.folder_id, folder) for folder in wanted.folders)
        while asked := rest.ask():
            patience.stand()
            progress, generation = patience.progress, patience.generation
            events = self._source.changes(replace(wanted, folders=list(asked.values())))
            failed: list[FolderFailed] = []
            try:
                for event in events:
                    if isinstance(event, FolderDone | FolderFailed):
                        rest.settle(event.folder_id)
                        patience.went_well()
                    elif isinstance(event, FolderOpened):
                        self._opened(event)
                    yield event
                    if patience.trouble or generation != patience.generation:
                        rest.lost(blame=False)
                        break
                else:
                    failed = [
                        FolderFailed(folder_id, "no-data", "the source did not finish this folder")
                        for folder_id, _ in rest.ended()
                    ]
            except ConnectorError as error:
                given_up = rest.lost(blame=is_poison(error) and progress == patience.progress)
                patience.lost(error, given_up=len(given_up), isolating=True)
                failed = [
                    FolderFailed(folder_id, error.code, verdict(error, "this folder"))
                    for folder_id, _ in given_up
                ]
            finally:
                end(events)
            yield from failed

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``. ``refs`` are distinct.

        A message that loses the connection alone three times is ``Failure("connection-lost", …)``,
        or ``"cut"`` if that was in the middle of its octets, or ``"server-misbehaved"``.
        """
        if self._given_up:
            known = [(ref, self._given_up.get(_key(ref))) for ref in refs]
            refs = [ref for ref, failure in known if failure is None]
            yield from ((ref, failure) for ref, failure in known if failure is not None)
        patience = self._patience
        rest = Isolation(((_key(ref), ref) for ref in refs), largest=WINDOW)
        while asked := rest.ask():
            patience.stand()
            progress, generation = patience.progress, patience.generation
            answers = self._source.fetch(list(asked.values()))
            cut: tuple[MessageRef, ConnectorError, float] | None = None
            failed: list[tuple[MessageRef, Failure]] = []
            try:
                for found, outcome in answers:
                    key = _match(found, asked)
                    if key is None:  # not asked for, or named before: nobody waits for it
                        continue
                    ref = asked[key]
                    rest.settle(key)
                    if isinstance(outcome, Failure | Vanished) or outcome.octets is not None:
                        yield found, outcome
                    else:
                        body = WatchedBody(outcome, patience.now)
                        yield found, body
                        if body.cut is not None:
                            cut = ref, body.cut, body.cut_at
                            break
                    patience.went_well()
                    if patience.trouble or generation != patience.generation:
                        rest.lost(blame=False)
                        break
                else:
                    failed = [
                        (ref, Failure("no-data", "the source said nothing of this message"))
                        for _, ref in rest.ended()
                    ]
            except ConnectorError as error:
                lost = rest.lost(blame=is_poison(error) and progress == patience.progress)
                patience.lost(error, given_up=len(lost), isolating=True)
                failed = [
                    (ref, Failure(error.code, verdict(error, "this message"))) for _, ref in lost
                ]
            finally:
                end(answers)
            if cut is not None:
                failed = self._cut(rest, *cut)
            for ref, failure in failed:
                self._given_up[_key(ref)] = failure
                yield ref, failure

    def reconnect(self) -> None:
        """See ``Source.reconnect``; what was begun before starts over."""
        self._persist(self._source.reconnect)
        self._patience.generation += 1

    def close(self) -> None:
        """See ``Source.close``."""
        self._source.close()

    def _persist(self, ask: Callable[[], Answer]) -> Answer:
        """The answer of one call, however often it takes."""
        while True:
            self._patience.stand()
            try:
                answer = ask()
            except ConnectorError as error:
                self._patience.lost(error)
            else:
                self._patience.went_well()
                self.capabilities = self._source.capabilities
                return answer

    def _cut(
        self, rest: Isolation[Key, MessageRef], ref: MessageRef, error: ConnectorError, at: float
    ) -> list[tuple[MessageRef, Failure]]:
        """Take back a message whose octets ended early; returns it if it is given up."""
        given_up = False
        if is_poison(error):
            given_up = rest.accuse(_key(ref), ref)
        else:
            rest.restore(_key(ref), ref)
        rest.lost(blame=False)
        self._patience.lost(error, at=at, given_up=int(given_up))
        return [(ref, Failure("cut", verdict(error, "this message")))] if given_up else []

    def _opened(self, event: FolderOpened) -> None:
        """Another UIDVALIDITY makes other messages of the uids that were given up."""
        folder_id = event.folder.folder_id
        before = self._uidvalidity.get(folder_id, event.uidvalidity)
        self._uidvalidity[folder_id] = event.uidvalidity
        if before != event.uidvalidity:
            for key in [key for key in self._given_up if key[0] == folder_id]:
                del self._given_up[key]


def is_poison(error: ConnectorError) -> bool:
    """Whether what was asked for may be the cause."""
    return isinstance(error, ConnectionLost | ServerMisbehaved)


def _key(ref: MessageRef) -> Key:
    return ref.placements[0].folder_id, ref.placements[0].uid


def _match(found: MessageRef, asked: dict[Key, MessageRef]) -> Key | None:
    """The key of the reference that was asked for, None if none was."""
    key = _key(found)
    if key in asked:
        return key
    places = {(placement.folder_id, placement.uid) for placement in found.placements}
    for key, ref in asked.items():
        if any((placement.folder_id, placement.uid) in places for placement in ref.placements):
            return key
    return None


def verdict(error: ConnectorError, what: str) -> str:
    """Why ``what`` is given up, in our own words."""
    return f"{reason(error)} each of the {STRIKES} times that {what} was asked for alone"


def end(iterator: Iterator[object]) -> None:
    """End an iterator that may be suspended on a dead connection."""
    close = getattr(iterator, "close", None)
    if close is not None:
        with contextlib.suppress(ConnectorError):
            close()

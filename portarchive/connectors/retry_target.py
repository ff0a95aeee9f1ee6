"""A target that survives its connection: waits, reconnects, and repeats what is safe to repeat.

``RetryingTarget`` wraps any ``Target`` and is one. It owns patience, and blame among the folders
and messages that are read. It refuses to know any protocol, to look anything up, and to send a
message twice: only the job can tell whether one arrived.

For the job that uses it:

* What reads is repeated unseen. Only ``existing`` shows it: a ``FolderLook`` of a folder that was
  begun means that this folder starts over; what was named of it before is void. So it does after a
  reconnect for any other reason while it is read.
* ``BodyCut`` out of ``Body.chunks``: drop what was read of that message and go on with the loop
  over ``fetch``; it is handed out again later, or becomes ``Failure("cut", …)``.
* ``ensure`` goes on with the wishes that have no answer. One whose answer was lost was made all the
  same, and is answered ``created=False`` then.
* ``place`` ends early, and normally, after a connection was lost: with ``Unsure`` for what has no
  answer, with the connection made anew, and with the parcels not yet taken left in the iterable.
  The job looks what is there and calls it again with what is missing; those that were ``Unsure``
  are ``careful`` then. It raises once ``attempts`` connections in a row were lost without a message
  placed between them, whatever was read meanwhile, or if the server wants more patience than
  ``max_wait``. What one ``careful`` parcel loses alone counts once, however often it is tried, if
  the server was spoken to in between; with its third loss it is the job's to give up, and the count
  begins anew. ``attempts`` times ``GIVEN_UP`` of those in a row end it all the same.
"""

from __future__ import annotations

import random as chance
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from portarchive.connectors.base import Outcome, Target
from portarchive.connectors.isolation import STRIKES, Isolation
from portarchive.connectors.patience import RESUME, Backoff, Patience, reason
from portarchive.connectors.retry import WINDOW, WatchedBody, end, is_poison, verdict
from portarchive.errors import ConnectorError, RateLimited, ServerMisbehaved
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Merged,
    Parcel,
    Placed,
    PlaceOutcome,
    Present,
    Refused,
    Whereabouts,
)
from portarchive.progress import Observer, Waiting
from portarchive.records import Failure, Folder, FolderFailed, SourceIdentity, Vanished

Answer = TypeVar("Answer")
Answered = tuple[Present, bytes | Outcome] | tuple[Present, bytes | Failure | Vanished]
Key = tuple[str, str]

GIVEN_UP = 8
"""See the module."""


class RetryingTarget:
    """See the module; ``capabilities`` are those of the wrapped target.

    Args:
        target: what is wrapped. Nobody else may use it meanwhile.
        observer: is told ``Waiting``, also of 0 seconds, before each reconnect.
        max_wait: the longest wait in seconds that a server may ask for.
        sleep: waits so many seconds.
        attempts: so many losses in a row without any progress end the run.
        clock: seconds, monotonic.
        random: from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        target: Target,
        *,
        observer: Observer,
        max_wait: float = 3600.0,
        sleep: Callable[[float], object] = time.sleep,
        attempts: int = 8,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.capabilities = target.capabilities
        self._target = target
        self._observer, self._max_wait, self._sleep = observer, max_wait, sleep
        self._attempts = attempts
        self._patience = Patience(
            target.reconnect,
            observer=observer,
            max_wait=max_wait,
            sleep=sleep,
            attempts=attempts,
            clock=clock,
            random=random,
        )
        self._fruitless = 0
        self._alone: dict[int, int] = {}
        self._given_up = 0
        self._heard = 0
        self._backoff = Backoff(random=random)

    def identity(self) -> SourceIdentity:
        """See ``Target.identity``."""
        return self._persist(self._target.identity)

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``."""
        return self._persist(self._target.whereabouts)

    def folders(self) -> Sequence[Folder]:
        """See ``Target.folders``."""
        return self._persist(self._target.folders)

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """See ``Target.ensure``. A wish that loses the connection each time ends the run."""
        patience = self._patience
        answered = 0
        while answered < len(wishes):
            patience.stand()
            generation = patience.generation
            answers = self._target.ensure(wishes[answered:])
            try:
                for wish, answer in answers:
                    answered += 1
                    patience.went_well()
                    yield wish, answer
                    if patience.trouble or generation != patience.generation:
                        break
                else:
                    if answered < len(wishes):
                        raise ServerMisbehaved("the target left mailboxes without an answer")
            except ConnectorError as error:
                patience.lost(error)
            finally:
                end(answers)

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``. ``folder_ids`` are distinct.

        A folder that loses the connection alone three times fails.
        """
        patience = self._patience
        rest = Isolation((folder_id, folder_id) for folder_id in folder_ids)
        while asked := rest.ask():
            patience.stand()
            progress, generation = patience.progress, patience.generation
            events = self._target.existing(list(asked), newer_than)
            begun: str | None = None
            failed: list[FolderFailed] = []
            try:
                for event in events:
                    if not isinstance(event, Present):
                        if begun is not None:  # what follows it says that it is whole
                            rest.settle(begun)
                            patience.went_well()
                        begun = event.folder_id if isinstance(event, FolderLook) else None
                        if begun is None:
                            rest.settle(event.folder_id)
                            patience.went_well()
                    yield event
                    if patience.trouble or generation != patience.generation:
                        rest.lost(blame=False)
                        break
                else:
                    if begun is not None:
                        rest.settle(begun)
                        patience.went_well()
                    failed = [
                        FolderFailed(folder_id, "no-data", "the target said nothing of it")
                        for folder_id, _ in rest.ended()
                    ]
            except ConnectorError as error:
                lost = rest.lost(blame=is_poison(error) and progress == patience.progress)
                patience.lost(error, given_up=len(lost), isolating=True)
                failed = [
                    FolderFailed(folder_id, error.code, verdict(error, "this folder"))
                    for folder_id, _ in lost
                ]
            finally:
                end(events)
            yield from failed

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """See ``Target.headers``. ``messages`` are distinct."""
        for present, answer in self._each(self._target.headers, messages):
            if isinstance(answer, bytes | Failure | Vanished):
                yield present, answer

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """See ``Target.fetch``. ``messages`` are distinct."""
        for present, answer in self._each(self._target.fetch, messages):
            if not isinstance(answer, bytes):
                yield present, answer

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``, and the module for what is different."""
        patience = self._patience
        patience.stand()
        taken = _Taken(parcels)
        answers = self._target.place(taken)
        try:
            for parcel, outcome in answers:
                if isinstance(outcome, Placed | Merged):
                    patience.went_well()
                    self._fruitless = self._given_up = 0
                    self._alone.clear()
                    self._backoff.reset()
                yield parcel, outcome
        except ConnectorError as error:
            if taken.failed:  # on this side: the connection is as good as before
                raise
            self._lost(error, taken.alone)
        finally:
            end(answers)

    def reconnect(self) -> None:
        """See ``Target.reconnect``; what was begun before starts over."""
        self._persist(self._target.reconnect)
        self._patience.generation += 1

    def close(self) -> None:
        """See ``Target.close``."""
        self._target.close()

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
                self.capabilities = self._target.capabilities
                return answer

    def _lost(self, error: ConnectorError, alone: Parcel | None) -> None:
        """Make the connection anew after ``place`` lost it; what was read since does not count.

        Args:
            error: how.
            alone: the one parcel that was on its way, if it was careful.
        """
        heard, self._heard = self._patience.progress > self._heard, self._patience.progress
        losses = 0
        if alone is not None and is_poison(error):
            losses = self._alone[alone.key] = self._alone.get(alone.key, 0) + 1
        if losses >= STRIKES:
            self._given_up += 1
            self._fruitless = 0
            self._backoff.reset()
        elif losses < 2 or not heard:
            self._fruitless += 1
        self._patience.lost(error, isolating=True)
        told = isinstance(error, RateLimited) and (error.retry_after or 0) >= 1
        if self._fruitless >= self._attempts or self._given_up >= GIVEN_UP * self._attempts:
            text = f"{error.text} ({self._attempts} times in a row without a message placed)"
            if isinstance(error, RateLimited):
                raise RateLimited(text, retry_after=error.retry_after, hint=RESUME) from error
            raise type(error)(text, hint=error.hint or RESUME, code=error.code) from error
        if self._fruitless > 1 and not told:
            seconds = min(self._backoff.delay(), self._max_wait)
            self._observer(Waiting(seconds, reason(error)))
            self._sleep(seconds)
        self._patience.stand()

    def _each(
        self, ask: Callable[[Sequence[Present]], Iterator[Answered]], messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Outcome]]:
        """Ask for something of each message until each has its answer."""
        patience = self._patience
        rest = Isolation(((_key(each), each) for each in messages), largest=WINDOW)
        while asked := rest.ask():
            patience.stand()
            progress, generation = patience.progress, patience.generation
            answers = ask(list(asked.values()))
            cut: tuple[Present, ConnectorError, float] | None = None
            failed: list[tuple[Present, Failure]] = []
            try:
                for found, answer in answers:
                    present = asked.get(_key(found))
                    if present is None:  # not asked for, or named before: nobody waits for it
                        continue
                    rest.settle(_key(found))
                    if isinstance(answer, bytes | Failure | Vanished) or answer.octets is not None:
                        yield found, answer
                    else:
                        body = WatchedBody(answer, patience.now)
                        yield found, body
                        if body.cut is not None:
                            cut = present, body.cut, body.cut_at
                            break
                    patience.went_well()
                    if patience.trouble or generation != patience.generation:
                        rest.lost(blame=False)
                        break
                else:
                    failed = [
                        (present, Failure("no-data", "the target said nothing of this message"))
                        for _, present in rest.ended()
                    ]
            except ConnectorError as error:
                lost = rest.lost(blame=is_poison(error) and progress == patience.progress)
                patience.lost(error, given_up=len(lost), isolating=True)
                failed = [
                    (present, Failure(error.code, verdict(error, "this message")))
                    for _, present in lost
                ]
            finally:
                end(answers)
            if cut is not None:
                failed = self._cut(rest, *cut)
            yield from failed

    def _cut(
        self, rest: Isolation[Key, Present], present: Present, error: ConnectorError, at: float
    ) -> list[tuple[Present, Failure]]:
        """Take back a message whose octets ended early; returns it if it is given up."""
        given_up = False
        if is_poison(error):
            given_up = rest.accuse(_key(present), present)
        else:
            rest.restore(_key(present), present)
        rest.lost(blame=False)
        self._patience.lost(error, at=at, given_up=int(given_up))
        return [(present, Failure("cut", verdict(error, "this message")))] if given_up else []


class _Taken:
    """The parcels, with the knowledge of whose an error is.

    Attributes:
        failed: it came from this side.
        alone: the one parcel that was taken, if it is careful.
    """

    def __init__(self, parcels: Iterable[Parcel]) -> None:
        self.failed = False
        self.alone: Parcel | None = None
        self._count = 0
        self._parcels = iter(parcels)

    def __iter__(self) -> Iterator[Parcel]:
        return self

    def __next__(self) -> Parcel:
        try:
            parcel = next(self._parcels)
        except ConnectorError:
            self.failed = True
            raise
        self._count += 1
        self.alone = parcel if parcel.careful and self._count == 1 else None
        return parcel


def _key(present: Present) -> Key:
    return present.folder_id, present.uid

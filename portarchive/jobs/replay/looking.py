"""Looking: what the target is asked of the messages that it has, and what is kept of the answers.

Owns the state of matching one mailbox. Refuses to decide which messages are one: see ``match``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple

from portarchive.connectors.base import Target
from portarchive.errors import BodyCut
from portarchive.jobs.replay.pieces import NOTHING, WHOLE, Piece, Print, name_of, print_of
from portarchive.likeness import likeness, likeness_of
from portarchive.placing import LineEnds, Present
from portarchive.records import Body, Failure, Vanished

_PARENT: Final = re.compile(
    rb"^x-ms-exchange-parent-message-id[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)",
    re.IGNORECASE | re.MULTILINE,
)
_END_OF_HEADER: Final = re.compile(rb"(?:\A|\n)\r?\n")
_ODD: Final = bytes([0, *range(128, 256)])
_TO_X: Final = bytes.maketrans(_ODD, b"X" * len(_ODD))


class Round(StrEnum):
    """By what a message was recognised."""

    LEDGER = "ledger"
    IDS = "ids"
    OCTETS = "octets"
    BODY = "message-id-and-body"
    IDENTITY = "message-id"
    FIELDS = "fields-and-body"


RECOGNISED: Final = frozenset({Round.BODY, Round.IDENTITY, Round.FIELDS})
"""By these, it is not the octets that are equal."""

Pair = tuple[Piece, Present, Round]


class Head(NamedTuple):
    """What a header tells: digests, see ``Print``."""

    header: bytes
    ident: bytes


class Work:
    """What is still open while one mailbox is matched.

    Attributes:
        pieces, presents: by key and uid, those without a partner yet.
        headers, names, bodies: by uid, what was asked of those.
        pairs: what was found.
        unread: by uid, why they could not be read.
        foretold: by key, what this target is known to make of those pieces that it changes.
        seen: by key of pieces whose partner is another message by its octets: what both look like.
        late: equal octets, and yet to be paired only if nothing better is found.
        forgets: the looks of pieces with a partner are not needed any more.
        exact: nothing is foretold: only what is as it was sent is there.
    """

    def __init__(
        self,
        pieces: Iterable[Piece],
        presents: Iterable[Present],
        *,
        forgets: bool = False,
        exact: bool = False,
    ) -> None:
        self.pieces = {piece.key: piece for piece in pieces}
        self.presents = {present.uid: present for present in presents}
        self.headers: dict[str, Head] = {}
        self.names: dict[str, tuple[bytes, ...]] = {}
        self.bodies: dict[str, Print] = {}
        self.pairs: list[Pair] = []
        self.unread: dict[str, str] = {}
        self.late: list[tuple[Piece, Present]] = []
        self.foretold: dict[int, Print] = {}
        self.seen: dict[int, tuple[Print | None, Print | None]] = {}
        self.forgets = forgets
        self.exact = exact

    def both(self) -> bool:
        """Whether there is anything left to compare."""
        return bool(self.pieces and self.presents)

    def take(self, piece: Piece, present: Present, round_: Round) -> None:
        """These two are one."""
        del self.pieces[piece.key]
        if round_ in RECOGNISED:
            self.seen[piece.key] = piece.look, self.bodies.get(present.uid)
        if self.forgets:
            piece.look = None
            self.foretold.pop(piece.key, None)
        self.drop(present.uid)
        self.pairs.append((piece, present, round_))

    def looks(self, piece: Piece) -> tuple[Print, ...]:
        """What a message of the target may look like that is this one, unless more was changed."""
        foretold = self.foretold.get(piece.key)
        return tuple(look for look in (piece.look, foretold) if look is not None)

    def drop(self, uid: str) -> None:
        """A message of the target is not to be looked at any more."""
        self.presents.pop(uid, None)
        self.headers.pop(uid, None)
        self.names.pop(uid, None)
        self.bodies.pop(uid, None)


class Looker:
    """Asks; counts what was asked.

    Args:
        target: whom.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.headers_read = 0
        self.bodies_read = 0

    def headers(self, work: Work, presents: list[Present]) -> None:
        """Learn the headers of these messages."""
        if not presents:
            return
        self.headers_read += len(presents)
        for present, header in self._target.headers(presents):
            if isinstance(header, Vanished):
                work.drop(present.uid)
            elif isinstance(header, Failure):
                work.unread[present.uid] = header.text
            else:
                _note(work, present, print_of(likeness_of(header), 0, LineEnds.CRLF), header)

    def octets(
        self, work: Work, presents: list[Present], wanted: Collection[bytes]
    ) -> Iterator[tuple[Present, bytes]]:
        """Those of these messages whose octets are wanted, with the digest (``Print.octets``).

        What is learned of the others is noted.
        """
        if not presents:
            return
        self.bodies_read += len(presents)
        for present, outcome in self._target.fetch(presents):
            if isinstance(outcome, Vanished):
                work.drop(present.uid)
                continue
            if isinstance(outcome, Failure):
                work.unread[present.uid] = outcome.text
                continue
            octets = outcome.octets
            if octets is not None:
                work.unread.pop(present.uid, None)
            if octets is not None and (digest := hashlib.sha256(octets).digest()[:16]) in wanted:
                yield present, digest  # the canonical octets themselves
                continue
            seen = print_of_body(outcome)
            if seen is None:
                continue
            work.bodies[present.uid] = seen
            work.unread.pop(present.uid, None)
            if octets is not None and present.uid not in work.names:
                end = _END_OF_HEADER.search(octets)
                _note(work, present, seen, octets[: end.end()] if end is not None else octets)
            if seen.octets in wanted:
                yield present, seen.octets

    def bodies(self, work: Work, presents: Iterable[Present]) -> None:
        """Learn the octets of these messages, each once."""
        asked = {p.uid: p for p in presents if p.uid not in work.bodies}
        for _ in self.octets(work, list(asked.values()), ()):
            pass

    def texts(self, presents: list[Present]) -> dict[str, bytes]:
        """By uid: the octets, of those that can be read and are not too large to be held."""
        asked = [present for present in presents if (present.size or 0) <= WHOLE]
        self.bodies_read += len(asked)
        found = {}
        for present, outcome in self._target.fetch(asked) if asked else ():
            if not isinstance(outcome, Failure | Vanished):
                with suppress(BodyCut):
                    found[present.uid] = outcome.octets or b"".join(outcome.chunks())
        return found

    @staticmethod
    def rest(chunks: Iterable[bytes]) -> bytes:
        """Digest of what no server on the closed lists changes.

        All but line ends, with NUL and octets over 127 as one sign.
        """
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk.translate(_TO_X, b"\r\n"))
        return digest.digest()


class Rest:
    """A body on its way to whoever reads it, and ``Looker.rest`` of it afterwards."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._digest = hashlib.sha256()
        self.size, self.octets = body.size, body.octets
        if self.octets is not None:
            self._digest.update(self.octets.translate(_TO_X, b"\r\n"))

    def chunks(self) -> Iterator[bytes]:
        """See ``Body.chunks``."""
        for chunk in self._body.chunks():
            self._digest.update(chunk.translate(_TO_X, b"\r\n"))
            yield chunk

    def digest(self) -> bytes:
        """When all was read."""
        return self._digest.digest()


def print_of_body(body: Body) -> Print | None:
    """What a target holds; None if it was cut: then it comes once more, or as a failure."""
    octets = body.octets
    try:
        found = likeness(body.chunks()) if octets is None else likeness_of(octets)
    except BodyCut:
        return None
    return print_of(found, 0, LineEnds.CRLF)


def _note(work: Work, present: Present, seen: Print, header: bytes) -> None:
    """Keep what a header tells: digests, and the names that the message goes by.

    Exchange gives a new Message-ID, and keeps the old one in a field of its own.
    """
    work.headers[present.uid] = Head(seen.header, seen.ident)
    names = [seen.message_id] if seen.message_id != NOTHING else []
    if b"-parent-message-id" in header.lower() and (parent := _PARENT.search(header)):
        names.append(name_of(b"".join(parent[1].splitlines()).strip()))
    work.names[present.uid] = tuple(names)

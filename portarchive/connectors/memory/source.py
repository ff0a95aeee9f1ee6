"""The ``Source`` protocol in its strictest reading, without a wire.

A message may be in two mailboxes, a dead connection stays dead until ``reconnect``, an iterator of
an earlier connection is dead too, and a body is read once and in time. It fails on demand
(``Fault``, ``poison``, ``answer``, ``drop``). It never changes the account that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from portarchive.connectors.base import Outcome, SourceCapabilities, Wanted
from portarchive.connectors.memory.account import Mailbox, MemoryAccount, Message, Name
from portarchive.connectors.memory.line import Fault, Line
from portarchive.records import (
    Change,
    Failure,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Placement,
    Removal,
    SourceIdentity,
    Vanished,
)

EVERYTHING = SourceCapabilities(removals=True, object_ids=True, flags_in_listing=True)


@dataclass(slots=True, kw_only=True)
class _View:
    """A mailbox as ``changes`` opened it. ``since``: modseq of the token, None: list it whole."""

    box: Mailbox
    opened_at: int
    uidvalidity: int
    since: int | None
    identify: bool
    end: int
    named: int = 0


class MemorySource(Line, MemoryAccount):
    """An account and the one connection to it.

    Attributes:
        faults: errors to come; the first that is due strikes.
        after_event: called with each event of ``changes`` when the next one is asked for, so what
            it does to the account happens between the two.
        after_message: the same for ``fetch``.
        fetches: how many messages each call of ``fetch`` asked for.
        reconnects: how often ``reconnect`` was called.
    """

    def __init__(
        self,
        *,
        account: str = "jane@example.org",
        service: str = "memory:",
        capabilities: SourceCapabilities = EVERYTHING,
        whole_account: bool = True,
        faults: Iterable[Fault] = (),
        large: int = 1 << 20,
        chunk: int = 1 << 16,
    ) -> None:
        """An account with an empty INBOX.

        Args:
            account: the login.
            service: the endpoint.
            capabilities: what it admits to; without ``removals`` every listing is a whole one.
            whole_account: all folders are opened before a message is named, once, with all its
                placements (as JMAP does). False: folder by folder, one placement each (as IMAP).
            faults: see ``Fault``.
            large: bodies over so many octets come in chunks only.
            chunk: octets of a chunk.
        """
        Line.__init__(self, faults)
        MemoryAccount.__init__(self)
        self.account, self.service = account, service
        self.capabilities = capabilities
        self.after_event: Callable[[Change], object] | None = None
        self.after_message: Callable[[MessageRef], object] | None = None
        self.fetches: list[int] = []
        self._whole_account = whole_account
        self._large, self._chunk = large, chunk
        self._poison: dict[tuple[str, str], bool] = {}
        self._answers: dict[tuple[str, str], Failure | Vanished | None] = {}
        self._listed_under: dict[str, int] = {}

    # --- how it fails

    def poison(self, ref: MessageRef, *, whole_batch: bool = True) -> None:
        """Asking for this message breaks the connection, each time.

        ``whole_batch``: before anything of the same ``fetch`` arrives; else when its turn comes.
        """
        for placement in ref.placements:
            self._poison[placement.folder_id, placement.uid] = whole_batch

    def answer(self, ref: MessageRef, outcome: Failure | Vanished | None) -> None:
        """What ``fetch`` says of this message. None: it says nothing at all of it."""
        for placement in ref.placements:
            self._answers[placement.folder_id, placement.uid] = outcome

    def reset_uidvalidity(self, name: Name) -> None:
        """As the account does it, and the connection breaks, as servers do then."""
        super().reset_uidvalidity(name)
        self.drop()

    # --- Source

    def identity(self) -> SourceIdentity:
        """Who and where."""
        self._step("identity", self._session)
        return SourceIdentity(
            protocol="memory",
            service=self.service,
            account=self.account,
            server={"name": "memory"},
            capabilities=tuple(
                name
                for name in ("flags_in_listing", "object_ids", "removals")
                if getattr(self.capabilities, name)
            ),
        )

    def folders(self) -> Sequence[Folder]:
        """All mailboxes, parents before children."""
        self._step("folders", self._session)
        records = [
            replace(box.record, messages=len(box.items) if box.record.selectable else None)
            for box in self._boxes.values()
        ]
        return sorted(records, key=lambda record: record.path)

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. Tokens are ``{"uidvalidity", "modseq"}``."""
        session = self._session
        groups = [wanted.folders] if self._whole_account else [[each] for each in wanted.folders]
        for group in groups:
            for event in self._visit(group, wanted):
                self._step("changes", session)
                yield event
                if self.after_event is not None:
                    self.after_event(event)
                self._stands(session)

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``. A uid of another UIDVALIDITY than it was named under is gone."""
        session = self._session
        self._stands(session)
        self.fetches.append(len(refs))
        keys = [(place.folder_id, place.uid) for ref in refs for place in ref.placements]
        if any(self._poison.get(key) for key in keys):
            self._break()
        for ref in refs:
            keys = [(place.folder_id, place.uid) for place in ref.placements]
            if any(key in self._poison for key in keys):
                self._break()
            answers = [self._answers[key] for key in keys if key in self._answers]
            if answers and answers[0] is None:
                continue
            found, outcome = self._read(ref, session)
            self._step("fetch", session)
            yield found, answers[0] if answers and answers[0] is not None else outcome
            if isinstance(outcome, MemoryBody):
                outcome.over = True
            if self.after_message is not None:
                self.after_message(found)
            self._stands(session)

    # --- inside

    def _visit(self, group: Sequence[Folder], wanted: Wanted) -> Iterator[Change]:
        views: list[_View] = []
        for folder in group:
            box = self._boxes.get(folder.folder_id)
            if box is None or not box.record.selectable:
                yield FolderFailed(
                    folder.folder_id, "folder-unavailable", "there is no such mailbox"
                )
            elif box.refusal is not None:
                yield FolderFailed(folder.folder_id, *box.refusal)
            else:
                view = self._open(box, wanted)
                views.append(view)
                yield FolderOpened(
                    folder=replace(box.record, messages=len(box.items)),
                    complete=view.since is None,
                    uidvalidity=box.uidvalidity,
                    uidnext=box.uidnext,
                    highest_modseq=self._modseq,
                    counts={"exists": len(box.items), "status": len(box.items)},
                )
        todo = [
            [
                uid
                for uid, item in view.box.items.items()
                if item.modseq > (view.since or 0) and uid < view.end
            ]
            for view in views
        ]
        named = False
        for ref in self._references(views, todo, wanted):
            named = True
            yield ref
        for view in views:
            gone = [
                uid for at, uid in view.box.expunged if view.since is not None and at > view.since
            ]
            if gone:
                named = True
                yield Removal(view.box.record.folder_id, tuple(str(uid) for uid in sorted(gone)))
        if named:
            yield FetchPoint()
        todo = []
        for view in views:
            todo.append([uid for uid in view.box.items if uid >= view.end])
            view.end = view.box.uidnext
        named = False
        for ref in self._references(views, todo, wanted):
            named = True
            yield ref
        if named:
            yield FetchPoint()
        for view in views:
            yield FolderDone(
                folder_id=view.box.record.folder_id,
                token={"uidvalidity": view.uidvalidity, "modseq": view.opened_at},
                listed=view.named if view.since is None else None,
                arrived_later=sum(uid >= view.end for uid in view.box.items),
            )

    def _open(self, box: Mailbox, wanted: Wanted) -> _View:
        folder_id = box.record.folder_id
        token = wanted.tokens.get(folder_id)
        same = token is not None and token.get("uidvalidity") == box.uidvalidity
        since = None
        if token is not None and same and self.capabilities.removals:
            since = None if folder_id in wanted.relist else int(token["modseq"])
        self._listed_under[folder_id] = box.uidvalidity
        return _View(
            box=box,
            opened_at=self._modseq,
            uidvalidity=box.uidvalidity,
            since=since,
            identify=token is not None and not same,
            end=box.uidnext,
        )

    def _references(
        self, views: Sequence[_View], todo: Sequence[Sequence[int]], wanted: Wanted
    ) -> Iterator[MessageRef]:
        """Each message once, with its placements of ``todo`` that are still there."""
        groups: dict[Message, list[tuple[_View, int]]] = {}
        for view, uids in zip(views, todo, strict=True):
            for uid in uids:
                groups.setdefault(view.box.items[uid].message, []).append((view, uid))
        for message, places in groups.items():
            there = [(view, uid) for view, uid in places if uid in view.box.items]
            known = wanted.describe or self.capabilities.flags_in_listing
            placements = []
            for view, uid in there:
                view.named += 1
                placement = Placement(view.box.record.folder_id, str(uid))
                if known or view.since is not None:
                    placement = placement._replace(flags=view.box.items[uid].flags)
                if known or view.identify:
                    placement = placement._replace(received=message.received)
                placements.append(placement)
            if placements:
                identify = any(view.identify for view, _ in there)
                yield MessageRef(
                    tuple(placements),
                    size=len(message.octets) if known or identify else None,
                    email_id=message.email_id if self.capabilities.object_ids else None,
                    message_id=_message_id(message.octets) if identify else None,
                )

    def _read(self, ref: MessageRef, session: int) -> tuple[MessageRef, Outcome]:
        """What is known now of a message, and its octets; a placement gone keeps what it said."""
        message: Message | None = None
        placements = []
        for placement in ref.placements:
            box = self._boxes.get(placement.folder_id)
            item = None
            if box is not None:
                under = self._listed_under.get(placement.folder_id, box.uidvalidity)
                item = box.items.get(int(placement.uid)) if under == box.uidvalidity else None
            if item is not None:
                message = item.message
                placements.append(placement._replace(flags=item.flags, received=message.received))
            else:
                placements.append(placement._replace(flags=placement.flags or ()))
        if message is None:
            return ref, Vanished()
        found = ref._replace(
            placements=tuple(
                each if each.received else each._replace(received=message.received)
                for each in placements
            ),
            size=len(message.octets),
            email_id=message.email_id if self.capabilities.object_ids else None,
        )
        body = MemoryBody(
            message.octets,
            large=self._large,
            chunk=self._chunk,
            step=lambda: self._step("chunks", session),
        )
        return found, body


class MemoryBody:
    """The octets of one message. To read it twice, or too late, is a ``RuntimeError``."""

    def __init__(self, octets: bytes, *, large: int, chunk: int, step: Callable[[], None]) -> None:
        self.size = len(octets)
        self.octets = octets if len(octets) <= large else None
        self.over = False
        self._all, self._chunk, self._step = octets, chunk, step

    def chunks(self) -> Iterator[bytes]:
        """See ``records.Body``."""
        if self.octets is not None:
            yield self.octets
            return
        if self.over:
            raise RuntimeError("a body is read once, before the next message is asked for")
        for start in range(0, len(self._all), self._chunk):
            self._step()
            yield self._all[start : start + self._chunk]
            if self.over:
                raise RuntimeError("a body is to be read before the next message is asked for")
        self.over = True


def _message_id(octets: bytes) -> bytes:
    """The Message-ID field's value, unfolded (RFC 5322 §2.2.3); empty without one."""
    header = octets.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    for line in header.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"message-id":
            return value.strip()
    return b""

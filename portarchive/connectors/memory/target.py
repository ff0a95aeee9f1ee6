"""The ``Target`` protocol in its strictest reading, without a wire.

Parcels are taken a window ahead and stored one by one; a dead connection stays dead until
``reconnect``, and an iterator of an earlier connection is dead too. What it does to messages is a
``Rewriting``; where its connection breaks, a ``Fault`` or ``drop_every`` says.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from portarchive.connectors.base import Outcome
from portarchive.connectors.memory.account import Item, Mailbox, MemoryAccount, Message
from portarchive.connectors.memory.line import Fault, Line, Where
from portarchive.connectors.memory.rewriting import SYSTEM, Rewriting
from portarchive.connectors.memory.source import MemoryBody
from portarchive.errors import ConnectorError
from portarchive.keywords import ROLES, fold, to_imap
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Merged,
    NameRules,
    Parcel,
    Placed,
    PlaceOutcome,
    Present,
    Refused,
    Spot,
    TargetCapabilities,
    Unsure,
    Whereabouts,
)
from portarchive.records import Failure, Folder, FolderFailed, SourceIdentity, Vanished

LONGEST_NAME = 255
AS_IT_COMES = Rewriting()


class MemoryTarget(Line):
    """A connection that adds to an account.

    Attributes:
        account: what it adds to; its owner may change it meanwhile.
        rewriting: may be changed at any time; ``capabilities`` stay as they were then.
        drop_every: so many steps after the last one, the connection breaks again. A message to be
            placed is two of them: before it is stored, and after that, before it is answered; so
            is a mailbox to be made. ``reconnect`` is none.
        sent: keys of the parcels in the order in which they were sent, all connections.
        bodies: so many octets of messages were sent and fetched.
    """

    def __init__(
        self,
        account: MemoryAccount,
        *,
        rewriting: Rewriting = AS_IT_COMES,
        capabilities: TargetCapabilities | None = None,
        memberships: bool = False,
        uidplus: bool = True,
        faults: Iterable[Fault] = (),
        drop_every: int | None = None,
        window: int = 8,
        answers_late: bool = False,
        large: int = 1 << 20,
        chunk: int = 1 << 16,
        now: Callable[[], float] = time.time,
        login: str = "jane@example.org",
        service: str = "memory:",
        keys: tuple[str, ...] = (),
    ) -> None:
        """Connect.

        Args:
            account: what to add to.
            rewriting: what becomes of messages.
            capabilities: in place of those that follow from ``rewriting`` and ``memberships``.
            memberships: a message may be in several mailboxes, and octets that the account has
                already get another mailbox and more flags in place of a copy (JMAP).
            uidplus: uids of placed messages are told.
            faults: see ``Fault``.
            drop_every: see above.
            window: parcels taken ahead.
            answers_late: no answer before the whole window is stored (MULTIAPPEND, but not all or
                nothing: what is lost in the middle stays stored up to there).
            large: bodies over so many octets come in chunks only.
            chunk: octets of a chunk.
            now: seconds since 1970.
            login: the account's name.
            service: the endpoint.
            keys: of its whereabouts; none: nothing but the endpoint and the login is known.
        """
        super().__init__(faults)
        self.account, self.rewriting = account, rewriting
        self.drop_every = drop_every
        self.sent: list[int] = []
        self.bodies = 0
        self.capabilities = capabilities or TargetCapabilities(
            names=NameRules(separator="/", max_name=LONGEST_NAME),
            append_limit=rewriting.append_limit,
            memberships=memberships,
            roles=frozenset(ROLES) - {"inbox"} - account.named_roles,
            offsets=True,
            alterations=rewriting.alterations,
            object_ids=True,
        )
        self._login, self._service, self._keys = login, service, keys
        self._memberships, self._uidplus = memberships, uidplus
        self._window, self._answers_late = window, answers_late
        self._large, self._chunk, self._now = large, chunk, now
        self._since_drop = 0
        self._accepted = 0
        self._serial = 0

    # --- Target

    def identity(self) -> SourceIdentity:
        """Who and where."""
        self._step("identity", self._session)
        return SourceIdentity(
            protocol="memory", service=self._service, account=self._login, server={"name": "memory"}
        )

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``: as it was told."""
        return Whereabouts(self._keys)

    def folders(self) -> Sequence[Folder]:
        """All mailboxes, parents before children."""
        self._step("folders", self._session)
        records = [
            replace(box.record, messages=len(box.items) if box.record.selectable else None)
            for box in self.account.mailboxes().values()
        ]
        return sorted(records, key=lambda record: record.path)

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """See ``Target.ensure``."""
        session = self._session
        for wish in wishes:
            self._step("ensure", session)
            answer = self._make(wish)
            self._step("made", session)
            yield wish, answer

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``."""
        session = self._session
        for folder_id in folder_ids:
            self._step("existing", session)
            box = self.account.mailboxes().get(folder_id)
            if box is None or not box.record.selectable:
                yield FolderFailed(folder_id, "folder-unavailable", "there is no such mailbox")
                continue
            if box.refusal is not None:
                yield FolderFailed(folder_id, *box.refusal)
                continue
            known = self.rewriting
            yield FolderLook(
                folder_id,
                uidvalidity=box.uidvalidity,
                keywords=self._keywords(box),
                new_keywords=not known.no_new_keywords,
                messages=len(box.items),
            )
            after = int((newer_than or {}).get(folder_id, 0))
            for uid, item in [(uid, item) for uid, item in box.items.items() if uid > after]:
                self._step("existing", session)
                message = item.message
                yield Present(
                    folder_id,
                    str(uid),
                    len(message.octets),
                    item.flags,
                    message.received,
                    message.email_id if self.capabilities.object_ids else None,
                )

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """See ``Target.headers``."""
        session = self._session
        for present in messages:
            self._step("headers", session)
            message = self._message(present)
            yield present, Vanished() if message is None else _header(message.octets)

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """See ``Target.fetch``."""
        session = self._session
        for present in messages:
            self._step("fetch", session)
            message = self._message(present)
            if message is None:
                yield present, Vanished()
                continue
            self.bodies += len(message.octets)
            body = MemoryBody(
                message.octets,
                large=self._large,
                chunk=self._chunk,
                step=lambda: self._step("chunks", session),
            )
            yield present, body
            body.over = True

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``."""
        session = self._session
        rest = iter(parcels)
        while window := list(itertools.islice(rest, self._window)):
            unanswered = dict(enumerate(window))
            answers: dict[int, PlaceOutcome] = {}
            lost: ConnectorError | None = None
            for number, parcel in enumerate(window):
                if parcel.careful or not self._answers_late:
                    yield from self._answer(unanswered, answers)
                try:
                    self._step("place", session)
                    answers[number] = self._store(parcel)
                    self._step("stored", session)
                except ConnectorError as error:
                    lost = error
                    break
                if parcel.careful:
                    yield from self._answer(unanswered, answers)
            if lost is not None:
                text = "the connection broke before the answer"
                yield from ((parcel, Unsure(text)) for parcel in unanswered.values())
                raise lost
            yield from self._answer(unanswered, answers)

    # --- inside

    def _step(self, where: Where, session: int) -> None:
        if where != "reconnect" and self.drop_every is not None:
            self._stands(session)
            self._since_drop += 1
            if self._since_drop >= self.drop_every:
                self._since_drop = 0
                self._break()
        super()._step(where, session)

    @staticmethod
    def _answer(
        unanswered: dict[int, Parcel], answers: dict[int, PlaceOutcome]
    ) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        while answers:
            number = next(iter(answers))
            yield unanswered.pop(number), answers.pop(number)

    def _make(self, wish: FolderWish) -> FolderReady | Refused:
        boxes = self.account.mailboxes()
        created = False
        if wish.folder_id is not None:
            box = boxes.get(wish.folder_id)
            if box is None:
                return Refused("folder-gone", "there is no such mailbox")
        else:
            refusal = _refusal(wish.path)
            if refusal is not None:
                return Refused("refused", refusal)
            box, created = self._mailbox(wish)
        if wish.subscribe is not None:
            box.record = replace(box.record, subscribed=wish.subscribe)
        lost = ("role: another mailbox has it",) if _lacks(box, wish) and created else ()
        return FolderReady(replace(box.record, messages=len(box.items)), created, lost)

    def _mailbox(self, wish: FolderWish) -> tuple[Mailbox, bool]:
        """The mailbox of a path, made if it was not there or held no mail."""
        boxes = self.account.mailboxes()
        by_path = {box.record.path: box for box in boxes.values()}
        there = by_path.get(wish.path)
        if there is not None:
            created = not there.record.selectable
            there.record = replace(there.record, selectable=True)
            return there, created
        for depth in range(1, len(wish.path)):
            if wish.path[:depth] not in by_path:
                self.account.create_folder(wish.path[:depth], subscribed=False)
        taken = {role for box in boxes.values() for role in box.record.roles}
        given = wish.role in self.capabilities.roles and wish.role not in taken
        roles = (wish.role,) if wish.role is not None and given else ()
        record = self.account.create_folder(wish.path, roles=roles, subscribed=False)
        return boxes[record.folder_id], True

    def _store(self, parcel: Parcel) -> PlaceOutcome:
        """Store one message; all that can be refused is refused before anything is changed."""
        habits = self.rewriting
        self.sent.append(parcel.key)
        if habits.append_limit is not None and parcel.size > habits.append_limit:
            return Refused("too-big", "[TOOBIG] the message is too big")
        octets = parcel.octets if parcel.octets is not None else b"".join(parcel.chunks())
        self.bodies += len(octets)
        refusal = habits.refuses(parcel, octets) if habits.refuses is not None else None
        if refusal is not None:
            return Refused(*refusal)
        places: list[tuple[Mailbox, Spot]] = []
        for spot in parcel.spots:
            box = self.account.mailboxes().get(spot.folder_id)
            if box is None or not box.record.selectable:
                return Refused("folder-gone", "[TRYCREATE] there is no such mailbox")
            if any(habits.refuses_flag(flag) for flag in spot.flags):
                return Refused("keyword", "invalid flag")
            places.append((box, spot))
        received = habits.received(parcel.spots[0].received, int(self._now()))
        if received is None:
            return Refused("date", "there is no such date")
        self._serial += 1
        kept = habits.octets(octets, self._serial)
        if habits.quota is not None and self._used() + len(kept) > habits.quota:
            return Refused("over-quota", "[OVERQUOTA] the account is full")
        self._accepted += 1
        if habits.loses is not None and self._accepted % habits.loses == 0:
            return Placed(tuple((spot.folder_id, "") for spot in parcel.spots))
        same = self._same(kept) if self._memberships else None
        message = same or self.account.new_message(kept, received)
        uids = []
        for box, spot in places:
            uid = next((uid for uid, item in box.items.items() if item.message is message), None)
            if uid is None:
                uid = int(self.account.place(box, message, self._flags(spot)).uid)
            uids.append((spot.folder_id, str(uid) if self._uidplus else ""))
        if same is not None:
            self.account.join(message, [flag for _, spot in places for flag in self._flags(spot)])
            return Merged(tuple(uids), message.email_id)
        return Placed(tuple(uids), message.email_id if self.capabilities.object_ids else None)

    def _flags(self, spot: Spot) -> tuple[str, ...]:
        legal = (flag for flag in spot.flags if to_imap(flag) is not None)
        kept = {fold(flag): flag for flag in legal if self.rewriting.keeps(flag)}
        return tuple(kept.values())

    def _keywords(self, box: Mailbox) -> tuple[str, ...]:
        r"""What PERMANENTFLAGS would say, without ``\*``."""
        used = [flag for item in box.items.values() for flag in item.flags]
        hidden = self.rewriting.no_new_keywords
        names = (*SYSTEM, *self.rewriting.kept_keywords, *([] if hidden else used))
        return tuple({fold(name): name for name in names}.values())

    def _items(self) -> Iterator[Item]:
        for box in self.account.mailboxes().values():
            yield from box.items.values()

    def _used(self) -> int:
        return sum(len(message.octets) for message in {item.message for item in self._items()})

    def _same(self, octets: bytes) -> Message | None:
        messages = (item.message for item in self._items())
        return next((message for message in messages if message.octets == octets), None)

    def _message(self, present: Present) -> Message | None:
        box = self.account.mailboxes().get(present.folder_id)
        item = box.items.get(int(present.uid)) if box is not None else None
        same = item is not None and present.email_id in {None, item.message.email_id}
        return item.message if item is not None and same else None


def _refusal(path: tuple[str, ...]) -> str | None:
    """Why there can be no such mailbox."""
    for name in path:
        if not name or "/" in name or any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in name):
            return "no name of a mailbox"
        try:
            octets = name.encode()
        except UnicodeEncodeError:
            return "no name of a mailbox"
        if len(octets) > LONGEST_NAME:
            return "the name is too long"
    return None if path else "a mailbox has a name"


def _lacks(box: Mailbox, wish: FolderWish) -> bool:
    return wish.role is not None and wish.role not in box.record.roles


def _header(octets: bytes) -> bytes:
    """Up to and with the first empty line."""
    if octets.startswith((b"\n", b"\r\n")):
        return octets[: octets.index(b"\n") + 1]
    ends = [octets.find(end) + len(end) for end in (b"\n\r\n", b"\n\n") if end in octets]
    return octets[: min(ends)] if ends else octets

"""The other side of the memory connector: mailboxes and messages, and what their owner does.

It owns the state and its change log. It refuses to be a mail store: nothing is checked but what a
test could get wrong.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from portarchive.records import Folder, MessageRef, Placement, Received

Name = str | tuple[str, ...]
"""A mailbox: its path, or the same as one string with slashes."""


@dataclass(slots=True, eq=False)
class Message:
    """Octets with identity, in one mailbox or more."""

    octets: bytes
    email_id: str
    received: Received


@dataclass(slots=True)
class Item:
    """A message in a mailbox. ``modseq``: when its flags last changed (RFC 7162)."""

    message: Message
    flags: tuple[str, ...]
    modseq: int


@dataclass(slots=True, kw_only=True)
class Mailbox:
    """A mailbox. ``expunged``: pairs of modseq and uid. ``refusal``: code and text, or None."""

    record: Folder
    uidvalidity: int
    uidnext: int = 1
    items: dict[int, Item] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)
    refusal: tuple[str, str] | None = None


class MemoryAccount:
    """Mailboxes and messages, and what their owner does to them.

    Flags are given in the archive's spelling. Every change raises the account's one modification
    sequence; expunges are remembered for ever. An unknown mailbox or uid is a ``LookupError``.

    Args:
        named_roles: by the name of a top-level mailbox, the role that it has for it, whoever made
            it, and as long as it is called so (Dovecot's ``special_use``).
    """

    def __init__(self, named_roles: Mapping[str, str] | None = None) -> None:
        self._named_roles = dict(named_roles or {})
        self._boxes: dict[str, Mailbox] = {}
        self._modseq = 1
        self._serial = 0
        self.create_folder("INBOX", roles=("inbox",))

    def create_folder(
        self,
        name: Name,
        *,
        roles: Sequence[str] = (),
        subscribed: bool | None = True,
        selectable: bool = True,
        namespace: str = "personal",
    ) -> Folder:
        """A new empty mailbox. Its id outlives a rename."""
        path = _path(name)
        if any(box.record.path == path for box in self._boxes.values()):
            raise ValueError(f"there is a mailbox {name!r} already")
        self._serial += 1
        record = Folder(
            folder_id=f"F{self._serial}",
            path=path,
            uid=f"F{self._serial}",
            roles=self._roles(path, roles),
            subscribed=subscribed,
            selectable=selectable,
            namespace=namespace,
        )
        self._boxes[record.folder_id] = Mailbox(record=record, uidvalidity=1000 + self._serial)
        return record

    def rename_folder(self, name: Name, to: Name) -> None:
        """Another path for a mailbox; what lies below it keeps its own."""
        box = self._box(name)
        path = _path(to)
        box.record = replace(box.record, path=path, roles=self._roles(path, box.record.roles))

    def delete_folder(self, name: Name) -> None:
        """The mailbox is gone with everything in it."""
        del self._boxes[self._box(name).record.folder_id]

    def refuse_folder(self, name: Name, code: str | None, text: str = "") -> None:
        """From now on it cannot be opened: ``FolderFailed(code, text)``. None: it can again."""
        self._box(name).refusal = None if code is None else (code, text)

    def reset_uidvalidity(self, name: Name) -> None:
        """A new UIDVALIDITY, and all uids from 1 in the old order (RFC 9051 §2.3.1.1)."""
        box = self._box(name)
        self._modseq += 1
        box.uidvalidity += 1000
        items = list(box.items.values())
        box.items = {
            uid: Item(item.message, item.flags, self._modseq) for uid, item in enumerate(items, 1)
        }
        box.uidnext = len(items) + 1
        box.expunged = []

    def add(
        self,
        octets: bytes,
        folders: Name | Sequence[Name] = "INBOX",
        *,
        flags: Iterable[str] = (),
        received: Received | str | None = None,
    ) -> MessageRef:
        """A new message in one mailbox or more. ``received``: RFC 3339, or the record itself."""
        self._serial += 1
        if received is None:
            instant = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
            received = (instant + dt.timedelta(minutes=self._serial)).isoformat()
        if isinstance(received, str):
            epoch = int(dt.datetime.fromisoformat(received).timestamp())
            received = Received(text=received, epoch=epoch)
        message = Message(octets, f"M{self._serial}", received)
        names = [folders] if isinstance(folders, str) else folders
        self._modseq += 1
        placements = [self.place(self._box(name), message, tuple(flags)) for name in names]
        return MessageRef(tuple(placements), size=len(octets), email_id=message.email_id)

    def copy(self, name: Name, uid: str | int, to: Name) -> Placement:
        """The same message in one more mailbox (RFC 8474: its EMAILID stays)."""
        item, box = self._item(name, uid), self._box(to)
        if any(other.message is item.message for other in box.items.values()):
            raise ValueError(f"{to!r} has this message already")
        self._modseq += 1
        return self.place(box, item.message, item.flags)

    def expunge(self, name: Name, *uids: str | int) -> None:
        """These messages are in this mailbox no more."""
        box = self._box(name)
        self._modseq += 1
        for uid in uids:
            del box.items[int(uid)]
            box.expunged.append((self._modseq, int(uid)))

    def set_flags(self, name: Name, uid: str | int, flags: Iterable[str]) -> None:
        """These are the flags of a message in this mailbox now."""
        item = self._item(name, uid)
        self._modseq += 1
        item.flags, item.modseq = tuple(flags), self._modseq

    def contents(self) -> dict[tuple[str, ...], dict[str, tuple[tuple[str, ...], bytes]]]:
        """Everything, by path and uid: flags and octets. For comparing before and after."""
        return {
            box.record.path: {
                str(uid): (item.flags, item.message.octets) for uid, item in box.items.items()
            }
            for box in self._boxes.values()
        }

    # --- for the connectors

    @property
    def named_roles(self) -> frozenset[str]:
        """Roles that mailboxes have for their names only."""
        return frozenset(self._named_roles.values())

    def mailboxes(self) -> Mapping[str, Mailbox]:
        """The mailboxes themselves, by folder_id."""
        return self._boxes

    def new_message(self, octets: bytes, received: Received) -> Message:
        """A message that is in no mailbox yet."""
        self._serial += 1
        self._modseq += 1
        return Message(octets, f"M{self._serial}", received)

    def place(self, box: Mailbox, message: Message, flags: tuple[str, ...]) -> Placement:
        """Put a message into a mailbox that does not have it."""
        uid = box.uidnext
        box.uidnext += 1
        box.items[uid] = Item(message, flags, self._modseq)
        return Placement(box.record.folder_id, str(uid), flags, message.received)

    def join(self, message: Message, flags: Iterable[str]) -> None:
        """A message bears these flags too, wherever it is."""
        self._modseq += 1
        for box in self._boxes.values():
            for item in box.items.values():
                if item.message is message:
                    item.flags = tuple(dict.fromkeys((*item.flags, *flags)))
                    item.modseq = self._modseq

    # --- inside

    def _roles(self, path: tuple[str, ...], others: Iterable[str]) -> tuple[str, ...]:
        named = self._named_roles.get(path[0]) if len(path) == 1 else None
        kept = (role for role in others if role not in self._named_roles.values())
        return (*([named] if named else []), *kept)

    def _box(self, name: Name) -> Mailbox:
        path = _path(name)
        for box in self._boxes.values():
            if box.record.path == path:
                return box
        raise LookupError(f"there is no mailbox {name!r}")

    def _item(self, name: Name, uid: str | int) -> Item:
        return self._box(name).items[int(uid)]


def _path(name: Name) -> tuple[str, ...]:
    return tuple(name.split("/")) if isinstance(name, str) else name

"""What the fake JMAP server holds: blobs, mailboxes, Emails, and all that ever changed in them.

Knows no HTTP and no limit. A test changes an account here as its owner does.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]


@dataclass
class Box:
    """A mailbox (RFC 8621 section 2)."""

    box_id: str
    name: str
    parent: str | None = None
    role: str | None = None
    subscribed: bool = True
    order: int = 0
    rights: dict[str, bool] = field(default_factory=dict)


@dataclass
class Mail:
    """An Email (RFC 8621 section 4)."""

    mail_id: str
    blob_id: str
    boxes: set[str]
    keywords: set[str]
    received: str


@dataclass(frozen=True)
class Blob:
    """Octets. Of those beyond ``Store.most`` only number and digest are kept."""

    size: int
    sha256: str
    octets: bytes | None


class Store:
    """One account.

    Attributes:
        merges: equal octets are one Email (``alreadyExists``), wherever they are.
        own_blob_ids: an Email has another blobId than its upload had.
        rewrite: what becomes of the octets of a message that is imported; None: it is kept.
        forgets: states before this one are not known any more.
        most: octets of a blob that is kept in memory.
    """

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.mails: dict[str, Mail] = {}
        self.blobs: dict[str, Blob] = {}
        self.log: list[tuple[str, str, str]] = []
        self.merges = True
        self.own_blob_ids = False
        self.rewrite: Callable[[bytes], bytes | None] | None = None
        self.forgets = 0
        self.most = 32 << 20
        self._count = 0
        self.create(("Inbox",), role="inbox")

    @property
    def state(self) -> str:
        return str(len(self.log))

    def number(self) -> int:
        self._count += 1
        return self._count

    # --- mailboxes ------------------------------------------------------------------------------

    def create(self, path: Path, role: str | None = None) -> str:
        """The mailbox of this path, made with its parents if need be."""
        parent: str | None = None
        for depth, name in enumerate(path, 1):
            found = next((b for b in self.children(parent) if b.name == name), None)
            if found is None:
                found = Box(f"b{self.number()}", name, parent)
                self.add_box(found)
            if depth == len(path) and role is not None:
                found.role = role
            parent = found.box_id
        assert parent is not None
        return parent

    def add_box(self, box: Box) -> None:
        self.boxes[box.box_id] = box
        self.log.append(("Mailbox", "created", box.box_id))

    def children(self, parent: str | None) -> list[Box]:
        return [box for box in self.boxes.values() if box.parent == parent]

    def path(self, box: Box) -> Path:
        """As ``Folder.path`` has it."""
        name = "INBOX" if box.role == "inbox" and box.parent is None else box.name
        return (*(self.path(self.boxes[box.parent]) if box.parent else ()), name)

    def box_at(self, path: Path) -> Box:
        return next(box for box in self.boxes.values() if self.path(box) == path)

    def remove_box(self, box_id: str) -> None:
        """With the messages that are in no other."""
        for mail in list(self.mails.values()):
            if box_id in mail.boxes:
                self.change_boxes(mail, mail.boxes - {box_id})
        del self.boxes[box_id]
        self.log.append(("Mailbox", "destroyed", box_id))

    # --- blobs ----------------------------------------------------------------------------------

    def keep(self, octets: bytes) -> str:
        return self.keep_blob(Blob(len(octets), hashlib.sha256(octets).hexdigest(), octets))

    def keep_blob(self, blob: Blob) -> str:
        blob_id = f"G{blob.sha256[:40]}"
        self.blobs[blob_id] = blob
        return blob_id

    # --- Emails ---------------------------------------------------------------------------------

    def twin(self, blob_id: str) -> Mail | None:
        """An Email that has these octets."""
        digest = self.blobs[blob_id].sha256
        return next(
            (m for m in self.mails.values() if self.blobs[m.blob_id].sha256 == digest), None
        )

    def add_mail(
        self, blob_id: str, boxes: Iterable[str], keywords: Iterable[str], received: str
    ) -> Mail:
        """Import a blob."""
        blob = self.blobs[blob_id]
        if self.rewrite is not None and blob.octets is not None:
            changed = self.rewrite(blob.octets)
            blob_id = blob_id if changed is None else self.keep(changed)
        if self.own_blob_ids:
            self.blobs[own := f"E{self.number()}"] = self.blobs[blob_id]
            blob_id = own
        mail = Mail(f"M{self.number()}", blob_id, set(boxes), set(keywords), received)
        self.mails[mail.mail_id] = mail
        self.log.append(("Email", "created", mail.mail_id))
        return mail

    def touch(self, mail: Mail) -> None:
        self.log.append(("Email", "updated", mail.mail_id))

    def change_boxes(self, mail: Mail, boxes: set[str]) -> None:
        """An Email in no mailbox is no more."""
        mail.boxes = boxes
        if boxes:
            self.touch(mail)
        else:
            self.destroy(mail.mail_id)

    def destroy(self, mail_id: str) -> None:
        del self.mails[mail_id]
        self.log.append(("Email", "destroyed", mail_id))

    def add(
        self,
        path: Path,
        octets: bytes,
        keywords: Iterable[str] = (),
        received: dt.datetime | None = None,
    ) -> str:
        """A new message, as the owner has it; a mailbox that is missing is made."""
        try:
            box_id = self.box_at(path).box_id
        except StopIteration:
            box_id = self.create(path)
        moment = (received or dt.datetime.now(dt.UTC)).astimezone(dt.UTC)
        text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.add_mail(self.keep(octets), [box_id], keywords, text).mail_id

    def octets(self, path: Path) -> list[bytes]:
        """What a mailbox holds, in the order of arrival."""
        box_id = self.box_at(path).box_id
        found = [self.blobs[m.blob_id].octets for m in self.mails.values() if box_id in m.boxes]
        assert None not in found
        return found  # type: ignore[return-value]  # asserted

    # --- what changed ---------------------------------------------------------------------------

    def changes(self, kind: str, since: str, most: int | None) -> dict[str, Any] | None:
        """RFC 8620 section 5.2; None for a state that is not known."""
        if not since.isdecimal() or not self.forgets <= int(since) <= len(self.log):
            return None
        told: dict[str, set[str]] = {}
        at = int(since)
        while at < len(self.log):
            what, change, key = self.log[at]
            if what == kind:
                if key not in told and most is not None and len(told) >= most:
                    break
                told.setdefault(key, set()).add(change)
            at += 1
        new = {key for key, found in told.items() if "created" in found}
        gone = {key for key, found in told.items() if "destroyed" in found}
        return {
            "oldState": since,
            "newState": str(at),
            "hasMoreChanges": at < len(self.log),
            "created": sorted(new - gone),
            "updated": sorted(told.keys() - new - gone),
            "destroyed": sorted(gone - new),
        }

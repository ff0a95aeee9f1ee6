"""Survey: what the target's mailboxes hold, as far as it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from portarchive.connectors.base import Target
from portarchive.placing import FolderLook, Present
from portarchive.records import FolderFailed, Received


@dataclass(slots=True)
class Box:
    """One mailbox of the target.

    Attributes:
        look: None if it could not be opened.
        presents: its messages, in the target's order.
        failed: why it could not be opened or listed.
        used: uids that are some message of the archive already.
        top: the uid after which new ones come; None for an empty mailbox.
    """

    look: FolderLook | None = None
    presents: list[Present] = field(default_factory=list)
    failed: FolderFailed | None = None
    used: set[str] = field(default_factory=set)
    top: str | None = None

    @property
    def unused(self) -> list[Present]:
        """Messages that are nobody's yet."""
        return [present for present in self.presents if present.uid not in self.used]


def survey(
    target: Target, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
) -> dict[str, Box]:
    """Look into mailboxes; each is in the answer.

    Args:
        target: which.
        folder_ids: of ``Target.folders``.
        newer_than: see ``Target.existing``.
    """
    boxes = {folder_id: Box() for folder_id in folder_ids}
    if not boxes:
        return boxes
    box = Box()
    for event in target.existing(folder_ids, newer_than):
        if isinstance(event, Present):
            place = boxes.get(event.folder_id)
            if place is not None:
                folder_id, uid, size, flags, received, email_id = event
                # the text of its date is never looked at, and there may be a million of them
                when = Received(None, received.epoch)
                place.presents.append(Present(folder_id, uid, size, flags, when, email_id))
        elif isinstance(event, FolderLook):
            box = boxes[event.folder_id] = Box(look=event)
        else:
            boxes[event.folder_id].failed = event
    for box in boxes.values():
        box.top = _top(box.presents)
    return boxes


def _top(presents: Iterable[Present]) -> str | None:
    uids = [present.uid for present in presents]
    if not uids:
        return None
    if all(uid.isascii() and uid.isdigit() for uid in uids):
        return max(uids, key=int)
    return uids[-1]

"""Gathering: the items of an archive that are to be brought, as pieces, folder by folder.

Owns what is left out and why, and where messages marked as deleted go. Yields groups that are
small enough to be held in memory, unless one folder alone is larger.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from portarchive import records
from portarchive.archive.contents import ContentFolder, Contents, Item
from portarchive.errors import ArchiveError
from portarchive.jobs.replay.folders import FolderPlan
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.pieces import Piece, State
from portarchive.jobs.replay.policies import Policies, Treatment
from portarchive.jobs.selection import Selection

GROUP: Final = 4000
"""Messages that are worked at together, where a single folder does not have more."""

_VIRTUAL: Final = frozenset({"all", "flagged", "important"})
_MESSAGE_ID: Final = re.compile(
    rb"^message-id[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE
)


@dataclass(slots=True)
class Tally:
    """What is said of one folder beside its pieces."""

    items: int = 0
    octets: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    undated: int = 0
    trashed: int = 0


def as_record(folder: ContentFolder) -> records.Folder:
    """An archive's folder as the selection knows folders."""
    return records.Folder(
        folder_id=folder.path or "/", path=folder.names or ("",), roles=tuple(folder.roles)
    )


def skip_reason(selection: Selection, item: Item) -> str | None:
    """Why a filter leaves the item out; None if it is wanted."""
    placement = records.Placement(item.folder, item.uid, item.flags, item.received)
    return selection.skip_reason(placement, item.size)


class Gatherer:
    """Makes pieces.

    Args:
        contents: the archive.
        plans: where its folders go.
        trash: where deleted messages go; None if there are to be none.
        policies, options: what the user asked for.
        make_trash: makes the trash when the first message needs it.
        whole: everything in one group, and one piece for a message in several folders
            (``TargetCapabilities.memberships``).
    """

    def __init__(
        self,
        contents: Contents,
        plans: Sequence[FolderPlan],
        trash: FolderPlan | None,
        policies: Policies,
        options: ImportOptions,
        *,
        make_trash: Callable[[FolderPlan], object],
        whole: bool = False,
    ) -> None:
        self._contents = contents
        self._plans = plans
        self._trash = trash
        self._policies = policies
        self._options = options
        self._make_trash = make_trash
        self._whole = whole
        self._number = 0
        self._labelled: set[str] = set()
        self._by_email: dict[str, Piece] = {}
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.copies = 0

    def groups(self) -> Iterator[list[Piece]]:
        """Pieces of whole folders of the target, in the order of the archive's paths."""
        trash = self._trash
        trash_id = trash.folder_id if trash is not None else None
        late: list[Piece] = []
        group: list[Piece] = []
        order = list(self._plans)
        if self._options.labels == "primary":
            order.sort(key=_priority)
        for plan in order:
            if plan.folder is None:
                continue
            pieces = list(self._pieces(plan, plan.folder))
            for piece in pieces:
                # one mailbox is worked at once: what else goes to the trash waits for its turn
                waits = trash and piece.folder_id == trash_id and piece.state is State.OPEN
                (late if waits else group).append(piece)
            if not self._whole and len(group) >= GROUP:
                yield group
                group = []
        if trash is not None and not trash.folder_id and late:
            self._make_trash(trash)
            for piece in late:
                piece.folder_id = trash.folder_id
                if trash.failed is not None and piece.state is State.OPEN:
                    piece.fail(*trash.failed)
        if self._whole:
            group += late
        elif late:
            if group:
                yield group
            group = late
        if group:
            yield group

    def _pieces(self, plan: FolderPlan, folder: ContentFolder) -> Iterator[Piece]:
        tally = self.tallies[folder.path]
        for item in self._items(folder):
            tally.items += 1
            tally.octets += item.size or 0
            treatment = self._policies.treat(item.flags)
            tally.dropped.update(treatment.dropped)
            tally.undated += item.received.epoch is None
            reason = self._left_out(item, treatment)
            place = plan
            if reason is None and treatment.deleted and self._trash is not None:
                place = self._trash
                tally.trashed += 1
            if reason is None and plan.failed is None and place.failed is not None:
                place = plan
            piece = Piece(self._number, item, folder, place.folder_id, treatment.flags)
            self._number += 1
            if reason is not None:
                piece.skip(reason)
                tally.skipped[reason] += 1
            elif place.failed is not None:
                piece.fail(*place.failed)
            elif self._whole and self._joined(piece):
                pass
            yield piece

    def _items(self, folder: ContentFolder) -> Iterator[Item]:
        yield from self._contents.items(folder)
        if self._options.include_kept:
            yield from self._contents.items(folder, kept=True)

    def _left_out(self, item: Item, treatment: Treatment) -> str | None:
        options = self._options
        if treatment.deleted and options.deleted == "skip":
            return "deleted"
        reason = skip_reason(options.selection, item)
        if reason is None and options.select is not None and not self._selected(item):
            reason = "not-selected"
        if reason is None and item.email_id is not None:
            if item.email_id in self._labelled:
                self.copies += 1
                if options.labels == "primary":
                    return "copy"
            self._labelled.add(item.email_id)
        return reason

    def _selected(self, item: Item) -> bool:
        select = self._options.select or frozenset()
        if item.member in select or f"{item.folder}:{item.uid}" in select:
            return True
        if not any("@" in word for word in select):
            return False
        try:
            head = next(iter(self._contents.chunks(item, verify=False)), b"")
        except ArchiveError:
            return False
        found = _MESSAGE_ID.search(head.split(b"\r\n\r\n", 1)[0].split(b"\n\n", 1)[0])
        if found is None:
            return False
        return found[1].strip().strip(b"<>").decode("latin-1") in select

    def _joined(self, piece: Piece) -> bool:
        """Whether it is one more place of a message that is in hand already."""
        email_id = piece.item.email_id
        if email_id is None:
            return False
        first = self._by_email.setdefault(email_id, piece)
        if first is piece or first.item.sha256 != piece.item.sha256:
            return False
        if any(part.folder_id == piece.folder_id for part in (first, *first.twins)):
            return False
        first.twins.append(piece)
        return True


def _priority(plan: FolderPlan) -> tuple[int, bytes]:
    folder = plan.folder
    if folder is None:
        return 9, b""
    roles = set(folder.roles)
    first = 0 if "inbox" in roles else 2 if roles & _VIRTUAL else 1
    return first, folder.path.encode()

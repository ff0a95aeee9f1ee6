"""Gathering: the items of an archive that are to be brought, as pieces, folder by folder.

Owns what is left out and why, and where messages marked as deleted go. Yields groups that are
small enough to be held in memory, unless one folder alone is larger.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from portarchive import records
from portarchive.archive.contents import ContentFolder, Contents, Item
from portarchive.archive.received import DATE_FIELD, RECEIVED_FIELD
from portarchive.errors import ArchiveError
from portarchive.jobs.replay.folders import FolderPlan
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.pieces import Piece, State, piece_of
from portarchive.jobs.replay.policies import Policies, Treatment
from portarchive.jobs.selection import Selection
from portarchive.progress import Notice

GROUP: Final = 4000
"""Messages that are worked at together, where a single folder does not have more."""

_OF_HEADER: Final = frozenset({RECEIVED_FIELD, DATE_FIELD})
_VIRTUAL: Final = frozenset({"all", "flagged", "important"})
_MESSAGE_ID: Final = re.compile(
    rb"^message-id[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE
)


@dataclass(slots=True)
class Tally:
    """What is said of one folder beside its pieces; the policies only of what is brought."""

    items: int = 0
    octets: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    undated: int = 0
    date_from_header: int = 0
    trashed: int = 0


def as_record(folder: ContentFolder) -> records.Folder:
    """An archive's folder as the selection knows folders."""
    return records.Folder(
        folder_id=folder.path or "/", path=folder.names or ("",), roles=tuple(folder.roles)
    )


def entry_word(item: Item) -> str:
    """One entry alone, for ``ImportOptions.select``: where other entries have its file as well."""
    return f"{item.member or 'mail/'} {item.folder}:{item.uid}"


def not_brought(unmatched: Iterable[str], deleted_there: set[str]) -> Iterator[Notice]:
    """What is said of words of ``--select`` that brought no message."""
    for word in unmatched:
        if word in deleted_there:
            text = "was deleted there before the last export: --include-kept brings it"
            yield Notice("deleted-there", f"{word} {text}")
        else:
            yield Notice("not-found", f"no message of the archive is {word}")


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
        make: makes a mailbox when the first message needs it: the trash, and a parent that was
            not meant to hold any.
        whole: everything in one group, and one piece for a message in several folders
            (``TargetCapabilities.memberships``).
        ids: ids of the archive are ids of the target.

    Attributes:
        tallies: by the archive's path.
        copies: messages that are in another folder already, by the archive's own ids.
        unmatched: words of ``--select`` that no message answers to, when all is gathered.
    """

    def __init__(
        self,
        contents: Contents,
        plans: Sequence[FolderPlan],
        trash: FolderPlan | None,
        policies: Policies,
        options: ImportOptions,
        *,
        make: Callable[[FolderPlan], object],
        whole: bool = False,
        ids: bool = False,
    ) -> None:
        self._contents = contents
        self._plans = plans
        self._trash = trash
        self._policies = policies
        self._options = options
        self._make = make
        self._whole = whole
        self._keeps_ids = ids or whole
        self._number = 0
        self._labelled: dict[tuple[str, str], str] = {}
        self._by_email: dict[str, Piece] = {}
        self._select = options.select or frozenset()
        paths = {plan.folder.path for plan in plans if plan.folder is not None}
        # every message is opened for these, so as few as can be
        self._ids = {
            word
            for word in self._select
            if not word.startswith("mail/") and word.rpartition(":")[0] not in paths
        }
        self._filters = options.selection.needs_description
        self.unmatched = set(self._select)
        self.tallies: dict[str, Tally] = {
            plan.folder.path: Tally() for plan in plans if plan.folder is not None
        }
        self.copies = 0

    def groups(self) -> Iterator[list[Piece]]:
        """Pieces of whole folders of the target, in the order of the archive's paths."""
        trash = self._trash
        late: list[Piece] = []
        group: list[Piece] = []
        order = list(self._plans)
        if self._options.labels == "primary":
            order.sort(key=_priority)
        if not self._whole:
            # two folders may turn out to be one mailbox of the target: it is worked at once
            first = {plan.folder_id: place for place, plan in reversed(list(enumerate(order)))}
            order.sort(key=lambda plan: first[plan.folder_id] if plan.folder_id else 0)
        at = ""
        for plan in order:
            if plan.folder is None:
                continue
            if group and len(group) >= GROUP and plan.folder_id != at and not self._whole:
                yield group
                group = []
            at = plan.folder_id
            pieces = list(self._pieces(plan, plan.folder))
            for piece in pieces:
                # one mailbox is worked at once: what else goes to the trash waits for its turn
                waits = trash is not None and piece.folder_id in {"", trash.folder_id}
                (late if waits and piece.state is State.OPEN else group).append(piece)
        if trash is not None and not trash.folder_id and late:
            self._make(trash)
        for piece in late:
            if trash is not None and not piece.folder_id:
                piece.folder_id = trash.folder_id
                if trash.failed is not None:
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
            reason = self._left_out(item, treatment)
            if reason is None:
                if treatment.dropped:
                    tally.dropped.update(treatment.dropped)
                tally.undated += item.received.epoch is None
                tally.date_from_header += item.received_from in _OF_HEADER
            place = plan
            if reason is None and treatment.deleted and self._trash is not None:
                place = self._trash
                tally.trashed += 1
            if reason is None and not plan.folder_id and place is plan and plan.failed is None:
                self._make(plan)
            piece = piece_of(self._number, item, folder, place.folder_id, treatment.flags)
            self._number += 1
            if self._keeps_ids:
                piece.email_id = item.email_id
            if reason is not None:
                piece.skip(reason)
                tally.skipped[reason] += 1
            elif place.failed is not None:
                piece.fail(*place.failed)
            elif self._whole:
                self._join(piece)
            yield piece

    def _items(self, folder: ContentFolder) -> Iterator[Item]:
        yield from self._contents.items(folder)
        if self._options.include_kept:
            yield from self._contents.items(folder, kept=True)

    def _left_out(self, item: Item, treatment: Treatment) -> str | None:
        if treatment.deleted and self._options.deleted == "skip":
            return "deleted"
        if self._filters:
            reason = skip_reason(self._options.selection, item)
            if reason is not None:
                return reason
        if self._options.select is not None and not self._selected(item):
            return "not-selected"
        # what goes to the trash is nobody's first place, and twins in one folder are two messages
        if item.email_id is not None and not treatment.deleted:
            first = self._labelled.setdefault((item.email_id, self._digest(item)), item.folder)
            if first != item.folder:
                self.copies += 1
                if self._options.labels == "primary":
                    return "copy"
        return None

    def _digest(self, item: Item) -> str:
        """Of its octets: what bears one id and has others is another message, whatever says so.

        Copies that are only counted are believed. What cannot be read is like nothing else.
        """
        if item.sha256 is not None or self._options.labels != "primary":
            return item.sha256 or ""
        digest = hashlib.sha256()
        try:
            for chunk in self._contents.chunks(item, verify=False):
                digest.update(chunk)
        except ArchiveError:
            return f"{item.folder}/{item.uid}/{item.member}"
        return digest.hexdigest()

    def _selected(self, item: Item) -> bool:
        found = self._words(item) & self._select
        if self._ids:
            found |= {self._message_id(item)} & self._ids
        self.unmatched -= found
        return bool(found)

    def deleted_there(self) -> set[str]:
        """What of ``unmatched`` is kept alone: the source had lost it, and it was not asked for."""
        found: set[str] = set()
        if self._options.include_kept or not self.unmatched:
            return found
        ids = self._ids & self.unmatched
        for folder in self._contents.folders():
            if self._options.selection.wants_folder(as_record(folder)):
                for item in self._contents.items(folder, kept=True):
                    found |= self._words(item) & self.unmatched
                    if ids:
                        found |= {self._message_id(item)} & ids
        return found

    def _words(self, item: Item) -> set[str]:
        return {item.member, f"{item.folder}:{item.uid}", entry_word(item)}

    def _message_id(self, item: Item) -> str:
        """Without angle brackets; "" if it has none."""
        try:
            head = next(iter(self._contents.chunks(item, verify=False)), b"")
        except ArchiveError:
            return ""
        found = _MESSAGE_ID.search(head.split(b"\r\n\r\n", 1)[0].split(b"\n\n", 1)[0])
        return found[1].strip().strip(b"<>").decode("latin-1") if found is not None else ""

    def _join(self, piece: Piece) -> None:
        """Make it one more place of a message that is in hand already, if it is that."""
        email_id = piece.email_id
        if email_id is None:
            return
        first = self._by_email.setdefault(email_id, piece)
        if first is piece or first.digest != piece.digest:
            return
        if all(part.folder_id != piece.folder_id for part in first.parts):
            first.twins = (*first.twins, piece)


def _priority(plan: FolderPlan) -> tuple[int, bytes]:
    folder = plan.folder
    if folder is None:
        return 9, b""
    roles = set(folder.roles)
    first = 0 if "inbox" in roles else 2 if roles & _VIRTUAL else 1
    return first, folder.path.encode()

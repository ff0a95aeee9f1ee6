"""Elsewhere: mail of a folder in mailboxes that it does not go to, though it could have gone there.

A client makes *Sent* after mail came to *Sent Items*; the archive gets a folder of the name that
a mailbox had for its role. Where an earlier run put the mail then cannot be told by names. So a
message is looked for in all of them before it is placed, and what is there is left there. Each
mailbox is first matched with the folder that goes there, also if that is not brought (``owners``);
only then with others. Places nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from portarchive.archive.contents import ContentFolder, Contents
from portarchive.connectors.base import Target
from portarchive.jobs.replay.folders import FolderPlan, Holds
from portarchive.jobs.replay.ledger import Entry
from portarchive.jobs.replay.owners import Owners
from portarchive.jobs.replay.pieces import Piece, State
from portarchive.jobs.replay.report import FolderReport
from portarchive.jobs.replay.survey import Box, survey
from portarchive.placing import Present
from portarchive.records import Folder

Match = Callable[[str, Sequence[Piece], Box, Mapping[str, tuple[str, ...]]], list[Entry]]


class Elsewhere:
    """What has to be looked for elsewhere, and what of those mailboxes is taken.

    Args:
        target: whose mailboxes.
        plans: all that may have ``also``; a ``folder_id`` may come to them later.
        owners: of what is not brought.
    """

    def __init__(self, target: Target, plans: Iterable[FolderPlan | None], owners: Owners) -> None:
        self._target = target
        self._owners = owners
        self._plans = [plan for plan in plans if plan is not None and plan.also]
        self._folders = {also.folder_id: also for plan in self._plans for also in plan.also}
        self._there: dict[str, set[str]] = {}
        self._taken: dict[str, set[str]] = {}
        self._owned: set[str] = set()
        self._own: list[Entry] = []
        for folder_id in self._folders:
            # what this run places is not to be taken for what was there
            box = survey(target, [folder_id])[folder_id]
            self._there[folder_id] = {present.uid for present in box.presents}
            self._taken[folder_id] = set()
        self._held: dict[int, Piece] = {}
        self._found: Counter[tuple[str, str]] = Counter()
        self._strays: list[Piece] = []

    def taken(self, folder_id: str, uids: Iterable[str]) -> None:
        """These are some message of the archive already."""
        if folder_id in self._taken:
            self._taken[folder_id].update(uids)

    def hold(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Keep back what has to be looked for when all mailboxes are matched; returns the rest."""
        also = self._also()
        rest = []
        for piece in pieces:
            if piece.state is State.OPEN and piece.folder_id in also:
                self._held[piece.key] = piece
                piece.look = None
            else:
                rest.append(piece)
        return rest

    def holds(self, piece: Piece) -> bool:
        """Whether it is kept back."""
        return piece.key in self._held

    def release(self) -> list[Piece]:
        """What was kept back."""
        held = list(self._held.values())
        self._held.clear()
        return held

    def find(self, pieces: Iterable[Piece], match: Match) -> list[Entry]:
        """Look for these; what is found is present there.

        Args:
            pieces: of which the open ones are looked for.
            match: of the run: a mailbox, its pieces, what it has, and its path.

        Returns:
            What may be remembered.
        """
        entries: list[Entry] = []
        for folder, parts, box in self._look(pieces):
            if box.failed is not None:
                for piece in parts:
                    text = f"it may be in {'/'.join(folder.path)}: {box.failed.text}"
                    piece.fail(box.failed.code, text)
            else:
                entries += match(folder.folder_id, parts, box, {folder.folder_id: folder.path})
        entries += self._own
        self._own = []
        return entries

    def _look(self, pieces: Iterable[Piece]) -> Iterator[tuple[Folder, list[Piece], Box]]:
        """Mailboxes with what is nobody's in them, and the pieces to be matched with that.

        Pieces are at home there while the caller matches, and go back if they are not found.
        """
        by_folder: dict[str, list[Piece]] = defaultdict(list)
        also = self._also()
        for piece in pieces:
            for folder in also.get(piece.folder_id, ()):
                by_folder[folder.folder_id].append(piece)
        for folder_id, parts in by_folder.items():
            todo = [piece for piece in parts if piece.state is State.OPEN]
            if not todo:
                continue
            box = survey(self._target, [folder_id])[folder_id]
            box.presents = [p for p in box.presents if p.uid in self._there[folder_id]]
            if folder_id not in self._owned:
                self._owned.add(folder_id)
                uids, own = self._owners.own(self._folders[folder_id], box)
                self.taken(folder_id, uids)
                self._own += own
            box.presents = [p for p in box.presents if p.uid not in self._taken[folder_id]]
            homes = [piece.folder_id for piece in todo]
            for piece in todo:
                piece.folder_id = folder_id
            yield self._folders[folder_id], todo, box
            self.taken(folder_id, box.used)
            for piece, home in zip(todo, homes, strict=True):
                if piece.state is State.PRESENT:
                    self._found[piece.folder.path, folder_id] += 1
                    self._strays.append(piece)
                else:
                    piece.folder_id = home

    def tell(self, reports: Mapping[str, FolderReport]) -> None:
        """Say what was found. It was compared; no second look is to find it where it is not."""
        for (path, folder_id), count in self._found.items():
            name = "/".join(self._folders[folder_id].path)
            text = f"{count:,} messages are in {name}, and stay there"
            if count == 1:
                text = f"1 message is in {name}, and stays there"
            reports[path].notes.append({"code": "elsewhere", "text": text})
        for piece in self._strays:
            reports[piece.folder.path].left_out.add(piece.own_uid)

    def _also(self) -> dict[str, list[Folder]]:
        also: dict[str, list[Folder]] = defaultdict(list)
        for plan in self._plans:
            for folder in plan.also:
                if folder.folder_id != plan.folder_id and folder not in also[plan.folder_id]:
                    also[plan.folder_id].append(folder)
        return also


def holdings(contents: Contents, target: Target) -> Holds:
    """Counts messages by received date, those of equal size twice: enough to choose by.

    Nothing is read. Sizes alone would not do: line ends may be others there.
    """

    def holds(folder: ContentFolder, mailboxes: Sequence[Folder]) -> Sequence[int]:
        sizes: dict[int, set[int | None]] = defaultdict(set)
        for item in contents.items(folder):
            if item.received.epoch is not None:
                sizes[item.received.epoch].add(item.size)
        found = Counter[str]()
        for event in target.existing([mailbox.folder_id for mailbox in mailboxes]) if sizes else ():
            if isinstance(event, Present) and event.received.epoch in sizes:
                same = event.size in sizes[event.received.epoch]
                found[event.folder_id] += 1 + same
        return [found[mailbox.folder_id] for mailbox in mailboxes]

    return holds

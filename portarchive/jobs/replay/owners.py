"""Owners: which messages of a mailbox are own mail of folders that this run does not bring whole.

A run may be of one folder only, or of some messages. What earlier runs put into a mailbox for the
folder that goes there is that folder's, though nobody of this run claims it: it is not to be taken
for mail of another folder. Only what is the same to the octet is: of two that are but alike, the
one that this run brings has the better right. Places nothing, reports nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portarchive.archive.contents import Contents
from portarchive.jobs.replay.folders import FolderPlan
from portarchive.jobs.replay.ledger import Entry, Ledger
from portarchive.jobs.replay.match import Matcher, Round
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.pieces import Piece, piece_of
from portarchive.jobs.replay.policies import Policies
from portarchive.jobs.replay.survey import Box
from portarchive.jobs.replay.verify import entry_of
from portarchive.records import Folder


class Owners:
    r"""Tells what is somebody's own.

    Args:
        contents: the archive.
        every: plans of all its folders.
        chosen: those of them that are brought.
        options: whether all of their messages are, and whether all of their copies.
        policies: what bears ``\Deleted`` goes to the trash, not to its folder's mailbox.
        matcher: recognises messages.
        ledger: of earlier runs.
    """

    def __init__(
        self,
        contents: Contents,
        every: Sequence[FolderPlan],
        chosen: Sequence[FolderPlan],
        options: ImportOptions,
        policies: Policies,
        matcher: Matcher,
        ledger: Ledger,
    ) -> None:
        whole = options.select is None and not options.selection.needs_description
        brought = {plan.folder.path for plan in chosen if plan.folder is not None and whole}
        self._plans = [
            plan for plan in every if plan.folder is not None and plan.folder.path not in brought
        ]
        self._contents = contents
        self._chosen = chosen
        self._primary = options.labels == "primary"
        self._kept = options.include_kept
        self._policies = policies
        self._matcher = matcher
        self._ledger = ledger

    def own(self, mailbox: Folder, box: Box) -> tuple[set[str], list[Entry]]:
        """What is there for the folders that go to this mailbox, brought or not.

        Args:
            mailbox: which.
            box: what it had before this run.

        Returns:
            The uids; and what may be remembered, so that it is not compared again.

        Raises:
            ConnectorError: the target is lost.
        """
        pieces = list(self._pieces(mailbox))
        if not pieces or not box.presents:
            return set(), []
        uidvalidity = box.look.uidvalidity if box.look is not None else None
        pairs = self._matcher.match(
            pieces,
            box.presents,
            remembered=self._ledger.remembered(mailbox.path, uidvalidity, box.presents),
            uidvalidity=uidvalidity,
            path=mailbox.path,
            mailbox_id=mailbox.uid,
            certain=True,
        )
        entries = [
            entry_of(piece, mailbox.path, box, present)
            for piece, present, by in pairs
            if by is Round.OCTETS
        ]
        uids = {present.uid for _, present, _ in pairs}
        return uids, [entry for entry in entries if entry is not None]

    def _copies(self) -> set[tuple[str, str | None]]:
        """Messages that go to a folder of this run, of which another place is but a copy."""
        if not self._primary:
            return set()
        return {
            (item.email_id, item.sha256)
            for plan in self._chosen
            if plan.folder is not None
            for item in self._contents.items(plan.folder)
            if item.email_id is not None
        }

    def _pieces(self, mailbox: Folder) -> Iterator[Piece]:
        number = 0
        plans = [plan for plan in self._plans if plan.folder_id == mailbox.folder_id]
        copies = self._copies() if plans else set()
        for plan in plans:
            if plan.folder is None:
                continue
            for kept in (False, True) if self._kept else (False,):
                for item in self._contents.items(plan.folder, kept=kept):
                    treatment = self._policies.treat(item.flags)
                    copy = item.email_id is not None and (item.email_id, item.sha256) in copies
                    if not treatment.deleted and not copy:
                        number += 1
                        flags = treatment.flags
                        yield piece_of(number, item, plan.folder, plan.folder_id, flags)

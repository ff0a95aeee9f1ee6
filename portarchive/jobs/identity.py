"""Is this the source that the archive belongs to? And the selection that it was made with?

Same source = same account, and same host or at least two folders that agree: by MAILBOXID, or by
UIDVALIDITY and the sizes of three messages (format.md section 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState
from portarchive.connectors.base import Source, Wanted
from portarchive.errors import Refused, WrongSource
from portarchive.records import Folder, FolderOpened, MessageRef, SourceIdentity

_NEEDED_FOLDERS = 2
_NEEDED_SIZES = 3
_PROBED_FOLDERS = 8
_COMPARED_ITEMS = 1000


def host(service: str) -> str:
    """The host of an endpoint, or the whole of it where it has none (``maildir:…``)."""
    try:
        return (urlsplit(service).hostname or service).lower()
    except ValueError:
        return service


def check_selection(here: Mapping[str, Any], asked: Mapping[str, Any], *, change: bool) -> None:
    """The selection belongs to the archive.

    Raises:
        Refused: another one was asked for, without ``--change-selection``.
    """
    if dict(here) != dict(asked) and not change:
        raise Refused(
            "this archive was made with another selection of folders or messages",
            hint="give the filters it was made with (portarchive info shows them), "
            "add --change-selection, or export into a new directory",
            code="other-selection",
        )


def check_unfinished(header: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """An interrupted run is only resumed from the source that it began with.

    Raises:
        WrongSource: it began with another one.
    """
    began = header.get("source")
    if not isinstance(began, Mapping) or (
        began.get("account") != source["account"]
        or host(str(began.get("service"))) != host(str(source["service"]))
    ):
        raise WrongSource(
            "the interrupted export in this directory is of another account or server",
            hint="give the source it began with, or export into a new directory",
        )


class SourceCheck:
    """Compares a source with the one that an archive names."""

    def __init__(self, source: Source, identity: SourceIdentity) -> None:
        self._source = source
        self._identity = identity

    def same(
        self,
        datasource: Mapping[str, Any],
        folders: Mapping[str, FolderState],
        listed: Mapping[str, Folder],
    ) -> bool:
        """Whether it is the same source.

        Args:
            datasource: of archive.json.
            folders: by folder_id, the folders that are in the archive and listed.
            listed: by folder_id.
        """
        if datasource.get("account") != self._identity.account:
            return False
        if host(str(datasource.get("service"))) == host(self._identity.service):
            return True
        agreeing = 0
        filled = [key for key, state in folders.items() if state.published is not None]
        for folder_id in filled[:_PROBED_FOLDERS]:
            if self._agrees(listed[folder_id], folders[folder_id]):
                agreeing += 1
                if agreeing >= _NEEDED_FOLDERS:
                    return True
        return False

    def _agrees(self, folder: Folder, state: FolderState) -> bool:
        assert state.published is not None  # noqa: S101 - the caller looked
        header = state.published.header
        sizes = {
            str(entry["uid"]): entry.get(model.SIZE)
            for entry in map(parse_entry, islice(state.published_lines(), _COMPARED_ITEMS))
        }
        same_box = same_numbers = False
        equal = unequal = 0
        wanted = Wanted(folders=[folder], tokens={}, describe=True)
        for event in self._source.changes(wanted):
            if isinstance(event, FolderOpened):
                box = event.folder.uid
                same_box = box is not None and box == header.get("uid")
                same_numbers = event.uidvalidity is not None and (
                    event.uidvalidity == header.get("uidvalidity")
                )
            elif isinstance(event, MessageRef) and event.placements[0].uid in sizes:
                if event.size == sizes[event.placements[0].uid]:
                    equal += 1
                else:
                    unequal += 1
        return same_box or (same_numbers and equal >= _NEEDED_SIZES and not unequal)

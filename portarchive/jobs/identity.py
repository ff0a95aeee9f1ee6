"""Is this the source that the archive belongs to? And the selection that it was made with?

Same source = same account, and same host or at least two folders that agree (format.md section 6):
by MAILBOXID beside a UIDVALIDITY, or by UIDVALIDITY and the sizes of three messages. Where there is
no UIDVALIDITY, ids of mailboxes and messages may be small numbers that any account has (RFC 8620
section 1.2): sizes must agree as well, and the octets of three messages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState
from portarchive.connectors.base import Source, Wanted
from portarchive.errors import BodyCut, Refused, WrongSource
from portarchive.records import Failure, Folder, FolderOpened, MessageRef, SourceIdentity, Vanished

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


def same_source(
    source: Source,
    identity: SourceIdentity,
    datasource: Mapping[str, Any],
    folders: Mapping[str, FolderState],
    listed: Mapping[str, Folder],
    *,
    accept: bool,
) -> bool:
    """Whether ids and UIDs mean what they meant; see ``SourceCheck.same``.

    Args:
        source: that is now.
        identity: its own.
        datasource: see there.
        folders: see there.
        listed: see there.
        accept: another source is meant (``--accept-source-change``).

    Raises:
        WrongSource: it is another one, and that was not meant.
        ConnectorError: the source is lost.
    """
    same = SourceCheck(source, identity).same(datasource, folders, listed)
    if not same and not accept:
        raise WrongSource(
            f"this archive is of {datasource.get('account')} at {datasource.get('service')}, "
            f"not of {identity.account} at {identity.service}",
            hint="export into a new directory, or add --accept-source-change "
            "if the same mailbox has moved",
        )
    return same


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
        sizes: dict[str, object] = {}
        digests: dict[str, object] = {}
        by_id: dict[str, str] = {}  # an archive that was made by IMAP knows it by EMAILID only
        for entry in map(parse_entry, islice(state.published_lines(), _COMPARED_ITEMS)):
            uid = str(entry["uid"])
            sizes[uid], digests[uid] = entry.get(model.SIZE), entry.get(model.SHA256)
            by_id[str(entry.get(model.EMAIL_ID, uid))] = uid
        same_box = same_numbers = numbered = False
        equal: list[tuple[MessageRef, str]] = []
        unequal = 0
        wanted = Wanted(folders=[folder], tokens={}, describe=True)
        for event in self._source.changes(wanted):
            if isinstance(event, FolderOpened):
                box = event.folder.uid
                same_box = box is not None and box == header.get("uid")
                numbered = event.uidvalidity is not None
                same_numbers = numbered and event.uidvalidity == header.get("uidvalidity")
            elif isinstance(event, MessageRef):
                uid = event.placements[0].uid
                if not numbered:
                    uid = by_id.get(event.email_id or uid, "")
                if uid in sizes and event.size == sizes[uid]:
                    equal.append((event, uid))
                elif uid in sizes:
                    unequal += 1
        if numbered and same_box:
            return True
        if unequal or len(equal) < _NEEDED_SIZES:
            return False
        if numbered or not same_box:
            return same_numbers
        least = sorted(equal, key=lambda pair: pair[0].size or 0)[:_NEEDED_SIZES]
        return self._same_octets([ref for ref, _ in least], [digests[uid] for _, uid in least])

    def _same_octets(self, refs: Sequence[MessageRef], digests: Sequence[object]) -> bool:
        """Whether each of these messages has the digest that the archive has of it."""
        expected = {ref.placements[0].uid: sha for ref, sha in zip(refs, digests, strict=True)}
        same: set[str] = set()
        for ref, outcome in self._source.fetch(refs):
            if isinstance(outcome, Failure | Vanished):
                continue
            uid, octets = ref.placements[0].uid, outcome.octets
            try:
                found = _digest(outcome.chunks() if octets is None else (octets,))
            except BodyCut:
                continue  # the source brings it once more
            if found == expected[uid]:
                same.add(uid)
        return len(same) == len(refs)


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()

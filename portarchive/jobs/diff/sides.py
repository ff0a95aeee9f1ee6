"""Sides: what is compared, be it an archive or an account, as the same plain facts.

Owns reading; an archive's claim of a digest is believed (``validate`` is for doubts), an account's
messages are all read. Nothing is written on either side.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from portarchive.archive.contents import ContentFolder, Contents, Item
from portarchive.connectors.base import Source, Wanted
from portarchive.errors import ArchiveError, BodyCut, ServerMisbehaved
from portarchive.jobs.identity import host
from portarchive.jobs.recall import recalled_from
from portarchive.likeness import Likeness, likeness, likeness_of
from portarchive.records import (
    Failure,
    FetchPoint,
    Folder,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Placement,
    Received,
    Vanished,
)


class Traits(NamedTuple):
    """By what messages are paired; there may be a million of them.

    Attributes:
        sha256: of the octets.
        canonical: of the octets without difference of line ends, see ``Likeness``.
        identity: digest of the Message-ID, else of Date, From and Subject.
    """

    sha256: bytes
    canonical: bytes
    identity: bytes


def traits(found: Likeness) -> Traits:
    """Those of a likeness."""
    fields = (found.sent, found.sender, found.subject)
    name = found.message_id or b"\n".join((b"", *fields))
    canonical = found.canonical_sha256
    same = canonical == found.sha256
    return Traits(
        found.sha256, found.sha256 if same else canonical, hashlib.sha256(name).digest()[:16]
    )


class Known(NamedTuple):
    """One message of one side.

    Attributes:
        uid: as the side calls it.
        sha256: of its octets; None until they are read.
        flags: archive spelling.
        received: the instant.
        item: of an archive: to read it again.
        trouble: why its octets cannot be had, or "".
        any_instant: it has none, and what the other side made of that is no difference.
        any_flags: what the other side has of flags is no difference.
        more_flags: what the other side has beyond these is none.
    """

    uid: str
    sha256: bytes | None
    flags: tuple[str, ...]
    received: Received
    item: Item | None = None
    traits: Traits | None = None
    trouble: str = ""
    any_instant: bool = False
    any_flags: bool = False
    more_flags: bool = False


@dataclass(frozen=True, slots=True)
class SideFolder:
    """A folder of one side. ``key``: the side's own."""

    key: str
    path: tuple[str, ...]
    roles: tuple[str, ...]


class Side(Protocol):
    """One of the two."""

    name: str

    def folders(self) -> list[SideFolder]:
        """Those that can hold mail."""
        ...

    def messages(self, folder: SideFolder, likes: Counter[bytes] | None = None) -> Iterator[Known]:
        """All of one folder.

        Args:
            folder: which.
            likes: how often the other side has which octets (SHA-256): of so many of these no more
                has to be found out. It is used up.

        Raises:
            ConnectorError: it cannot be read.
        """
        ...

    def read(self, message: Known) -> Traits | None:
        """The traits of one, where ``messages`` gave none; None if it cannot be read."""
        ...


class ArchiveSide:
    """An archive.

    Args:
        contents: opened.
        kept: what the source had lost is compared as well.
        wanted: which folders.
        leave_out: items that are not compared.
        flags: what the flags of an item are to be.
        any_instant: items whose date on the other side is no difference.
        any_flags: items whose flags on the other side are none.
        more_flags: items whose further flags on the other side are none.

    Attributes:
        source: what the manifest says it was exported from; {} without one.
    """

    def __init__(
        self,
        contents: Contents,
        name: str,
        *,
        kept: bool = False,
        wanted: Callable[[ContentFolder], bool] = lambda _: True,
        leave_out: Callable[[Item], bool] = lambda _: False,
        flags: Callable[[Item], tuple[str, ...]] = lambda item: item.flags,
        any_instant: Callable[[Item], bool] = lambda _: False,
        any_flags: Callable[[Item], bool] = lambda _: False,
        more_flags: Callable[[Item], bool] = lambda _: False,
    ) -> None:
        self.name = name
        source = (contents.manifest or {}).get("source")
        self.source: Mapping[str, Any] = source if isinstance(source, dict) else {}
        self._contents = contents
        self._kept = kept
        self._leave_out = leave_out
        self._flags = flags
        self._any_instant = any_instant
        self._any_flags = any_flags
        self._more_flags = more_flags
        self._folders = {
            folder.path: folder
            for folder in contents.folders()
            if folder.names and not folder.gone and folder.selectable and wanted(folder)
        }

    def folders(self) -> list[SideFolder]:
        """See ``Side``."""
        return [SideFolder(f.path, f.names, tuple(f.roles)) for f in self._folders.values()]

    def messages(self, folder: SideFolder, likes: Counter[bytes] | None = None) -> Iterator[Known]:
        """See ``Side``."""
        del likes  # nothing is read that need not be
        there = self._folders[folder.key]
        for kept in (False, True) if self._kept else (False,):
            for item in self._contents.items(there, kept=kept):
                if not self._leave_out(item):
                    sha256 = bytes.fromhex(item.sha256) if item.sha256 else None
                    yield Known(
                        item.uid,
                        sha256,
                        self._flags(item),
                        item.received,
                        item,
                        any_instant=self._any_instant(item),
                        any_flags=self._any_flags(item),
                        more_flags=self._more_flags(item),
                    )

    def read(self, message: Known) -> Traits | None:
        """See ``Side``."""
        if message.item is None:
            return None
        try:
            return traits(likeness(self._contents.chunks(message.item)))
        except ArchiveError:
            return None


class AccountSide:
    """An account, read by its source connector.

    Args:
        source: the connection.
        wanted: which folders.
        told: what the other side knows of a source, see ``ArchiveSide.source``. If it is this one,
            and the server does not say now how folders are named, they have the names of then.
    """

    def __init__(
        self,
        source: Source,
        *,
        wanted: Callable[[Folder], bool] = lambda _: True,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        identity = source.identity()
        then = told or {}
        account, service = then.get("account"), str(then.get("service"))
        if account == identity.account and host(service) == host(identity.service):
            recalled_from(source, identity, [then])
        self.name = f"{identity.account} at {identity.service}"
        self._source = source
        self._more: dict[bytes, Traits] = {}
        self._folders: dict[str, Folder] = {
            folder.folder_id: folder
            for folder in source.folders()
            if folder.selectable
            and folder.namespace == "personal"
            and not folder.doubtful
            and wanted(folder)
        }

    def folders(self) -> list[SideFolder]:
        """See ``Side``."""
        return [SideFolder(f.folder_id, f.path, f.roles) for f in self._folders.values()]

    def messages(self, folder: SideFolder, likes: Counter[bytes] | None = None) -> Iterator[Known]:
        """See ``Side``."""
        self._more = {}
        waiting: list[MessageRef] = []
        done: set[str] = set()
        wanted = Wanted(folders=[self._folders[folder.key]], tokens={})
        for event in self._source.changes(wanted):
            if isinstance(event, MessageRef):
                waiting.append(event)
            elif isinstance(event, FolderOpened):
                waiting = []
            elif isinstance(event, FolderFailed):
                text = f"{'/'.join(folder.path)} cannot be read: {event.text}"
                raise ServerMisbehaved(text, hint="run it again")
            elif isinstance(event, FetchPoint):
                fresh = [ref for ref in waiting if _place(ref, folder.key).uid not in done]
                waiting = []
                for known in self._fetch(folder, fresh, likes or Counter()):
                    done.add(known.uid)
                    yield known

    def _fetch(
        self, folder: SideFolder, refs: Sequence[MessageRef], likes: Counter[bytes]
    ) -> Iterator[Known]:
        for ref, outcome in self._source.fetch(refs):
            place = _place(ref, folder.key)
            received = place.received or Received(None, None)
            flags = place.flags or ()
            if isinstance(outcome, Vanished):
                continue
            if isinstance(outcome, Failure):
                yield Known(place.uid, None, flags, received, trouble=outcome.text)
                continue
            octets = outcome.octets
            if likes and octets is not None and likes[sha256 := hashlib.sha256(octets).digest()]:
                likes[sha256] -= 1
                yield Known(place.uid, sha256, flags, received)
                continue
            try:
                found = likeness(outcome.chunks()) if octets is None else likeness_of(octets)
            except BodyCut:
                continue  # it comes once more, or as a failure
            told = traits(found)
            if told.sha256 in likes:
                self._more[told.sha256] = told
            yield Known(place.uid, told.sha256, flags, received, traits=told)

    def read(self, message: Known) -> Traits | None:
        """See ``Side``: everything was read already.

        Of octets that there are more of here than there: one of them is left, whichever it is.
        """
        return message.traits or self._more.get(message.sha256 or b"")


def _place(ref: MessageRef, folder_id: str) -> Placement:
    """That of one folder, of a message that may be in several."""
    return next(place for place in ref.placements if place.folder_id == folder_id)

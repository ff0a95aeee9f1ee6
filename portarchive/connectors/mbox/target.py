"""A tree of mbox files as a ``Target``: mboxrd, one file a folder, appended to under its lock.

Flags are kept only if that is asked for; then they stand in header fields before each message, and
whoever reads the files here takes them off again. Folders are never emptied, rewritten or moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from portarchive.archive.durable import Durability
from portarchive.connectors.base import Outcome
from portarchive.connectors.local import dates
from portarchive.connectors.local.body import Octets, Pieces
from portarchive.connectors.local.header import read_header
from portarchive.connectors.local.opening import check_options, folder_id
from portarchive.connectors.local.root import failure
from portarchive.connectors.local.storing import storage_failed, storing
from portarchive.connectors.local.target_root import TargetRoot
from portarchive.connectors.local.windows import windows
from portarchive.connectors.mbox.box import Box
from portarchive.connectors.mbox.target_append import Appender
from portarchive.connectors.mbox.target_tree import TargetTree
from portarchive.connectors.mbox.tree import Found
from portarchive.errors import ConnectionLost
from portarchive.placing import (
    Alteration,
    FolderLook,
    FolderReady,
    FolderWish,
    LineEnds,
    Parcel,
    PlaceOutcome,
    Present,
    Refused,
    TargetCapabilities,
    Unsure,
    Whereabouts,
)
from portarchive.records import Failure, Folder, FolderFailed, SourceIdentity, Vanished

_HINT: Final = "write it like this: mbox:/home/jane/mail"
_OPEN: Final = 48
"""Files that are held open, each with its index."""

_SYSTEM: Final = ("$seen", "$answered", "$flagged", "$draft", "\\Deleted")


class MboxTarget:
    """See the module.

    Args:
        path: of the directory; it need not be there.
        flags: write them into header fields.
        roles_by_name: give roles to folders with well-known names.
        fsync: a message is on the medium before it is said to be placed.

    Raises:
        Refused: it is a file, or a directory without any mbox that is not empty.
        Unreachable: it cannot be read.
    """

    def __init__(
        self,
        path: str,
        *,
        flags: bool = False,
        roles_by_name: bool = False,
        fsync: bool = True,
    ) -> None:
        self._durable = Durability(fsync)
        self._root = TargetRoot(path, hint=_HINT, durable=self._durable)
        self._flags = flags
        self._tree = TargetTree(
            self._root, roles_by_name=roles_by_name, durable=self._durable, hint=_HINT
        )
        self._paths: dict[str, tuple[str, ...]] = {}
        self._appenders: dict[str, Appender] = {}
        kept = set() if flags else {Alteration.FLAGS}
        self.capabilities = TargetCapabilities(
            names=self._tree.rules,
            line_ends=LineEnds.LF,
            subscriptions=False,
            keywords=flags,
            alterations=frozenset({Alteration.LINE_ENDS, Alteration.OFFSET, *kept}),
        )

    # --- Target: folders

    def identity(self) -> SourceIdentity:
        """Whose mail: as the source says it."""
        self._root.there  # noqa: B018 - is it still there?
        shown = self._root.shown
        return SourceIdentity(
            protocol="mbox",
            service=f"mbox:{shown}",
            account=shown.name or "mail",
            server={"name": "mboxrd"},
        )

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``.

        Raises:
            StorageFailed: it cannot be made.
        """
        return self._root.whereabouts()

    def folders(self) -> Sequence[Folder]:
        """All folders, those that cannot be read among them."""
        return [self._record(found) for found in self._tree.look()]

    def _record(self, found: Found) -> Folder:
        key = folder_id(found.path)
        self._paths[key] = found.path
        return Folder(
            folder_id=key,
            path=found.path,
            raw_name=found.raw,
            roles=() if found.role is None else (found.role,),
            selectable=found.refused is None,
        )

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """See ``Target.ensure``.

        Raises:
            StorageFailed: the disk is full or may not be written to.
        """
        self._tree.look()
        for wish in wishes:
            path = wish.path
            if wish.folder_id is not None:
                path = self._paths.get(wish.folder_id, path)
            made = self._tree.make(path)
            if isinstance(made, Refused):
                yield wish, made
                continue
            record = self._record(made[0])
            lost = [] if wish.role is None or wish.role in record.roles else ["role"]
            if wish.subscribe:
                lost.append("subscription")
            yield wish, FolderReady(record, made[1], tuple(lost))

    # --- Target: what is there

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``; digests have no order, so always all."""
        del newer_than
        for key in folder_ids:
            try:
                appender = self._appender(key)
                with storing(self._root.shown):
                    appender.recover()
                appender.box.refresh()
            except OSError as error:
                gone = failure(self._root.shown, error)
                if gone is not None:
                    raise gone from error
                reason = error.strerror or "it cannot be read"
                yield FolderFailed(key, "folder-unavailable", reason)
            else:
                yield from self._listed(key, appender.box)

    def _listed(self, key: str, box: Box) -> Iterator[FolderLook | Present]:
        index = box.index
        system = _SYSTEM if self._flags else ()
        yield FolderLook(key, keywords=system, new_keywords=self._flags, messages=len(index))
        for number in range(len(index)):
            epoch = index.epoch(number)
            received = dates.NO_DATE if epoch is None else dates.received(epoch)
            flags = index.facts[index.fact_numbers[number]].flags
            yield Present(key, index.uid(number), index.sizes[number], flags, received)

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """See ``Target.headers``."""
        for present in messages:
            body = self._body(present)
            if not isinstance(body, Octets | Pieces):
                yield present, body
                continue
            try:
                yield present, _header(body)
            except ConnectionLost:
                yield present, Vanished()

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """See ``Target.fetch``."""
        for present in messages:
            yield present, self._body(present)

    def _body(self, present: Present) -> Octets | Pieces | Failure | Vanished:
        """A message, wherever it lies by now."""
        try:
            box = self._appender(present.folder_id).box
            for again in (False, True):
                if again or not box.look():
                    box.refresh()
                number = box.index.find(present.uid)
                body = None if number is None else box.body(number)
                if body is not None:
                    return body
        except OSError as error:
            gone = failure(self._root.shown, error)
            if gone is not None:
                raise gone from error
        return Vanished()

    def _appender(self, key: str) -> Appender:
        """A folder's file.

        Raises:
            FileNotFoundError: there is no such folder.
            PermissionError: it cannot be read, or is no mbox.
        """
        known = self._appenders.get(key)
        root = self._root.there
        if known is not None:
            return known
        path = self._paths.get(key) or tuple(key.split("\x1f"))
        found = self._tree.find(path)
        if found is None or root is None:
            raise FileNotFoundError(2, "there is no such folder")
        if found.refused is not None:
            raise PermissionError(13, found.refused[1])
        while len(self._appenders) >= _OPEN:
            self._appenders.pop(next(iter(self._appenders))).box.close()
        box = Box(found.file, root, rd=True, growing=True)
        appender = Appender(box, self._tree.parents(found), self._durable, flags=self._flags)
        self._appenders[key] = appender
        return appender

    # --- Target: placing

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``. A window of messages is appended under one lock.

        Raises:
            StorageFailed: the disk is full or may not be written to; what was not placed is undone.
            Locked: another program holds a file and does not let go.
        """
        for window in windows(parcels):
            folders: dict[str, list[Parcel]] = {}
            for parcel in window:
                folders.setdefault(parcel.spots[0].folder_id, []).append(parcel)
            failed: Exception | None = None
            for key, mine in folders.items():
                if failed is not None:
                    yield from ((parcel, Unsure("it was not placed")) for parcel in mine)
                    continue
                outcomes, failed = self._append(key, mine)
                yield from outcomes
            if failed is not None:
                raise failed

    def _append(
        self, key: str, parcels: list[Parcel]
    ) -> tuple[list[tuple[Parcel, PlaceOutcome]], Exception | None]:
        try:
            appender = self._appender(key)
        except FileNotFoundError:
            refused = Refused("folder-gone", "there is no such folder any more")
            return [(parcel, refused) for parcel in parcels], None
        except Exception as error:  # noqa: BLE001 - raised again, once all have an outcome
            raised = error
            if isinstance(error, OSError):
                raised = storage_failed(self._root.shown, error)
            return [(parcel, Unsure("it was not placed")) for parcel in parcels], raised
        return appender.append(parcels)

    # --- Target: coming and going

    def reconnect(self) -> None:
        """Look again at what lies there."""
        self._let_go()
        self._root.reconnect()
        self._tree.look()

    def close(self) -> None:
        """Let go of all files."""
        self._let_go()
        self._root.close()

    def _let_go(self) -> None:
        for appender in self._appenders.values():
            appender.box.close()
        self._appenders = {}


def _header(body: Octets | Pieces) -> bytes:
    """The header of a message, up to and with the first empty line."""
    if body.octets is not None:
        octets = body.octets
        return read_header(lambda size, at: octets[at : at + size])
    chunks = body.chunks()
    return read_header(lambda size, at: next(chunks, b""))  # noqa: ARG005 - in order


def open_target(path: str, options: Mapping[str, str]) -> MboxTarget:
    """The tree at a path, for writing; it is made when the first folder is.

    Args:
        path: of the directory; ``~`` is the user's home.
        options: ``status``: ``1`` writes flags into header fields; ``roles``: ``names`` gives roles
            to folders with well-known names; ``no_fsync``: ``1``.

    Raises:
        SettingsError: an option that is none.
        Refused: it is a file, or a directory without any mbox that is not empty.
        ConnectorError: it cannot be read.
    """
    known = {"status": ("1",), "roles": ("names",), "no_fsync": ("1",)}
    check_options("mbox", options, known, hint=_HINT)
    return MboxTarget(
        path,
        flags="status" in options,
        roles_by_name="roles" in options,
        fsync="no_fsync" not in options,
    )

"""A Maildir tree as a ``Target``: one that other programs read, delivered to as they do.

A message becomes ``cur/<unique name>:2,<flags>``; its octets are those that were given, its file's
time is the received date. What numbers messages (``dovecot-uidlist``) is left to Dovecot. Roles
are not kept by a Maildir; only names are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from portarchive.archive.durable import Durability
from portarchive.connectors.base import Outcome
from portarchive.connectors.local import roles
from portarchive.connectors.local.body import Pieces
from portarchive.connectors.local.opening import check_options, folder_id
from portarchive.connectors.local.root import failure
from portarchive.connectors.local.storing import storage_failed, storing, sync
from portarchive.connectors.local.target_root import TargetRoot
from portarchive.connectors.local.windows import windows
from portarchive.connectors.maildir import dovecot
from portarchive.connectors.maildir.folder import MaildirFolder
from portarchive.connectors.maildir.layout import Place
from portarchive.connectors.maildir.names import spelled, unspelled
from portarchive.connectors.maildir.source import identity_of
from portarchive.connectors.maildir.target_delivery import Delivery, Staged
from portarchive.connectors.maildir.target_keywords import SYSTEM
from portarchive.connectors.maildir.target_subscriptions import subscribe
from portarchive.connectors.maildir.target_tree import LAYOUTS, TargetTree
from portarchive.placing import (
    Alteration,
    FolderLook,
    FolderReady,
    FolderWish,
    LineEnds,
    Parcel,
    Placed,
    PlaceOutcome,
    Present,
    Refused,
    TargetCapabilities,
    Unsure,
    Whereabouts,
)
from portarchive.records import (
    Failure,
    Folder,
    FolderFailed,
    SourceIdentity,
    Vanished,
)

_HINT: Final = "write it like this: maildir:/home/jane/Maildir"
_OPEN: Final = 32
"""Folders that are held open for delivery, and that are remembered with their files."""
_KEYWORDS: Final = 26


class MaildirTarget:
    """See the module.

    Args:
        path: of the tree; it need not be there.
        layout: ``maildir++`` or ``fs`` for a new tree.
        roles_by_name: give roles to folders with well-known names.
        fsync: a message is on the medium before it is said to be placed.

    Raises:
        Refused: the directory is not empty and no Maildir.
        SettingsError: the tree there has another layout.
        Unreachable: it cannot be read.
    """

    def __init__(
        self,
        path: str,
        *,
        layout: str | None = None,
        roles_by_name: bool = False,
        fsync: bool = True,
    ) -> None:
        self._durable = Durability(fsync)
        self._root = TargetRoot(path, hint=_HINT, durable=self._durable)
        self._by_name = roles_by_name
        self._tree = TargetTree(self._root, layout=layout, durable=self._durable, hint=_HINT)
        self._paths: dict[str, tuple[str, ...]] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._readers: dict[str, MaildirFolder] = {}
        self._gone: set[str] = set()
        self.capabilities = TargetCapabilities(
            names=self._tree.rules,
            line_ends=LineEnds.LF,
            alterations=frozenset({Alteration.LINE_ENDS, Alteration.OFFSET, Alteration.EARLY_DATE}),
        )

    # --- Target: folders

    def identity(self) -> SourceIdentity:
        """Whose mail: as the source says it."""
        self._root.there  # noqa: B018 - is it still there?
        return identity_of(self._root.shown)

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``.

        Raises:
            StorageFailed: it cannot be made.
        """
        return self._root.whereabouts()

    def folders(self) -> Sequence[Folder]:
        """All folders."""
        root = self._root.there
        found = self._tree.look()
        subscribed = None if root is None else dovecot.subscriptions(root.path)
        known = roles.by_name(place.path for place in found) if self._by_name else {}
        return [self._record(place, subscribed or (), known.get(place.path)) for place in found]

    def _record(
        self, place: Place, subscribed: Iterable[tuple[str, ...]], role: str | None = None
    ) -> Folder:
        key = folder_id(place.path)
        self._paths[key] = place.path
        if place.path == ("INBOX",):
            role = "inbox"
        return Folder(
            folder_id=key,
            path=place.path,
            raw_name=place.raw,
            roles=() if role is None else (role,),
            subscribed=place.path in subscribed,
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
            place, created = made
            root = self._root.made()
            lost = [] if wish.role is None or wish.role == "inbox" else ["role"]
            if wish.subscribe:
                separator = self._tree.rules.separator
                with storing(self._root.shown):
                    why = subscribe(root.path, place.path, separator, self._durable)
                if why is not None:
                    lost.append(f"subscription: {why}")
            subscribed = dovecot.subscriptions(root.path) or ()
            known = roles.by_name([place.path]) if self._by_name else {}
            record = self._record(place, subscribed, known.get(place.path))
            if wish.role in record.roles:
                lost = [each for each in lost if each != "role"]
            yield wish, FolderReady(record, created, tuple(lost))

    # --- Target: what is there

    def existing(
        self, folder_ids: Sequence[str], newer_than: Mapping[str, str] | None = None
    ) -> Iterator[FolderLook | Present | FolderFailed]:
        """See ``Target.existing``; names have no order, so always all."""
        del newer_than
        for key in folder_ids:
            self._readers.pop(key, None)
            try:
                yield from self._visit(key)
            except OSError as error:
                gone = failure(self._root.shown, error)
                if gone is not None:
                    raise gone from error
                reason = error.strerror or "it cannot be read"
                yield FolderFailed(key, "folder-unavailable", reason)

    def _visit(self, key: str) -> Iterator[FolderLook | Present]:
        folder = self._reader(key)
        if folder is None:
            raise FileNotFoundError(2, "there is no such folder")
        files = folder.look()
        letters = dovecot.keyword_letters(folder.directory)
        known = dict.fromkeys((*SYSTEM, *letters.values()))
        yield FolderLook(
            key,
            keywords=tuple(known),
            new_keywords=len(letters) < _KEYWORDS,
            messages=len(files),
        )
        for unique in sorted(files):
            found = folder.facts(unique)
            if found is not None:
                size = None if isinstance(found.outcome, Failure) else found.size
                yield Present(key, spelled(unique), size, found.flags, found.received)

    def _reader(self, key: str) -> MaildirFolder | None:
        folder = self._readers.get(key)
        root = self._root.there
        if folder is None and root is not None:
            directory = self._tree.directory(self._path(key))
            if directory is None:
                return None
            while len(self._readers) >= _OPEN:
                self._readers.pop(next(iter(self._readers)))
            folder = self._readers[key] = MaildirFolder(directory, root)
        return folder

    def _path(self, key: str) -> tuple[str, ...]:
        return self._paths.get(key) or tuple(key.split("\x1f"))

    def headers(
        self, messages: Sequence[Present]
    ) -> Iterator[tuple[Present, bytes | Failure | Vanished]]:
        """See ``Target.headers``."""
        for present in messages:
            folder = self._reader(present.folder_id)
            yield present, Vanished() if folder is None else folder.header(unspelled(present.uid))

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Outcome]]:
        """See ``Target.fetch``."""
        for present in messages:
            folder = self._reader(present.folder_id)
            outcome = (
                Vanished() if folder is None else folder.message(unspelled(present.uid)).outcome
            )
            try:
                yield present, outcome
            finally:
                if isinstance(outcome, Pieces):
                    outcome.close()

    # --- Target: placing

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        """See ``Target.place``. A window of messages is written, synced, and then shown at once.

        Raises:
            StorageFailed: the disk is full or may not be written to; what was not placed is undone.
        """
        for window in windows(parcels):
            self._gone = set()
            yield from self._window(window)

    def _window(self, window: list[Parcel]) -> Iterator[tuple[Parcel, PlaceOutcome]]:
        staged: list[tuple[Parcel, Staged]] = []
        outcomes: list[tuple[Parcel, PlaceOutcome]] = []
        error: Exception | None = None
        try:
            for number, parcel in enumerate(window):
                try:
                    found = self._stage(parcel)
                except Exception as raised:  # noqa: BLE001 - raised again, once all have an outcome
                    error = raised
                    outcomes += [(each, Unsure("it was not placed")) for each in window[number:]]
                    break
                if isinstance(found, Staged):
                    staged.append((parcel, found))
                else:
                    outcomes.append((parcel, found))
            failed = self._publish(staged, outcomes)
        finally:
            for _, left in staged:
                left.delivery.drop(left.temporary)
        yield from outcomes
        if error is not None or failed is not None:
            raise error or failed or AssertionError

    def _stage(self, parcel: Parcel) -> Staged | Refused:
        key = parcel.spots[0].folder_id
        self._root.there  # noqa: B018 - is it still there?
        for _ in range(0 if key in self._gone else 2):  # the folder may have been made anew
            try:
                return self._delivery(key).stage(parcel, self._root.shown)
            except FileNotFoundError:
                self._forget(key)
            except OSError as error:
                raise storage_failed(self._root.shown, error) from error
        self._gone.add(key)
        return Refused("folder-gone", "there is no such folder any more")

    def _delivery(self, key: str) -> Delivery:
        found = self._deliveries.get(key)
        if found is None:
            root = self._root.there
            directory = self._tree.directory(self._path(key))
            if root is None or directory is None:
                raise FileNotFoundError(2, "there is no such folder")
            found = self._deliveries[key] = Delivery(root.path, directory, self._durable)
        return found

    def _forget(self, key: str) -> None:
        self._tree.look()
        found = self._deliveries.pop(key, None)
        if found is not None:
            found.close()

    def _publish(
        self,
        staged: list[tuple[Parcel, Staged]],
        outcomes: list[tuple[Parcel, PlaceOutcome]],
    ) -> Exception | None:
        """Make messages durable and show them. What is published is taken out of ``staged``."""
        root = self._root.there
        if not staged or root is None:
            return None
        placed: list[tuple[Parcel, PlaceOutcome]] = []
        error: Exception | None = None
        try:
            self._durable.files(
                root.path, [each.delivery.temporary_path(each) for _, each in staged]
            )
            deliveries = {each.delivery.cur: each.delivery for _, each in staged}
            while staged:
                parcel, each = staged[-1]
                each.delivery.publish(each)
                staged.pop()
                spot = parcel.spots[0]
                placed.append((parcel, Placed(((spot.folder_id, each.unique),))))
            for cur in deliveries:
                sync(cur, self._durable)
        except OSError as raised:
            error = storage_failed(self._root.shown, raised)
            placed = [(parcel, Unsure("it may not be there")) for parcel, _ in placed]
        outcomes += reversed(placed)
        outcomes += [(parcel, Unsure("it was not placed")) for parcel, _ in staged]
        for key in [*self._deliveries][:-_OPEN]:
            self._deliveries.pop(key).close()
        return error

    # --- Target: coming and going

    def reconnect(self) -> None:
        """Look again at what lies there."""
        self._let_go()
        self._root.reconnect()
        self._tree.look()

    def close(self) -> None:
        """Let go of all folders."""
        self._let_go()
        self._root.close()

    def _let_go(self) -> None:
        for delivery in self._deliveries.values():
            delivery.close()
        self._deliveries = {}
        self._readers = {}


def open_target(path: str, options: Mapping[str, str]) -> MaildirTarget:
    """The tree at a path, for writing; it is made when the first folder is.

    Args:
        path: of the directory; ``~`` is the user's home.
        options: ``layout``: ``maildir++`` (the default) or ``fs`` for a new tree; ``roles``:
            ``names`` gives roles to folders with well-known names; ``no_fsync``: ``1``.

    Raises:
        SettingsError: an option that is none.
        Refused: the directory is not empty and no Maildir.
        ConnectorError: it cannot be read.
    """
    known = {"layout": LAYOUTS, "roles": ("names",), "no_fsync": ("1",)}
    check_options("maildir", options, known, hint=_HINT)
    return MaildirTarget(
        os.fspath(path),
        layout=options.get("layout"),
        roles_by_name="roles" in options,
        fsync="no_fsync" not in options,
    )

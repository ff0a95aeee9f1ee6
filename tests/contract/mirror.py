"""A job reduced to its bookkeeping: what it has of an account after any number of runs.

It holds every source to the order of events that ``connectors.base`` promises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portarchive.connectors.base import Source, Wanted
from portarchive.errors import BodyCut
from portarchive.records import (
    Change,
    Failure,
    FetchPoint,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Removal,
    Vanished,
)

Key = tuple[str, str]
"""Folder path with slashes, uid."""


def order(uid: str) -> tuple[int, str]:
    """Numbers by value, other uids after them by their text."""
    return (int(uid), "") if uid.isascii() and uid.isdecimal() else (1 << 64, uid)


@dataclass
class _Opened:
    complete: bool
    named: set[str] = field(default_factory=set)
    last: int = 0
    count: int = 0


@dataclass
class Mirror:
    """Attributes: by ``Key`` what is here; by path the tokens; of the last run all events."""

    flags: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    octets: dict[Key, bytes] = field(default_factory=dict)
    received: dict[Key, int | None] = field(default_factory=dict)
    failed: dict[Key, Failure] = field(default_factory=dict)
    uidvalidity: dict[str, int | None] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    events: list[Change] = field(default_factory=list)
    failed_folders: dict[str, FolderFailed] = field(default_factory=dict)
    fetched: int = 0

    def run(
        self,
        source: Source,
        *,
        at: Callable[[object], object] = lambda _: None,
        relist: frozenset[str] = frozenset(),
        describe: bool = False,
    ) -> None:
        """One run over all selectable folders.

        ``at`` is called with each event and each fetched reference before the next is asked for.
        """
        folders = [folder for folder in source.folders() if folder.selectable]
        self._numbered = source.capabilities.imap_uids
        self._paths = {folder.folder_id: "/".join(folder.path) for folder in folders}
        ids = {path: folder_id for folder_id, path in self._paths.items()}
        assert len(ids) == len(folders)
        again = relist | {path for path, _ in self.failed}
        wanted = Wanted(
            folders=folders,
            tokens={ids[path]: token for path, token in self.tokens.items() if path in ids},
            relist={ids[path] for path in again if path in ids},
            describe=describe,
        )
        self.events, self.failed_folders, self.fetched = [], {}, 0
        self._opened: dict[str, _Opened] = {}
        self._finished: set[str] = set()
        self._pending: dict[Key, MessageRef] = {}
        for change in source.changes(wanted):
            self.events.append(change)
            self._take(change, wanted)
            if isinstance(change, FetchPoint):
                self._fetch(source, at)
            at(change)
        assert self._finished == set(self._paths), "a folder was not finished"
        for key in [key for key in self.flags if key[0] not in ids]:
            self._drop(key)

    def _take(self, change: Change, wanted: Wanted) -> None:
        if isinstance(change, FolderOpened):
            self._open(change, wanted)
        elif isinstance(change, MessageRef):
            self._name(change)
        elif isinstance(change, Removal):
            assert not self._opened[change.folder_id].complete
            assert change.folder_id not in self._finished
            for uid in change.uids:
                self._drop((self._paths[change.folder_id], uid))
        elif isinstance(change, FolderDone):
            self._close(change)
        elif isinstance(change, FolderFailed):
            assert change.folder_id not in self._finished
            self._finished.add(change.folder_id)
            self.failed_folders[self._paths[change.folder_id]] = change

    def _open(self, change: FolderOpened, wanted: Wanted) -> None:
        folder_id = change.folder.folder_id
        path = self._paths[folder_id]
        assert folder_id not in self._finished
        assert change.complete or folder_id in wanted.tokens
        assert change.complete or folder_id not in wanted.relist
        self._opened[folder_id] = _Opened(change.complete)
        if change.complete:
            self.failed = {key: why for key, why in self.failed.items() if key[0] != path}
        before = self.uidvalidity.get(path)
        self.uidvalidity[path] = change.uidvalidity
        if before != change.uidvalidity:
            for key in [key for key in self.flags if key[0] == path]:
                self._drop(key)
        self._pending = {
            key: ref
            for key, ref in self._pending.items()
            if all(placement.folder_id != folder_id for placement in ref.placements)
        }

    def _name(self, ref: MessageRef) -> None:
        first = self._opened[ref.placements[0].folder_id]
        # With several folders open at once a message of two of them is named at the turn of the
        # first, also when it is gone from there by then: only one folder alone has an order.
        if self._numbered and len(self._opened.keys() - self._finished) == 1:
            assert int(ref.placements[0].uid) > first.last, "uids go up"
            first.last = int(ref.placements[0].uid)
        for placement in ref.placements:
            assert placement.folder_id not in self._finished
            opened = self._opened[placement.folder_id]
            assert placement.uid not in opened.named, "a message was named twice"
            opened.named.add(placement.uid)
            key = self._paths[placement.folder_id], placement.uid
            known = self.flags.get(key, ())
            self.flags[key] = known if placement.flags is None else placement.flags
            if key not in self.octets:
                self._pending[key] = ref

    def _close(self, change: FolderDone) -> None:
        assert change.folder_id not in self._finished
        self._finished.add(change.folder_id)
        opened, path = self._opened[change.folder_id], self._paths[change.folder_id]
        assert not any(key[0] == path for key in self._pending), "no FetchPoint before FolderDone"
        if opened.complete:
            assert change.listed == len(opened.named)
            for key in [key for key in self.flags if key[0] == path]:
                if key[1] not in opened.named:
                    self._drop(key)
        self.tokens[path] = change.token

    def _fetch(self, source: Source, at: Callable[[object], object]) -> None:
        refs = {ref.placements[0][:2]: ref for ref in self._pending.values()}
        self._pending = {}
        left = {placement[:2] for ref in refs.values() for placement in ref.placements}
        for ref, outcome in source.fetch(list(refs.values())):
            octets = None
            if not isinstance(outcome, Failure | Vanished):
                try:
                    octets = b"".join(outcome.chunks())
                except BodyCut:
                    continue
            for placement in ref.placements:
                left.remove(placement[:2])  # KeyError: twice, or not asked for
                key = self._paths[placement.folder_id], placement.uid
                if octets is not None:
                    assert placement.flags is not None
                    assert placement.received is not None
                    self.octets[key], self.flags[key] = octets, placement.flags
                    self.received[key] = placement.received.epoch
                    self.fetched += 1
                elif isinstance(outcome, Failure):
                    self.failed[key] = outcome
                else:
                    self._drop(key)
            at(ref)
        assert not left, "a message was asked for and never answered"

    def _drop(self, key: Key) -> None:
        self.flags.pop(key, None)
        self.octets.pop(key, None)
        self.received.pop(key, None)
        self.failed.pop(key, None)

    def contents(self) -> dict[Key, tuple[frozenset[str], bytes]]:
        """Flags and octets of what is here."""
        return {key: (frozenset(self.flags[key]), octets) for key, octets in self.octets.items()}

    def of(self, kind: type) -> list[Any]:
        """The events of one kind in the last run."""
        return [event for event in self.events if isinstance(event, kind)]

"""Mailboxes are made: level by level, each level in one ``Mailbox/set`` (RFC 8621 section 2.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from portarchive.connectors.jmap import state
from portarchive.connectors.jmap.mailboxes import INBOX
from portarchive.connectors.jmap.replies import MethodRefused
from portarchive.connectors.jmap.resource import printable
from portarchive.connectors.jmap.session import Session
from portarchive.placing import FolderReady, FolderWish, Refused
from portarchive.records import Folder

Path = tuple[str, ...]
_CODES: Final = {"overQuota": "over-quota", "forbidden": "refused", "tooLarge": "refused"}


class FolderMaker:
    """For one call of ``Target.ensure``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Path, Folder] = {}
        self._created: set[Path] = set()
        self._lost: dict[Path, list[str]] = {}
        self._refused: dict[Path, Refused] = {}

    def make(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """Make what is missing, then subscribe; answers in the order of the wishes."""
        self._look()
        wanted: dict[Path, FolderWish | None] = {}
        for wish in wishes:
            if wish.folder_id is None:
                path = _key(wish.path)
                for depth in range(1, len(path)):
                    wanted.setdefault(path[:depth], None)
                wanted[path] = wish
        for depth in range(1, max(map(len, wanted), default=0) + 1):
            level = {p: w for p, w in wanted.items() if len(p) == depth and p not in self._known}
            if level:
                self._make_level(level)
        self._subscribe(wishes)
        by_id = {folder.folder_id: folder for folder in self._known.values()}
        for wish in wishes:
            path = _key(wish.path)
            folder = by_id.get(wish.folder_id) if wish.folder_id else self._known.get(path)
            if folder is not None:
                lost = tuple(self._lost.get(path, ()))
                yield wish, FolderReady(folder, path in self._created, lost)
            elif wish.folder_id:
                yield wish, Refused("folder-gone", "there is no such mailbox")
            else:
                yield wish, self._refused.get(path, Refused("refused", "it was not made"))

    def _look(self) -> None:
        boxes = state.survey(self._session).boxes
        self._known = {_key(box.folder.path): box.folder for box in boxes.values()}

    def _make_level(self, level: Mapping[Path, FolderWish | None]) -> None:
        paths = list(level)
        for at in range(0, len(paths), self._session.limits.max_objects_in_set):
            part = paths[at : at + self._session.limits.max_objects_in_set]
            self._create({path: self._object(path, level[path]) for path in part})
        self._look()

    def _object(self, path: Path, wish: FolderWish | None) -> dict[str, Any] | None:
        """None if its parent could not be made."""
        parent = self._known.get(path[:-1])
        if len(path) > 1 and parent is None:
            return None
        made: dict[str, Any] = {
            "name": path[-1],
            "parentId": parent.folder_id if parent is not None else None,
        }
        if wish is not None and wish.subscribe is not None:
            made["isSubscribed"] = wish.subscribe
        if wish is not None and wish.role is not None:
            made["role"] = wish.role
        return made

    def _create(self, objects: Mapping[Path, dict[str, Any] | None]) -> None:
        todo: dict[Path, dict[str, Any]] = {}
        for path, made in objects.items():
            if made is None:
                self._refused[path] = self._refused.get(
                    path[:-1], Refused("refused", "the mailbox above it was not made")
                )
            else:
                todo[path] = made
        # at most three times: without the role, without the subscription
        for _ in range(3):
            if not todo:
                return
            todo = self._create_once(todo)

    def _create_once(self, todo: Mapping[Path, dict[str, Any]]) -> dict[Path, dict[str, Any]]:
        paths = list(todo)
        arguments = {"create": {f"m{number}": todo[path] for number, path in enumerate(paths)}}
        try:
            answer = self._session.ask("Mailbox/set", arguments)
        except MethodRefused as error:
            for path in paths:
                self._refused[path] = Refused("refused", error.text)
            return {}
        made, failed = _mapping(answer.get("created")), _mapping(answer.get("notCreated"))
        again: dict[Path, dict[str, Any]] = {}
        for number, path in enumerate(paths):
            if f"m{number}" in made:
                self._created.add(path)
                continue
            words = _mapping(failed.get(f"m{number}"))
            lesser = self._lesser(path, todo[path], words)
            if lesser is not None:
                again[path] = lesser
            else:
                kind = printable(words.get("type"), 60) or "serverFail"
                text = f"{kind} {printable(words.get('description'))}".strip()
                self._refused[path] = Refused(_CODES.get(kind, "refused"), text)
        return again

    def _lesser(
        self, path: Path, made: Mapping[str, Any], error: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The same without what the server refuses of it; None if that is the mailbox itself."""
        named = error.get("properties")
        for member, words in (("role", "role"), ("isSubscribed", "subscription")):
            if member in made and (not isinstance(named, list) or member in named):
                text = printable(error.get("description")) or printable(error.get("type"), 60)
                self._lost.setdefault(path, []).append(f"{words}: {text}")
                return {key: value for key, value in made.items() if key != member}
        return None

    def _subscribe(self, wishes: Sequence[FolderWish]) -> None:
        """Of mailboxes that were there already."""
        by_id = {folder.folder_id: folder for folder in self._known.values()}
        updates: dict[str, dict[str, Any]] = {}
        paths: dict[str, Path] = {}
        for wish in wishes:
            path = _key(wish.path)
            folder = by_id.get(wish.folder_id) if wish.folder_id else self._known.get(path)
            if folder is None or path in self._created or wish.subscribe is None:
                continue
            if folder.subscribed is not wish.subscribe:
                updates[folder.folder_id] = {"isSubscribed": wish.subscribe}
                paths[folder.folder_id] = path
        if not updates:
            return
        try:
            answer = self._session.ask("Mailbox/set", {"update": updates})
        except MethodRefused as error:
            failed: Mapping[str, Any] = {key: {"description": error.text} for key in updates}
        else:
            failed = _mapping(answer.get("notUpdated"))
        for key in paths.keys() & failed.keys():
            text = printable(_mapping(failed[key]).get("description"))
            self._lost.setdefault(paths[key], []).append(f"subscription: {text}")


def _key(path: Path) -> Path:
    return (INBOX, *path[1:]) if path and path[0].upper() == INBOX else path


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}

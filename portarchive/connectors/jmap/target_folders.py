"""Mailboxes are made: level by level, each level in one ``Mailbox/set`` (RFC 8621 section 2.5)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
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

AT_ONCE: Final = 100
"""Mailboxes in one request: servers were seen to refuse 300 without naming a limit (failure 53)."""

TRIES: Final = 3
"""How often one mailbox is asked for whose method fails."""

_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What is in no Net-Unicode text (RFC 5198); some servers answer nothing to a request with it."""


class FolderMaker:
    """For one call of ``Target.ensure``.

    Args:
        session: logged in.
        roles: those that may be given.
    """

    def __init__(self, session: Session, roles: Collection[str]) -> None:
        self._session = session
        self._roles = roles
        self._known: dict[Path, Folder] = {}
        self._composed: dict[Path, Folder] = {}
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
            if wish.folder_id is None and self._is_legal(path := _key(wish.path)):
                for depth in range(1, len(path)):
                    wanted.setdefault(path[:depth], None)
                wanted[path] = wish
        for depth in range(1, max(map(len, wanted), default=0) + 1):
            level = {p: w for p, w in wanted.items() if len(p) == depth and not self._at(p)}
            if level:
                self._make_level(level)
        self._subscribe(wishes)
        by_id = {folder.folder_id: folder for folder in self._known.values()}
        for wish in wishes:
            path = _key(wish.path)
            folder = by_id.get(wish.folder_id) if wish.folder_id else self._at(path)
            if folder is not None:
                lost = tuple(self._lost.get(path, ()))
                created = path in self._created
                self._created.discard(path)  # the same asked for twice is there the second time
                yield wish, FolderReady(folder, created, lost)
            elif wish.folder_id:
                yield wish, Refused("folder-gone", "there is no such mailbox")
            else:
                yield wish, self._refused.get(path, Refused("refused", "it was not made"))

    def _look(self) -> None:
        boxes = state.survey(self._session).boxes
        self._known = {_key(box.folder.path): box.folder for box in boxes.values()}
        self._composed = {_composed(path): folder for path, folder in self._known.items()}

    def _at(self, path: Path) -> Folder | None:
        """The mailbox of this path; a server may have composed its letters (RFC 5198)."""
        return self._known.get(path) or self._composed.get(_composed(path))

    def _is_legal(self, path: Path) -> bool:
        if path and all(name and not _NO_NAME.search(name) for name in path):
            return True
        self._refused[path] = Refused("refused", "no mailbox can have such a name")
        return False

    def _make_level(self, level: Mapping[Path, FolderWish | None]) -> None:
        self._create({path: self._object(path, level[path]) for path in level})
        self._look()

    def _object(self, path: Path, wish: FolderWish | None) -> dict[str, Any] | None:
        """None if its parent could not be made."""
        parent = self._at(path[:-1])
        if len(path) > 1 and parent is None:
            return None
        made: dict[str, Any] = {
            "name": path[-1],
            "parentId": parent.folder_id if parent is not None else None,
        }
        if wish is not None and wish.subscribe is not None:
            made["isSubscribed"] = wish.subscribe
        if wish is not None and wish.role in self._roles:
            made["role"] = wish.role
        elif wish is not None and wish.role is not None:
            self._lost.setdefault(path, []).append("role: it is not given to a mailbox by us")
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
        again: dict[Path, dict[str, Any]] = {}
        waiting = list(todo)
        while waiting:
            most = min(AT_ONCE, self._session.limits.max_objects_in_set)
            paths, waiting = waiting[:most], waiting[most:]
            again |= self._create_some(paths, todo)
        return again

    def _create_some(
        self, paths: Sequence[Path], todo: Mapping[Path, dict[str, Any]], tries: int = TRIES
    ) -> dict[Path, dict[str, Any]]:
        arguments = {"create": {f"m{number}": todo[path] for number, path in enumerate(paths)}}
        try:
            answer = self._session.ask("Mailbox/set", arguments)
        except MethodRefused as error:
            if len(paths) == 1:
                if tries > 1:
                    return self._create_some(paths, todo, tries - 1)
                self._refused[paths[0]] = Refused("refused", error.text)
                return {}
            if error.error.type == "requestTooLarge":
                self._session.limits.shrink("maxObjectsInSet", len(paths))
            middle = len(paths) // 2
            return self._create_some(paths[:middle], todo) | self._create_some(paths[middle:], todo)
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
            folder = by_id.get(wish.folder_id) if wish.folder_id else self._at(path)
            if folder is None or path in self._created or wish.subscribe is None:
                continue
            if folder.subscribed is not wish.subscribe:
                updates[folder.folder_id] = {"isSubscribed": wish.subscribe}
                paths[folder.folder_id] = path
        keys = list(updates)
        while keys:
            most = min(AT_ONCE, self._session.limits.max_objects_in_set)
            part, keys = keys[:most], keys[most:]
            for key, words in self._update({each: updates[each] for each in part}).items():
                if key in paths:
                    self._lost.setdefault(paths[key], []).append(f"subscription: {words}")

    def _update(self, updates: Mapping[str, dict[str, Any]], tries: int = TRIES) -> dict[str, str]:
        """Why some could not be changed."""
        try:
            answer = self._session.ask("Mailbox/set", {"update": updates})
        except MethodRefused as error:
            if len(updates) == 1:
                if tries > 1:
                    return self._update(updates, tries - 1)
                return dict.fromkeys(updates, error.text)
            if error.error.type == "requestTooLarge":
                self._session.limits.shrink("maxObjectsInSet", len(updates))
            keys = list(updates)
            middle = len(keys) // 2
            return self._update({key: updates[key] for key in keys[:middle]}) | self._update(
                {key: updates[key] for key in keys[middle:]}
            )
        failed, done = _mapping(answer.get("notUpdated")), _mapping(answer.get("updated"))
        return {
            key: printable(_mapping(failed.get(key)).get("description")) or "the server did not"
            for key in updates
            if key in failed or key not in done
        }


def _key(path: Path) -> Path:
    return (INBOX, *path[1:]) if path and path[0].upper() == INBOX else path


def _composed(path: Path) -> Path:
    return tuple(unicodedata.normalize("NFC", name) for name in path)


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}

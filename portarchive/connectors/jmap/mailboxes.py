"""Mailboxes as JMAP has them (RFC 8621 section 2), and the folders that they are. Pure.

A mailbox knows its parent by id and its own name; a folder has a path. What a server must not do,
and some do, is mended without a loss: a parent that is not there, parents in a circle, two siblings
of one name, a name that no UTF-8 can hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portarchive.connectors.jmap.convert import whole
from portarchive.records import Folder

INBOX: Final = "INBOX"
PROPERTIES: Final = (
    "id", "name", "parentId", "role", "sortOrder", "totalEmails", "myRights", "isSubscribed",
)  # fmt: skip

_RIGHTS: Final = (
    ("lr", ("mayReadItems",)),
    ("s", ("maySetSeen",)),
    ("w", ("maySetKeywords",)),
    ("i", ("mayAddItems",)),
    ("p", ("maySubmit",)),
    ("k", ("mayCreateChild",)),
    ("x", ("mayRename", "mayDelete")),
    ("te", ("mayRemoveItems",)),
    ("a", ("mayAdmin",)),
)
"""RFC 4314 letters in its order, and what RFC 8621 says is the same; ``mayAdmin`` is Cyrus's."""

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A mailbox as the server described it.

    Attributes:
        folder: the same for a job; its ``folder_id`` is the mailbox's id.
        readable: mail in it can be listed.
        notes: for the ledger, of what had to be mended.
    """

    folder: Folder
    readable: bool
    notes: tuple[Mapping[str, Any], ...]


def boxes(found: Sequence[Mapping[str, Any]]) -> dict[str, Box]:
    """All mailboxes of an account by id, parents before children, siblings by name.

    Args:
        found: the objects of ``Mailbox/get``; ids are strings and distinct.
    """
    known = {str(each["id"]): each for each in found}
    inbox = min(
        (key for key, each in known.items() if _role(each) == "inbox"),
        key=lambda key: (known[key].get("parentId") is not None, key),
        default=None,
    )
    parents, notes = _parents(known)
    if inbox is not None:
        parents[inbox] = None
    paths = _paths(known, parents, inbox)
    ordered = sorted(paths, key=lambda key: paths[key])
    return {key: _box(known[key], paths[key], notes.get(key, ())) for key in ordered}


def orphans(found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Ids of mailboxes whose parent is none of these; ``found``: by id."""
    return {key for key, each in found.items() if _lacks_parent(each, found)}


def _lacks_parent(each: Mapping[str, Any], known: Mapping[str, object]) -> bool:
    parent = each.get("parentId")
    return parent is not None and (not isinstance(parent, str) or parent not in known)


def _box(each: Mapping[str, Any], path: tuple[str, ...], notes: Sequence[Mapping[str, Any]]) -> Box:
    key = str(each["id"])
    messages = whole(each.get("totalEmails"))
    rights = each.get("myRights")
    readable = not isinstance(rights, Mapping) or rights.get("mayReadItems") is not False
    name = _name(each)
    role = _role(each)
    subscribed = each.get("isSubscribed")
    return Box(
        folder=Folder(
            folder_id=key,
            path=path,
            uid=key,
            roles=(role,) if role else (),
            subscribed=subscribed if isinstance(subscribed, bool) else None,
            selectable=readable or bool(messages),
            display_name=name if name != path[-1] else None,
            rights=_letters(rights),
            sort_order=whole(each.get("sortOrder")) or None,
            messages=messages if readable else None,
        ),
        readable=readable,
        notes=tuple(notes),
    )


def _parents(
    known: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, str | None], dict[str, list[Mapping[str, Any]]]]:
    """The parent of each, None at the top; what is wrong leads to the top."""
    parents: dict[str, str | None] = {}
    notes: dict[str, list[Mapping[str, Any]]] = {}
    for key, each in known.items():
        parent = each.get("parentId")
        if _lacks_parent(each, known):
            notes[key] = [{"code": "parent-missing"}]
            parent = None
        parents[key] = parent
    sound: set[str] = set()
    for key in sorted(known):
        way: list[str] = []
        at: str | None = key
        while at is not None and at not in sound:
            if at in way:
                first = min(way[way.index(at) :])
                parents[first] = None
                notes.setdefault(first, []).append({"code": "parent-circle"})
                break
            way.append(at)
            at = parents[at]
        sound.update(way)
    return parents, notes


def _paths(
    known: Mapping[str, Mapping[str, Any]], parents: Mapping[str, str | None], inbox: str | None
) -> dict[str, tuple[str, ...]]:
    """Distinct paths. Of siblings with one name the inbox keeps it, else the least id."""
    children: dict[str | None, list[str]] = {}
    for key, parent in parents.items():
        children.setdefault(parent, []).append(key)
    paths: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[str | None, tuple[str, ...]]] = [(None, ())]
    while waiting:
        parent, above = waiting.pop()
        taken: set[str] = set()
        for key in sorted(children.get(parent, ()), key=lambda each: (each != inbox, each)):
            name = INBOX if key == inbox else _name(known[key])
            if name in taken:
                name = f"{name} ({key})"
            while name in taken:
                name += "'"
            taken.add(name)
            paths[key] = (*above, name)
            waiting.append((key, paths[key]))
    return paths


def _name(each: Mapping[str, Any]) -> str:
    name = each.get("name")
    return _SURROGATE.sub("\ufffd", name) if isinstance(name, str) and name else str(each["id"])


def _role(each: Mapping[str, Any]) -> str | None:
    role = each.get("role")
    if not isinstance(role, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,62}", role):
        return None
    return role.lower()


def _letters(rights: object) -> str | None:
    if not isinstance(rights, Mapping):
        return None
    return "".join(
        letters for letters, names in _RIGHTS if all(rights.get(name) is True for name in names)
    )

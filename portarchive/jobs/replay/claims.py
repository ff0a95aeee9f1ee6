"""Claims: which names and roles belong to which folder of an archive, by the archive alone.

What the target has, or an earlier run has made, changes nothing here: a mailbox that bears the
name of one folder is never taken by another for its role, and a role belongs to one folder only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from portarchive.archive.contents import ContentFolder
from portarchive.jobs.replay.names import (
    INBOX,
    Path,
    below,
    beside,
    key_of,
    mark_of,
    own_mark,
    plain_mark,
)
from portarchive.placing import NameRules
from portarchive.records import Folder

UNIQUE: Final = ("inbox", "drafts", "sent", "trash", "junk", "archive", "all", "flagged",
                 "important", "snoozed", "memos")  # fmt: skip
"""Roles by which folders are matched. Not ``scheduled``: a server may send what lies there."""

SENDING: Final = "scheduled"
TRASH: Final = "trash"


class Claims:
    """What is settled before the target is looked at.

    Args:
        folders: all of the archive.
        rules: for names on the target.
        into: all goes below this path.

    Attributes:
        ranked: the folders in the order in which they choose: the inbox, then the least path.
        inbox: the folder that is the inbox, if any; not with ``into``.
    """

    def __init__(
        self, folders: Iterable[ContentFolder], rules: NameRules, into: Path | None
    ) -> None:
        self._rules = rules
        self._root: Path = into or ()
        ranked = sorted(folders, key=rank)
        self.inbox: ContentFolder | None = None
        if into is None and ranked:
            least = min(ranked, key=lambda f: ("inbox" not in f.roles, not self.is_named_inbox(f)))
            if "inbox" in least.roles or self.is_named_inbox(least):
                self.inbox = least
        self.ranked = sorted(ranked, key=lambda folder: folder is not self.inbox)
        self._wholes: dict[str, str] = {}
        self._plain: dict[str, str] = {}
        self._marks: dict[str, str] = {}
        self._name_wholes()
        self._places: dict[str, Path] = {}
        self._twins: set[str] = set()
        self._owners: dict[Path, str] = {INBOX: ""} if into is None else {}
        self._parents: set[Path] = set()
        for folder in self.ranked:
            self._settle(folder)
        self._first: dict[str, ContentFolder] = {}
        for folder in self.ranked:
            for role in folder.roles:
                if self.has_role(folder, role):
                    self._first.setdefault(role, folder)

    def _name_wholes(self) -> None:
        seen = set()
        for folder in self.ranked:
            whole = "/".join(folder.names)
            if whole in seen:  # two of one name: JMAP's archives may have them
                whole += "\0" + folder.path
            seen.add(whole)
            self._wholes[folder.path] = whole
            self._plain[plain_mark(whole)] = whole
            for mark in (plain_mark(whole), own_mark(whole), own_mark(folder.names[-1])):
                self._marks.setdefault(mark, folder.path)

    def _settle(self, folder: ContentFolder) -> None:
        path = wanted = self._wanted(folder.path, folder.names)
        whole = self.whole(folder)
        if folder is self.inbox:
            path = wanted = INBOX
        blocked = folder is not self.inbox and (
            key_of(path, self._rules) in self._owners
            or self._plain.get(mark_of(path[-1]), whole) != whole
        )
        while blocked:
            path = beside(path, whole, self._rules, self._root)
            blocked = key_of(path, self._rules) in self._owners
        if path != wanted:
            self._twins.add(folder.path)
        self._places[folder.path] = path
        self._owners[key_of(path, self._rules)] = folder.path
        self._parents |= {key_of(path[:depth], self._rules) for depth in range(1, len(path))}

    def _wanted(self, path: str, names: Path) -> Path:
        base = self._root
        if len(names) > 1:
            above = path.rpartition("/")[0]
            base = self._places.get(above) or self._wanted(above, names[:-1])
        return below(base, names[-1], self.whole_of(path, names), self._rules, self._root)

    # --- names ----------------------------------------------------------------------------------

    def whole(self, folder: ContentFolder) -> str:
        """What tells it from all other folders of the archive: marks are made of it."""
        return self._wholes[folder.path]

    def whole_of(self, path: str, names: Path) -> str:
        """The same of what may be a mere step in the paths of others."""
        return self._wholes.get(path, "/".join(names))

    def has(self, path: str) -> bool:
        """Whether the archive has a folder of this path in the archive."""
        return path in self._wholes

    def place(self, folder: ContentFolder) -> Path:
        """Where it goes if everything goes by name."""
        return self._places[folder.path]

    def is_twin(self, folder: ContentFolder) -> bool:
        """Whether its name is marked because its own is another folder's."""
        return folder.path in self._twins

    def owner(self, path: Path) -> str | None:
        """The folder whose name that is, by its path in the archive; "" for the inbox of nobody."""
        return self._owners.get(key_of(path, self._rules))

    def is_named_inbox(self, folder: ContentFolder) -> bool:
        """Whether its name is INBOX, in any case (RFC 9051 §5.1)."""
        return key_of(folder.names, self._rules) == INBOX

    # --- roles ----------------------------------------------------------------------------------

    def has_role(self, folder: ContentFolder, role: str) -> bool:
        """Whether it may be matched by this role of its own."""
        matched = role in UNIQUE and role != "inbox"
        return matched and folder is not self.inbox and not self.is_named_inbox(folder)

    def is_first(self, folder: ContentFolder, role: str) -> bool:
        """Whether the role is this folder's: that of the least path has it, the others do not."""
        return self._first.get(role) is folder

    def takes(self, folder: ContentFolder, there: Folder) -> bool:
        """Whether it may go to a mailbox for its role.

        Never to one that has the name of another folder, or is above it: servers give roles by
        name, and that one has mail there, or will have.
        """
        mine = [self._first[role] for role in there.roles if role in self._first]
        if not mine or min(mine, key=rank) is not folder:
            return False
        if self._marks.get(mark_of(there.path[-1]), folder.path) != folder.path:
            return False
        owner = self.owner(there.path)
        if owner is not None:
            return owner == folder.path
        return key_of(there.path, self._rules) not in self._parents


def rank(folder: ContentFolder) -> tuple[bool, int, bytes]:
    """In which order folders choose: what the source lost comes last."""
    return folder.gone, len(folder.names), folder.path.encode()

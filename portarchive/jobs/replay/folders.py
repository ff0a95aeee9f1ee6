"""Folders: which mailbox of the target each folder of an archive goes to.

By role, then by path; else it is made, with a name that the target can hold. The same archive and
the same target give the same map at every run, whatever an earlier run has made: a message is only
found again where it was put. Pure: nothing is asked or made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
    plainer,
)
from portarchive.placing import FolderWish, TargetCapabilities
from portarchive.records import Folder

UNIQUE: Final = ("inbox", "drafts", "sent", "trash", "junk", "archive", "all", "flagged",
                 "important", "snoozed", "memos")  # fmt: skip
"""Roles by which folders are matched. Not ``scheduled``: a server may send what lies there."""

SENDING: Final = "scheduled"
TRASH: Final = "trash"


@dataclass(slots=True, eq=False)
class FolderPlan:
    """Where one folder of the archive goes.

    Attributes:
        folder: of the archive; None for the trash that deleted messages need.
        path: names on the target.
        folder_id: there already; "" if it is to be made.
        how: ``role``, ``path``, ``made`` or ``into``.
        role: to be given to it when it is made.
        subscribe: None to leave that.
        notes: (code, text) of what is not as in the archive.
        failed: code and text, if it could not be had.
        whole: what marks of its name are made of.
        root: below which all goes.
        twin: its name is marked because its own is another folder's.
    """

    folder: ContentFolder | None
    path: Path
    folder_id: str = ""
    how: str = "made"
    role: str | None = None
    subscribe: bool | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)
    failed: tuple[str, str] | None = None
    whole: str = ""
    root: Path = ()
    twin: bool = False

    @property
    def wish(self) -> FolderWish:
        """What is asked of the target."""
        return FolderWish(self.path, self.folder_id or None, self.role, self.subscribe)


class Mapper:
    """Makes the plans.

    Args:
        listed: what the target has.
        capabilities: what it can.
        into: all goes below this path.
    """

    def __init__(
        self, listed: Sequence[Folder], capabilities: TargetCapabilities, into: Path | None = None
    ) -> None:
        self._rules = capabilities.names
        self._given = capabilities.roles
        self._into = into
        own = [folder for folder in listed if folder.namespace == "personal"]
        self._by_role: dict[str, Folder] = {}
        for folder in own:
            for role in folder.roles:
                self._by_role.setdefault(role, folder)
        self._by_path = {self._key(folder.path): folder for folder in own}
        inbox = self._by_path.get(("INBOX",))
        if inbox is not None:
            self._by_role["inbox"] = inbox
        self._used: dict[Path, FolderPlan] = {}
        self._claimed: set[Path] = set()
        self._spent: set[str] = set()
        self._mapped: dict[str, Path] = {}
        self._wholes: dict[str, str] = {}
        self._first: dict[Path, str] = {}
        self._plain: dict[str, str] = {}
        self._ranked: list[ContentFolder] = []
        self._placed: set[Path] = set()
        self._placed_at = -1
        self._marks: dict[str, str] = {}

    def plan(self, folders: Iterable[ContentFolder]) -> list[FolderPlan]:
        """One plan for each folder, in the order given.

        All folders of the archive are wanted here, also those that are not to be brought: where one
        goes must not depend on which of the others are.

        Those with a role come first, so that a role is never taken by a mere name; among equals
        the least path has it.
        """
        order = list(folders)
        plans: dict[str, FolderPlan] = {}
        ranked = self._ranked = sorted(order, key=_rank)
        self._claimed = {self._key(folder.names) for folder in order}
        self._name_wholes(ranked)
        if self._into is None:
            for folder in sorted(ranked, key=self._inbox_first):
                plan = self._with_role(folder)
                if plan is not None:
                    plans[folder.path] = plan
        for folder in ranked:
            if folder.path not in plans:
                plans[folder.path] = self._by_name(folder)
        return [plans[folder.path] for folder in order]

    def _name_wholes(self, ranked: Iterable[ContentFolder]) -> None:
        seen = set()
        for folder in ranked:
            self._first.setdefault(self._key(folder.names), folder.path)
            whole = "/".join(folder.names)
            if whole in seen:  # two of one name: JMAP's archives may have them
                whole += "\0" + folder.path
            seen.add(whole)
            self._wholes[folder.path] = whole
            self._plain[plain_mark(whole)] = whole
            for mark in (plain_mark(whole), own_mark(whole), own_mark(folder.names[-1])):
                self._marks.setdefault(mark, folder.path)

    def trash(self, plans: Sequence[FolderPlan]) -> FolderPlan:
        """Where deleted messages go: one of the plans, or one more.

        It is the archive's own trash, wherever that goes; if it has none, the target's; else it is
        made. With ``into`` it is never outside of that.
        """
        own = [
            plan.folder
            for plan in plans
            if plan.folder is not None and TRASH in plan.folder.roles and plan.folder.selectable
        ]
        if own:
            least = min(own, key=_rank)
            return next(plan for plan in plans if plan.folder is least)
        root = self._into or ()
        path = below(root, "Trash", "Trash", self._rules, root)
        there = self._there(path, "Trash")
        found = self._by_role.get(TRASH) if self._into is None else None
        if found is not None and found.selectable:
            same = self._used.get(self._key(found.path))
            if same is None:
                return FolderPlan(None, found.path, found.folder_id, "role")
            # a folder of the archive may owe the role to its name, and only since it was brought
            if there is None:
                return same
        same = self._used.get(self._key(path))
        if same is not None:
            return same
        plan = FolderPlan(None, path, whole="Trash", root=root)
        if there is not None:
            plan.path, plan.folder_id, plan.how = there.path, there.folder_id, "path"
        elif self._into is None:
            plan.role = TRASH
        return plan

    # --- by role --------------------------------------------------------------------------------

    def _with_role(self, folder: ContentFolder) -> FolderPlan | None:
        is_inbox = self._is_inbox(folder)
        for role in folder.roles:
            if role not in UNIQUE or (is_inbox and role != "inbox"):
                continue
            there = self._by_role.get(role)
            if role == "inbox" and (there is None or not there.selectable):
                # each account has one, shown or not; the name is no other folder's
                if INBOX in self._used:
                    continue
                return self._use(folder, self._planned(folder, INBOX))
            if there is None or not there.selectable:
                continue
            if self._key(there.path) in self._used:
                continue  # an earlier folder has this role; this one keeps its name
            if role != "inbox" and self._is_of_another(folder, there):
                continue
            plan = self._planned(folder, there.path)
            plan.folder_id, plan.how = there.folder_id, "role"
            plan.subscribe = folder.subscribed or None
            if self._key(there.path) != self._key(folder.names):
                text = f"goes to {'/'.join(there.path)}, which has the role {role}"
                plan.notes.append(("by-role", text))
            return self._use(folder, plan)
        return None

    def _is_of_another(self, folder: ContentFolder, there: Folder) -> bool:
        """Whether the mailbox with its role was made by an earlier run for another folder.

        It has that one's name then, and the folder has a mailbox of its own: servers give roles by
        name, and a role that one folder could not be given goes to the next that bears it.
        """
        own = self._key(self._place(folder.path, folder.names))
        key = self._key(there.path)
        if own == key or own not in self._by_path:
            return False
        if self._marks.get(mark_of(there.path[-1]), folder.path) != folder.path:
            return True
        return key in self._claimed or key in self._places()

    def _places(self) -> set[Path]:
        """Where folders go by name: below parents that went to the mailbox of a role."""
        if self._placed_at != len(self._mapped):
            self._placed_at = len(self._mapped)
            self._placed = {self._key(self._place(each.path, each.names)) for each in self._ranked}
        return self._placed

    # --- by name --------------------------------------------------------------------------------

    def _by_name(self, folder: ContentFolder) -> FolderPlan:
        whole = self._wholes[folder.path]
        wanted = self._below(self._parent(folder.path, folder.names), folder.names[-1], whole)
        if self._key(wanted) == INBOX:
            wanted = INBOX
        path = self._free(wanted, folder)
        plan = self._planned(folder, path)
        plan.twin = path != wanted
        if path[-1] != folder.names[-1]:
            plan.notes.append(("renamed", f"is named {'/'.join(path)} there"))
        if SENDING in folder.roles:
            text = "its role is not given: nothing is to be sent"
            plan.notes.append(("role-lost", text))
        there = self._there(path, whole)
        if there is not None:
            plan.folder_id, plan.how, plan.path = there.folder_id, "path", there.path
        self._used[self._key(path)] = plan  # even if it was refused, and there is another
        self._role_of(folder, plan)
        # one that was there may be subscribed for its owner's own reasons
        plan.subscribe = folder.subscribed if not plan.folder_id else folder.subscribed or None
        return self._use(folder, plan)

    def _planned(self, folder: ContentFolder, path: Path) -> FolderPlan:
        how = "into" if self._into else "made"
        plan = FolderPlan(folder, path, how=how, subscribe=folder.subscribed)
        plan.whole, plan.root = self._wholes[folder.path], self._into or ()
        return plan

    def _there(self, path: Path, whole: str) -> Folder | None:
        """The mailbox of that path, or what an earlier run made because it was refused.

        That one first: the path may have come to be since, as a parent of others.
        """
        for candidate in (*plainer(path, whole, self._rules, self._into or ())[::-1], path):
            key = self._key(candidate)
            there = self._by_path.get(key)
            if there is not None and there.selectable and key not in self._used:
                return there
        return None

    def _role_of(self, folder: ContentFolder, plan: FolderPlan) -> None:
        for role in folder.roles:
            # a name that is the inbox's is matched by no other role, so it is given none
            if role in {SENDING, "inbox"} or self._into is not None or self._is_inbox(folder):
                continue
            if plan.folder_id:
                there = self._by_path.get(self._key(plan.path))
                if there is not None and role in there.roles:
                    continue
                text = f"the role {role} is not given to a mailbox that is there"
                plan.notes.append(("role-lost", text))
                self._spent.add(role)  # or it would draw this folder to another one next time
            elif role in self._by_role or role in self._spent:
                plan.notes.append(("role-taken", f"the role {role} belongs to another mailbox"))
            elif role not in self._given:
                plan.notes.append(("role-lost", f"the target cannot give the role {role}"))
            elif plan.role is None:
                plan.role = role
                self._spent.add(role)

    def _parent(self, path: str, names: Path) -> Path:
        """Where the parent went: children follow it."""
        if len(names) == 1:
            return self._into or ()
        above = path.rpartition("/")[0]
        known = self._mapped.get(above)
        return known if known is not None else self._place(above, names[:-1])

    def _place(self, path: str, names: Path) -> Path:
        """Where a folder goes by its name, as far as that is known yet."""
        whole = self._wholes.get(path, "/".join(names))
        place = self._below(self._parent(path, names), names[-1], whole)
        if path not in self._wholes:
            return place
        first = self._first[self._key(names)]
        if self._key(place) in self._used or (first != path and first not in self._mapped):
            place = beside(place, whole, self._rules, self._into or ())
        there = self._there(place, whole)
        return there.path if there is not None else place

    def _below(self, base: Path, name: str, whole: str) -> Path:
        return below(base, name, whole, self._rules, self._into or ())

    def _use(self, folder: ContentFolder, plan: FolderPlan) -> FolderPlan:
        self._used[self._key(plan.path)] = plan
        self._mapped[folder.path] = plan.path
        return plan

    def _free(self, path: Path, folder: ContentFolder) -> Path:
        """The path, or one beside it if another folder of the archive goes there."""
        whole = self._wholes[folder.path]
        blocked = (
            self._key(path) in self._used or self._plain.get(mark_of(path[-1]), whole) != whole
        )
        if SENDING in folder.roles and not blocked:
            there = self._by_path.get(self._key(path))
            blocked = there is not None and SENDING in there.roles
        while blocked:
            path = beside(path, whole, self._rules, self._into or ())
            blocked = self._key(path) in self._used
        return path

    def _inbox_first(self, folder: ContentFolder) -> tuple[bool, bool]:
        return "inbox" not in folder.roles, not self._is_inbox(folder)

    def _is_inbox(self, folder: ContentFolder) -> bool:
        return self._key(folder.names) == INBOX

    def _key(self, path: Path) -> Path:
        """Under which two paths are one mailbox."""
        return key_of(path, self._rules)


def _rank(folder: ContentFolder) -> tuple[bool, int, bytes]:
    """In which order folders choose: what the source lost comes last."""
    return folder.gone, len(folder.names), folder.path.encode()

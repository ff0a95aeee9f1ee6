"""Folders: which mailbox of the target each folder of an archive goes to.

By role, then by path; else it is made, with a name that the target can hold. The same archive and
the same target give the same map at every run, whatever an earlier run has made: a message is only
found again where it was put. Pure: nothing is asked or made here.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from portarchive.archive.contents import ContentFolder
from portarchive.placing import FolderWish, NameRules, TargetCapabilities
from portarchive.records import Folder

Path = tuple[str, ...]

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
    """

    folder: ContentFolder | None
    path: Path
    folder_id: str = ""
    how: str = "made"
    role: str | None = None
    subscribe: bool | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)
    failed: tuple[str, str] | None = None

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
        self._mapped: dict[Path, Path] = {}

    def plan(self, folders: Iterable[ContentFolder]) -> list[FolderPlan]:
        """One plan for each folder, in the order given.

        Those with a role come first, so that a role is never taken by a mere name; among equals
        the least path has it.
        """
        order = list(folders)
        plans: dict[str, FolderPlan] = {}
        self._claimed = {self._key(folder.names) for folder in order}
        if self._into is None:
            for folder in sorted(order, key=lambda f: (len(f.names), f.path.encode())):
                plan = self._with_role(folder)
                if plan is not None:
                    plans[folder.path] = plan
        for folder in sorted(order, key=lambda f: (len(f.names), f.path.encode())):
            if folder.path not in plans:
                plans[folder.path] = self._by_name(folder)
        return [plans[folder.path] for folder in order]

    def trash(self, plans: Iterable[FolderPlan]) -> FolderPlan:
        """Where deleted messages go; made if the target has none."""
        found = self._by_role.get(TRASH)
        if found is not None:
            return FolderPlan(None, found.path, found.folder_id, "role")
        for plan in plans:
            if plan.role == TRASH or (
                self._into is None and plan.folder is not None and TRASH in plan.folder.roles
            ):
                return FolderPlan(None, plan.path, plan.folder_id, plan.how, plan.role)
        path = ("Trash",)
        there = self._by_path.get(self._key(path))
        return FolderPlan(
            None,
            there.path if there is not None else path,
            there.folder_id if there is not None else "",
            "path" if there is not None else "made",
            TRASH if there is None else None,
        )

    # --- by role --------------------------------------------------------------------------------

    def _with_role(self, folder: ContentFolder) -> FolderPlan | None:
        is_inbox = self._key(folder.names) == ("INBOX",)
        for role in folder.roles:
            if role not in UNIQUE or (is_inbox and role != "inbox"):
                continue
            there = self._by_role.get(role)
            if there is None or not there.selectable:
                continue
            if self._key(there.path) in self._used:
                continue  # an earlier folder has this role; this one keeps its name
            if self._is_of_another(folder, there):
                continue
            plan = FolderPlan(folder, there.path, there.folder_id, "role")
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
        parent = self._parent(folder.names[:-1])
        own = self._key(self._fit((*parent, folder.names[-1]), len(parent)))
        key = self._key(there.path)
        return own != key and own in self._by_path and key in self._claimed

    # --- by name --------------------------------------------------------------------------------

    def _by_name(self, folder: ContentFolder) -> FolderPlan:
        parent = self._parent(folder.names[:-1])
        wanted = self._fit((*parent, folder.names[-1]), len(parent))
        path = self._free(wanted, folder)
        plan = FolderPlan(folder, path, how="into" if self._into else "made")
        if path[-1] != folder.names[-1]:
            plan.notes.append(("renamed", f"is named {'/'.join(path)} there"))
        if SENDING in folder.roles:
            text = "its role is not given: nothing is to be sent"
            plan.notes.append(("role-lost", text))
        there = self._there(path)
        if there is not None:
            plan.folder_id, plan.how, plan.path = there.folder_id, "path", there.path
        self._role_of(folder, plan)
        # one that was there may be subscribed for its owner's own reasons
        plan.subscribe = folder.subscribed if not plan.folder_id else folder.subscribed or None
        return self._use(folder, plan)

    def _there(self, path: Path) -> Folder | None:
        """The mailbox of that path, or what an earlier run made because it was refused."""
        for candidate in (path, plainer(path, 0, self._rules), plainer(path, 1, self._rules)):
            if candidate is not None:
                there = self._by_path.get(self._key(candidate))
                if there is not None and there.selectable:
                    return there
        return None

    def _role_of(self, folder: ContentFolder, plan: FolderPlan) -> None:
        for role in folder.roles:
            if role in {SENDING, "inbox"} or self._into is not None:
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

    def _parent(self, names: Path) -> Path:
        """Where the parent went: children follow it."""
        if not names:
            return self._into or ()
        known = self._mapped.get(names)
        if known is not None:
            return known
        parent = self._parent(names[:-1])
        path = self._fit((*parent, names[-1]), len(parent))
        self._mapped[names] = path
        return path

    def _use(self, folder: ContentFolder, plan: FolderPlan) -> FolderPlan:
        self._used[self._key(plan.path)] = plan
        self._mapped[folder.names] = plan.path
        return plan

    def _free(self, path: Path, folder: ContentFolder) -> Path:
        """The path, or one beside it if another folder of the archive goes there."""
        blocked = self._key(path) in self._used
        if SENDING in folder.roles and not blocked:
            there = self._by_path.get(self._key(path))
            blocked = there is not None and SENDING in there.roles
        if not blocked:
            return path
        return (*path[:-1], self._marked(path[-1], "/".join(folder.names)))

    # --- names that a target can hold -----------------------------------------------------------

    def _fit(self, path: Path, done: int) -> Path:
        """The path with its names from ``done`` on made fit."""
        rules = self._rules
        fitted = (*path[:done], *(self._fit_name(name) for name in path[done:]))
        deepest = rules.max_depth if rules.separator else 1
        if deepest is not None and len(fitted) > deepest:
            joined = "_".join(fitted[deepest - 1 :])
            fitted = (*fitted[: deepest - 1], self._marked(joined, "/".join(fitted)))
        if rules.max_path is not None and _length(fitted, rules) > rules.max_path:
            room = rules.max_path - _length(fitted[:-1], rules) - len(rules.separator)
            fitted = (*fitted[:-1], self._marked(fitted[-1], "/".join(fitted), room))
        return fitted

    def _fit_name(self, name: str) -> str:
        rules = self._rules
        bad = set(rules.forbidden) | set(rules.separator)
        fitted = "".join(
            "_" if sign in bad or not sign.isprintable() or "\ud800" <= sign <= "\udfff" else sign
            for sign in name
        )
        if rules.trims:
            fitted = " ".join(fitted.split())
        if fitted != name or not fitted:
            fitted = self._marked(fitted, name)
        if rules.max_name is not None and len(fitted.encode()) > rules.max_name:
            fitted = self._marked(fitted, name)
        return fitted

    def _marked(self, name: str, whole: str, room: int | None = None) -> str:
        """A name with a mark of the whole, which no other name has."""
        mark = "~" + hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        limits = [limit for limit in (self._rules.max_name, room) if limit is not None]
        if limits:
            keep = max(0, min(limits) - len(mark))
            name = name.encode()[:keep].decode("utf-8", "ignore")
        return name + mark

    def _key(self, path: Path) -> Path:
        """Under which two paths are one mailbox."""
        names = [unicodedata.normalize("NFC", name) for name in path]
        if self._rules.fold_case:
            names = [name.casefold() for name in names]
        if names and names[0].upper() == "INBOX":
            names[0] = "INBOX"
        return tuple(names)


def plainer(path: Path, attempt: int, rules: NameRules) -> Path | None:
    """Another name for a mailbox that the target refused to make; None if there is none left.

    Args:
        path: what it refused.
        attempt: 0: the last name in plain letters; 1: a single name at the top.
        rules: of the target.
    """
    whole = "/".join(path)
    mark = "~" + hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    limit = min(rules.max_name or 60, 60) - len(mark)
    if attempt == 0:
        return (*path[:-1], _letters(path[-1])[:limit] + mark)
    if attempt == 1 and len(path) > 1:
        return (_letters("_".join(path))[:limit] + mark,)
    return None


def _letters(name: str) -> str:
    return "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in name
    )


def _length(path: Path, rules: NameRules) -> int:
    return sum(len(name.encode()) for name in path) + len(rules.separator) * max(0, len(path) - 1)

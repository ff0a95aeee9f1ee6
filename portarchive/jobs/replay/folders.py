"""Folders: which mailbox of the target each folder of an archive goes to.

By role, then by path; else it is made, with a name that the target can hold. What belongs to which
folder is settled by the archive alone (``claims``). Where a folder has several mailboxes that may
be its own, the one that holds its mail is; the others are named (``FolderPlan.also``), as an
earlier run may have put some of it there. Makes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from portarchive.archive.contents import ContentFolder
from portarchive.jobs.replay.claims import SENDING, TRASH, Claims, rank
from portarchive.jobs.replay.names import INBOX, Path, below, beside, key_of, plainer
from portarchive.placing import FolderWish, TargetCapabilities
from portarchive.records import Folder

Holds = Callable[[ContentFolder, Sequence[Folder]], Sequence[int]]
"""By how many messages of a folder each of these mailboxes seems to be its own."""


@dataclass(slots=True, eq=False)
class FolderPlan:
    """Where one folder of the archive goes.

    Attributes:
        folder: of the archive; None for the trash that deleted messages need.
        path: names on the target.
        folder_id: there already; "" if it is to be made.
        how: ``role``, ``path``, ``made`` or ``into``.
        role: to be given to it when it is made.
        unasked: a role of its folder that the target gives to whom it likes, if at all.
        subscribe: None to leave that.
        notes: (code, text) of what is not as in the archive.
        failed: code and text, if it could not be had.
        whole: what marks of its name are made of.
        root: below which all goes.
        twin: its name is marked because its own is another folder's.
        also: further mailboxes that may have some of its mail: by the names that it had or would
            have, or by its roles.
    """

    folder: ContentFolder | None
    path: Path
    folder_id: str = ""
    how: str = "made"
    role: str | None = None
    unasked: str | None = None
    subscribe: bool | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)
    failed: tuple[str, str] | None = None
    whole: str = ""
    root: Path = ()
    twin: bool = False
    also: tuple[Folder, ...] = ()

    @property
    def wish(self) -> FolderWish:
        """What is asked of the target."""
        return FolderWish(self.path, self.folder_id or None, self.role, self.subscribe)


@dataclass(slots=True)
class _Choice:
    """Where a folder may be.

    Attributes:
        own: paths by its name, below each place where its parent may be; the likeliest first.
        roles: mailboxes that have a role that is this folder's.
        stale: paths where its mail may be, though it does not go there.
    """

    own: list[Path] = field(default_factory=list)
    roles: list[Folder] = field(default_factory=list)
    stale: list[Path] = field(default_factory=list)


class Mapper:
    """Makes the plans.

    Args:
        listed: what the target has.
        capabilities: what it can.
        into: all goes below this path.
        holds: is asked when a folder may be in several mailboxes; None: the first of them is it.
    """

    def __init__(
        self,
        listed: Sequence[Folder],
        capabilities: TargetCapabilities,
        into: Path | None = None,
        holds: Holds | None = None,
    ) -> None:
        self._rules = capabilities.names
        self._given = capabilities.roles
        self._into = into
        self._root: Path = into or ()
        self._holds = holds
        own = [folder for folder in listed if folder.namespace == "personal"]
        self._by_path = {self._key(folder.path): folder for folder in own}
        self._by_role: dict[str, list[Folder]] = {}
        for folder in own:
            for role in folder.roles:
                self._by_role.setdefault(role, []).append(folder)
        self._above = {
            self._key(folder.path[:depth])
            for folder in own
            for depth in range(1, len(folder.path) + 1)
        }
        self._used: dict[Path, FolderPlan] = {}
        self._bases: dict[str, list[tuple[Path, bool]]] = {}
        self._claims = Claims((), self._rules, into)

    def plan(self, folders: Iterable[ContentFolder]) -> list[FolderPlan]:
        """One plan for each folder, in the order given.

        All folders of the archive are wanted here, also those that are not to be brought: where one
        goes must not depend on which of the others are.
        """
        order = list(folders)
        claims = self._claims = Claims(order, self._rules, self._into)
        plans: dict[str, FolderPlan] = {}
        for folder in claims.ranked:
            plans[folder.path] = (
                self._inbox(folder) if folder is claims.inbox else self._mapped(folder)
            )
        return [plans[folder.path] for folder in order]

    def trash(self, plans: Sequence[FolderPlan]) -> FolderPlan:
        """Where deleted messages go: one of the plans, or one more.

        It is the archive's own trash, wherever that goes, or its folder of that name; if it has
        none, the target's; else it is made. With ``into`` it is never outside of that.
        """
        own = [
            plan.folder
            for plan in plans
            if plan.folder is not None and TRASH in plan.folder.roles and plan.folder.selectable
        ]
        if own:
            least = min(own, key=rank)
            return next(plan for plan in plans if plan.folder is least)
        path = below(self._root, "Trash", "Trash", self._rules, self._root)
        owner = self._claims.owner(path)
        for plan in plans:
            if owner is not None and plan.folder is not None and plan.folder.path == owner:
                return plan
        given = self._by_role.get(TRASH, []) if self._into is None else []
        mine = [one for one in given if one.selectable and self._claims.owner(one.path) is None]
        found = [("role", one) for one in mine]
        if (there := self._find(path, "Trash")) is not None:
            found.append(("path", there))
        for _, one in found:
            if (same := self._used.get(self._key(one.path))) is not None:
                return same  # of a folder that has the role and holds no mail
        plan = FolderPlan(None, path, whole="Trash", root=self._root)
        if found:
            plan.how, first = found[0]
            plan.path, plan.folder_id = first.path, first.folder_id
        elif self._into is None:
            plan.role = TRASH
        plan.also = self._also(plan, [*given, *(one for _, one in found)])
        return plan

    # --- one folder -----------------------------------------------------------------------------

    def _inbox(self, folder: ContentFolder) -> FolderPlan:
        """Each account has one, listed or not; the name is no other folder's."""
        plan = self._planned(folder, INBOX)
        there = self._by_path.get(INBOX)
        choice = self._choice(folder)
        if there is not None and there.selectable:
            self._by_its_role(plan, folder, there, "inbox")
        return self._use(folder, plan, [INBOX], [*choice.own, *choice.stale])

    def _mapped(self, folder: ContentFolder) -> FolderPlan:
        choice = self._choice(folder)
        options = list(choice.roles)
        for path in choice.own:
            there = self._find(path, self._claims.whole(folder))
            if there is not None and self._may_have(folder, there):
                options.append(there)
        options = list({one.folder_id: one for one in options}.values())
        path = choice.own[0]
        there = self._chosen(folder, options)
        if there is None:
            path = self._free(folder, path)
            there = self._find(path, self._claims.whole(folder))
        by_role = there is not None and there in choice.roles
        plan = self._planned(folder, there.path if there is not None else path)
        if there is not None and by_role:
            roles = [role for role in folder.roles if role in there.roles]
            self._by_its_role(plan, folder, there, roles[0])
        else:
            plan.twin = path != choice.own[0] or self._claims.is_twin(folder)
            self._by_its_name(plan, folder, there)
        places = [*choice.own, *(one.path for one in choice.roles)]
        self._used[self._key(path)] = plan  # even if it was refused, and there is another
        return self._use(folder, plan, places, choice.stale)

    def _chosen(self, folder: ContentFolder, options: list[Folder]) -> Folder | None:
        """The mailbox that holds most of the folder's mail; without any, that of its role."""
        if len(options) > 1 and self._holds is not None:
            counts = self._holds(folder, options)
            most = [one for one, count in zip(options, counts, strict=True) if count == max(counts)]
            # as much in both: that of its name was rather made for it
            return most[-1] if any(counts) else options[0]
        return options[0] if options else None

    def _choice(self, folder: ContentFolder) -> _Choice:
        claims = self._claims
        choice = _Choice()
        settled = claims.place(folder)
        for base, allowed in self._parent(folder.path, folder.names):
            path = self._below(base, folder)
            marked = beside(path, claims.whole(folder), self._rules, self._root)
            if claims.is_twin(folder):
                path, marked = marked, path
            if base == settled[:-1] and len(settled) > len(base):
                path = settled
            (choice.own if allowed else choice.stale).append(path)
            if self._key(marked) in self._above:
                choice.stale.append(marked)
        # also where it is alone in being called so, e.g. in an archive of an earlier time
        choice.stale.append(settled)
        if self._into is None and folder is not claims.inbox:
            for role in folder.roles:
                for there in self._by_role.get(role, ()) if claims.has_role(folder, role) else ():
                    mine = claims.takes(folder, there) and self._may_have(folder, there)
                    if mine:
                        choice.roles.append(there)
                    else:
                        choice.stale.append(there.path)
        return choice

    def _may_have(self, folder: ContentFolder, there: Folder) -> bool:
        """Whether the mailbox is nobody else's, and nothing is sent from there."""
        return (
            there.selectable
            and SENDING not in there.roles
            and self._key(there.path) not in self._used
            and self._claims.owner(there.path) in {None, folder.path}
        )

    def _by_its_role(
        self, plan: FolderPlan, folder: ContentFolder, there: Folder, role: str
    ) -> None:
        plan.path, plan.folder_id, plan.how = there.path, there.folder_id, "role"
        plan.subscribe = folder.subscribed or None
        if self._key(there.path) != self._key(folder.names):
            text = f"goes to {'/'.join(there.path)}, which has the role {role}"
            plan.notes.append(("by-role", text))

    def _by_its_name(self, plan: FolderPlan, folder: ContentFolder, there: Folder | None) -> None:
        if plan.path[-1] != folder.names[-1]:
            plan.notes.append(("renamed", f"is named {'/'.join(plan.path)} there"))
        if SENDING in folder.roles:
            text = "its role is not given: nothing is to be sent"
            plan.notes.append(("role-lost", text))
        if there is not None:
            plan.folder_id, plan.how = there.folder_id, "path"
        self._role_of(folder, plan, there)
        # one that was there may be subscribed for its owner's own reasons
        plan.subscribe = folder.subscribed if there is None else folder.subscribed or None

    def _role_of(self, folder: ContentFolder, plan: FolderPlan, there: Folder | None) -> None:
        for role in folder.roles:
            # a name that is the inbox's is matched by no other role, so it is given none
            if role in {SENDING, "inbox"} or self._into is not None:
                continue
            if self._claims.is_named_inbox(folder) or (there is not None and role in there.roles):
                continue
            if self._by_role.get(role) or not self._claims.is_first(folder, role):
                plan.notes.append(("role-taken", f"the role {role} belongs to another mailbox"))
            elif there is not None:
                text = f"the role {role} is not given to a mailbox that is there"
                plan.notes.append(("role-lost", text))
            elif role not in self._given:
                plan.unasked = plan.unasked or role
            else:
                plan.role = plan.role or role

    # --- names ----------------------------------------------------------------------------------

    def _planned(self, folder: ContentFolder, path: Path) -> FolderPlan:
        how = "into" if self._into else "made"
        plan = FolderPlan(folder, path, how=how, subscribe=folder.subscribed)
        plan.whole, plan.root = self._claims.whole(folder), self._root
        return plan

    def _use(
        self,
        folder: ContentFolder,
        plan: FolderPlan,
        places: Iterable[Path],
        stale: Iterable[Path],
    ) -> FolderPlan:
        """Keep where it goes, and where its children may be."""
        self._used[self._key(plan.path)] = plan
        bases: dict[Path, tuple[Path, bool]] = {self._key(plan.path): (plan.path, True)}
        elsewhere: list[Folder] = []
        for paths, allowed in ((places, True), (stale, False)):
            for path in paths:
                there = self._find(path, plan.whole)
                if there is not None:
                    elsewhere.append(there)
                base = path if there is None else there.path
                if (key := self._key(base)) in self._above:
                    bases.setdefault(key, (base, allowed))
        self._bases[folder.path] = list(bases.values())
        plan.also = self._also(plan, elsewhere)
        return plan

    def _also(self, plan: FolderPlan, found: Iterable[Folder]) -> tuple[Folder, ...]:
        others = {
            one.folder_id: one
            for one in found
            if one.selectable and one.folder_id != plan.folder_id and SENDING not in one.roles
        }
        return tuple(others.values())

    def _parent(self, path: str, names: Path) -> list[tuple[Path, bool]]:
        """Where the parent may be: children follow it. True: and go there."""
        if len(names) == 1:
            return [(self._root, True)]
        above, _, _ = path.rpartition("/")
        if above not in self._bases:
            # no folder of the archive, or one that the source lost
            found: list[tuple[Path, bool]] = []
            whole = self._claims.whole_of(above, names[:-1])
            for base, allowed in self._parent(above, names[:-1]):
                place = below(base, names[-2], whole, self._rules, self._root)
                there = self._find(place, whole) if self._claims.has(above) else None
                found.append((place if there is None else there.path, allowed))
            return found
        return self._bases[above]

    def _find(self, path: Path, whole: str) -> Folder | None:
        """The mailbox of that path, or what an earlier run made because it was refused.

        That one first: the path may have come to be since, as a parent of others.
        """
        for candidate in (*plainer(path, whole, self._rules, self._root)[::-1], path):
            there = self._by_path.get(self._key(candidate))
            if there is not None and there.selectable:
                return there
        return None

    def _free(self, folder: ContentFolder, path: Path) -> Path:
        """The path, or one beside it if that is not to be had."""
        while not self._is_free(folder, path):
            path = beside(path, self._claims.whole(folder), self._rules, self._root)
        return path

    def _is_free(self, folder: ContentFolder, path: Path) -> bool:
        there = self._by_path.get(self._key(path))
        return (
            self._key(path) not in self._used
            and self._claims.owner(path) in {None, folder.path}
            and not (there is not None and SENDING in there.roles)
        )

    def _below(self, base: Path, folder: ContentFolder) -> Path:
        name, whole = folder.names[-1], self._claims.whole(folder)
        return below(base, name, whole, self._rules, self._root)

    def _key(self, path: Path) -> Path:
        """Under which two paths are one mailbox."""
        return key_of(path, self._rules)

"""Mailboxes: what the plan wants and the target lacks is made, by another name if refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from portarchive.connectors.base import Target
from portarchive.jobs.replay.folders import FolderPlan
from portarchive.jobs.replay.names import Path, below, beside, key_of, may_be_refused, plainer
from portarchive.placing import FolderReady, FolderWish, NameRules

IMAGINED = "\0plan:"
"""Begins the folder_id of a mailbox that exists in a dry run's mind only."""


def make(target: Target, plans: Sequence[FolderPlan]) -> set[str]:
    """Make what is missing; each plan has a ``folder_id`` or knows why not.

    Parents come first: where one is named otherwise than it was planned, its children follow.

    Returns:
        The archive paths of those that were made.
    """
    rules = target.capabilities.names
    made: set[str] = set()
    moved: dict[str, Path] = {}
    chosen = {id(plan) for plan in _wanted(plans)}
    for depth in sorted({_depth(plan) for plan in plans}):
        level = [plan for plan in plans if _depth(plan) == depth]
        before = {id(plan): plan.path for plan in level}
        follows = [plan for plan in level if not plan.folder_id and _above(plan, moved)]
        following = {id(plan) for plan in follows}
        taken = {key_of(p.path, rules) for p in level if id(p) not in following}
        for plan in sorted(follows, key=lambda p: p.folder.gone if p.folder else False):
            _follow(plan, moved, rules, taken)
        todo = [p for p in level if id(p) in chosen and (not p.folder_id or p.subscribe)]
        _make_level(target, todo, made)
        moved |= {
            plan.folder.path: plan.path
            for plan in level
            if plan.folder is not None and plan.path != before[id(plan)]
        }
    return made


def _make_level(target: Target, todo: list[FolderPlan], made: set[str]) -> None:
    """Make what lies at one depth, by other names if the first are refused."""
    rules = target.capabilities.names
    asked = {id(plan): plan.path for plan in todo}
    others = {id(plan): plainer(plan.path, plan.whole, rules, plan.root) for plan in todo}
    while todo:
        refused = _ensure(target, todo, made)
        todo = []
        for plan in refused:
            if others[id(plan)]:
                path = others[id(plan)].pop(0)
                words = plan.failed[1] if plan.failed else ""
                plan.notes.append(("renamed", f"is named {'/'.join(path)} there: {words}"))
                plan.path, plan.failed = path, None
                todo.append(plan)
            else:
                plan.path = asked[id(plan)]  # its children have it no worse


def _depth(plan: FolderPlan) -> int:
    return len(plan.folder.names) if plan.folder is not None else 0


def _above(plan: FolderPlan, moved: dict[str, Path]) -> int:
    """How deep its nearest parent is that was made elsewhere; 0: there is none."""
    if plan.folder is None or plan.how == "role" or not moved:
        return 0
    steps = plan.folder.path.split("/")
    depths = range(len(steps) - 1, 0, -1)
    return next((depth for depth in depths if "/".join(steps[:depth]) in moved), 0)


def _follow(plan: FolderPlan, moved: dict[str, Path], rules: NameRules, taken: set[Path]) -> None:
    """Put it below its parent where that was made, named as the next run's plan will have it."""
    depth = _above(plan, moved)
    if plan.folder is None or not depth:
        return
    names = plan.folder.names
    base = moved["/".join(plan.folder.path.split("/")[:depth])]
    for end in range(depth + 1, len(names)):
        base = below(base, names[end - 1], "/".join(names[:end]), rules, plan.root)
    path = below(base, names[-1], plan.whole, rules, plan.root)
    twin = plan.twin
    while twin or key_of(path, rules) in taken:
        path, twin = beside(path, plan.whole, rules, plan.root), False
    plan.path = path
    taken.add(key_of(path, rules))


def _wanted(plans: Sequence[FolderPlan]) -> list[FolderPlan]:
    """A parent that holds no mail is made with its children, unless it has none."""
    parents = {plan.path[:depth] for plan in plans for depth in range(1, len(plan.path))}
    return [
        plan
        for plan in plans
        if plan.folder is None or plan.folder.selectable or plan.path not in parents
    ]


def _ensure(target: Target, todo: Sequence[FolderPlan], made: set[str]) -> list[FolderPlan]:
    """Ask once; returns those that were refused."""
    refused: list[FolderPlan] = []
    by_wish: dict[FolderWish, list[FolderPlan]] = defaultdict(list)
    for plan in todo:
        by_wish[plan.wish].append(plan)
    for wish, outcome in target.ensure(list(by_wish)):
        for plan in by_wish[wish]:
            if isinstance(outcome, FolderReady):
                plan.folder_id, plan.path = outcome.folder.folder_id, outcome.folder.path
                if outcome.created and plan.folder is not None:
                    made.add(plan.folder.path)
                plan.notes += [("wish-lost", lost) for lost in outcome.lost]
                if plan.unasked is not None and plan.unasked not in outcome.folder.roles:
                    text = f"the target does not give it the role {plan.unasked}"
                    plan.notes.append(("role-lost", text))
            elif plan.folder_id:
                plan.notes.append(("wish-lost", f"subscription: {outcome.text}"))
            else:
                plan.failed = (outcome.code, outcome.text)
                refused.append(plan)
    return refused


def imagine(plans: Sequence[FolderPlan], trash: FolderPlan | None, rules: NameRules) -> set[str]:
    """In a dry run: mailboxes that would be made are told apart by their number."""
    made: set[str] = set()
    for number, plan in enumerate(plans):
        if not plan.folder_id:
            _foresee(plan, rules)
            plan.folder_id = f"{IMAGINED}{number}"
            if plan.folder is not None:
                made.add(plan.folder.path)
    if trash is not None and not trash.folder_id:
        trash.folder_id = f"{IMAGINED}trash"
    return made


def _foresee(plan: FolderPlan, rules: NameRules) -> None:
    """What only the making will show."""
    if plan.unasked is not None:
        text = f"the role {plan.unasked} cannot be asked for: some targets give it by the name"
        plan.notes.append(("role-unsure", text))
    if may_be_refused(plan.path):
        other = "/".join(plainer(plan.path, plan.whole, rules, plan.root)[0])
        text = f"the target may refuse this name: it would be {other} then"
        plan.notes.append(("name-unsure", text))

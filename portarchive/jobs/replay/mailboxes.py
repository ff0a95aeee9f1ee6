"""Mailboxes: what the plan wants and the target lacks is made, by another name if refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from portarchive.connectors.base import Target
from portarchive.jobs.replay.folders import FolderPlan, plainer
from portarchive.placing import FolderReady, FolderWish

IMAGINED = "\0plan:"
"""Begins the folder_id of a mailbox that exists in a dry run's mind only."""


def make(target: Target, plans: Sequence[FolderPlan]) -> set[str]:
    """Make what is missing; each plan has a ``folder_id`` or knows why not.

    Parents come first: where one is named otherwise than it was planned, its children follow.

    Returns:
        The archive paths of those that were made.
    """
    made: set[str] = set()
    moved: dict[tuple[str, ...], tuple[str, ...]] = {}
    wanted = [plan for plan in _wanted(plans) if not plan.folder_id or plan.subscribe]
    for depth in sorted({len(plan.path) for plan in wanted}):
        todo = [plan for plan in wanted if len(plan.path) == depth]
        for plan in todo:
            if not plan.folder_id:
                plan.path = _follow(plan.path, moved)
        asked = {id(plan): plan.path for plan in todo}
        attempt = 0
        while todo:
            refused = _ensure(target, todo, made)
            todo = []
            for plan in refused:
                path = plainer(asked[id(plan)], attempt, target.capabilities.names)
                if path is not None:
                    words = plan.failed[1] if plan.failed else ""
                    plan.notes.append(("renamed", f"is named {'/'.join(path)} there: {words}"))
                    plan.path, plan.failed = path, None
                    todo.append(plan)
            attempt += 1
        moved |= {
            asked[id(plan)]: plan.path
            for plan in wanted
            if id(plan) in asked and plan.path != asked[id(plan)]
        }
    return made


def _follow(
    path: tuple[str, ...], moved: Mapping[tuple[str, ...], tuple[str, ...]]
) -> tuple[str, ...]:
    """The path with its nearest parent where that was made."""
    for depth in range(len(path) - 1, 0, -1):
        if path[:depth] in moved:
            return (*moved[path[:depth]], *path[depth:])
    return path


def join_trash(trash: FolderPlan, plans: Sequence[FolderPlan]) -> None:
    """Where the trash is some folder's place as well, they are one mailbox."""
    same = next((plan for plan in plans if plan.path == trash.path), None)
    if same is not None and not trash.folder_id:
        trash.folder_id, trash.path, trash.failed = same.folder_id, same.path, same.failed


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
            elif plan.folder_id:
                plan.notes.append(("wish-lost", f"subscription: {outcome.text}"))
            else:
                plan.failed = (outcome.code, outcome.text)
                refused.append(plan)
    return refused


def imagine(plans: Sequence[FolderPlan], trash: FolderPlan | None) -> set[str]:
    """In a dry run: mailboxes that would be made are told apart by their number."""
    made: set[str] = set()
    for number, plan in enumerate(plans):
        if not plan.folder_id:
            plan.folder_id = f"{IMAGINED}{number}"
            if plan.folder is not None:
                made.add(plan.folder.path)
    if trash is not None and not trash.folder_id:
        same = next((plan for plan in plans if plan.path == trash.path), None)
        trash.folder_id = same.folder_id if same is not None else f"{IMAGINED}trash"
    return made

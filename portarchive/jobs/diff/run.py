"""Diff, the orchestrator: pairs folders, compares each pair."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from portarchive.jobs.diff.compare import compare
from portarchive.jobs.diff.report import Differences, DiffReport
from portarchive.jobs.diff.sides import Side, SideFolder
from portarchive.progress import Compared, FoldersFound, Observer

Path = tuple[str, ...]

_UNIQUE: Final = frozenset(
    {"inbox", "drafts", "sent", "trash", "junk", "archive", "all", "flagged", "important",
     "snoozed", "memos"}
)  # fmt: skip


def run_diff(
    a: Side,
    b: Side,
    observer: Observer,
    *,
    exact: bool = False,
    mapping: Mapping[Path, Path] | None = None,
    extra: bool = True,
) -> DiffReport:
    """Compare two sides.

    Args:
        a: an archive or account.
        b: another one.
        observer: is told of each folder.
        exact: zone offsets and line ends count.
        mapping: where each folder of ``a`` is on ``b``; None to pair them by role, then by path.
        extra: what only ``b`` has counts as a difference.

    Raises:
        ConnectorError: an account cannot be read.
    """
    report = DiffReport(a.name, b.name, exact)
    ours, theirs = a.folders(), b.folders()
    pairs, only_a, only_b = pair_folders(ours, theirs, mapping)
    observer(FoldersFound(len(pairs), None))
    for one, other in pairs:
        found = compare((one, other), (a, b), exact=exact)
        if not extra:
            found.only_b.clear()
            found.counts.pop("only_b", None)
        report.folders.append(found)
        observer(Compared("/".join(one.path), found.compared, found.count))
    for folder in only_a:
        alone = _alone(a, folder, "only_a")
        if alone.count or not _holds(folder, theirs):
            report.only_folders_a.append(folder.path)
            report.folders.append(alone)
    for folder in only_b if extra else ():
        alone = _alone(b, folder, "only_b")
        if alone.count or not _holds(folder, ours):
            report.only_folders_b.append(folder.path)
            report.folders.append(alone)
    return report


def _holds(folder: SideFolder, others: Sequence[SideFolder]) -> bool:
    """Whether it is a parent on the other side: one server lets it hold mail, another does not."""
    depth = len(folder.path)
    key = _key(folder.path)
    return any(len(other.path) > depth and _key(other.path[:depth]) == key for other in others)


def _alone(side: Side, folder: SideFolder, kind: str) -> Differences:
    found = Differences(
        folder.path if kind == "only_a" else None, folder.path if kind == "only_b" else None
    )
    for message in side.messages(folder):
        found.add(kind, message.uid)
    return found


def pair_folders(
    a: Sequence[SideFolder], b: Sequence[SideFolder], mapping: Mapping[Path, Path] | None
) -> tuple[list[tuple[SideFolder, SideFolder]], list[SideFolder], list[SideFolder]]:
    """Pairs, and what is left of each side."""
    by_path = {_key(folder.path): folder for folder in b}
    by_role = _by_role(b)
    roles_a = _by_role(a)
    pairs: list[tuple[SideFolder, SideFolder]] = []
    used: set[str] = set()
    partner: dict[str, SideFolder] = {}
    for folder in a:
        other: SideFolder | None = None
        if mapping is not None:
            path = mapping.get(folder.path)
            other = by_path.get(_key(path)) if path is not None else None
        else:
            for role in folder.roles:
                there = by_role.get(role)
                if there is not None and roles_a.get(role) is folder and there.key not in used:
                    other = there
                    break
        if other is not None and other.key not in used:
            used.add(other.key)
            partner[folder.key] = other
    for folder in a:
        if folder.key not in partner and mapping is None:
            other = by_path.get(_key(folder.path))
            if other is not None and other.key not in used:
                used.add(other.key)
                partner[folder.key] = other
    pairs = [(folder, partner[folder.key]) for folder in a if folder.key in partner]
    only_a = [folder for folder in a if folder.key not in partner]
    only_b = [folder for folder in b if folder.key not in used]
    return pairs, only_a, only_b


def _by_role(folders: Sequence[SideFolder]) -> dict[str, SideFolder]:
    found: dict[str, SideFolder] = {}
    for folder in folders:
        for role in folder.roles:
            if role in _UNIQUE:
                found.setdefault(role, folder)
        if _key(folder.path) == ("INBOX",):
            found["inbox"] = folder
    return found


def _key(path: Path) -> Path:
    names = [unicodedata.normalize("NFC", name) for name in path]
    if names and names[0].upper() == "INBOX":
        names[0] = "INBOX"
    return tuple(names)

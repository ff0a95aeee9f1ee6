"""Expected: how many messages an import has before it, as far as the archive says. For progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from portarchive.archive.contents import Contents
from portarchive.jobs.replay.folders import FolderPlan
from portarchive.jobs.selection import Selection


def expected(contents: Contents, plans: Sequence[FolderPlan], selection: Selection) -> int | None:
    """The number in these folders by the archive's own manifest.

    Returns:
        None if it does not tell, or messages are filtered one by one.
    """
    entries = (contents.manifest or {}).get("folders")
    wanted = {plan.folder.path for plan in plans if plan.folder is not None}
    counts = {
        entry.get("path"): entry.get("archived")
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and isinstance(entry.get("archived"), int)
    }
    if selection.needs_description or not wanted <= counts.keys():
        return None
    return sum(int(counts[path] or 0) for path in wanted)

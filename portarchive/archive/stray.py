"""Files that nothing names: what an interrupted run leaves, and what file managers leave.

Only files that bear a name of ours are ever removed, and only below ``mail/``.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from portarchive.archive import model
from portarchive.archive.folder_file import FolderFile
from portarchive.archive.folder_state import split_head_any

JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX", "lost+found"})
"""What operating systems leave in directories; an archive may lie beside it."""

_OURS = re.compile(r".+\.eml\Z")


def sweep(root: Path) -> int:
    """Remove message files that no folder.json names, and directories that only held such.

    Called under the writer's lock with a published state, after an interrupted run.

    Returns:
        How many files were removed.
    """
    top = root / model.MAIL
    shared: set[str] = set()
    found: list[tuple[Path, set[str] | None, list[str]]] = []
    for here, _, files in os.walk(top):
        directory = Path(here)
        named: set[str] | None = None
        if model.FOLDER_FILE in files:
            named = set()
            for _, line in FolderFile(directory / model.FOLDER_FILE, here).all_lines():
                filename = split_head_any(line)
                if "/" in filename:
                    shared.add(os.path.normpath(f"{here}/{filename}"))
                else:
                    named.add(filename)
        ours = [name for name in files if _OURS.match(name)]
        if named is None or len(ours) > len(named) or not named.issuperset(ours):
            found.append((directory, named, ours))
    removed = 0
    for directory, named, ours in found:
        for name in ours:
            path = directory / name
            if (named is None or name not in named) and str(path) not in shared:
                path.unlink()
                removed += 1
    for directory, named, _ in sorted(found, key=lambda entry: -len(entry[0].parts)):
        if named is None and directory != top:
            with contextlib.suppress(OSError):  # not empty: somebody else's
                directory.rmdir()
    return removed

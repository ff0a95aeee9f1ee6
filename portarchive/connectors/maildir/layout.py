"""Which folders a tree holds, found by looking: no configuration says how it is laid out.

A folder is a directory with ``cur`` in it (``new`` alone will do). Below the root, a directory
whose name begins with a dot is a Maildir++ folder, its name parted by dots (``.Work.Projects``);
any other one is a folder of the directory layout, and may hold more of them (``Work/Projects``).
Both may lie side by side. Links are not followed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from portarchive.connectors.maildir.names import from_directory, segment

_OWN: Final = frozenset({b"cur", b"new", b"tmp"})
_DEPTH: Final = 64


class Place(NamedTuple):
    """A folder and where it lies.

    Attributes:
        path: its names; ``("INBOX",)`` for the root.
        raw: the octets of the last name, only where they do not decode.
        directory: that has ``cur`` in it.
    """

    path: tuple[str, ...]
    raw: bytes | None
    directory: Path


def places(root: Path) -> list[Place]:
    """The folders, parents before children, the inbox first.

    Raises:
        OSError: the root itself cannot be read.
    """
    found: list[Place] = []
    if is_folder(root):
        found.append(Place(("INBOX",), None, root))
    found.extend(_below(root, (), 0))
    return _unique(sorted(found, key=lambda place: (place.path != ("INBOX",), place.path)))


def is_folder(directory: Path) -> bool:
    """Whether a directory has ``cur`` or ``new`` in it."""
    return any(
        (directory / name).is_dir() and not (directory / name).is_symlink()
        for name in ("cur", "new")
    )


def _below(directory: Path, parents: tuple[str, ...], depth: int) -> Iterator[Place]:
    if depth >= _DEPTH:
        return
    for name in _directories(directory, top=depth == 0):
        here = directory / os.fsdecode(name)
        dotted = name.startswith(b".")
        names = name[1:].split(b".") if dotted else [from_directory(name)]
        parts = [segment(part) for part in names]
        path = (*parents, *(text for text, _ in parts))
        if not all(path):
            continue
        if len(path) == 1 and path[0].upper() == "INBOX":
            path = ("INBOX",)
        if is_folder(here):
            yield Place(path, parts[-1][1], here)
        elif dotted:
            continue  # .git, .cache: nothing that lies in there is a folder
        yield from _below(here, path, depth + 1)


def _directories(directory: Path, *, top: bool) -> list[bytes]:
    """The names of the directories in one, links left out. Below the root, errors are none."""
    try:
        with os.scandir(os.fsencode(directory)) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.name not in _OWN and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        if top:
            raise
        return []


def _unique(places: list[Place]) -> list[Place]:
    """Two folders never get one path (``.Work`` beside ``Work``): the later one is marked."""
    seen: set[tuple[str, ...]] = set()
    result = []
    for place in places:
        path = place.path
        if path in seen:
            mark = hashlib.sha256(os.fsencode(place.directory)).hexdigest()[:8]
            path = (*path[:-1], f"{path[-1]}~{mark}")
        seen.add(path)
        result.append(place._replace(path=path))
    return result

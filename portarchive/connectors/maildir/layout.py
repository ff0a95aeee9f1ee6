"""Which folders a tree holds, found by looking: no configuration says how it is laid out.

A folder is a directory with ``cur`` in it (``new`` alone will do). Below the root, a directory
whose name begins with a dot is a Maildir++ folder, its name parted by dots (``.Work.Projects``);
any other one is a folder of the directory layout, and may hold more of them (``Work/Projects``).
Both may lie side by side. Links are not followed. What is passed over is told, and a directory that
cannot be looked into is a folder that is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from portarchive.connectors.local.apart import tell_apart
from portarchive.connectors.local.root import failure
from portarchive.connectors.maildir.names import from_directory, segment

_OWN: Final = frozenset({b"cur", b"new", b"tmp"})
_LOST: Final = b"lost+found"
_DEPTH: Final = 64


class Place(NamedTuple):
    """A folder and where it lies.

    Attributes:
        path: its names; ``("INBOX",)`` for the root.
        raw: the octets of the last name, only where they do not decode.
        directory: that has ``cur`` in it.
        refused: why it cannot be looked into; None if it can. What lies below it is not known.
    """

    path: tuple[str, ...]
    raw: bytes | None
    directory: Path
    refused: str | None = None


@dataclass(slots=True)
class Survey:
    """What a tree holds.

    Attributes:
        places: the folders, parents before children, the inbox first.
        links: to directories; what they lead to was not looked at.
        deep: directories too far down to be looked into.
    """

    places: list[Place] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    deep: list[Path] = field(default_factory=list)


def survey(root: Path) -> Survey:
    """Look at a tree.

    Raises:
        OSError: the root itself cannot be read, or its file system is gone.
    """
    found = Survey()
    if _looks_like_folder(root, found):
        found.places.append(Place(("INBOX",), None, root))
    found.places.extend(_below(root, (), 0, found))
    ordered = sorted(found.places, key=lambda place: (place.path != ("INBOX",), place.path))
    paths = tell_apart([(place.path, os.fsencode(place.directory)) for place in ordered])
    found.places = [place._replace(path=path) for place, path in zip(ordered, paths, strict=True)]
    return found


def places(root: Path) -> list[Place]:
    """The folders that can be looked into, parents before children, the inbox first.

    Raises:
        OSError: as ``survey``.
    """
    return [place for place in survey(root).places if place.refused is None]


def is_folder(directory: Path) -> bool:
    """Whether a directory has ``cur`` or ``new`` in it.

    Raises:
        OSError: it cannot be looked into.
    """
    return _looks_like_folder(directory, Survey())


def _looks_like_folder(directory: Path, found: Survey) -> bool:
    is_one = False
    for name in ("cur", "new"):
        path = directory / name
        try:
            mode = os.stat(path, follow_symlinks=False).st_mode  # noqa: PTH116 - hot
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISLNK(mode) and path.is_dir():
            found.links.append(path)
        is_one = is_one or stat.S_ISDIR(mode)
    return is_one


def _below(directory: Path, parents: tuple[str, ...], depth: int, found: Survey) -> Iterator[Place]:
    for name in _directories(directory, found, top=depth == 0):
        here = directory / os.fsdecode(name)
        if depth >= _DEPTH:
            found.deep.append(here)
            continue
        path, raw = _path(name, parents)
        try:
            is_one = _looks_like_folder(here, found)
            if name.startswith(b".") and not is_one:
                continue  # .git, .cache: nothing that lies in there is a folder
            below = list(_below(here, path, depth + 1, found))
        except OSError as error:
            if failure(here, error) is not None:
                raise
            if name != _LOST:
                yield Place(path, raw, here, error.strerror or "it cannot be read")
            continue
        if is_one:
            yield Place(path, raw, here)
        yield from below


def _path(name: bytes, parents: tuple[str, ...]) -> tuple[tuple[str, ...], bytes | None]:
    """The names of the folder in a directory, and the octets of the last one if need be."""
    dotted = name.startswith(b".")
    names = name[1:].split(b".") if dotted else [from_directory(name)]
    if not all(names):  # no path has an empty name in it
        names = [name]
    parts = [segment(part) for part in names]
    path = (*parents, *(text for text, _ in parts))
    return ("INBOX",) if len(path) == 1 and path[0].upper() == "INBOX" else path, parts[-1][1]


def _directories(directory: Path, found: Survey, *, top: bool) -> list[bytes]:
    """The names of the directories in one; links to such are told, and left out.

    Raises:
        OSError: it cannot be read. One below the root that is gone by now has none.
    """
    names: list[bytes] = []
    try:
        with os.scandir(os.fsencode(directory)) as entries:
            for entry in entries:
                if entry.name in _OWN:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                elif entry.is_symlink() and _leads_to_folders(entry):
                    found.links.append(Path(os.fsdecode(entry.path)))
    except (FileNotFoundError, NotADirectoryError):
        if top:
            raise
    return sorted(names)


def _leads_to_folders(link: os.DirEntry[bytes]) -> bool:
    """Whether there would be folders where a link leads, as far as that is known."""
    try:
        return link.is_dir() and (
            not link.name.startswith(b".") or is_folder(Path(os.fsdecode(link.path)))
        )
    except OSError as error:
        return isinstance(error, PermissionError)

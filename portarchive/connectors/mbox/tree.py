"""Which mbox files there are: one, or all below a directory, and what their folders are called.

Thunderbird keeps the subfolders of ``Work`` in ``Work.sbd/``; Apple Mail keeps a folder in
``Work.mbox/mbox``; everybody else has files in directories. Links are not followed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from portarchive.connectors.local import roles
from portarchive.connectors.local.escaped import unescaped
from portarchive.connectors.local.root import Root
from portarchive.connectors.mbox.box import kind

_SUFFIXES: Final = (".mbox", ".mboxrd", ".mboxo", ".mbx")
RESERVED: Final = frozenset({b"__macosx"})
"""Names that no directory of folders can have; see ``local.escaped``."""

_JUNK: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_BESIDE: Final = frozenset(
    {".msf", ".dat", ".html", ".json", ".sqlite", ".rc", ".wdseml", ".mozeml", ".lock", ".log"}
)
"""What Thunderbird, Takeout and others lay beside mbox files: never mail, and not worth a word."""
_DEPTH: Final = 64
_HEAD: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A folder that is one file.

    Attributes:
        path: its names.
        raw: the octets of the last name, only where they do not decode.
        file: absolute.
        refused: code and words of why it cannot be read; None if it can.
    """

    path: tuple[str, ...]
    raw: bytes | None
    file: Path
    role: str | None = None
    refused: tuple[str, str] | None = None


@dataclass(slots=True)
class Tree:
    """What was found. ``left_out``: files that are no mbox and no junk that is known."""

    folders: list[Found]
    left_out: int = 0


def look_around(root: Root, *, roles_by_name: bool) -> Tree:
    """All mbox files.

    Raises:
        OSError: the root cannot be read.
    """
    if not root.is_directory:
        name = _stem(root.shown.name)
        found = Found(path=(name,), raw=_raw(name), file=root.path, refused=_look(root.path))
        return Tree([_with_roles([found], asked=roles_by_name)[0]])
    tree = Tree([])
    tree.folders.extend(_below(root.path, (), tree, 0))
    tree.folders.sort(key=lambda found: (found.path != ("INBOX",), found.path))
    asked = roles_by_name or is_thunderbirds(root.path)
    tree.folders = _unique(_with_roles(tree.folders, asked=asked))
    return tree


def is_thunderbirds(directory: Path) -> bool:
    """Whether Thunderbird keeps folders right in here: then well-known names mean what they say."""
    with os.scandir(directory) as entries:
        return any(entry.name.endswith((".msf", ".sbd")) for entry in entries)


def _below(directory: Path, parents: tuple[str, ...], tree: Tree, depth: int) -> Iterator[Found]:
    with os.scandir(directory) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name.lower() in _JUNK:
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if depth < _DEPTH:
                yield from _directory(path, parents, tree, depth)
        elif entry.is_file(follow_symlinks=False):
            found = _file(path, (*parents, plain_name(_stem(name))), tree)
            if found is not None:
                yield found


def _directory(path: Path, parents: tuple[str, ...], tree: Tree, depth: int) -> Iterator[Found]:
    name = path.name
    apple = path / "mbox"
    if name.lower().endswith(".mbox") and apple.is_file() and not apple.is_symlink():
        found = _file(apple, (*parents, _stem(name)), tree)
        if found is not None:
            yield found
        return
    try:
        below = plain_name(name.removesuffix(".sbd"))
        yield from _below(path, (*parents, below), tree, depth + 1)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        yield Found(
            path=(*parents, name), raw=_raw(name), file=path, refused=("unreadable", reason)
        )


def _file(path: Path, names: tuple[str, ...], tree: Tree) -> Found | None:
    """The folder of a file; None if the file is none."""
    suffix = path.suffix.lower()
    if suffix in _BESIDE:
        return None
    refused = _look(path)
    if refused is not None and refused[0] == "not-mbox":
        tree.left_out += path.name != "table_of_contents"
        return None
    if refused is None and path.stat().st_size == 0 and suffix and suffix not in _SUFFIXES:
        return None
    return Found(path=names, raw=_raw(names[-1]), file=path, refused=refused)


def _look(path: Path) -> tuple[str, str] | None:
    """Why a file cannot be read as an mbox; None if it can."""
    try:
        with path.open("rb") as file:
            found = kind(file.read(_HEAD))
    except OSError as error:
        return "unreadable", error.strerror or "it cannot be opened"
    return {
        "mmdf": ("mmdf", "it is in MMDF format (\\x01\\x01\\x01\\x01 between messages), not mbox"),
        "other": ("not-mbox", "it does not begin with a 'From ' line"),
    }.get(found)


def plain_name(name: str) -> str:
    """The name of a folder, from that of its file or directory without the suffix."""
    return os.fsdecode(unescaped(os.fsencode(name), RESERVED))


def _stem(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _raw(name: str) -> bytes | None:
    """The octets of a name that is no Unicode."""
    octets = os.fsencode(name)
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets
    return None


def _inbox(path: tuple[str, ...]) -> tuple[str, ...]:
    return ("INBOX",) if path == (path[0],) and path[0].upper() == "INBOX" else path


def _with_roles(folders: list[Found], *, asked: bool) -> list[Found]:
    """``INBOX`` in capitals is the inbox anywhere; other names only where they are believed."""
    named = [
        replace(found, path=_inbox(found.path)) if asked or found.path == ("INBOX",) else found
        for found in folders
    ]
    known = roles.by_name(found.path for found in named) if asked else {}
    return [
        replace(found, role="inbox" if found.path == ("INBOX",) else known.get(found.path))
        for found in named
    ]


def _unique(folders: list[Found]) -> list[Found]:
    """Two files never get one path (``Work`` beside ``Work.mbox``): the later one is marked."""
    seen: set[tuple[str, ...]] = set()
    result = []
    for found in folders:
        path = found.path
        if path in seen:
            mark = hashlib.sha256(os.fsencode(found.file)).hexdigest()[:8]
            path = (*path[:-1], f"{path[-1]}~{mark}")
        seen.add(path)
        result.append(replace(found, path=path))
    return result

"""Which mbox files there are: one, or all below a directory, and what their folders are called.

Thunderbird keeps the subfolders of ``Work`` in ``Work.sbd/``; Apple Mail keeps a folder in
``Work.mbox/mbox``; everybody else has files in directories. Links are not followed. What is passed
over is told, and a directory that cannot be looked into is a folder that is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from portarchive.connectors.local import roles
from portarchive.connectors.local.apart import tell_apart
from portarchive.connectors.local.escaped import unescaped
from portarchive.connectors.local.root import Root, failure
from portarchive.connectors.mbox.box import kind

_SUFFIXES: Final = (".mbox", ".mboxrd", ".mboxo", ".mbx")
RESERVED: Final = frozenset({b"__macosx"})
"""Names that no directory of folders can have; see ``local.escaped``."""

_JUNK: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_BESIDE: Final = frozenset(
    {".msf", ".dat", ".html", ".json", ".sqlite", ".rc", ".wdseml", ".mozeml", ".lock", ".log"}
)
"""What Thunderbird, Takeout and others lay beside mbox files: not worth a word if it is no mail."""
_APPLES: Final = frozenset({"mbox", "table_of_contents"})
_LOST: Final = "lost+found"
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
        unlisted: it is a directory that cannot be looked into; see ``records.Folder``.
    """

    path: tuple[str, ...]
    raw: bytes | None
    file: Path
    role: str | None = None
    refused: tuple[str, str] | None = None
    unlisted: str | None = None


@dataclass(slots=True)
class Tree:
    """What was found.

    Attributes:
        left_out: how many files are no mbox and no junk that is known.
        links: to mbox files or directories; what is below these was not looked at.
        deep: directories too far down to be looked into.
    """

    folders: list[Found]
    left_out: int = 0
    links: list[Path] = field(default_factory=list)
    deep: list[Path] = field(default_factory=list)


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


def _below(
    directory: Path,
    parents: tuple[str, ...],
    tree: Tree,
    depth: int,
    passed: frozenset[str] = frozenset(),
) -> Iterator[Found]:
    with os.scandir(directory) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name.lower() in _JUNK or name in passed:
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            if _leads_to_mail(path):
                tree.links.append(path)
        elif entry.is_dir(follow_symlinks=False):
            if depth < _DEPTH:
                yield from _directory(path, parents, tree, depth)
            else:
                tree.deep.append(path)
        elif entry.is_file(follow_symlinks=False):
            found = _file(path, (*parents, plain_name(_stem(name))), tree)
            if found is not None:
                yield found


def _leads_to_mail(link: Path) -> bool:
    """Whether there would be folders where a link leads, as far as that is known."""
    try:
        mode = link.stat().st_mode
    except PermissionError:
        return True
    except OSError:
        return False  # it leads nowhere
    if stat.S_ISDIR(mode):
        return True
    return stat.S_ISREG(mode) and (_look(link) or ("", ""))[0] != "not-mbox"


def _directory(path: Path, parents: tuple[str, ...], tree: Tree, depth: int) -> Iterator[Found]:
    name = path.name
    below = (*parents, plain_name(name.removesuffix(".sbd")))
    passed: frozenset[str] = frozenset()
    inside: list[Found] = []
    try:
        if name.lower().endswith(".mbox") and _is_file(path / "mbox"):
            below, passed = (*parents, _stem(name)), _APPLES
            found = _file(path / "mbox", below, tree)
            if found is not None:
                inside.append(found)
        inside.extend(_below(path, below, tree, depth + 1, passed))
    except (FileNotFoundError, NotADirectoryError):
        pass  # gone by now
    except OSError as error:
        if failure(path, error) is not None:
            raise
        reason = error.strerror or "it cannot be read"
        inside = [] if name == _LOST else [_closed(path, parents, below, reason)]
    yield from inside


def _closed(path: Path, parents: tuple[str, ...], below: tuple[str, ...], reason: str) -> Found:
    """The folder that stands for a directory that cannot be looked into."""
    own = _stem(path.name)
    return Found(
        path=(*parents, own),
        raw=_raw(own),
        file=path,
        refused=("unreadable", reason),
        # "Work.mbox" may hold the folder "Work" itself
        unlisted="/".join((*parents, own) if own != path.name else below)
        + "/" * (own == path.name),
    )


def _is_file(path: Path) -> bool:
    """Whether there is a file, and no link to one.

    Raises:
        OSError: nobody may look.
    """
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _file(path: Path, names: tuple[str, ...], tree: Tree) -> Found | None:
    """The folder of a file; None if the file is none."""
    suffix = path.suffix.lower()
    refused = _look(path)
    empty = refused is None and path.stat().st_size == 0
    if suffix in _BESIDE and (empty or (refused is not None and refused[0] != "mmdf")):
        return None
    if refused is not None and refused[0] == "not-mbox":
        tree.left_out += path.name != "table_of_contents"
        return None
    if empty and suffix and suffix not in _SUFFIXES:
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
    paths = tell_apart([(found.path, os.fsencode(found.file)) for found in folders])
    return [replace(found, path=path) for found, path in zip(folders, paths, strict=True)]

"""Which mbox files there are: one, or all below a directory, and what their folders are called.

Thunderbird keeps the subfolders of ``Work`` in ``Work.sbd/``; Apple Mail keeps a folder in
``Work.mbox/mbox``; everybody else has files in directories. Links are not followed. What is passed
over is told, and a directory that cannot be looked into is a folder that is refused.

So is a file that does not begin as an mbox does, if it is one by its name or by what lies beside
it. Any other such file may have been one: it is ``doubtful``, and only the archive can tell.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from portarchive.connectors.local import roles
from portarchive.connectors.local.apart import tell_apart
from portarchive.connectors.local.escaped import unescaped
from portarchive.connectors.local.root import Root, failure
from portarchive.connectors.mbox.beginning import first_postmark, kind
from portarchive.errors import ConnectionLost

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
_REFUSALS: Final = {
    "mmdf": ("mmdf", "it is in MMDF format (\\x01\\x01\\x01\\x01 between messages), not mbox"),
    "nuls": ("damaged", "there is nothing in it but NULs"),
    "other": ("not-mbox", "it does not begin with a 'From ' line"),
}
TORN: Final = (
    "damaged",
    "its beginning is no mail any more; what follows was read, and nothing of it counts as gone",
)
"""Code and words for a folder of which only the beginning cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A folder that is one file.

    Attributes:
        path: its names.
        raw: the octets of the last name, only where they do not decode.
        file: absolute.
        refused: code and words of why it cannot be read; None if it can.
        torn: only its beginning cannot: there is a good postmark further on.
        unlisted: what folders are in it is not known: a directory that cannot be looked into, or
            a file that may be of Takeout; see ``records.Folder``.
    """

    path: tuple[str, ...]
    raw: bytes | None
    file: Path
    role: str | None = None
    refused: tuple[str, str] | None = None
    torn: bool = False
    unlisted: str | None = None


@dataclass(slots=True)
class Tree:
    """What was found.

    Attributes:
        left_out: how many files are no mbox and no junk that is known.
        doubtful: what would be a folder if it was one the last time; none has the path of another.
        links: to mbox files or directories; what is below these was not looked at.
        deep: directories too far down to be looked into.
    """

    folders: list[Found]
    left_out: int = 0
    doubtful: list[Found] = field(default_factory=list)
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
        if _is_one(root.path, _beside(root.path)):
            found = _as_torn(found)
        return Tree([_with_roles([found], asked=roles_by_name)[0]])
    tree = Tree([])
    tree.folders.extend(_below(root.path, (), tree, 0))
    tree.folders.sort(key=lambda found: (found.path != ("INBOX",), found.path))
    asked = roles_by_name or is_thunderbirds(root.path)
    tree.folders = _unique(_with_roles(tree.folders, asked=asked))
    taken = {found.path for found in tree.folders}
    doubtful: list[Found] = []
    for found in _named(tree.doubtful, asked=asked):
        if found.path not in taken:
            taken.add(found.path)
            doubtful.append(found)
    tree.doubtful = doubtful
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
    beside = {entry.name for entry in entries}
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name.lower() in _JUNK or name in passed:
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            if _leads_to_mail(path):
                tree.links.append(path)
                tree.doubtful.append(_link(path, parents))
        elif entry.is_dir(follow_symlinks=False):
            if depth < _DEPTH:
                yield from _directory(path, parents, tree, depth)
            else:
                tree.deep.append(path)
        elif entry.is_file(follow_symlinks=False):
            sure = _is_one(path, beside)
            found = _file(path, (*parents, plain_name(_stem(name))), tree, sure=sure)
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
    return stat.S_ISREG(mode) and (_look(link) or ("", ""))[0] not in {"not-mbox", "damaged"}


def _link(path: Path, parents: tuple[str, ...]) -> Found:
    """What lies behind a link may have been folders, when it was none."""
    reason = "it is a link, and links are not followed"
    if path.is_dir():
        below = (*parents, plain_name(path.name.removesuffix(".sbd")))
        return replace(_closed(path, parents, below, reason), refused=("link", reason))
    name = plain_name(_stem(path.name))
    return Found(path=(*parents, name), raw=_raw(name), file=path, refused=("link", reason))


def _directory(path: Path, parents: tuple[str, ...], tree: Tree, depth: int) -> Iterator[Found]:
    name = path.name
    below = (*parents, plain_name(name.removesuffix(".sbd")))
    passed: frozenset[str] = frozenset()
    inside: list[Found] = []
    try:
        if name.lower().endswith(".mbox") and _is_file(path / "mbox"):
            below, passed = (*parents, _stem(name)), _APPLES
            found = _file(path / "mbox", below, tree, sure=True)
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


def _beside(path: Path) -> Collection[str]:
    """The names in the directory of a file."""
    try:
        return os.listdir(path.parent)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return ()


def _is_one(path: Path, beside: Collection[str]) -> bool:
    """Whether a file is an mbox whatever is in it: by its name, or by what lies beside it."""
    name = path.name
    return path.suffix.lower() in _SUFFIXES or f"{name}.msf" in beside or f"{name}.sbd" in beside


def _file(path: Path, names: tuple[str, ...], tree: Tree, *, sure: bool) -> Found | None:
    """The folder of a file; None if the file is none. ``sure``: it is one whatever is in it."""
    suffix = path.suffix.lower()
    refused = _look(path)
    empty = refused is None and path.stat().st_size == 0
    found = Found(path=names, raw=_raw(names[-1]), file=path, refused=refused)
    if refused is not None and sure:
        found = _as_torn(found)
        # Nobody knows any more whether it was a Takeout, whose labels were all the folders.
        lost = not found.torn and path.suffix.lower() == ".mbox" and refused[0] != "mmdf"
        return replace(found, unlisted="") if lost else found
    if suffix in _BESIDE and (empty or (refused is not None and refused[0] != "mmdf")):
        if refused is not None:
            tree.doubtful.append(found)
        return None
    if refused is not None and refused[0] in {"not-mbox", "damaged"}:
        if path.name != "table_of_contents":
            tree.left_out += 1
            tree.doubtful.append(found)
        return None
    if empty and suffix and suffix not in _SUFFIXES:
        return None
    return found


def _look(path: Path) -> tuple[str, str] | None:
    """Why a file cannot be read as an mbox; None if it can."""
    try:
        with path.open("rb") as file:
            return _REFUSALS.get(kind(file.fileno()))
    except OSError as error:
        return "unreadable", error.strerror or "it cannot be opened"


def _as_torn(found: Found) -> Found:
    """The same, if it is refused for its beginning only and there is mail further on."""
    if found.refused is None or found.refused[0] != "not-mbox":
        return found
    try:
        with found.file.open("rb") as file:
            torn = first_postmark(file.fileno()) is not None
    except (OSError, ConnectionLost):
        torn = False
    return replace(found, refused=TORN, torn=True) if torn else found


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


def _named(folders: list[Found], *, asked: bool) -> list[Found]:
    """``INBOX`` in capitals is the inbox anywhere; other spellings only where names count."""
    return [
        replace(found, path=_inbox(found.path)) if asked or found.path == ("INBOX",) else found
        for found in folders
    ]


def _with_roles(folders: list[Found], *, asked: bool) -> list[Found]:
    """The same with the roles that their names tell, where names are believed."""
    named = _named(folders, asked=asked)
    known = roles.by_name(found.path for found in named) if asked else {}
    return [
        replace(found, role="inbox" if found.path == ("INBOX",) else known.get(found.path))
        for found in named
    ]


def _unique(folders: list[Found]) -> list[Found]:
    """Two files never get one path (``Work`` beside ``Work.mbox``): the later one is marked."""
    paths = tell_apart([(found.path, os.fsencode(found.file)) for found in folders])
    return [replace(found, path=path) for found, path in zip(folders, paths, strict=True)]

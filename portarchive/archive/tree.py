"""The tree an archive lives in: a directory, a ZIP file or a tar file, opened without trust.

Owns what all containers have in common: members, troubles, limits, and which opener fits a path.
Refuses to write anything anywhere, to follow a link, and to raise over what a stranger put inside:
a bad name or a damaged container is a ``Trouble`` with a code of ``docs/codes.md``. Only a path
that holds no container at all is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from portarchive.errors import NotAnArchive

INDEX_DIR = "index"
PRIVATE_DIR = ".portarchive"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stranger's archive may cost (format.md section 9).

    Attributes:
        document: octets of one JSON document.
        value: octets of one value in it that has to be held at once (an item, a header member).
        nodes: what a document holds at once: commas, and four for each array and object.
        depth: nesting of JSON values.
        string: characters of one JSON string.
        entries: members of a container, or files and directories of a directory; directories
            that only show in the names of members count too, and long paths as several.
        expansion: how many times its own size a container may hold in all.
        expansion_floor: octets that a container may always hold, however small it is.
        total: octets of all members.
    """

    document: int = 1 << 30
    value: int = 64 << 20
    nodes: int = 1_000_000
    depth: int = 64
    string: int = 16 << 20
    entries: int = 5_000_000
    expansion: int = 200
    expansion_floor: int = 16 << 20
    total: int = 1 << 40


class Member(NamedTuple):
    """A regular file in a tree.

    Attributes:
        name: POSIX, relative to the root, safe (``unsafe_name`` found nothing).
        size: octets, as the container claims.
        place: what ``Tree.open`` needs to find it again; marshal can carry it.
        alias: the member whose octets these are (a hard link in a tar), or ""; never an alias
            itself.
    """

    name: str
    size: int
    place: Any = None
    alias: str = ""


class Folder(NamedTuple):
    """A directory that the tree names itself."""

    name: str


class Trouble(NamedTuple):
    """Something wrong with the container or a name in it.

    Attributes:
        code: of ``docs/codes.md``.
        path: the member's name as far as it can be told; "" for the container itself.
        text: what is wrong. Both are a stranger's words: escape before they are shown.
        fatal: nothing more can or should be read of this tree.
    """

    code: str
    path: str
    text: str
    fatal: bool = False


class BadMemberError(Exception):
    """The octets of one member cannot be had as the container claims them.

    Attributes:
        code: of ``docs/codes.md``.
        text: what is wrong.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Stream(Protocol):
    """Octets of one member."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` octets, none at the end.

        Raises:
            BadMemberError: the container does not hold what it claims.
            OSError: it cannot be read.
        """

    def close(self) -> None:
        """Give back what it holds."""


class Tree(Protocol):
    """One opened container.

    Attributes:
        kind: ``directory``, ``zip`` or ``tar``.
        random_access: whether ``open`` works; if not, octets come from ``stream`` alone.
        path: where it lies.
    """

    kind: str
    random_access: bool
    path: Path

    def scan(self) -> Iterator[Member | Folder | Trouble]:
        """Every member, and everything that is wrong with the container and its names.

        A member whose name is unsafe is a Trouble and nothing else.
        """

    def open(self, name: str, place: Any) -> Stream:
        """One member, of a tree with random access.

        Raises:
            BadMemberError, OSError: it cannot be had.
        """

    def stream(self, linked: Callable[[str], bool] | None = None) -> Iterator[tuple[str, Stream]]:
        """Members in the order of the container, each to be read before the next.

        Args:
            linked: which aliases are members here too, each right after the one whose octets it
                has; known after ``scan``. Without it none is.

        Raises:
            BadMemberError: the container ends early or is damaged from here on.
            OSError: it cannot be read.
        """

    def close(self) -> None:
        """Give back what the tree holds."""


_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN = re.compile(
    r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9 _.,@()#%~&'+!=-]+"
    r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9 _.,@()#%~&'+!=-]+)*"
)
_MAX_NAME = 4096
_MAX_SEGMENTS = 255  # mailboxes of 490 characters (Cyrus) are not nested deeper
_SHOWN = 400


def unsafe_name(name: str) -> Trouble | None:
    """Why a member's name must not be used, if so (F-010, F-011).

    Lone surrogates stand for octets that are not UTF-8 (PEP 383).
    """
    if len(name) > _MAX_NAME:
        text = f"the name is unsafe: it is over {_MAX_NAME} characters long"
        return Trouble("F-010", name[:_SHOWN], text)
    if name.count("/") >= _MAX_SEGMENTS:
        text = f"the name is unsafe: it has over {_MAX_SEGMENTS} segments"
        return Trouble("F-010", name[:_SHOWN], text)
    if _PLAIN.fullmatch(name):
        return None
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return Trouble("F-011", name, "the name is not UTF-8")
    reason = ""
    if name.startswith("/") or _DRIVE.match(name):
        reason = "it is absolute"
    elif "\\" in name or "\0" in name:
        reason = "it has a backslash or NUL"
    elif not {"", ".", ".."}.isdisjoint(name.split("/")):
        reason = "it has an empty, '.' or '..' segment"
    return Trouble("F-010", name, f"the name is unsafe: {reason}") if reason else None


def open_tree(path: Path, limits: Limits) -> Tree:
    """The opener that fits what lies at ``path``, judged by its first octets.

    Raises:
        NotAnArchive: nothing is there, or it is neither a directory, a ZIP nor a tar file.
        OSError: it cannot be read.
    """
    # each opener loads its libraries (zlib, tarfile, zstd) only when it is the one
    if path.is_dir():
        from portarchive.archive.tree_directory import DirectoryTree  # noqa: PLC0415

        return DirectoryTree(path, limits)
    if not path.exists():
        raise NotAnArchive(f"there is nothing at {path}", hint="check the path")
    if not path.is_file():
        raise NotAnArchive(
            f"{path} is neither a directory nor a file",
            hint="check the path: it is a device or pipe",
        )
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06")) or (
        path.suffix.lower() in {".zip", ".pdpa"}
    ):
        from portarchive.archive.tree_zip import ZipTree  # noqa: PLC0415

        return ZipTree(path, limits)
    compression = ""
    if head.startswith(b"\x1f\x8b"):
        compression = "gz"
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        compression = "zst"
    elif head[257:262] != b"ustar" and path.suffix.lower() != ".tar":
        raise NotAnArchive(
            f"{path} is neither a directory, a ZIP file nor a tar file",
            hint="read are directories, .pdpa and .zip, .tar, .tar.gz and .tar.zst",
        )
    from portarchive.archive.tree_tar import TarTree  # noqa: PLC0415

    return TarTree(path, limits, compression)

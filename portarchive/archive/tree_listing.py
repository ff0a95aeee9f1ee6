"""What a tree holds, by directory: built from ``Tree.scan``, names checked against each other.

Owns the rules about names that only show in company: twice, twins, a file where a directory is.
Constant work and about 300 octets a member; what names alone can make grow is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from portarchive.archive.naming import fold_key
from portarchive.archive.tree import Folder, Limits, Member, Tree, Trouble


class File:
    """One regular file of a listing, and what is found out about it later.

    Attributes:
        size: octets, as the tree claims.
        place: for ``Tree.open``.
        alias: the path whose octets these are, or "".
        sha256: of its octets, once hashed.
        claim: the SHA-256 that an item of some folder.json claims for it.
        named: how many entries of folder.json files name it.
        attached: a blobId names it.
        folder: a number of the last folder that named it.
        expected: the SHA-256 that manifest-sha256.txt has for it.
    """

    __slots__ = (
        "alias",
        "attached",
        "claim",
        "expected",
        "folder",
        "named",
        "place",
        "sha256",
        "size",
    )

    def __init__(self, size: int, place: Any = None, alias: str = "") -> None:
        self.size = size
        self.place = place
        self.alias = alias
        self.sha256: bytes | None = None
        self.claim: bytes | None = None
        self.named = 0
        self.attached = False
        self.folder = 0
        self.expected: bytes | None = None


_PLAIN = re.compile(
    r"(?!(?i:con|prn|aux|nul|com|lpt))[A-Za-z0-9][A-Za-z0-9 _.~%+-]{0,198}[A-Za-z0-9_~]"
)
_BAD_CHARACTER = re.compile(
    r'[\x00-\x1f\x7f-\x9f:*?"<>|\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]'
)
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:\.|\Z)", re.IGNORECASE
)
_MAX_OCTETS = 255
_LONG_PATH = 256
_IMPLIED = 50
"""As how many entries a directory counts that holds no file and is no member itself: a container
of a few octets can name thousands, and an archive has hardly any."""


def _cost(path: str) -> int:
    """As how many entries a path counts: it is kept whole."""
    return 1 + len(path) // _LONG_PATH


def _key(name: str) -> str:
    """Under which names are twins.

    What no file system can hold has no twin in one; normal forms take long where it is long.
    """
    return fold_key(name) if len(name) <= _MAX_OCTETS else name


class Listing:
    """All files of a tree.

    Attributes:
        directories: path ("" for the root) → its files by name.
        subdirectories: path → names of the directories in it.
        troubles: what is wrong with the tree and its names; ``cap`` of each code at most.
        dropped: troubles beyond that, by code.
        fatal: the tree must not be read any further.
        count: files.
        octets: of all files, as claimed.
        first: the first file in the order of the tree; of the whole under "", and by the name of
            the directory at the root that it lies in.
    """

    def __init__(self, *, cap: int = 1000) -> None:
        self.directories: dict[str, dict[str, File]] = {"": {}}
        self.subdirectories: dict[str, set[str]] = {"": set()}
        self.troubles: list[Trouble] = []
        self.dropped: dict[str, int] = {}
        self.fatal = False
        self.count = 0
        self.octets = 0
        self.first: dict[str, str] = {}
        self._cap = cap
        self._told: dict[str, int] = {}
        self._cost = 0

    @classmethod
    def of(cls, tree: Tree, limits: Limits) -> Listing:
        """Scan a tree.

        Raises:
            OSError: the container itself cannot be read.
        """
        listing = cls()
        directory, files = "", listing.directories[""]
        for found in tree.scan():
            if isinstance(found, Member):
                listing._cost += _cost(found.name)
                if not listing.count:
                    listing.first[""] = found.name
                cut = found.name.rfind("/")
                parent = found.name[:cut] if cut > 0 else ""
                if parent != directory or parent not in listing.directories:
                    directory, files = parent, listing._enter(parent)
                    listing.first.setdefault(parent.partition("/")[0], found.name)
                name = found.name[cut + 1 :]
                if name in files:
                    listing.tell(Trouble("F-015", found.name, "the name occurs twice"))
                    continue
                files[name] = File(found.size, found.place, found.alias)
                listing.count += 1
                listing.octets += found.size
                if listing.octets > limits.total:
                    listing.tell(
                        Trouble("F-018", "", f"over {limits.total:,} octets in all", fatal=True)
                    )
                    break
            elif isinstance(found, Folder):
                listing._enter(found.name)
            else:
                listing.tell(found)
            if listing._cost > limits.entries:
                text = f"over {limits.entries:,} entries, counting directories and long paths"
                listing.tell(Trouble("F-016", "", text, fatal=True))
                break
        listing._compare_names()
        return listing

    def tell(self, trouble: Trouble) -> None:
        """Note a trouble, up to the cap of its code."""
        told = self._told.get(trouble.code, 0)
        if told < self._cap:
            self.troubles.append(trouble)
        else:
            self.dropped[trouble.code] = self.dropped.get(trouble.code, 0) + 1
        self._told[trouble.code] = told + 1
        self.fatal |= trouble.fatal

    def file(self, path: str) -> File | None:
        """The file at a path, if there is one."""
        directory, _, name = path.rpartition("/")
        files = self.directories.get(directory)
        return files.get(name) if files is not None else None

    def files(self) -> Iterator[tuple[str, File]]:
        """(path, file) of all, in the order of directories and names, whatever the tree's is."""
        for directory in sorted(self.directories):
            prefix = f"{directory}/" if directory else ""
            for name, file in sorted(self.directories[directory].items()):
                yield prefix + name, file

    def remove(self, directory: str) -> int:
        """Forget a directory at the root and all below it; how many files that were."""
        gone = 0
        for path in [
            p for p in self.directories if p == directory or p.startswith(f"{directory}/")
        ]:
            files = self.directories.pop(path)
            del self.subdirectories[path]
            gone += len(files)
            self.octets -= sum(file.size for file in files.values())
        self.subdirectories[""].discard(directory)
        self.count -= gone
        return gone

    def descend(self, directory: str) -> None:
        """Make a directory at the root the root: paths begin there, and nothing else is left."""
        for other in list(self.subdirectories[""] - {directory}):
            self.remove(other)
        cut = len(directory) + 1
        self.count -= len(self.directories[""])
        self.directories = {p[cut:]: f for p, f in self.directories.items() if p}
        self.subdirectories = {p[cut:]: n for p, n in self.subdirectories.items() if p}
        for files in self.directories.values():
            for file in files.values():
                if file.alias.startswith(f"{directory}/"):
                    file.alias = file.alias[cut:]
                elif file.alias:
                    file.alias = f"../{file.alias}"  # no name of a file that is left

    def _enter(self, path: str) -> dict[str, File]:
        files = self.directories.get(path)
        if files is None:
            files = self.directories[path] = {}
            self.subdirectories[path] = set()
            self._cost += _cost(path)
            child = path
            while child:
                parent, _, name = child.rpartition("/")
                known = parent in self.directories
                if not known:
                    self._cost += _IMPLIED * _cost(parent)
                    self.directories[parent] = {}
                    self.subdirectories[parent] = set()
                self.subdirectories[parent].add(name)
                if known:
                    break
                child = parent
        return files

    def _compare_names(self) -> None:
        for directory, files in self.directories.items():
            prefix = f"{directory}/" if directory else ""
            below = self.subdirectories[directory]
            keys: dict[str, str] = {}
            for names in (files, below):
                for name in names:
                    key = name.lower() if name.isascii() else _key(name)
                    first = keys.setdefault(key, name)
                    if first != name:
                        least, other = sorted((first, name))
                        keys[key] = least
                        self.tell(Trouble("F-014", prefix + other, f"twin of {least!a}"))
                    elif names is below and name in files:
                        self.tell(Trouble("F-019", prefix + name, "both a file and a directory"))
                    if not _PLAIN.fullmatch(name):
                        self._portable(prefix, name)

    def _portable(self, prefix: str, name: str) -> None:
        reason = ""
        if _BAD_CHARACTER.search(name):
            reason = "it has a character that some systems refuse or terminals obey"
        elif name[-1:] in {" ", "."} or name[:1] == " ":
            reason = "it begins or ends with a blank, or ends with a dot"
        elif _DEVICE.match(name):
            reason = "it is a device on Windows"
        elif len(name.encode("utf-8", "surrogatepass")) > _MAX_OCTETS:
            reason = f"it is over {_MAX_OCTETS} octets long"
        if reason:
            self.tell(Trouble("F-020", prefix + name, f"the name is not portable: {reason}"))

"""An archive that is a ZIP or tar file, each member read where it lies in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from portarchive.archive import model
from portarchive.archive.contents_error import JUNK, judge, missing, reading, too_large
from portarchive.archive.contents_tar import PlacedTar
from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree import INDEX_DIR, PRIVATE_DIR, Limits, Stream, Tree
from portarchive.archive.tree_listing import Listing
from portarchive.errors import NotAnArchive


class ContainerStore:
    """``Store`` over a ZIP or tar file."""

    def __init__(self, tree: Tree, path: Path, limits: Limits) -> None:
        """``path``: where the container lies; ``tree`` may read something unpacked from it."""
        self._path = path
        self._tree = tree
        self.kind = tree.kind
        self._stamp = self._look()
        self._listing = listing = Listing.of(tree, limits)
        for trouble in listing.troubles:
            judge(trouble, self._path)
        for directory in (PRIVATE_DIR, INDEX_DIR):
            if directory in listing.directories:
                listing.remove(directory)
        self._prefix = self._find_root()
        self.nested = bool(self._prefix)
        self.metadata_file = next(
            (name for name in METADATA_FILES if listing.file(name) is not None), ""
        )
        if not self.metadata_file:
            raise NotAnArchive(
                f"there is no archive in {self._path}: it has no {METADATA_FILES[0]}",
                hint=f"name a container that holds {METADATA_FILES[0]} at its root",
            )
        self.folder_files: list[str] = []
        self.loose: list[str] = []
        for directory, files in sorted(listing.directories.items()):
            if directory != model.MAIL and not directory.startswith(f"{model.MAIL}/"):
                continue
            if model.FOLDER_FILE in files:
                self.folder_files.append(directory)
            elif (
                directory != model.MAIL
                and listing.file(model.DIGESTS_FILE) is None
                and any(name not in JUNK for name in files)
                and JUNK.isdisjoint(directory.split("/"))
            ):
                self.loose.append(directory)

    def _look(self) -> tuple[int, int, int]:
        about = self._path.stat()
        return about.st_ino, about.st_size, about.st_mtime_ns

    def _find_root(self) -> str:
        listing = self._listing
        inside = [name for name in listing.subdirectories[""] if name not in JUNK]
        if len(inside) != 1 or listing.file(METADATA_FILES[0]) is not None:
            return ""
        (name,) = inside
        if listing.file(f"{name}/{METADATA_FILES[0]}") is None:
            return ""
        listing.descend(name)
        return f"{name}/"

    def open(self, name: str) -> Stream:
        """As ``Store.open``."""
        file = self._listing.file(name)
        while file is not None and file.alias:  # each is an earlier member
            name = file.alias
            file = self._listing.file(name)
        if file is None:
            raise missing(name)
        tree = self._tree
        full = self._prefix + name
        place = tree.places.get(full) if isinstance(tree, PlacedTar) else file.place
        if place is None:
            raise missing(name)
        with reading(name):
            return tree.open(full, place)

    def read(self, name: str, limit: int) -> bytes:
        """As ``Store.read``."""
        size = self.size(name)
        if size is not None and size > limit:
            raise too_large(name, limit)
        with closing(self.open(name)) as stream, reading(name):
            octets = stream.read(size or 1)
            if len(octets) == size and not stream.read(1):
                return octets
            pieces = [octets]
            while octets := stream.read(1 << 20):
                pieces.append(octets)
            return b"".join(pieces)

    def size(self, name: str) -> int | None:
        """As ``Store.size``."""
        file = self._listing.file(name)
        return file.size if file is not None else None

    def mail_files(self) -> Iterator[tuple[str, list[str]]]:
        """As ``Store.mail_files``."""
        for here, files in sorted(self._listing.directories.items()):
            inside = here == model.MAIL or here.startswith(f"{model.MAIL}/")
            if inside and JUNK.isdisjoint(here.split("/")):
                yield here, [name for name in files if name.endswith(".eml")]

    def unchanged(self) -> bool:
        """As ``Store.unchanged``: by the container's own inode, size and time."""
        try:
            return self._look() == self._stamp
        except OSError:
            return False

    def close(self) -> None:
        """As ``Store.close``."""
        self._tree.close()

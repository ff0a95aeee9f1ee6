"""The members of an archive, whatever it lies in: a directory, a ZIP file, a tar file.

Owns the way from a path to readable members below one root. Refuses to write anything, to follow a
link, and containers that leave in doubt what is in them. A damaged *message* is no such reason: it
shows when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from portarchive.archive.contents_container import ContainerStore
from portarchive.archive.contents_directory import DirectoryStore
from portarchive.archive.contents_error import encrypted, failed
from portarchive.archive.contents_tar import PlacedTar
from portarchive.archive.tree import Limits, Stream, open_tree
from portarchive.errors import NotAnArchive

_AGE: Final = b"age-encryption.org/"


class Store(Protocol):
    """Members below the root of one archive; names are POSIX and relative to it.

    Attributes:
        kind: ``directory``, ``zip`` or ``tar``.
        metadata_file: ``archive.json``, or ``index.json`` in the oldest dialects.
        nested: the root is the one directory of the container (Z-020).
        folder_files: the folder.json files under ``mail/``, without ``/folder.json``, sorted.
        loose: directories under ``mail/`` with files and no folder.json.
    """

    kind: str
    metadata_file: str
    nested: bool
    folder_files: list[str]
    loose: list[str]

    def open(self, name: str) -> Stream:
        """The octets of one member.

        Raises:
            Damaged: it is missing, or no regular file.
            StorageFailed: it cannot be read.
        """

    def read(self, name: str, limit: int) -> bytes:
        """The octets of one member at once; errors as ``open``, and ``Damaged`` over ``limit``."""

    def size(self, name: str) -> int | None:
        """How many octets a member has; None if it is missing."""

    def mail_files(self) -> Iterator[tuple[str, list[str]]]:
        """Directories at and under ``mail/``, and the names of the ``.eml`` files in each."""

    def unchanged(self) -> bool:
        """Whether the archive is still the one that was opened."""

    def close(self) -> None:
        """Give back what it holds."""


def open_store(path: Path, limits: Limits) -> Store:
    """Open what lies at a path.

    Raises:
        NotAnArchive: there is no archive.
        Unfinished: an export was interrupted here.
        Damaged, UnsafePath, ArchiveError: the container must not or cannot be read.
        StorageFailed: the system does not give it.
    """
    try:
        tree = open_tree(path, limits)
    except NotAnArchive:
        _tell_age(path)
        raise
    except OSError as error:
        raise failed(str(path), error) from None
    if tree.kind == "directory":
        return DirectoryStore(path, limits)
    try:
        if tree.kind == "tar":
            tree.close()
            tree = PlacedTar(path, limits)
        try:
            return ContainerStore(tree, path, limits)
        except BaseException:
            tree.close()
            raise
    except OSError as error:
        raise failed(str(path), error) from None


def _tell_age(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(_AGE))
    except OSError:
        return
    if head == _AGE:
        raise encrypted(path, "age -d")

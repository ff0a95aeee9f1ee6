"""An archive that is a directory, read where it lies.

Names only are looked at until a member is wanted; no link is followed, on no part of a path.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from portarchive.archive import model
from portarchive.archive.contents_error import (
    JUNK,
    failed,
    not_regular,
    reading,
    refuse,
    shown,
    too_large,
)
from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.regular import open_regular
from portarchive.archive.tree import PRIVATE_DIR, Limits, Stream, unsafe_name
from portarchive.errors import Damaged, NotAnArchive, Unfinished


class DirectoryStore:
    """``Store`` over a directory of the file system."""

    kind = "directory"
    nested = False

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._root = os.fspath(path)
        self._real: set[str] = {""}
        self.metadata_file = self._metadata_file()
        self.folder_files: list[str] = []
        self.loose: list[str] = []
        self._walk(limits)
        self._digest = self._metadata_digest()

    def _metadata_file(self) -> str:
        for _ in range(2):  # a commit may have been under way between two looks
            for name in METADATA_FILES:
                if os.path.lexists(f"{self._root}/{name}"):
                    return name
        if (self.path / PRIVATE_DIR).is_dir():
            raise Unfinished(
                f"the archive at {self.path} is unfinished: an export was interrupted",
                hint="run the same export again; it goes on where it stopped",
            )
        raise NotAnArchive(
            f"there is no archive at {self.path}: it has no {METADATA_FILES[0]}",
            hint=f"name the directory that holds {METADATA_FILES[0]}",
        )

    def _metadata_digest(self) -> str | None:
        try:
            with open_regular(self.path / self.metadata_file, self.metadata_file) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, Damaged):
            return None

    def _walk(self, limits: Limits) -> None:
        """The directories under ``mail/``; of messages no more than their names is looked at."""
        top = self.path / model.MAIL
        if top.is_symlink():
            raise not_regular(model.MAIL)
        stack = [model.MAIL] if top.is_dir() else []
        left = limits.entries
        while stack:
            here = stack.pop()
            self._real.add(here)
            has_folder = has_files = False
            with reading(here), os.scandir(f"{self._root}/{here}") as entries:
                for entry in entries:
                    left -= 1
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        unsafe = unsafe_name(f"{here}/{name}")
                        if unsafe is not None:
                            raise refuse(unsafe, self.path)
                        if name not in JUNK:
                            stack.append(f"{here}/{name}")
                    elif name == model.FOLDER_FILE:
                        has_folder = True
                    elif not name.endswith(".eml") and not entry.is_file(follow_symlinks=False):
                        raise not_regular(f"{here}/{name}")
                    else:
                        has_files = has_files or name not in JUNK
            if left < 0:
                raise Damaged(f"the archive has over {limits.entries:,} entries", code="too-large")
            if has_folder:
                self.folder_files.append(here)
            elif has_files and here != model.MAIL:
                self.loose.append(here)
        self.folder_files.sort()
        known = (f"{PRIVATE_DIR}/journal", model.DIGESTS_FILE)
        if any(os.path.lexists(f"{self._root}/{name}") for name in known):
            self.loose.clear()  # left over by a run, which will look after them

    def _open(self, name: str) -> int:
        """A file descriptor; no directory on the way is a link."""
        parent = name.rpartition("/")[0]
        if parent not in self._real:
            self._check_parents(parent)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(f"{self._root}/{name}", flags)

    def _check_parents(self, parent: str) -> None:
        here = ""
        for part in parent.split("/"):
            here = f"{here}/{part}" if here else part
            if here not in self._real:
                mode = os.lstat(f"{self._root}/{here}").st_mode
                if stat.S_ISLNK(mode):
                    raise not_regular(here)
                if not stat.S_ISDIR(mode):
                    raise NotADirectoryError
                self._real.add(here)

    def open(self, name: str) -> Stream:
        """As ``Store.open``."""
        with reading(name):
            parent = name.rpartition("/")[0]
            if parent not in self._real:
                self._check_parents(parent)
            return open_regular(self.path / name, shown(name))

    def read(self, name: str, limit: int) -> bytes:
        """As ``Store.read``."""
        try:
            fd = self._open(name)
        except OSError as error:
            if (self.path / name).is_symlink():
                raise not_regular(name) from None
            raise failed(name, error) from None
        try:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                raise not_regular(name)
            if about.st_size > limit:
                raise too_large(name, limit)
            octets = os.read(fd, about.st_size + 1)
            return octets if len(octets) == about.st_size else _rest(fd, octets, name, limit)
        except OSError as error:
            raise failed(name, error) from None
        finally:
            os.close(fd)

    def size(self, name: str) -> int | None:
        """As ``Store.size``."""
        try:
            about = os.lstat(f"{self._root}/{name}")
        except OSError:
            return None
        return about.st_size if stat.S_ISREG(about.st_mode) else None

    def mail_files(self) -> Iterator[tuple[str, list[str]]]:
        """As ``Store.mail_files``; what was removed meanwhile has none."""
        for here in sorted(self._real):
            if here != model.MAIL and not here.startswith(f"{model.MAIL}/"):
                continue
            with suppress(OSError), os.scandir(f"{self._root}/{here}") as entries:
                yield here, [entry.name for entry in entries if entry.name.endswith(".eml")]

    def unchanged(self) -> bool:
        """As ``Store.unchanged``: by the digest of the metadata file, which is the commit point."""
        return self._digest is not None and self._metadata_digest() == self._digest

    def close(self) -> None:
        """As ``Store.close``."""


def _rest(fd: int, octets: bytes, name: str, limit: int) -> bytes:
    """A file of more than one system call gives, or one that grows."""
    pieces = [octets]
    size = len(octets)
    while octets := os.read(fd, 1 << 24):
        pieces.append(octets)
        size += len(octets)
        if size > limit:
            raise too_large(name, limit)
    return b"".join(pieces)

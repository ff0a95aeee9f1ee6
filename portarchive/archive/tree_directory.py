"""A tree that is a directory of the file system. Links and devices are never followed or opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from portarchive.archive.tree import (
    PRIVATE_DIR,
    Folder,
    Limits,
    Member,
    Stream,
    Trouble,
    unsafe_name,
)

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class DirectoryTree:
    """``Tree`` over a directory. ``.portarchive`` at its root is not part of it."""

    kind = "directory"
    random_access = True

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits

    def scan(self) -> Iterator[Member | Folder | Trouble]:
        """As ``Tree.scan``; a directory that cannot be listed is a Trouble (M-026)."""
        root = os.fspath(self.path)
        stack = [""]
        count = 0
        while stack:
            here = stack.pop()
            try:
                with os.scandir(f"{root}/{here}" if here else root) as entries:
                    for entry in entries:
                        count += 1
                        if count > self._limits.entries:
                            yield Trouble("F-016", "", f"over {count - 1:,} entries", fatal=True)
                            return
                        name = f"{here}/{entry.name}" if here else entry.name
                        found = _look(entry, name)
                        if isinstance(found, Folder):
                            if name == PRIVATE_DIR:
                                continue
                            stack.append(name)
                        yield found
            except OSError as error:
                yield Trouble("M-026", here, f"the directory cannot be read: {_why(error)}")

    def open(self, name: str, place: Any) -> Stream:
        """As ``Tree.open``."""
        del place
        return os.fdopen(os.open(f"{os.fspath(self.path)}/{name}", _FLAGS), "rb", buffering=0)

    def stream(self, linked: Callable[[str], bool] | None = None) -> Iterator[tuple[str, Stream]]:
        """As ``Tree.stream``; a hard link is a file like any other here."""
        del linked
        for found in self.scan():
            if isinstance(found, Member):
                with closing(self.open(found.name, None)) as stream:
                    yield found.name, stream

    def close(self) -> None:
        """As ``Tree.close``."""


def _look(entry: os.DirEntry[str], name: str) -> Member | Folder | Trouble:
    unsafe = unsafe_name(name)
    if unsafe is not None:
        return unsafe
    if entry.is_file(follow_symlinks=False):
        try:
            return Member(name, entry.stat(follow_symlinks=False).st_size)
        except OSError as error:
            return Trouble("M-026", name, f"the file cannot be looked at: {_why(error)}")
    if entry.is_dir(follow_symlinks=False):
        return Folder(name)
    if entry.is_symlink():
        return Trouble("F-012", name, "it is a symbolic link")
    return Trouble("F-013", name, "it is neither a file nor a directory")


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "I/O error"

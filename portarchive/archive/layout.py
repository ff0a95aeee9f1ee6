"""Which directory belongs to which mailbox: read from the folder.json files, kept for life.

A mailbox is found again by its names from the root; its directory never changes while it lives.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from portarchive.archive import model
from portarchive.archive.folder_file import FolderFile
from portarchive.archive.manifest import may_be_folder
from portarchive.archive.naming import assign, check_relative

Names = tuple[str, ...]


def own_name(header: dict[str, object], directory: str) -> str:
    """The mailbox's own last name; octets that do not decode as surrogate escapes (PEP 383)."""
    raw = header.get(model.RAW_NAME)
    if isinstance(raw, str):
        try:
            return base64.b64decode(raw, validate=True).decode("utf-8", "surrogateescape")
        except binascii.Error:
            pass
    for member in ("original_name", "name"):
        value = header.get(member)
        if isinstance(value, str):
            return value
    return directory


def published_folders(root: Path) -> Iterator[tuple[str, FolderFile]]:
    """(path under ``mail/``, folder.json) of every folder, parents before children.

    Raises:
        Damaged: a folder.json does not parse.
        UnsafePath: the name of its directory is not Unicode text.
        OSError: a directory cannot be read.
    """
    top = root / model.MAIL
    if not top.is_dir():
        return
    stack = [""]
    while stack:
        path = stack.pop()
        here = top / path
        children: list[str] = []
        has_folder = False
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.name == model.FOLDER_FILE:
                    has_folder = True
                elif may_be_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                    children.append(entry.name)
        if has_folder and path:
            name = f"{model.MAIL}/{path}/{model.FOLDER_FILE}"
            check_relative(name)
            yield path, FolderFile(here / model.FOLDER_FILE, name)
        prefix = f"{path}/" if path else ""
        stack.extend(prefix + child for child in sorted(children, reverse=True))


class Layout:
    """The directories of an archive: published ones, and those given out in this run."""

    def __init__(self, root: Path) -> None:
        self.published: dict[str, FolderFile] = dict(published_folders(root))
        self._path_of: dict[Names, str] = {}
        self._children: dict[Names, dict[str, str]] = {}
        names_of: dict[str, Names] = {"": ()}
        for path, file in self.published.items():
            parent, _, directory = path.rpartition("/")
            names = (
                *names_of.get(parent, tuple(parent.split("/"))),
                own_name(file.header, directory),
            )
            names_of[path] = names
            self._remember(names, path)

    def _remember(self, names: Names, path: str) -> None:
        if self._path_of.setdefault(names, path) == path:
            self._children.setdefault(names[:-1], {})[names[-1]] = path.rpartition("/")[2]

    def names(self) -> dict[str, Names]:
        """Path under ``mail/`` → the mailbox's names."""
        return {path: names for names, path in self._path_of.items()}

    def assign(self, folders: Iterable[Names]) -> dict[Names, str]:
        """Give every mailbox its directory, and every parent of one that was not listed.

        Returns:
            All of them, parents before children, with the path under ``mail/``.
        """
        wanted: dict[Names, None] = {}
        for names in folders:
            for depth in range(1, len(names) + 1):
                wanted[names[:depth]] = None
        by_parent: dict[Names, list[str]] = {}
        for names in sorted(wanted, key=lambda names: (len(names), _octets(names))):
            by_parent.setdefault(names[:-1], []).append(names[-1])
        for parent, children in by_parent.items():
            prefix = f"{self._path_of[parent]}/" if parent else ""
            published = self._children.get(parent, {})
            for child, directory in assign(children, published).items():
                self._remember((*parent, child), prefix + directory)
        return {
            names: self._path_of[names]
            for names in sorted(wanted, key=lambda names: (len(names), _octets(names)))
        }


def _octets(names: Names) -> tuple[bytes, ...]:
    return tuple(name.encode("utf-8", "surrogatepass") for name in names)

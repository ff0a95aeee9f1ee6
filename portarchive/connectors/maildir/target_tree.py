"""The tree that a Maildir target writes into: its layout, its folders, and how new ones are made.

A tree that is there keeps its layout. What is no Maildir is not made one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from portarchive.archive.durable import FILE_MODE, Durability
from portarchive.connectors.local.escaped import GROWTH
from portarchive.connectors.local.opening import looking
from portarchive.connectors.local.root import Root
from portarchive.connectors.local.storing import (
    LINK,
    UNFIT,
    foreign,
    has_exactly,
    make_directory,
    owner,
    storage_failed,
    sync,
)
from portarchive.connectors.local.target_root import TargetRoot
from portarchive.connectors.maildir.layout import Place, is_folder, places
from portarchive.connectors.maildir.names import directory_name, encoded
from portarchive.errors import SettingsError, Unreachable
from portarchive.placing import NameRules, Refused

INBOX: Final = ("INBOX",)
LAYOUTS: Final = ("maildir++", "fs")

_PARTS: Final = (b"tmp", b"new", b"cur")
_HARMLESS: Final = frozenset({"cur", "new", "tmp", "subscriptions", "maildirsize", "lost+found"})
_LONGEST: Final = 255
"""Octets of a file's name."""
_DEEPEST: Final = 60
_CONTROLS: Final = "".join(map(chr, (*range(32), *range(127, 160))))


class TargetTree:
    """See the module.

    Args:
        root: of the tree.
        layout: one of ``LAYOUTS``; None: that of the tree, Maildir++ for a new one.
        durable: whether new names are synced.
        hint: how the path is written.

    Attributes:
        dotted: Maildir++.
        rules: for names of new folders.

    Raises:
        Refused: the directory holds something else.
        SettingsError: the tree has another layout.
        Unreachable: it is a file, or cannot be read.
    """

    def __init__(
        self, root: TargetRoot, *, layout: str | None, durable: Durability, hint: str
    ) -> None:
        self._root = root
        self._durable = durable
        self._hint = hint
        self._places: dict[tuple[str, ...], Place] = {}
        self._utf8 = False
        self._above = False  # the root is no folder, but holds some
        self.dotted = layout != "fs"
        there = root.there
        if there is not None:
            self._recognise(there, layout)
        self.rules = (
            NameRules(
                separator=".",
                forbidden="/" + _CONTROLS,
                max_path=_LONGEST - 1,
                fold_case=root.folds_case,
            )
            if self.dotted
            else NameRules(
                separator="/",
                forbidden=_CONTROLS,
                max_name=_LONGEST - GROWTH,
                max_depth=_DEEPEST,
                fold_case=root.folds_case,
            )
        )

    def _recognise(self, root: Root, layout: str | None) -> None:
        shown = self._root.shown
        if not root.is_directory:
            raise Unreachable(
                f"{shown} is a file, and a Maildir is a directory",
                hint="name a directory; an mbox is mbox:PATH",
                code="not-maildir",
            )
        found = self.look()
        with looking(root, hint=self._hint):
            inbox = is_folder(root.path)
        if not inbox:
            self._see_that_it_is_a_tree(root, found)
            self._above = bool(found)
        directories = [place.directory for place in found if place.directory != root.path]
        self._utf8 = any(not os.fsencode(each.name).isascii() for each in directories)
        if not directories:
            return
        dotted = any(each.name.startswith(".") for each in directories)
        if layout is not None and dotted != (layout != "fs"):
            raise SettingsError(
                f"{shown} has the layout {LAYOUTS[not dotted]}, and keeps it",
                hint=f"leave ?layout={layout} out, or name a new directory",
                code="bad-url",
            )
        self.dotted = dotted

    def _see_that_it_is_a_tree(self, root: Root, found: list[Place]) -> None:
        """A directory above folders will do, but not one that holds other things as well."""
        tops = {place.directory.relative_to(root.path).parts[0] for place in found}
        with looking(root, hint=self._hint), os.scandir(root.path) as entries:
            others = [
                entry.name
                for entry in entries
                if entry.name not in tops | _HARMLESS
                and not (entry.name.startswith(".") and (tops or entry.name == ".DS_Store"))
            ]
        if others:
            raise foreign(
                self._root.shown,
                "no Maildir",
                "name a new or empty directory, or one that has cur/, new/ and tmp/ in it",
            )

    # --- folders

    def look(self) -> list[Place]:
        """The folders that are there, parents before children.

        Raises:
            ConnectionLost, Unreachable: the root is gone, or may not be read.
        """
        root = self._root.there
        if root is None:
            self._places = {}
            return []
        with looking(root, hint=self._hint):
            found = places(root.path)
        self._places = {place.path: place for place in found}
        return found

    def find(self, path: tuple[str, ...]) -> Place | None:
        """A folder of the last look, or made since."""
        return self._places.get(path)

    def make(self, path: tuple[str, ...]) -> tuple[Place, bool] | Refused:
        """Make a folder.

        Returns:
            It, and whether it was not there before.

        Raises:
            StorageFailed: it cannot be written.
            ConnectionLost, Unreachable: the root is gone.
        """
        if len(path) == 1 and path[0].upper() == "INBOX":
            path = INBOX
        known = self._places.get(path)
        parts = self._parts(path) if known is None else []
        if isinstance(parts, Refused):
            return parts
        root = self._root.made()
        try:
            if known is not None and is_folder(known.directory):
                return known, False
            if known is not None:  # it is gone by now
                del self._places[path]
                return self.make(path)
            if self._above and not self.dotted:
                parts = parts or [b"INBOX"]
            elif parts and not is_folder(root.path):  # the inbox is always there
                self._folder(root, [])
                self._places[INBOX] = Place(INBOX, None, root.path)
            made = self._folder(root, parts)
        except OSError as error:
            if error.errno in UNFIT:
                return Refused("refused", f"no name for a directory here: {error.strerror}")
            if error.errno in LINK or isinstance(error, FileExistsError):
                return Refused("refused", "there is something else of that name, or a link")
            raise storage_failed(self._root.shown, error) from error
        if isinstance(made, Refused):
            return made
        directory = root.path.joinpath(*map(os.fsdecode, parts))
        place = self._places[path] = Place(path, None, directory)
        return place, made

    def _parts(self, path: tuple[str, ...]) -> list[bytes] | Refused:
        """The directories of a new folder, from the root on."""
        forbidden = set(_CONTROLS + ("/." if self.dotted else "/"))
        if not path or not all(path) or any(forbidden.intersection(name) for name in path):
            return Refused("refused", "no name of a folder")
        if not self.dotted and len(path) > _DEEPEST:
            return Refused("refused", "too deep")
        if path == INBOX:
            return []
        try:
            names = [name.encode() if self._utf8 else encoded(name) for name in path]
        except UnicodeError:
            return Refused("refused", "a name that is no Unicode")
        parts = [b"." + b".".join(names)] if self.dotted else list(map(directory_name, names))
        if any(len(part) > _LONGEST for part in parts):
            return Refused("refused", "the name is too long for a directory")
        return parts

    def _folder(self, root: Root, parts: list[bytes]) -> bool | Refused:
        """Make the directories of a folder; whether it was none before."""
        fd = os.open(root.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                below, made = make_directory(fd, part)
                try:
                    if made:
                        sync(fd, self._durable)
                    elif self._root.folds_case and not has_exactly(fd, part):
                        os.close(below)
                        below = -1
                        return Refused("refused", "it differs from another folder in case only")
                finally:
                    os.close(fd)
                    fd = below
            before = {part for part in _PARTS if self._has(fd, part)}
            for part in _PARTS:
                os.close(make_directory(fd, part)[0])
            if parts and self.dotted:
                self._mark(fd)
            if before != set(_PARTS):
                sync(fd, self._durable)
            return not before & {b"cur", b"new"}
        finally:
            if fd >= 0:
                os.close(fd)

    @staticmethod
    def _has(directory: int, name: bytes) -> bool:
        try:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def _mark(directory: int) -> None:
        """``maildirfolder``: it is no account of its own (Maildir++)."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(FileExistsError):
            fd = os.open("maildirfolder", flags, FILE_MODE, dir_fd=directory)
            try:
                own = owner(directory)
                if own is not None:
                    os.fchown(fd, *own)
            finally:
                os.close(fd)

    def directory(self, path: tuple[str, ...]) -> Path | None:
        """Where a folder lies; looks anew for one that is not known."""
        if path not in self._places:
            self.look()
        place = self._places.get(path)
        return None if place is None else place.directory

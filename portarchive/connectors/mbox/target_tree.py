"""The tree of mbox files that a target writes into, and how new folders are made in it.

A folder is ``Name.mbox``; folders below it lie in the directory ``Name``. Where Thunderbird keeps
its own folders, they are ``Name`` and ``Name.sbd``. What holds no mail is not written into.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from portarchive.archive.durable import FILE_MODE, Durability
from portarchive.connectors.local.escaped import GROWTH, escaped
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
from portarchive.connectors.mbox.target_lock import PART
from portarchive.connectors.mbox.tree import RESERVED, Found, is_thunderbirds, look_around
from portarchive.placing import NameRules, Refused

_SUFFIX: Final = b".mbox"
_BELOW: Final = b".sbd"
_LONGEST: Final = 255 - len(_SUFFIX) - PART - GROWTH
_DEEPEST: Final = 60
_CONTROLS: Final = "".join(map(chr, (*range(32), *range(127, 160))))
_HARMLESS: Final = frozenset({".DS_Store", "lost+found"})


class TargetTree:
    """See the module.

    Args:
        root: the directory.
        roles_by_name: give roles to folders with well-known names.
        durable: whether new names are synced.
        hint: how the path is written.

    Attributes:
        rules: for names of new folders.

    Raises:
        Refused: it is a file, or a directory that holds something else.
        Unreachable: it cannot be read.
    """

    def __init__(
        self, root: TargetRoot, *, roles_by_name: bool, durable: Durability, hint: str
    ) -> None:
        self._root = root
        self._by_name = roles_by_name
        self._durable = durable
        self._hint = hint
        self._found: dict[tuple[str, ...], Found] = {}
        self._thunderbird = False
        there = root.there
        if there is not None:
            self._recognise(there)
        self.rules = NameRules(
            separator="/",
            forbidden=_CONTROLS,
            max_name=_LONGEST,
            max_depth=_DEEPEST,
            fold_case=root.folds_case,
        )

    def _recognise(self, root: Root) -> None:
        hint = "name a new or empty directory, or one with mbox files in it"
        if not root.is_directory:
            raise foreign(root.shown, "a file, where folders need a directory", hint)
        found = self.look()
        with looking(root, hint=self._hint):
            self._thunderbird = is_thunderbirds(root.path)
            others = {
                name
                for name in (each.name for each in root.path.iterdir())
                if name not in _HARMLESS and not name.endswith(".lock")
            }
        if others and not found and not self._thunderbird and not self._holds_only_directories():
            raise foreign(root.shown, "there is no mbox file in it", hint)

    def _holds_only_directories(self) -> bool:
        """What a run that was interrupted before its first file leaves."""
        return not any(files for _, _, files in os.walk(self._root.shown))

    # --- folders

    def look(self) -> list[Found]:
        """The folders that are there, parents before children.

        Raises:
            ConnectionLost, Unreachable: the root is gone, or may not be read.
        """
        root = self._root.there
        if root is None:
            self._found = {}
            return []
        with looking(root, hint=self._hint):
            found = look_around(root, roles_by_name=self._by_name).folders
        self._found = {each.path: each for each in found}
        return found

    def find(self, path: tuple[str, ...]) -> Found | None:
        """A folder; looks anew for one that is not known."""
        if path not in self._found:
            self.look()
        return self._found.get(path)

    def make(self, path: tuple[str, ...]) -> tuple[Found, bool] | Refused:
        """Make a folder.

        Returns:
            It, and whether it was not there before.

        Raises:
            StorageFailed: it cannot be written.
            ConnectionLost, Unreachable: the root is gone.
        """
        known = self._found.get(path)
        if known is not None and os.path.lexists(known.file):
            if known.refused is not None:
                return Refused("refused", known.refused[1])
            return known, False
        parts = self._parts(path)
        if isinstance(parts, Refused):
            return parts
        root = self._root.made()
        try:
            made = self._file(root, parts)
        except OSError as error:
            if error.errno in UNFIT:
                return Refused("refused", f"no name for a file here: {error.strerror}")
            if error.errno in LINK:
                return Refused("refused", "there is something else of that name, or a link")
            raise storage_failed(self._root.shown, error) from error
        if isinstance(made, Refused):
            return made
        file, created = made
        if not created:  # by another program, or it is no mbox
            found = self.find(path)
            if found is None or found.refused is not None:
                return Refused("refused", "there is something else of that name")
            return found, False
        role = "inbox" if path == ("INBOX",) else None
        found = self._found[path] = Found(path=path, raw=None, file=file, role=role)
        return found, True

    def _parts(self, path: tuple[str, ...]) -> list[bytes] | Refused:
        """The names of the folders of a path, as they are in file names."""
        forbidden = set(_CONTROLS + "/")
        if not path or not all(path) or any(forbidden.intersection(name) for name in path):
            return Refused("refused", "no name of a folder")
        if len(path) > _DEEPEST:
            return Refused("refused", "too deep")
        try:
            names = [name.encode() for name in path]
        except UnicodeError:
            return Refused("refused", "a name that is no Unicode")
        if any(len(name) > _LONGEST for name in names):
            return Refused("refused", "the name is too long for a file")
        return [escaped(name, RESERVED) for name in names]

    def _file(self, root: Root, parts: list[bytes]) -> tuple[Path, bool] | Refused:
        """Make an empty file and the directories above it; whether it was not there."""
        fd = os.open(root.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        at = root.path
        try:
            for part in parts[:-1]:
                name = self._directory(fd, part)
                below, made = make_directory(fd, name)
                twin = not made and self._root.folds_case and not has_exactly(fd, name)
                try:
                    if made:
                        sync(fd, self._durable)
                finally:
                    os.close(fd)
                    fd = below
                if twin:
                    return Refused("refused", "it differs from another folder in case only")
                at /= os.fsdecode(name)
            bare = self._thunderbird and b"." not in parts[-1]
            name = parts[-1] if bare else parts[-1] + _SUFFIX
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                file = os.open(name, flags, FILE_MODE, dir_fd=fd)
            except FileExistsError:
                if self._root.folds_case and not has_exactly(fd, name):
                    return Refused("refused", "it differs from another folder in case only")
                return at / os.fsdecode(name), False
            try:
                own = owner(fd)
                if own is not None:
                    os.fchown(file, *own)
            finally:
                os.close(file)
            sync(fd, self._durable)
            return at / os.fsdecode(name), True
        finally:
            os.close(fd)

    def _directory(self, parent: int, name: bytes) -> bytes:
        """The directory of the folders below one: that which is there, else as is usual here."""
        below = name + _BELOW
        if self._thunderbird or name.endswith(_BELOW):
            return below
        try:
            os.stat(below, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return name
        return below

    def parents(self, found: Found) -> list[bytes]:
        """The directories of a folder's file, from the root on."""
        return [os.fsencode(part) for part in self._below(found).parent.parts]

    def _below(self, found: Found) -> Path:
        root = self._root.there
        return found.file.relative_to(found.file.parent if root is None else root.path)

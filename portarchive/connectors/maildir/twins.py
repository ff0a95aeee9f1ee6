"""Files of one folder that share a unique name, which no two of them should.

Programs that copy mailboxes about make such: ``1.a:2,S`` beside ``1.a:2,F``. They are told apart by
what is in them and not by their order: whichever is deleted, the other one stays what it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from portarchive.connectors.maildir.names import twin_name

_DIGITS: Final = 16

Several = Mapping[str, list[str]]
"""unique name → the paths of its files, below the folder."""


class Twins:
    """See the module.

    Args:
        directory: of the folder.
        read: the octets of a file, by its path below the folder.

    Attributes:
        known: unique names that had several files at some time. What is left of them keeps the
            name that it was given then.
    """

    def __init__(self, directory: bytes, read: Callable[[str], Iterator[bytes]]) -> None:
        self.known: set[str] = set()
        self._directory = directory
        self._read = read
        self._digests: dict[tuple[int, int, int, int], str] = {}

    def tell_apart(self, files: dict[str, str], several: Several) -> None:
        """Put a name of its own for each file in the place of the one that they share.

        A message that moves from ``new/`` to ``cur/``, or is linked there first, is one.
        """
        for unique in [*several, *(name for name in self.known if name not in several)]:
            paths = several.get(unique) or [files[unique]] * (unique in files)
            there = self._there(paths)
            if not there or (len(there) < 2 and unique not in self.known):
                if there:
                    files[unique] = next(iter(there.values()))
                continue
            self.known.add(unique)
            files.pop(unique, None)
            for about, path in sorted(there.items(), key=lambda pair: pair[1]):
                name = twin_name(unique, self._digest(about, path))
                rank = 1
                while name in files:  # of equal octets: either may be which
                    rank += 1
                    name = twin_name(unique, f"{self._digest(about, path)}-{rank}")
                files[name] = path

    def _there(self, paths: list[str]) -> dict[tuple[int, int, int, int], str]:
        """The files that are there at this moment, each under its last path."""
        found = {}
        for path in paths:
            try:
                about = os.lstat(self._directory + b"/" + os.fsencode(path))
            except OSError:
                continue
            found[about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns] = path
        return found

    def _digest(self, about: tuple[int, int, int, int], path: str) -> str:
        digest = self._digests.get(about)
        if digest is None:
            total = hashlib.sha256()
            try:
                for piece in self._read(path):
                    total.update(piece)
            except (OSError, ValueError):  # it cannot be had, and is named all the same
                total = hashlib.sha256(os.fsencode(path))
            digest = self._digests[about] = total.hexdigest()[:_DIGITS]
        return digest

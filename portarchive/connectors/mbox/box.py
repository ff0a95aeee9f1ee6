"""One mbox file while it is being read: its index, and the octets of its messages.

Other programs append to it, change flags in it and compact it meanwhile. What was indexed is
believed as long as the file is the same and untouched; else each message is compared with its
digest, and one that is not where it was is looked for in a new index.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from portarchive.connectors.local.body import LARGE, Octets, Pieces
from portarchive.connectors.local.root import Root, failure
from portarchive.connectors.mbox.index import Index
from portarchive.connectors.mbox.message import compared, cuts_of, identity, pieces
from portarchive.connectors.mbox.quoting import unquoted
from portarchive.connectors.mbox.scan import Scanner
from portarchive.errors import ConnectionLost
from portarchive.records import Failure

Stamp = tuple[int, int, int, int, int]


class Box:
    """See the module.

    Args:
        path: of the file.
        root: what must still be there.
        rd: quoting is mboxrd.
        growing: messages will be appended again and again.
        torn: its beginning is spoilt: what lies before its first good postmark is passed over.

    Attributes:
        path, root, torn: the same.
        index: of the last ``refresh``; empty before the first one, and after ``close``.
        verify: octets are compared with their digest, for somebody wrote to the file.
    """

    def __init__(
        self, path: Path, root: Root, *, rd: bool, growing: bool = False, torn: bool = False
    ) -> None:
        self.path = path
        self.torn = torn
        self.index = Index()
        self.verify = False
        self.root = root
        self._rd = rd
        self._growing = growing
        self._fd = -1
        self._stamp: Stamp | None = None
        self._scanner: Scanner | None = None

    @property
    def takeout(self) -> bool:
        """Whether it is a file of Google Takeout, whose labels count."""
        return bool(self._scanned.takeout)

    @property
    def counts(self) -> dict[str, int]:
        """What is worth a note, by the note's code."""
        return self._scanned.counts

    @property
    def _scanned(self) -> Scanner:
        assert self._scanner is not None  # noqa: S101 - refresh comes first
        return self._scanner

    def refresh(self) -> None:
        """Index the file, unless it stands as it was indexed.

        Raises:
            ConnectionLost: the root is gone, or the file changes under the reading.
            OSError: the file cannot be read.
        """
        self.root.check()
        if self._scanner is not None and self._stamp == self._now():
            return
        self.close()
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags)
        about = os.fstat(self._fd)
        scanner = Scanner(self._fd, rd=self._rd, growing=self._growing, torn=self.torn)
        scanner.extend(about.st_size)
        self._scanner = scanner
        self.index = scanner.index
        self._stamp = _stamp(about)
        self.verify = False

    def catch_up(self) -> None:
        """Take in what was appended since; the last message is read anew.

        A file that was replaced or rewritten is indexed anew: ``index`` is then another one.

        Raises:
            ConnectionLost: the root is gone, or the file changes under the reading.
            OSError: the file cannot be read.
        """
        if self.look():
            size = os.fstat(self._fd).st_size
            if size == self._scanned.upto:
                return
            if size > self._scanned.upto:
                try:
                    self._scanned.extend(size)
                except ConnectionLost:
                    pass  # not appended to: rewritten
                else:
                    return
        self.refresh()

    def extend(self) -> None:
        """Take in what was appended since; whatever else happened, the file is indexed anew.

        Raises:
            ConnectionLost: the root is gone, or the file changes under the reading.
            OSError: the file cannot be read.
        """
        now = self._now()
        if (
            self._scanner is not None
            and self._stamp is not None
            and now is not None
            and now[:2] == self._stamp[:2]
            and now[2] > self._scanned.upto
        ):
            self.root.check()
            try:
                self._scanned.extend(now[2])
            except ConnectionLost:
                pass  # not appended to: rewritten
            else:
                return
        self.refresh()

    def reaches(self, about: os.stat_result) -> bool:
        """Whether the index has all of a file: it is the one that was indexed, and not longer."""
        return (
            self._stamp is not None
            and self._stamp[:2] == (about.st_dev, about.st_ino)
            and self._scanned.upto == about.st_size
        )

    def appended(self) -> None:
        """What was appended since is known to be that, and nothing else was changed.

        Raises:
            ConnectionLost: the file is not what it was.
            OSError: it cannot be read.
        """
        about = os.fstat(self._fd)
        self._scanned.extend(about.st_size)
        self._stamp = _stamp(about)
        self.verify = False

    def arrived(self) -> int:
        """How many messages were appended since the last look."""
        size = os.fstat(self._fd).st_size
        return self._scanned.postmarks_after(size) if size > self._scanned.upto else 0

    def look(self) -> bool:
        """Is the file still the one that was indexed? False: another one lies in its place.

        Raises:
            ConnectionLost: the root is gone.
        """
        self.root.check()
        now = self._now()
        if now is None or self._stamp is None or now[:2] != self._stamp[:2]:
            return False
        self.verify = now != self._stamp
        return True

    def _now(self) -> Stamp | None:
        try:
            return _stamp(os.stat(self.path, follow_symlinks=False))  # noqa: PTH116 - hot
        except OSError:
            return None

    def body(self, number: int) -> Octets | Pieces | Failure | None:
        """The octets of a message; None if they are not where they were.

        Raises:
            ConnectionLost: the file system is gone.
        """
        index = self.index
        start, length = index.starts[number], index.lengths[number]
        if length > LARGE:
            if self.verify and not self._stands(number):
                return None
            return Pieces(index.sizes[number], lambda: self._checked(number))
        try:
            octets = os.pread(self._fd, length, start)
        except OSError as error:
            gone = failure(self.root.shown, error)
            if gone is not None:
                raise gone from error
            return Failure("unreadable", error.strerror or "it cannot be read")
        if len(octets) < length:
            return None
        if self._rd and (length != index.sizes[number] or self.verify):
            octets = unquoted(octets)
        if self.verify:
            cuts = cuts_of(octets, takeout=self.takeout)
            if identity(octets, cuts) != index.digest(number):
                return None
        return Octets(octets)

    def _stands(self, number: int) -> bool:
        try:
            for _ in self._checked(number):
                pass
        except ConnectionLost:
            return False
        return True

    def _checked(self, number: int) -> Iterator[bytes]:
        """The octets of a large message, compared with its digest as they go."""
        index = self.index
        parts = pieces(self._fd, index.starts[number], index.lengths[number], rd=self._rd)
        return compared(parts, index.digest(number), takeout=self.takeout)

    def close(self) -> None:
        """Let go of the file and of its index."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._scanner = None
        self.index = Index()
        self._stamp = None


def _stamp(about: os.stat_result) -> Stamp:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns

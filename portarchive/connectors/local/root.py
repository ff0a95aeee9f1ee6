"""The file or directory that a source reads, and whether it is still the same one.

What a connection is to a server, the root is here: a directory that was unmounted, moved away or
put in place anew is a lost connection, so that whoever retries comes back when it is there again.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from portarchive.errors import ConnectionLost, ConnectorError, Unreachable

_GONE: Final = frozenset({errno.ESTALE, errno.ENOTCONN, errno.ENXIO, errno.ENODEV})
"""What an operating system says when the file system itself is not to be had.

Not EIO: that may be one bad sector, and ``Root.check`` sees whether it is more.
"""


def cannot_read(path: Path, error: OSError, *, hint: str) -> Unreachable:
    """The error of a root that cannot be looked at."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unreachable(f"there is nothing at {path}", hint=hint, code="no-such-path")
    reason = error.strerror or "it cannot be opened"
    return Unreachable(
        f"{path} cannot be read: {reason}", hint="see who may read it", code="unreadable"
    )


def lost(path: Path, error: OSError | None = None) -> ConnectionLost:
    """The error of a root that was there and is not any more."""
    reason = (error.strerror or "it cannot be read") if error else "it was moved or replaced"
    return ConnectionLost(f"{path} went away while it was being read: {reason}")


def failure(path: Path, error: OSError) -> ConnectorError | None:
    """What an error below a root says of the root itself; None: it is about that file only."""
    return lost(path, error) if error.errno in _GONE else None


class Root:
    """See the module.

    Attributes:
        path: absolute; a link that the user named is resolved, none below it is followed.
        is_directory: else it is a regular file.
        shown: as the user named it, absolute.

    Raises:
        Unreachable: there is nothing, it is no file or directory, or it may not be read.
    """

    def __init__(self, path: str, *, hint: str) -> None:
        self.shown = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - no resolving here
        self._hint = hint
        try:
            self.path = self.shown.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            found = error if isinstance(error, OSError) else OSError(errno.ELOOP, "a loop of links")
            raise cannot_read(self.shown, found, hint=hint) from error
        self.is_directory = False
        self.connect()

    def connect(self) -> None:
        """Take what lies there now for the root.

        Raises:
            Unreachable: as the class says.
        """
        try:
            about = self.path.stat()
        except OSError as error:
            raise cannot_read(self.shown, error, hint=self._hint) from error
        self.is_directory = stat.S_ISDIR(about.st_mode)
        if not self.is_directory and not stat.S_ISREG(about.st_mode):
            raise Unreachable(
                f"{self.shown} is neither a file nor a directory",
                hint=self._hint,
                code="no-such-path",
            )
        self._known: tuple[int, int] | None = (about.st_dev, about.st_ino)

    def check(self) -> None:
        """Is it still there, and the same directory?

        Raises:
            ConnectionLost: it is not, or ``close`` was called.
        """
        if self._known is None:
            raise ConnectionLost(f"{self.shown} is closed")
        try:
            about = os.stat(self.path)  # noqa: PTH116 - hot
        except OSError as error:
            raise lost(self.shown, error) from error
        if self.is_directory and (about.st_dev, about.st_ino) != self._known:
            raise lost(self.shown)

    def close(self) -> None:
        """Nothing can be asked any more, until ``connect``."""
        self._known = None

    def holds(self, path: Path) -> bool:
        """Whether a path, its links followed, leads to something inside."""
        try:
            return path.resolve(strict=True).is_relative_to(self.path)
        except (OSError, RuntimeError):
            return False

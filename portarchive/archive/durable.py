"""Making things durable: files, directories, one file system at once. Knows no format.

``Durability(False)`` leaves the syncs out and never the order (format: ``--no-fsync``).
Everything raises ``OSError``; the job turns that into ``StorageFailed`` in one place.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

_F_FULLFSYNC = 51  # <sys/fcntl.h> on macOS: fsync there does not reach the platter


def _find_syncfs() -> Callable[[int], int] | None:
    """syncfs(2) of the C library; Python has no binding for it."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int]
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes functions are Any


def fsync(fd: int) -> None:
    """Flush one file or directory to the medium."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, _F_FULLFSYNC)
    else:
        os.fsync(fd)


class Durability:
    """Syncs, or leaves it. One object per run."""

    def __init__(self, enabled: bool = True) -> None:  # noqa: FBT001, FBT002 - one switch, named by the class
        self.enabled = enabled
        self._syncfs = _find_syncfs() if enabled else None

    def directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        if not self.enabled:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fsync(fd)
        finally:
            os.close(fd)

    def descriptor(self, fd: int) -> None:
        """Make one open file durable."""
        if self.enabled:
            fsync(fd)

    def files(self, root: Path, paths: Iterable[str | Path]) -> None:
        """Make many closed files under ``root`` durable: syncfs where there is one, else each."""
        if not self.enabled:
            return
        if self._syncfs is not None:
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if self._syncfs(fd) == 0:
                    return
                if (number := ctypes.get_errno()) != _ENOSYS:
                    raise OSError(number, os.strerror(number), str(root))
            finally:
                os.close(fd)
        for path in paths:
            fd = os.open(path, os.O_RDONLY)
            try:
                fsync(fd)
            finally:
                os.close(fd)

    def write(self, path: Path, octets: bytes) -> None:
        """Write a whole file, synced; the caller syncs its directory."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            write_all(fd, octets)
            self.descriptor(fd)
        finally:
            os.close(fd)

    def replace(self, path: Path, octets: bytes) -> None:
        """Write a file so that its name holds the old or the new octets, never a part."""
        temporary = path.with_name(path.name + ".new")
        self.write(temporary, octets)
        temporary.replace(path)
        self.directory(path.parent)


_ENOSYS = 38


def write_all(fd: int, octets: bytes) -> None:
    """write(2) until all is written."""
    done = os.write(fd, octets)
    if done == len(octets):
        return
    view = memoryview(octets)
    while done < len(octets):
        done += os.write(fd, view[done:])


def make_directories(path: Path, root: Path) -> list[Path]:
    """Make ``path`` and its parents below ``root``, 0700 whatever the umask.

    Returns:
        The directories that got a new name in them, to be synced.
    """
    changed: list[Path] = []
    missing: list[Path] = []
    at = path
    while at != root and not at.is_dir():
        missing.append(at)
        at = at.parent
    for directory in reversed(missing):
        directory.mkdir(DIRECTORY_MODE)
        directory.chmod(DIRECTORY_MODE)
        changed.append(directory.parent)
    return changed


def make_private(directory: Path) -> int | None:
    """Make a directory that somebody else made 0700, as those are that ``make_directories`` makes.

    Returns:
        Its mode before; None if it is private already, or another user's who lets us write there.
    """
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        with contextlib.suppress(PermissionError):
            directory.chmod(DIRECTORY_MODE)
            return mode
    return None

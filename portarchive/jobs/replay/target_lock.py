"""One import into a target at a time, however its address was spelt.

A tree of files is locked itself (flock on its directory). An account on a server has names
(``Target.whereabouts``); each is a file that is locked, in every place where this user can have
such files: the state directory, the runtime directory, the temporary one. Two imports meet if they
have one name and one place in common. What runs on another machine, or as another user, is not
seen. The kernel lets go of the locks of whoever died; a file that was left means nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from portarchive.connectors.base import Target
from portarchive.errors import Locked
from portarchive.records import SourceIdentity

_TEMPORARY: Final = "/tmp"  # noqa: S108 - nothing there is used that is not ours alone
"""One that all runs share, whatever ``TMPDIR`` says."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class TargetLock:
    """See the module. Use as a context manager.

    Args:
        target: whose lock; asked for its whereabouts.
        identity: of the target; its name where it knows no other.
        state: the user's state directory for this program; None if there is to be none.
        write: False for a dry run: no lock is held.

    Attributes:
        sure: another import of this user on this machine is kept out, or nothing is written.

    Raises:
        Locked: another import into this account is running.
        StorageFailed, ConnectorError: the target cannot be written to or asked.
    """

    def __init__(
        self, target: Target, identity: SourceIdentity, state: Path | None, *, write: bool = True
    ) -> None:
        self.sure = not write
        self._identity = identity
        self._held: list[tuple[int, int, str]] = []
        self._directories: list[int] = []
        if not write:
            return
        where = target.whereabouts()
        keys = where.keys or (f"{identity.service}\n{identity.account}",)
        try:
            if where.directory is not None and self._lock_directory(where.directory):
                self.sure = True
                return
            self._directories += _places(state, everywhere=bool(where.keys))
            self.sure = self._lock(keys) or (state is None and not where.keys)
        except BaseException:
            self.close()
            raise

    def _lock_directory(self, directory: Path) -> bool:
        """Lock a tree itself; False where that is not possible (NFS, or it may not be listed)."""
        try:
            fd = os.open(directory, _DIRECTORY)
        except OSError:
            return False
        self._held.append((fd, -1, ""))
        return self._flock(fd)

    def _lock(self, keys: Iterable[str]) -> bool:
        """Lock these names in all places; whether there is a place where all are locked.

        In one order, so that of two who meet one gets through.
        """
        names = sorted(map(_file_name, keys))
        sure = False
        for directory in self._directories:
            locked = [self._lock_file(directory, name) for name in names]
            sure = sure or all(locked)
        return sure

    def _lock_file(self, directory: int, name: str) -> bool:
        if any(held[1:] == (directory, name) for held in self._held):
            return True
        while True:
            try:
                fd = os.open(name, _FILE, 0o600, dir_fd=directory)
            except OSError:
                return False
            self._held.append((fd, -1, ""))
            if not self._flock(fd):
                return False
            if _is_named(fd, directory, name):
                self._held[-1] = (fd, directory, name)
                return True
            os.close(self._held.pop()[0])  # who held it removed it in between

    def _flock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            identity = self._identity
            raise Locked(
                f"another import into {identity.account} at {identity.service} is running",
                hint="wait for it to end: two at once would place messages twice",
            ) from error
        except OSError:  # this file system has no locks
            return False
        return True

    def close(self) -> None:
        """Give the lock back; never raises."""
        while self._held:
            fd, directory, name = self._held.pop()
            if name:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=directory)
            os.close(fd)
        while self._directories:
            os.close(self._directories.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_named(fd: int, directory: int, name: str) -> bool:
    """Whether a file that was opened is still what its name leads to."""
    mine = os.fstat(fd)
    try:
        there = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _file_name(key: str) -> str:
    """Of one length and shape, and it does not tell whose account it is."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _places(state: Path | None, *, everywhere: bool) -> list[int]:
    """Descriptors of the directories for lock files that can be had, always in one order."""
    candidates: list[Path] = []
    if state is not None:
        with contextlib.suppress(OSError):
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
        candidates.append(state / "locks")
    if everywhere:
        runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
        if runtime.is_absolute():
            candidates.append(runtime / "portarchive")
        bases = [_TEMPORARY]
        with contextlib.suppress(OSError):  # no temporary directory can be had
            bases.append(tempfile.gettempdir())
        candidates += [Path(base) / f"portarchive-{os.geteuid()}" for base in bases]
    found: dict[tuple[int, int], int] = {}
    for path in candidates:
        fd = _private(path)
        if fd is None:
            continue
        about = os.fstat(fd)
        if found.setdefault((about.st_dev, about.st_ino), fd) != fd:
            os.close(fd)  # the same by another way
    return list(found.values())


def _private(path: Path) -> int | None:
    """A directory that nobody else can get at, made if need be; None if it cannot be had.

    Where others may make names, one of them may have been there first: no link is followed, and
    what is not ours alone is not used.
    """
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        fd = os.open(path, _DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    about = os.fstat(fd)
    if about.st_uid == os.geteuid() and not stat.S_IMODE(about.st_mode) & 0o077:
        return fd
    os.close(fd)
    return None

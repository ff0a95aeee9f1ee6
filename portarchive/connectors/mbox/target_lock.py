"""One writer of an mbox file at a time, and what an interrupted one leaves is taken back.

``<file>.lock`` is the lock that mail programs agree on (dotlock); it is made before anything is
written and tells how long the file was. While its maker lives, the kernel holds it locked too.
One that is not locked was left behind: the file is cut back to the length in it, if nobody but us
wrote to it since. The lock of another program is waited for, and never removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final

from portarchive.archive.durable import FILE_MODE, Durability, write_all
from portarchive.connectors.local.storing import patiently, sync
from portarchive.connectors.mbox.postmark import OWN
from portarchive.errors import Locked

_OURS: Final = re.compile(rb"(\d{1,20}) portarchive (\d{1,20}) (\d{1,20})\n")
_CONTENT: Final = b"%010d portarchive %020d %020d\n"
"""Process, length and inode of the file; of one length, so that it is written over at once."""

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

PART: Final = len(b"..lock.01234567")
"""Octets that the longest name of a file beside the locked one has more."""

_POSTMARK: Final = re.compile(rb"(?:\A|\n)From ")
_BLOCK: Final = 1 << 20


class AppendLock:
    """See the module.

    Args:
        directory: descriptor of where the file lies; it is closed with the lock.
        path: of the file, for its name and for an error's text.
        durable: whether the lock is on the medium before anything is written.
    """

    def __init__(self, directory: int, path: Path, durable: Durability) -> None:
        self.directory = directory
        self._path = path
        self._durable = durable
        self._name = os.fsencode(path.name) + b".lock"
        self._fd = -1

    def take(self) -> None:
        """Wait until it is ours.

        Raises:
            Locked: another program holds it and does not let go.
            OSError: it cannot be made, or what was left behind cannot be taken back.
        """
        if not patiently(self._try):
            raise Locked(
                f"another program holds {self._path}.lock",
                hint="wait until it has ended; remove the file if there is no such program",
            )

    def recover(self) -> None:
        """Take back what an interrupted run left, if it left anything; any other lock stays.

        Raises:
            OSError: it cannot be taken back.
        """
        if self._exists():
            self._was_left()

    def _try(self) -> bool:
        """Make the lock with its content, both at once: linked to when it is whole."""
        if self._exists():
            self._was_left()
            return False
        part = b"." + self._name + b"." + secrets.token_hex(4).encode("ascii")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(part, flags, FILE_MODE, dir_fd=self.directory)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            write_all(fd, _CONTENT % (os.getpid(), 0, 0))
            try:
                os.link(part, self._name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                os.close(os.open(self._name, flags, FILE_MODE, dir_fd=self.directory))
                os.rename(part, self._name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        except FileExistsError:
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self.directory)
        self._fd = fd
        return True

    def _exists(self) -> bool:
        try:
            os.stat(self._name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def note(self, length: int, inode: int) -> None:
        """Write down what the file is to be cut back to.

        Raises:
            OSError: as write(2) says.
        """
        os.pwrite(self._fd, _CONTENT % (os.getpid(), length, inode), 0)
        self._durable.descriptor(self._fd)
        sync(self.directory, self._durable)

    def release(self) -> None:
        """Let go; from here on what was written stays.

        Raises:
            OSError: as unlink(2) says.
        """
        if self._fd >= 0:
            try:
                os.unlink(self._name, dir_fd=self.directory)
                sync(self.directory, self._durable)
            finally:
                os.close(self._fd)
                self._fd = -1

    def close(self) -> None:
        """Let go of the directory, and of the lock where something went wrong; never raises."""
        with contextlib.suppress(OSError):
            self.release()
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1

    # --- what was left behind

    def _was_left(self) -> None:
        """Look at a lock that is there; if it is ours and nobody holds it, undo and remove it."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(self._name, flags, dir_fd=self.directory)
        except OSError:
            return  # gone, a link, or not for us to read: somebody's own
        try:
            told = _OURS.fullmatch(os.pread(fd, 128, 0))
            if told is None:
                return
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            there = os.stat(self._name, dir_fd=self.directory, follow_symlinks=False)
            if there.st_ino == os.fstat(fd).st_ino:
                self._cut(int(told[2]), int(told[3]))
                os.unlink(self._name, dir_fd=self.directory)
                sync(self.directory, self._durable)
        except FileNotFoundError:
            pass  # somebody else saw to it
        finally:
            os.close(fd)

    def _cut(self, length: int, inode: int) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(os.fsencode(self._path.name), flags, dir_fd=self.directory)
        try:
            about = os.fstat(fd)
            if about.st_ino == inode and about.st_size > length and _only_ours(fd, length):
                os.ftruncate(fd, length)
                self._durable.descriptor(fd)
        finally:
            os.close(fd)


def _only_ours(fd: int, start: int) -> bool:
    """Whether nothing behind a place was written by another program: all postmarks are ours."""
    at = start
    while octets := os.pread(fd, _BLOCK + len(OWN) + 1, at):
        for found in _POSTMARK.finditer(octets):
            if at != start and found.start() == 0 and octets[:1] != b"\n":
                continue  # the middle of a line
            mark = octets[found.end() - 5 : found.end() - 5 + len(OWN)]
            whole = len(mark) == len(OWN) or len(octets) <= _BLOCK + len(OWN)
            if whole and not OWN.startswith(mark):
                return False
        if len(octets) <= _BLOCK:
            return True
        at += _BLOCK
    return True

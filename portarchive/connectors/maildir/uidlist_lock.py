"""``dovecot-uidlist.lock``: under it Dovecot, and we, change the files beside a Maildir's messages.

A lock tells process and host of its maker. One whose maker runs no more, on this host, is nobody's;
so is one that tells of nobody for minutes: its maker died before it could.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from typing import Final

from portarchive.archive.durable import FILE_MODE, write_all
from portarchive.archive.lock import lives

NAME: Final = "dovecot-uidlist.lock"

_MAKER: Final = re.compile(rb"([1-9][0-9]{0,9}):([^\s:]{1,255})\n?")
_PATIENCE: Final = 120.0
"""Seconds that a lock may tell of nobody: as long as Dovecot leaves a lock alone."""


class UidlistLock:
    """The lock of one folder, not yet taken.

    Args:
        directory: descriptor of the folder.
    """

    def __init__(self, directory: int) -> None:
        self._directory = directory

    def take(self) -> bool:
        """Make the lock; False if somebody has it.

        Raises:
            OSError: it cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(NAME, flags, FILE_MODE, dir_fd=self._directory)
        except FileExistsError:
            self._remove_nobodys()
            return False
        try:
            write_all(fd, f"{os.getpid()}:{socket.gethostname()}".encode())
        except BaseException:
            self.release()
            raise
        finally:
            os.close(fd)
        return True

    def release(self) -> None:
        """Remove the lock."""
        with contextlib.suppress(OSError):
            os.unlink(NAME, dir_fd=self._directory)

    def _remove_nobodys(self) -> None:
        with contextlib.suppress(OSError):
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(NAME, flags, dir_fd=self._directory)
            try:
                made = os.fstat(fd)
                text = os.read(fd, 300)
            finally:
                os.close(fd)
            if _is_nobodys(text, time.time() - made.st_mtime):
                now = os.stat(NAME, dir_fd=self._directory, follow_symlinks=False)
                if (now.st_ino, now.st_mtime_ns) == (made.st_ino, made.st_mtime_ns):
                    os.unlink(NAME, dir_fd=self._directory)


def _is_nobodys(text: bytes, age: float) -> bool:
    if not text:
        return age > _PATIENCE
    maker = _MAKER.fullmatch(text)
    if maker is None or maker[2] != os.fsencode(socket.gethostname()):
        return False
    return not lives(int(maker[1]))

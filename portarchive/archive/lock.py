"""One writer at a time: flock on ``.portarchive/lock`` for the whole run.

The lock is the kernel's, so a dead run never holds it but for the moment that the process it
started to write message files needs to notice (``scribe``). What lies in the file is only for the
message to whoever comes second, and to know that moment from a run that lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from portarchive.archive.durable import FILE_MODE
from portarchive.archive.regular import open_regular
from portarchive.errors import Damaged, Locked

NAME = "lock"
"""Below ``.portarchive``."""

_PATIENCE = 5.0
_PAUSE = 0.02
"""Seconds; how long, and how often, to look whether a dead run's lock is gone."""


class WriterLock:
    """Held from construction to ``release``.

    Attributes:
        descriptor: a process that inherits it holds the lock as well.

    Raises:
        Locked: a living process holds it.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        patience = _PATIENCE
        while not _locks(self.descriptor):
            holder, lives = _holder(self.descriptor)
            if lives or patience <= 0:
                os.close(self.descriptor)
                raise Locked(
                    f"this archive is being written by {holder}",
                    hint="wait until that run has ended, then give the same command again",
                )
            time.sleep(_PAUSE)
            patience -= _PAUSE
        mine = {
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "start": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # Only for a message to others: a full disk is to be met where it can be told well.
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, json.dumps(mine).encode() + b"\n", 0)

    def release(self) -> None:
        """Let go. The file stays: removing it would race with the next holder."""
        os.close(self.descriptor)


def writer_of(path: Path) -> str | None:
    """Who holds the lock at this moment, for a reader; None if nobody does, or it cannot be told.

    The file is looked at first, so that a writer that is just beginning never meets our own look.
    """
    try:
        with open_regular(path, path.name) as file:
            claim = _claim(file.fileno())
            if claim is None or not _may_live(*claim[:2]):
                return None
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return None if claim is None else _described(*claim)
    except (OSError, Damaged):
        return None
    return None


def _locks(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(fd: int) -> tuple[str, bool]:
    """Who holds the lock, from a file that anybody may have written, and whether it may live."""
    claim = _claim(fd)
    if claim is None:
        return "another process", True
    return _described(*claim), _may_live(*claim[:2])


def _claim(fd: int) -> tuple[int, str, str] | None:
    """Process, host and time that the file names; None if it makes no sense."""
    try:
        value = json.loads(os.pread(fd, 4096, 0))
        pid, host, start = int(value["pid"]), str(value["host"]), str(value["start"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return (pid, host, start) if 0 < pid < 1 << 31 else None


def _described(pid: int, host: str, start: str) -> str:
    host = "".join(c for c in host if c.isalnum() or c in ".-")[:80]
    start = "".join(c for c in start if c.isdigit() or c in "-:T+Z")[:40]
    return f"process {pid} on {host} (since {start})"


def _may_live(pid: int, host: str) -> bool:
    return host != os.uname().nodename or lives(pid)


def lives(pid: int) -> bool:
    """Whether a process of this machine may be alive; True where it cannot be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

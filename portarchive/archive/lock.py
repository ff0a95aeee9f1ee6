"""One writer at a time: flock on ``.portarchive/lock`` for the whole run.

The lock is the kernel's, so a dead process never holds it; what lies in the file is only for the
message to whoever comes second.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from portarchive.archive.durable import FILE_MODE
from portarchive.errors import Locked


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
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self.descriptor)
            os.close(self.descriptor)
            raise Locked(
                f"this archive is being written by {holder}",
                hint="wait until that run has ended, then give the same command again",
            ) from None
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


def _holder(fd: int) -> str:
    """Who holds the lock, from a file that anybody may have written."""
    try:
        value = json.loads(os.pread(fd, 4096, 0))
        pid, host, start = int(value["pid"]), str(value["host"]), str(value["start"])
        if not 0 < pid < 1 << 32:
            return "another process"
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"
    host = "".join(c for c in host if c.isalnum() or c in ".-")[:80]
    start = "".join(c for c in start if c.isdigit() or c in "-:T+Z")[:40]
    return f"process {pid} on {host} (since {start})"

"""The other half of a scan: a process that indexes the second half of a large file.

It is a matter of time only: where no process can be started, or the two halves do not meet at one
postmark, whoever asked goes on alone.
"""

from __future__ import annotations

import marshal
import subprocess
import sys
from pathlib import Path
from typing import Any

import portarchive
from portarchive.connectors.mbox import scan_process


class SecondScan:
    """See the module.

    Args:
        fd: of the file; the process reads it through the same descriptor.
        offset: it begins at the first postmark behind this place.
        size: of the file.
        rd: quoting is mboxrd.
        takeout: the file is a Takeout.

    Attributes:
        offset: the same.

    Raises:
        OSError: there is no such process to be had.
    """

    def __init__(self, fd: int, offset: int, size: int, *, rd: bool, takeout: bool) -> None:
        self.offset = offset
        package = Path(portarchive.__file__).parent.parent
        words = [fd, offset, size, int(rd), int(takeout), package]
        # In a process group of its own: Ctrl-C is the parent's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", scan_process.__file__, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(fd,),
            process_group=0,
        )
        self._first: int | None = None

    def first(self) -> int | None:
        """Where it began; None if it found no postmark. Waits until it knows."""
        if self._first is None and self._process.stdout is not None:
            octets = self._process.stdout.read(scan_process.PLACE.size)
            if len(octets) == scan_process.PLACE.size:
                self._first = scan_process.PLACE.unpack(octets)[0]
        return self._first

    def state(self) -> dict[str, Any] | None:
        """What it found, as ``Scanner.state`` tells it; None if it failed. Waits for it."""
        octets = self._process.stdout.read() if self._process.stdout is not None else b""
        if self._process.wait() or not octets:
            return None
        found: dict[str, Any] = marshal.loads(octets)  # noqa: S302 - from our own child
        return found

    def close(self) -> None:
        """End it, whatever it is at."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()

"""Opening files of an archive: regular ones, and nothing else.

A link leads out, a pipe hangs, a device drives something (format.md section 9).
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

from portarchive.errors import Damaged

_BUFFER = 1 << 20


def open_regular(path: Path, name: str) -> BufferedReader:
    """Open a file for reading.

    Args:
        path: where it is; its last name must be no link.
        name: as errors call it.

    Raises:
        Damaged: it is a link, a directory, a pipe or a device.
        OSError: it cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink():
            raise _not_regular(name) from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _not_regular(name)
    return BufferedReader(FileIO(fd), _BUFFER)


def _not_regular(name: str) -> Damaged:
    return Damaged(
        f"{name} is not a regular file",
        hint="an archive has no links, pipes or devices; do not trust this one",
        code="not-regular",
    )


def read_regular(path: Path, name: str) -> bytes:
    """The octets of a file; errors as ``open_regular``."""
    with open_regular(path, name) as file:
        return file.read()

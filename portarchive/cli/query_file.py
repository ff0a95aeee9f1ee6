"""Where the output of ``query`` and ``report`` goes: stdout, or a file that is whole or not there.

Never into an archive: it would be damaged by it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from portarchive.errors import SettingsError


def check_file(option: str, text: str, archive: Path) -> Path:
    """The file, judged before the work is done rather than after it.

    Raises:
        SettingsError: it cannot be written, or lies in the archive.
    """
    if not text or "\0" in text:
        raise _unusable(option, "it is no file name")
    path = Path(text)
    if path.is_dir():
        raise _unusable(option, "it is a directory")
    place = path.resolve()
    if place == archive.resolve() or (archive.is_dir() and place.is_relative_to(archive.resolve())):
        raise SettingsError(
            f"the file of {option} would change the archive at {archive}",
            hint="name a file outside it",
        )
    if not place.parent.is_dir():
        raise _unusable(option, "its directory is not there")
    if not _is_device(path) and not os.access(place.parent, os.W_OK):
        raise _unusable(option, "permission denied")
    return path


@contextlib.contextmanager
def writing(path: Path | None) -> Iterator[BinaryIO]:
    """The file, or stdout, for octets. A file is there when all is written, mode 0600.

    Raises:
        OSError: it cannot be written.
    """
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif _is_device(path):
        with path.open("wb") as file:
            yield file
    else:
        place = path.resolve()
        handle, name = tempfile.mkstemp(prefix=f".{place.name[:40]}.", dir=place.parent)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123  a handle
                yield file
            Path(name).replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def is_terminal(path: Path | None) -> bool:
    """Whether the file, or stdout, is a terminal (``/dev/stdout``, ``/dev/tty``)."""
    if path is None:
        return sys.stdout.isatty()
    with contextlib.suppress(OSError):
        if stat.S_ISCHR(path.stat().st_mode):
            terminal = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return os.isatty(terminal)
            finally:
                os.close(terminal)
    return False


def _is_device(path: Path) -> bool:
    """Whether it is there and no regular file: a pipe, ``/dev/stdout``."""
    return path.exists() and not path.is_file()


def _unusable(option: str, reason: str) -> SettingsError:
    return SettingsError(
        f"the file of {option} cannot be written: {reason}", hint="name another file"
    )

"""Message files: the exact octets the source sent, nothing else, ever.

Nothing here looks into a message. A file is written under its final name; it counts only once the
journal or a folder.json names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from portarchive.archive.durable import FILE_MODE, write_all
from portarchive.records import Body

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class MessageDirectory:
    """The directory of one folder, held open while messages are written into it.

    Attributes:
        name: its path.
        fresh: this run made it, so that no name in it can be anybody else's.
    """

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self.name = os.fsencode(path)
        self.fresh = fresh
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self.fd)

    def free_name(self, name: str, taken: Callable[[str], bool]) -> str:
        """A name that can be created, after ``store`` or ``link`` found the wanted one in use.

        Args:
            name: the wanted name.
            taken: whether an item of this archive has that file; if not, what lies there is
                left over from an interrupted run and is removed.

        Returns:
            The name, or ``…~2.eml`` and so on if it is taken.
        """
        stem, dot, suffix = name.rpartition(".")
        number = 1
        while taken(name):
            number += 1
            name = f"{stem}~{number}{dot}{suffix}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)
        return name

    def store(self, name: str, body: Body, epoch: int | None) -> tuple[int, str]:
        """Write one message; the file's mtime is its received date.

        Returns:
            Size in octets, SHA-256 in hex.

        Raises:
            FileExistsError: before the body is touched.
            ConnectorError: the octets ended early; the half-written file is removed.
            OSError: it cannot be written; likewise.
        """
        fd = os.open(name, _NEW, FILE_MODE, dir_fd=self.fd)
        try:
            octets = body.octets
            if octets is not None:
                size = len(octets)
                write_all(fd, octets)
                digest = hashlib.sha256(octets)
            else:
                size = 0
                digest = hashlib.sha256()
                for chunk in body.chunks():
                    write_all(fd, chunk)
                    digest.update(chunk)
                    size += len(chunk)
            if epoch is not None:
                os.utime(fd, (epoch, epoch))
        except BaseException:
            os.close(fd)
            os.unlink(name, dir_fd=self.fd)
            raise
        os.close(fd)
        return size, digest.hexdigest()

    def link(self, name: str, original: Path, epoch: int | None) -> bool:
        """Give octets that are here already a second name.

        A shared file keeps the earliest of its received dates as mtime.

        Returns:
            False if this file system makes no hard link of it (the caller copies).

        Raises:
            FileExistsError: the name is in use.
        """
        try:
            os.link(original, name, dst_dir_fd=self.fd)
        except FileExistsError:
            raise
        except OSError:
            return False
        if epoch is not None and epoch < original.stat().st_mtime:
            os.utime(original, (epoch, epoch))
        return True


class FileBody:
    """The octets of a file of this archive, as a ``records.Body``."""

    octets: bytes | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        """The octets in order."""
        with self._path.open("rb") as file:
            while chunk := file.read(1 << 20):
                yield chunk


class OctetsBody:
    """Octets in memory, as a ``records.Body``."""

    def __init__(self, octets: bytes) -> None:
        self.octets: bytes | None = octets
        self.size = len(octets)

    def chunks(self) -> Iterator[bytes]:
        """The octets in one piece."""
        yield self.octets or b""

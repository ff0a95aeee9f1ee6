"""Delivery into one folder: written in ``tmp``, and there to see once it is renamed into ``cur``.

(https://cr.yp.to/proto/maildir.html) Whatever ends the program in between leaves a file in ``tmp``
that nobody reads. Descriptors are held, not paths: no link can lead a message elsewhere.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Final, NamedTuple

from portarchive.archive.durable import FILE_MODE, Durability, write_all
from portarchive.connectors.local.dates import SAYABLE
from portarchive.connectors.local.storing import (
    make_directory,
    open_directory,
    owner,
    storage_failed,
)
from portarchive.connectors.maildir.layout import is_folder
from portarchive.connectors.maildir.names import delivery_name, unique_name
from portarchive.connectors.maildir.target_keywords import Keywords
from portarchive.placing import Parcel, Refused

_SURELY_KEPT: Final = range(1 << 31)
"""Instants that any file system keeps."""

_HOST_OCTETS: Final = 64

_numbers = itertools.count(1)


def _host() -> str:
    """This machine's name as the specification wants it in a file name."""
    name = socket.gethostname().encode("ascii", "replace").decode("ascii") or "localhost"
    plain = "".join(each if each.isalnum() or each in "-._" else "_" for each in name)
    return plain.lstrip(".")[:_HOST_OCTETS] or "localhost"


class Staged(NamedTuple):
    """A message in ``tmp``. ``unique``: its uid once it is published as ``name``."""

    delivery: Delivery
    temporary: str
    name: str
    unique: str


class Delivery:
    """See the module.

    Args:
        root: of the tree.
        directory: of the folder, below the root.
        durable: whether files are synced.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: as open(2) says.
    """

    def __init__(self, root: Path, directory: Path, durable: Durability) -> None:
        self.path = directory
        self._host = _host()
        parts = [os.fsencode(part) for part in directory.relative_to(root).parts]
        if not is_folder(directory):
            raise FileNotFoundError(2, "there is no such folder any more", str(directory))
        self._folder = open_directory(root, parts)
        self._tmp = self.cur = -1
        try:
            self._tmp, _ = make_directory(self._folder, b"tmp")
            self.cur, _ = make_directory(self._folder, b"cur")
            self._owner = owner(self._folder)
            self.keywords = Keywords(directory, self._folder, durable)
        except BaseException:
            self.close()
            raise

    def stage(self, parcel: Parcel, shown: Path) -> Staged | Refused:
        """Write a message into ``tmp``.

        Args:
            parcel: with one spot, which is here.
            shown: the root, for an error's text.

        Raises:
            FileNotFoundError: the folder is gone.
            StorageFailed: it cannot be written; nothing of it is left.
            Exception: whatever its octets raise while they are read; likewise.
        """
        spot = parcel.spots[0]
        try:
            letters = self.keywords.letters(spot.flags)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_failed(shown, error) from error
        if isinstance(letters, Refused):
            return letters
        now = time.time_ns()
        epoch = spot.received.epoch
        if epoch is None:
            epoch = now // 1_000_000_000
        elif epoch not in SAYABLE:
            return Refused("date", "no year that a file can have")
        temporary = delivery_name(
            now // 1000 % 1_000_000, os.getpid(), next(_numbers), secrets.token_hex(8)
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(temporary, flags, FILE_MODE, dir_fd=self._tmp)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise storage_failed(shown, error) from error
        done = False
        try:
            size, wire = self._write(fd, parcel, shown)
            if not self._date(fd, epoch, shown):
                return Refused("date", "the file system cannot keep such a date")
            done = True
        finally:
            os.close(fd)
            if not done:
                self.drop(temporary)
        unique = f"{unique_name(epoch, temporary, self._host)},S={size},W={wire}"
        return Staged(self, temporary, f"{unique}:2,{letters}", unique)

    def _write(self, fd: int, parcel: Parcel, shown: Path) -> tuple[int, int]:
        """Write the octets; how many they are, here and with every line end as CRLF."""
        size = ends = 0
        last = b""
        for piece in parcel.chunks() if parcel.octets is None else (parcel.octets,):
            try:
                write_all(fd, piece)
            except OSError as error:
                raise storage_failed(shown, error) from error
            size += len(piece)
            ends += piece.count(b"\n") - piece.count(b"\r\n")
            if last == b"\r" and piece.startswith(b"\n"):
                ends -= 1
            last = piece[-1:] or last
        return size, size + ends

    def _date(self, fd: int, epoch: int, shown: Path) -> bool:
        """Give a file its time; False if it cannot have it.

        Before 1901-12-13 some file systems make that of it, which the capabilities say.
        """
        try:
            if self._owner is not None:
                os.fchown(fd, *self._owner)
            instant = epoch * 1_000_000_000
            os.utime(fd, ns=(instant, instant))
            if epoch in _SURELY_KEPT or epoch < -(1 << 31):
                return True
            return os.fstat(fd).st_mtime_ns == instant
        except OverflowError:
            return False
        except OSError as error:
            raise storage_failed(shown, error) from error

    def publish(self, staged: Staged) -> None:
        """Rename a message into ``cur``.

        Raises:
            OSError: as rename(2) says.
        """
        os.rename(staged.temporary, staged.name, src_dir_fd=self._tmp, dst_dir_fd=self.cur)

    def drop(self, temporary: str) -> None:
        """Remove a message from ``tmp``."""
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=self._tmp)

    def temporary_path(self, staged: Staged) -> Path:
        """Where it lies until it is published."""
        return self.path / "tmp" / staged.temporary

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in (self._folder, self._tmp, self.cur):
            if fd >= 0:
                os.close(fd)
        self._folder = self._tmp = self.cur = -1

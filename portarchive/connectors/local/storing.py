"""Writing below a root: never through a link, owned like what is there, undone where it fails.

What the operating system says while something is written is ``StorageFailed``, in one place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portarchive.archive.durable import DIRECTORY_MODE, FILE_MODE, Durability, write_all
from portarchive.connectors.local.root import failure
from portarchive.errors import PortArchiveError, Refused, StorageFailed

_ROOM: Final = "make room, then run the same command again: what is there is not placed twice"
_HINTS: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: "name a place that can be written to",
    errno.EACCES: "name a place that you may write to",
    errno.EPERM: "name a place that you may write to",
}
LINK: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})
"""What ``O_NOFOLLOW`` and ``O_DIRECTORY`` say of a link, or of what is no directory."""

UNFIT: Final = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})
"""What a file system says of a name that it cannot have."""


def storage_failed(shown: Path, error: OSError) -> PortArchiveError:
    """The error of a root that could not be written to."""
    gone = failure(shown, error)
    if gone is not None:
        return gone
    hint = _HINTS.get(error.errno or 0, "look at the disk, then run the same command again")
    return StorageFailed(f"cannot write {shown}: {error.strerror or error}", hint=hint)


@contextmanager
def storing(shown: Path) -> Iterator[None]:
    """Whatever goes wrong inside is about storage.

    Raises:
        StorageFailed: in place of an ``OSError``.
        ConnectionLost: the file system itself is gone.
    """
    try:
        yield
    except OSError as error:
        raise storage_failed(shown, error) from error


def foreign(shown: Path, what: str, hint: str) -> Refused:
    """The error of a directory that holds something else: nothing is written into it."""
    return Refused(f"{shown} is not empty, and {what}", hint=hint, code="foreign-directory")


def folds_case(path: Path) -> bool:
    """Whether names that differ in case only are one file there.

    Told from names that are there already, of the path or of one above it: nothing is written.
    """
    for each in (path, *path.parents):
        other = each.with_name(each.name.swapcase()) if each.name else each
        if other.name == each.name or not each.exists():
            continue
        try:
            return other.samefile(each)
        except OSError:
            return False
    return False


# --- directories


def open_directory(root: Path, parts: Sequence[bytes]) -> int:
    """A descriptor of a directory below a root; no link is followed.

    Raises:
        OSError: as open(2) says; ``LINK`` for a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    fd = os.open(root, flags)
    for part in parts:
        try:
            below = os.open(part, flags | os.O_NOFOLLOW, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def make_directory(parent: int, name: bytes) -> tuple[int, bool]:
    """Make a directory, 0700 whatever the umask, or open the one that is there.

    Returns:
        Its descriptor, and whether it was made.

    Raises:
        OSError: as mkdir(2) and open(2) say.
    """
    made = True
    try:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    except FileExistsError:
        made = False
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(name, flags, dir_fd=parent)
    if made:
        try:
            if stat.S_IMODE(os.fstat(fd).st_mode) != DIRECTORY_MODE:
                os.fchmod(fd, DIRECTORY_MODE)
            own = owner(parent)
            if own is not None:
                os.fchown(fd, *own)
        except OSError:
            os.close(fd)
            raise
    return fd, made


def has_exactly(parent: int, name: bytes) -> bool:
    """Whether a directory holds that very name, and not one that only counts as the same."""
    return name in map(os.fsencode, os.listdir(parent))


def owner(directory: int) -> tuple[int, int] | None:
    """To whom new files in a directory are to belong; None: to whoever writes them.

    The superuser who imports into somebody's mail does not take it away from them.
    """
    if os.geteuid() != 0:
        return None
    about = os.fstat(directory)
    return (about.st_uid, about.st_gid) if about.st_uid != 0 else None


def sync(fd: int, durable: Durability) -> None:
    """Make a directory's names durable."""
    if durable.enabled and sys.platform != "darwin":
        os.fsync(fd)
    else:
        durable.descriptor(fd)


# --- small files


_LEFT_BEHIND: Final = 120.0
"""Seconds without a change after which a lock is nobody's: as long as Dovecot waits."""


def _remove_left_behind(directory: int, lock: str) -> None:
    with contextlib.suppress(OSError):
        made = os.stat(lock, dir_fd=directory, follow_symlinks=False)
        if time.time() - made.st_mtime > _LEFT_BEHIND:
            os.unlink(lock, dir_fd=directory)


def change_file(
    directory: int,
    name: str,
    lock: str,
    change: Callable[[bytes], bytes | None],
    durable: Durability,
) -> bool:
    """Give a small file new octets at once: whoever reads it has the old or the new ones.

    Args:
        directory: descriptor of where it lies.
        name: of the file.
        lock: the name that the new octets are written under; made exclusively, so that it is a
            lock as well, as Dovecot does it.
        change: is given the octets that are there, none if there is no such file; None: they stay.
        durable: whether it is synced.

    Returns:
        False if the lock is there already: somebody else is writing. One that nobody wrote to for
        two minutes is removed: its maker died.

    Raises:
        OSError: as the operating system says, ``LINK`` for a link; nothing is left behind.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(lock, flags, FILE_MODE, dir_fd=directory)
    except FileExistsError:
        _remove_left_behind(directory, lock)
        return False
    renamed = False
    try:
        old, mode = _read(directory, name)
        octets = change(old)
        if octets is not None:
            own = owner(directory)
            if own is not None:
                os.fchown(fd, *own)
            os.fchmod(fd, mode)
            write_all(fd, octets)
            durable.descriptor(fd)
            os.rename(lock, name, src_dir_fd=directory, dst_dir_fd=directory)
            renamed = True
            sync(directory, durable)
    finally:
        os.close(fd)
        if not renamed:
            with contextlib.suppress(OSError):
                os.unlink(lock, dir_fd=directory)
    return True


def _read(directory: int, name: str) -> tuple[bytes, int]:
    """The octets of a small file, and its mode."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        return b"", FILE_MODE
    try:
        pieces = []
        while piece := os.read(fd, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces), stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def patiently(attempt: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Try until it succeeds or the time is over; what is waited for takes milliseconds."""
    end = time.monotonic() + seconds
    while not attempt():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True

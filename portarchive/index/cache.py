"""The user's cache, for indexes of archives that may not be written or are files.

Owns where they lie there, and clears what nobody can use any more: a name there is a digest, so
beside each index lies the path of its archive, whose time is that of its last use. Refuses to touch
anything that is no index, and whatever fails here fails without a word: a cache is a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import Final

from portarchive.archive.durable import FILE_MODE
from portarchive.errors import SettingsError
from portarchive.index.columns import TABLES

PATH_FILE: Final = "archive-path"
"""What tells whose index it is: the real path of the archive, as octets."""
UNUSED: Final = 30 * 24 * 3600
"""Seconds after which an index is cleared whose archive is not there: a disk may come back."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_OURS: Final = frozenset({"index.json", PATH_FILE, *(f"{name}.parquet" for name in TABLES)})
_LONGEST: Final = 1 << 16


def place_of(archive: Path, elsewhere: str) -> Path:
    """The directory of the index of an archive (XDG Base Directory Specification).

    Its name is a digest of the real path of the archive: the fingerprint and the id of an archive
    change with every export.

    Args:
        archive: its path.
        elsewhere: how to name another place, for the hint.

    Raises:
        SettingsError: there is no home directory for it.
    """
    return _directory(elsewhere) / hashlib.sha256(_real(archive)).hexdigest()


def used(place: Path, archive: Path) -> None:
    """Note that an index of the cache is used now, and clear those that nobody can use any more.

    Args:
        place: where the index of the archive lies; what is not in the cache is left alone.
        archive: its path.
    """
    real = _real(archive)
    if place.name != hashlib.sha256(real).hexdigest():
        return
    with contextlib.suppress(OSError, SettingsError):
        cache = _directory("")
        if place.parent != cache:
            return
        _note(place, real)
        for one in cache.iterdir():
            if _DIGEST.fullmatch(one.name) and _is_useless(one):
                shutil.rmtree(one, ignore_errors=True)


def _directory(elsewhere: str) -> Path:
    told = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(told) if told.startswith("/") else _home(elsewhere) / ".cache"
    return cache / "portarchive" / "index"


def _home(elsewhere: str) -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise SettingsError(
            "there is no home directory in which the index could lie",
            hint=f"set XDG_CACHE_HOME, or {elsewhere}",
        ) from None


def _real(archive: Path) -> bytes:
    return os.fsencode(os.path.realpath(archive))


def _note(place: Path, real: bytes) -> None:
    """Write the path where it is not there yet, else only its time. Raises OSError."""
    about = os.lstat(place)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        return
    file = place / PATH_FILE
    if _path_in(file) == real:
        os.utime(file, follow_symlinks=False)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(file, flags, FILE_MODE)
    try:
        os.write(fd, real)
    finally:
        os.close(fd)


def _begin(place: Path) -> None:
    """Of an index of a version that noted nothing, note that it was met. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(place / PATH_FILE, flags, FILE_MODE))


def _path_in(file: Path) -> bytes | None:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, _LONGEST) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def _is_useless(place: Path) -> bool:
    """Whether it is an index of ours that was not used for long and whose archive is not there."""
    try:
        about = os.lstat(place)
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            return False
        last = about.st_mtime
        noted = False
        for one in place.iterdir():
            if one.name not in _OURS and not one.name.startswith(".building-"):
                return False
            noted = noted or one.name == PATH_FILE
            last = max(last, one.lstat().st_mtime)
        if not noted:
            _begin(place)
            return False
    except OSError:
        return False
    if time.time() - last < UNUSED:
        return False
    real = _path_in(place / PATH_FILE)
    if real is None or hashlib.sha256(real).hexdigest() != place.name:
        return True  # nobody knows its archive; it is made anew if anybody wants it
    try:
        os.lstat(real)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False

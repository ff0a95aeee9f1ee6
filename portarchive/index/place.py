"""Where an index lies, what ``index.json`` says of it, and how a new one takes its place.

Knows no pyarrow: whether an index is current is told without loading it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from portarchive.archive import model
from portarchive.archive.contents import Contents
from portarchive.archive.durable import DIRECTORY_MODE, FILE_MODE
from portarchive.archive.lock import lives
from portarchive.errors import Refused
from portarchive.index import cache
from portarchive.index.columns import DEFECTS, FORMAT, LARGEST, PARSER, TABLES

STATE_FILE: Final = "index.json"
SCHEMA: Final = "urn:portarchive:schema:index:1"
FILES: Final = tuple(f"{name}.parquet" for name in TABLES)
ELSEWHERE: Final = (
    "name another place: --output of portarchive index, --index of the verbs that ask it"
)
_BUILDING: Final = ".building-"
_STATE_LIMIT: Final = 16 << 20
_YOUNG: Final = 60.0
"""Seconds within which a build has its lock."""


def locate(archive: Path, contents: Contents, output: Path | None = None) -> Path:
    """Where the index of an archive lies, or is to lie; nothing is made or looked at in it.

    Args:
        archive: the path that was opened.
        contents: what was opened.
        output: where the user wants it.

    Returns:
        ``output``; ``ARCHIVE/index`` of a directory that may be written; else a directory of the
        cache.

    Raises:
        Refused: ``output`` is a place within the archive that is not ``ARCHIVE/index``.
        SettingsError: it is to be the cache, and there is no home directory for one.
    """
    if output is not None:
        if contents.kind == "directory":
            _refuse_within(archive, output)
        return output
    if contents.kind == "directory":
        inside = archive / model.INDEX_DIR
        there = inside if os.path.lexists(inside) else archive
        if os.access(there, os.W_OK | os.X_OK):
            return inside
    return cache.place_of(archive, ELSEWHERE)


def _refuse_within(archive: Path, place: Path) -> None:
    """Of an archive only ``index/`` is not mail, not in the manifest, not looked at by validate."""
    try:
        root = archive.resolve()
        real = place.resolve()
        if real == root / model.INDEX_DIR:
            return
        within = any(above.exists() and above.samefile(root) for above in (real, *real.parents))
    except (OSError, RuntimeError):  # a loop of links, or no way to look
        within = True
    if within:
        raise Refused(
            f"{place} is within the archive, so no index is written there",
            hint=f"leave it out for {archive / model.INDEX_DIR}, or {ELSEWHERE}",
        )


def state_of(place: Path) -> dict[str, Any] | None:
    """What index.json says; None if there is no whole index that this version can read."""
    try:
        with _regular(place / STATE_FILE) as fd:
            octets = os.read(fd, _STATE_LIMIT)
        state = json.loads(octets)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(state, dict) or state.get("$schema") != SCHEMA:
        return None
    if state.get("format") != FORMAT or state.get("parser") != PARSER:
        return None
    tables = state.get("tables")
    if not isinstance(tables, dict):
        return None
    for name in TABLES:
        told = tables.get(name)
        try:
            about = os.lstat(place / f"{name}.parquet")
        except OSError:
            return None
        if not isinstance(told, dict) or told.get("octets") != about.st_size:
            return None
        if not _is_count(told.get("rows")):
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
    defects = state.get("defects")
    if not isinstance(defects, dict) or not defects.keys() <= DEFECTS.keys():
        return None
    if not all(map(_is_count, defects.values())):
        return None
    return state


def _is_count(value: Any) -> bool:
    return value.__class__ is int and 0 <= value <= LARGEST


def is_current(place: Path, contents: Contents) -> bool:
    """Whether the index at a place is that of this very state of the archive.

    Of an archive without manifest never: archive.json alone does not tell whether a folder.json
    was changed.
    """
    state = state_of(place)
    if state is None or contents.manifest is None:
        return False
    archive = state.get("archive")
    return (
        isinstance(archive, dict)
        and archive.get("fingerprint") == contents.fingerprint
        and archive.get("changed_meanwhile") is False
    )


@contextmanager
def building(place: Path) -> Iterator[Path]:
    """A directory for a new index, within its place; gone afterwards.

    Raises:
        Refused: the place is a link or no directory, belongs to somebody else, or holds files of
            another kind.
        OSError: it cannot be made.
    """
    _check(place)
    place.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
    _sweep(place)
    made = place / f"{_BUILDING}{os.getpid()}-{secrets.token_hex(4)}"
    made.mkdir(DIRECTORY_MODE)
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # not every file system has locks: then the number tells
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def publish(made: Path, place: Path, state: Mapping[str, Any]) -> None:
    """Put the files of a new index in their place.

    index.json goes first and comes last: without it there is no index, and a reader that finds
    the same one before and after it opened the tables has tables that belong together.

    Raises:
        OSError: it cannot be done.
    """
    written = made / STATE_FILE
    text = json.dumps(state, ensure_ascii=False, indent=1) + "\n"
    written.write_text(text, encoding="utf-8")
    for name in (*FILES, STATE_FILE):
        (made / name).chmod(FILE_MODE)
    with _alone(place):
        with contextlib.suppress(FileNotFoundError):
            (place / STATE_FILE).unlink()
        for name in (*FILES, STATE_FILE):
            (made / name).replace(place / name)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """While no other build puts its files there: the tables of two would make one index."""
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _regular(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError("not a regular file")
        yield fd
    finally:
        os.close(fd)


def _check(place: Path) -> None:
    try:
        about = os.lstat(place)
    except FileNotFoundError:
        return
    hint = ELSEWHERE
    if not stat.S_ISDIR(about.st_mode):
        raise Refused(f"{place} is no directory, so no index is written there", hint=hint)
    if about.st_uid != os.geteuid():
        raise Refused(f"{place} belongs to another user", hint=hint)
    ours = {*FILES, STATE_FILE, cache.PATH_FILE}
    strange = [
        entry.name
        for entry in os.scandir(place)
        if entry.name not in ours and not entry.name.startswith(_BUILDING)
    ]
    if strange and not (place / STATE_FILE).exists():
        raise Refused(f"{place} is not empty and holds no index", hint=hint)


def _sweep(place: Path) -> None:
    """Remove what builds left behind that were killed."""
    for entry in os.scandir(place):
        if entry.name.startswith(_BUILDING) and entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):  # somebody else has removed it
                if not _is_built(Path(entry.path)):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _is_built(made: Path) -> bool:
    """Whether a process lives that builds there.

    The lock tells; the number of a process alone does not, for in a container all have the same
    few, and those of another one are not seen. Raises OSError.
    """
    process = made.name.removeprefix(_BUILDING).partition("-")[0]
    alive = process.isdecimal() and lives(int(process))
    young = time.time() - made.lstat().st_mtime < _YOUNG
    fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return alive
    finally:
        os.close(fd)
    return alive and young  # it may be about to lock it

"""How reading a stranger's archive fails: one clear line each, never the container's own errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portarchive.archive import model
from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree import BadMemberError, Trouble
from portarchive.errors import ArchiveError, Damaged, StorageFailed, UnsafePath

JUNK: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX"})
"""What desktops drop into any directory; passed over."""

_LONGEST: Final = 160
_HARMLESS: Final = frozenset({"F-014", "F-020", "Z-010", "Z-011", "Z-016", "Z-021"})
"""Troubles that leave no doubt about what is to be read."""
_OF_A_MEMBER: Final = frozenset({"F-012", "F-013", "Z-004", "Z-007", "Z-013", "Z-017"})
"""Troubles that make one member unreadable and say nothing of the others."""
_DOCUMENTS: Final = frozenset({*METADATA_FILES, model.MANIFEST_FILE, model.DIGESTS_FILE})


def shown(name: str) -> str:
    """A name from an archive as an error may show it: short, printable, on one line."""
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
    return name if name.isprintable() else ascii(name)[1:-1]


def missing(name: str) -> Damaged:
    """A file that something names is not there."""
    return Damaged(
        f"{shown(name)} is missing: the archive is damaged",
        hint="get this file back from a copy",
        code="missing",
    )


def in_base(name: str, base_id: str | None) -> Damaged:
    """A file that an archive of changes names and does not hold: it lies in the one it updates."""
    base = f"the base archive {shown(base_id)}" if base_id else "a base archive"
    return Damaged(
        f"{shown(name)} lies in {base}, which was not given",
        hint="import that archive too: this one has only what changed since",
        code="in-base",
    )


def failed(name: str, error: OSError) -> Damaged | StorageFailed:
    """A member is missing, or it is there and the system does not give it."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return missing(name)
    why = os.strerror(error.errno) if error.errno else "I/O error"
    return StorageFailed(f"{shown(name)} cannot be read: {why}")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """While octets of a member are read.

    Raises:
        Damaged: it is missing, or the container does not hold what it claims.
        StorageFailed: the system does not give it.
    """
    try:
        yield
    except BadMemberError as error:
        raise Damaged(f"{shown(name)} cannot be read: {error.text}", code=error.code) from None
    except OSError as error:
        raise failed(name, error) from None


def not_regular(name: str) -> Damaged:
    """A link, a pipe, a device."""
    return Damaged(
        f"{shown(name)} is not a regular file or directory",
        hint="an archive has no links, pipes or devices; do not trust this one",
        code="not-regular",
    )


def too_large(name: str, limit: int) -> Damaged:
    """A member that is over a limit."""
    return Damaged(f"{shown(name)} is over {limit:,} octets", code="too-large")


def encrypted(path: Path, how: str) -> ArchiveError:
    """The archive wants a passphrase."""
    return ArchiveError(
        f"{shown(str(path))} is encrypted, and this version reads archives that are not",
        hint=f"decrypt it first ({how}), or unpack it and name the directory",
        code="encrypted",
    )


def judge(trouble: Trouble, path: Path) -> None:
    """Refuse a container over one of its troubles, if that leaves in doubt what is to be read.

    Raises:
        ArchiveError: as ``refuse``.
    """
    if not trouble.fatal:
        if trouble.code in _HARMLESS:
            return
        parts = trouble.path.split("/")
        of_mail = model.MAIL in parts[:2] and not parts[-1].endswith(".eml")
        if trouble.code in _OF_A_MEMBER and not of_mail and parts[-1] not in _DOCUMENTS:
            return
    raise refuse(trouble, path)


def refuse(trouble: Trouble, path: Path) -> ArchiveError:
    """The error that a trouble of a container is."""
    if trouble.code == "Z-006":
        return encrypted(path, "unzip asks for the passphrase")
    where = shown(trouble.path or str(path))
    if trouble.code in {"F-010", "F-011"}:
        return UnsafePath(
            f"unsafe path {where} in the archive: {trouble.text}",
            hint="the archive is damaged or was made to do harm; do not use it",
        )
    return Damaged(
        f"{where} is not fit to be read: {shown(trouble.text)}",
        hint="'portarchive validate' tells all that is wrong with it",
        code=trouble.code,
    )

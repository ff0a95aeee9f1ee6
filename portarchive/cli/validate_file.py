"""Where ``validate --html`` writes: beside the archive, never into it or over it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from portarchive.errors import SettingsError


def check_place(text: str, *, archive: Path, base: Path | None) -> Path:
    """The file for the page, judged before the work is done rather than after it.

    Raises:
        SettingsError: it cannot be written, or it would change an archive.
    """
    path = Path(text)
    if not text or "\0" in text or path.is_dir():
        raise _unusable("it is a directory" if text and "\0" not in text else "it is no file name")
    place = path.resolve()
    for owner in (archive, base):
        if owner is not None and place.is_relative_to(owner.resolve()):
            raise SettingsError(
                f"the file of --html would change the archive at {owner}",
                hint="name a file outside it, e.g. --html report.html",
            )
    if _is_device(path):
        return path
    if not place.parent.is_dir():
        raise _unusable("its directory is not there")
    if not os.access(place.parent, os.W_OK):
        raise _unusable("permission denied")
    return path


def write_page(path: Path, page: str) -> None:
    """Write the page, whole or not at all; into a pipe or device as it comes.

    Raises:
        OSError: it cannot be written.
    """
    place = path.resolve()
    if _is_device(path):
        path.write_text(page, encoding="utf-8", newline="\n")
        return
    handle, name = tempfile.mkstemp(prefix=f".{place.name[:40]}.", dir=place.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123  a handle
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.write(page)
        Path(name).replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _is_device(path: Path) -> bool:
    """Whether it is there and no regular file: a pipe, ``/dev/stdout``."""
    return path.exists() and not path.is_file()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _unusable(reason: str) -> SettingsError:
    return SettingsError(
        f"the file of --html cannot be written: {reason}", hint="name another file"
    )

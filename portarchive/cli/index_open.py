"""An archive with its index, for the verbs that ask it: found, brought up to date, opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from portarchive.access.urls import parse_archive
from portarchive.cli import arguments, options
from portarchive.cli.index_progress import watching
from portarchive.errors import SettingsError
from portarchive.progress import Notice

if TYPE_CHECKING:
    from portarchive.archive.contents import Contents
    from portarchive.cli.progress_view import Mode

INDEX = "The index"

Place = Annotated[
    str | None,
    options.option(
        INDEX,
        "--index",
        "Where the index lies. Otherwise in the archive, or in your cache if that may not be"
        " written or is a file.",
        "DIR",
    ),
]
NoUpdate = Annotated[
    bool,
    options.option(
        INDEX, "--no-update", "Take the index as it is, though the archive may have changed."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An archive and its index.

    Attributes:
        path: of the archive, as given.
        contents: the archive.
        place: the directory of the index.
        mode, quiet: how progress is shown.
    """

    path: Path
    contents: Contents
    place: Path
    mode: Mode
    quiet: bool


def index_place(path: Path, contents: Contents, given: str | None) -> Path:
    """The directory of an index.

    Raises:
        SettingsError: what was given is no name of a directory.
    """
    from portarchive.index.place import locate  # noqa: PLC0415  start-up time

    if given is not None and (not given or "\0" in given):
        raise SettingsError(
            "the directory of the index has no name", hint="name one, or leave the option out"
        )
    return locate(path, contents, None if given is None else Path(given))


@contextlib.contextmanager
def opened(
    archive: str,
    *,
    index: str | None,
    no_update: bool,
    progress: str = "auto",
    quiet: bool = False,
) -> Iterator[Opened]:
    """Open an archive, and bring its index up to date if need be.

    Raises:
        PortArchiveError: there is no archive, or its index cannot be made.
        SettingsError: ``no_update``, and there is no index (``no-index``).
    """
    from portarchive.archive.contents import open_contents  # noqa: PLC0415  start-up time
    from portarchive.index.cache import used  # noqa: PLC0415

    mode = arguments.progress_mode(progress)
    path = parse_archive(archive, writing=False)
    with open_contents(path) as contents:
        place = index_place(path, contents, index)
        found = Opened(path=path, contents=contents, place=place, mode=mode, quiet=quiet)
        used(place, path)  # before: so that nobody else takes it for one that is not used any more
        _prepare(found, no_update=no_update)
        used(place, path)
        yield found


def _prepare(found: Opened, *, no_update: bool) -> None:
    from portarchive.index.place import is_current, state_of  # noqa: PLC0415  start-up time

    if is_current(found.place, found.contents):
        return
    there = state_of(found.place) is not None
    with watching("indexing", found.mode, quiet=found.quiet) as observer:
        if no_update:
            if not there:
                raise SettingsError(
                    "the archive has no index that this version can read",
                    hint="leave --no-update out, or run portarchive index ARCHIVE",
                    code="no-index",
                )
            observer(Notice("index-stale", "the archive may have changed since it was indexed"))
            return
        from portarchive.index.build import build  # noqa: PLC0415  start-up time

        if found.contents.manifest is not None:  # without one nobody knows whether it is current
            text = "the index is brought up to date" if there else "the archive is indexed first"
            observer(Notice("index-update", text, severity="note"))
        build(found.contents, found.place, observer=observer)

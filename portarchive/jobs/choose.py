"""Which folders of an account a job is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from portarchive.archive.naming import fit
from portarchive.errors import ServerMisbehaved, SettingsError
from portarchive.jobs.selection import Selection
from portarchive.records import Folder


def stands_for(folder: Folder, names: Sequence[str]) -> bool:
    """Whether a folder is ``unlisted`` and the one of these names may be among what it stands for.

    Of such a one nobody knows whether it is still there.
    """
    if folder.unlisted is None:
        return False
    return tuple(names) == folder.path or "/".join(names).startswith(folder.unlisted)


def fitted(
    listed: Iterable[Folder], known: Callable[[], Iterable[tuple[str, ...]]] = tuple
) -> list[Folder]:
    """The folders of a source as an archive can hold them: no path is too long for a file system.

    Where the last names are joined, text by text the path is what it was: patterns mean the same.

    Args:
        listed: all of the account.
        known: tells the names of the folders that the archive has; asked only if there is a
            ``doubtful`` folder, which is left out if it is none of them.
    """
    folders = list(listed)
    taken = {folder.path for folder in folders}
    for number, folder in enumerate(folders):
        path = fit(folder.path)
        if path == folder.path:
            continue
        last = path[-1]
        while path in taken:  # the name of another one has a slash in it
            path = (*path[:-1], f"{path[-1]}~")
        taken.add(path)
        raw = None if folder.raw_name is None else last.encode("utf-8", "surrogateescape")
        folders[number] = replace(folder, path=path, raw_name=raw)
    if not any(folder.doubtful for folder in folders):
        return folders
    here = set(known())
    return [
        folder
        for folder in folders
        if not folder.doubtful
        or folder.path in here
        or any(stands_for(folder, names) for names in here)
    ]


def visiting_order(chosen: Iterable[Folder]) -> list[Folder]:
    """The folders to be opened, in this order, but those of role ``all`` last.

    They hold what the others hold too (Gmail's All Mail): only what no other had is fetched then.
    """
    return sorted((f for f in chosen if f.selectable), key=lambda folder: "all" in folder.roles)


def folders(listed: Sequence[Folder], selection: Selection, *, updating: bool) -> list[Folder]:
    """The folders of a selection.

    Args:
        listed: all of the account.
        selection: what was asked for.
        updating: there is an archive already, which has its selection: a folder that answered to
            it then may be gone now.

    Raises:
        ServerMisbehaved: there is none at all.
        SettingsError: folders were asked for, and none of this account is such a one; or a
            pattern names none.
    """
    if not listed:
        raise ServerMisbehaved(
            "the account lists no folder at all, not even an inbox",
            hint="try again later; nothing was changed",
        )
    unmatched = selection.unmatched(listed)
    chosen = [folder for folder in listed if selection.wants_folder(folder)]
    if not updating and (unmatched or (listed and not chosen)):
        names = ", ".join(map(repr, unmatched))
        raise SettingsError(
            f"the account has no folder {names}" if names else "the selection has no folder",
            hint="portarchive export SOURCE --check lists the folders of the account",
            code="no-such-folder",
        )
    return chosen

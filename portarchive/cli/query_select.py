"""Which messages of an archive a query or a search names, for ``import --select-query``.

A query tells a message by ``file`` (``member``), or by ``folder`` and ``uid``; a search always
tells all of it. The file counts, for a message that is kept may have the folder and the uid of
another one. What is named is looked up in the archive itself: refuses what the archive does not
have, and what may be either of two messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from portarchive.cli.index_open import Opened, opened
from portarchive.cli.index_progress import watching
from portarchive.cli.output import columns, counted
from portarchive.cli.safe_text import safe
from portarchive.errors import SettingsError
from portarchive.progress import Notice

if TYPE_CHECKING:
    from portarchive.archive.contents import Contents
    from portarchive.index.query import Result, Session

SHOWN = 50
"""Messages that people see of what was selected; ``--json`` names ``NAMED``."""
NAMED = 1000


@dataclass(slots=True)
class Selected:
    """What was named.

    Attributes:
        words: for ``ImportOptions.select``.
        messages: the first ``NAMED`` of those that come, as ``$defs/selected`` of
            report.schema.json.
        count: of all that come.
        left: how many were named and do not come, for they are kept and that was not asked for.
            Their words are there, so that the import tells of them.
    """

    words: set[str] = field(default_factory=set)
    messages: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    left: int = 0

    def lines(self) -> list[str]:
        """For people."""
        rows = [
            [
                safe(one["file"] or f"{one['folder']}:{one['uid']}"),
                safe(one["subject"] or "")[:80],
            ]
            for one in self.messages[:SHOWN]
        ]
        lines = [f"selected: {counted(self.count, 'message')}"]
        lines += [f"  {line}" for line in columns((), rows)]
        if self.count > SHOWN:
            lines.append(f"  and {self.count - SHOWN:,} more")
        if self.left:
            was, come = ("was", "it comes") if self.left == 1 else ("were", "they come")
            lines.append(
                f"  and {counted(self.left, 'message')} that {was} deleted there before the last"
                f" export: {come} with --include-kept"
            )
        return lines


class _Name(NamedTuple):
    """What one row tells of a message, in the spelling of the index."""

    folder: str | None
    uid: str | None
    file: str | None
    subject: str | None

    def shown(self) -> str:
        return safe(self.file or f"{self.folder}:{self.uid}")[:200]


class _Spot(NamedTuple):
    """An entry of the archive that may be meant.

    Attributes:
        number: of it, among all.
        folder, uid: in the spelling of the index.
        word: for ``ImportOptions.select``; nothing else answers to it.
    """

    number: int
    folder: str
    uid: str
    file: str
    word: str
    kept: bool


def select(
    archive: str,
    *,
    sql: str | None,
    search: str | None,
    include_kept: bool,
    progress: str,
    quiet: bool,
) -> Selected:
    """The messages of an archive that SQL, or a search, names.

    Args:
        archive: as it was typed.
        sql: one statement over the index, or
        search: words of a search.
        include_kept: what the account had deleted before the last export comes as well.
        progress: how an index that must be made first is told of.
        quiet: likewise.

    Raises:
        SettingsError: it cannot be understood, names no message, or does not tell which.
        PortArchiveError: there is no archive, or no index can be made of it.
    """
    from portarchive.index.query import Session  # noqa: PLC0415  start-up time

    with (
        opened(archive, index=None, no_update=False, progress=progress, quiet=quiet) as found,
        Session(found.place) as session,
    ):
        names = list(
            dict.fromkeys(
                _of_query(session, sql)
                if sql is not None
                else _of_search(session, found, search or "")
            )
        )
        selected = _selected(names, found.contents, include_kept=include_kept)
    if selected.left and not selected.count:
        what = f"all {selected.left:,} selected messages were"
        raise SettingsError(
            f"{what if selected.left > 1 else 'the selected message was'} deleted there before the"
            " last export",
            hint="add --include-kept to bring what the old account had deleted",
        )
    if not selected.words:
        raise SettingsError(
            "no message is selected", hint="try it with portarchive query or search first"
        )
    return selected


def _of_query(session: Session, sql: str) -> Iterator[_Name]:
    result = session.ask(sql)
    places = _places(result)
    for row in result.rows():
        name = _Name(*(None if at is None or row[at] is None else str(row[at]) for at in places))
        if name.file or (name.folder is not None and name.uid is not None):
            yield name
        elif (name.folder, name.uid, name.file) != (None, None, None):
            raise _untold("a row of the query")
        # else it is of an outer join, and has no message


def _places(result: Result) -> Sequence[int | None]:
    """Where the members of ``_Name`` are."""
    names = [column.name.lower() for column in result.columns]

    def at(*wanted: str) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    places = at("folder"), at("uid"), at("file", "member"), at("subject")
    if places[2] is None and None in places[:2]:
        raise _untold("the query")
    return places


def _untold(what: str) -> SettingsError:
    return SettingsError(
        f"{what} does not tell which messages it is about",
        hint="select member, or the columns folder and uid, of messages",
    )


def _of_search(session: Session, found: Opened, words: str) -> Iterator[_Name]:
    from portarchive.index.search import Search  # noqa: PLC0415  start-up time
    from portarchive.index.search_syntax import parse  # noqa: PLC0415

    job = Search(parse([words]))
    with watching("reading", found.mode, quiet=found.quiet) as observer:
        for message in job.run(session, found.contents, observer):
            yield _Name(message.folder, message.uid, message.file, message.subject)
        if job.unreadable:
            text = (
                f"{counted(job.unreadable, 'message')} could not be read, so nobody knows whether"
                " the text answers to the search; validate tells of them"
            )
            observer(Notice("text-unreadable", text))


def _selected(names: Sequence[_Name], contents: Contents, *, include_kept: bool) -> Selected:
    files = {name.file for name in names if name.file}
    places = {(name.folder, name.uid) for name in names}
    by_file: dict[str, list[_Spot]] = defaultdict(list)
    by_place: dict[tuple[str, str], list[_Spot]] = defaultdict(list)
    for spot in _spots(contents, files, places) if names else ():
        by_file[spot.file].append(spot)
        by_place[spot.folder, spot.uid].append(spot)
    selected = Selected()
    taken: set[int] = set()
    for name in names:
        for spot in _meant(name, by_file, by_place):
            if spot.number in taken:
                continue
            taken.add(spot.number)
            selected.words.add(spot.word)
            if spot.kept and not include_kept:
                selected.left += 1
                continue
            selected.count += 1
            if len(selected.messages) < NAMED:
                told = {"folder": spot.folder, "uid": spot.uid, "file": spot.file or None}
                selected.messages.append({**told, "subject": name.subject})
    return selected


def _meant(
    name: _Name,
    by_file: dict[str, list[_Spot]],
    by_place: dict[tuple[str, str], list[_Spot]],
) -> list[_Spot]:
    """The entries that a row names: several only if they have one file, and it tells no more."""
    place = name.folder or "", name.uid or ""
    if name.file:
        found = by_file.get(name.file, [])
        found = [spot for spot in found if (spot.folder, spot.uid) == place] or found
    else:
        found = by_place.get(place, [])
        if len(found) > 1:
            raise SettingsError(
                f"{len(found):,} messages of the archive are {name.shown()}",
                hint="one was deleted there before another got its uid:"
                " select member too, which is the file of a message",
                code="ambiguous-message",
            )
    if not found:
        raise SettingsError(
            f"the archive has no message {name.shown()}",
            hint="select member, or the columns folder and uid, of messages as they are",
            code="no-such-message",
        )
    return found


def _spots(
    contents: Contents, files: set[str], places: set[tuple[str | None, str | None]]
) -> Iterator[_Spot]:
    """The entries that have one of these files or places."""
    from portarchive.index.items import path_text  # noqa: PLC0415  start-up time
    from portarchive.index.words import clean  # noqa: PLC0415
    from portarchive.jobs.replay.gather import entry_word  # noqa: PLC0415

    wanted = []
    shared: set[str] = set()
    number = 0
    for folder in contents.folders():
        path, own = path_text(folder.path), f"mail/{folder.path}" if folder.path else "mail"
        seen: set[str] = set()
        for kept in (False, True):
            for item in contents.items(folder, kept):
                number += 1
                # a file that other entries have too: of one in another folder nobody knows
                if item.member in seen or item.member.rpartition("/")[0] != own:
                    shared.add(item.member)
                seen.add(item.member)
                file, uid = clean(item.member), clean(item.uid)
                if file in files or (path, uid) in places:
                    wanted.append((number, path, uid, file, item))
    for number, path, uid, file, item in wanted:
        word = entry_word(item) if item.member in shared else item.member
        yield _Spot(number, path, uid, file, word, item.kept)

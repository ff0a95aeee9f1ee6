"""Which messages of an archive a query or a search names, for ``import --select-query``.

A query tells a message by ``folder`` and ``uid``, or by ``file`` (``member``); a search always
does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portarchive.cli.index_open import Opened, opened
from portarchive.cli.output import columns, counted
from portarchive.cli.safe_text import safe
from portarchive.errors import SettingsError

if TYPE_CHECKING:
    from portarchive.index.query import Result, Session

SHOWN = 50
"""Messages that people see of what was selected; ``--json`` names ``NAMED``."""
NAMED = 1000


@dataclass(slots=True)
class Selected:
    """What was named.

    Attributes:
        words: for ``ImportOptions.select``.
        messages: the first ``NAMED`` of them, as ``$defs/selected`` of report.schema.json.
        count: of all.
    """

    words: set[str] = field(default_factory=set)
    messages: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, folder: str | None, uid: str | None, file: str | None, about: Any) -> None:
        """One message; once is enough."""
        word = f"{folder}:{uid}" if folder is not None and uid else file
        if not word or word in self.words:
            return
        self.words.add(word)
        self.count += 1
        if len(self.messages) < NAMED:
            told = {"folder": folder, "uid": uid, "file": file}
            self.messages.append({**told, "subject": None if about is None else str(about)})

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
        return lines


def select(
    archive: str, *, sql: str | None, search: str | None, progress: str, quiet: bool
) -> Selected:
    """The messages of an archive that SQL, or a search, names.

    Raises:
        SettingsError: it cannot be understood, names no message, or does not tell which.
        PortArchiveError: there is no archive, or no index can be made of it.
    """
    from portarchive.index.query import Session  # noqa: PLC0415  start-up time

    with (
        opened(archive, index=None, no_update=False, progress=progress, quiet=quiet) as found,
        Session(found.place) as session,
    ):
        selected = (
            _by_query(session, sql) if sql is not None else _by_search(session, found, search or "")
        )
        _in_own_words(selected, found)
    if not selected.words:
        raise SettingsError(
            "no message is selected", hint="try it with portarchive query or search first"
        )
    return selected


def _by_query(session: Session, sql: str) -> Selected:
    result = session.ask(sql)
    places = _places(result)
    selected = Selected()
    for row in result.rows():
        told = {name: None if at is None else row[at] for name, at in places.items()}
        selected.add(
            _text(told["folder"]), _text(told["uid"]), _text(told["file"]), told["subject"]
        )
    return selected


def _places(result: Result) -> dict[str, int | None]:
    names = [column.name.lower() for column in result.columns]

    def at(*wanted: str) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    places = {
        "folder": at("folder"), "uid": at("uid"), "file": at("file", "member"),
        "subject": at("subject"),
    }  # fmt: skip
    if places["file"] is None and (places["folder"] is None or places["uid"] is None):
        raise SettingsError(
            "the query does not tell which messages it is about",
            hint="select the columns folder and uid, or member, of messages",
        )
    return places


def _by_search(session: Session, found: Opened, words: str) -> Selected:
    from portarchive.index.search import Search  # noqa: PLC0415  start-up time
    from portarchive.index.search_syntax import parse  # noqa: PLC0415

    selected = Selected()
    for message in Search(parse([words])).run(session, found.contents):
        selected.add(message.folder, message.uid, message.file, message.subject)
    return selected


def _in_own_words(selected: Selected, found: Opened) -> None:
    """Folders whose path is not Unicode are spelled otherwise in the index than in the archive."""
    from portarchive.index.items import path_text  # noqa: PLC0415  start-up time

    other = {
        path_text(folder.path): folder.path
        for folder in found.contents.folders()
        if path_text(folder.path) != folder.path
    }
    for word in [word for word in selected.words if word.rpartition(":")[0] in other]:
        folder, _, uid = word.rpartition(":")
        selected.words.remove(word)
        selected.words.add(f"{other[folder]}:{uid}")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)

"""A renamed mailbox is a rename: its messages take their files along, and none is fetched again.

A mailbox that was not here under its name, and has the MAILBOXID (RFC 8474) and the UIDVALIDITY of
a folder that is here and no longer listed, is that folder. The files get names in the new
directory by hard links (copies where there are none), each told to the journal as any other
message; the old directory goes when the new state is published.
"""

from __future__ import annotations

from collections.abc import Collection

from portarchive.archive import model
from portarchive.archive.batch import Entry
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState
from portarchive.archive.layout import Names
from portarchive.archive.naming import resolve_item
from portarchive.archive.octets import Found, relative
from portarchive.archive.writer import ArchiveWriter, Written
from portarchive.records import FolderOpened


class Renames:
    """Finds the folder that a mailbox was before it was renamed, and moves it."""

    def __init__(self, writer: ArchiveWriter, listed: Collection[Names]) -> None:
        self._writer = writer
        self._vanished: dict[str, FolderState] = {}
        for state in writer.folders():
            header = state.published.header if state.published else {}
            box = header.get("uid")
            if isinstance(box, str) and box != state.path and state.names not in listed:
                self._vanished[box] = state

    def follow(self, opened: FolderOpened, state: FolderState) -> FolderState | None:
        """Move what is here to the mailbox's new place.

        Returns:
            The folder that it was, None if it was none.
        """
        box = opened.folder.uid
        old = self._vanished.get(box) if box is not None else None
        if old is None or old.published is None or state.published is not None:
            return None
        if old.published.header.get("uidvalidity") != opened.uidvalidity:
            return None
        old.moved = True
        state.inherits = old
        known = state.known(self._writer.journal)
        for line in old.published_lines():
            entry = parse_entry(line)
            if str(entry["uid"]) not in known:
                self._move(old, state, entry)
        for member in (model.KEPT, model.PLACEHOLDER):
            for line in old.published_lines(member):
                filename = str(parse_entry(line)["filename"])
                if "/" not in filename:
                    self._writer.carry(state, filename, old.directory / filename)
        self._writer.flush()
        state.forget_index()
        return old

    def _move(self, old: FolderState, state: FolderState, item: dict[str, object]) -> None:
        filename = str(item["filename"])
        path = resolve_item(f"{model.MAIL}/{old.path}", filename)
        if not (self._writer.root / path).exists():
            return  # it is fetched again
        known = Written(filename, int(str(item[model.SIZE])), str(item[model.SHA256]))
        entry = _entry(item)
        if "/" in filename:
            place = relative(Found(path, known), f"{model.MAIL}/{state.path}")
            state.shares = True
            self._writer.refer(state, entry, known._replace(filename=place))
        else:
            self._writer.link(state, filename, entry, self._writer.root / path, known)


def _entry(item: dict[str, object]) -> Entry:
    """The item as it was, in pieces; nothing of it is lost."""
    rest = dict(item)
    uid = model.dumps(str(rest.pop("uid")))[1:-1]
    flags = model.dumps(rest.pop("flags", []))
    received = ""
    for name in (model.RECEIVED_AT, model.RECEIVED_AT_RAW):
        if name in rest:
            received += f'"{name}":{model.dumps(rest.pop(name))},'
    for name in ("filename", model.SIZE, model.SHA256):
        rest.pop(name, None)
    return Entry(uid, flags, received, None, "," + model.dumps(rest)[1:-1] if rest else "")

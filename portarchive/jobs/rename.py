"""A renamed mailbox is a rename: its messages take their files along, and none is fetched again.

A mailbox that was not here under its name, and has the MAILBOXID (RFC 8474) and the UIDVALIDITY of
a folder that is here, is that folder. The files get names in the new directory by hard links
(copies where there are none), each told to the journal as any other message. If the old name is no
longer listed, its directory goes when the new state is published; if another mailbox has it now,
the directory is that one's. An id that several folders bear says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from portarchive.archive import model
from portarchive.archive.batch import Entry
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState
from portarchive.archive.layout import Names
from portarchive.archive.naming import resolve_item
from portarchive.archive.octets import Found, relative
from portarchive.archive.writer import ArchiveWriter, Written
from portarchive.records import FolderOpened


def mailbox_id(state: FolderState) -> str | None:
    """The id of the mailbox that a folder was published from, None if it had none."""
    box = state.published.header.get("uid") if state.published else None
    return box if isinstance(box, str) and box != state.path else None


class Renames:
    """Finds the folder that a mailbox was before it was renamed, and moves it.

    Args:
        writer: of the archive.
        listed: names of all mailboxes that the source has now.
        object_ids: the source has ids of messages: only then a mailbox that took the name of
            another one is followed, for they would show it if the ids of mailboxes were wrong.
    """

    def __init__(
        self, writer: ArchiveWriter, listed: Collection[Names], *, object_ids: bool
    ) -> None:
        self._writer = writer
        self._listed = listed
        self._object_ids = object_ids
        self._places: dict[str, str] = {}
        self._folders: dict[str, FolderState | None] = {}
        for state in writer.folders():
            box = mailbox_id(state)
            if box is not None:
                self._folders[box] = None if box in self._folders else state

    def follow(
        self, opened: FolderOpened, state: FolderState, boxes: Mapping[str, str | None]
    ) -> FolderState | None:
        """Move what is here to the mailbox's new place, where nothing of its own is.

        Args:
            opened: the mailbox.
            state: its new place.
            boxes: by path, the ids of the mailboxes that were opened in this run.

        Returns:
            The folder that it was, None if it was none.
        """
        box = opened.folder.uid
        old = self._folders.get(box) if box is not None else None
        if box is None or old is None or old is state or old.published is None:
            return None
        if old.published.header.get("uidvalidity") != opened.uidvalidity:
            return None
        if self._places.setdefault(box, state.path) != state.path:
            return None  # of two mailboxes with one id, it is one at most
        if old.names in self._listed:
            if not self._object_ids or boxes.get(old.path) == box:
                return None
            self._move_items(old, state)
            return old
        old.moved = True
        state.inherits = old
        self._move_items(old, state)
        for member in (model.KEPT, model.PLACEHOLDER):
            for line in old.published_lines(member):
                filename = str(parse_entry(line)["filename"])
                if "/" not in filename:
                    self._writer.carry(state, filename, old.directory / filename)
        return old

    def _move_items(self, old: FolderState, state: FolderState) -> None:
        known = state.known(self._writer.journal)
        for line in old.published_lines():
            entry = parse_entry(line)
            if str(entry["uid"]) not in known:
                self._move(old, state, entry)
        self._writer.flush()
        state.forget_index()

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

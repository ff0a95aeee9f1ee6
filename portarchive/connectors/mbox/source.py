"""mbox files as a ``Source``: each file a folder, but the files of Google Takeout by their labels.

References come in the order of the file, which is the order in which it can be read, not in that
of their uids: those are digests. Listings are always whole; an index of the file takes a second a
gigabyte, and nothing but its octets tells what changed in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from portarchive.connectors.base import Outcome, SourceCapabilities, Wanted
from portarchive.connectors.local.header import LIMIT, end_of_header, message_id
from portarchive.connectors.local.opening import check_options, folder_id, looking
from portarchive.connectors.local.root import Root, failure
from portarchive.connectors.local.spelling import left_out, scalar, service
from portarchive.connectors.mbox.box import Box
from portarchive.connectors.mbox.index import Index
from portarchive.connectors.mbox.shelf import Shelf
from portarchive.connectors.mbox.tree import TORN, Found, Tree, look_around
from portarchive.errors import ConnectionLost, Unreachable
from portarchive.records import (
    Change,
    Failure,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    SourceIdentity,
    Vanished,
)

WINDOW: Final = 2000
WINDOW_OCTETS: Final = 64 << 20
"""References between two fetch points, and what their messages add up to."""

_LOOK_EVERY: Final = 64
_LOOK_OCTETS: Final = 1 << 20

_HINT: Final = "write it like this: mbox:/home/jane/mail.mbox, or mbox:/home/jane/Takeout"


class MboxSource:
    """See the module.

    Args:
        path: of the file, or of the directory above the files.
        rd: quoting is mboxrd; else octets stay as they are (mboxo).
        roles_by_name: give roles to folders with well-known names.

    Raises:
        Unreachable: there is no mbox.
    """

    capabilities = SourceCapabilities(flags_in_listing=True, imap_uids=False)

    def __init__(self, path: str, *, rd: bool = True, roles_by_name: bool = False) -> None:
        self._root = Root(path, hint=_HINT)
        self._rd = rd
        self._by_name = roles_by_name
        self._boxes: dict[Path, Box] = {}
        self._shelves: list[Shelf] = []
        self._refused: dict[str, tuple[str, str]] = {}
        self._place: dict[tuple[str, str], tuple[Box, Index, int]] = {}
        self._notes: list[dict[str, Any]] = []
        self._look()

    def _look(self) -> Tree:
        root = self._root
        with looking(root, hint=_HINT):
            tree = look_around(root, roles_by_name=self._by_name)
        if not root.is_directory:
            only = tree.folders[0]
            if only.refused is not None and not only.torn:
                raise _refusal(root, *only.refused)
        closed = [found for found in tree.folders if found.unlisted]
        if closed and len(closed) == len(tree.folders):
            raise Unreachable(
                f"there is no mbox file in {root.shown} that can be read, and"
                f" {closed[0].file} cannot be looked into",
                hint="see who may read it",
                code="unreadable",
            )
        if not tree.folders:
            raise Unreachable(
                f"there is no mbox file in {root.shown}",
                hint="a Maildir is maildir:PATH; archives (.zip, .tgz) have to be unpacked first",
                code="not-mbox",
            )
        return tree

    # --- Source

    def identity(self) -> SourceIdentity:
        """Whose mail: the name of the file or directory."""
        self._root.check()
        shown = self._root.shown
        return SourceIdentity(
            protocol="mbox",
            service=service("mbox", shown) + ("" if self._rd else "?format=mboxo"),
            account=scalar(shown.name or "mail"),
            server={"name": "mboxrd" if self._rd else "mboxo"},
        )

    def folders(self) -> Sequence[Folder]:
        """All folders, counted: every file is indexed for it."""
        self._root.check()
        tree = self._look()
        top = self._root.path
        self._notes = [
            *([{"code": "files-left-out", "count": tree.left_out}] if tree.left_out else []),
            *left_out("files-left-out", tree.deep, top),
            *left_out("links-left-out", tree.links, top),
        ]
        self._refused = {}
        known = {found.file for found in tree.folders}
        for path in [path for path in self._boxes if path not in known]:
            self._boxes.pop(path).close()
        takeout: list[Box] = []
        plain: list[tuple[Found, Box]] = []
        records: list[Folder] = []
        for found in tree.folders:
            box = None if found.refused is not None and not found.torn else self._indexed(found)
            if box is None:
                key = folder_id(found.path)
                self._refused.setdefault(key, found.refused or ("unreadable", "it cannot be read"))
                records.append(_record(found, None))
            elif box.takeout:
                takeout.append(box)
            else:
                plain.append((found, box))
        self._shelves = [Shelf([box], found=found) for found, box in plain]
        records += [_record(found, len(box.index)) for found, box in plain]
        if takeout:
            shelf = Shelf(takeout, beside=records)
            self._shelves.append(shelf)
            labels = shelf.records()
            if _is_torn(shelf) and labels:  # others may have been in what is spoilt
                labels[0] = replace(labels[0], unlisted="")
            records += labels
        taken = {record.path for record in records}
        for found in tree.doubtful:
            if found.path not in taken and found.refused is not None:
                self._refused[folder_id(found.path)] = found.refused
                records.append(replace(_record(found, None), doubtful=True))
        return sorted(records, key=lambda record: (record.path != ("INBOX",), record.path))

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. The labels of a Takeout are visited together."""
        if not self._shelves and not self._refused:
            self.folders()
        asked = {folder.folder_id: folder for folder in wanted.folders}
        for key in [key for key in asked if key in self._refused]:
            asked.pop(key)
            yield FolderFailed(key, *self._refused[key])
        identify = {
            key
            for key in asked
            if key in wanted.tokens and wanted.tokens[key].get("uidvalidity", "") is None
        }
        notes = self._notes
        for shelf in self._shelves:
            mine = {key: asked.pop(key) for key in list(asked) if key in shelf.folder_ids}
            if mine:
                yield from self._visit(shelf, mine, identify, notes)
                if not _is_torn(shelf):
                    notes = []
        for key in asked:
            yield FolderFailed(key, "folder-unavailable", "there is no such folder")

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``. The references know everything already."""
        if refs and not self._shelves:
            self.folders()
        fetched, octets = _LOOK_EVERY, 0
        looked: set[Box] = set()
        for ref in refs:
            if fetched >= _LOOK_EVERY or octets >= _LOOK_OCTETS:
                self._root.check()
                looked.clear()
                fetched = octets = 0
            box, number = self._find(ref)
            if box is not None and box not in looked:
                looked.add(box)
                if not box.look():
                    self._reread(box)
                    box, number = self._find(ref)
            body = box.body(number) if box is not None else None
            if body is None and box is not None:
                self._reread(box)
                box, number = self._find(ref)
                body = box.body(number) if box is not None else None
            fetched += 1
            octets += ref.size or 0
            yield ref, Vanished() if body is None else body

    def reconnect(self) -> None:
        """Look again at what lies there."""
        self.close()
        self._root.connect()
        self._look()

    def close(self) -> None:
        """Let go of all files."""
        for box in self._boxes.values():
            box.close()
        self._boxes.clear()
        self._shelves = []
        self._refused = {}
        self._place = {}
        self._root.close()

    # --- inside

    def _indexed(self, found: Found) -> Box | None:
        box = self._boxes.get(found.file)
        if box is not None and box.torn != found.torn:
            self._boxes.pop(found.file).close()
            box = None
        if box is None:
            box = Box(found.file, self._root, rd=self._rd, torn=found.torn)
            self._boxes[found.file] = box
        try:
            box.refresh()
        except OSError as error:
            gone = failure(self._root.shown, error)
            if gone is not None:
                raise gone from error
            reason = error.strerror or "it cannot be read"
            self._refused[folder_id(found.path)] = ("unreadable", reason)
            return None
        return box

    def _visit(
        self,
        shelf: Shelf,
        mine: Mapping[str, Folder],
        identify: set[str],
        notes: list[dict[str, Any]],
    ) -> Iterator[Change]:
        gone = self._gone(shelf)
        if gone:
            for key in mine:
                yield FolderFailed(key, "folder-unavailable", gone)
            return
        shelf.begin(set(mine), identify)
        for key, folder in mine.items():
            yield FolderOpened(folder=folder, complete=True, counts={"exists": shelf.count(key)})
        # The last message of a file may still be growing: it is named at the end.
        yield from self._windows(shelf, last=False)
        self._root.check()
        for box in shelf.boxes:
            self._reading(box, box.catch_up)
        shelf.sort()
        yield from self._windows(shelf, last=True)
        self._root.check()
        if _is_torn(shelf):
            for key in mine:
                yield FolderFailed(key, *TORN)
            return
        later = sum(box.arrived() for box in shelf.boxes)
        for number, key in enumerate(mine):
            yield FolderDone(
                folder_id=key,
                token={"by": "digest"},
                listed=shelf.listed(key),
                arrived_later=0 if number else later,
                notes=(*([] if number else [*notes, *shelf.notes()]),),
            )

    def _gone(self, shelf: Shelf) -> str | None:
        """Why a shelf cannot be visited; None if it can. Its files are indexed anew if need be."""
        for box in shelf.boxes:
            try:
                box.refresh()
            except OSError as error:
                lost = failure(self._root.shown, error)
                if lost is not None:
                    raise lost from error
                return error.strerror or "it cannot be read"
        shelf.sort()
        return None

    def _windows(self, shelf: Shelf, *, last: bool) -> Iterator[Change]:
        """References, and fetch points between them."""
        window: list[tuple[MessageRef, Box, Index, int]] = []
        octets = 0
        for one in shelf.references(last=last):
            window.append(one)
            octets += one[0].size or 0
            if len(window) >= WINDOW or octets >= WINDOW_OCTETS:
                yield from self._window(shelf, window)
                self._root.check()
                window = []
                octets = 0
        if window:
            yield from self._window(shelf, window)

    def _window(
        self, shelf: Shelf, window: list[tuple[MessageRef, Box, Index, int]]
    ) -> Iterator[Change]:
        """By folder: whoever writes them need not change directories at each message."""
        window.sort(key=lambda one: one[0].placements[0].folder_id)
        self._place = place = {one[0].placements[0][:2]: one[1:] for one in window}
        identify = shelf.identifies_any
        for ref, _, _, _ in window:
            if identify and shelf.identifies(ref):
                box, index, number = place[ref.placements[0][:2]]
                ref = ref._replace(message_id=_message_id(box, index, number))  # noqa: PLW2901
            yield ref
        yield FetchPoint()

    def _find(self, ref: MessageRef) -> tuple[Box | None, int]:
        """Where a message lies; it may have been named long ago."""
        placement = ref.placements[0]
        found = self._place.get(placement[:2])
        if found is not None and found[0].index is found[1]:
            return found[0], found[2]
        for shelf in self._shelves:
            if placement.folder_id in shelf.folder_ids:
                return shelf.find(placement.uid) or (None, 0)
        return None, 0

    def _reread(self, box: Box) -> None:
        """Index a file anew that was replaced or rewritten; what was found in it means nothing."""
        self._place = {}
        self._reading(box, box.refresh)
        for shelf in self._shelves:
            if box in shelf.boxes:
                shelf.number()

    def _reading(self, box: Box, read: Callable[[], None]) -> None:
        """Read a file that was there a moment ago.

        Raises:
            ConnectionLost: it is not, or cannot be read any more.
        """
        try:
            read()
        except OSError as error:
            self._root.check()
            raise ConnectionLost(f"{box.path} went away: {error.strerror}") from error


def _refusal(root: Root, code: str, words: str) -> Unreachable:
    """The error of a single file that cannot be read as an mbox."""
    text = f"{root.shown} cannot be read: {words}"
    if code == "mmdf":
        hint = "convert it first; mutt, among others, writes it as mbox"
        return Unreachable(text, hint=hint, code="mmdf")
    if code == "not-mbox":
        hint = "unpack it first if it is an archive (.zip, .tgz)"
        return Unreachable(text, hint=hint, code="not-mbox")
    return Unreachable(text, hint="see who may read it", code="unreadable")


def _is_torn(shelf: Shelf) -> bool:
    """Whether some of its mail is spoilt, so that nothing that is not named counts as gone."""
    return any(box.torn for box in shelf.boxes)


def _record(found: Found, messages: int | None) -> Folder:
    return Folder(
        folder_id=folder_id(found.path),
        path=found.path,
        raw_name=found.raw,
        roles=() if found.role is None else (found.role,),
        messages=messages,
        unlisted=found.unlisted,
    )


def _message_id(box: Box, index: Index, number: int) -> bytes:
    """Message-ID of a message, for matching it with one of another source."""
    body = box.body(number) if box.index is index else None
    head = b""
    if body is None or isinstance(body, Failure):
        return b""
    for piece in body.chunks():
        head += piece
        if len(head) >= LIMIT:
            break
    return message_id(head[: end_of_header(head)])


def open_source(path: str, options: Mapping[str, str]) -> MboxSource:
    """The file or the tree at a path.

    Args:
        path: ``~`` is the user's home.
        options: ``format``: ``mboxrd`` (the default) or ``mboxo``; ``roles``: ``names`` gives
            roles to folders with well-known names.

    Raises:
        SettingsError: an option that is none.
        ConnectorError: there is no mbox, or it cannot be read.
    """
    known = {"format": ("mboxrd", "mboxo"), "roles": ("names",)}
    check_options("mbox", options, known, hint=_HINT)
    return MboxSource(path, rd=options.get("format") != "mboxo", roles_by_name="roles" in options)

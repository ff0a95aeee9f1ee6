"""One folder while it is being written: what is here, what is new, what changed, what is gone.

Memory is what counts: a folder may hold 300,000 messages. New entries are remembered by their
offset in the journal; what is here already is an index uid → flags while the folder is compared,
and nothing afterwards.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from portarchive.archive import model
from portarchive.archive.folder_file import ITEM_HEAD, FolderFile, parse_entry
from portarchive.archive.journal import Journal
from portarchive.archive.messages import MessageDirectory
from portarchive.errors import Damaged

SHA256 = re.compile(rb'"portarchive:sha256":"([0-9a-f]{64})"')

FlagsJson = bytes
"""The ``flags`` array as JSON text: what the index holds, interned."""


def split_head(line: bytes) -> tuple[str, str, FlagsJson]:
    """uid, filename and flags of an entry, without parsing the rest of it."""
    match = ITEM_HEAD.match(line)
    if match is not None:
        uid, filename, flags = match.groups()
        if b"\\" not in uid and b"\\" not in filename:
            return uid.decode(), filename.decode(), flags
    entry = parse_entry(line)
    flags = model.dumps(entry.get("flags", [])).encode()
    if "uid" not in entry or "filename" not in entry:
        raise Damaged("an entry of a folder.json has no uid or no filename")
    return str(entry["uid"]), str(entry["filename"]), flags


_SHA256_LAST = b'"portarchive:sha256":"'


def line_sha256(line: bytes) -> bytes:
    """The digest that an entry names, in hex; empty if it names none."""
    if line[-88:-66] == _SHA256_LAST:  # most often it is the last member
        return line[-66:-2]
    match = SHA256.search(line)
    return match[1] if match else b""


def order_key(uid: str) -> tuple[int, str]:
    """Numbers by value, then everything else by its text. Different uids never have one key."""
    number = uid.isdecimal() and uid.isascii() and len(uid) < 20 and (uid[0] != "0" or uid == "0")
    return (int(uid), "") if number else (1 << 64, uid)


class FolderState:
    """The state of one folder in one run.

    Attributes:
        number: of this folder in the journal.
        path: POSIX, below ``mail/``.
        names: the mailbox's own names from the root.
        published: its folder.json, None if there is none yet.
        uidvalidity: of the items as they stand; None if they have none.
        header: what folder.json is to say, set when the folder is closed; None: stays as it is.
        overlay: uid → flags array that replaces the one in folder.json.
        relabelled: uid → labels array, likewise.
        gone: uids of published items that the source no longer has.
        renumbered: UIDVALIDITY changed: no published item stands for itself any more.
        held: a reason to leave this folder as it is published.
        drop_placeholders: uids whose placeholder has served its time.
        remarks: code → uids, notes for the ledger about messages of this journal.
        moved: its mailbox was renamed; everything of it has gone to another folder.
        inherits: the folder that its mailbox was before it was renamed.
        made: this run made its directory.
        shares: an item of it names a file of another folder (``--single-copy``).
    """

    def __init__(
        self,
        number: int,
        path: str,
        names: tuple[str, ...],
        root: Path,
        published: FolderFile | None,
    ) -> None:
        self.number = number
        self.path = path
        self.names = names
        self.directory = root / model.MAIL / path
        self.published = published
        header = published.header if published else {}
        self.uidvalidity: int | None = header.get("uidvalidity")
        self.header: dict[str, object] | None = None
        self.overlay: dict[str, FlagsJson] = {}
        self.relabelled: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.renumbered = False
        self.held: str | None = None
        self.open_dir: MessageDirectory | None = None
        self.announced = False
        self.drop_placeholders: set[str] = set()
        self.shares = False
        self.moved = False
        self.remarks: dict[str, list[str]] = {}
        self.inherits: FolderState | None = None
        self.made = False
        self._known: dict[str, FlagsJson] | None = None
        self._keys: array[int] | list[tuple[int, str]] = array("Q")
        self._offsets = array("Q")
        self.placeholder_offsets = array("Q")
        self._taken: set[str] | None = None
        self._placeholders: dict[str, dict[str, Any]] | None = None

    # --- what is here ---------------------------------------------------------------------------

    def published_lines(self, member: str = "items") -> Iterator[bytes]:
        """The entries of the published folder.json."""
        return self.published.lines(member) if self.published else iter(())

    @property
    def numbers_items(self) -> bool:
        """Whether folder.json has anything that UIDVALIDITY gives a meaning to."""
        if self.published is None:
            return False
        return any(member != model.KEPT for member, _ in self.published.all_lines())

    def placeholders(self, journal: Journal | None) -> dict[str, dict[str, Any]]:
        """Uid → entry of what stands in for a message: published ones and this journal's."""
        if self._placeholders is None:
            lines = [] if self.renumbered else list(self.published_lines(model.PLACEHOLDER))
            if journal is not None:
                lines += [journal.line(offset) for offset in self.placeholder_offsets]
            entries = map(parse_entry, lines)
            self._placeholders = {str(entry["uid"]): entry for entry in entries}
        return self._placeholders

    def known(self, journal: Journal | None) -> dict[str, FlagsJson]:
        """Uid → flags of every item that is here: published ones and this journal's."""
        if self._known is None:
            intern: dict[bytes, bytes] = {}
            known: dict[str, FlagsJson] = {}
            if not self.renumbered:
                for line in self.published_lines():
                    uid, _, flags = split_head(line)
                    known[uid] = intern.setdefault(flags, flags)
            if journal is not None:
                for offset in self._offsets:
                    uid, _, flags = split_head(journal.line(offset))
                    known[uid] = intern.setdefault(flags, flags)
            self._known = known
        return self._known

    def known_labels(self, journal: Journal | None) -> dict[str, bytes]:
        """Uid → labels array, of those items of ``known`` that have one."""
        intern: dict[bytes, bytes] = {}
        labels: dict[str, bytes] = {}
        lines = iter(()) if self.renumbered else self.published_lines()
        for line in chain(lines, self._journaled(journal)):
            found = labels_of(line)
            if found is not None:
                labels[split_head(line)[0]] = intern.setdefault(found, found)
        return labels

    def _journaled(self, journal: Journal | None) -> Iterator[bytes]:
        return iter(()) if journal is None else map(journal.line, self._offsets)

    def forget_index(self) -> None:
        """The folder is compared: give the memory back."""
        self._known = None
        self._taken = None

    def is_taken(self, name: str, journal: Journal | None) -> bool:
        """Whether an entry of any list names this file."""
        if self._taken is None:
            self._taken = set(self.filenames(journal))
        return name in self._taken

    def filenames(self, journal: Journal | None) -> Iterator[str]:
        """The files that entries of any list name."""
        if self.published:
            for _, line in self.published.all_lines():
                yield split_head_any(line)
        if journal is not None:
            for offset in (*self._offsets, *self.placeholder_offsets):
                yield split_head_any(journal.line(offset))

    def claim(self, name: str, journal: Journal | None) -> bool:
        """Reserve a file for one new entry; False if an entry of this folder names it already."""
        if self.is_taken(name, journal) or self._taken is None:
            return False
        self._taken.add(name)
        return True

    def close_directory(self) -> None:
        """Let go of the directory; it is opened again when needed."""
        if self.open_dir is not None:
            self.open_dir.close()
            self.open_dir = None

    # --- what is new ----------------------------------------------------------------------------

    def add(self, uid: str, filename: str, offset: int) -> None:
        """Remember a new item by its line in the journal."""
        if self._taken is not None:
            self._taken.add(filename)
        key = order_key(uid)
        if isinstance(self._keys, array):
            if key[1] == "":
                self._keys.append(key[0])
            else:
                self._keys = [(number, "") for number in self._keys]
                self._keys.append(key)
        else:
            self._keys.append(key)
        self._offsets.append(offset)

    def discard_new(self) -> None:
        """Forget what was added (its UIDs belong to another UIDVALIDITY)."""
        self._keys = array("Q")
        self._offsets = array("Q")
        self.placeholder_offsets = array("Q")
        self.drop_placeholders.clear()
        self.remarks.clear()
        self._known = None
        self._taken = None
        self._placeholders = None

    def new_filenames(self, journal: Journal | None) -> Iterator[str]:
        """The files that this journal's items name."""
        if journal is not None:
            for offset in self._offsets:
                yield split_head_any(journal.line(offset))

    @property
    def new_count(self) -> int:
        """How many items were added."""
        return len(self._offsets)

    @property
    def greatest_new_uid(self) -> int:
        """The greatest IMAP UID that was added; 0 if none."""
        return max(self._keys, default=0) if isinstance(self._keys, array) else 0

    @property
    def has_placeholders(self) -> bool:
        """Whether anything here stands in for a message that could not be had."""
        if self.placeholder_offsets:
            return True
        return next(self.published_lines(model.PLACEHOLDER), None) is not None

    @property
    def changed(self) -> bool:
        """Whether items differ from what is published."""
        return bool(
            self._offsets
            or self.overlay
            or self.relabelled
            or self.gone
            or self.renumbered
            or self.placeholder_offsets
            or self.drop_placeholders
        )

    def _new_in_order(self) -> list[int] | range:
        keys = self._keys
        count = len(keys)
        if isinstance(keys, array) and all(keys[i] < keys[i + 1] for i in range(count - 1)):
            return range(count)
        return sorted(range(count), key=keys.__getitem__)

    def merged_items(self, journal: Journal | None) -> Iterator[bytes]:
        """The entries of ``items`` as they are to be published, in uid order."""
        if self.moved:
            return
        if self.held is not None:
            yield from self.published_lines()
            return
        fresh = self._new_lines(journal)
        if self.published is None:
            for _, line in fresh:
                yield line
            return
        pending = next(fresh, None)
        for line in () if self.renumbered else self.published_lines():
            uid, _, flags = split_head(line)
            key = order_key(uid)
            while pending is not None and pending[0] < key:
                yield pending[1]
                pending = next(fresh, None)
            if pending is not None and pending[0] == key:
                continue  # had anew: the fresh entry replaces this one
            if uid in self.gone:
                continue
            yield self._as_it_is_to_be(line, uid, flags)
        while pending is not None:
            yield pending[1]
            pending = next(fresh, None)

    def _new_lines(self, journal: Journal | None) -> Iterator[tuple[tuple[int, str], bytes]]:
        if journal is None:
            return
        keys, offsets, line_at = self._keys, self._offsets, journal.line
        for index in self._new_in_order():
            line = line_at(offsets[index])
            found = keys[index]
            key = (found, "") if isinstance(found, int) else found
            if self.overlay or self.relabelled or self.gone:
                uid, _, flags = split_head(line)
                if uid in self.gone:
                    continue
                line = self._as_it_is_to_be(line, uid, flags)
            yield key, line

    def _as_it_is_to_be(self, line: bytes, uid: str, flags: FlagsJson) -> bytes:
        new_flags = self.overlay.get(uid)
        if new_flags is not None and new_flags != flags:
            line = replace_flags(line, new_flags)
        new_labels = self.relabelled.get(uid)
        return line if new_labels is None else replace_labels(line, new_labels)

    def lost_lines(self, journal: Journal | None) -> Iterator[bytes]:
        """Entries that are no items any more. A file that a new item took over is not lost."""
        if self.held is not None or self.moved:
            return
        adopted: set[str] = set()
        if self.renumbered:
            adopted.update(self.new_filenames(journal))
        if self.renumbered or self.gone:
            for line in self.published_lines():
                uid, filename, _ = split_head(line)
                if (self.renumbered or uid in self.gone) and filename not in adopted:
                    yield line
        if self.gone and journal is not None:
            for offset in self._offsets:
                line = journal.line(offset)
                if split_head(line)[0] in self.gone:
                    yield line


_CONTENT_UID = re.compile(rb'\{"uid":"([0-9a-f]{32})(?:-[1-9][0-9]*)?"')


class StillItems:
    """Which lost items are an item of some folder still: a move is not a loss.

    It is the same message if its octets are the same; or its uid, where that is a digest of its
    content (format.md section 3, mbox): what programs rewrite in a header, such as flags and
    labels, is left out of it.

    Args:
        states: all folders. journal: of this run.
    """

    def __init__(self, states: Collection[FolderState], journal: Journal | None) -> None:
        self._octets = self._contents = frozenset[bytes]()
        lost: set[bytes] = set()
        contents: set[bytes] = set()
        for state in states:
            for line in state.lost_lines(journal):
                lost.add(line_sha256(line))
                if state.uidvalidity is None and (uid := _content_uid(line)):
                    contents.add(uid)
        if not lost:
            return
        still: set[bytes] = set()
        there: set[bytes] = set()
        for state in states:
            compared = contents and state.uidvalidity is None
            for line in state.merged_items(journal):
                if (digest := line_sha256(line)) in lost:
                    still.add(digest)
                if compared and (uid := _content_uid(line)) in contents:
                    there.add(uid)
        self._octets, self._contents = frozenset(still), frozenset(there)

    def has(self, line: bytes) -> bool:
        """Whether the entry of a lost item is of such a one."""
        if line_sha256(line) in self._octets:
            return True
        return bool(self._contents) and _content_uid(line) in self._contents


def _content_uid(line: bytes) -> bytes:
    """The uid of an entry without its number among equal ones; empty if it is no such digest."""
    match = _CONTENT_UID.match(line)
    return match[1] if match else b""


_FILENAME = b'"filename":"'


def split_head_any(line: bytes) -> str:
    """The filename of an entry of any list."""
    # Quotes inside a string are escaped, so this text is a member's name and nothing else; it is
    # the entry's own if one member with a string is all that comes before it.
    at = line.find(_FILENAME)
    start = at + len(_FILENAME)
    filename = line[start : line.find(b'"', start)]
    if (
        at > 0
        and line.count(b'"', 0, at) == 4
        and line.count(b"{", 0, at) == 1
        and b"\\" not in filename
    ):
        return filename.decode()
    return str(parse_entry(line[line.index(b"{") :]).get("filename", ""))


def replace_flags(line: bytes, flags: FlagsJson) -> bytes:
    """The entry with another flags array; everything else stays octet for octet if it can."""
    match = ITEM_HEAD.match(line)
    if match is not None:
        return line[: match.start(3)] + flags + line[match.end(3) :]
    entry = parse_entry(line)
    entry["flags"] = parse_entry(b'{"f":' + flags + b"}")["f"]
    return model.dumps(entry).encode()


_LABELS = f'"{model.LABELS}":'.encode()
_STRING = rb'"(?:[^"\\]|\\.)*"'
_ARRAY = re.compile(rb"\[(?:" + _STRING + rb"(?:," + _STRING + rb")*)?\]")


def labels_of(line: bytes) -> bytes | None:
    """The labels array of an entry as it is written; None if it has none."""
    at = line.find(_LABELS)
    found = _ARRAY.match(line, at + len(_LABELS)) if at >= 0 else None
    return None if found is None else found[0]


def replace_labels(line: bytes, labels: bytes) -> bytes:
    """The entry with another labels array."""
    entry = parse_entry(line)
    entry[model.LABELS] = parse_entry(b'{"l":' + labels + b"}")["l"]
    return model.dumps(entry).encode()


def same_flags(one: FlagsJson, other: FlagsJson) -> bool:
    """Whether two flags arrays hold the same set, whatever the order and the case (KW-2)."""
    if one == other:
        return True
    left, right = (parse_entry(b'{"f":' + value + b"}")["f"] for value in (one, other))
    return {flag.lower() for flag in left} == {flag.lower() for flag in right}


def uids_of(lines: Iterable[bytes]) -> list[str]:
    """The uids of some entries."""
    return [split_head(line)[0] for line in lines]

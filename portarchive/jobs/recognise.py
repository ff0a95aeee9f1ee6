"""Whether a uid names the message still that is here under it.

UIDVALIDITY and MAILBOXID say so for a whole folder. Where the source has ids of messages, each one
is compared as well; where its UIDs do not last (no UIDVALIDITY, UIDNOTSTICKY), size, instant and
Message-ID are. Nothing is repaired here: who finds another message lists the folder anew.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

from portarchive.archive import model
from portarchive.archive.folder_file import parse_entry
from portarchive.archive.folder_state import FolderState, order_key, split_head
from portarchive.archive.journal import Journal
from portarchive.archive.octets import instant, object_id_of
from portarchive.jobs.rematch import Items, normal
from portarchive.records import MessageRef, Received


class Recogniser:
    """Compares what a source names with what is here, for one folder.

    Args:
        root: of the archive.
        state: of the folder.
        ids: EMAILIDs are of the same source, so that different ones are different messages.
        lasting: the source's UIDs last; else no uid is believed by itself.
    """

    def __init__(self, root: Path, state: FolderState, *, ids: bool, lasting: bool) -> None:
        self.lasting = lasting
        self._items = Items(root, state.path)
        self._state = state
        self._ids = ids
        self._email_ids: _Marks | None = None
        self._looks: _Marks | None = None
        self._message_ids: _Marks | None = None

    def knows(
        self, uid: str, ref: MessageRef, received: Received | None, journal: Journal | None
    ) -> bool:
        """Whether the item under this uid is this message, as far as anything speaks against it."""
        if self._ids and ref.email_id is not None:
            if self._email_ids is None:
                self._email_ids = _Marks(_email_ids(self._state, journal))
            mark = self._email_ids.get(uid)
            if mark is not None:
                return mark == hash(ref.email_id)
        return self.lasting or self._looks_alike(uid, ref, received, journal)

    def _looks_alike(
        self, uid: str, ref: MessageRef, received: Received | None, journal: Journal | None
    ) -> bool:
        if ref.size is None:
            return False
        if self._looks is None:
            self._looks = _Marks(_looks(self._state, journal))
        if self._looks.get(uid) != hash((ref.size, received.epoch if received else None)):
            return False
        if ref.message_id is None:
            return True
        if self._message_ids is None:
            self._message_ids = _Marks(self._read(journal))
        return self._message_ids.get(uid) == hash(normal(ref.message_id))

    def _read(self, journal: Journal | None) -> Iterator[tuple[str, int]]:
        for line in self._state.merged_items(journal):
            uid, filename, _ = split_head(line)
            found = self._items.message_id(filename)
            if found is not None:
                yield uid, hash(found)


def _email_ids(state: FolderState, journal: Journal | None) -> Iterator[tuple[str, int]]:
    for line in state.merged_items(journal):
        email_id = object_id_of(line)
        if email_id is not None:
            yield split_head(line)[0], hash(email_id)


def _looks(state: FolderState, journal: Journal | None) -> Iterator[tuple[str, int]]:
    for line in state.merged_items(journal):
        entry = parse_entry(line)
        look = int(entry[model.SIZE]), instant(entry.get(model.RECEIVED_AT))
        yield str(entry["uid"]), hash(look)


class _Marks:
    """A number for each uid, in sixteen octets; uids that are no numbers have none."""

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        self._uids, self._marks = array("Q"), array("q")
        for uid, mark in pairs:  # in the order of folder.json
            key = order_key(uid)
            if key[1]:
                break
            self._uids.append(key[0])
            self._marks.append(mark)

    def get(self, uid: str) -> int | None:
        number, text = order_key(uid)
        if text:
            return None
        at = bisect_left(self._uids, number)
        if at == len(self._uids) or self._uids[at] != number:
            return None
        return self._marks[at]

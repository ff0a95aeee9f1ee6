"""How a message is written down: its item entry, in pieces, and its file name. No I/O."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from portarchive.archive import model, naming
from portarchive.archive.batch import Entry
from portarchive.archive.folder_state import FolderState
from portarchive.jobs.folder_run import FlagTexts
from portarchive.records import MessageRef, Placement, Received


class Entries:
    """Entries of one source.

    Args:
        flags: shared with the runs.
        imap_uids: see ``SourceCapabilities``.
    """

    def __init__(self, flags: FlagTexts, *, imap_uids: bool) -> None:
        self._flags = flags
        self._imap_uids = imap_uids

    def entry(self, ref: MessageRef, placement: Placement) -> Entry:
        """The item of a message in one folder."""
        received = placement.received or Received(None, None)
        if received.text is not None:
            received_json = f'"portarchive:received_at":"{received.text}",'
        elif received.raw is not None:
            received_json = f'"portarchive:received_at_raw":{model.dumps(received.raw)},'
        else:
            received_json = ""
        rest = ""
        if ref.email_id is not None or placement.save_date is not None or ref.labels is not None:
            rest = _rest(ref, placement)
        flags = self._flags.text(placement.flags or ())
        uid = placement.uid
        if not uid.isalnum():
            uid = model.dumps(uid)[1:-1]
        return Entry(uid, flags, received_json, received.epoch, rest)

    def adopted(self, ref: MessageRef, placement: Placement, old: dict[str, Any]) -> Entry:
        """The same for an item that gets a new uid: it keeps what the new listing did not say."""
        entry = self.entry(ref, placement)
        if placement.flags is None:
            entry = entry._replace(flags_json=self._flags.text(tuple(old.get("flags", ()))))
        if not entry.received_json and isinstance(old.get(model.RECEIVED_AT), str):
            received = f'"{model.RECEIVED_AT}":{model.dumps(old[model.RECEIVED_AT])},'
            entry = entry._replace(received_json=received)
        rest = {
            name: value
            for name, value in old.items()
            if name not in {"uid", "filename", "flags", model.RECEIVED_AT, model.SIZE, model.SHA256}
        }
        if entry.rest:
            rest.update(json.loads("{" + entry.rest[1:] + "}"))
        rest.pop(model.RECEIVED_AT_RAW, None)
        return entry._replace(rest="," + model.dumps(rest)[1:-1] if rest else "")

    def filename(self, state: FolderState, uid: str) -> str:
        """The name that the file of a message is to have."""
        if self._imap_uids:
            return naming.message_filename(state.uidvalidity, int(uid))
        return naming.item_filename(uid)

    def placeholder_filename(self, state: FolderState, uid: str) -> str:
        """The name of what a provider gave in its place."""
        if self._imap_uids:
            return naming.placeholder_filename(state.uidvalidity, int(uid))
        return naming.item_filename(f"{uid}~placeholder")


def _rest(ref: MessageRef, placement: Placement) -> str:
    text = ""
    if ref.email_id is not None:
        text = f',"{model.EMAIL_ID}":{_id_text(ref.email_id)}'
    if ref.thread_id is not None:
        text += f',"{model.THREAD_ID}":{_id_text(ref.thread_id)}'
    if ref.labels is not None:
        text += f',"{model.LABELS}":{_labels_text(ref.labels)}'
    if placement.save_date is not None:  # RFC 3339: nothing in it to be escaped
        text += f',"{model.SAVE_DATE}":"{placement.save_date}"'
    return text


def _id_text(value: str) -> str:
    return f'"{value}"' if value.isalnum() else model.dumps(value)


@lru_cache(maxsize=4096)
def _labels_text(labels: tuple[str, ...]) -> str:
    return model.dumps(list(labels))

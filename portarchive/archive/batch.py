"""A batch: what was stored since the last block of the journal, and what the journal will say.

Knows no file system. The digest of a file that another process writes (``scribe``) comes last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from portarchive.archive import model
from portarchive.archive.folder_state import FolderState, split_head_any

MESSAGES = 500
OCTETS = 32 << 20
SECONDS = 10.0


class Entry(NamedTuple):
    """What the job says of a message beside its octets; JSON texts (see ``model.item_line``)."""

    uid: str
    flags_json: str
    received_json: str
    epoch: int | None
    rest: str = ""


class Item(NamedTuple):
    """A message of the batch. ``sha256`` is empty while its file is being written elsewhere."""

    entry: Entry
    filename: str
    size: int
    sha256: str


class Placeholder(NamedTuple):
    """What a provider gave in place of a message, as an entry of folder.json."""

    entry_json: str


class Remark(NamedTuple):
    """A note for the ledger about one message (``size-mismatch``)."""

    uid: str
    code: str


Record = Item | Placeholder | Remark | None
"""None: the journal is told the number of a folder."""


class Batch:
    """See the module.

    Attributes:
        records: what was stored, each with its folder; in order.
    """

    def __init__(self) -> None:
        # Pairs, not two lists: an interrupt between two appends would set them apart.
        self.records: list[tuple[FolderState, Record]] = []
        self._messages = 0
        self._octets = 0
        self._since = 0.0

    def announce(self, state: FolderState) -> None:
        """The journal is to be told of a folder."""
        self.records.append((state, None))

    def remark(self, state: FolderState, record: Remark) -> None:
        """The journal is to be told of a note."""
        self.records.append((state, record))

    def add(self, state: FolderState, record: Item | Placeholder, octets: int) -> bool:
        """Take in a record; ``octets``: how many were written for it.

        Returns:
            Whether the batch is full.
        """
        if self._messages == 0:
            self._since = time.monotonic()
        self.records.append((state, record))
        self._messages += 1
        self._octets += octets
        return (
            self._messages >= MESSAGES
            or self._octets >= OCTETS
            or time.monotonic() - self._since >= SECONDS
        )

    def lines(self, digests: Iterator[str]) -> list[bytes]:
        """The journal's lines; ``digests``: of the files written elsewhere, in order."""
        lines: list[bytes] = []
        for state, record in self.records:
            if isinstance(record, Item):
                entry, filename, size, sha256 = record
                text = model.item_line(
                    entry.uid,
                    filename,
                    entry.flags_json,
                    entry.received_json,
                    size,
                    sha256 or next(digests),
                    entry.rest,
                )
                lines.append(f"I {state.number} {text}".encode())
            elif isinstance(record, Remark):
                lines.append(f"N {state.number} {model.dumps(record._asdict())}".encode())
            elif record is None:
                told = {"path": state.path, "uidvalidity": state.uidvalidity}
                lines.append(f"F {state.number} {model.dumps(told)}".encode())
            else:
                lines.append(f"P {state.number} {record.entry_json}".encode())
        return lines

    def files(self) -> Iterator[tuple[FolderState, str]]:
        """(folder, file name) of everything that lies in its folder's own directory."""
        for state, record in self.records:
            if isinstance(record, Item):
                if "/" not in record.filename:
                    yield state, record.filename
            elif isinstance(record, Placeholder):
                yield state, split_head_any(record.entry_json.encode())

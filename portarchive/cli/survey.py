"""What the folders of an archive hold, counted: messages, bytes, dates; for ``info`` and others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portarchive.archive import model
from portarchive.archive.reader import ArchiveReader, FolderEntry
from portarchive.errors import Unfinished


def survey(reader: ArchiveReader) -> list[FolderSurvey]:
    """Count what each folder holds."""
    return [_survey(reader.root, entry) for entry in reader.folders()]


def changed_meanwhile(path: Path) -> Unfinished:
    """The error of a reader that met another archive at the end than at the beginning."""
    return Unfinished(
        f"the archive at {path} was updated while it was being read",
        hint="run this command again when the export has ended",
        code="changed-meanwhile",
    )


@dataclass(slots=True)
class Extent:
    """What a list of items adds up to.

    Attributes:
        messages: items.
        octets: of their files, each item counted.
        undated: items without a received date.
        first, last: received, as instants; None without a date.
    """

    messages: int = 0
    octets: int = 0
    undated: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, received: datetime | None, size: int) -> None:
        """Count one item in."""
        self.messages += 1
        self.octets += size
        if received is None:
            self.undated += 1
            return
        self.first = received if self.first is None else min(self.first, received)
        self.last = received if self.last is None else max(self.last, received)

    def join(self, other: Extent) -> None:
        """Count another list in."""
        self.messages += other.messages
        self.octets += other.octets
        self.undated += other.undated
        for day in (other.first, other.last):
            if day is not None:
                self.first = day if self.first is None else min(self.first, day)
                self.last = day if self.last is None else max(self.last, day)

    def to_json(self) -> dict[str, Any]:
        """Instants in UTC."""
        return {
            "messages": self.messages,
            "octets": self.octets,
            "undated": self.undated,
            "first": _instant(self.first),
            "last": _instant(self.last),
        }


@dataclass(slots=True)
class FolderSurvey:
    """One folder, counted."""

    entry: FolderEntry
    items: Extent = field(default_factory=Extent)
    kept: Extent = field(default_factory=Extent)
    placeholders: int = 0

    @property
    def roles(self) -> tuple[str, ...]:
        """As in RFC 8621; from the draft's own member where ours is not there."""
        role = self.entry.header.get(model.ROLE)
        if isinstance(role, str):
            return (role,)
        if isinstance(role, list):
            return tuple(str(name) for name in role)
        special = self.entry.header.get("special_use")
        return (special.removeprefix("\\").lower(),) if isinstance(special, str) else ()


def _survey(root: Path, entry: FolderEntry) -> FolderSurvey:
    found = FolderSurvey(entry)
    for extent, items in ((found.items, entry.items()), (found.kept, entry.kept())):
        for item in items:
            extent.add(_received(item), _size(root, entry, item))
    found.placeholders = sum(1 for _ in entry.placeholders())
    return found


def _received(item: Mapping[str, Any]) -> datetime | None:
    text = item.get(model.RECEIVED_AT)
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _size(root: Path, entry: FolderEntry, item: dict[str, Any]) -> int:
    """Of the item's own word, else (another program's archive) of the file."""
    size = item.get(model.SIZE)
    if type(size) is int:
        return max(size, 0)
    try:
        return os.lstat(root / entry.file_of(item)).st_size
    except (OSError, ValueError):
        return 0


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")

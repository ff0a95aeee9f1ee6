"""``portarchive info ARCHIVE``: what is here, from where, and what is missing and why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portarchive.access.urls import parse_archive
from portarchive.archive import model
from portarchive.archive.reader import ArchiveReader, FolderEntry
from portarchive.cli import options
from portarchive.cli.ledger_view import counts_of, left_out_in, missing_in, missing_lines
from portarchive.cli.output import columns, counted, octets, report_head, say, to_json
from portarchive.cli.safe_text import safe
from portarchive.errors import Unfinished


def info(archive: options.Archive, *, json: options.Json = False) -> int:
    """What an archive holds, from where, and what is missing and why.

    Counts, bytes and dates of each folder, what is kept though the server no longer has it, the
    archive's fingerprint. Reads the metadata only, not the messages.
    """
    path = parse_archive(archive, writing=False)
    reader = ArchiveReader.open(path)
    folders = survey(reader)
    if not reader.unchanged():
        raise changed_meanwhile(path)
    if json:
        say(to_json(report_of(reader, folders)))
    else:
        for line in words_of(reader, folders):
            say(line)
    return 0


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


def _ledger(reader: ArchiveReader) -> dict[str, Mapping[str, Any]]:
    entries = (reader.manifest or {}).get("folders")
    return {
        str(entry.get("path")): entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
    }


def _totals(folders: Iterable[FolderSurvey]) -> tuple[Extent, Extent]:
    items, kept = Extent(), Extent()
    for folder in folders:
        items.join(folder.items)
        kept.join(folder.kept)
    return items, kept


def report_of(reader: ArchiveReader, folders: list[FolderSurvey]) -> dict[str, Any]:
    """``--json``."""
    ledger = _ledger(reader)
    items, kept = _totals(folders)
    manifest = reader.manifest or {}
    return {
        **report_head("info"),
        "archive": str(reader.root),
        "fingerprint": reader.fingerprint,
        "header": reader.archive,
        "source": manifest.get("source"),
        "selection": manifest.get("selection"),
        "complete": manifest.get("complete"),
        "folders": [
            {
                "path": folder.entry.path,
                "names": list(folder.entry.names),
                "roles": list(folder.roles),
                "uidvalidity": folder.entry.header.get("uidvalidity"),
                "noselect": folder.entry.header.get(model.NOSELECT) is True,
                "gone_at": folder.entry.header.get(model.GONE_AT),
                "items": folder.items.to_json(),
                "kept": folder.kept.to_json(),
                "placeholders": folder.placeholders,
                "ledger": counts_of(ledger[folder.entry.path])
                if folder.entry.path in ledger
                else None,
            }
            for folder in folders
        ],
        "totals": {"folders": len(folders), "items": items.to_json(), "kept": kept.to_json()},
        "missing": [gap.to_json() for entry in ledger.values() for gap in missing_in(entry)],
        "left_out": [gap.to_json() for entry in ledger.values() for gap in left_out_in(entry)],
    }


def words_of(reader: ArchiveReader, folders: list[FolderSurvey]) -> list[str]:
    """For people."""
    lines = [*_heading(reader), "", *_table(reader, folders), ""]
    manifest = reader.manifest or {}
    ledger = _ledger(reader)
    if manifest.get("complete") is True:
        lines.append("complete: every message that the server listed is accounted for")
    elif reader.manifest is not None:
        lines.append("INCOMPLETE. Missing:")
        lines += [f"  {line}" for line in missing_lines(ledger.values())]
        lines.append("the same export again tries these once more")
    else:
        lines.append("no manifest: nothing says whether this archive is complete")
    left_out = [gap for entry in ledger.values() for gap in left_out_in(entry)]
    lines += [f"{safe(gap.folder)}: {safe(gap.text)}" for gap in left_out[:20]]
    if len(left_out) > 20:
        lines.append(f"and {len(left_out) - 20:,} more such lines; --json has all")
    return lines


def _heading(reader: ArchiveReader) -> list[str]:
    def section(name: str) -> Mapping[str, Any]:
        value = reader.archive.get(name)
        return value if isinstance(value, Mapping) else {}

    archive, dataset, source = section("archive"), section("dataset"), section("datasource")
    rows = (
        ("source", f"{source.get('service', 'unknown')}, {source.get('account', 'unknown')}"),
        ("written", f"{archive.get('timestamp', '?')} by {archive.get('generator', 'unknown')}"),
        ("format", f"{archive.get('version', '?')}, {dataset.get('extent', '?')}"),
        ("content", dataset.get("description")),
        ("note", archive.get("note")),
        ("legal", archive.get("legal")),
        ("archive id", archive.get("id")),
        ("fingerprint", reader.fingerprint),
    )
    title = safe(archive.get("name") or reader.root.name)
    return [title, *(f"  {key:<12}{safe(value)}" for key, value in rows if value)]


def _table(reader: ArchiveReader, folders: list[FolderSurvey]) -> list[str]:
    ledger = _ledger(reader)
    items, kept = _totals(folders)
    failed = {path: counts_of(entry)["failed"] for path, entry in ledger.items()}

    def row(name: str, role: str, here: Extent, apart: Extent, lost: int) -> tuple[str, ...]:
        return (
            name,
            role,
            f"{here.messages:,}",
            octets(here.octets),
            here.first.date().isoformat() if here.first else "-",
            here.last.date().isoformat() if here.last else "-",
            f"{apart.messages:,}" if apart.messages else "-",
            f"{lost:,}" if lost else "-",
        )

    rows = [
        row(
            "/".join(folder.entry.names) + _remark(folder, ledger),
            ", ".join(folder.roles),
            folder.items,
            folder.kept,
            failed.get(folder.entry.path, 0),
        )
        for folder in folders
    ]
    count = counted(len(folders), "folder")
    rows.append(row(f"{count} in all", "", items, kept, sum(failed.values())))
    heads = ("FOLDER", "ROLE", "MESSAGES", "SIZE", "FIRST", "LAST", "KEPT", "MISSING")
    return columns(heads, rows, right=(2, 3, 6, 7))


def _remark(folder: FolderSurvey, ledger: Mapping[str, Mapping[str, Any]]) -> str:
    if folder.entry.header.get(model.GONE_AT):
        return " (gone from the server)"
    if folder.entry.header.get(model.NOSELECT) is True:
        return " (holds no mail itself)"
    if any(gap.uids is None for gap in missing_in(ledger.get(folder.entry.path, {}))):
        return " (could not be read)"
    return ""

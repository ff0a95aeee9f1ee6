"""``portarchive info ARCHIVE``: what is here, from where, and what is missing and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from portarchive.access.urls import parse_archive
from portarchive.archive import model
from portarchive.archive.reader import ArchiveReader
from portarchive.cli import options
from portarchive.cli.ledger_view import (
    counts_of,
    left_out_in,
    missing_in,
    missing_lines,
    remark_lines,
)
from portarchive.cli.output import columns, counted, octets, report_head, say, to_json
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import Extent, FolderSurvey, changed_meanwhile, survey


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
    lines += remark_lines(ledger.values())
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

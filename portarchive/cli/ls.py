"""``portarchive ls ARCHIVE [FOLDER…]``: the folders, or the messages of folders, streaming."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from portarchive.access.urls import parse_archive
from portarchive.archive import model
from portarchive.archive.reader import ArchiveReader, FolderEntry
from portarchive.cli import options
from portarchive.cli.ledger_view import Missing, missing_in
from portarchive.cli.output import octets, report_head, say, to_json
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import FolderSurvey, changed_meanwhile
from portarchive.errors import SettingsError

Folders = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FOLDER…]", help="Folders whose messages are listed, e.g. INBOX."),
]
Kept = Annotated[
    bool,
    options.option(
        "What is listed", "--kept", "Messages that are kept though the server deleted them."
    ),
]
Lacking = Annotated[
    bool, options.option("What is listed", "--missing", "What the archive lacks, and why.")
]
JsonLines = Annotated[
    bool, options.option(options.OUTPUT, "--jsonl", "One JSON object a line for each entry.")
]


def ls(
    archive: options.Archive,
    folder: Folders = None,
    *,
    kept: Kept = False,
    missing: Lacking = False,
    json: options.Json = False,
    jsonl: JsonLines = False,
) -> int:
    """The folders of an archive, or the messages of a folder.

    Without FOLDER, --kept and --missing look at all folders.
    """
    if kept and missing:
        raise SettingsError("--kept and --missing cannot both be given", hint="leave one out")
    if json and jsonl:
        raise SettingsError("--json and --jsonl cannot both be given", hint="leave one out")
    path = parse_archive(archive, writing=False)
    reader = ArchiveReader.open(path)
    entries = reader.folders()
    chosen = _chosen(entries, folder) if folder else entries
    what = "kept" if kept else "missing" if missing else "items" if folder else "folders"
    content = _contents(reader, chosen, what)
    if jsonl:
        for _, objects in content:
            for value in objects:
                say(to_json(value))
    elif json:
        _write_report(reader, content, what)
    else:
        _write_words(content, what, titled=len(chosen) > 1)
    if not reader.unchanged():
        raise changed_meanwhile(path)
    return 0


Content = Iterator[tuple[FolderEntry, Iterable[dict[str, Any]]]]


def _chosen(entries: Sequence[FolderEntry], names: Sequence[str]) -> list[FolderEntry]:
    found = []
    for name in names:
        wanted = name.rstrip("/")
        exact = [e for e in entries if wanted in {e.path, "/".join(e.names)}]
        near = [e for e in entries if e.path.casefold() == wanted.casefold()]
        if not exact and len(near) != 1:
            raise SettingsError(
                f"the archive has no folder {safe(name)!r}",
                hint="portarchive ls ARCHIVE lists its folders",
                code="no-such-folder",
            )
        found.append((exact or near)[0])
    return found


def _contents(reader: ArchiveReader, entries: Sequence[FolderEntry], what: str) -> Content:
    """Each folder with its entries, made only when they are asked for."""
    if what == "missing":
        yield from _gaps(reader, entries)
        return
    for entry in entries:
        if what == "folders":
            yield entry, [_folder_object(entry)]
        else:
            items = entry.kept() if what == "kept" else entry.items()
            yield entry, (_item_object(entry, item) for item in items)


def _gaps(reader: ArchiveReader, entries: Sequence[FolderEntry]) -> Content:
    ledger = (reader.manifest or {}).get("folders")
    by_path = {str(e.get("path")): e for e in ledger or () if isinstance(e, Mapping)}
    for entry in entries:
        yield entry, [gap.to_json() for gap in missing_in(by_path.get(entry.path, {}))]


def _folder_object(entry: FolderEntry) -> dict[str, Any]:
    roles = FolderSurvey(entry).roles
    return {"folder": entry.path, "names": list(entry.names), "roles": list(roles)}


_MEMBERS = (
    model.RECEIVED_AT,
    model.RECEIVED_AT_RAW,
    model.SIZE,
    model.SHA256,
    model.EMAIL_ID,
    model.THREAD_ID,
    model.LABELS,
    model.SAVE_DATE,
    model.EXPUNGED_AT,
)


def _item_object(entry: FolderEntry, item: dict[str, Any]) -> dict[str, Any]:
    """An item with our extension members under their plain names."""
    return {
        "folder": entry.path,
        "uid": item.get("uid"),
        "file": entry.file_of(item),
        "flags": item.get("flags", []),
        **{name.removeprefix(model.PREFIX): item[name] for name in _MEMBERS if name in item},
    }


def _write_report(reader: ArchiveReader, content: Content, what: str) -> None:
    """One object, whose entries are written as they are read."""
    head = {
        **report_head("ls"),
        "archive": str(reader.root),
        "fingerprint": reader.fingerprint,
        "listed": what,
    }
    sys.stdout.write(to_json(head)[:-1] + ',"entries":[')
    comma = ""
    for _, objects in content:
        for value in objects:
            sys.stdout.write(f"{comma}\n{to_json(value)}")
            comma = ","
    sys.stdout.write("]}\n")


def _write_words(content: Content, what: str, *, titled: bool) -> None:
    for entry, objects in content:
        title = f"{safe('/'.join(entry.names))}:" if titled and what != "folders" else None
        for value in objects:
            if title is not None:
                say(title)
                title = None
            say(_line(value, what))


def _line(value: Mapping[str, Any], what: str) -> str:
    if what == "folders":
        roles = f"  ({', '.join(value['roles'])})" if value["roles"] else ""
        return safe("/".join(value["names"]) + roles)
    if what == "missing":
        gap = Missing(**value)
        return safe(f"{gap.uids or 'all':>10}  {gap.code}: {gap.text}")
    received = value.get("received_at") or value.get("received_at_raw") or "-"
    size = value.get("size")
    shown = octets(size) if isinstance(size, int) else "-"
    flags = " ".join(map(str, value["flags"]))
    gone = f"  deleted {value['expunged_at']}" if "expunged_at" in value else ""
    line = f"{value['uid']!s:>10}  {received!s:<25}  {shown:>9}  {value['file']}  {flags}{gone}"
    return safe(line.rstrip())

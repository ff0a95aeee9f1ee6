"""An edition: what the run found, put together as the next published state of the archive.

Writes the headers of folders and the ledger, asks ``archive.stage`` for the files, compares with
what is published, and commits only if an item, a folder or the ledger changed.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from portarchive.archive import folder_header, model
from portarchive.archive.folder_state import FolderState
from portarchive.archive.layout import Names
from portarchive.archive.manifest import manifest_text
from portarchive.archive.stage import KeepPolicy, Stager
from portarchive.archive.writer import ArchiveWriter
from portarchive.jobs import choose, loss
from portarchive.jobs.collect import Collector
from portarchive.jobs.folder_run import FolderRun
from portarchive.jobs.identity import host
from portarchive.jobs.ledger import Entry, is_complete, unopened
from portarchive.progress import Committed, Committing, Notice, Observer
from portarchive.records import Folder, FolderFailed, FolderOpened, SourceIdentity

if TYPE_CHECKING:
    from portarchive.jobs.export import ExportOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run found.

    Attributes:
        listed: every folder of the source; chosen: those of the selection, in path order.
        states: by folder_id. places: path under ``mail/`` by names, implied parents included.
    """

    writer: ArchiveWriter
    identity: SourceIdentity
    listed: Sequence[Folder]
    chosen: Sequence[Folder]
    states: Mapping[str, FolderState]
    places: Mapping[Names, str]
    collector: Collector
    options: ExportOptions
    now: datetime
    observer: Observer


@dataclass(frozen=True, slots=True)
class Parts:
    """An edition before it is staged and published."""

    found: Found
    entries: list[Entry]
    complete: bool
    policy: KeepPolicy


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. ``published`` is False if nothing had changed."""

    archive_id: str | None
    fingerprint: str | None
    published: bool
    complete: bool
    entries: list[Entry]
    newly_kept: int


def utc(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def assemble(found: Found) -> Parts:
    """Settle headers, losses and the ledger."""
    _settle_folders(found)
    _settle_gone(found)
    for state in found.writer.folders():
        if state.published is not None and state.header == state.published.header:
            state.header = None
    held, doubted = _settle_losses(found)
    entries = _entries(found, held)
    policy = KeepPolicy(
        mirror=found.options.mirror,
        drafts=found.options.keep_drafts,
        all_of=frozenset(doubted),
        expunged_at=utc(found.now),
    )
    return Parts(found, entries, all(map(is_complete, entries)), policy)


def _settle_folders(found: Found) -> None:
    """The header of every folder that was opened or is a parent."""
    selection = found.options.selection
    comment = selection.describe() if selection.needs_description else None
    named: set[str] = set()
    for folder in found.chosen:
        state = found.states[folder.folder_id]
        named.add(state.path)
        previous = state.published.header if state.published else {}
        run = found.collector.runs.get(folder.folder_id)
        if found.collector.failure(folder) is not None:
            _settle_failed(folder, state, run, comment)
            continue
        if run is None:
            _settle_parent(found, state, folder)
            continue
        if not run.moving and state.published is not None:
            header = folder_header.refresh(folder, state.path, previous, comment=comment)
            if header != previous:
                state.header = header
            continue
        state.header = folder_header.build(
            run.opened.folder,
            state.path,
            run.opened,
            previous,
            comment=comment,
            last_uid=run.last_uid(),
        )
    for names, path in found.places.items():
        if path not in named:
            state = found.writer.folder(path, names)
            if state.published is None or not state.published.header.get(model.NOSELECT):
                _settle_parent(found, state, Folder(folder_id="", path=names, selectable=False))


def _settle_parent(found: Found, state: FolderState, folder: Folder) -> None:
    """A folder that holds no mail (any more): what it held is lost, it stays for its children."""
    previous = state.published.header if state.published else {}
    state.gone = set(state.known(found.writer.journal))
    state.forget_index()
    state.header = folder_header.build(
        folder, state.path, None, previous, comment=None, last_uid=None
    )


def _settle_failed(
    folder: Folder, state: FolderState, run: FolderRun | None, comment: str | None
) -> None:
    """A folder that was not opened, or not listed to its end: what was had of it counts."""
    if run is not None and state.renumbered:
        # What is published has its old numbers still, and must not be taken for lost.
        state.held = "not listed to its end after its numbers changed"
    elif run is not None and state.changed:
        previous = state.published.header if state.published else {}
        state.header = folder_header.build(
            run.opened.folder,
            state.path,
            run.opened,
            previous,
            comment=comment,
            last_uid=run.last_uid(),
        )
        state.header.pop("highest_modseq", None)
    elif state.published is None:
        state.header = folder_header.build(
            folder, state.path, None, {}, comment=None, last_uid=None
        )


def _settle_gone(found: Found) -> None:
    """Folders that the source no longer lists: their items are lost, the folder stays."""
    listed = set(found.places.values())
    everything = {folder.path for folder in found.listed}
    for state in found.writer.folders():
        if state.path in listed or state.names in everything or state.moved:
            continue
        if any(choose.stands_for(folder, state.names) for folder in found.listed):
            _settle_unsure(found, state)
            continue
        if state.published is None:
            if not state.new_count:
                continue
            # Had before a crash, gone before the resume: not published yet, and not lost.
            header: dict[str, Any] = folder_header.build(
                Folder(folder_id="", path=state.names),
                state.path,
                None,
                {},
                comment=None,
                last_uid=None,
            )
            for parent in _settle_parents_of(found, state):
                if parent.names not in everything and parent.header is not None:
                    parent.header = folder_header.gone(parent.header, utc(found.now))
        else:
            header = state.published.header
        if header.get(model.NOSELECT) and state.published is not None:
            if model.GONE_AT not in header:
                state.header = folder_header.gone(header, utc(found.now))
            continue
        if model.GONE_AT in header:
            continue
        known = state.known(found.writer.journal)
        state.gone = set(known)
        state.forget_index()
        state.header = folder_header.gone(header, utc(found.now))


def _settle_unsure(found: Found, state: FolderState) -> None:
    """A folder that may or may not be there still: it stays as it is, with what was had of it."""
    if state.published is not None or not state.new_count:
        return
    folder = Folder(folder_id="", path=state.names)
    state.header = folder_header.build(
        folder,
        state.path,
        FolderOpened(folder=folder, complete=False, uidvalidity=state.uidvalidity),
        {},
        comment=None,
        last_uid=state.greatest_new_uid,
    )
    _settle_parents_of(found, state)


def _settle_parents_of(found: Found, state: FolderState) -> list[FolderState]:
    """Every directory has a folder.json. Returns the parents that had none."""
    made: list[FolderState] = []
    parts = state.path.split("/")
    for depth in range(1, len(parts)):
        parent = found.writer.folder("/".join(parts[:depth]), state.names[:depth])
        if parent.published is None and parent.header is None:
            implied = Folder(folder_id="", path=parent.names, selectable=False)
            parent.header = folder_header.build(
                implied, parent.path, None, {}, comment=None, last_uid=None
            )
            made.append(parent)
    return made


def _settle_losses(found: Found) -> tuple[dict[str, str], set[str]]:
    """Folders whose loss is not believed: held back with ``--mirror``, else warned about.

    Returns:
        The held ones with the reason, and the paths of those that keep even their drafts.
    """
    held: dict[str, str] = {}
    doubted: set[str] = set()
    if found.writer.published is None or found.options.accept_source_change:
        return held, doubted
    ledger = found.writer.published.ledger()
    contradicted = {
        run.state.path
        for run in found.collector.runs.values()
        if any(note.get("code") == "count-mismatch" for note in run.ledger.notes)
        # renumbered, and not all of it shown: what is hidden cannot be found again
        or (run.state.renumbered and any(n.get("code") == loss.CAP for n in run.ledger.notes))
    }
    for state, count in loss.suspicious(found.writer, found.writer.folders(), contradicted):
        if found.options.mirror:
            state.held = f"lost {count} messages at once"
            state.header = None
            held[state.path] = state.held
            text = (
                f"{state.path} lost {count} messages at once and was left as it is; "
                "if that is right, run again with --accept-source-change"
            )
        else:
            text = f"{state.path} lost {count} messages at once; they are kept in the archive"
            if count >= int(ledger.get(state.path, {}).get("archived", 0)):
                doubted.add(state.path)
            elif not found.options.keep_drafts:
                text += ", but for drafts"
        found.observer(Notice("sudden-loss", text))
    return held, doubted


def _entries(found: Found, held: Mapping[str, str]) -> list[Entry]:
    ledger = found.writer.published.ledger() if found.writer.published else {}
    entries: list[Entry] = []
    for folder in found.chosen:
        if not folder.selectable:
            continue
        state = found.states[folder.folder_id]
        previous = ledger.get(state.path)
        failure = found.collector.failure(folder)
        run = found.collector.runs.get(folder.folder_id)
        if folder.unlisted is not None and failure is not None:
            entries += _unsure(found, folder, failure, {str(e["path"]) for e in entries})
        elif failure is not None or run is None:
            code, text = (failure.code, failure.text) if failure else ("not-opened", "")
            entries.append(unopened(state.path, code, text, previous))
        elif state.path in held:
            entries.append({**(previous or {"path": state.path}), "held": held[state.path]})
        elif not run.moving and previous is not None:
            entries.append(previous)
        else:
            entries.append(run.ledger.to_json())
    for path, reason in held.items():
        if path not in {entry["path"] for entry in entries}:
            entries.append({**ledger.get(path, {"path": path}), "held": reason})
    return sorted(entries, key=lambda entry: str(entry["path"]).encode())


def _unsure(
    found: Found, root: Folder, failure: FolderFailed, named: Collection[str]
) -> list[Entry]:
    """Entries for what was not listed: its root, and what the archive has of it.

    ``named``: paths that have an entry already.
    """
    ledger = found.writer.published.ledger() if found.writer.published else {}
    others = {state.path for state in found.states.values()}.union(named)
    entries: list[Entry] = []
    for state in found.writer.folders():
        if state.path == found.states[root.folder_id].path:
            here = True
        elif state.path in others or state.moved or not choose.stands_for(root, state.names):
            here = False
        elif state.published is None:
            here = state.new_count > 0
        else:
            here = state.path in ledger and _still_wanted(found, state, root)
        if here:
            previous = ledger.get(state.path)
            entries.append(unopened(state.path, failure.code, failure.text, previous))
    return entries


def _still_wanted(found: Found, state: FolderState, root: Folder) -> bool:
    """Whether a folder of the archive's selection is of this run's, which may be another one."""
    if not found.options.change_selection:
        return True
    folder = Folder(folder_id="", path=state.names, namespace=root.namespace)
    return found.options.selection.wants_folder(folder)


def _source_json(found: Found) -> dict[str, Any]:
    identity = found.identity
    server = {
        name: identity.server[name]
        for name in ("name", "vendor", "version")
        if name in identity.server
    }
    namespaces: dict[str, Any] | None = None
    if identity.namespaces is not None:
        chosen = {folder.folder_id for folder in found.chosen}
        left = sum(
            1
            for f in found.listed
            if f.namespace != "personal" and f.folder_id not in chosen and f.unlisted is None
        )
        namespaces = {**identity.namespaces, "folders_left_out": left}
    return {
        "protocol": identity.protocol,
        "service": identity.service,
        "account": identity.account,
        "server": server,
        "capabilities": sorted(identity.capabilities),
        "namespaces": namespaces,
        "state": None,
    }


def publish(parts: Parts) -> Result:
    """Commit, if anything changed.

    Raises:
        OSError: local storage failed; the next run finishes or repeats it.
    """
    found = parts.found
    writer = found.writer
    source = _source_json(found)
    selection = found.options.selection.to_json()
    stager = Stager(writer, parts.policy)
    old = writer.published
    same = (
        old is not None
        and old.manifest is not None
        and old.manifest.get("folders") == parts.entries
        and old.manifest.get("selection") == selection
        and _endpoint(old.archive.get("datasource")) == _endpoint(_datasource(found))
        and not _says_otherwise(found.options, old.archive)
    )
    staged = stager.run() if stager.touches_anything() or not same else None
    if old is not None and same and (staged is None or not staged.changed):
        writer.discard_journal()
        archive_id = str(old.archive["archive"].get("id"))
        return Result(archive_id, old.fingerprint, False, parts.complete, parts.entries, 0)
    assert staged is not None  # noqa: S101 - staged above, or returned
    newly_kept = sum(counts.newly_kept for counts in staged.counts.values())
    archive_id = found.options.archive_id or str(uuid.uuid4())
    manifest = {
        "$schema": model.MANIFEST_SCHEMA,
        "archive_id": archive_id,
        "generator": model.GENERATOR,
        "created": utc(found.now),
        "files": staged.digests,
        "source": source,
        "selection": selection,
        "folders": parts.entries,
        "complete": parts.complete,
    }
    text = manifest_text(manifest)
    place = staged.staging.place(model.MANIFEST_FILE)
    place.write_bytes(text)
    archive = _archive_json(found, archive_id, text)
    found.observer(Committing(len(staged.staging.renames)))
    fingerprint = writer.publish(staged.staging, (model.dumps(archive) + "\n").encode())
    found.observer(Committed(archive_id, fingerprint))
    return Result(archive_id, fingerprint, True, parts.complete, parts.entries, newly_kept)


def _says_otherwise(options: ExportOptions, archive: dict[str, Any]) -> bool:
    """Whether the user gave a name, note or the like that the archive does not have yet."""
    about, dataset = archive.get("archive", {}), archive.get("dataset", {})
    given = (
        (options.name, about.get("name")),
        (options.note, about.get("note")),
        (options.legal, about.get("legal")),
        (options.language, dataset.get("languagetag")),
        (options.timezone, dataset.get("timezone")),
    )
    return any(wish is not None and wish != stands for wish, stands in given)


def _datasource(found: Found) -> dict[str, str]:
    return {"service": found.identity.service, "account": found.identity.account}


def _endpoint(datasource: Any) -> tuple[str, str]:
    value = datasource if isinstance(datasource, dict) else {}
    return host(str(value.get("service"))), str(value.get("account"))


def _archive_json(found: Found, archive_id: str, manifest: bytes) -> dict[str, Any]:
    options = found.options
    old = found.writer.published
    earlier = old.archive if old is not None else {}
    about = {**earlier.get("archive", {})}
    name = options.name or about.get("name")
    head: dict[str, Any] = {
        "id": archive_id,
        "name": name or f"Mail of {found.identity.account}, {utc(found.now)[:10]}",
    }
    for member, value in (("note", options.note), ("legal", options.legal)):
        text = value if value is not None else about.get(member)
        if text is not None:
            head[member] = text
    head |= {
        "timestamp": utc(found.now),
        "version": model.DRAFT,
        "generator": model.GENERATOR,
        model.MANIFEST: {
            "path": model.MANIFEST_FILE,
            "sha256": hashlib.sha256(manifest).hexdigest(),
            "bytes": len(manifest),
        },
    }
    dataset = {k: v for k, v in earlier.get("dataset", {}).items() if k != model.BASE_ID}
    datatypes = [kind for kind in dataset.get("datatypes", ["MAIL"]) if isinstance(kind, str)]
    return {
        **{k: v for k, v in earlier.items() if k not in {"archive", "dataset", "datasource"}},
        "$schema": model.ARCHIVE_SCHEMA,
        "archive": head | {k: v for k, v in about.items() if k not in head},
        "dataset": dataset
        | {
            "extent": "FULL",
            "datatypes": datatypes if "MAIL" in datatypes else ["MAIL", *datatypes],
            "languagetag": options.language or dataset.get("languagetag", "und"),
            "timezone": options.timezone or dataset.get("timezone", "Etc/UTC"),
            "description": options.selection.describe(),
        },
        "datasource": {**earlier.get("datasource", {}), **_datasource(found)},
    }

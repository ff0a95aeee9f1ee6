"""What an import says before and after: the plan and the outcome, for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portarchive.jobs.replay.folders import FolderPlan
from portarchive.jobs.replay.gather import Tally
from portarchive.jobs.replay.merged import COPIES_MERGED, DATE_MERGED, FLAGS_MERGED, MERGED
from portarchive.jobs.replay.pieces import Piece, State
from portarchive.placing import Alteration
from portarchive.records import SourceIdentity

NAMED = 1000
"""Messages of one folder that are named in the report; more are counted."""

STORED_LATE = "stored-late"
"""In ``altered``: the message is there more often than it was placed."""


@dataclass(slots=True)
class FolderReport:
    """One folder of the archive.

    Attributes:
        path: in the archive.
        names: the mailbox's own names there.
        target: names on the target.
        how: ``role``, ``path``, ``made`` or ``into``; ``created`` when this run made it.
        messages, octets: what the archive has of the selection.
        present: by round, what was there already.
        to_place, to_place_octets: what the plan would place (a dry run only).
        placed, placed_octets, merged: what this run brought.
        kept: of ``messages``, those that the source had lost (``--include-kept``).
        kept_brought: of these, what this run placed or merged; in a dry run, would place.
        undated: of what is brought, without a received date; the target takes its own now.
        date_from_header: the archive has no date that can be used; the message itself has.
        trashed: marked as deleted, and brought to the trash.
        line_ends: placed or present with other line ends, by rule.
        failed: ``{"uid", "file", "code", "text"}``.
        altered: ``{"uid", "file", "what", "known", "present", "named"}``: on the target, and its
            octets (of what this run placed: flags and date too) are not as they were.
        alarms: how many of those make the import incomplete: all but those that were there
            before, were named by an earlier run, and are on the closed list; and but what of copies
            became one, which is as it is to be.
        differs: ``{"uid", "file", "what"}``: there before, with other flags or another date.
        skipped: by reason.
        unkept: how many of ``altered_count`` lost nothing but their flags, at a target that is
            known to keep none; ``dropped`` counts these by flag, and other alterations are named
            before them.
        dropped: ``{"keyword", "reason", "count"}``.
        losses: ``{"what", "count"}`` that the plan foresees.
        notes: ``{"code", "text"}``.
        left_out: uids of what was skipped or failed; for ``migrate``, not in the JSON.
        found: uids of what was there before this run; the same.
        merged_into: by what of them became one, uids; the same.
        borne: by flag, how many messages are to have it; the same.
    """

    path: str
    names: tuple[str, ...]
    target: tuple[str, ...]
    how: str
    created: bool = False
    messages: int = 0
    octets: int = 0
    present: Counter[str] = field(default_factory=Counter)
    to_place: int = 0
    to_place_octets: int = 0
    placed: int = 0
    placed_octets: int = 0
    merged: int = 0
    line_ends: int = 0
    undated: int = 0
    date_from_header: int = 0
    trashed: int = 0
    kept: int = 0
    kept_brought: int = 0
    unkept: int = 0
    failed_count: int = 0
    altered_count: int = 0
    alarms: int = 0
    differs_count: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    altered: list[dict[str, Any]] = field(default_factory=list)
    differs: list[dict[str, Any]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)
    notes: list[dict[str, str]] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    merged_into: dict[str, set[str]] = field(
        default_factory=lambda: {FLAGS_MERGED: set(), DATE_MERGED: set(), COPIES_MERGED: set()}
    )
    borne: Counter[str] = field(default_factory=Counter)

    def take(self, piece: Piece) -> None:
        """Count one message."""
        size = piece.size or 0
        place = {"uid": piece.own_uid, "file": piece.member}
        if piece.state is State.PRESENT:
            self.present[piece.code] += 1
            self.found.add(piece.own_uid)
        elif piece.state is State.PLACED:
            self.placed += 1
            self.placed_octets += size
        elif piece.state is State.MERGED:
            self.merged += 1
        elif piece.state is State.SKIPPED:
            self.skipped[piece.code] += 1
            self.left_out.add(piece.own_uid)
        elif piece.state is State.OPEN:
            self.to_place += 1
            self.to_place_octets += size
            self.losses.update(piece.altered)
        else:
            self.failed_count += 1
            self.left_out.add(piece.own_uid)
            if len(self.failed) < NAMED:
                self.failed.append({**place, "code": piece.code, "text": piece.text})
        self.line_ends += piece.line_ends
        present = piece.state is State.PRESENT
        brought = piece.state in (State.PLACED, State.MERGED, State.OPEN)
        self.kept += piece.kept
        self.kept_brought += piece.kept and brought
        if present or brought:
            self.borne.update(piece.flags)
        if piece.altered and (present or piece.state in (State.PLACED, State.MERGED)):
            self.altered_count += 1
            fault = not MERGED.issuperset(piece.altered)
            self.alarms += fault and not (present and piece.known and piece.named)
            for word in MERGED.intersection(piece.altered):
                self.merged_into[word].add(piece.own_uid)
            what = {"what": list(piece.altered), "known": piece.known}
            self._name_altered({**place, **what, "present": present, "named": piece.named})
        if piece.differs and present:
            self.differs_count += 1
            if len(self.differs) < NAMED:
                self.differs.append({**place, "what": list(piece.differs)})

    @property
    def altered_otherwise(self) -> list[dict[str, Any]]:
        """``altered`` without those that are counted in ``dropped`` by flag (``unkept``)."""
        return [entry for entry in self.altered if not _only_unkept(entry)]

    def _name_altered(self, entry: dict[str, Any]) -> None:
        """While there is room. What lost its flags only, as was to be expected, makes room."""
        flags_only = _only_unkept(entry)
        self.unkept += flags_only
        if len(self.altered) >= NAMED:
            if flags_only or self.unkept == 0:
                return
            for number in range(len(self.altered) - 1, -1, -1):
                if _only_unkept(self.altered[number]):
                    del self.altered[number]
                    break
            else:
                return
        self.altered.append(entry)

    def stored_late(self, piece: Piece) -> None:
        """Name a placed message that is there once more: stored after the server hung up."""
        place = {"uid": piece.own_uid, "file": piece.member}
        for entry in self.altered:
            if entry["uid"] == piece.own_uid:
                self.unkept -= _only_unkept(entry)
                entry["what"] = list(dict.fromkeys((*entry["what"], STORED_LATE)))
                entry["known"] = False
                return
        self.altered_count += 1
        self.alarms += 1
        what = {"what": [STORED_LATE], "known": False}
        self._name_altered({**place, **what, "present": False, "named": False})

    def to_json(self) -> dict[str, Any]:
        """One entry of ``folders``."""
        return {
            "path": self.path,
            "names": list(self.names),
            "target": list(self.target),
            "how": self.how,
            "created": self.created,
            "messages": self.messages,
            "octets": self.octets,
            "present": dict(sorted(self.present.items())),
            "to_place": self.to_place,
            "to_place_octets": self.to_place_octets,
            "placed": self.placed,
            "placed_octets": self.placed_octets,
            "merged": self.merged,
            "line_ends": self.line_ends,
            "undated": self.undated,
            "date_from_header": self.date_from_header,
            "trashed": self.trashed,
            "kept": self.kept,
            "kept_brought": self.kept_brought,
            "skipped": dict(sorted(self.skipped.items())),
            "failed_count": self.failed_count,
            "failed": self.failed,
            "altered_count": self.altered_count,
            "altered": self.altered,
            "differs_count": self.differs_count,
            "differs": self.differs,
            "dropped": self.dropped,
            "losses": dict(sorted(self.losses.items())),
            "notes": self.notes,
        }


def _only_unkept(entry: Mapping[str, Any]) -> bool:
    """Whether a message that is named as altered lost its flags only, where none are kept."""
    return bool(entry["known"]) and entry["what"] == [Alteration.FLAGS.value]


@dataclass(slots=True)
class ImportReport:
    """The outcome of ``run_import``.

    Attributes:
        complete: everything of the selection is on the target, unaltered or with no alteration
            that is news; exit 0 if and only if.
        ended: why the run ended before its end (``over-quota``), or None.
        notices: ``{"code", "text", "severity"}``.
        unmatched: what was selected by name and is not in the archive, or only kept there.
        deleted_there: of these, what ``--include-kept`` would have brought.
    """

    archive: str
    archive_id: str | None
    dry_run: bool
    target: SourceIdentity
    folders: list[FolderReport] = field(default_factory=list)
    notices: list[dict[str, str]] = field(default_factory=list)
    ended: str | None = None
    unmatched: list[str] = field(default_factory=list)
    deleted_there: set[str] = field(default_factory=set)
    copies: int = 0
    headers_read: int = 0
    bodies_read: int = 0
    read_back: int = 0

    @property
    def complete(self) -> bool:
        """Nothing failed, altered (see ``alarms``) or not found, and nothing ended early."""
        return not (self.ended or self.unmatched) and not any(
            folder.failed_count or folder.alarms for folder in self.folders
        )

    def total(self, name: str) -> int:
        """The sum of a count over all folders."""
        return sum(getattr(folder, name) for folder in self.folders)

    def by_round(self) -> Counter[str]:
        """What was there already, by round."""
        return sum((folder.present for folder in self.folders), Counter())

    def by_reason(self) -> Counter[str]:
        """What was left out, by reason."""
        return sum((folder.skipped for folder in self.folders), Counter())

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints (schemas/portarchive/import.schema.json)."""
        return {
            "command": "import",
            "complete": self.complete,
            "ended": self.ended,
            "unmatched": self.unmatched,
            "dry_run": self.dry_run,
            "archive": self.archive,
            "archive_id": self.archive_id,
            "target": {
                "protocol": self.target.protocol,
                "service": self.target.service,
                "account": self.target.account,
                "server": dict(self.target.server),
            },
            "totals": {
                "folders": len(self.folders),
                "messages": self.total("messages"),
                "octets": self.total("octets"),
                "present": sum(self.by_round().values()),
                "present_by_round": dict(sorted(self.by_round().items())),
                "to_place": self.total("to_place"),
                "to_place_octets": self.total("to_place_octets"),
                "placed": self.total("placed"),
                "placed_octets": self.total("placed_octets"),
                "merged": self.total("merged"),
                "altered": self.total("altered_count"),
                "differs": self.total("differs_count"),
                "failed": self.total("failed_count"),
                "skipped": sum(self.by_reason().values()),
                "skipped_by_reason": dict(sorted(self.by_reason().items())),
                "line_ends": self.total("line_ends"),
                "undated": self.total("undated"),
                "date_from_header": self.total("date_from_header"),
                "trashed": self.total("trashed"),
                "kept": self.total("kept"),
                "kept_brought": self.total("kept_brought"),
                "copies": self.copies,
                "headers_read": self.headers_read,
                "bodies_read": self.bodies_read,
                "read_back": self.read_back,
            },
            "folders": [folder.to_json() for folder in self.folders],
            "notices": self.notices,
        }


def folder_reports(plans: Iterable[FolderPlan]) -> dict[str, FolderReport]:
    """One report for each folder of the archive, by its path."""
    reports = {}
    for plan in plans:
        if plan.folder is not None:
            notes = [{"code": code, "text": text} for code, text in plan.notes]
            reports[plan.folder.path] = FolderReport(
                plan.folder.path, plan.folder.names, plan.path, plan.how, notes=notes
            )
    return reports


def add_tally(report: FolderReport, tally: Tally) -> None:
    """What was counted while the folder was gathered."""
    report.messages, report.octets = tally.items, tally.octets
    report.undated, report.trashed = tally.undated, tally.trashed
    report.date_from_header = tally.date_from_header
    for (keyword, reason), count in sorted(tally.dropped.items()):
        report.dropped.append({"keyword": keyword, "reason": reason, "count": count})

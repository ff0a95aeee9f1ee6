"""What an export says at its end: the same for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from portarchive.jobs.ledger import Entry
from portarchive.progress import Event, Notice, Observer
from portarchive.records import SourceIdentity


class Listener:
    """An observer that passes everything on and remembers what a person should know.

    Give it to the connector as well as to the job: what either says is part of the report.

    Attributes:
        notices: ``{"code", "text", "severity"}``, in order, each once.
    """

    def __init__(self, observer: Observer) -> None:
        self.notices: list[dict[str, str]] = []
        self._observer = observer

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Notice) and asdict(event) not in self.notices:
            self.notices.append(asdict(event))
        self._observer(event)


@dataclass(slots=True)
class Totals:
    """Counts over all folders of the selection.

    Attributes:
        messages: what the archive's items hold now.
        fetched, fetched_octets: message octets that came over the wire in this run.
        linked: messages whose octets were here already (same EMAILID).
        matched: messages found again after a UIDVALIDITY change.
        newly_kept: items that the source lost since the last run.
    """

    messages: int = 0
    fetched: int = 0
    fetched_octets: int = 0
    linked: int = 0
    matched: int = 0
    newly_kept: int = 0
    skipped: int = 0
    vanished: int = 0
    failed: int = 0
    arrived_later: int = 0


@dataclass(slots=True)
class ExportReport:
    """The outcome of ``run_export``.

    Attributes:
        complete: nothing of the selection is missing; exit code 0 if and only if so.
        folders: the ledger entries as they stand in manifest.json.
        published: whether a new state was published; False if nothing had changed.
        resumed: whether this run went on where an interrupted one stopped.
        notices: ``{"code", "text", "severity"}`` of what a person should know.
    """

    complete: bool
    path: str
    archive_id: str | None
    fingerprint: str | None
    published: bool
    resumed: bool
    dry_run: bool
    source: SourceIdentity
    folders: list[Entry]
    totals: Totals = field(default_factory=Totals)
    notices: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints (schemas/portarchive/report.schema.json)."""
        totals = {name: getattr(self.totals, name) for name in Totals.__slots__}
        return {
            "command": "export",
            "complete": self.complete,
            "archive": self.path,
            "archive_id": self.archive_id,
            "fingerprint": self.fingerprint,
            "published": self.published,
            "resumed": self.resumed,
            "dry_run": self.dry_run,
            "source": {
                "protocol": self.source.protocol,
                "service": self.source.service,
                "account": self.source.account,
                "server": dict(self.source.server),
            },
            "totals": totals,
            "folders": self.folders,
            "notices": self.notices,
        }


def totals_of(entries: list[Entry], totals: Totals) -> Totals:
    """Add up the ledger entries."""
    for entry in entries:
        totals.messages += entry.get("archived", 0)
        totals.skipped += sum(part["count"] for part in entry.get("skipped", ()))
        totals.vanished += entry.get("vanished", {}).get("count", 0)
        totals.failed += sum(part.get("count", 1) for part in entry.get("failed", ()))
        totals.arrived_later += entry.get("arrived_later", 0)
    return totals

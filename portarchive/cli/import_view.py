"""What an import, or its plan, says to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from portarchive.cli.output import counted, octets
from portarchive.cli.safe_text import safe

if TYPE_CHECKING:
    from portarchive.jobs.replay.report import FolderReport, ImportReport

SHOWN = 10
"""Messages of one folder that are named in words; ``--json`` names more."""

_ROUNDS = {
    "ledger": "known from an earlier run",
    "ids": "by their ids",
    "octets": "by equal octets",
    "message-id-and-body": "by Message-ID, date and body",
    "message-id": "by Message-ID and date",
    "fields-and-body": "by sender, date, subject and body",
}
_SKIPPED = {
    "deleted": "marked as deleted",
    "copy": "copies of messages in another folder",
    "not-selected": "not selected",
}
_REASONS = {
    "asked": "you asked for it",
    "held-junk": "--hold-junk",
    "would-send": "it could make the server send mail",
    "announces-old-mail": "it would announce old mail as new",
    "of-the-old-provider": "it is the old provider's word",
    "not-in-grammar": "it cannot be written there",
    "not-kept-by-target": "the server does not keep it",
    "refused-by-target": "the server refused it",
    "no-flags-there": "an mbox keeps flags only with --mbox-status",
    "colour-without-flag": "a colour without a flag",
    "followed-and-muted": "muted and followed",
    "both-attachment-keywords": "with and without attachment",
}


_DIFFERS = {"flags": "flags", "date": "date", "early-date": "date", "future-date": "date"}
_LOSSES = {
    "flags": "flags, which an mbox keeps only with --mbox-status",
    "keywords-unsure": "keywords that the mailbox does not promise to keep: each is tried once",
}


def summary(report: ImportReport) -> list[str]:
    """What happened or would, for people."""
    return list(_plan(report) if report.dry_run else _outcome(report))


def _outcome(report: ImportReport) -> Iterator[str]:
    totals = report.to_json()["totals"]
    where = f"{safe(report.target.account)} at {safe(report.target.service)}"
    if report.target.account in ("", report.target.service):
        where = safe(report.target.service)
    yield f"imported {safe(report.archive)} into {where}"
    brought = f"  {totals['placed']:,} placed, {octets(totals['placed_octets'])}"
    yield brought + (f"; {totals['merged']:,} merged" if totals["merged"] else "")
    yield from _common(report)
    for folder in report.folders:
        yield from _altered(folder)
    if report.complete:
        count = counted(totals["messages"], "message")
        yield f"  complete: {count} of the archive accounted for, what was placed was read back"
        return
    yield from _gaps(report)
    if totals["failed"]:
        yield "  the same command again tries these once more, and nothing twice"


def _gaps(report: ImportReport) -> Iterator[str]:
    """What is not on the target, or would not be."""
    yield "  INCOMPLETE."
    if report.ended == "over-quota":
        yield "  the account is full: the rest was not tried; make room and run this again"
    for word in report.unmatched:
        if word in report.deleted_there:
            text = "was deleted there before the last export: --include-kept brings it"
            yield f"    {safe(word)} {text}"
        else:
            yield f"    selected and not in the archive: {safe(word)}"
    for folder in report.folders:
        yield from _missing(folder)


def _common(report: ImportReport) -> Iterator[str]:
    totals = report.to_json()["totals"]
    for word, count in totals["present_by_round"].items():
        yield f"  {count:,} there already, recognised {_ROUNDS.get(word, word)}"
    for word, count in totals["skipped_by_reason"].items():
        yield f"  {count:,} left out: {_SKIPPED.get(word, f'filter {word}')}"
    if totals["line_ends"]:
        yield f"  {totals['line_ends']:,} with other line ends, as the target has them"
    if totals["kept"]:
        count = f"{totals['kept']:,} of these the old account had deleted before the last export"
        would = "would be brought" if report.dry_run else "brought now"
        yield f"  {count}: {totals['kept_brought']:,} {would}"
    if totals["trashed"]:
        yield f"  {totals['trashed']:,} marked as deleted go to the trash, without the mark"
    if totals["date_from_header"]:
        count = f"{totals['date_from_header']:,}"
        yield f"  {count} without a date in the archive that can be used: their header's is taken"
    if totals["undated"]:
        yield f"  {totals['undated']:,} without a date: the target says now"
    for folder in report.folders:
        name = safe("/".join(folder.names))
        for note in folder.notes:
            yield f"  {name}: {safe(note['text'])}"
        for entry in folder.dropped:
            reason = _REASONS.get(entry["reason"], entry["reason"])
            count = counted(entry["count"], "message")
            yield f"  {name}: {safe(entry['keyword'])} not set on {count}: {reason}"


def _missing(folder: FolderReport) -> Iterator[str]:
    name = safe("/".join(folder.names))
    for entry in folder.failed[:SHOWN]:
        yield f"    {name}: {safe(entry['file'])}: {entry['code']}, {safe(entry['text'])}"
    if folder.failed_count > SHOWN:
        yield f"    {name}: {folder.failed_count - SHOWN:,} more; --json names them"


def _altered(folder: FolderReport) -> Iterator[str]:
    """What is on the target and not as it was, of this run and of earlier ones."""
    name = safe("/".join(folder.names))
    for entry in folder.altered_otherwise[:SHOWN]:
        if "stored-late" in entry["what"]:
            text = "there more than once: the server stored it after it had hung up; delete one"
            yield f"    {name}: {safe(entry['file'])}: {text}"
            continue
        known = ", as this server is known to" if entry["known"] else ""
        named = "; an earlier run said so" if entry["named"] else ""
        what = safe(", ".join(entry["what"]))
        yield f"    {name}: {safe(entry['file'])}: altered by the server ({what}){known}{named}"
    if folder.altered_count - folder.unkept > SHOWN:
        more = folder.altered_count - folder.unkept - SHOWN
        yield f"    {name}: {more:,} more altered; --json names them"
    for entry in folder.differs[:SHOWN]:
        what = _DIFFERS[entry["what"][0]] if len(entry["what"]) == 1 else "flags and date"
        yield f"    {name}: {safe(entry['file'])}: there already, with other {what}; left so"
    if folder.differs_count > SHOWN:
        yield f"    {name}: {folder.differs_count - SHOWN:,} more of these; --json names them"


def _plan(report: ImportReport) -> Iterator[str]:
    totals = report.to_json()["totals"]
    where = f"{safe(report.target.account)} at {safe(report.target.service)}"
    size = octets(totals["to_place_octets"])
    yield (
        f"dry run, nothing was changed: {counted(totals['to_place'], 'message')}, {size}"
        f" would be placed in {where}"
    )
    for folder in report.folders:
        name, target = safe("/".join(folder.names)), safe("/".join(folder.target))
        how = {"role": "by its role", "path": "there", "made": "new", "into": "new"}[folder.how]
        if folder.created:
            how = "new"
        place = f"{folder.to_place:,} to place, {sum(folder.present.values()):,} there already"
        yield f"  {name} → {target} ({how}): {place}"
        for what, count in sorted(folder.losses.items()):
            yield f"    {counted(count, 'message')}: {_LOSSES.get(what, safe(what))}"
    if totals["copies"]:
        yield (
            f"  {counted(totals['copies'], 'message')} of these are copies in a further folder;"
            " --labels primary leaves them out"
        )
    yield from _common(report)
    for folder in report.folders:
        yield from _altered(folder)
    if not report.complete:
        yield from _gaps(report)

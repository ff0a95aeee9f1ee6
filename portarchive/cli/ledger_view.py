"""The ledger in words: what an archive lacks, folder by folder, and why (format §4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from portarchive.cli.output import counted
from portarchive.cli.safe_text import safe


class Missing(NamedTuple):
    """One reason why something of a folder is not there.

    Attributes:
        folder: the path under ``mail/``.
        uids: an IMAP-like set (``7,90:95``), None where the whole folder is concerned.
        code: stable, for programs.
        text: the server's words or ours, unchecked.
        stored: the provider's placeholder lies in the archive in its place.
    """

    folder: str
    uids: str | None
    code: str
    text: str
    stored: bool = False

    def to_json(self) -> dict[str, Any]:
        """Members as named here."""
        return self._asdict()


def missing_in(entry: Mapping[str, Any]) -> Iterator[Missing]:
    """What counts against completeness in one entry of the ledger."""
    folder = str(entry.get("path", ""))
    error = entry.get("error")
    if isinstance(error, Mapping):
        text = str(error.get("text", ""))
        yield Missing(folder, None, str(error.get("code", "error")), text)
    if entry.get("held"):
        yield Missing(folder, None, "held", str(entry["held"]))
    for failed in _objects(entry.get("failed")):
        yield Missing(
            folder,
            str(failed.get("uids") or failed.get("uid") or ""),
            str(failed.get("code", "failed")),
            str(failed.get("text", "")),
            stored=failed.get("stored") is True,
        )


def left_out_in(entry: Mapping[str, Any]) -> Iterator[Missing]:
    """What is explained: left out by the filters, or gone before it could be had."""
    folder = str(entry.get("path", ""))
    for skipped in _objects(entry.get("skipped")):
        count = _count(skipped.get("count"))
        reason = str(skipped.get("reason", "filter"))
        text = f"{counted(count, 'message')} left out by --{reason}"
        yield Missing(folder, str(skipped.get("uids", "")), f"skipped-{reason}", text)
    vanished = entry.get("vanished")
    if isinstance(vanished, Mapping) and _count(vanished.get("count")):
        text = f"{counted(_count(vanished['count']), 'message')} deleted during the export"
        yield Missing(folder, str(vanished.get("uids", "")), "vanished", text)


def missing_lines(entries: Iterable[Mapping[str, Any]], *, most: int = 20) -> list[str]:
    """What is missing for people: a line for each reason, the first ``most`` of them."""
    lines: list[str] = []
    more = 0
    for entry in entries:
        for gap in missing_in(entry):
            if len(lines) >= most:
                more += 1
                continue
            where = safe(gap.folder) + (f" uid {safe(gap.uids)}" if gap.uids else "")
            kept = " (the provider's placeholder is kept apart)" if gap.stored else ""
            lines.append(f"{where}: {safe(gap.code)}, {safe(gap.text)[:200]}{kept}")
    if more:
        lines.append(f"and {more:,} more; --json names all of them")
    return lines


_REMARKS = {
    "suspected-cap": "exactly {exists} messages: the provider may show no more of this folder",
    "count-mismatch": "the server counts {exists} messages and lists {listed}",
    "seen-set-by-server": "{count} messages were marked as read meanwhile, by the server or by"
    " another program; this one asked it not to",
    "postmark-without-empty-line": "{count} lines look like the beginning of a message, but have no"
    " empty line before them; taken for text",
    "postmark-without-date": "{count} lines look like the beginning of a message, but have no date;"
    " taken for text",
    "split-without-empty-line": "{count} messages begin without an empty line before them, as most"
    " of this file do",
    "split-without-date": "{count} messages begin with a line that has no date, as most of this"
    " file do",
    "unique-name-twice": "several files have one unique name; each is a message",
    "links-left-out": "{count} links were not followed; what they lead to is not in the archive",
    "files-left-out": "{count} files of the tree are no mbox, or lie too deep in it",
    "uidvalidity-changed": "the server renumbered it: {matched} found again, {fetched} fetched",
    "counters-went-back": "the server's counters went back, as after a restore from a backup; each"
    " message was compared with the one that is here",
}
"""Notes that a person should hear of though nothing is missing; members are those of the note."""


_LASTING = frozenset({"suspected-cap", "count-mismatch"})
"""Notes that are to be heard of at every run while they hold."""


def remark_lines(
    entries: Iterable[Mapping[str, Any]], *, lasting: bool = False, most: int = 20
) -> list[str]:
    """Notes on folders for people: a line each, the first ``most`` of them.

    ``lasting``: nothing happened, so only those that tell how things are.
    """
    told = _LASTING if lasting else _REMARKS.keys()
    lines = [
        f"note: {safe(entry.get('path', ''))}: {safe(note['code'])}, {_remark(note)}"
        for entry in entries
        for note in _objects(entry.get("notes"))
        if note.get("code") in told
    ]
    if len(lines) > most:
        lines[most:] = [f"and {len(lines) - most:,} more such notes in manifest.json"]
    return lines


def _remark(note: Mapping[str, Any]) -> str:
    members = {name: f"{_count(note.get(name)):,}" for name in _MEMBERS}
    text = _REMARKS[str(note["code"])].format_map(members)
    if _count(note.get("hidden")):
        text += f"; {_count(note['hidden']):,} that it showed before are still taken to be there"
    return text + (f"; {safe(note['text'])[:200]}" if isinstance(note.get("text"), str) else "")


_MEMBERS = ("exists", "listed", "count", "matched", "fetched")


def counts_of(entry: Mapping[str, Any]) -> dict[str, int]:
    """The sets of the ledger as numbers: listed, archived, skipped, vanished, failed."""
    vanished = entry.get("vanished")
    return {
        "listed": _count(entry.get("listed")),
        "archived": _count(entry.get("archived")),
        "skipped": sum(_count(part.get("count")) for part in _objects(entry.get("skipped"))),
        "vanished": _count(vanished.get("count")) if isinstance(vanished, Mapping) else 0,
        "failed": sum(_members(part) for part in _objects(entry.get("failed"))),
    }


def _members(failed: Mapping[str, Any]) -> int:
    """How many messages an entry of ``failed`` is about: one, or a set such as ``7,90:95``."""
    uids = failed.get("uids")
    if not isinstance(uids, str):
        return 1
    total = 0
    for part in uids.split(","):
        first, colon, last = part.partition(":")
        span = first.isdecimal() and last.isdecimal()
        total += abs(int(last[:20]) - int(first[:20])) + 1 if colon and span else 1
    return total


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0

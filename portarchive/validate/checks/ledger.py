"""manifest.json as the proof of completeness: its counts against each other and the folders."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Any

from portarchive.validate.checks.folders import names_of
from portarchive.validate.checks.selected import Selected, roles_of
from portarchive.validate.run import MAIL, MANIFEST_FILE, FolderFacts, Run

_UID = re.compile("[1-9][0-9]{0,9}")
_MOST_SPANS = 1_000_000


def check_ledger(run: Run) -> None:
    """Every folder's entry, and ``complete``."""
    manifest = run.manifest
    entries = manifest.get("folders") if manifest is not None else None
    if manifest is None or not isinstance(entries, list):
        return
    report, verdict = run.report, run.verdict(MANIFEST_FILE)
    named: set[str] = set()
    whole = True
    clear, all_named = not verdict.has("/complete"), True
    missing = 0
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            return  # M-004 has said it
        if verdict.has(f"/folders/{index}/path"):
            clear = all_named = False
            continue
        directory = f"{MAIL}/{entry['path']}"
        if directory in named:
            report.add("M-027", MANIFEST_FILE, f"/folders/{index}/path", "a folder twice")
        named.add(directory)
        missing += _missing(entry)
        if verdict.touches(f"/folders/{index}"):
            clear = False  # what it counts means nothing
        else:
            whole = _check_entry(run, entry, index, run.folders.get(directory)) and whole
        if directory not in run.listing.directories:
            report.add("M-023", directory, "", "the ledger has it")
        elif directory not in run.folders and entry.get("archived"):
            report.add("M-023", directory, "", "its folder.json is not here, and it had items")
    told = manifest.get("complete")
    if clear and isinstance(told, bool) and told != whole:
        text = "true, and something is missing" if told else "false, and nothing is missing"
        report.add("M-022", MANIFEST_FILE, "/complete", text)
    if missing:
        report.add("M-025", MANIFEST_FILE, "/folders", f"{missing:,} of the ledger's entries")
    selected = Selected(manifest)
    for directory, facts in run.folders.items() if all_named else ():
        header = facts.header
        if (
            facts.is_mail
            and directory not in named
            and header.get("portarchive:noselect") is not True
            and not header.get("portarchive:gone_at")
        ):
            of_now = selected.takes(names_of(run, facts), roles_of(header))
            report.add("M-024" if of_now else "M-028", directory)


def _missing(entry: dict[str, Any]) -> int:
    failed = entry.get("failed")
    own = ("error" in entry) + ("held" in entry)
    return own + (len(failed) if isinstance(failed, list) else 0)


def _check_entry(run: Run, entry: dict[str, Any], index: int, facts: FolderFacts | None) -> bool:
    """Whether a folder's entry leaves nothing open."""
    add = run.report.add
    pointer = f"/folders/{index}"
    if "error" in entry or "held" in entry:
        return False
    skipped = sum(
        _counted(run, part, f"{pointer}/skipped/{number}")
        for number, part in enumerate(_list(entry.get("skipped")))
    )
    vanished = entry.get("vanished")
    gone = _counted(run, vanished, f"{pointer}/vanished") if isinstance(vanished, dict) else 0
    failed = sum(
        _counted(run, part, f"{pointer}/failed/{number}") if "uid" not in part else 1
        for number, part in enumerate(_list(entry.get("failed")))
    )
    _check_sets(run, entry, pointer, facts)
    listed, archived = entry.get("listed"), entry.get("archived")
    if type(listed) is not int or type(archived) is not int:
        return False
    if listed != archived + skipped + gone + failed:
        text = f"{listed:,} listed, {archived:,} archived, {skipped:,} skipped, {gone:,} vanished, "
        add("M-021", MANIFEST_FILE, pointer, f"{entry['path'][:120]!a}: {text}{failed:,} failed")
    if facts is not None and not facts.broken and not run.partial and facts.items != archived:
        text = f"{facts.items:,} items, the ledger archived {archived:,}"
        add("M-020", facts.directory, "", text)
    return listed == archived + skipped + gone and not failed


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _counted(run: Run, part: dict[str, Any], pointer: str) -> int:
    """The count of a part of the ledger, after comparing it with its uids."""
    count, uids = part.get("count"), part.get("uids")
    number = size_of_set(uids) if isinstance(uids, str) else None
    if type(count) is int:
        if number is not None and number != count:
            text = f"it says {count:,}, its uids are {number:,}"
            run.report.add("M-027", MANIFEST_FILE, pointer, text)
        return count
    return number or 0


def _check_sets(run: Run, entry: dict[str, Any], pointer: str, facts: FolderFacts | None) -> None:
    """Each message is exactly one of archived, skipped, vanished and failed."""
    parts = [*_list(entry.get("skipped")), *_list(entry.get("failed"))]
    if isinstance(entry.get("vanished"), dict):
        parts.append(entry["vanished"])
    spans: list[tuple[int, int]] = []
    for part in parts:
        for text in (part.get("uids"), part.get("uid")):
            if isinstance(text, str) and len(spans) < _MOST_SPANS:
                spans += spans_of_set(text)
    spans.sort()
    end = 0
    for low, high in spans:
        if low <= end:
            text = f"uid {low} is in two of skipped, vanished and failed"
            run.report.add("M-021", MANIFEST_FILE, pointer, text)
            return
        end = high
        if facts is not None:
            at = bisect_left(facts.decimal, low)
            if at < len(facts.decimal) and facts.decimal[at] <= high:
                text = f"uid {facts.decimal[at]} is an item, and was not archived"
                run.report.add("M-021", MANIFEST_FILE, pointer, text)
                return


def spans_of_set(text: str) -> list[tuple[int, int]]:
    """The numbers of a set as (first, last); anything else in it is passed over."""
    spans = []
    for part in text.split(",", _MOST_SPANS):
        low, colon, high = part.partition(":")
        if _UID.fullmatch(low) and (not colon or _UID.fullmatch(high)):
            spans.append((int(low), int(high) if colon else int(low)))
    return [span for span in spans if span[0] <= span[1]]


def size_of_set(text: str) -> int:
    """How many uids a set names: ``1:5,9`` and other words, comma-separated."""
    total = 0
    for part in text.split(","):
        low, colon, high = part.partition(":")
        if colon and low.isdecimal() and high.isdecimal() and len(low) < 20 and len(high) < 20:
            total += max(0, int(high) - int(low) + 1)
        elif part:
            total += 1
    return total

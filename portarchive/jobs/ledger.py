"""The ledger: what became of every message that the source named (format.md section 4).

It is about sets. ``listed`` is what the source named; each of it is exactly one of archived,
skipped, vanished, failed. Nothing here knows how a message is had or stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

Entry = dict[str, Any]

_TEXT_LIMIT = 1000
_BUDGET = "budget"

_UNQUOTED: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "%,:")

_EVENTS = frozenset({"uidvalidity-changed", "seen-set-by-server", "renamed", "counters-went-back"})
"""Notes about what happened once, as opposed to what is so."""


def compact(uids: Iterable[str]) -> str:
    """A set of uids as text: numbers as IMAP sets (``1:5,9``), anything else comma-separated.

    What separates is percent-encoded in the latter (a Maildir name may be ``1.a,S=12``).
    """
    numbers: list[int] = []
    others: list[str] = []
    for uid in uids:
        if uid.isdecimal() and uid.isascii():
            numbers.append(int(uid))
        else:
            others.append(uid)
    parts: list[str] = []
    numbers.sort()
    start = previous = -1
    for number in (*numbers, -1):
        if previous >= 0 and number != previous + 1:
            parts.append(str(start) if start == previous else f"{start}:{previous}")
            start = number
        elif previous < 0:
            start = number
        previous = number
    return ",".join(parts + sorted(quote(uid, safe=_UNQUOTED) for uid in others))


def expand(text: str) -> Iterator[str]:
    """The uids of a ``compact`` text."""
    for part in text.split(","):
        low, colon, high = part.partition(":")
        if colon and low.isdecimal() and high.isdecimal():
            yield from map(str, range(int(low), int(high) + 1))
        elif part:
            yield unquote(part, errors="surrogateescape")


def _set(uids: list[str]) -> Entry:
    return {"count": len(uids), "uids": compact(uids)}


@dataclass(slots=True)
class FolderLedger:
    """What became of the messages of one folder in one run.

    Attributes:
        failed: one entry each.
        put_off: by our words, those that a budget left over. There may be very many of them.
        error: code and text where the server did not list the folder to its end.
    """

    path: str
    listed: int = 0
    archived: int = 0
    arrived_later: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    vanished: list[str] = field(default_factory=list)
    failed: list[Entry] = field(default_factory=list)
    put_off: dict[str, list[str]] = field(default_factory=dict)
    notes: list[Entry] = field(default_factory=list)
    uid_notes: dict[str, list[str]] = field(default_factory=dict)
    held: str | None = None
    error: tuple[str, str] | None = None
    state: Mapping[str, Any] = field(default_factory=dict)

    def note(self, code: str, uid: str) -> None:
        """Something about one message."""
        self.uid_notes.setdefault(code, []).append(uid)

    def forget_notes(self, gone: set[str]) -> None:
        """Messages that are gone need no notes."""
        if gone:
            kept = {
                code: [uid for uid in uids if uid not in gone]
                for code, uids in self.uid_notes.items()
            }
            self.uid_notes = {code: uids for code, uids in kept.items() if uids}

    def fail(self, uid: str, code: str, text: str, *, stored: bool) -> None:
        """A message that could not be had; ``text``: the server's words, unchecked."""
        words = text.encode("utf-8", "replace").decode()[:_TEXT_LIMIT]
        if code == _BUDGET and not stored:
            self.put_off.setdefault(words, []).append(uid)
            return
        self.failed.append({"uid": uid, "code": code, "text": words, "stored": stored})

    def carry_notes(self, previous: Entry, gone: set[str], had: set[str]) -> None:
        """Notes of an earlier run about messages that are still here and were not had anew."""
        for entry in previous.get("notes", []):
            code, text = entry.get("code"), entry.get("uids", entry.get("uid"))
            if isinstance(code, str) and isinstance(text, str):
                known = set(self.uid_notes.get(code, ()))
                for uid in expand(text):
                    if uid not in gone and uid not in had and uid not in known:
                        self.note(code, uid)

    def carry_events(self, previous: Entry) -> None:
        """What happened when the folder last changed, where nothing has changed since."""
        known = {note.get("code") for note in self.notes}
        for note in previous.get("notes", []):
            if note.get("code") in _EVENTS - known:
                self.notes.append(dict(note))

    @property
    def missing(self) -> set[str]:
        """The uids of all that could not be had."""
        return {entry["uid"] for entry in self.failed}.union(*self.put_off.values())

    @property
    def balanced(self) -> bool:
        """The equation: listed = archived + skipped + vanished + failed."""
        skipped = sum(map(len, self.skipped.values()))
        return self.listed == self.archived + skipped + len(self.vanished) + len(self.missing)

    def to_json(self) -> Entry:
        """The entry as manifest.json holds it."""
        notes = list(self.notes)
        for code, uids in sorted(self.uid_notes.items()):
            if len(uids) == 1:
                notes.append({"uid": uids[0], "code": code})
            else:
                notes.append({"code": code, **_set(uids)})
        entry: Entry = {
            "path": self.path,
            "listed": self.listed,
            "archived": self.archived,
            "arrived_later": self.arrived_later,
            "skipped": [
                {"reason": reason, **_set(uids)} for reason, uids in sorted(self.skipped.items())
            ],
            "vanished": _set(self.vanished),
            "failed": [
                *self.failed,
                *(
                    {**_set(uids), "code": _BUDGET, "text": words, "stored": False}
                    for words, uids in self.put_off.items()
                ),
            ],
            "notes": notes,
            "state": dict(self.state),
        }
        if self.held is not None:
            entry["held"] = self.held
        if self.error is not None:
            code, text = self.error
            entry["error"] = {"code": code, "text": text}
        return entry


def unopened(path: str, code: str, text: str, previous: Entry | None) -> Entry:
    """The entry of a folder that could not be opened: what is known stays, with the error."""
    words = text.encode("utf-8", "replace").decode()[:_TEXT_LIMIT]
    entry: Entry = dict(previous) if previous else {"path": path}
    entry["error"] = {"code": code, "text": words}
    return entry


def is_complete(entry: Entry) -> bool:
    """Whether a folder's entry leaves nothing unexplained and nothing failed."""
    if "error" in entry or "held" in entry or entry.get("failed"):
        return False
    skipped = sum(part["count"] for part in entry.get("skipped", ()))
    vanished = entry.get("vanished", {}).get("count", 0)
    return bool(entry.get("listed", 0) == entry.get("archived", 0) + skipped + vanished)

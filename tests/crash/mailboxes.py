"""The mailboxes that are exported while the process is killed: the same in every process.

A situation has a past (what the archive on disk was made from, if there is one) and a present.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from portarchive.connectors.base import SourceCapabilities
from portarchive.connectors.memory import MemorySource
from portarchive.records import Failure

BATCH = 5
PAST = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
PRESENT = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
PLAIN = SourceCapabilities(flags_in_listing=True)
IDS = SourceCapabilities(removals=True, object_ids=True, flags_in_listing=True)


def octets(name: str, size: int = 200) -> bytes:
    """One message; no two of them have equal octets."""
    head = f"Message-ID: <{name}@example.org>\r\nSubject: {name}\r\n\r\n"
    return head.encode() + (name.encode() + b" ") * (size // (len(name) + 1)) + b"\r\n"


def home(*, capabilities: SourceCapabilities, whole: bool = False) -> MemorySource:
    """Five folders, 23 messages, two of them in two folders, one large."""
    source = MemorySource(capabilities=capabilities, whole_account=whole, large=4096, chunk=1500)
    for name, roles in (("Archive", ["archive"]), ("Drafts", ["drafts"]), ("Old", [])):
        source.create_folder(name, roles=roles)
    source.create_folder("Work")
    source.create_folder("Work/Übersicht")
    for number in range(9):
        source.add(octets(f"inbox-{number}"), "INBOX", flags=["$seen"] if number % 2 else [])
    source.add(octets("large", 9000), "INBOX")
    source.add(octets("both-1"), ["Archive", "Work"], flags=["$flagged"])
    source.add(octets("both-2"), ["Archive", "INBOX"])
    for number in range(6):
        source.add(octets(f"work-{number}"), "Work")
    source.add(b"", "Work/Übersicht")
    for number in range(2):
        source.add(octets(f"draft-{number}"), "Drafts", flags=["$draft"])
        source.add(octets(f"old-{number}"), "Old")
    return source


def live(source: MemorySource) -> MemorySource:
    """A day of the mailbox's life: everything that an update has to follow."""
    for number in range(6):
        source.add(octets(f"new-{number}"), "INBOX", flags=["Später" if number else "$seen"])
    source.expunge("INBOX", 2, 5)
    source.copy("INBOX", 7, "Archive")
    source.expunge("INBOX", 7)
    source.set_flags("INBOX", 1, ["$seen", "$answered"])
    source.set_flags("Archive", 1, [])
    source.expunge("Drafts", 1)
    source.expunge("Archive", 1)
    source.delete_folder("Old")
    source.create_folder("New")
    for number in range(3):
        source.add(octets(f"fresh-{number}"), "New")
    source.expunge("Work", 3)
    source.reset_uidvalidity("Work")
    source.reconnect()
    source.add(octets("work-late"), "Work")
    return source


def renamed(source: MemorySource) -> MemorySource:
    """Mailboxes with other names, one with what lies below it; and mail that comes and goes."""
    source.rename_folder("Work", "Arbeit")
    source.rename_folder("Work/Übersicht", "Arbeit/Übersicht")
    source.rename_folder("Archive", "Old/Archive")
    source.expunge("Arbeit", 2)
    source.add(octets("new"), "Arbeit")
    source.create_folder("Work")
    source.add(octets("another"), "Work")
    return source


def with_placeholders(source: MemorySource) -> MemorySource:
    """Two messages that the provider replaces by words of its own."""
    for number in (1, 2):
        ref = source.add(octets(f"lost-{number}"), "Work")
        words = b"Subject: could not be retrieved\r\n\r\n" + str(number).encode()
        source.answer(ref, Failure("placeholder", "no", words))
    return source


def healed() -> MemorySource:
    """One of the two is to be had at last; the other's words are others now."""
    source = with_placeholders(home(capabilities=PLAIN))
    (folder,) = [each for each in source.folders() if each.path == ("Work",)]
    del source._answers[folder.folder_id, "8"]
    source._answers[folder.folder_id, "9"] = Failure("placeholder", "no", b"still not\r\n")
    source.add(octets("later"), "Work")
    return source


@dataclass(frozen=True, slots=True)
class Situation:
    """``past`` is None where the archive is new. ``options``: of both exports."""

    past: Callable[[], MemorySource] | None
    present: Callable[[], MemorySource]
    options: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True


SITUATIONS = {
    "first": Situation(None, lambda: home(capabilities=PLAIN)),
    "first, ids": Situation(None, lambda: home(capabilities=IDS, whole=True)),
    "first, single copy": Situation(
        None, lambda: home(capabilities=IDS, whole=True), {"single_copy": True}
    ),
    "update": Situation(lambda: home(capabilities=PLAIN), lambda: live(home(capabilities=PLAIN))),
    "update, ids": Situation(lambda: home(capabilities=IDS), lambda: live(home(capabilities=IDS))),
    "update, single copy": Situation(
        lambda: home(capabilities=IDS), lambda: live(home(capabilities=IDS)), {"single_copy": True}
    ),
    "update, mirror": Situation(
        lambda: home(capabilities=IDS), lambda: live(home(capabilities=IDS)), {"mirror": True}
    ),
    "update, renamed": Situation(
        lambda: home(capabilities=PLAIN), lambda: renamed(home(capabilities=PLAIN))
    ),
    "update, renamed, single copy": Situation(
        lambda: home(capabilities=IDS, whole=True),
        lambda: renamed(home(capabilities=IDS, whole=True)),
        {"single_copy": True},
    ),
    "placeholders": Situation(
        lambda: with_placeholders(home(capabilities=PLAIN)), healed, complete=False
    ),
}

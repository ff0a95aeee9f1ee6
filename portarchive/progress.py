"""How a job speaks: events to an observer. No terminal here, and no mail text in any event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Connected:
    """The source is reached and logged in."""

    service: str
    account: str
    server: str


@dataclass(frozen=True, slots=True)
class FoldersFound:
    """The selection is known. ``messages`` is None if the server gave no counts."""

    folders: int
    messages: int | None


@dataclass(frozen=True, slots=True)
class FolderStarted:
    """A folder was opened. ``messages``: how many the server says it has."""

    path: str
    messages: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """So much was made durable since the last such event. ``total``: to fetch, known so far."""

    path: str
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Passed:
    """So many messages needed no fetching."""

    path: str
    messages: int


@dataclass(frozen=True, slots=True)
class FolderFinished:
    """A folder's ledger entry is closed."""

    path: str
    archived: int
    failed: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The server asked for patience, or a reconnect is due."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Working:
    """The source is at a long task of its own (RFC 9585): for show only, it may jump or go back.

    Attributes:
        done: items so far, None if it does not say.
        goal: items in all, more than ``done``; None if it does not say.
    """

    done: int | None
    goal: int | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know. ``code`` is stable, ``text`` is ours or the server's."""

    code: str
    text: str
    severity: str = "warning"


@dataclass(frozen=True, slots=True)
class Committing:
    """The archive is being published."""

    files: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The archive is published. ``fingerprint``: SHA-256 of archive.json."""

    archive_id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ArchiveListed:
    """The names of an archive are known: so much of it is to be read.

    Attributes:
        files: how many.
        octets: of all passes over them, as claimed.
    """

    files: int
    octets: int


@dataclass(frozen=True, slots=True)
class Checked:
    """So much of an archive was read since the last such event."""

    files: int
    octets: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """So many messages of a folder were placed on the target since the last such event."""

    path: str
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Two folders were compared. ``differences``: how many were found."""

    path: str
    messages: int
    differences: int


Event = (
    Connected
    | FoldersFound
    | FolderStarted
    | Stored
    | Passed
    | FolderFinished
    | Waiting
    | Working
    | Notice
    | Committing
    | Committed
    | ArchiveListed
    | Checked
    | Delivered
    | Compared
)


class Observer(Protocol):
    """Is told what happens. Must not raise, must not block for long."""

    def __call__(self, event: Event) -> None:
        """Take one event."""


def silent(event: Event) -> None:
    """The observer that says nothing."""
    del event

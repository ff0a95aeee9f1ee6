"""The error tree: every error knows its code, its exit code and the next step.

Only ``cli`` turns these into words on a terminal. A message or folder that cannot be had is *not*
an error of this tree: it is data in the ledger (``records.Failure``).
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The published exit codes. A code not listed here means failure."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    NO_ARCHIVE = 10
    LOGIN_REFUSED = 11
    UNREACHABLE = 12
    LOCKED = 13
    REFUSED = 14
    STORAGE = 15
    UNFINISHED = 16
    BUG = 70
    INTERRUPTED = 130


class PortArchiveError(Exception):
    """An expected failure: one clear line, the next step, an exit code; never a traceback.

    Attributes:
        code: stable, for programs (``wrong-source``); the text may change, the code never.
        exit_code: what the process returns.
        hint: the next step, or None if there is none to name.
    """

    code: str = "error"
    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, text: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        if code is not None:
            self.code = code


class SettingsError(PortArchiveError):
    """What the user asked for cannot be understood or does not fit together."""

    code = "usage"
    exit_code = ExitCode.USAGE


# --- connectors ---------------------------------------------------------------------------------


class ConnectorError(PortArchiveError):
    """The other side of the wire."""

    code = "connector"
    exit_code = ExitCode.UNREACHABLE


class Unreachable(ConnectorError):
    """No connection could be made: unknown host, refused, TLS not trusted. Not worth a retry."""

    code = "unreachable"


class AuthenticationFailed(ConnectorError):
    """The server refused the credentials."""

    code = "login-refused"
    exit_code = ExitCode.LOGIN_REFUSED


class TokenExpired(ConnectorError):
    """An access token died in mid-session: reconnect with a fresh one."""

    code = "token-expired"
    exit_code = ExitCode.LOGIN_REFUSED


class ConnectionLost(ConnectorError):
    """An established connection broke (EOF, reset, timeout, BYE). Reconnecting is worth it."""

    code = "connection-lost"


class BodyCut(ConnectionLost):
    """The octets of one message ended early; raised while they are read, by ``connectors.retry``.

    Drop what was written of this message and ask for the next one: it will be handed out again.
    """

    code = "cut"


class RateLimited(ConnectorError):
    """The server said "not now". ``retry_after``: its own hint in seconds, None if it gave none."""

    code = "rate-limited"

    def __init__(
        self, text: str, *, retry_after: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(text, hint=hint)
        self.retry_after = retry_after


class FolderUnavailable(ConnectorError):
    """One mailbox cannot be opened or listed; the others can go on."""

    code = "folder-unavailable"


class TokenLost(ConnectorError):
    """A source cannot continue from the token it was given. Only the job may start over."""

    code = "token-lost"


class ServerMisbehaved(ConnectorError):
    """The server broke the protocol in a way that leaves nothing to go on with."""

    code = "server-misbehaved"


# --- archives -----------------------------------------------------------------------------------


class ArchiveError(PortArchiveError):
    """The archive on this side."""

    code = "archive"
    exit_code = ExitCode.UNFINISHED


class NotAnArchive(ArchiveError):
    """There is no archive at this path."""

    code = "no-archive"
    exit_code = ExitCode.NO_ARCHIVE


class Unfinished(ArchiveError):
    """An export was interrupted here; it wants to be run again."""

    code = "unfinished"


class Damaged(ArchiveError):
    """A member does not parse, or the chain of digests does not hold."""

    code = "damaged"


class DigestMismatch(Damaged):
    """Octets are not what their digest says."""

    code = "digest-mismatch"


class UnsafePath(ArchiveError):
    """A name would lead out of the archive."""

    code = "unsafe-path"


class Locked(ArchiveError):
    """Another living process writes this archive."""

    code = "locked"
    exit_code = ExitCode.LOCKED


class Refused(ArchiveError):
    """Going on could lose or mix up mail: foreign directory, other selection, wrong base."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class WrongSource(Refused):
    """The archive belongs to another account or server."""

    code = "wrong-source"


class StorageFailed(ArchiveError):
    """Local storage failed: full, read-only, I/O error."""

    code = "storage-failed"
    exit_code = ExitCode.STORAGE

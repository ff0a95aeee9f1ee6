"""What became of several accounts: one report, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portarchive.access.credentials import Secret
from portarchive.access.urls import LocalSource
from portarchive.cli.check import Seen
from portarchive.cli.export import summary
from portarchive.cli.ledger_view import missing_lines
from portarchive.cli.order import Order
from portarchive.cli.output import counted, octets, report_head
from portarchive.cli.safe_text import safe, without_passwords
from portarchive.errors import ExitCode, PortArchiveError

if TYPE_CHECKING:
    from portarchive.jobs.report import ExportReport


@dataclass(slots=True, kw_only=True)
class Account:
    """One line of the account file, and what has become of it.

    Attributes:
        line: its number in the file.
        source: as it is written there.
        archive: where it leads; None only if the account is just looked at.
        secret: None for files; an error if there is none to be had.
        exit_code: what an export of this account alone would return; None: not begun.
        error: why it failed.
    """

    line: int
    source: str
    archive: Path | None
    order: Order
    secret: Secret | PortArchiveError | None = None
    exit_code: int | None = None
    error: PortArchiveError | None = None
    exported: ExportReport | None = None
    seen: Seen | None = None

    @property
    def who(self) -> str:
        """The account for people."""
        url = self.order.url
        if isinstance(url, LocalSource):
            return safe(self.source)
        return f"{safe(url.user)} at {url.service}"

    @property
    def asks_environment(self) -> bool:
        """Whether no command of its own gives its secret."""
        secret = self.order.access.secret
        return secret.password_command is None and secret.token_command is None

    @property
    def error_text(self) -> str:
        """The error's words, fit for a terminal."""
        return "" if self.error is None else without_passwords(safe(self.error.text))

    @property
    def error_hint(self) -> str:
        """The next step, fit for a terminal."""
        return "" if self.error is None else without_passwords(safe(self.error.hint or ""))

    def names(self) -> dict[str, Any]:
        """The members that say which account it is."""
        archive = None if self.archive is None else str(self.archive)
        return {"line": self.line, "source": self.source, "archive": archive}


def exit_code_of(accounts: Sequence[Account]) -> int:
    """What all accounts ended with, if that is the same; else 3, for some of them are missing."""
    codes = {account.exit_code for account in accounts}
    (code,) = codes if len(codes) == 1 else (None,)
    return int(ExitCode.INCOMPLETE) if code is None else code


def report_of(file: str, accounts: Sequence[Account]) -> dict[str, Any]:
    """The object that ``--json`` prints (schemas/portarchive/report.schema.json)."""
    return {
        **report_head("export"),
        "file": file,
        "complete": all(account.exit_code == ExitCode.OK for account in accounts),
        "accounts": [_member(account) for account in accounts],
        "totals": {"accounts": len(accounts), **_counts(accounts), **_sums(accounts)},
    }


def _member(account: Account) -> dict[str, Any]:
    member: dict[str, Any] = {**account.names(), "exit_code": account.exit_code}
    if account.exported is not None:
        member["report"] = {**report_head("export"), **account.exported.to_json()}
    elif account.seen is not None:
        member["report"] = account.seen.to_json()
    if account.error is not None:
        member["error"] = {
            "code": account.error.code,
            "message": account.error_text,
            "hint": account.error_hint or None,
        }
    return member


def _state(account: Account) -> str:
    words = {
        None: "not begun",
        int(ExitCode.OK): "complete",
        int(ExitCode.INCOMPLETE): "incomplete",
        int(ExitCode.INTERRUPTED): "interrupted",
    }
    return words.get(account.exit_code, "failed")


_STATES = ("complete", "incomplete", "failed", "interrupted", "not begun")


def _counts(accounts: Sequence[Account]) -> dict[str, int]:
    states = [_state(account) for account in accounts]
    return {state.replace(" ", "_"): states.count(state) for state in _STATES}


def _sums(accounts: Sequence[Account]) -> dict[str, int]:
    totals = [account.exported.totals for account in accounts if account.exported is not None]
    names = ("messages", "fetched", "fetched_octets")
    return {name: sum(getattr(one, name) for one in totals) for name in names}


def words_of(accounts: Sequence[Account], *, verbose: int = 0) -> list[str]:
    """A line an account with what it lacks, then the totals."""
    lines: list[str] = []
    for account in accounts:
        about = _about(account)
        lines.append(f"{_state(account):11}  {account.who}" + (f": {about}" if about else ""))
        if account.error is not None:
            lines.append(f"  hint: {account.error_hint}")
        details = _details(account) if verbose else _missing(account)
        lines += [f"  {line}".rstrip() for line in details]
    parts = [f"{count} {state.replace('_', ' ')}" for state, count in _counts(accounts).items()]
    shown = ", ".join(part for part in parts if not part.startswith("0 "))
    lines.append(f"{counted(len(accounts), 'account')}: {shown}{_fetched(accounts)}")
    return lines


def _about(account: Account) -> str:
    if account.error is not None:
        return f"{account.error_text} ({account.error.code})"
    if account.seen is not None:
        return account.seen.total()
    report = account.exported
    if report is None:
        return ""
    where = safe(report.path)
    if report.dry_run:
        count = sum(entry.get("to_fetch", 0) for entry in report.folders)
        size = sum(entry.get("to_fetch_octets", 0) for entry in report.folders)
        return f"would fetch {counted(count, 'message')}, {octets(size)}, into {where}"
    return (
        f"{counted(report.totals.messages, 'message')} in {where},"
        f" {report.totals.fetched:,} fetched"
    )


def _missing(account: Account) -> list[str]:
    report = account.exported
    return [] if report is None or report.complete else missing_lines(report.folders)


def _details(account: Account) -> list[str]:
    """What an export of this account alone says."""
    if account.seen is not None:
        return account.seen.words()
    if account.exported is None or account.archive is None:
        return []
    return summary(account.exported, account.order.url, account.archive)


def _fetched(accounts: Sequence[Account]) -> str:
    sums = _sums(accounts)
    if all(account.exported is None or account.exported.dry_run for account in accounts):
        return ""
    return (
        f"; {counted(sums['messages'], 'message')} in the archives, {sums['fetched']:,} fetched"
        f" ({octets(sums['fetched_octets'])})"
    )

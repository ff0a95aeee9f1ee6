"""``portarchive export SOURCE ARCHIVE``: a new archive, a resumed one, or an update."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from portarchive.access.credentials import Secret
from portarchive.access.urls import LocalSource, SourceUrl
from portarchive.cli import arguments, options
from portarchive.cli.check import check_account
from portarchive.cli.connecting import AccessOptions, connect
from portarchive.cli.ledger_view import missing_lines, remark_lines
from portarchive.cli.order import order_of
from portarchive.cli.output import counted, octets, report_head, say, to_json
from portarchive.cli.progress_view import Speech, observing
from portarchive.cli.safe_text import safe
from portarchive.errors import ExitCode

if TYPE_CHECKING:
    from portarchive.jobs.export import ExportOptions
    from portarchive.jobs.report import ExportReport, Totals


def export(
    source: options.Source = None,
    archive: options.ArchiveToWrite = None,
    *,
    accounts: options.Accounts = None,
    mirror: options.Mirror = False,
    single_copy: options.SingleCopy = False,
    keep_drafts: options.KeepDrafts = False,
    check: options.Check = False,
    dry_run: options.DryRun = False,
    accept_source_change: options.AcceptSourceChange = False,
    change_selection: options.ChangeSelection = False,
    no_fsync: options.NoFsync = False,
    folder: options.Folders = None,
    exclude: options.Exclude = None,
    role: options.Roles = None,
    since_date: options.SinceDate = None,
    before_date: options.BeforeDate = None,
    min_size: options.MinSize = None,
    max_size: options.MaxSize = None,
    keyword: options.Keywords = None,
    namespace: options.Namespace = "personal",
    account: options.JmapAccount = None,
    password_command: options.PasswordCommand = None,
    token_command: options.TokenCommand = None,
    auth: options.Auth = None,
    tls: options.TlsMode = None,
    allow_cleartext: options.AllowCleartext = False,
    ca_file: options.CaFile = None,
    connections: options.Connections = "1",
    timeout: options.Timeout = "90",
    max_wait: options.MaxWait = "1h",
    budget: options.Budget = None,
    name: options.Name = None,
    note: options.Note = None,
    legal: options.Legal = None,
    language: options.Language = None,
    timezone: options.Timezone = None,
    archive_id: options.ArchiveId = None,
    json: options.Json = False,
    progress: options.Progress = "auto",
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> int:
    """Copy a mail account into an archive, or bring one up to date.

    The same command again resumes an export that was interrupted, and updates one that was
    finished: only new messages are fetched. The account is never changed. Exit code 0 means that
    every message the server listed is in the archive, 3 that the report names what is missing.
    """
    given = dict(locals())
    speech = Speech(json=json, mode=arguments.progress_mode(progress), verbose=verbose, quiet=quiet)
    if accounts is not None:
        from portarchive.cli.accounts import export_accounts  # noqa: PLC0415  start-up time

        return export_accounts(accounts, given, speech)
    order = order_of(given)
    url, access, path, settings = order.url, order.access, order.path, order.settings
    if path is None:
        return check_account(url, access, settings.selection, speech)
    report = run(url, access, path, settings, speech)
    code = ExitCode.OK if report.complete else ExitCode.INCOMPLETE
    with contextlib.suppress(BrokenPipeError):  # the archive stands, whoever reads on
        if json:
            say(to_json({**report_head("export"), **report.to_json()}))
        elif not quiet:
            for line in summary(report, url, path):
                say(line)
    return int(code)


def run(
    url: SourceUrl | LocalSource,
    access: AccessOptions,
    path: Path,
    settings: ExportOptions,
    speech: Speech,
    *,
    secret: Secret | None = None,
) -> ExportReport:
    """Connect, export, close.

    Raises:
        PortArchiveError: as the parts say.
    """
    from portarchive.jobs.export import run_export  # noqa: PLC0415  start-up time
    from portarchive.jobs.report import Listener  # noqa: PLC0415  start-up time

    with observing(speech) as observer:
        listener = Listener(observer)
        source = connect(url, access, observer=listener, secret=secret)
        try:
            return run_export(source, path, settings, listener)
        finally:
            source.close()


def summary(report: ExportReport, url: SourceUrl | LocalSource, path: Path) -> list[str]:
    """What happened, for people."""
    totals = report.totals
    where = safe(path)
    here = f"{counted(totals.messages, 'message')} in {counted(len(report.folders), 'folder')}"
    if report.dry_run:
        return _preview(report, where)
    if not report.published:
        lines = [f"{where} is up to date: {here}; nothing was published"]
    else:
        again = ", going on where an interrupted run stopped" if report.resumed else ""
        whose = (
            safe(report.source.service)
            if isinstance(url, LocalSource)
            else f"{safe(url.user)} at {url.service}"
        )
        lines = [f"exported {whose} to {where}{again}", f"  {here}"]
    lines += [f"  {line}" for line in _details(totals)]
    if report.complete:
        lines.append("  complete: every message that the server listed is accounted for")
    else:
        lines.append("  INCOMPLETE. Missing:")
        lines += [f"    {line}" for line in missing_lines(report.folders)]
        lines.append("  the same command again tries these once more")
    remarks = remark_lines(report.folders, lasting=not report.published)
    lines += [f"  {line}" for line in remarks]
    lines += _notices(report)
    if report.fingerprint:
        lines.append(f"  fingerprint {safe(report.fingerprint)}")
    return lines


def _preview(report: ExportReport, where: str) -> list[str]:
    """What a dry run found: its entries have ``to_fetch`` and ``to_fetch_octets``."""
    count = sum(entry.get("to_fetch", 0) for entry in report.folders)
    size = sum(entry.get("to_fetch_octets", 0) for entry in report.folders)
    here = sum(entry.get("archived", 0) for entry in report.folders)
    fetch = f"{counted(count, 'message')}, {octets(size)}"
    there = f"{counted(here, 'message')} in {counted(len(report.folders), 'folder')}"
    lines = [
        f"dry run, nothing was written: an export would fetch {fetch}, into {where}",
        f"  {there} need no fetching",
    ]
    lines += [
        f"  {safe(entry['path'])}: {counted(entry['to_fetch'], 'message')},"
        f" {octets(entry.get('to_fetch_octets', 0))}"
        for entry in report.folders
        if entry.get("to_fetch")
    ]
    return [*lines, *(f"  {line}" for line in missing_lines(report.folders)), *_notices(report)]


def _notices(report: ExportReport, *, most: int = 20) -> list[str]:
    """What job and connector said on the way, for it may have scrolled out of sight."""
    lines = [f"  {safe(n['severity'])}: {safe(n['text'])}" for n in report.notices[:most]]
    more = len(report.notices) - most
    return lines + [f"  and {more:,} more; --json has all"] * (more > 0)


def _details(totals: Totals) -> list[str]:
    words = {
        "linked": "had already as a copy",
        "matched": "found again after the server renumbered them",
        "newly_kept": "gone from the server since the last run",
        "skipped": "left out by the filters",
        "vanished": "deleted during the export",
        "failed": "not to be had",
        "arrived_later": "arrived after the last look; the next run has them",
    }
    counts = [(getattr(totals, name), text) for name, text in words.items()]
    fetched = [f"{totals.fetched:,} fetched, {octets(totals.fetched_octets)}"]
    return fetched * bool(totals.fetched) + [f"{n:,} {text}" for n, text in counts if n]

"""``portarchive migrate SOURCE TARGET``: export, import, compare; the archive is kept."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from portarchive.access.urls import LocalSource, SourceUrl
from portarchive.cli import arguments, options, place_options
from portarchive.cli.connecting import AccessOptions, connect, connect_target, find_secret
from portarchive.cli.diff_view import difference_lines
from portarchive.cli.export import summary as export_summary
from portarchive.cli.import_view import summary as import_summary
from portarchive.cli.order import Order, order_of
from portarchive.cli.output import report_head, say, to_json
from portarchive.cli.place_order import (
    file_options,
    import_options,
    keep_apart,
    refuse_oneself,
    state_directory,
    target_of,
)
from portarchive.cli.progress_view import Speech, observing
from portarchive.cli.safe_text import safe
from portarchive.errors import ExitCode

if TYPE_CHECKING:
    from portarchive.connectors.base import Source, Target
    from portarchive.jobs.migrate import MigrateReport
    from portarchive.jobs.replay.options import ImportOptions


def migrate(
    source: place_options.OldAccount,
    target: place_options.Target,
    *,
    archive: place_options.KeptArchive = None,
    dry_run: place_options.MigrateDryRun = False,
    into: place_options.Into = None,
    single_copy: options.SingleCopy = False,
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
    deleted: place_options.Deleted = "trash",
    labels: place_options.Labels = "copies",
    keep_keyword: place_options.KeepKeyword = None,
    drop_keyword: place_options.DropKeyword = None,
    mark_imported: place_options.MarkImported = False,
    hold_junk: place_options.HoldJunk = False,
    normalise: place_options.Normalise = False,
    strict_match: place_options.StrictMatch = False,
    verify: place_options.Verify = "sample",
    mbox_status: place_options.MboxStatus = False,
    account: options.JmapAccount = None,
    password_command: options.PasswordCommand = None,
    token_command: options.TokenCommand = None,
    auth: options.Auth = None,
    tls: options.TlsMode = None,
    ca_file: options.CaFile = None,
    allow_cleartext: options.AllowCleartext = False,
    connections: place_options.PlaceConnections = "1",
    timeout: options.Timeout = "90",
    max_wait: options.MaxWait = "1h",
    budget: options.Budget = None,
    target_account: place_options.TargetAccount = None,
    target_password_command: place_options.TargetPasswordCommand = None,
    target_token_command: place_options.TargetTokenCommand = None,
    target_auth: place_options.TargetAuth = None,
    target_tls: place_options.TargetTls = None,
    target_ca_file: place_options.TargetCaFile = None,
    json: options.Json = False,
    progress: options.Progress = "auto",
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> int:
    """Bring a mail account to another provider.

    Exports SOURCE into an archive, which is kept, imports that into TARGET, and compares the two.
    The same command again goes on where it stopped, or brings what is new. SOURCE is never
    changed; nothing of TARGET is removed. Exit code 0 means that everything is there.
    """
    given = dict(locals())
    speech = Speech(json=json, mode=arguments.progress_mode(progress), verbose=verbose, quiet=quiet)
    url, access = target_of(given, prefix="target_")
    settings = import_options({**given, "select": None, "include_kept": False})
    files = file_options(given, url)
    order = order_of({**_EXPORT_ONLY, **given, "archive": archive or _beside(source)})
    path = order.path or Path()
    refuse_oneself(order.url, url)
    keep_apart(path, url, "TARGET")
    keep_apart(path, order.url, "SOURCE")
    report = _run(order, url, access, settings, files, speech)
    with contextlib.suppress(BrokenPipeError):
        if json:
            say(to_json({**report_head("migrate"), **report.to_json()}))
        elif not quiet:
            for line in _summary(report, order.url, path):
                say(line)
    return int(ExitCode.OK if report.complete or dry_run else ExitCode.INCOMPLETE)


_EXPORT_ONLY = {
    "check": False,
    "mirror": False,
    "keep_drafts": True,
    "accept_source_change": False,
    "change_selection": False,
    "name": None,
    "note": None,
    "legal": None,
    "language": None,
    "timezone": None,
    "archive_id": None,
}


def _beside(source: str) -> str:
    """A name for the archive in this directory: the same for the same source."""
    whose = re.sub(r"\A[a-z]+:/*|\?.*\Z", "", source)
    return "migrate-" + re.sub(r"[^A-Za-z0-9@._-]+", "_", whose).strip("._")[:100]


def _run(
    order: Order,
    url: SourceUrl | LocalSource,
    access: AccessOptions,
    settings: ImportOptions,
    files: dict[str, str] | None,
    speech: Speech,
) -> MigrateReport:
    from portarchive.jobs.migrate import run_migrate  # noqa: PLC0415  start-up time

    path = order.path
    if path is None:  # --check is no option of this verb
        raise AssertionError
    secret = None if isinstance(url, LocalSource) else find_secret(url, access)
    with observing(speech) as observer:

        def write() -> Target:
            return connect_target(url, access, observer=observer, secret=secret, files=files)

        def read() -> Source:
            return connect(url, access, observer=observer, secret=secret)

        source = connect(order.url, order.access, observer=observer)
        try:
            return run_migrate(
                source,
                path,
                write,
                read,
                order.settings,
                settings,
                observer,
                state=state_directory(),
            )
        finally:
            source.close()


def _summary(report: MigrateReport, url: SourceUrl | LocalSource, path: Path) -> list[str]:
    lines = export_summary(report.exported, url, path)
    if report.imported is not None:
        if report.exported.dry_run:
            lines.append(f"the import of what is in {safe(path)} by now:")
        lines += import_summary(report.imported)
    elif report.exported.dry_run:
        lines.append("the import can be planned when there is an archive: export first")
    if report.compared is not None:
        lines += difference_lines(report.compared)
    return lines

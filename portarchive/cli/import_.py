"""``portarchive import ARCHIVE TARGET``: an archive is placed in another account, once."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portarchive.access.credentials import Secret
from portarchive.access.urls import LocalSource, SourceUrl, parse_archive
from portarchive.cli import arguments, options, place_options
from portarchive.cli.connecting import AccessOptions, connect_target
from portarchive.cli.import_view import summary
from portarchive.cli.output import report_head, say, to_json
from portarchive.cli.place_order import (
    file_options,
    import_options,
    keep_apart,
    state_directory,
    target_of,
)
from portarchive.cli.progress_view import Speech, observing
from portarchive.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portarchive.cli.query_select import Selected
    from portarchive.connectors.base import Target
    from portarchive.jobs.replay.options import ImportOptions
    from portarchive.jobs.replay.report import ImportReport
    from portarchive.progress import Observer


def import_(
    archive: place_options.Archive,
    target: place_options.Target,
    *,
    dry_run: place_options.DryRun = False,
    into: place_options.Into = None,
    include_kept: place_options.IncludeKept = False,
    no_fsync: options.NoFsync = False,
    folder: options.Folders = None,
    exclude: options.Exclude = None,
    role: options.Roles = None,
    since_date: options.SinceDate = None,
    before_date: options.BeforeDate = None,
    min_size: options.MinSize = None,
    max_size: options.MaxSize = None,
    keyword: options.Keywords = None,
    select: place_options.Select = None,
    select_query: place_options.SelectQuery = None,
    select_search: place_options.SelectSearch = None,
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
    password_command: place_options.ImportPasswordCommand = None,
    token_command: options.TokenCommand = None,
    auth: options.Auth = None,
    tls: options.TlsMode = None,
    allow_cleartext: options.AllowCleartext = False,
    ca_file: options.CaFile = None,
    connections: place_options.PlaceConnections = "1",
    timeout: options.Timeout = "90",
    max_wait: options.MaxWait = "1h",
    json: options.Json = False,
    progress: options.Progress = "auto",
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> int:
    """Place the messages of an archive in an account, each once.

    What is there already is recognised and not placed again, so the same command may be run as
    often as you like, also after a crash. Nothing of the account is removed or changed, and the
    archive is only read. Everything that was placed is read back and compared. Exit code 0 means
    that all of the archive is in the account as it was, 3 that the report names what is not.
    """
    given = dict(locals())
    speech = Speech(json=json, mode=arguments.progress_mode(progress), verbose=verbose, quiet=quiet)
    url, access = target_of(given)
    settings = import_options(given)
    path = parse_archive(archive, writing=False)
    keep_apart(path, url, "TARGET")
    selected = _select(given)
    if selected is not None:
        settings = dataclasses.replace(settings, select=frozenset(selected.words))
    report = run(path, url, access, settings, speech, files=file_options(given, url))
    with contextlib.suppress(BrokenPipeError):
        if json:
            more = {} if selected is None else {"selected": selected.messages}
            say(to_json({**report_head("import"), **report.to_json(), **more}))
        elif not quiet:
            if selected is not None and dry_run:
                for line in selected.lines():
                    say(line)
            for line in summary(report):
                say(line)
    return int(ExitCode.OK if report.complete else ExitCode.INCOMPLETE)


def _select(given: Mapping[str, Any]) -> Selected | None:
    """What a query or a search names; None if neither was given.

    Raises:
        SettingsError: more than one way to select was given, or nothing is selected.
    """
    ways = ("select", "select_query", "select_search")
    chosen = ["--" + way.replace("_", "-") for way in ways if given[way] is not None]
    if len(chosen) > 1:
        raise SettingsError(f"{' and '.join(chosen)} do not go together", hint="leave one out")
    if given["select_query"] is None and given["select_search"] is None:
        return None
    from portarchive.cli.query_select import select  # noqa: PLC0415  start-up time

    return select(
        given["archive"],
        sql=given["select_query"],
        search=given["select_search"],
        include_kept=given["include_kept"],
        progress=given["progress"],
        quiet=given["quiet"],
    )


def run(
    path: Path,
    url: SourceUrl | LocalSource,
    access: AccessOptions,
    settings: ImportOptions,
    speech: Speech,
    *,
    files: Mapping[str, str] | None = None,
    secret: Secret | None = None,
) -> ImportReport:
    """Open the archive, connect, import, close.

    Raises:
        PortArchiveError: as the parts say.
    """
    from portarchive.archive.contents import open_contents  # noqa: PLC0415  start-up time
    from portarchive.jobs.replay.run import run_import  # noqa: PLC0415  start-up time

    with (
        observing(speech) as observer,
        open_contents(path) as contents,
        opened(url, access, observer, files=files, secret=secret) as target,
    ):
        return run_import(
            contents, target, settings, observer, archive=path, state=state_directory()
        )


@contextlib.contextmanager
def opened(
    url: SourceUrl | LocalSource, access: AccessOptions, observer: Observer, **more: Any
) -> Iterator[Target]:
    """A target for the time of one job."""
    target = connect_target(url, access, observer=observer, **more)
    try:
        yield target
    finally:
        target.close()

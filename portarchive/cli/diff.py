"""``portarchive diff A B``: two archives, or an archive and an account, message by message."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portarchive.access.credentials import SecretOptions
from portarchive.access.urls import FORM, parse_archive, parse_local, parse_source
from portarchive.cli import arguments, options
from portarchive.cli.connecting import AccessOptions, connect
from portarchive.cli.diff_view import summary
from portarchive.cli.output import report_head, say, to_json
from portarchive.cli.progress_view import Speech, observing
from portarchive.errors import ExitCode, NotAnArchive, SettingsError

if TYPE_CHECKING:
    from portarchive.jobs.diff.sides import Side
    from portarchive.jobs.selection import Selection
    from portarchive.progress import Observer

_SIDE = f"An archive, or an account: {FORM}, maildir:PATH, mbox:PATH."


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    *,
    exact: Annotated[
        bool, options.option(options.MODE, "--exact", "Line ends and zone offsets count too.")
    ] = False,
    include_kept: Annotated[
        bool,
        options.option(
            options.MODE, "--include-kept", "Compare what the source had deleted as well."
        ),
    ] = False,
    folder: options.Folders = None,
    exclude: options.Exclude = None,
    role: options.Roles = None,
    password_command: options.PasswordCommand = None,
    token_command: options.TokenCommand = None,
    auth: options.Auth = None,
    tls: options.TlsMode = None,
    allow_cleartext: options.AllowCleartext = False,
    ca_file: options.CaFile = None,
    connections: options.Connections = "1",
    timeout: options.Timeout = "90",
    max_wait: options.MaxWait = "1h",
    json: options.Json = False,
    progress: options.Progress = "auto",
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> int:
    """Compare two archives, or an archive and an account, by folder and message.

    Compared are octets, flags and dates. Folders are paired by role, then by path. All messages of
    an account are read; it is not changed. Exit code 0 means that nothing differs, 1 that something
    does.
    """
    given = dict(locals())
    speech = Speech(json=json, mode=arguments.progress_mode(progress), verbose=verbose, quiet=quiet)
    access = AccessOptions(
        secret=SecretOptions(
            token_command=token_command, password_command=password_command, mechanism=auth
        ),
        ca_file=arguments.readable_file("--ca-file", ca_file),
        timeout=arguments.seconds("--timeout", timeout, least=1),
        connections=arguments.whole("--connections", connections, least=1, most=32),
        max_wait=arguments.seconds("--max-wait", max_wait, least=0),
    )
    chosen = arguments.selection(
        folders=given["folder"] or (),
        exclude=given["exclude"] or (),
        roles=given["role"] or (),
        since_date=None,
        before_date=None,
        min_size=None,
        max_size=None,
        keywords=(),
        namespace="personal",
    )
    from portarchive.jobs.diff.run import run_diff  # noqa: PLC0415  start-up time

    with contextlib.ExitStack() as stack:
        observer = stack.enter_context(observing(speech))
        sides = [
            stack.enter_context(
                _side(
                    text,
                    access,
                    chosen,
                    observer,
                    tls,
                    cleartext=allow_cleartext,
                    kept=include_kept,
                )
            )
            for text in (a, b)
        ]
        report = run_diff(sides[0], sides[1], observer, exact=exact)
    with contextlib.suppress(BrokenPipeError):
        if json:
            say(to_json({**report_head("diff"), **report.to_json()}))
        elif not quiet:
            for line in summary(report):
                say(line)
    return int(ExitCode.OK if report.same else ExitCode.FINDINGS)


@contextlib.contextmanager
def _side(
    text: str,
    access: AccessOptions,
    chosen: Selection,
    observer: Observer,
    tls: str | None,
    *,
    cleartext: bool,
    kept: bool,
) -> Iterator[Side]:
    """One of the two, opened for the time of the comparison."""
    from portarchive.archive.contents import open_contents  # noqa: PLC0415  start-up time
    from portarchive.jobs.diff.sides import AccountSide, ArchiveSide  # noqa: PLC0415
    from portarchive.jobs.replay.gather import as_record  # noqa: PLC0415

    local = parse_local(text, side="target")  # the words that an import took will do
    if local is None and "://" not in text:
        path: Path = parse_archive(text, writing=False)
        with open_contents(path) as contents:
            yield ArchiveSide(
                contents,
                str(path),
                kept=kept,
                wanted=lambda folder: chosen.wants_folder(as_record(folder)),
            )
        return
    if kept:
        raise SettingsError(
            "--include-kept is for two archives",
            hint="an account has no kept messages: leave it out",
        )
    if local is not None and not Path(local.path).exists():
        raise NotAnArchive(
            f"there is nothing at {local.path}", hint="name a Maildir or mbox that is there"
        )
    url = local or parse_source(text, tls=tls, allow_cleartext=cleartext)
    source = connect(url, access, observer=observer)
    try:
        yield AccountSide(source, wanted=chosen.wants_folder)
    finally:
        source.close()

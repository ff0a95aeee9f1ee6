"""``portarchive diff A B``: two archives, or an archive and an account, message by message."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portarchive.access.credentials import SecretOptions
from portarchive.access.urls import FORM, parse_archive, parse_local, parse_source
from portarchive.cli import arguments, options
from portarchive.cli.connecting import AccessOptions, connect
from portarchive.cli.diff_view import summary
from portarchive.cli.output import report_head, say, to_json
from portarchive.cli.progress_view import Speech, observing
from portarchive.cli.safe_text import safe
from portarchive.errors import ExitCode, NotAnArchive, SettingsError

if TYPE_CHECKING:
    from portarchive.jobs.diff.sides import Side
    from portarchive.jobs.selection import Selection
    from portarchive.progress import Observer
    from portarchive.records import Folder

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
    from portarchive.jobs.diff.sides import ArchiveSide  # noqa: PLC0415

    sides: dict[int, Side] = {}
    told: Mapping[str, Any] = {}
    asked = _Asked(chosen)
    with contextlib.ExitStack() as stack:
        observer = stack.enter_context(observing(speech))
        # archives first: they know how the folders of an account were named
        for at, text in sorted(enumerate((a, b)), key=lambda side: not _is_archive(side[1])):
            sides[at] = side = stack.enter_context(
                _side(
                    text,
                    access,
                    asked.wants,
                    observer,
                    tls,
                    cleartext=allow_cleartext,
                    kept=include_kept,
                    told=told,
                )
            )
            told = side.source if isinstance(side, ArchiveSide) else told
        asked.refuse_unmatched()
        report = run_diff(sides[0], sides[1], observer, exact=exact)
    with contextlib.suppress(BrokenPipeError):
        if json:
            say(to_json({**report_head("diff"), **report.to_json()}))
        elif not quiet:
            for line in summary(report):
                say(line)
    return int(ExitCode.OK if report.same else ExitCode.FINDINGS)


class _Asked:
    """The filters of folders, and what the sides have: a name that neither has is a slip."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._seen: list[Folder] = []
        self._found = False

    def wants(self, folder: Folder) -> bool:
        """Asked of each folder of each side."""
        self._seen.append(folder)
        wanted = self._selection.wants_folder(folder)
        self._found = self._found or wanted
        return wanted

    def refuse_unmatched(self) -> None:
        """When both sides were listed, before a message is read.

        Raises:
            SettingsError: nothing would be compared, or not all of what was named.
        """
        unmatched = self._selection.unmatched(self._seen)
        if not unmatched and (self._found or not self._seen):
            return
        names = ", ".join(repr(safe(pattern)) for pattern in unmatched)
        raise SettingsError(
            f"neither A nor B has a folder {names}"
            if names
            else "the selection has no folder, neither of A nor of B",
            hint="portarchive ls ARCHIVE and portarchive export --check SOURCE list them",
            code="no-such-folder",
        )


def _is_archive(text: str) -> bool:
    return "://" not in text and parse_local(text, side="target") is None


@contextlib.contextmanager
def _side(
    text: str,
    access: AccessOptions,
    wants: Callable[[Folder], bool],
    observer: Observer,
    tls: str | None,
    *,
    cleartext: bool,
    kept: bool,
    told: Mapping[str, Any],
) -> Iterator[Side]:
    """One of the two, opened for the time of the comparison. ``told``: see ``AccountSide``."""
    from portarchive.archive.contents import open_contents  # noqa: PLC0415  start-up time
    from portarchive.jobs.diff.sides import AccountSide, ArchiveSide  # noqa: PLC0415
    from portarchive.jobs.replay.gather import as_record  # noqa: PLC0415

    local = parse_local(text, side="target")  # the words that an import took will do
    if _is_archive(text):
        path: Path = parse_archive(text, writing=False)
        with open_contents(path) as contents:
            yield ArchiveSide(
                contents,
                str(path),
                kept=kept,
                wanted=lambda folder: wants(as_record(folder)),
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
        yield AccountSide(source, wanted=wants, told=told)
    finally:
        source.close()

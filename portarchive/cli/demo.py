"""``portarchive demo``: the whole circle on an embedded IMAP server; no account is needed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from portarchive.access.credentials import Secret
from portarchive.access.urls import FORM, parse_archive, parse_source
from portarchive.archive import model
from portarchive.archive.reader import ArchiveReader
from portarchive.cli import arguments, options
from portarchive.cli.connecting import AccessOptions
from portarchive.cli.export import run
from portarchive.cli.info import words_of
from portarchive.cli.output import bold, columns, counted, octets, report_head, say, to_json
from portarchive.cli.progress_view import Speech
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import survey
from portarchive.errors import ExitCode

if TYPE_CHECKING:
    from portarchive.demo.server import DemoServer
    from portarchive.jobs.report import ExportReport

Into = Annotated[
    str | None,
    options.option(
        "Output", "--into", "Write the archive here and leave it; otherwise it is removed.", "DIR"
    ),
]


def demo(
    *,
    into: Into = None,
    json: options.Json = False,
    progress: options.Progress = "none",
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> int:
    """The whole circle on an embedded mail server; no account needed.

    Starts an IMAP server on this machine with a sample mailbox, exports it, checks every file of
    the archive against its digest, exports again to show that nothing is left to do, and says
    what to try next.
    """
    from portarchive.demo.server import demo_server  # noqa: PLC0415  start-up time

    speech = Speech(
        json=json, mode=arguments.progress_mode(progress), verbose=verbose, quiet=quiet or json
    )
    with _place(into) as path, demo_server() as server:
        talk = _Talk(silent=json or quiet)
        talk.step(f"an IMAP server with a sample mailbox listens at {safe(server.url)}")
        first = _export(server, path, speech)
        talk.step("the export")
        talk.lines([f"$ portarchive export '{safe(server.url)}' {safe(path)}", *_result(first)])
        reader = ArchiveReader.open(path)
        talk.step("the archive")
        talk.lines([*_tree(reader), "", *words_of(reader, survey(reader))])
        talk.step("the proof: every file is read again and compared with its digest")
        checked, bad = _check(reader)
        talk.lines(_verdict(reader, checked, bad))
        second = _export(server, path, speech)
        talk.step("the same command again: an update, and there is nothing to do")
        talk.lines(_result(second))
        good = first.complete and second.complete and not bad
        if json:
            say(
                to_json(
                    {
                        **report_head("demo"),
                        "archive": str(path),
                        "left": into is not None,
                        "fine": good,
                        "export": first.to_json(),
                        "update": second.to_json(),
                        "digests": {**checked, "bad": bad},
                    }
                )
            )
        talk.step("what next")
        talk.lines(_next_steps(path if into is not None else None))
    return int(ExitCode.OK if good else ExitCode.INCOMPLETE)


class _Talk:
    """Numbered steps on stdout, or nothing."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._number = 0

    def step(self, text: str) -> None:
        self._number += 1
        if not self._silent:
            say(("\n" if self._number > 1 else "") + bold(f"{self._number}. {text}"))

    def lines(self, lines: list[str]) -> None:
        if not self._silent:
            for line in lines:
                say(f"   {line}".rstrip())


@contextlib.contextmanager
def _place(into: str | None) -> Iterator[Path]:
    if into is not None:
        yield parse_archive(into, writing=True)
        return
    with tempfile.TemporaryDirectory(prefix="portarchive-demo-") as directory:
        yield Path(directory) / "archive"


def _export(server: DemoServer, path: Path, speech: Speech) -> ExportReport:
    from portarchive.jobs.export import ExportOptions  # noqa: PLC0415  start-up time

    access = AccessOptions(max_wait=10)
    settings = ExportOptions(
        note="Made by portarchive demo from invented mail.", max_wait=access.max_wait
    )
    secret = Secret.known(server.password, origin="the demo")
    return run(parse_source(server.url), access, path, settings, speech, secret=secret)


def _result(report: ExportReport) -> list[str]:
    totals = report.totals
    fetched = f"{counted(totals.fetched, 'message')} fetched, {octets(totals.fetched_octets)}"
    state = "published" if report.published else "nothing was published"
    whole = "complete" if report.complete else "INCOMPLETE"
    return [f"{fetched}; {counted(totals.messages, 'message')} in the archive; {state}; {whole}"]


def _tree(reader: ArchiveReader) -> list[str]:
    """The files at the top, and one folder as an example of all."""
    named = (model.ARCHIVE_FILE, model.MANIFEST_FILE, model.DIGESTS_FILE)
    files = [name for name in named if (reader.root / name).is_file()]
    folders = reader.folders()
    shown = max(folders, key=lambda entry: entry.path == "INBOX", default=None)
    more = []
    if shown is not None:
        messages = [shown.file_of(item) for item in shown.items()]
        files += [f"{model.MAIL}/{shown.path}/{model.FOLDER_FILE}", *messages[:2]]
        rest, others = len(messages[2:]), len(folders) - 1
        more = [f"  … and {rest:,} more like it; then {counted(others, 'folder')} like this one"]
    sizes = [(name, octets((reader.root / name).stat().st_size)) for name in files]
    return [f"{safe(reader.root)}/", *(f"  {line}" for line in columns((), sizes)), *more]


def _check(reader: ArchiveReader) -> tuple[dict[str, int], list[str]]:
    files = size = 0
    bad: list[str] = []
    for _, count, problem in reader.check_digests():
        files += 1
        size += count
        if problem is not None:
            bad.append(safe(problem.text))
    return {"files": files, "octets": size}, bad


def _verdict(reader: ArchiveReader, checked: dict[str, int], bad: list[str]) -> list[str]:
    read = f"{counted(checked['files'], 'file')}, {octets(checked['octets'])} read"
    if bad:
        return [f"{read}: {counted(len(bad), 'file')} wrong", *bad]
    return [
        f"{read}: every one is what it was when it came from the server",
        f"the fingerprint of it all is {safe(reader.fingerprint)}",
        f"any machine can check this: (cd ARCHIVE && sha256sum -c {model.DIGESTS_FILE})",
    ]


def _next_steps(left: Path | None) -> list[str]:
    if left is None:
        look = ["portarchive demo --into demo-archive      keep the archive, and look into it"]
    else:
        look = [
            f"portarchive ls {safe(left)} INBOX",
            f"portarchive info {safe(left)} --json",
        ]
    return [*look, f"portarchive export {FORM} my-mail      your own account"]

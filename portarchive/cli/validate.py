"""``portarchive validate ARCHIVE``: whether an archive of anybody's keeps the draft.

Owns the options and where the report goes; what it looks like is in ``validate_view``,
``validate_html`` and ``validate_sarif``. Refuses to write anything but the page asked for.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portarchive.access.urls import parse_archive
from portarchive.cli import arguments, options
from portarchive.cli.output import report_head, say, to_json
from portarchive.cli.safe_text import safe
from portarchive.cli.validate_file import check_place, write_page
from portarchive.cli.validate_progress import watching
from portarchive.cli.validate_view import explanation, explanation_words, near_codes, words_of
from portarchive.errors import ExitCode, NotAnArchive, PortArchiveError, SettingsError

if TYPE_CHECKING:
    from portarchive.cli.progress_view import Mode
    from portarchive.validate.report import Report

SCHEMA = "urn:portarchive:schema:validation:1"
LEVELS = ("schema", "structure", "deep")
FEW = 3
"""Findings of one code that people see, unless they ask for more."""
ON_A_PAGE = 100
"""The same for the page."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOOK = "How it is looked at"

Archive = Annotated[
    str | None,
    typer.Argument(
        metavar="ARCHIVE",
        help="A directory, or a file: .pdpa, .zip, .tar, .tar.gz, .tar.zst.",
    ),
]
LevelName = Annotated[
    str,
    options.option(
        _LOOK,
        "--level",
        "schema: each document by itself. structure: also what they mean to each other and to the"
        " files. deep: also the octets of every file (as it is without this option).",
        "schema|structure|deep",
    ),
]
Base = Annotated[
    str | None,
    options.option(
        _LOOK, "--base", "The full archive that this partial one updates: compare them.", "ARCHIVE"
    ),
]
Strict = Annotated[bool, options.option(_LOOK, "--strict", "Warnings count as errors do.")]
Explain = Annotated[
    str | None,
    options.option(
        _LOOK,
        "--explain",
        "Say what a code means, and of which clause it is; needs no ARCHIVE.",
        "CODE",
    ),
]
Limit = Annotated[
    str | None,
    options.option(
        options.OUTPUT,
        "--limit",
        f"Show so many findings of each code ({FEW}; {ON_A_PAGE} with --html) and count the rest.",
        "N",
    ),
]
Json = Annotated[
    bool,
    options.option(
        options.OUTPUT,
        "--json",
        "One JSON object on stdout in place of words, with up to 1000 findings of each code.",
    ),
]
Sarif = Annotated[
    bool, options.option(options.OUTPUT, "--sarif", "The same as SARIF 2.1.0, for code scanners.")
]
Html = Annotated[
    str | None,
    options.option(
        options.OUTPUT, "--html", "Write one page that needs nothing else, for a browser.", "FILE"
    ),
]
Quiet = Annotated[
    bool, options.option(options.OUTPUT, "--quiet -q", "Say nothing: the exit code tells.")
]


class Interrupted(PortArchiveError):
    """Ctrl-C, or SIGTERM, where there is nothing to go on with: nothing was begun."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED


def validate(
    archive: Archive = None,
    *,
    level: LevelName = "deep",
    base: Base = None,
    strict: Strict = False,
    explain: Explain = None,
    limit: Limit = None,
    json: Json = False,
    sarif: Sarif = False,
    html: Html = None,
    progress: options.Progress = "auto",
    quiet: Quiet = False,
) -> int:
    """Whether an archive, by anybody, keeps the draft, and its octets are what they claim.

    Looks at it clause by clause, trusts nothing in it, writes and unpacks nothing. Exit code 0
    means that there is no error, 1 that there are some; each has a code that --explain explains.
    """
    if explain is not None:
        return _explain(explain, archive, json=json)
    if archive is None:
        raise SettingsError(
            "ARCHIVE is missing", hint="portarchive validate ARCHIVE, or --explain CODE"
        )
    _one_form(json=json, sarif=sarif, html=html, limit=limit)
    few = ON_A_PAGE if html is not None else FEW
    if limit is not None:
        few = arguments.whole("--limit", limit, least=0, most=1000)
    level = arguments.one_of("--level", level, LEVELS)
    mode = arguments.progress_mode(progress)
    path = _place(archive, "portarchive validate mail-archive")
    base_path = None if base is None else _base(base)
    page = None if html is None else check_place(html, archive=path, base=base_path)

    with _harmless():
        report = _look(path, level, base_path, mode, quiet=quiet)
        code = report.exit_code(strict=strict)
        if page is not None:
            from portarchive.cli.validate_html import page_of  # noqa: PLC0415  only here

            write_page(page, page_of(report, strict=strict, limit=few))
        if json:
            say(to_json(report_of(report, strict=strict)))
        elif sarif:
            from portarchive.cli.validate_sarif import sarif_of  # noqa: PLC0415  only here

            say(to_json(sarif_of(report, strict=strict)))
        elif not quiet:
            shown = 0 if page is not None else few
            for line in words_of(report, strict=strict, limit=shown, heads=page is None):
                say(line)
            if page is not None:
                say(f"the report is in {safe(page)}")
    if code is ExitCode.BUG:
        _tell_bug()
    return int(code)


def report_of(report: Report, *, strict: bool) -> dict[str, object]:
    """``--json``: validation.schema.json."""
    return {
        **report_head("validate"),
        "$schema": SCHEMA,
        **report.to_dict(),
        "strict": strict,
        "passed": report.exit_code(strict=strict) is ExitCode.OK,
    }


def _look(path: Path, level: str, base: Path | None, mode: Mode, *, quiet: bool) -> Report:
    with watching(mode, quiet=quiet) as observer:
        from portarchive.validate.engine import validate as engine  # noqa: PLC0415  loads schemas

        return engine(path, level=level, base=base, observer=observer)


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        hint = "nothing was changed; the same command again looks from the beginning"
        raise Interrupted("interrupted", hint=hint) from None


def _one_form(*, json: bool, sarif: bool, html: str | None, limit: str | None) -> None:
    asked = [
        name
        for name, wanted in (("--json", json), ("--sarif", sarif), ("--html", html is not None))
        if wanted
    ]
    if len(asked) > 1:
        raise SettingsError(
            f"{' and '.join(asked)} do not go together", hint="ask for one form of the report"
        )
    if limit is not None and (json or sarif):
        raise SettingsError(
            f"--limit is for people; {asked[0]} has up to 1000 findings of each code",
            hint="leave --limit out",
        )


def _place(text: str, example: str) -> Path:
    if _URL.match(text):
        raise SettingsError(
            "an archive is a directory or file on this machine, and this one is a URL",
            hint=f"fetch it first, or name the file: {example}",
        )
    return parse_archive(text, writing=False)


def _base(text: str) -> Path:
    path = _place(text, "portarchive validate update --base mail-archive")
    if not os.path.lexists(path):
        raise NotAnArchive(f"there is nothing at {path}", hint="check the path given with --base")
    return path


def _explain(code: str, archive: str | None, *, json: bool) -> int:
    from portarchive.validate.codes import explain  # noqa: PLC0415  only here

    if archive is not None:
        raise SettingsError(
            "--explain looks at no archive", hint="portarchive validate --explain CODE"
        )
    row = explain(code)
    if row is None:
        near = near_codes(code)
        raise SettingsError(
            f"there is no code {safe(code)[:40]!r}",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else "docs/codes.md lists all codes; they look like P-014",
            code="no-such-code",
        )
    if json:
        head = {**report_head("explain"), "$schema": SCHEMA}
        say(to_json({**head, **explanation(row)}))
    else:
        for line in explanation_words(row):
            say(line)
    return int(ExitCode.OK)


def _tell_bug() -> None:
    sys.stderr.write(
        "error: a check of portarchive's own broke down (F-001); the rest of the report holds\n"
        "hint: please report it with the text of F-001, as CONTRIBUTING.md says\n"
    )

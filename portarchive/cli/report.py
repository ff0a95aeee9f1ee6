"""``portarchive report ARCHIVE``: one page of an archive with plots, for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from portarchive.access.urls import parse_archive
from portarchive.cli import options, place_options
from portarchive.cli.index_open import NoUpdate, Place, opened
from portarchive.cli.output import counted, octets, report_head, say, to_json
from portarchive.cli.query_file import check_file, writing
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import changed_meanwhile

if TYPE_CHECKING:
    from portarchive.archive.contents import Contents
    from portarchive.cli.report_page import Described
    from portarchive.index.report import ArchiveFacts

Output = Annotated[
    str | None,
    options.option(
        options.OUTPUT,
        "--output",
        "The page. NAME-report.html in this directory otherwise, NAME being the archive's.",
        "FILE",
    ),
]
Json = Annotated[
    bool,
    options.option(
        options.OUTPUT, "--json", "The numbers as one JSON object on stdout; a page only if asked."
    ),
]


def report(
    archive: place_options.Archive,
    *,
    output: Output = None,
    index: Place = None,
    no_update: NoUpdate = False,
    json: Json = False,
    progress: options.Progress = "auto",
    quiet: options.Quiet = False,
) -> int:
    """Make one page of an archive, with plots, for a browser.

    Volume over time, folders, senders, sizes, attachments, what is missing. It needs nothing else:
    no network, no script; it can be printed and kept. What is in it is as private as the mail: keep
    it so.
    """
    path = parse_archive(archive, writing=False)
    place = None
    if output is not None or not json:
        place = check_file("--output", output or _default(path), path)

    from portarchive.index.query import Session  # noqa: PLC0415  start-up time
    from portarchive.index.report import facts  # noqa: PLC0415

    with (
        opened(archive, index=index, no_update=no_update, progress=progress, quiet=quiet) as found,
        Session(found.place) as session,
    ):
        told = facts(session)
        if session.changed():
            raise changed_meanwhile(path)
        if place is not None:
            from portarchive.cli.report_page import page_of  # noqa: PLC0415  only here

            with writing(place) as file:
                file.write(page_of(_described(path, found.contents), told).encode())
        if json:
            say(to_json(report_of(path, found.contents, told, place)))
        elif not quiet:
            total = told.totals
            say(
                f"{counted(total['messages'], 'message')}, {octets(total['octets'])},"
                f" {counted(total['folders'], 'folder')}"
            )
            say(f"the report is in {safe(place)}")
    return 0


def report_of(
    path: Path, contents: Contents, told: ArchiveFacts, page: Path | None
) -> dict[str, Any]:
    """``--json``."""
    from portarchive.index.report import SIZES  # noqa: PLC0415  start-up time

    return {
        **report_head("report"),
        "archive": str(path),
        "fingerprint": contents.fingerprint,
        "complete": _complete(contents),
        "page": None if page is None else str(page),
        "totals": told.totals,
        "sizes": [
            {"from": size, "messages": count} for size, count in zip(SIZES, told.sizes, strict=True)
        ],
        **told.lists,
    }


def _default(path: Path) -> str:
    name = path.resolve().name
    for ending in (".pdpa", ".zip", ".tar", ".tar.gz", ".tar.zst"):
        name = name.removesuffix(ending)
    return f"{name or 'archive'}-report.html"


def _complete(contents: Contents) -> bool | None:
    told = (contents.manifest or {}).get("complete")
    return told if isinstance(told, bool) else None


def _described(path: Path, contents: Contents) -> Described:
    from portarchive.cli.report_page import Described  # noqa: PLC0415  only here
    from portarchive.index.items import path_text  # noqa: PLC0415

    about = contents.metadata.get("archive")
    about = about if isinstance(about, Mapping) else {}
    entries = (contents.manifest or {}).get("folders")

    def text(name: str) -> str | None:
        value = about.get(name)
        return value if isinstance(value, str) and value else None

    return Described(
        name=text("name") or path.resolve().name,
        service=contents.service,
        account=contents.account,
        timestamp=text("timestamp"),
        generator=text("generator"),
        fingerprint=contents.fingerprint,
        complete=_complete(contents),
        ledger=[
            entry
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, Mapping)
        ],
        names={path_text(folder.path): "/".join(folder.names) for folder in contents.folders()},
    )

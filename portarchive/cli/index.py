"""``portarchive index ARCHIVE``: the index is made, or brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from portarchive.access.urls import parse_archive
from portarchive.cli import arguments, options, place_options
from portarchive.cli.index_open import index_place
from portarchive.cli.index_progress import watching
from portarchive.cli.output import columns, counted, duration, octets, report_head, say, to_json
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import changed_meanwhile

if TYPE_CHECKING:
    from pathlib import Path

    from portarchive.index.build import IndexReport

Output = Annotated[
    str | None,
    options.option(
        options.MODE,
        "--output",
        "Write it here. Otherwise into the archive, or your cache if that may not be written or is"
        " a file.",
        "DIR",
    ),
]
Rebuild = Annotated[
    bool, options.option(options.MODE, "--rebuild", "Take nothing over from the one that is there.")
]
Jobs = Annotated[
    str | None,
    options.option(
        options.MODE, "--jobs", "Read messages in so many processes: one a processor, up to 8.", "N"
    ),
]


def index(
    archive: place_options.Archive,
    *,
    output: Output = None,
    rebuild: Rebuild = False,
    jobs: Jobs = None,
    json: options.Json = False,
    progress: options.Progress = "auto",
    quiet: options.Quiet = False,
) -> int:
    """Make the tables that search, query and report ask.

    Or bring them up to date: Parquet files with a row for each message, attachment, report and
    sender (docs/index.md). They can be deleted at any time; nothing of the archive itself is
    changed. The verbs that need them make them by themselves.
    """
    from portarchive.archive.contents import open_contents  # noqa: PLC0415  start-up time
    from portarchive.index.build import build  # noqa: PLC0415  start-up time
    from portarchive.index.cache import used  # noqa: PLC0415

    mode = arguments.progress_mode(progress)
    count = None if jobs is None else arguments.whole("--jobs", jobs, least=1, most=64)
    path = parse_archive(archive, writing=False)
    with open_contents(path) as contents:
        place = index_place(path, contents, output)
        with watching("indexing", mode, quiet=quiet) as observer:
            report = build(contents, place, jobs=count, observer=observer, rebuild=rebuild)
        used(place, path)
    if json:
        say(to_json(report_of(report, path)))
    elif not quiet:
        for line in _words(report, path):
            say(line)
    if report.changed_meanwhile:
        raise changed_meanwhile(path)
    return 0


def report_of(report: IndexReport, path: Path) -> dict[str, Any]:
    """``--json``."""
    return {
        **report_head("index"),
        "archive": str(path),
        "fingerprint": report.fingerprint,
        "index": str(report.place),
        "rows": report.rows,
        "read": report.read,
        "taken": report.taken,
        "octets": report.octets,
        "defects": report.defects,
        "was_current": report.was_current,
        "rebuilt": report.rebuilt,
        "changed_meanwhile": report.changed_meanwhile,
        "seconds": round(report.seconds, 3),
    }


def _words(report: IndexReport, path: Path) -> list[str]:
    from portarchive.index.columns import DEFECTS  # noqa: PLC0415  start-up time

    rows = report.rows
    made = ", ".join(
        counted(rows[name], name.removesuffix("s"))
        for name in ("messages", "attachments", "senders")
    )
    lines = [f"index of {safe(path)}: {made}"]
    if report.was_current:
        lines.append("  up to date: nothing to do")
    else:
        lines.append(
            f"  {report.read:,} read ({octets(report.octets)}), {report.taken:,} known before;"
            f" {duration(report.seconds)}"
        )
    lines.append(f"  in {safe(report.place)}")
    if report.defects:
        lines.append("  what is wrong with messages (nothing was left out for it):")
        found = sorted(report.defects.items(), key=lambda pair: -pair[1])
        table = [(f"{count:,}", code, DEFECTS.get(code, "")) for code, count in found]
        lines += [f"    {line}" for line in columns((), table, right=(0,))]
    return lines

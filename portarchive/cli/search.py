"""``portarchive search ARCHIVE WORDS…``: messages by words, people, dates, flags and more."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portarchive.cli import arguments, options, place_options
from portarchive.cli.index_open import NoUpdate, Opened, Place, opened
from portarchive.cli.index_progress import watching
from portarchive.cli.output import columns, counted, octets, report_head, say, to_json, width
from portarchive.cli.query_view import cut
from portarchive.cli.safe_text import safe
from portarchive.cli.survey import changed_meanwhile
from portarchive.cli.verbs import WORDS
from portarchive.errors import SettingsError

if TYPE_CHECKING:
    from portarchive.index.query import Session
    from portarchive.index.search import Found, Search

FEW = 100
"""Messages that people see, unless they ask for more."""
_WHAT = "What is looked for"

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar=WORDS,
        help='All must be there: words, "phrases", from:, to:, cc:, subject:, before:, after:,'
        " since:, has:attachment, filename:, keyword:, is:unread, folder:, larger:, list: …;"
        " -word must not; OR and ( ) combine. docs/query.md has the grammar.",
    ),
]
Body = Annotated[
    bool,
    options.option(
        _WHAT,
        "--body",
        "Words may also be in the text of messages, which are read for that: some thousand a"
        " second.",
    ),
]
Limit = Annotated[
    str | None,
    options.option(
        _WHAT, "--limit", f"So many messages at most, the newest first; 0 for all ({FEW}).", "N"
    ),
]
JsonLines = Annotated[
    bool, options.option(options.OUTPUT, "--jsonl", "One JSON object a line for each message.")
]


def search(
    archive: place_options.Archive,
    words: Words = None,
    *,
    body: Body = False,
    limit: Limit = None,
    index: Place = None,
    no_update: NoUpdate = False,
    json: options.Json = False,
    jsonl: JsonLines = False,
    progress: options.Progress = "auto",
    quiet: options.Quiet = False,
) -> int:
    """Find messages of an archive by words, people, dates, flags.

    The newest come first. Looks in subjects, addresses, names of lists and of attached files,
    without regard to case and accents. Each message comes with its folder, uid and file, for show
    and import --select. Exit code 0 also if nothing is found.
    """
    if json and jsonl:
        raise SettingsError("--json and --jsonl cannot both be given", hint="leave one out")
    most = FEW if limit is None else arguments.whole("--limit", limit, least=0, most=10**12)

    from portarchive.index.query import Session  # noqa: PLC0415  start-up time
    from portarchive.index.search import Search  # noqa: PLC0415
    from portarchive.index.search_syntax import parse  # noqa: PLC0415

    job = Search(parse(words or ()), bodies=body)
    with (
        opened(archive, index=index, no_update=no_update, progress=progress, quiet=quiet) as found,
        Session(found.place) as session,
        watching("reading", found.mode, quiet=quiet) as observer,
    ):
        messages = job.run(session, found.contents, observer)
        if most:
            messages = islice(messages, most + 1)
        if jsonl:
            for number, message in enumerate(messages):
                if not most or number < most:
                    say(to_json(message_object(message)))
        elif json:
            _write_report(found, job, messages, most)
        else:
            _write_words(job, list(messages), most)
        _check(session, found)
    return 0


def message_object(message: Found) -> dict[str, Any]:
    """``$defs/message`` of report.schema.json."""
    return {
        "folder": message.folder,
        "uid": message.uid,
        "file": message.file,
        "kept": message.kept,
        "size": message.size,
        "received_at": message.received_at,
        "date": message.date,
        "from_name": message.from_name,
        "from_address": message.from_address,
        "subject": message.subject,
        "flags": list(message.flags),
        "attachments": message.attachments,
        "message_id": message.message_id,
    }


def message_lines(messages: list[Found], *, terminal: bool) -> list[str]:
    """A line for each message: when, from whom, what about, and where it is."""
    rows = []
    for message in messages:
        when = (message.received_at or message.date or "-")[:16].replace("T", " ")
        sender = message.from_name or message.from_address or "-"
        marks = ("*" if "$flagged" in message.flags else "") + (
            "" if "$seen" in message.flags else "●"
        )
        about = message.subject or "-"
        if message.attachments:
            about += f"  [{counted(message.attachments, 'attachment')}]"
        if message.kept:
            about += "  [deleted there]"
        where = f"{message.folder}:{message.uid}"
        rows.append([safe(one) for one in (when, marks, sender, about, where, message.file)])
    room = shutil.get_terminal_size().columns if terminal else 200
    places = max((width(row[4]) + width(row[5]) for row in rows), default=0)
    left = max(room - places - 16 - 2 - 5 * 2, 40)
    short = [
        [row[0], row[1], cut(row[2], left * 2 // 5), cut(row[3], left * 3 // 5), row[4], row[5]]
        for row in rows
    ]
    return columns((), short)


def _write_words(job: Search, messages: list[Found], most: int) -> None:
    shown = messages[:most] if most else messages
    for line in message_lines(shown, terminal=sys.stdout.isatty()):
        say(line)
    if len(messages) > len(shown):
        say(f"and more: the newest {len(shown):,} are shown; --limit 0 shows all")
    elif not messages:
        say("nothing was found")
    else:
        size = sum(message.size or 0 for message in messages)
        say(f"{counted(len(messages), 'message')}, {octets(size)}")
    if job.unreadable:
        say(f"{counted(job.unreadable, 'message')} could not be read; validate tells of them")


def _write_report(found: Opened, job: Search, messages: Iterator[Found], most: int) -> None:
    head = {
        **report_head("search"),
        "archive": str(found.path),
        "fingerprint": found.contents.fingerprint,
        "bodies": job.bodies,
    }
    sys.stdout.write(to_json(head)[:-1] + ',"messages":[')
    comma, count, more = "", 0, False
    for message in messages:
        if most and count == most:
            more = True
            break
        sys.stdout.write(f"{comma}\n{to_json(message_object(message))}")
        comma = ","
        count += 1
    tail = {"count": count, "more": more, "read": job.read, "unreadable": job.unreadable}
    sys.stdout.write("]," + to_json(tail)[1:] + "\n")


def _check(session: Session, found: Opened) -> None:
    if session.changed():
        raise changed_meanwhile(found.path)

"""``portarchive show ARCHIVE MESSAGE``: one message, with nothing in it that could do anything."""

from __future__ import annotations

import re
import sys
import tempfile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portarchive.access.urls import parse_archive
from portarchive.cli import options, place_options
from portarchive.cli.index_open import NoUpdate, Place, opened
from portarchive.cli.output import bold, octets, report_head, say, to_json
from portarchive.cli.safe_text import safe, safe_lines
from portarchive.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from portarchive.archive.contents import Contents, Item
    from portarchive.index.search_message import Message

LONGEST = 200_000
"""Characters of a text that are shown."""
_LOOK = "What is shown"

Which = Annotated[
    str,
    typer.Argument(
        metavar="MESSAGE", help="Its file (mail/…), FOLDER:UID, or its Message-ID (<…@…>)."
    ),
]
Headers = Annotated[bool, options.option(_LOOK, "--headers", "All fields of the header.")]
Raw = Annotated[
    bool,
    options.option(
        _LOOK, "--raw", "The octets as they are, for a file or a pipe; nothing is made safe."
    ),
]
Force = Annotated[bool, options.option(_LOOK, "--force", "--raw on a terminal all the same.")]


def show(
    archive: place_options.Archive,
    message: Which,
    *,
    headers: Headers = False,
    raw: Raw = False,
    force: Force = False,
    index: Place = None,
    no_update: NoUpdate = False,
    json: options.Json = False,
) -> int:
    """Print one message of an archive, safe to look at.

    The header decoded, the text, and a list of what is attached. What could steer a terminal is
    left out; of HTML the words are shown. Nothing that the message refers to is fetched. --raw
    gives the octets exactly as they are in the archive.
    """
    if raw and (json or headers):
        raise SettingsError("--raw goes with no other form", hint="leave the other one out")
    if force and not raw:
        raise SettingsError("--force is for --raw", hint="leave it out")
    if raw and sys.stdout.isatty() and not force:
        raise SettingsError(
            "the octets of a message could steer this terminal",
            hint="write them to a file or a pipe, or add --force",
            code="raw-on-terminal",
        )
    path = parse_archive(archive, writing=False)

    from portarchive.archive.contents import open_contents  # noqa: PLC0415  start-up time
    from portarchive.index.search_message import find, one_of, take_apart  # noqa: PLC0415

    with open_contents(path) as contents:
        found = find(contents, path, message)
        if not found and "@" in message:
            found = _by_id(archive, message, index=index, no_update=no_update)
        item = one_of(found, safe(message)[:100])
        if raw:
            sys.stdout.flush()
            for chunk in contents.chunks(item, verify=False):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return 0
        from portarchive.index.search import octets_of  # noqa: PLC0415  start-up time

        with tempfile.TemporaryFile() as file:
            shown = take_apart(octets_of(contents, item, file))
    if json:
        say(to_json(_report(item, shown, path, contents)))
    else:
        _write(item, shown, headers=headers)
    return 0


def _by_id(archive: str, message: str, *, index: str | None, no_update: bool) -> list[Item]:
    from portarchive.index.query import Session  # noqa: PLC0415  start-up time
    from portarchive.index.search import COLUMNS, item_of  # noqa: PLC0415

    sql = (
        f"SELECT {', '.join(COLUMNS)} FROM messages WHERE message_id = $id"  # noqa: S608 - a constant
        " ORDER BY row_id LIMIT 100"
    )
    identifier = message.strip().strip("<>")
    with (
        opened(archive, index=index, no_update=no_update) as found,
        Session(found.place) as session,
    ):
        return [item_of(row) for row in session.all(sql, {"id": identifier})]


def _report(item: Item, shown: Message, path: Path, contents: Contents) -> dict[str, Any]:
    return {
        **report_head("show"),
        "archive": str(path),
        "fingerprint": contents.fingerprint,
        "folder": item.folder,
        "uid": item.uid,
        "file": item.member,
        "headers": [list(pair) for pair in shown.every],
        "text": shown.text,
        "attachments": [attached._asdict() for attached in shown.attachments],
    }


def _write(item: Item, shown: Message, *, headers: bool) -> None:
    say(f"{bold('File')}: {safe(item.member)}  ({safe(item.folder)}:{safe(item.uid)})")
    if item.received.text is not None:
        say(f"{bold('Received')}: {safe(item.received.text)}")
    if item.flags:
        say(f"{bold('Flags')}: {safe(' '.join(item.flags))}")
    for name, value in shown.every if headers else shown.fields:
        say(f"{bold(safe(name))}: {safe(value)}")
    say()
    text = re.sub(r"\r\n?", "\n", shown.text[:LONGEST]).strip("\n")
    say(safe_lines(text))
    if len(shown.text) > LONGEST:
        say(f"… {len(shown.text) - LONGEST:,} characters more; --raw has all of it")
    if shown.attachments:
        say()
        say(bold("Attached:"))
    for one in shown.attachments:
        about = f"{safe(one.media_type)}, {octets(one.size)}  {safe(one.name or '')}"
        say(f"  {safe(one.part):>5}  {about}".rstrip())

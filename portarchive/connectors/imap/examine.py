r"""Opening a mailbox read-only, and reading listings of it as they stream in.

Only EXAMINE is ever used (RFC 9051 §6.3.3): a SELECT would take away ``\Recent``, and a fetch could
set ``\Seen``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple

from portarchive import keywords
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.names import argument
from portarchive.connectors.imap.parser import ITEMS_LINE
from portarchive.connectors.imap.responses import Fetch, Response, Status
from portarchive.connectors.imap.rows import Row, row_of
from portarchive.errors import FolderUnavailable


class Opening(NamedTuple):
    """EXAMINE and what goes with it, on their way.

    Attributes:
        box: what is to become of it.
        tag: of EXAMINE.
        rights: tag of MYRIGHTS, None if it was not asked.
    """

    box: Mailbox
    tag: bytes
    rights: bytes | None


def send_examine(
    channel: Channel, wire: bytes, since: tuple[int, int] | None = None, *, rights: bool = False
) -> Opening:
    """Send EXAMINE, and MYRIGHTS (RFC 4314) behind it; to be read by ``read_examine``.

    Args:
        channel: where. Nothing is known of its open mailbox until it is read.
        wire: the name as it was listed.
        since: UIDVALIDITY and mod-sequence, to be told what changed (QRESYNC enabled only).
        rights: ask for the rights too; the server has ACL.

    Raises:
        FolderUnavailable: the name cannot be sent.
    """
    name = argument(wire, utf8=channel.utf8)
    asked = b"" if since is None else b" (QRESYNC (%d %d))" % since
    tag = channel.send(b"EXAMINE ", name, asked)
    return Opening(Mailbox(wire), tag, channel.send(b"MYRIGHTS ", name) if rights else None)


def read_examine(channel: Channel, opening: Opening) -> Mailbox:
    """The mailbox that was opened read-only; it is ``channel.mailbox`` from now on.

    Raises:
        FolderUnavailable: the server refuses, with its words.
        TokenExpired, RateLimited: the refusal is about the account.
    """
    channel.mailbox = None
    box = opening.box
    reading = rows(channel, opening.tag, box.opening)
    while True:
        try:
            box.changed.append(next(reading))
        except StopIteration as done:
            status: Status = done.value
            break
    if status.ok:
        box.take_code(status)
        channel.mailbox = box
    if opening.rights is not None:
        channel.finish(opening.rights, box.take_rights)
    if not status.ok:
        channel.check(status, temporary=False)
        raise FolderUnavailable(status.words)
    return box


def examine(
    channel: Channel, wire: bytes, since: tuple[int, int] | None = None, *, rights: bool = False
) -> Mailbox:
    """Open a mailbox read-only: see ``send_examine`` and ``read_examine``.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited: see there.
    """
    channel.mailbox = None
    return read_examine(channel, send_examine(channel, wire, since, rights=rights))


def rows(
    channel: Channel, tag: bytes, others: Callable[[Response], None] | None = None
) -> Generator[Row, None, Status]:
    """The rows of one command's answer; its status is the generator's return value.

    A response without a UID (the server tells of a changed flag) is no row.
    """
    stream, match, flag_list = channel.stream, ITEMS_LINE.match, keywords.parse_flag_list
    while (settled := channel.answered(tag)) is None:
        found = match(stream.buf, stream.start, stream.end)
        if found is not None:
            _, uid, flags, date, size, saved, email, thread = found.groups()
            if uid is not None:
                stream.start = found.end()
                yield Row(
                    int(uid),
                    None if flags is None else flag_list(flags),
                    date,
                    None if size is None else int(size),
                    saved,
                    None if email is None else email.decode("ascii"),
                    None if thread is None else thread.decode("ascii"),
                )
                continue
        if not stream.holds_line():
            channel.fill()
            continue
        response = channel.next()
        if isinstance(response, Status) and response.tag is not None:
            channel.keep(response)
        elif isinstance(response, Fetch):
            uid_sent = response.uid
            if uid_sent:
                yield row_of(uid_sent, response.items)
        elif others is not None:
            others(response)
    return settled

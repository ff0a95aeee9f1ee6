"""A Google Takeout of any size: one mbox file, made of the benchmark's real messages.

Each message bears a thread id and labels as Takeout writes them, CRLF lines, ``From `` quoted.
Later copies of a message differ from it in the thread id, which is part of the octets.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

import corpus
from measure import Run, RunFailedError, run
from peers import PORTARCHIVE, remove

# As in a real account: most mail is read, and has one place; some of it has two.
LABELS = (
    b"Inbox,Category Updates,Opened",
    b"Inbox,Important,Opened,Category Personal",
    b"Archived,Opened",
    b"Sent,Opened",
    b"Archived,Category Promotions,Unread",
    b"Inbox,Unread,Category Social",
    b"Lists/exmh,Archived,Opened",
    b"Spam,Category Updates,Unread",
    b"Archived,Opened,Receipts",
    b"Inbox,Starred,Opened,Work",
    b"Trash,Opened",
    b"=?UTF-8?Q?Archived,Opened,R=C3=A9sum=C3=A9s?=",
)
_FIRST = 1_500_000_000_000_000_000
_QUOTED = re.compile(rb"(?m)^(>*From )")


@dataclass(frozen=True, slots=True)
class Takeout:
    """A file, its messages and its octets."""

    path: Path
    messages: int
    octets: int


def write(path: Path, octets: int) -> Takeout:
    """Write a file of at least so many octets.

    Raises:
        CorpusUnavailableError: the real messages could not be had.
    """
    real = corpus.messages()
    path.parent.mkdir(parents=True, exist_ok=True)
    count = written = 0
    with path.open("wb", buffering=1 << 20) as file:
        while written < octets:
            number = _FIRST + count * 1009
            date = time.strftime("%a %b %d %H:%M:%S +0000 %Y", time.gmtime(10**9 + 60 * count))
            text = _QUOTED.sub(rb">\1", real[count % len(real)].read_bytes())
            end = b"\r\n" if text.endswith(b"\n") else b"\r\n\r\n"
            written += file.write(
                b"From %d@xxx %s\r\nX-GM-THRID: %d\r\nX-Gmail-Labels: %s\r\n%s%s"
                % (number, date.encode(), number, LABELS[count % len(LABELS)], text, end)
            )
            count += 1
    return Takeout(path, count, written)


def export(takeout: Takeout, archive: Path) -> Run:
    """A first export of it, memory watched.

    Raises:
        RunFailedError: it failed, or its manifest does not account for every message.
    """
    remove(archive)
    argv = [PORTARCHIVE, "export", f"mbox:{takeout.path}", archive, "--no-fsync", "--quiet"]
    made = run(argv, watch_memory=True)
    files = sum(1 for _ in {file.stat().st_ino for file in archive.glob("mail/**/*.eml")})
    if files != takeout.messages:
        raise RunFailedError(f"portarchive archived {files} of {takeout.messages}")
    return made

"""Reading messages, in a process of its own or in this one.

The process is given octets and gives back rows. It opens no file but one that is named to it (a
message too large for a pipe), makes no connection, and ends with its input.

A request is a marshalled list of ``(size, sha256, octets or path)``. An answer is marshalled:
``(record batch of columns.CONTENT, [attachments], [delivery_status], [feedback_reports],
[thread ids], defects)``, each list with one element a message.
"""

from __future__ import annotations

import contextlib
import marshal
import mmap
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, Final

from portarchive.index import columns, content
from portarchive.index.content import Content

_PAUSE: Final = 8

Asked = tuple[int | None, str | None, bytes | str | None]
"""Size and SHA-256 as claimed; octets, the path of a file with them, or None: unreadable."""

Answer = tuple[bytes, list[Any], list[Any], list[Any], list[list[int]], dict[str, int]]


def look(asked: Asked) -> Content:
    """The content of one message. Never raises."""
    size, digest, octets = asked
    if octets is None:
        return content.blank(size, digest, "unreadable")
    try:
        if isinstance(octets, str):
            with (
                Path(octets).open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            ):
                return content.read(mapped, size, digest)
        return content.read(octets, size, digest)
    except Exception:  # noqa: BLE001 - a message must not stop the index, whatever is wrong with us
        return content.blank(size, digest, "parser-failed")


def answer(messages: list[Asked]) -> Answer:
    """The rows of messages."""
    found = []
    for number, one in enumerate(messages):
        found.append(look(one))
        if not number % _PAUSE:
            time.sleep(0)  # lets a thread run that has to keep another process busy
    return made(found)


def made(found: list[Content]) -> Answer:
    """Contents as an answer."""
    from portarchive.index import arrow  # noqa: PLC0415 - 150 ms that only who answers needs

    rows = arrow.batch(arrow.CONTENT, columns.CONTENT, [one.row for one in found])
    defects = Counter(defect for one in found for defect in one.row[-1])
    return (
        rows.serialize().to_pybytes(),
        [one.attachments for one in found],
        [one.delivery_status for one in found],
        [one.feedback_reports for one in found],
        [one.thread_ids for one in found],
        dict(defects),
    )


def read_frame(pipe: BinaryIO) -> Any:
    """The next value; None at the end of input or where that breaks off."""
    head = pipe.read(4)
    length = int.from_bytes(head, "little")
    octets = pipe.read(length) if len(head) == 4 else b""
    if not octets or len(octets) < length:
        return None
    return marshal.loads(octets)  # noqa: S302 - our own process


def write_frame(pipe: BinaryIO, value: Any) -> None:
    """One value."""
    octets = marshal.dumps(value)
    pipe.write(len(octets).to_bytes(4, "little") + octets)
    pipe.flush()


def serve() -> None:
    """Answer until the input ends."""
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while (request := read_frame(sys.stdin.buffer)) is not None:
            write_frame(sys.stdout.buffer, answer(request))

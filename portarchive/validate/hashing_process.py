"""Reading and hashing the files of a tree; also the process at the other end of ``hashing``.

A request is a marshalled ``[directory, [(name, size, place, is a message), …]]``, an answer a
marshalled list with one element a file, each with its length as 32 bits before it. The process
trusts its parent; it ends with its input.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from portarchive.archive.tree import BadMemberError, Limits, Stream, Tree, open_tree
from portarchive.validate.octets import Plausibility

Answer = tuple[bytes, int, int] | tuple[str, str]
"""(SHA-256, octets, marks of ``octets``), or (code, what is wrong)."""

Wanted = tuple[str, int, Any, bool]

_PIECE = 1 << 20


def digest(stream: Stream, size: int, *, message: bool) -> tuple[bytes, int, int]:
    """Read a file to its end: its SHA-256, its octets, and its marks if it is a message.

    Args:
        stream: its octets.
        size: as claimed; only a hint.
        message: whether to look at it as one.

    Raises:
        BadMemberError, OSError: it cannot be had.
    """
    octets = stream.read(min(size + 1, _PIECE))
    hashed = hashlib.sha256(octets)
    length = len(octets)
    look = Plausibility() if message else None
    if look is not None and octets:
        look.feed(octets)
    while octets:
        octets = stream.read(_PIECE)
        if octets:
            length += len(octets)
            hashed.update(octets)
            if look is not None:
                look.feed(octets)
    return hashed.digest(), length, look.finish() if look is not None else 0


def answer(tree: Tree, directory: str, files: list[Wanted]) -> list[Answer]:
    """What ``digest`` says of each file of one directory."""
    prefix = f"{directory}/" if directory else ""
    out: list[Answer] = []
    for name, size, place, message in files:
        try:
            stream = tree.open(prefix + name, place)
            try:
                out.append(digest(stream, size, message=message))
            finally:
                stream.close()
        except BadMemberError as error:
            out.append((error.code, error.text))
        except OSError as error:
            out.append(("M-026", os.strerror(error.errno) if error.errno else "I/O error"))
    return out


def read_frame(pipe: BinaryIO) -> Any:
    """The next value, None at the end of input or where that breaks off."""
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


def serve(path: str) -> None:
    """Answer until the input ends."""
    tree = open_tree(Path(path), Limits())
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while (request := read_frame(sys.stdin.buffer)) is not None:
            write_frame(sys.stdout.buffer, answer(tree, *request))

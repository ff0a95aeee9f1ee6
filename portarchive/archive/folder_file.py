"""folder.json as a stream: header first, then one entry a line (format: "one item a line").

Our own layout is read and written in constant memory whatever the number of items. Any other
layout of the same JSON goes to the general parser, and reads the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from portarchive.archive import ijson, model
from portarchive.archive.durable import FILE_MODE
from portarchive.archive.regular import open_regular
from portarchive.errors import Damaged

_ITEMS_OPEN = b',"items":[\n'
_SECTION: dict[bytes, str] = {
    b"]}": "",
    f'],"{model.KEPT}":['.encode(): model.KEPT,
    f'],"{model.PLACEHOLDER}":['.encode(): model.PLACEHOLDER,
}
_BUFFER = 1 << 20

_STRING = rb'"(?:[^"\\]|\\.)*"'
ITEM_HEAD = re.compile(
    rb'\{"uid":"((?:[^"\\]|\\.)*)","filename":"((?:[^"\\]|\\.)*)","flags":'
    rb"(\[(?:" + _STRING + rb"(?:," + _STRING + rb")*)?\]),"
)
"""The beginning of an entry as we write it: uid, filename, flags array."""


class FolderFile:
    """One folder.json, opened for reading.

    Attributes:
        header: every member but the three lists.

    Raises:
        Damaged: it is not a JSON object of this shape.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._general: dict[str, Any] | None = None
        with open_regular(path, name) as file:
            first = file.readline()
        self._first = first
        header = _own_header(first)
        if header is None:
            document = ijson.load_object(path, name)
            self._general = {
                member: _entries(document.pop(member, []), name) for member in model.ITEM_LISTS
            }
            header = document
        self.header: dict[str, Any] = header

    def lines(self, member: str) -> Iterator[bytes]:
        """The entries of one list as JSON texts, in file order.

        Raises:
            Damaged: a line of our own layout is none of ours, or the file ends early.
        """
        if self._general is not None:
            for entry in self._general[member]:
                yield model.dumps(entry).encode()
            return
        for section, line in self._own_lines(stop_after=member):
            if section == member:
                yield line

    def all_lines(self) -> Iterator[tuple[str, bytes]]:
        """(member, JSON text) of all three lists, in file order."""
        if self._general is None:
            yield from self._own_lines()
            return
        for member in model.ITEM_LISTS:
            for entry in self._general[member]:
                yield member, model.dumps(entry).encode()

    def lines_with_offsets(self) -> Iterator[tuple[int, bytes]]:
        """(a place for ``line_at``, JSON text) of the entries of ``items``."""
        if self._general is not None:
            for number, entry in enumerate(self._general["items"]):
                yield number, model.dumps(entry).encode()
            return
        at = len(self._first)
        for line in self.lines("items"):
            yield at, line
            at += len(line) + len(b",\n")

    def line_at(self, place: int) -> bytes:
        """The entry at a place that ``lines_with_offsets`` gave."""
        if self._general is not None:
            return model.dumps(self._general["items"][place]).encode()
        with self.path.open("rb") as file:
            file.seek(place)
            return file.readline().rstrip(b"\n").removesuffix(b",")

    def entries(self, member: str) -> Iterator[dict[str, Any]]:
        """The entries of one list, parsed.

        Raises:
            Damaged: an entry is not a JSON object.
        """
        for line in self.lines(member):
            entry = ijson.parse(line, self.name)
            if not isinstance(entry, dict):
                raise Damaged(f"{self.name}: an entry of {member} is not an object")
            yield entry

    def _own_lines(self, stop_after: str | None = None) -> Iterator[tuple[str, bytes]]:
        section = "items"
        with open_regular(self.path, self.name) as file:
            file.readline()
            for raw in file:
                if raw[:1] == b"{":
                    line = raw.rstrip(b"\n")
                    yield section, line[:-1] if line[-1:] == b"," else line
                    continue
                following = _SECTION.get(raw.rstrip(b"\n"))
                if following == "":
                    return
                if following is None:
                    raise Damaged(f"{self.name} is torn or was edited")
                if section == stop_after:
                    return
                section = following
        raise Damaged(f"{self.name} ends early")


def _own_header(first: bytes) -> dict[str, Any] | None:
    """The header, if this first line is of our own layout."""
    if not first.endswith(_ITEMS_OPEN):
        return None
    try:
        header = ijson.parse(first[: -len(_ITEMS_OPEN)] + b"}", "")
    except Damaged:
        return None
    if not isinstance(header, dict) or any(member in header for member in model.ITEM_LISTS):
        return None
    return header


def _entries(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Damaged(f"{name}: items is not an array")
    return value


class FolderFileWriter:
    """Writes one folder.json in our own layout, hashing as it goes.

    Attributes:
        sha256, size: of what was written, after ``close``.
        count: entries written so far, of all lists.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        self._file = os.fdopen(fd, "wb", buffering=_BUFFER)
        self._hash = hashlib.sha256()
        self.size = 0
        self.count = 0
        self.sha256 = ""
        head = model.dumps(model.ordered_header(header))[:-1]
        self._put(head.encode() + _ITEMS_OPEN)
        self._comma = b""

    def _put(self, octets: bytes) -> None:
        self._file.write(octets)
        self._hash.update(octets)
        self.size += len(octets)

    def entries(self, lines: Iterable[bytes]) -> None:
        """Write entries of the current list: JSON texts without line ends."""
        block: list[bytes] = []
        for line in lines:
            block.append(line)
            if len(block) == 512:
                self._entries(block)
                block.clear()
        if block:
            self._entries(block)

    def _entries(self, block: list[bytes]) -> None:
        self._put(self._comma + b",\n".join(block))
        self._comma = b",\n"
        self.count += len(block)

    def section(self, member: str) -> None:
        """End the current list and begin another one."""
        self._end_list()
        self._put(b',"' + member.encode() + b'":[\n')

    def _end_list(self) -> None:
        self._put(b"\n]" if self._comma else b"]")
        self._comma = b""

    def close(self) -> None:
        """End the document. Whoever publishes it makes it durable."""
        self._end_list()
        self._put(b"}\n")
        self._file.close()
        self.sha256 = self._hash.hexdigest()

    def abandon(self) -> None:
        """Close without ending the document; the file is a torn one."""
        with contextlib.suppress(OSError):
            self._file.close()


def parse_entry(line: bytes) -> dict[str, Any]:
    """One entry of our own as a dict (trusted layout; ``FolderFile.entries`` is for strangers).

    Raises:
        Damaged: it is torn.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"an entry of a folder.json does not parse: {error}") from None
    if not isinstance(value, dict):
        raise Damaged("an entry is not an object")
    return value

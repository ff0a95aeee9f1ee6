"""manifest-sha256.txt: one line for every file, ``<sha256><two spaces><path>``.

``sha256sum -c`` reads it. Lines lie in blocks, one a directory, so that an update copies the
blocks of folders that stand still without looking at their messages.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from portarchive.archive import model
from portarchive.archive.durable import FILE_MODE
from portarchive.archive.regular import open_regular
from portarchive.errors import Damaged

_HEX = 64
_FOLDER_LINE = f"/{model.FOLDER_FILE}\n".encode()
_BUFFER = 1 << 20


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(sha256, path) of each line.

    Raises:
        Damaged: a line is not of this form.
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=_BUFFER) as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8").rstrip("\n")
            except UnicodeDecodeError:
                raise Damaged(f"{path.name}, line {number} is not UTF-8") from None
            digest, blanks, name = line[:_HEX], line[_HEX : _HEX + 2], line[_HEX + 2 :]
            if len(digest) != _HEX or blanks not in {"  ", " *"} or not name:
                raise Damaged(f"{path.name}, line {number} is not '<sha256>  <path>'")
            yield digest.lower(), name


def file_sha256(path: Path) -> tuple[str, int]:
    """SHA-256 in hex and the number of octets of one file."""
    with open_regular(path, path.name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


class DigestBlocks:
    """The blocks of a published manifest-sha256.txt, by directory.

    ``spans`` maps a directory ("" for the root) to the (start, end, lines) of its runs of lines,
    ``folder_files`` a directory to the digest of its folder.json.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spans: dict[str, list[tuple[int, int, int]]] = {}
        self.folder_files: dict[str, str] = {}
        at = start = count = 0
        current: bytes | None = None
        with path.open("rb", buffering=_BUFFER) as file:
            for raw in file:
                cut = raw.rfind(b"/")
                directory = raw[_HEX + 2 : cut] if cut > _HEX else b""
                if directory != current:
                    self._close(current, start, at, count)
                    current, start, count = directory, at, 0
                if raw.endswith(_FOLDER_LINE):
                    self.folder_files[directory.decode("utf-8", "replace")] = raw[:_HEX].decode(
                        "ascii", "replace"
                    )
                at += len(raw)
                count += 1
        self._close(current, start, at, count)

    def _close(self, directory: bytes | None, start: int, end: int, count: int) -> None:
        if directory is not None:
            name = directory.decode("utf-8", "replace")
            self.spans.setdefault(name, []).append((start, end, count))

    def copy(self, directory: str, writer: DigestsWriter) -> bool:
        """Copy a directory's lines; False if it has none."""
        spans = self.spans.get(directory)
        if not spans:
            return False
        with self.path.open("rb") as file:
            for start, end, count in spans:
                file.seek(start)
                writer.copy(file.read(end - start), count)
        return True


class DigestsWriter:
    """Writes one manifest-sha256.txt, hashing as it goes.

    Attributes:
        sha256, size, count: of what was written, after ``close``.
    """

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        self._file = os.fdopen(fd, "wb", buffering=_BUFFER)
        self._hash = hashlib.sha256()
        self._lines: list[str] = []
        self.size = 0
        self.count = 0
        self.sha256 = ""

    def line(self, sha256: str, path: str) -> None:
        """One file."""
        self._lines.append(f"{sha256}  {path}\n")
        if len(self._lines) >= 4096:
            self._flush()

    def copy(self, octets: bytes, count: int) -> None:
        """Lines of an earlier manifest as they stand."""
        self._flush()
        self._put(octets)
        self.count += count

    def _flush(self) -> None:
        if self._lines:
            self._put("".join(self._lines).encode())
            self.count += len(self._lines)
            self._lines.clear()

    def _put(self, octets: bytes) -> None:
        self._file.write(octets)
        self._hash.update(octets)
        self.size += len(octets)

    def close(self) -> None:
        """Finish the file. Whoever publishes it makes it durable."""
        self._flush()
        self._file.close()
        self.sha256 = self._hash.hexdigest()

    def abandon(self) -> None:
        """Close; the file is a torn one and is not to be published."""
        with contextlib.suppress(OSError):
            self._file.close()

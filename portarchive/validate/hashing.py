"""Hashing all files of a tree: in processes beside this one where that is worth it.

The rest of the validator goes on meanwhile. What is found is put on the ``File`` objects; only
what is wrong or remarkable is kept apart.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import portarchive
from portarchive.archive.tree import BadMemberError, Stream, Tree
from portarchive.archive.tree_listing import File, Listing
from portarchive.validate.hashing_process import (
    Answer,
    Wanted,
    answer,
    digest,
    read_frame,
    write_frame,
)
from portarchive.validate.meter import Meter

_FEW_FILES = 4000
_FEW_OCTETS = 128 << 20
_CHUNK_FILES = 256
_CHUNK_OCTETS = 16 << 20
_MOST = 8
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from portarchive.validate.hashing_process import serve; serve(sys.argv[2])"
)

Chunk = tuple[str, list[tuple[str, File]]]


class Hashing:
    """One deep look at the octets of a tree.

    Attributes:
        marks: (path, marks) of the messages that have any.
        bad: (path, code, text) of the files that could not be read.
    """

    def __init__(self, tree: Tree, listing: Listing, meter: Meter) -> None:
        self._tree = tree
        self._listing = listing
        self._meter = meter
        self.marks: list[tuple[str, int]] = []
        self.bad: list[tuple[str, str, str]] = []
        self._chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def start(self) -> None:
        """Begin; for a tree with random access."""
        for chunk in _chunks(self._listing):
            self._chunks.put(chunk)
        if self._listing.count < _FEW_FILES and self._listing.octets < _FEW_OCTETS:
            return
        for _ in range(min(os.cpu_count() or 1, _MOST)):
            thread = threading.Thread(target=self._feed, name="hashing", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # an interrupt in the middle of what Python locks while a thread begins
                if isinstance(error.__context__, KeyboardInterrupt):
                    raise error.__context__ from None
                return  # no thread to be had: ``finish`` does its part
            self._threads.append(thread)

    def finish(self) -> None:
        """Wait for the rest, and do what no process did."""
        for thread in self._threads:
            thread.join()
        while (chunk := self._next()) is not None:
            self._take(chunk, answer(self._tree, chunk[0], _wanted(chunk)))

    def stop(self) -> None:
        """Begin nothing more, and end what is under way: one file may take minutes."""
        while self._next() is not None:
            pass
        with self._lock:
            self._stopped = True
            processes = list(self._processes)
        for process in processes:
            process.kill()  # whoever began this may ignore SIGTERM, which its children inherit
        for thread in self._threads:
            thread.join()
        # an interrupt while a thread began: nobody but ``processes`` knows what it began
        for process in processes:
            process.wait()

    @contextlib.contextmanager
    def _process(self, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """One that ``stop`` ends."""
        with self._lock:
            if self._stopped:
                raise BrokenPipeError
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._processes.add(process)
        try:
            with process:
                yield process
        finally:
            with self._lock:
                self._processes.discard(process)

    def one(self, path: str, file: File, stream: Stream) -> None:
        """A file of a tree that is read in one pass."""
        try:
            found: Answer = digest(stream, file.size, message=is_message(path))
        except BadMemberError as error:
            found = (error.code, error.text)
        directory, _, name = path.rpartition("/")
        self._take((directory, [(name, file)]), [found])

    def _next(self) -> Chunk | None:
        with contextlib.suppress(queue.Empty):
            return self._chunks.get_nowait()
        return None

    def _feed(self) -> None:
        """A thread of its own: keeps one process busy."""
        root = str(Path(portarchive.__file__).resolve().parents[1])
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, root, os.fspath(self._tree.path)]
        chunk: Chunk | None = None
        try:
            with self._process(command) as process:
                to, back = process.stdin, process.stdout
                if to is None or back is None:
                    return
                while (chunk := self._next()) is not None:
                    write_frame(cast("BinaryIO", to), [chunk[0], _wanted(chunk)])
                    answers = read_frame(cast("BinaryIO", back))
                    if answers is None:
                        raise BrokenPipeError
                    self._take(chunk, answers)
                to.close()
        except OSError:
            # no process to be had, or it died: what it had not done is done by ``finish``
            if chunk is not None:
                self._chunks.put(chunk)

    def _take(self, chunk: Chunk, answers: list[Answer]) -> None:
        directory, files = chunk
        self._meter.add(len(files), sum(file.size for _, file in files))
        for (name, file), found in zip(files, answers, strict=True):
            if len(found) == 3:
                file.sha256, file.size = found[0], found[1]
                if not found[2]:
                    continue
            path = f"{directory}/{name}" if directory else name
            if len(found) == 3:
                self.marks.append((path, found[2]))
            else:
                self.bad.append((path, *found))


def is_message(path: str) -> bool:
    """Whether a file is to be looked at as a message, judged by its path."""
    return path.startswith("mail/") and _is_no_document(path)


def _is_no_document(name: str) -> bool:
    return name[-5:].lower() != ".json"


def _wanted(chunk: Chunk) -> list[Wanted]:
    directory, files = chunk
    message = f"{directory}/".startswith("mail/")
    return [
        (name, file.size, file.place, message and _is_no_document(name)) for name, file in files
    ]


def _chunks(listing: Listing) -> Iterator[Chunk]:
    for directory, entries in listing.directories.items():
        files: list[tuple[str, File]] = []
        octets = 0
        for name, file in entries.items():
            if file.alias:
                continue
            files.append((name, file))
            octets += file.size
            if len(files) >= _CHUNK_FILES or octets >= _CHUNK_OCTETS:
                yield directory, files
                files, octets = [], 0
        if files:
            yield directory, files

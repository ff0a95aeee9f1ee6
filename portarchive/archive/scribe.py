"""Writing message files in a process of its own, so that it costs the run no time.

Making and hashing a small file takes as long as reading it from the server; a second core does
both at once (docs/adr/0012). Only for files in directories that this run made, where no name can
be taken; everything else is written in place.
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from portarchive.archive import scribe_process

LARGEST = 256 << 10
"""Octets of a message that is still handed over; larger ones are streamed in place."""

_FRAME_FILES = 16
_FRAME_OCTETS = 128 << 10
_PIPE = 1 << 20
_F_SETPIPE_SZ = 1031  # <fcntl.h> on Linux; Python names it from 3.10 on, on Linux only
_LENGTHS = struct.Struct("<II")
_ANSWER = struct.Struct("<i")
_DIGEST = 32


class Scribe:
    """One such process. Answers are taken in the order of the requests.

    Args:
        lock: the writer's lock; the process holds it too, so that no other writer begins while
            this one may still write.
    """

    def __init__(self, lock: int) -> None:
        # In a process group of its own: Ctrl-C is the parent's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(scribe_process.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=(lock,),
            process_group=0,
        )
        assert self._process.stdin is not None  # noqa: S101 - PIPE
        assert self._process.stdout is not None  # noqa: S101 - PIPE
        self._to = self._process.stdin.fileno()
        self._from = self._process.stdout.fileno()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._to, _F_SETPIPE_SZ, _PIPE)
        self._directory = b""
        self._files: list[tuple[bytes, int | None, int]] = []
        self._octets: list[bytes] = []
        self._size = 0
        self._sent: list[tuple[bytes, list[tuple[bytes, int | None, int]]]] = []

    def put(self, directory: bytes, name: str, epoch: int | None, octets: bytes) -> None:
        """Hand over one file.

        Raises:
            OSError: the process is gone.
        """
        if directory != self._directory:
            self._send()
            self._directory = directory
        size = len(octets)
        self._files.append((name.encode(), epoch, size))
        self._octets.append(octets)
        self._size += size
        if self._size >= _FRAME_OCTETS or len(self._files) >= _FRAME_FILES:
            self._send()

    def _send(self) -> None:
        if not self._files:
            return
        head = marshal.dumps((self._directory, self._files))
        pieces = [_LENGTHS.pack(len(head), self._size) + head, *self._octets]
        left = len(pieces[0]) + self._size
        try:
            done = os.writev(self._to, pieces)
            if done < left:
                view = memoryview(b"".join(pieces))
                while done < left:
                    done += os.write(self._to, view[done:])
        except BrokenPipeError:
            for _ in self._answers():  # it ended over an earlier file, and said why
                pass
            raise
        self._sent.append((self._directory, self._files))
        self._files = []
        self._octets = []
        self._size = 0

    def digests(self) -> Iterator[str]:
        """SHA-256 in hex of every file handed over since the last call, in that order.

        Raises:
            OSError: a file could not be written; those after it were not.
        """
        self._send()
        yield from self._answers()

    def _answers(self) -> Iterator[str]:
        sent, self._sent = self._sent, []
        for directory, files in sent:
            number = _ANSWER.unpack(self._read(_ANSWER.size))[0]
            if number:
                at = int.from_bytes(self._read(4), "little")
                name = os.fsdecode(directory + b"/" + files[at][0])
                raise OSError(number, os.strerror(number), name)
            answer = self._read(_DIGEST * len(files)).hex()
            for at in range(0, len(answer), 2 * _DIGEST):
                yield answer[at : at + 2 * _DIGEST]

    def _read(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            got = os.read(self._from, size - len(octets))
            if not got:
                raise BrokenPipeError(32, "the process that writes message files has ended")
            octets += got
        return octets

    def close(self) -> None:
        """End the process. What was handed over and not asked for may be written or not."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

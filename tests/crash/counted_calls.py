"""Calls that change a file system, counted in this process; one of them can go wrong.

Owns the wrapping of ``os`` (and of syncfs, which Python reaches through ctypes). Whoever installs
it says what happens at which call: ``before`` and ``after`` kill the process there, ``half`` writes
the first half and kills, ``full`` fails from that call on like a full disk, ``broken`` fails this
one call like a disk with a fault.
"""

from __future__ import annotations

import errno
import io
import os
import pathlib
import signal
from collections.abc import Callable
from typing import Any

_CHANGING = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_RDWR
_NEEDS_ROOM = {"open", "write", "pwrite", "mkdir", "link", "rename", "replace"}
NAMES = (
    *("open", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "mkdir", "rmdir", "rename"),
    *("replace", "unlink", "link", "symlink", "utime", "chmod", "posix_fallocate"),
)


class Calls:
    """The calls of this process from ``install`` on.

    Args:
        at: the number of the call at which it happens, from 1; 0: never.
        how: see the module.
        tell: is given the name and the path of every call before it is made.
        under: only calls about paths below this one count; a name alone is relative to a
            directory below it.
    """

    def __init__(
        self, at: int, how: str, tell: Callable[[str, str], object], *, under: str = ""
    ) -> None:
        self._at, self._how, self._tell, self._under = at, how, tell, under
        self._number = 0
        self._originals: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in NAMES}

    def install(self) -> None:
        for name in NAMES:
            setattr(os, name, self._wrapped(name))
        os.fdopen = self._fdopen  # type: ignore[assignment]  # the one form that is used
        pathlib.Path.write_bytes = self._write_bytes  # type: ignore[assignment,method-assign]  # dito
        from portarchive.archive import durable

        found = durable._find_syncfs()
        if found is not None:
            counted = self._counted("syncfs", found)
            durable._find_syncfs = lambda: counted

    def _wrapped(self, name: str) -> Callable[..., Any]:
        original = self._originals[name]
        counted = self._counted(name, original)
        if name != "open":
            return counted

        def opened(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & _CHANGING:
                return counted(path, flags, *rest, **named)
            return original(path, flags, *rest, **named)

        return opened

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            path = _path(arguments)
            if self._under and "/" in path and not path.startswith(self._under):
                return original(*arguments, **named)
            self._number += 1
            self._tell(name, path)
            due = self._number == self._at
            if due and self._how == "before":
                _die()
            if due and self._how == "half":
                if name in {"write", "pwrite"}:
                    octets = bytes(arguments[1])
                    original(arguments[0], octets[: len(octets) // 2], *arguments[2:])
                _die()
            if due and self._how == "broken":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if self._how == "full" and 0 < self._at <= self._number and name in _NEEDS_ROOM:
                if due and name in {"write", "pwrite"}:
                    octets = bytes(arguments[1])
                    return original(arguments[0], octets[: len(octets) // 2], *arguments[2:])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = original(*arguments, **named)
            if due and self._how == "after":
                _die()
            return result

        return call

    def _fdopen(self, fd: int, mode: str, buffering: int = -1) -> io.BufferedWriter:
        assert mode == "wb", mode
        return io.BufferedWriter(_CountedFile(fd), buffering)

    @staticmethod
    def _write_bytes(path: pathlib.Path, octets: bytes) -> int:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            return os.write(fd, octets)
        finally:
            os.close(fd)


class _CountedFile(io.RawIOBase):
    """A file whose every write(2) is one of the counted calls."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, octets: Any) -> int:
        return os.write(self._fd, bytes(octets))

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._fd)


def _path(arguments: tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else ""
    if isinstance(first, int):
        try:
            return str(pathlib.Path(f"/proc/self/fd/{first}").readlink())
        except OSError:
            return ""
    return " > ".join(os.fspath(part) for part in arguments if isinstance(part, str | os.PathLike))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

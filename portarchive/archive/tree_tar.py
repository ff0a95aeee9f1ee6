"""A tree that is a tar file, plain or compressed with gzip or Zstandard: one pass after the other.

``scan`` is one pass and ``stream`` is another; nothing is ever sought backwards or kept. The
library's tar parser is fed through ``_Guard``, which bounds what one header may cost and the whole
may expand to.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from portarchive.archive.tree import (
    BadMemberError,
    Folder,
    Limits,
    Member,
    Stream,
    Trouble,
    unsafe_name,
)
from portarchive.errors import NotAnArchive

_CHUNK = 1 << 20
_DAMAGED = "the tar file is damaged or cut off"
_MAX_HEADER = 1 << 20  # of one extended header (pax, GNU long name)
_MAX_GLOBAL = 1 << 16  # of one global pax header: the parser applies all of them to each member
_TYPE = slice(156, 157)
_FOREIGN = re.compile("not a gzipped|unknown frame", re.IGNORECASE)
"""What gzip and zstd say of octets that are not theirs: after a whole stream they are a rest."""
_LASTING = frozenset({"path", "linkpath", "size"})
"""What of global headers matters here; the rest would only be copied from member to member."""


class _Guard(io.RawIOBase):
    """What the tar parser reads from: forwards only, in bounded pieces, up to a total."""

    def __init__(
        self,
        source: BinaryIO,
        limit: int,
        expansion: int,
        broken: tuple[type[Exception], ...],
    ) -> None:
        super().__init__()
        self._source = source
        self._limit = limit
        self._expansion = expansion
        self._broken = broken
        self._at = 0
        self._ended = self._foreign = False
        self.last = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise BadMemberError("Z-014", "a header claims an absurd size")
        if (
            size > _MAX_GLOBAL
            and len(self.last) == tarfile.BLOCKSIZE
            and self.last[_TYPE] == tarfile.XGLTYPE
        ):
            raise BadMemberError("Z-014", f"a global header is over {_MAX_GLOBAL:,} octets")
        pieces = []
        while size:
            octets = self._octets(size)
            if not octets:
                break
            pieces.append(octets)
            size -= len(octets)
            self._at += len(octets)
        if self._at > self._limit:
            raise BadMemberError("F-017", f"it holds over {self._expansion} times its size")
        self.last = b"".join(pieces)
        return self.last

    def _octets(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except OSError as error:
            if error.errno is not None:  # None: gzip's own
                raise
            why = str(error)
        except self._broken as error:
            why = str(error)
        if self._ended and _FOREIGN.search(why):
            self._foreign = True
            return b""
        raise BadMemberError("Z-014", _DAMAGED) from None

    def rest(self) -> bool:
        """Read to the end of the file; whether anything but zeros was left.

        Raises:
            BadMemberError: what is left is damaged, or too much.
        """
        self._ended = True
        found = False
        while octets := self.read(_CHUNK):
            found |= octets.count(0) != len(octets)
        return found or self._foreign

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence != io.SEEK_SET or offset < self._at:
            raise BadMemberError("Z-014", "a header leads backwards")
        while self._at < offset and self.read(min(_CHUNK, offset - self._at)):
            pass
        return self._at


class TarTree:
    """``Tree`` over a tar file."""

    kind = "tar"
    random_access = False

    def __init__(self, path: Path, limits: Limits, compression: str) -> None:
        """``compression``: ``gz``, ``zst`` or empty."""
        self.path = path
        self._limits = limits
        self._compression = compression
        self._to_the_end = self._more = False
        self._broken: tuple[type[Exception], ...] = (EOFError, zlib.error)
        if compression == "zst":
            self._zstd_file, error = _zstd()
            self._broken += (error,)

    @contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        with self.path.open("rb") as raw:
            length = raw.seek(0, io.SEEK_END)
            raw.seek(0)
            source: BinaryIO = raw
            if self._compression == "gz":
                source = cast("BinaryIO", gzip.GzipFile(fileobj=raw))
            elif self._compression == "zst":
                source = self._zstd_file(raw)  # type: ignore[call-arg]  # it takes any file
            limit = max(self._limits.expansion * length, self._limits.expansion_floor)
            # records of zeros after the end are part of the file, not of what it holds
            guard = _Guard(source, limit + (1 << 20), self._limits.expansion, self._broken)
            with tarfile.open(fileobj=guard, mode="r:", errors="surrogateescape") as tar:
                yield tar

    def _members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        """Headers in their order.

        Raises:
            BadMemberError: the file is damaged from here on.
        """
        try:
            with self._opened() as tar:
                while (info := tar.next()) is not None:
                    # the library would keep every one of them
                    tar.members = []  # type: ignore[attr-defined]  # missing in the stubs
                    lasting = cast("dict[str, str]", tar.pax_headers)
                    for name in lasting.keys() - _LASTING:
                        del lasting[name]
                    yield tar, info
                # the library takes a damaged header for the end, which is a block of zeros
                guard = cast("_Guard", tar.fileobj)
                if guard.last != bytes(tarfile.BLOCKSIZE):
                    raise BadMemberError("Z-014", _DAMAGED)
                self._more = self._to_the_end and guard.rest()
        except (tarfile.TarError, ValueError, RecursionError, OverflowError, MemoryError):
            raise BadMemberError("Z-014", _DAMAGED) from None

    def scan(self) -> Iterator[Member | Folder | Trouble]:
        """As ``Tree.scan``."""
        sizes: dict[str, int] = {}
        count = 0
        try:
            self._to_the_end = True
            for _, info in self._members():
                count += 1
                if count > self._limits.entries:
                    yield Trouble("F-016", "", f"over {count - 1:,} entries", fatal=True)
                    return
                found = _judge(info, sizes)
                if isinstance(found, Member):
                    sizes[found.name] = found.size
                if found is not None:
                    yield found
            if self._more:
                yield Trouble("Z-021", "", "octets follow the end of the tar file")
        except BadMemberError as error:
            yield Trouble(error.code, "", error.text, fatal=error.code != "Z-014")

    def open(self, name: str, place: Any) -> Stream:
        """Never: a tar has no random access.

        Raises:
            BadMemberError: always.
        """
        del place
        raise BadMemberError("Z-014", f"a tar file has no way to {name!a} but from its beginning")

    def stream(self) -> Iterator[tuple[str, Stream]]:
        """As ``Tree.stream``."""
        seen: dict[str, int] = {}
        self._to_the_end = False
        for tar, info in self._members():
            found = _judge(info, seen)
            if isinstance(found, Member) and not found.alias:
                # of two members of one name the first counts, as in the scan
                if found.name not in seen:
                    yield found.name, _TarStream(tar, info)
                seen[found.name] = found.size

    def close(self) -> None:
        """As ``Tree.close``."""


def _judge(info: tarfile.TarInfo, sizes: dict[str, int]) -> Member | Folder | Trouble | None:
    name = info.name.removeprefix("./")
    if name in {"", "."} and info.isdir():
        return None
    unsafe = unsafe_name(name)
    if unsafe is not None:
        return unsafe
    if info.isdir():
        return Folder(name)
    if info.issparse():
        return Trouble("Z-017", name, "it is a sparse file")
    if info.isreg():
        return Member(name, info.size)
    if info.islnk():
        target = info.linkname.removeprefix("./")
        if target in sizes and name not in sizes:
            return Member(name, sizes[target], None, target)
        return Trouble("F-012", name, "it is a hard link, and not to an earlier member")
    if info.issym():
        return Trouble("F-012", name, "it is a symbolic link")
    return Trouble("F-013", name, "it is neither a file nor a directory")


class _TarStream:
    """The octets of one member, while the parser stands at it."""

    def __init__(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._guard = cast("_Guard", tar.fileobj)
        self._left = info.size
        self._guard.seek(info.offset_data)

    def read(self, size: int, /) -> bytes:
        wanted = min(size, self._left, _CHUNK)
        if not wanted:
            return b""
        octets = self._guard.read(wanted)
        if not octets:
            raise BadMemberError("Z-014", "the tar file is cut off inside this member")
        self._left -= len(octets)
        return octets

    def close(self) -> None:
        pass


def _zstd() -> tuple[type[BinaryIO], type[Exception]]:
    """The reader of Zstandard and its error.

    Raises:
        NotAnArchive: this Python was built without it.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - only where it is wanted
        else:
            from backports import zstd  # noqa: PLC0415
    except ImportError:
        raise NotAnArchive(
            "this Python cannot read Zstandard", hint="unpack the file first: zstd -d"
        ) from None
    return cast("type[BinaryIO]", zstd.ZstdFile), zstd.ZstdError

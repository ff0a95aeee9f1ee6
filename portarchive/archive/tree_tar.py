"""A tree that is a tar file, plain or compressed with gzip or Zstandard: one pass after the other.

``scan`` is one pass and ``stream`` is another; nothing is ever sought backwards, and nothing kept
but what hard links are wanted of. The library's tar parser is fed through ``Guard``, which bounds
what one header may cost and the whole may expand to.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
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
from portarchive.archive.tree_tar_guard import CHUNK, DAMAGED, Guard, Header
from portarchive.errors import NotAnArchive

_VOLUME_LABEL = b"V"  # of GNU tar, as the next
_LISTED_DIRECTORY = b"D"
_LASTING = frozenset({"path", "linkpath", "size"})
"""What of global headers matters here; the rest would only be copied from member to member."""


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
        self._aliases: dict[str, list[str]] = {}
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
            guard = Guard(source, limit + (1 << 20), self._limits.expansion, self._broken)
            with tarfile.open(
                fileobj=guard, mode="r:", tarinfo=Header, errors="surrogateescape"
            ) as tar:
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
                guard = cast("Guard", tar.fileobj)
                if guard.last != bytes(tarfile.BLOCKSIZE):
                    raise BadMemberError("Z-014", DAMAGED)
                self._more = self._to_the_end and guard.rest()
        except (tarfile.TarError, ValueError, RecursionError, OverflowError, MemoryError):
            raise BadMemberError("Z-014", DAMAGED) from None

    def scan(self) -> Iterator[Member | Folder | Trouble]:
        """As ``Tree.scan``."""
        seen: _Seen = {}
        self._aliases = {}
        count = 0
        try:
            self._to_the_end = True
            for _, info in self._members():
                count += 1
                if count > self._limits.entries:
                    yield Trouble("F-016", "", f"over {count - 1:,} entries", fatal=True)
                    return
                found = _judge(info, seen)
                if isinstance(found, Member) and found.name not in seen:
                    seen[found.name] = found.size, found.alias or found.name
                    if found.alias:
                        self._aliases.setdefault(found.alias, []).append(found.name)
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

    def stream(self, linked: Callable[[str], bool] | None = None) -> Iterator[tuple[str, Stream]]:
        """As ``Tree.stream``.

        Octets of which there is no second reading are kept for aliases, within the limits: of a
        value for one member, of a document for all. An alias of more has a stream that says so
        (F-002).
        """
        seen: _Seen = {}
        self._to_the_end = False
        left = self._limits.document
        for tar, info in self._members():
            found = _judge(info, seen)
            # of two members of one name the first counts, as in the scan
            if not isinstance(found, Member) or found.name in seen:
                continue
            seen[found.name] = found.size, found.alias or found.name
            if found.alias:
                continue
            aliases = self._aliases.get(found.name, ()) if linked is not None else ()
            wanted = [name for name in aliases if linked is not None and linked(name)]
            if not wanted:
                yield found.name, _TarStream(tar, info)
                continue
            kept = _Kept(_TarStream(tar, info), min(self._limits.value, left))
            yield found.name, kept
            octets = kept.whole()
            for name in wanted:
                fits = octets is not None and len(octets) <= left
                left -= len(octets) if octets is not None and fits else 0
                yield name, io.BytesIO(octets) if octets is not None and fits else _TooMuch()

    def close(self) -> None:
        """As ``Tree.close``."""


_Seen = dict[str, tuple[int, str]]
"""Of each member so far: its size, and the member whose octets these are."""


def _judge(info: tarfile.TarInfo, seen: _Seen) -> Member | Folder | Trouble | None:
    name = info.name.removeprefix("./")
    directory = info.isdir()
    if info.type == _LISTED_DIRECTORY:  # no directory to the library
        directory, name = True, name.rstrip("/")
    if (name in {"", "."} and directory) or info.type == _VOLUME_LABEL:
        return None
    unsafe = unsafe_name(name)
    if unsafe is not None:
        return unsafe
    if directory:
        return Folder(name)
    if info.issparse():
        return Trouble("Z-017", name, "it is a sparse file")
    if info.isreg():
        return Member(name, info.size)
    if info.islnk():
        target = info.linkname.removeprefix("./")
        if target in seen and name not in seen:
            size, root = seen[target]
            return Member(name, size, None, root)
        return Trouble("F-012", name, "it is a hard link, and not to an earlier member")
    if info.issym():
        return Trouble("F-012", name, "it is a symbolic link")
    return Trouble("F-013", name, "it is neither a file nor a directory")


class _TarStream:
    """The octets of one member, while the parser stands at it."""

    def __init__(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._guard = cast("Guard", tar.fileobj)
        self._left = info.size
        self._guard.seek(info.offset_data)

    def read(self, size: int, /) -> bytes:
        wanted = min(size, self._left, CHUNK)
        if not wanted:
            return b""
        octets = self._guard.read(wanted)
        if not octets:
            raise BadMemberError("Z-014", "the tar file is cut off inside this member")
        self._left -= len(octets)
        return octets

    def close(self) -> None:
        pass


class _Kept:
    """A stream whose octets are kept as they are read, up to a limit."""

    def __init__(self, stream: _TarStream, most: int) -> None:
        self._stream = stream
        self._left = most
        self._pieces: list[bytes] | None = []

    def read(self, size: int, /) -> bytes:
        octets = self._stream.read(size)
        self._left -= len(octets)
        if self._left < 0:
            self._pieces = None
        elif self._pieces is not None:
            self._pieces.append(octets)
        return octets

    def whole(self) -> bytes | None:
        """All octets, those that nobody has read too; None if they are over the limit."""
        while self._pieces is not None and self.read(CHUNK):
            pass
        return b"".join(self._pieces) if self._pieces is not None else None

    def close(self) -> None:
        self._stream.close()


class _TooMuch:
    """In place of octets that were not kept."""

    def read(self, size: int, /) -> bytes:
        del size
        raise BadMemberError("F-002", "it is a hard link to more octets than are kept for links")

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

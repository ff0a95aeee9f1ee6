"""A tar file read at random: scanned once, then each member by its place.

A compressed one is unpacked once, within the limits, into an anonymous temporary file (in TMPDIR),
which is gone with the process. Refuses to unpack anything under a name.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from portarchive.archive.contents_error import shown
from portarchive.archive.tree import BadMemberError, Limits
from portarchive.archive.tree_tar import TarTree
from portarchive.errors import Damaged, StorageFailed

_CHUNK: Final = 1 << 20
_MAGIC: Final = {b"\x1f\x8b": "gz", b"\x28\xb5": "zst"}

Place = tuple[int, int]
"""(offset of the octets, how many)."""


class PlacedTar(TarTree):
    """A ``TarTree`` that remembers where the octets of its members are.

    Attributes:
        file: the tar, not compressed.
        places: by name as it stands in the tar; known after ``scan``. Of two members of one name
            the first counts.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open a tar and unpack it, if it is compressed.

        Raises:
            Damaged: it expands to more than the limits allow, or is damaged.
            StorageFailed: there is no room for what it holds.
            OSError: it cannot be read.
        """
        self.file: BinaryIO = path.open("rb")
        self.places: dict[str, Place] = {}
        try:
            compression = _MAGIC.get(self.file.read(2), "")
            self.file.seek(0)
            super().__init__(path, limits, compression)
            if compression:
                self._unpack()
        except BaseException:
            self.file.close()
            raise

    def _unpack(self) -> None:
        packed = self.file
        length = os.fstat(packed.fileno()).st_size
        limits = self._limits
        limit = min(max(limits.expansion * length, limits.expansion_floor), limits.total) + _CHUNK
        source = (
            cast("BinaryIO", gzip.GzipFile(fileobj=packed))
            if self._compression == "gz"
            else self._zstd_file(packed)  # type: ignore[call-arg]  # it takes any file
        )
        name = shown(self.path.name)
        spool = _temporary(name)
        try:
            size = 0
            while octets := self._some(source, name):
                size += len(octets)
                if size > limit:
                    raise _bomb(name, limits)  # noqa: TRY301 - one way out
                _keep(spool, octets)
        except BaseException:
            spool.close()
            raise
        finally:
            packed.close()
        self.file = spool
        self.path = Path(f"/dev/fd/{spool.fileno()}")  # has no name
        self._compression = ""

    def _some(self, source: BinaryIO, name: str) -> bytes:
        try:
            return source.read(_CHUNK)
        except self._broken:
            pass
        except OSError as error:
            if error.errno is not None:
                raise
        raise Damaged(f"{name} is damaged or cut off")

    def _members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        for tar, info in super()._members():
            if info.isreg():
                name = info.name.removeprefix("./")
                self.places.setdefault(name, (info.offset_data, info.size))
            yield tar, info

    def open(self, name: str, place: Any) -> _Slice:
        """The octets of one member; ``place`` is one of ``places``."""
        del name
        return _Slice(self.file, *place)

    def close(self) -> None:
        """The temporary file is gone then."""
        self.file.close()


def _bomb(name: str, limits: Limits) -> Damaged:
    return Damaged(
        f"{name} holds over {limits.expansion} times its size",
        hint="it may have been made to fill the disk",
        code="too-large",
    )


def _temporary(name: str) -> BinaryIO:
    try:
        return cast("BinaryIO", tempfile.TemporaryFile(prefix="portarchive-"))
    except OSError as error:
        raise _no_room(name, error) from None


def _keep(spool: BinaryIO, octets: bytes) -> None:
    try:
        spool.write(octets)
        spool.flush()
    except OSError as error:
        raise _no_room(str(tempfile.gettempdir()), error) from None


def _no_room(name: str, error: OSError) -> StorageFailed:
    why = os.strerror(error.errno) if error.errno else "I/O error"
    return StorageFailed(
        f"no room to unpack the archive ({name}): {why}",
        hint="a compressed tar is unpacked into a temporary file: let TMPDIR name a directory "
        "with room for it, or unpack it yourself",
    )


class _Slice:
    """Some octets of a file; several of one file may be read by turns."""

    def __init__(self, file: BinaryIO, at: int, left: int) -> None:
        self._file = file
        self._at = at
        self._left = left

    def read(self, size: int, /) -> bytes:
        wanted = min(size, self._left)
        if not wanted:
            return b""
        self._file.seek(self._at)
        octets = self._file.read(wanted)
        if not octets:
            raise BadMemberError("Z-014", "the tar file is cut off inside this member")
        self._at += len(octets)
        self._left -= len(octets)
        return octets

    def close(self) -> None:
        pass

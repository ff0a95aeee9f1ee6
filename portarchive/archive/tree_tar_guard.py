"""What stands between a stranger's tar file and the library's parser of tar files.

Owns what one header may cost and what the whole may expand to, and the headers that the library
misreads. Refuses to go backwards.
"""

from __future__ import annotations

import io
import re
import tarfile
from typing import Any, BinaryIO, Self

from portarchive.archive.tree import BadMemberError

CHUNK = 1 << 20
DAMAGED = "the tar file is damaged or cut off"
_MAX_HEADER = 1 << 20  # of one extended header (pax, GNU long name)
_MAX_GLOBAL = 1 << 16  # of one global pax header: the parser applies all of them to each member
_TYPE = slice(156, 157)
_MAGIC = slice(257, 265)
_GNU_MAGIC = b"ustar  \0"
_ATIME = slice(345, 357)
_TIME = re.compile(rb"[0-7]{11}\0")
_FOREIGN = re.compile("not a gzipped|unknown frame", re.IGNORECASE)
"""What gzip and zstd say of octets that are not theirs: after a whole stream they are a rest."""


class Header(tarfile.TarInfo):
    """A header whose name is what GNU tar means by it.

    Where POSIX has a prefix of the name, the old GNU format has times (of ``--incremental``), and
    the library knows that of some types of members only.
    """

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Self:
        """As the library's."""
        info = super().frombuf(buf, encoding, errors)
        if bytes(buf[_MAGIC]) == _GNU_MAGIC and _TIME.fullmatch(bytes(buf[_ATIME])):
            time = bytes(buf[_ATIME][:-1]).decode()
            info.name = info.name.removeprefix(f"{time}/")
        return info


class Guard(io.RawIOBase):
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
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, forwards."""
        return True

    def tell(self) -> int:
        """Octets read or passed over so far."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """The next octets; fewer only at the end.

        Raises:
            BadMemberError: so much is absurd, or the whole is damaged or too much.
        """
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
        raise BadMemberError("Z-014", DAMAGED) from None

    def rest(self) -> bool:
        """Read to the end of the file; whether anything but zeros was left.

        Raises:
            BadMemberError: what is left is damaged, or too much.
        """
        self._ended = True
        found = False
        while octets := self.read(CHUNK):
            found |= octets.count(0) != len(octets)
        return found or self._foreign

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Pass over octets.

        Raises:
            BadMemberError: it leads backwards; or as ``read``.
        """
        if whence != io.SEEK_SET or offset < self._at:
            raise BadMemberError("Z-014", "a header leads backwards")
        while self._at < offset and self.read(min(CHUNK, offset - self._at)):
            pass
        return self._at

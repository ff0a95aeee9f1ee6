"""Messages appended to one mbox file: as mboxrd, under its lock, all of a message or nothing.

What is written reads back as exactly the octets that were given: ``From `` lines are quoted, a
last line without an end gets one that its postmark tells of, and fields for flags stand before
the message and are no part of it. (RFC 4155; mboxrd: qmail's ``mbox(5)`` and its successors.)
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from portarchive.archive.durable import Durability
from portarchive.connectors.local.body import LARGE
from portarchive.connectors.local.dates import SAYABLE
from portarchive.connectors.local.storing import open_directory, patiently, storage_failed
from portarchive.connectors.mbox import status
from portarchive.connectors.mbox.box import Box
from portarchive.connectors.mbox.postmark import Own, spelled
from portarchive.connectors.mbox.quoting import quoted, quoted_pieces
from portarchive.connectors.mbox.target_lock import AppendLock
from portarchive.errors import ConnectionLost, Locked, StorageFailed
from portarchive.placing import Parcel, Placed, PlaceOutcome, Refused, Unsure

_BUFFER: Final = 1 << 20
_UNTOUCHED: Final = Unsure("it was not placed")

Outcomes = list[tuple[Parcel, PlaceOutcome]]


class _Spelling:
    """The octets of one message in the file. ``size``: of the message itself, once all are out."""

    def __init__(self, parcel: Parcel, before: bytes, epoch: int) -> None:
        self.size = 0
        self._parcel = parcel
        self._before = before  # fields for flags
        self._epoch = epoch

    def pieces(self) -> Iterator[bytes]:
        """In order; a correction of the postmark may be left at the end.

        Raises:
            Exception: whatever the parcel's octets raise.
        """
        octets = self._parcel.octets
        if octets is None:
            octets, rest = self._begun()
        else:
            rest = None
        if rest is None:
            self.size = len(octets)
            unended = bool(octets) and not octets.endswith(b"\n")
            yield self._postmark(unended=unended) + self._before
            yield quoted(octets)
            yield b"\n\n" if unended else b"\n"
            return
        yield self._postmark(unended=True) + self._before
        last = b""
        for piece in quoted_pieces(self._counted(octets, rest)):
            yield piece
            last = piece[-1:] or last
        self._ended = last == b"\n"
        yield b"\n" if self._ended else b"\n\n"

    _ended = False

    def correction(self) -> bytes | None:
        """What the postmark of a large message should have been; None: it is right."""
        if not self._ended:
            return None
        # of the same length: blanks before the date mean nothing
        right, wrong = self._postmark(unended=False), self._postmark(unended=True)
        sender, blank, date = right[5:].partition(b" ")
        return b"From " + sender + blank * (1 + len(wrong) - len(right)) + date

    def _postmark(self, *, unended: bool) -> bytes:
        return spelled(self._epoch, Own(bool(self._before), unended))

    def _begun(self) -> tuple[bytes, Iterator[bytes] | None]:
        """The first octets, and the rest if there is more than is taken into memory."""
        chunks = iter(self._parcel.chunks())
        first: list[bytes] = []
        size = 0
        for piece in chunks:
            first.append(piece)
            size += len(piece)
            if size > LARGE:
                return b"".join(first), chunks
        return b"".join(first), None

    def _counted(self, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        self.size = len(first)
        yield first
        for piece in rest:
            self.size += len(piece)
            yield piece


class _Tail:
    """The end of a file while it is being written: buffered, and cut back where it goes wrong.

    Args:
        fd: of the file.
        size: of it.

    Attributes:
        ends: where each message that is complete ends.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.ends: list[int] = []
        self._fd = fd
        self._start = size
        self._flushed = size
        self._buffer = bytearray()

    def separator(self) -> bytes:
        """What the last message of another program lacks behind it."""
        if not self._start:
            return b""
        last = os.pread(self._fd, 3, max(0, self._start - 3))
        if last.endswith((b"\n\n", b"\n\r\n")):
            return b""
        return b"\n" if last.endswith(b"\n") else b"\n\n"

    def at(self) -> int:
        """Where the next octet goes."""
        return self._flushed + len(self._buffer)

    def write(self, octets: bytes) -> None:
        self._buffer += octets
        if len(self._buffer) >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        octets = bytes(self._buffer)
        done = 0
        try:
            while done < len(octets):
                rest = octets if not done else octets[done:]
                done += os.pwrite(self._fd, rest, self._flushed + done)
        finally:
            del self._buffer[:done]
            self._flushed += done

    def correct(self, octets: bytes, place: int) -> None:
        """Write over what was written."""
        self.flush()
        os.pwrite(self._fd, octets, place)

    def undo(self, *, all_of_it: bool = False) -> None:
        """Cut off what is behind the last complete message.

        Raises:
            OSError: as ftruncate(2) says.
        """
        if all_of_it:
            self.ends.clear()
        end = self.ends[-1] if self.ends else self._start
        if end >= self._flushed:
            del self._buffer[end - self._flushed :]
            return
        self._buffer.clear()
        self._flushed = end
        os.ftruncate(self._fd, end)


class Appender:
    """See the module.

    Args:
        box: the file, and the index that goes with it.
        parents: the directories from the root on.
        durable: whether messages are synced before they are said to be placed.
        flags: they are written into header fields.
    """

    def __init__(
        self, box: Box, parents: Sequence[bytes], durable: Durability, *, flags: bool
    ) -> None:
        self.box = box
        self._parents = parents
        self._durable = durable
        self._flags = flags

    def lock(self) -> AppendLock:
        """The lock of the file, not yet taken.

        Raises:
            OSError: its directory is gone.
        """
        directory = open_directory(self.box.root.path, self._parents)
        return AppendLock(directory, self.box.path, self._durable)

    def recover(self) -> None:
        """Take back what an interrupted run left.

        Raises:
            OSError: it cannot be taken back, or the directory is gone.
        """
        lock = self.lock()
        try:
            lock.recover()
        finally:
            lock.close()

    def append(self, parcels: list[Parcel]) -> tuple[Outcomes, Exception | None]:
        """Append messages; each of one spot, which is here.

        Returns:
            One outcome each, and the error that ended it early, to be raised after them.
        """
        try:
            lock = self.lock()
        except FileNotFoundError:
            return self._refuse(parcels, "folder-gone", "there is no such folder any more"), None
        except OSError as error:
            return self._untouched(parcels, error)
        fd = -1
        try:
            lock.take()
            fd, size = self._open(lock)
            if self.box.takeout:
                text = "the file is a Google Takeout, sorted by labels"
                return self._refuse(parcels, "refused", text), None
            lock.note(size, os.fstat(fd).st_ino)
            answered = self._append(fd, size, parcels)
            lock.release()
        except FileNotFoundError:
            return self._refuse(parcels, "folder-gone", "there is no such folder any more"), None
        except (OSError, Locked, ConnectionLost, StorageFailed) as raised:
            return self._untouched(parcels, raised)
        finally:
            if fd >= 0:
                os.close(fd)
            lock.close()
        return answered

    @staticmethod
    def _refuse(parcels: list[Parcel], code: str, text: str) -> Outcomes:
        return [(parcel, Refused(code, text)) for parcel in parcels]

    def _untouched(self, parcels: list[Parcel], error: Exception) -> tuple[Outcomes, Exception]:
        if isinstance(error, OSError):
            error = storage_failed(self.box.root.shown, error)
        return [(parcel, _UNTOUCHED) for parcel in parcels], error

    def _open(self, lock: AppendLock) -> tuple[int, int]:
        """Open and lock the file, indexed to its end; descriptor and size."""
        name = os.fsencode(self.box.path.name)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        while True:
            # Before the lock: closing a descriptor of the file lets go of all such locks of it.
            self.box.extend()
            fd = os.open(name, flags, dir_fd=lock.directory)
            try:
                self._lock(fd)
                about = os.fstat(fd)
                if self.box.reaches(about):
                    return fd, about.st_size
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _lock(self, fd: int) -> None:
        if not patiently(partial(_locks, fd)):
            raise Locked(
                f"another program holds a lock on {self.box.path}",
                hint="wait until it has ended, then give the same command again",
            )

    def _append(
        self, fd: int, size: int, parcels: list[Parcel]
    ) -> tuple[Outcomes, Exception | None]:
        before = len(self.box.index)
        tail = _Tail(fd, size)
        outcomes: Outcomes = []
        taken: list[tuple[Parcel, _Spelling]] = []
        done = False
        try:
            error = self._write(tail, parcels, taken, outcomes)
            try:
                tail.undo()
                tail.flush()
                if tail.ends:
                    self._durable.descriptor(fd)
            except OSError as raised:
                error = storage_failed(self.box.root.shown, raised)
                tail.undo(all_of_it=True)
                self.box.close()
            kept = taken[: len(tail.ends)]
            if kept:
                self._see_that_it_reads_back(before, kept)
            done = True
        finally:
            if not done:
                tail.undo(all_of_it=True)
                self.box.close()
        key = parcels[0].spots[0].folder_id
        for number, (parcel, _) in enumerate(kept, before):
            outcomes.append((parcel, Placed(((key, self.box.index.uid(number)),))))
        answered = {id(parcel) for parcel, _ in outcomes}
        outcomes += [(each, _UNTOUCHED) for each in parcels if id(each) not in answered]
        return outcomes, error

    def _write(
        self,
        tail: _Tail,
        parcels: list[Parcel],
        taken: list[tuple[Parcel, _Spelling]],
        refused: Outcomes,
    ) -> Exception | None:
        """Write messages until something goes wrong, which is what comes back."""
        try:
            tail.write(tail.separator())
        except OSError as raised:
            return storage_failed(self.box.root.shown, raised)
        for parcel in parcels:
            spelling = self._spelling(parcel)
            if isinstance(spelling, Refused):
                refused.append((parcel, spelling))
                continue
            error = self._one(tail, spelling)
            if error is not None:
                return error
            taken.append((parcel, spelling))
            tail.ends.append(tail.at())
        return None

    def _one(self, tail: _Tail, spelling: _Spelling) -> Exception | None:
        place = tail.at()
        pieces = spelling.pieces()
        while True:
            try:
                piece = next(pieces, None)
            except Exception as raised:  # noqa: BLE001 - raised again, once all have an outcome
                return raised
            try:
                if piece is not None:
                    tail.write(piece)
                    continue
                right = spelling.correction()
                if right is not None:
                    tail.correct(right, place)
            except OSError as raised:
                return storage_failed(self.box.root.shown, raised)
            return None

    def _spelling(self, parcel: Parcel) -> _Spelling | Refused:
        spot = parcel.spots[0]
        epoch = spot.received.epoch
        if epoch is None:
            epoch = int(time.time())
        elif epoch not in SAYABLE:
            return Refused("date", "no year that a postmark can have")
        before: bytes | str = status.spelled(spot.flags) if self._flags else b""
        if isinstance(before, str):
            return Refused("keyword", f"no flag of an mbox: {before}")
        return _Spelling(parcel, before, epoch)

    def _see_that_it_reads_back(self, before: int, kept: list[tuple[Parcel, _Spelling]]) -> None:
        """Index what was written.

        Raises:
            StorageFailed: it is not that; nothing of it stays.
            OSError: it cannot be read.
        """
        self.box.appended()
        sizes = list(self.box.index.sizes[before:])
        if sizes != [spelling.size for _, spelling in kept]:
            raise StorageFailed(
                f"what was written to {self.box.path} does not read back as it was",
                hint="see whether another program writes to it without a lock",
            )


def _locks(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True

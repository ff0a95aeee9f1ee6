"""One folder as it is on disk: its message files, their numbers, and one message's octets.

Other programs deliver, move and rename while this one reads. A file that is renamed is known by
its unique name; a directory that changed while it was listed is listed again.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from portarchive import keywords
from portarchive.connectors.local import dates
from portarchive.connectors.local.body import CHUNK, LARGE, Octets, Pieces
from portarchive.connectors.local.header import LIMIT, end_of_header, message_id, read_header
from portarchive.connectors.local.root import Root, failure
from portarchive.connectors.maildir import dovecot, names
from portarchive.connectors.maildir.twins import Twins
from portarchive.errors import ConnectionLost
from portarchive.records import Failure, Received, Vanished

_LOOKS: Final = 4
_FLAGS_CACHE: Final = 4096
_YOUNG: Final = 0.05
"""Seconds: a directory changed so recently may change again without its time showing it."""

Stamps = tuple[int, int]
Files = dict[str, str]
"""unique name → path below the folder, ``cur/…`` or ``new/…``; ``twins`` are told apart."""


class Message(NamedTuple):
    """One message as it is now. ``notes``: codes for the ledger."""

    outcome: Octets | Pieces | Failure | Vanished
    flags: tuple[str, ...]
    received: Received
    size: int
    notes: tuple[str, ...] = ()


class MaildirFolder:
    """A folder that is being read.

    Args:
        directory: with ``cur`` in it.
        root: what must still be there.

    Attributes:
        directory: the same.
        twins: files that share a unique name.
        uid_list: what numbers its messages, as it was at the last ``look``; None if nothing does.
        unknown_letters: flags of file names that ``dovecot-keywords`` does not explain.
    """

    def __init__(self, directory: Path, root: Root) -> None:
        self.directory = directory
        self._root = root
        self._path = os.fsencode(directory)
        self._letters: dict[str, str] = {}
        self._flags: dict[str, tuple[str, ...]] = {}
        self._files: Files = {}
        self._stamps: Stamps | None = None
        self.twins = Twins(self._path, self._octets)
        self.unknown_letters: set[str] = set()
        self.uid_list: dovecot.UidList | None = None

    # --- listing

    def look(self) -> Files:
        """What is there now. The dictionary is replaced, not changed, by the next look.

        Raises:
            FileNotFoundError, PermissionError: the folder is gone, or closed to us.
            ConnectionLost: the root is gone.
        """
        self._root.check()
        letters = dovecot.keyword_letters(self.directory)
        if letters != self._letters:
            self._letters = letters
            self._flags.clear()
        found: Files = {}
        before = self._stamp()
        for _ in range(_LOOKS):
            young = time.time() - max(before) / 1e9 < _YOUNG
            # What moves goes from new/ to cur/: read in this order, it is met at least once.
            now, several = self._read()
            after = self._stamp()
            found |= now
            if after == before and not young:
                found = now
                break
            if after == before and found.keys() == now.keys():
                break
            before = after
        if several or self.twins.known:
            self.twins.tell_apart(found, several)
        self._files, self._stamps = found, before
        # After the files: a message that is numbered meanwhile is found in the list.
        self.uid_list = dovecot.uid_list(self.directory)
        return found

    def count(self) -> int | None:
        """How many messages there are, at a glance; None if it cannot be looked at."""
        try:
            found, several = self._read()
        except OSError:
            return None
        return len(found) + sum(len(paths) - 1 for paths in several.values())

    def _stamp(self) -> Stamps:
        found = []
        for name in (b"/cur", b"/new"):
            try:
                found.append(os.stat(self._path + name, follow_symlinks=False).st_mtime_ns)  # noqa: PTH116 - hot
            except FileNotFoundError:
                found.append(0)
        if not any(found):
            raise FileNotFoundError(2, "there is no such folder any more", str(self.directory))
        return found[0], found[1]

    def _read(self) -> tuple[Files, dict[str, list[str]]]:
        """The files as they are listed, and those of them that share a unique name."""
        found: Files = {}
        several: dict[str, list[str]] = {}
        for name in ("new", "cur"):
            for text in self._list(name):
                unique = names.file_name(text).unique
                path = f"{name}/{text}"
                other = found.setdefault(unique, path)
                if other is not path:
                    several.setdefault(unique, [other]).append(path)
                    found[unique] = path
        return found, several

    def _list(self, name: str) -> list[str]:
        directory = self.directory / name
        try:
            if directory.is_symlink():
                return []
            with os.scandir(directory) as entries:
                return [
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return []  # a folder with new/ only, or without it

    # --- what a name tells

    def flags(self, unique: str) -> tuple[str, ...]:
        """The flags of a message of the last look, in the archive's spelling."""
        path = self._files.get(unique)
        return self._flags_of(path) if path is not None else ()

    def _flags_of(self, path: str) -> tuple[str, ...]:
        letters = names.file_name(path).letters
        flags = self._flags.get(letters)
        if flags is None:
            spelled: dict[str, str] = {}
            for letter in letters:
                flag = names.FLAGS.get(letter) or self._letters.get(letter)
                if flag is None:
                    self.unknown_letters.add(letter)
                else:
                    spelled.setdefault(keywords.fold(flag), flag)
            flags = tuple(spelled.values())
            if len(self._flags) < _FLAGS_CACHE:
                self._flags[letters] = flags
        return flags

    # --- messages

    def describe(self, unique: str, *, identify: bool) -> Message | None:
        """What is known of a message without reading it; None if it is gone by now.

        With ``identify`` the outcome is its Message-ID field alone.
        """
        found = self._open(unique)
        if isinstance(found, Vanished):
            return None
        if isinstance(found, Failure):
            return Message(found, (), dates.NO_DATE, 0)
        fd, path, about = found
        try:
            head = b""
            if identify:
                octets = os.pread(fd, LIMIT, 0)
                head = message_id(octets[: end_of_header(octets)])
        finally:
            os.close(fd)
        received, _ = self._received(unique, about)
        return Message(Octets(head), self._flags_of(path), received, about.st_size)

    def facts(self, unique: str) -> Message | None:
        """What is known of a message without opening it; None if it is gone by now."""
        path = self._files.get(unique)
        if path is not None:
            try:
                about = os.stat(self._path + b"/" + os.fsencode(path), follow_symlinks=False)  # noqa: PTH116 - hot
            except OSError:
                pass  # renamed, most likely
            else:
                if stat.S_ISREG(about.st_mode):
                    received, notes = self._received(unique, about)
                    flags = self._flags_of(path)
                    return Message(Octets(b""), flags, received, about.st_size, notes)
        return self.describe(unique, identify=False)

    def header(self, unique: str) -> bytes | Failure | Vanished:
        """The header of a message, up to and with the first empty line.

        Raises:
            ConnectionLost: the root is gone.
        """
        found = self._open(unique)
        if isinstance(found, Failure | Vanished):
            return found
        fd = found[0]
        try:
            return read_header(lambda size, at: os.pread(fd, size, at))
        except OSError as error:
            gone = failure(self._root.shown, error)
            if gone is not None:
                raise gone from error
            return Failure("unreadable", error.strerror or "it cannot be read")
        finally:
            os.close(fd)

    def message(self, unique: str) -> Message:
        """A message with its octets, wherever it is by now.

        Raises:
            ConnectionLost: the root is gone.
        """
        found = self._open(unique)
        if isinstance(found, Failure | Vanished):
            return Message(found, (), dates.NO_DATE, 0)
        fd, path, about = found
        received, notes = self._received(unique, about)
        flags = self._flags_of(path)
        if names.is_twin(unique):
            notes = (*notes, "unique-name-twice")
        told = names.told_size(unique)
        if told is not None and told != about.st_size:
            notes = (*notes, "wrong-size-in-name")
        if about.st_size > LARGE:
            body = Pieces(about.st_size, lambda: _pieces(fd, about.st_size), lambda: os.close(fd))
            return Message(body, flags, received, about.st_size, notes)
        try:
            octets = _read_all(fd, about.st_size)
        except OSError as error:
            gone = failure(self._root.shown, error)
            if gone is not None:
                raise gone from error
            refused = Failure("unreadable", error.strerror or "it cannot be read")
            return Message(refused, flags, received, about.st_size)
        finally:
            os.close(fd)
        wire = names.told_wire_size(unique)
        if wire is not None and wire != _wire_size(octets) and "wrong-size-in-name" not in notes:
            notes = (*notes, "wrong-size-in-name")
        return Message(Octets(octets), flags, received, len(octets), notes)

    def _received(self, unique: str, about: os.stat_result) -> tuple[Received, tuple[str, ...]]:
        """The file's time; where that is none, the name's; where that is none either, nothing."""
        now = time.time()
        if names.is_placed(unique) and about.st_mtime_ns % 1_000_000_000 == 0:
            return dates.received(about.st_mtime_ns // 1_000_000_000), ()
        epoch: int | None = int(about.st_mtime)
        if not dates.plausible(about.st_mtime, now):
            epoch = names.told_seconds(unique)
            if epoch is None or not dates.plausible(epoch, now):
                return dates.NO_DATE, ("no-date",)
            return dates.received(epoch), ("date-from-name",)
        return dates.received(int(about.st_mtime)), ()

    def _open(self, unique: str) -> tuple[int, str, os.stat_result] | Failure | Vanished:
        """Open a message under the name it has by now."""
        for _ in range(_LOOKS):
            path = self._files.get(unique)
            if path is not None:
                try:
                    return self._opened(self._path + b"/" + os.fsencode(path), path)
                except FileNotFoundError:
                    pass  # renamed, or gone
                except OSError as error:
                    gone = failure(self._root.shown, error)
                    if gone is not None:
                        raise gone from error
                    return Failure("unreadable", error.strerror or "it cannot be opened")
                except ValueError as error:
                    return Failure("not-a-file", str(error))
            elif self._stamps is not None and self._stamps == self._quiet_stamp():
                break  # nothing moved since the last look
            try:
                self.look()
            except OSError:
                break
        self._root.check()
        return Vanished()

    def _octets(self, path: str) -> Iterator[bytes]:
        fd, _, about = self._opened(self._path + b"/" + os.fsencode(path), path)
        try:
            yield from _pieces(fd, about.st_size)
        finally:
            os.close(fd)

    def _quiet_stamp(self) -> Stamps | None:
        try:
            return self._stamp()
        except OSError:
            return None

    def _opened(self, full: bytes, path: str) -> tuple[int, str, os.stat_result]:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            fd = os.open(full, flags | os.O_NOFOLLOW)
        except OSError as error:
            if not os.path.islink(full):  # noqa: PTH114 - octets
                raise
            if not self._root.holds(Path(os.fsdecode(full))):
                raise ValueError("it is a link that leads out of the Maildir") from error
            fd = os.open(full, flags)
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            os.close(fd)
            raise ValueError("it is no regular file")
        return fd, path, about


def _read_all(fd: int, size: int) -> bytes:
    """A small file; one that grew since it was measured is read to its end as well."""
    octets = os.read(fd, size + 1)
    if len(octets) != size:
        while piece := os.read(fd, CHUNK):
            octets += piece
    return octets


def _pieces(fd: int, size: int) -> Iterator[bytes]:
    """The octets of a large file."""
    at = 0
    while at < size:
        try:
            octets = os.pread(fd, min(CHUNK, size - at), at)
        except OSError as error:
            raise ConnectionLost(
                f"a message file cannot be read to its end: {error.strerror}"
            ) from error
        if not octets:
            raise ConnectionLost("a message file became shorter while it was read")
        at += len(octets)
        yield octets


def _wire_size(octets: bytes) -> int:
    return len(octets) + octets.count(b"\n") - octets.count(b"\r\n")

"""Flags of a message as the letters of its file name, and the file that explains small letters.

Capital letters are the specification's. A keyword is a letter from a to z, and a line of
``dovecot-keywords`` in its folder tells which: 26 are all that a folder can have. The file is
changed under the lock that Dovecot changes it under (``dovecot-uidlist.lock``).
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Final

from portarchive import keywords
from portarchive.archive.durable import Durability
from portarchive.connectors.local.storing import change_file, patiently
from portarchive.connectors.maildir import dovecot, names, uidlist_lock
from portarchive.connectors.maildir.uidlist_lock import UidlistLock
from portarchive.errors import Locked
from portarchive.placing import Refused

SYSTEM: Final = tuple(names.FLAGS.values())

_LETTERS: Final = {keywords.fold(flag): letter for letter, flag in names.FLAGS.items()}
_FORWARDED: Final = keywords.fold("$Forwarded")
_FILE: Final = "dovecot-keywords"
_CACHED: Final = 4096


class Keywords:
    """The letters of one folder.

    Args:
        path: of the folder.
        directory: descriptor of it.
        durable: whether the file is synced.
    """

    def __init__(self, path: Path, directory: int, durable: Durability) -> None:
        self._path = path
        self._directory = directory
        self._durable = durable
        self._cache: dict[tuple[str, ...], str] = {}
        self._letters: dict[str, str] = {}
        self._read()

    def _read(self) -> None:
        found = dovecot.keyword_letters(self._path)
        self._letters = {keywords.fold(flag): letter for letter, flag in found.items()}

    def letters(self, flags: tuple[str, ...]) -> str | Refused:
        """The letters for these flags, in ASCII order; new keywords are given letters.

        Raises:
            Locked: another program holds the lock and does not let go.
            OSError: the file cannot be written.
        """
        known = self._cache.get(flags)
        if known is None:
            found = self._find(flags)
            if isinstance(found, Refused):
                return found
            known = "".join(sorted(found))
            if len(self._cache) < _CACHED:
                self._cache[flags] = known
        return known

    def _find(self, flags: tuple[str, ...]) -> set[str] | Refused:
        found: set[str] = set()
        wanted: dict[str, str] = {}
        for flag in flags:
            spelled = keywords.to_imap(flag)
            key = keywords.fold(flag)
            letter = (
                _LETTERS.get(keywords.fold(keywords.to_archive([flag])[0])) if spelled else None
            )
            if letter is not None:
                found.add(letter)
            if spelled is None or (spelled.startswith("\\") and letter is None):
                return Refused("keyword", f"no flag of a Maildir: {flag}")
            if letter is None or key == _FORWARDED:
                wanted[key] = spelled
        if wanted.keys() - self._letters.keys():
            self._add(wanted)
        for key, spelled in wanted.items():
            letter = self._letters.get(key)
            if letter is not None:
                found.add(letter)
            elif key != _FORWARDED:  # its capital says the same
                return Refused("keyword", f"26 keywords are all that a folder can have: {spelled}")
        return found

    def _add(self, wanted: dict[str, str]) -> None:
        """Write down as many as there are letters for."""

        def change(octets: bytes) -> bytes | None:
            self._read()
            free = iter(sorted(set(string.ascii_lowercase) - set(self._letters.values())))
            lines = b"" if not octets or octets.endswith(b"\n") else b"\n"
            for key, spelled in wanted.items():
                letter = None if key in self._letters else next(free, None)
                if letter is not None:
                    self._letters[key] = letter
                    lines += b"%d %s\n" % (ord(letter) - ord("a"), spelled.encode("ascii"))
            return octets + lines if lines.strip() else None

        lock = UidlistLock(self._directory)

        def attempt() -> bool:
            if not lock.take():
                return False
            try:
                return change_file(self._directory, _FILE, f"{_FILE}.lock", change, self._durable)
            finally:
                lock.release()

        if not patiently(attempt):
            raise Locked(
                f"another program holds {self._path / uidlist_lock.NAME} or {_FILE}.lock",
                hint="wait until it has ended; a lock that nobody holds counts for two minutes",
            )

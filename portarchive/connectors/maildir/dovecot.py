"""What Dovecot and Courier write beside the messages: UIDs, keywords, subscriptions.

These are files of a running program: each is read whole, at once, and one that does not parse is
as good as none. Formats: doc.dovecot.org, "Maildir Mailbox Format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portarchive import keywords
from portarchive.connectors.maildir.names import file_name, segment

_HEAD: Final = re.compile(rb"3(?: [A-Z][^ \n]*)*")
_OLD_HEAD: Final = re.compile(rb"1 (\d{1,10}) (\d{1,10})")
_LINE: Final = re.compile(rb"(\d{1,10})(?: [^:\n]*)? :(.+)")
_OLD_LINE: Final = re.compile(rb"(\d{1,10}) (.+)")
_GUID: Final = re.compile(rb"[0-9a-f]{32}")
_KEYWORD: Final = re.compile(rb"(\d{1,2}) (\S+)")

_MAX_NUMBER: Final = (1 << 32) - 1
_LIMIT: Final = 1 << 28
"""Octets of such a file that are read; a list of a million messages has a tenth of it."""


@dataclass(frozen=True, slots=True)
class UidList:
    """``dovecot-uidlist``, or Courier's ``courierimapuiddb``.

    Attributes:
        uidvalidity: 1 to 2^32-1.
        uidnext: as it says; None if it does not.
        guid: the mailbox's own id, 32 hex digits, None if it names none.
        uids: unique name → UID.
    """

    uidvalidity: int
    uidnext: int | None
    guid: str | None
    uids: dict[str, int]


def uid_list(directory: Path) -> UidList | None:
    """The numbers of a folder's messages; None if there are none that can be relied on.

    Two messages with one UID, or a UID out of range, make the whole list worthless.
    """
    for name, old in (("dovecot-uidlist", False), ("courierimapuiddb", True)):
        octets = _read(directory / name)
        if octets is not None:
            return _old_list(octets) if old or octets[:2] == b"1 " else _list(octets)
    return None


def _list(octets: bytes) -> UidList | None:
    head, *lines = octets.split(b"\n")
    if _HEAD.fullmatch(head) is None:
        return None
    told = {word[:1]: word[1:] for word in head.split(b" ")[1:]}
    guid = told.get(b"G", b"")
    uidvalidity = _number(told.get(b"V"))
    uids = _uids(lines, _LINE)
    if uidvalidity is None or uids is None:
        return None
    known = guid.decode() if _GUID.fullmatch(guid) else None
    return UidList(uidvalidity, _number(told.get(b"N")), known, uids)


def _old_list(octets: bytes) -> UidList | None:
    head, *lines = octets.split(b"\n")
    found = _OLD_HEAD.fullmatch(head)
    uidvalidity = _number(found[1]) if found else None
    uids = _uids(lines, _OLD_LINE)
    if found is None or uidvalidity is None or uids is None:
        return None
    return UidList(uidvalidity, _number(found[2]), None, uids)


def _number(octets: bytes | None) -> int | None:
    if not octets or not octets.isdigit() or not 0 < int(octets) <= _MAX_NUMBER:
        return None
    return int(octets)


def _uids(lines: list[bytes], grammar: re.Pattern[bytes]) -> dict[str, int] | None:
    uids: dict[str, int] = {}
    numbers: set[int] = set()
    for line in lines:
        found = grammar.fullmatch(line)
        if found is None:
            continue  # the last one may be half written
        number = int(found[1])
        if not 0 < number <= _MAX_NUMBER or number in numbers:
            return None
        numbers.add(number)
        uids[file_name(found[2].decode("utf-8", "surrogateescape")).unique] = number
    return uids


def keyword_letters(directory: Path) -> dict[str, str]:
    """``dovecot-keywords``: the letter in a file name → the keyword. 26 at most."""
    found: dict[str, str] = {}
    for line in (_read(directory / "dovecot-keywords") or b"").split(b"\n"):
        entry = _KEYWORD.fullmatch(line)
        if entry is not None and int(entry[1]) < 26:
            spelled = keywords.parse_flag_list(entry[2])
            if spelled:
                found[chr(ord("a") + int(entry[1]))] = spelled[0]
    return found


def subscriptions(root: Path) -> set[tuple[str, ...]] | None:
    """The paths of the folders that are subscribed; None if nothing says so."""
    octets = _read(root / "subscriptions")
    if octets is not None:
        lines = octets.split(b"\n")
        if lines[0].startswith(b"V\t"):  # version 2: the names of a path are parted by tabs
            return {_path(line.split(b"\t")) for line in lines[2:] if line}
        return {_path(re.split(rb"[./]", line)) for line in lines if line}
    octets = _read(root / "courierimapsubscribed")
    if octets is None:
        return None
    names = [line for line in octets.split(b"\n") if line]
    return {
        ("INBOX",) if name == b"INBOX" else _path(name.removeprefix(b"INBOX.").split(b"."))
        for name in names
    }


def _path(parts: list[bytes]) -> tuple[str, ...]:
    names = tuple(segment(part)[0] for part in parts)
    return ("INBOX", *names[1:]) if names[0].upper() == "INBOX" else names


def _read(path: Path) -> bytes | None:
    """The octets of a file, None if there is none that can be read. No link is followed."""
    try:
        if path.is_symlink():
            return None
        with path.open("rb") as file:
            return file.read(_LIMIT)
    except OSError:
        return None

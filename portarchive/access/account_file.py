"""The account file: one account a line, ``SOURCE ARCHIVE [options of export]``.

Owns how a line falls into words, where names in it lead, and which archives get into each other's
way. Knows no option, opens nothing, and never repeats what a line says: a password may have strayed
into it.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterable
from os.path import expanduser
from pathlib import Path
from typing import NamedTuple

from portarchive.errors import SettingsError

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_BLANK = " \t"


class AccountLine(NamedTuple):
    """One account as it stands in the file.

    Attributes:
        number: of the line, from 1.
        words: SOURCE, ARCHIVE and options, quotes resolved; at least one.
    """

    number: int
    words: tuple[str, ...]


class Fault(NamedTuple):
    """What is wrong with a line, for people; ``hint`` is the next step or None."""

    number: int
    text: str
    hint: str | None


def parse(octets: bytes) -> tuple[list[AccountLine], list[Fault]]:
    """Take the file apart; a line is either among the accounts or among the faults.

    UTF-8, with or without a byte order mark; lines end with LF or CRLF. Quotes and backslashes
    mean what they mean to a POSIX shell, and nothing else does: no variables, no globs, no line
    that goes on in the next one. ``#`` begins a comment where a word could begin.
    """
    accounts: list[AccountLine] = []
    faults: list[Fault] = []
    for number, raw in enumerate(octets.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            words = _words(raw.removesuffix(b"\r"))
        except SettingsError as error:
            faults.append(Fault(number, error.text, error.hint))
            continue
        if words:
            accounts.append(AccountLine(number, words))
    return accounts, faults


def _words(raw: bytes) -> tuple[str, ...]:
    try:
        line = raw.decode()
    except UnicodeDecodeError as error:
        raise SettingsError("the line is not UTF-8", hint="save the file as UTF-8") from error
    if _CONTROL.search(line):
        raise SettingsError(
            "the line has a control character in it", hint="this has to be a text file"
        )
    stream = io.StringIO(line)
    reader = shlex.shlex(stream, posix=True)
    reader.whitespace, reader.whitespace_split, reader.commenters = _BLANK, True, ""
    words: list[str] = []
    while True:
        # shlex itself would take the # of mail#1 for a comment as well, and cut the name there.
        rest = line[stream.tell() :].lstrip(_BLANK)
        if not rest or rest.startswith("#"):
            return tuple(words)
        try:
            words.append(reader.get_token() or "")
        except ValueError as error:
            raise SettingsError(
                "the line has a quote that does not close, or ends with a backslash",
                hint="quote as for a shell, within one line",
            ) from error


def place(text: str, directory: Path) -> Path:
    """Where a name in the file leads: ``~`` is a home, the rest is seen from the file's directory.

    Args:
        text: as written; not empty.
        directory: that of the account file.

    Raises:
        SettingsError: there is no such home.
    """
    if not text.startswith("~"):
        return directory / text
    home = expanduser(text)  # noqa: PTH111  Path would make ~x of ./~x first
    if home.startswith("~"):
        raise SettingsError(
            "the path begins with the home of a user who is not known here",
            hint="write ./~ if the name really begins with ~",
        )
    return Path(home)


def clashes(archives: Iterable[tuple[int, Path]]) -> list[Fault]:
    """Archives that are the same directory, or lie in one another; told of the later line.

    Args:
        archives: line and real path (absolute, links resolved), in the order of the file.
    """
    first: dict[Path, int] = {}
    faults: list[Fault] = []
    for number, path in archives:
        if path in first:
            text = f"the archive is the same as that of line {first[path]}"
            faults.append(Fault(number, text, "each account has an archive of its own"))
        else:
            first[path] = number
    for path, number in first.items():
        for parent in path.parents:
            if parent in first:
                other = first[parent]
                how = "lies in" if number > other else "holds"
                text = f"the archive {how} that of line {min(number, other)}"
                faults.append(Fault(max(number, other), text, "put the archives beside each other"))
    return faults

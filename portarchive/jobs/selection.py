"""Selection: which folders and messages of a source an archive is about.

Owns the meaning of the filters; the command line only parses them. Filters of folders add up (a
folder is taken when any pattern or role names it, and no exclusion does); filters of messages must
all hold. What is not known of a message never leaves it out: nothing goes missing silently.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal, cast

from portarchive import records
from portarchive.errors import Damaged

Namespace = Literal["personal", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the user asked for. The default is everything of the personal namespace.

    Folder patterns are compared with the names of a folder joined by ``/``, letter case counts,
    ``*`` stands for anything (``/`` too) and ``?`` for one character. Brackets mean themselves,
    because of ``[Gmail]/All Mail``. A pattern that names a folder takes the folders in it as well:
    ``--exclude Trash`` leaves out ``Trash/2019``. ``INBOX`` is written in any case (RFC 9051 §5.1).

    Attributes:
        folders: patterns of folders to take; with ``roles`` empty too, all are taken.
        exclude: patterns of folders to leave out; they win.
        roles: folders to take by role (RFC 8621 §2), lower case.
        since_date: received on that day or later.
        before_date: received before that day.
        min_size: at least so many octets.
        max_size: at most so many octets.
        keywords: messages that bear any of these, in the archive's spelling (``$flagged``).
        namespace: ``all`` takes other users' and shared mailboxes too (RFC 2342).
    """

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    since_date: date | None = None
    before_date: date | None = None
    min_size: int | None = None
    max_size: int | None = None
    keywords: tuple[str, ...] = ()
    namespace: Namespace = "personal"

    @property
    def needs_description(self) -> bool:
        """Whether flags, date and size of a message are needed before its octets are asked for."""
        return bool(
            self.since_date is not None
            or self.before_date is not None
            or self.min_size is not None
            or self.max_size is not None
            or self.keywords
        )

    def wants_folder(self, folder: records.Folder) -> bool:
        """Whether the folder, with the messages in it, belongs to the selection.

        One that stands for folders that were not listed does if any of them may.
        """
        if self.namespace == "personal" and folder.namespace != "personal":
            return False
        unlisted = folder.unlisted is not None
        if (self.folders or self.roles) and not (
            any(_answers(pattern, folder) for pattern in self.folders)
            or any(role in self.roles for role in folder.roles)
            or (unlisted and self.roles)  # the roles of what is not listed are not known
        ):
            return False
        return not any(
            _takes(pattern, folder.path) or _takes_all(pattern, folder.unlisted)
            for pattern in self.exclude
        )

    def unmatched(self, folders: Sequence[records.Folder]) -> tuple[str, ...]:
        """The ``folders`` patterns that no listed folder answers to: most likely a slip."""
        return tuple(
            pattern
            for pattern in self.folders
            if not any(_answers(pattern, folder) for folder in folders)
        )

    def skip_reason(self, placement: records.Placement, size: int | None) -> str | None:
        """Why the message is left out, None if it is wanted.

        Dates are calendar days in the offset that the server sent with the message.

        Returns:
            ``since-date``, ``before-date``, ``min-size``, ``max-size``, ``keyword`` or None.
        """
        received = placement.received.text if placement.received is not None else None
        if received is not None:
            day = received[:10]  # RFC 3339: as text in the order of the calendar
            if self.since_date is not None and day < self.since_date.isoformat():
                return "since-date"
            if self.before_date is not None and day >= self.before_date.isoformat():
                return "before-date"
        if size:  # 0 is what servers say that do not know it
            if self.min_size is not None and size < self.min_size:
                return "min-size"
            if self.max_size is not None and size > self.max_size:
                return "max-size"
        if self.keywords and placement.flags is not None:
            wanted = {keyword.lower() for keyword in self.keywords}
            if not any(flag.lower() in wanted for flag in placement.flags):
                return "keyword"
        return None

    def to_json(self) -> dict[str, Any]:
        """``manifest.selection``: members only for what is filtered, ``{}`` for everything.

        Two selections that mean the same give the same object.
        """
        found: dict[str, Any] = {}
        for member in _LISTS:
            values = getattr(self, member)
            if values:
                found[member] = sorted(set(values))
        for member in _DAYS:
            day = getattr(self, member)
            if day is not None:
                found[member] = day.isoformat()
        for member in _SIZES:
            size = getattr(self, member)
            if size is not None:
                found[member] = size
        if self.namespace != "personal":
            found["namespace"] = self.namespace
        return found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        """Read ``manifest.selection``.

        Raises:
            Damaged: a member is unknown or not of its type. It is not passed over: a filter that
                is not understood would let mail in, or leave it out, without a word.
        """
        unknown = set(value) - {*_LISTS, *_DAYS, *_SIZES, "namespace"}
        if unknown:
            raise Damaged(
                "the selection of this archive has a filter that this version does not know",
                hint="use the version of portarchive that wrote the archive, or a newer one",
            )
        found: dict[str, Any] = {}
        for member, content in value.items():
            if member in _LISTS:
                if not isinstance(content, list) or not all(isinstance(v, str) for v in content):
                    raise Damaged(f"the selection of this archive has a bad member {member!r}")
                found[member] = tuple(content)
            elif member in _DAYS:
                try:
                    found[member] = date.fromisoformat(content)
                except (TypeError, ValueError) as error:
                    text = f"the selection of this archive has a bad member {member!r}"
                    raise Damaged(text) from error
            elif member in _SIZES:
                if type(content) is not int or content < 0:
                    raise Damaged(f"the selection of this archive has a bad member {member!r}")
                found[member] = content
            elif content not in ("personal", "all"):
                raise Damaged("the selection of this archive has a bad member 'namespace'")
            else:
                found[member] = cast("Namespace", content)
        return cls(**found)

    def describe(self) -> str:
        """One English sentence for people, e.g. for ``dataset.description``."""
        parts: list[str] = []
        named = [f"“{pattern}”" for pattern in sorted(set(self.folders))]
        named += [f"those of role {role}" for role in sorted(set(self.roles))]
        parts.append(f"The folders {_and(named)}" if named else "All folders")
        if self.exclude:
            parts.append(f" but {_and(f'“{pattern}”' for pattern in sorted(set(self.exclude)))}")
        if self.namespace == "all":
            parts.append(", those shared by others included")
        limits: list[str] = []
        if self.since_date is not None:
            limits.append(f"received on {self.since_date.isoformat()} or later")
        if self.before_date is not None:
            limits.append(f"received before {self.before_date.isoformat()}")
        if self.min_size is not None:
            limits.append(f"of at least {self.min_size:,} bytes")
        if self.max_size is not None:
            limits.append(f"of at most {self.max_size:,} bytes")
        if self.keywords:
            limits.append(f"that bear {_and(sorted(set(self.keywords)), 'or')}")
        parts.append(f"; of them the messages {_and(limits)}" if limits else ", all messages")
        return "".join(parts) + "."


_LISTS = ("folders", "exclude", "roles", "keywords")
_DAYS = ("since_date", "before_date")
_SIZES = ("min_size", "max_size")


def _takes(pattern: str, path: tuple[str, ...]) -> bool:
    """Whether the pattern names the folder or one that it lies in."""
    expression = _expression(pattern)
    names = [unicodedata.normalize("NFC", name) for name in path]
    if names[0].upper() == "INBOX":
        names[0] = "INBOX"
    return any(expression.fullmatch("/".join(names[:depth])) for depth in range(len(names), 0, -1))


def _answers(pattern: str, folder: records.Folder) -> bool:
    """Whether the pattern takes the folder, or may take one that it stands for."""
    return _takes(pattern, folder.path) or (
        folder.unlisted is not None and _reaches(pattern, folder.unlisted)
    )


def _reaches(pattern: str, beginning: str) -> bool:
    """Whether the pattern may name a folder whose path begins so and goes on."""
    signs = _normal(pattern)

    def on(at: int) -> set[int]:
        """This place in the pattern, and the next one if a star may stand for nothing."""
        return {at, at + 1} if signs[at : at + 1] == "*" else {at}

    places = on(0)
    for sign in unicodedata.normalize("NFC", beginning):
        found: set[int] = set()
        for at in places:
            if signs[at : at + 1] == "*":
                found |= on(at)
            elif signs[at : at + 1] in {"?", sign}:
                found |= on(at + 1)
        places = found
    return any(at < len(signs) for at in places)


def _takes_all(pattern: str, beginning: str | None) -> bool:
    """Whether the pattern names every folder whose path begins so and goes on."""
    if beginning is None or not pattern.endswith("*"):
        return False
    return _expression(pattern).fullmatch(unicodedata.normalize("NFC", beginning)) is not None


def _normal(pattern: str) -> str:
    normal = unicodedata.normalize("NFC", pattern)
    if len(normal) > 1:
        normal = normal.removesuffix("/")
    first, slash, rest = normal.partition("/")
    if first.upper() == "INBOX":
        normal = "INBOX" + slash + rest
    # A run of stars means one: without this, hostile or clumsy patterns take exponential time.
    return re.sub(r"\*+", "*", normal)


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    normal = _normal(pattern)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(sign) or re.escape(sign) for sign in normal), re.DOTALL)


def _and(words: Iterable[str], last: str = "and") -> str:
    found = list(words)
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} {last} {found[-1]}"

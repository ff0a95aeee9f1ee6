"""Which folders the ledger is about: ``manifest.selection``, read anew (format: selection).

Owns the meaning of the filters of folders. A folder that they leave out and that is here all the
same is of an earlier run with another selection. Refuses to guess: a filter that is not understood
leaves nothing out; nor does one that a stranger made to take long.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

_KNOWN = frozenset(
    {"folders", "exclude", "roles", "keywords", "since_date", "before_date", "min_size", "max_size"}
    | {"namespace"}
)
_NOT_PERSONAL = ("other", "shared")
_WORK = 1_000_000_000
"""Characters of names compared for all folders of an archive: a second or two."""
_SLOW = 8
"""Times as long as a plain one takes a character of a pattern with a mark."""
_AGAIN = 2
"""Characters of a plain pattern that are compared at each place of a name while one is looked up:
what repeats itself is compared again and again."""
_MOST_WILD = 1 << 16
"""Characters of all patterns with wildcards: each is prepared before it is used."""
_OF_PREFIX = 16
"""Steps of comparing one prefix."""


class Selected:
    """The selection of one manifest, ready to be asked about many folders."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        """``manifest``: manifest.json, of any content."""
        selection = manifest.get("selection")
        self._understood = isinstance(selection, dict) and _KNOWN.issuperset(selection)
        if not isinstance(selection, dict):
            selection = {}
        words = [_words(selection.get(name)) for name in ("folders", "exclude", "roles")]
        self._left = _WORK - sum(_steps(word) for some in words[:2] for word in some)
        wild = sum(len(word) for some in words[:2] for word in some if _is_wild(word))
        if self._left < 0 or wild > _MOST_WILD:
            self._understood = False
            words = [[], [], []]
        self._wanted, self._without = (Patterns(some) for some in words[:2])
        self._roles = frozenset(words[2])
        self._all_spaces = selection.get("namespace") == "all"
        self._prefixes = _prefixes_of_others(manifest)
        self._spaces = frozenset(prefix.rstrip("/") for prefix in self._prefixes)

    def takes(self, names: Sequence[str], roles: Sequence[str]) -> bool:
        """Whether a folder belongs to the selection.

        Patterns that add up are ``folders`` and ``roles``; ``exclude`` wins. ``*`` stands for
        anything, ``?`` for one character; a pattern that names a folder names all that lie in it.

        Args:
            names: of the mailbox, from the root.
            roles: of the folder, lower case.
        """
        if not self._understood or not names or self._left < 0:
            return True
        length = here = 0  # of all paths together, and of the last
        for name in names:
            here += len(name) + 1
            length += here
        self._left -= (self._without.cost + self._wanted.cost) * length
        self._left -= sum(map(_steps, names)) + _OF_PREFIX * len(self._prefixes)
        if self._left < 0:
            return True
        plain = [unicodedata.normalize("NFC", name) for name in names]
        plain[0] = "INBOX" if plain[0].upper() == "INBOX" else plain[0]
        paths = ["/".join(plain[:depth]) for depth in range(1, len(plain) + 1)]
        if self._without.name(paths):
            return False
        if (self._wanted or self._roles) and not (
            self._wanted.name(paths) or not self._roles.isdisjoint(roles)
        ):
            return False
        path = "/".join(names)
        return self._all_spaces or not (path.startswith(self._prefixes) or path in self._spaces)


class Patterns:
    """Some patterns of folders.

    Attributes:
        cost: steps at most, a character of a path, of asking for it.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._plain: set[str] = set()
        self._wild: list[Glob] = []
        for pattern in dict.fromkeys(patterns):
            text = unicodedata.normalize("NFC", pattern)
            text = text.removesuffix("/") if len(text) > 1 else text
            first, slash, rest = text.partition("/")
            text = "INBOX" + slash + rest if first.upper() == "INBOX" else text
            if _is_wild(text):
                self._wild.append(Glob(text))
            else:
                self._plain.add(text)
        self.cost = 1 + sum(glob.cost for glob in self._wild)

    def __bool__(self) -> bool:
        return bool(self._plain or self._wild)

    def name(self, paths: Sequence[str]) -> bool:
        """Whether one of them names one of the paths."""
        return not self._plain.isdisjoint(paths) or any(
            glob.fits(path) for path in paths for glob in self._wild
        )


class Glob:
    """A pattern with ``*`` and ``?``, matched without going back.

    What stands between two stars is sought where it comes first; no later place would fit better.

    Attributes:
        cost: steps at most, a character of the text.
    """

    def __init__(self, pattern: str) -> None:
        first, *rest = [_Part(part) for part in pattern.split("*")]
        self._first = first
        self._last = rest.pop() if rest else None
        self._between = [part for part in rest if part.length]
        parts = (first, self._last, *self._between)
        self.cost = sum(part.cost for part in parts if part is not None)

    def fits(self, text: str) -> bool:
        """Whether it is the whole text."""
        if not self._first.stands(text, 0):
            return False
        at = self._first.length
        if self._last is None:
            return at == len(text)
        for part in self._between:
            at = part.after(text, at)
            if at < 0:
                return False
        end = len(text) - self._last.length
        return end >= at and self._last.stands(text, end)


class _Part:
    """What stands between two stars."""

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self.cost = 1 + len(text) // _AGAIN
        self._text = text
        self._search: re.Pattern[str] | None = None
        if "?" in text:
            self.cost = _SLOW * len(text)  # of a text of marks each place is tried in full
            wild = "".join("." if one == "?" else re.escape(one) for one in text)
            self._search = re.compile(wild, re.DOTALL)

    def stands(self, text: str, at: int) -> bool:
        """Whether it stands at a place."""
        if self._search is not None:
            return self._search.match(text, at) is not None
        return text.startswith(self._text, at)

    def after(self, text: str, at: int) -> int:
        """Where it ends that it stands first, from a place on; -1 if it stands nowhere."""
        if self._search is not None:
            found = self._search.search(text, at)
            return found.end() if found is not None else -1
        found_at = text.find(self._text, at)
        return found_at + self.length if found_at >= 0 else -1


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def _steps(text: str) -> int:
    """What its normal form may take: marks that follow each other are put in order one by one."""
    return len(text) if text.isascii() else 4 * len(text) ** 2


def roles_of(header: dict[str, Any]) -> list[str]:
    """The roles of a folder.json's header: one as a string, several as an array."""
    value = header.get("portarchive:role")
    return [value] if isinstance(value, str) else _words(value)


def _words(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _prefixes_of_others(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Where the namespaces of others begin, by the prefixes that the server told."""
    source = manifest.get("source")
    spaces = source.get("namespaces") if isinstance(source, dict) else None
    out = []
    for kind in _NOT_PERSONAL:
        found = spaces.get(kind) if isinstance(spaces, dict) else None
        for space in found if isinstance(found, list) else ():
            prefix = space.get("prefix") if isinstance(space, dict) else None
            if not isinstance(prefix, str) or not prefix:
                continue
            delimiter = space.get("delimiter")
            if isinstance(delimiter, str) and delimiter:
                prefix = prefix.replace(delimiter, "/")
            out.append(prefix)
    return tuple(dict.fromkeys(out))

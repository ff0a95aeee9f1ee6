"""Which folders the ledger is about: ``manifest.selection``, read anew (format: selection).

Owns the meaning of the filters of folders. A folder that they leave out and that is here all the
same is of an earlier run with another selection. Refuses to guess: a filter that is not understood
leaves nothing out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_KNOWN = frozenset(
    {"folders", "exclude", "roles", "keywords", "since_date", "before_date", "min_size", "max_size"}
    | {"namespace"}
)
_NOT_PERSONAL = ("other", "shared")


def takes(manifest: dict[str, Any], names: Sequence[str], roles: Sequence[str]) -> bool:
    """Whether a folder belongs to the selection of a manifest.

    Patterns that add up are ``folders`` and ``roles``; ``exclude`` wins. ``*`` stands for anything,
    ``?`` for one character; a pattern that names a folder names all that lie in it.

    Args:
        manifest: manifest.json, of any content.
        names: of the mailbox, from the root.
        roles: of the folder, lower case.
    """
    selection = manifest.get("selection")
    if not isinstance(selection, dict) or not _KNOWN.issuperset(selection) or not names:
        return True
    wanted, without, of_role = (_words(selection.get(m)) for m in ("folders", "exclude", "roles"))
    if any(_names(pattern, names) for pattern in without):
        return False
    if (wanted or of_role) and not (
        any(_names(pattern, names) for pattern in wanted) or not set(of_role).isdisjoint(roles)
    ):
        return False
    return selection.get("namespace") == "all" or not _is_of_others(manifest, names)


def roles_of(header: dict[str, Any]) -> list[str]:
    """The roles of a folder.json's header: one as a string, several as an array."""
    value = header.get("portarchive:role")
    return [value] if isinstance(value, str) else _words(value)


def _words(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _names(pattern: str, names: Sequence[str]) -> bool:
    expression = _expression(pattern)
    plain = [unicodedata.normalize("NFC", name) for name in names]
    plain[0] = "INBOX" if plain[0].upper() == "INBOX" else plain[0]
    return any(expression.fullmatch("/".join(plain[:depth])) for depth in range(1, len(plain) + 1))


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    text = unicodedata.normalize("NFC", pattern)
    text = text.removesuffix("/") if len(text) > 1 else text
    first, slash, rest = text.partition("/")
    text = "INBOX" + slash + rest if first.upper() == "INBOX" else text
    # many stars in a row would take exponential time
    parts = re.split(r"(\*+|\?)", text)
    wild = [".*" if one[:1] == "*" else "." if one == "?" else re.escape(one) for one in parts]
    return re.compile("".join(wild), re.DOTALL)


def _is_of_others(manifest: dict[str, Any], names: Sequence[str]) -> bool:
    """Whether a folder lies in a namespace of others, by the prefixes that the server told."""
    source = manifest.get("source")
    spaces = source.get("namespaces") if isinstance(source, dict) else None
    path = "/".join(names)
    for kind in _NOT_PERSONAL:
        found = spaces.get(kind) if isinstance(spaces, dict) else None
        for space in found if isinstance(found, list) else ():
            prefix = space.get("prefix") if isinstance(space, dict) else None
            if not isinstance(prefix, str) or not prefix:
                continue
            delimiter = space.get("delimiter")
            if isinstance(delimiter, str) and delimiter:
                prefix = prefix.replace(delimiter, "/")
            if path.startswith(prefix) or path == prefix.rstrip("/"):
                return True
    return False

"""Roles of folders by their well-known names: only where the user asks, or the place is known.

The names are those that Dovecot's sample configuration, Thunderbird and RFC 6154 use. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_NAMES: Final = {
    "drafts": "drafts",
    "sent": "sent",
    "sent items": "sent",
    "sent messages": "sent",
    "sent mail": "sent",
    "trash": "trash",
    "deleted items": "trash",
    "deleted messages": "trash",
    "junk": "junk",
    "junk e-mail": "junk",
    "junk mail": "junk",
    "spam": "junk",
    "archive": "archive",
    "archives": "archive",
}


def by_name(paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """The roles of top-level folders with a well-known name; each role once, in the order given.

    Folders below an inbox count as top-level: some servers show all folders there.
    """
    found: dict[tuple[str, ...], str] = {}
    for path in paths:
        top = path[1:] if len(path) == 2 and path[0] == "INBOX" else path
        role = _NAMES.get(top[0].lower()) if len(top) == 1 else None
        if role is not None and role not in found.values():
            found[path] = role
    return found

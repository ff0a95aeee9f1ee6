"""Flags as entries of folder.json spell them, and entries that say the same in other spellings."""

from __future__ import annotations

import json
import re
from typing import Any

# RFC 9051: a keyword is an atom.
_ATOM = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+")
SYSTEM = {"\\seen", "\\answered", "\\flagged", "\\draft"}
_ALL = SYSTEM | {"\\deleted"}


def is_flag(word: str) -> bool:
    """Whether a word is a flag that IMAP can carry: a keyword, or a system flag but for Recent."""
    return word.lower() in _ALL if word[:1] == "\\" else _ATOM.fullmatch(word) is not None


def likeness(item: dict[str, Any]) -> int:
    """A number that two entries share if they say the same, in whatever order and spelling."""
    flags = item.get("flags")
    same = frozenset(map(_spelt, flags)) if isinstance(flags, list) else None
    rest = json.dumps({k: v for k, v in item.items() if k not in {"flags", "uid"}}, sort_keys=True)
    return hash((str(item.get("uid")), same, rest))


def _spelt(flag: Any) -> str:
    lower = str(flag).lower()
    return "$" + lower[1:] if lower in SYSTEM else lower

"""Credentials that an exporter let slip into a document (draft §9.2): found by names and by URLs.

Owns what a member is called that holds one. Never shows a value.
"""

from __future__ import annotations

import re
from typing import Any

from portarchive.validate.ijson_places import escape
from portarchive.validate.run import Run

_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s@:]*:[^/?#\s@]+@", re.IGNORECASE)
_SECRET = re.compile(
    r"passw(?:or)?d|passphrase|secret(?!ar)|credential|private[_-]?key|api[_-]?key"
    r"|(?:access|refresh|auth|bearer|session)[_-]?token|\Atoken\Z",
    re.IGNORECASE,
)
_OF_NAMES = frozenset(
    {"keywords", "categories", "relatedTo", "members", "addressBookIds", "calendarIds"}
)
"""Members of objects whose own members are named by people, or are uids."""
_MOST = 100_000
"""Values of a document that are looked at: no metadata has as many."""


def check_secrets(run: Run, path: str, pointer: str, value: Any) -> None:
    """Every member of a document, or of a part of it, at whatever depth.

    The finding points to the object that has the member, and for a URL to the URL.
    """
    stack: list[tuple[str, Any]] = [(pointer, value)]
    looked = 0
    while stack and looked < _MOST:
        here, one = stack.pop()
        looked += 1
        if isinstance(one, dict):
            free = here.rpartition("/")[2] in _OF_NAMES
            named = {name for name, inner in one.items() if not free and _holds(name, inner)}
            if named:
                run.report.add("F-046", path, here, "a member is named like a credential")
            stack.extend(
                (f"{here}/{escape(name)}", inner)
                for name, inner in one.items()
                if name not in named and isinstance(inner, dict | list | str)
            )
        elif isinstance(one, list):
            stack.extend(
                (f"{here}/{index}", inner)
                for index, inner in enumerate(one[:_MOST])
                if isinstance(inner, dict | list | str)
            )
        elif isinstance(one, str) and len(one) < _MOST and _PASSWORD_IN_URL.match(one):
            run.report.add("F-046", path, here, "a URL with a password")


def _holds(name: str, value: Any) -> bool:
    """Whether a member's name says that its value is a credential; of a patch it is a path."""
    holds_none = value is None or isinstance(value, bool) or "/" in name
    return not holds_none and _SECRET.search(name) is not None

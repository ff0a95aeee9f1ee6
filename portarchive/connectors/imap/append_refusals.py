"""Which messages a strict server will refuse, seen beforehand, so that they drag no others along.

Every message is sent all the same and the server has the last word: a wrong guess here costs time.
"""

from __future__ import annotations

import re
from typing import Final

_NO_FIELD: Final = re.compile(rb"(?:\A|\n)(?![ \t\r]|\Z|From |[^\x00-\x20:]+:)")
"""The start of a line that is no header field, goes on with none, and is not empty."""

_HEADER_END: Final = re.compile(rb"(?:\A|\r\n)\r\n")


def will_be_refused(octets: bytes) -> bool:
    """Whether Cyrus refuses it: bare LF, NUL, no header, or a line in it that is none of a header.

    The closed list of what it refuses (``known_changes``), but for its dates.
    """
    if b"\0" in octets or octets.count(b"\n") != octets.count(b"\r\n"):
        return True
    end = _HEADER_END.search(octets)
    if end is None and not octets.endswith(b"\n"):
        return True  # its header does not end, not even the last line of it
    found = _NO_FIELD.search(octets, 0, len(octets) if end is None else end.start() + 1)
    return found is not None


class Known:
    """Octets that were refused before: equal ones will be too (Cyrus takes a limited number)."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def __contains__(self, octets: bytes) -> bool:
        return bool(self._hashes) and hash(octets) in self._hashes

    def add(self, octets: bytes) -> None:
        """These were refused, sent alone."""
        self._hashes.add(hash(octets))

"""Names of mailboxes as servers spell them in whole: what a folder's uid may be (draft §6.4.2).

Owns modified UTF-7 (RFC 3501 section 5.1.3), read leniently. Refuses to guess a delimiter: a
server may have any, so each character that a uid has is tried.
"""

from __future__ import annotations

import base64
import re

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_LONGEST = 4096


def decoded(name: str) -> str:
    """A name in modified UTF-7 as Unicode; what is none stays as it is."""

    def plain(found: re.Match[str]) -> str:
        word = found[1].replace(",", "/")
        if not word:
            return "&"
        try:
            return base64.b64decode(word + "=" * (-len(word) % 4)).decode("utf-16-be")
        except ValueError:
            return found[0]

    return _SHIFTED.sub(plain, name)


def is_full_name(uid: str, name: str) -> bool:
    """Whether a uid is the full name of a mailbox whose own name is ``name``.

    Its last segment, at whatever delimiter, is the name, in UTF-8 or in modified UTF-7.
    """
    if not name or len(uid) > _LONGEST:
        return False
    for spelt in (uid, decoded(uid)):
        if spelt == name or (spelt.endswith(name) and not spelt[-len(name) - 1].isalnum()):
            return True
    return False

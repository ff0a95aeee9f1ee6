"""Names of folders that a file of that name cannot have: their first character, percent-encoded.

A name that begins with a dot is hidden from whoever lists a directory, and some names mean
something else in the tree that they would lie in. ``.hidden`` becomes ``%2Ehidden``, and what
looks like that already ``%252Ehidden``; any other name with a percent sign stays. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_ESCAPED: Final = re.compile(rb"%[2-7][0-9A-F]")

GROWTH: Final = 2
"""Octets by which a name may grow."""


def escaped(name: bytes, reserved: Collection[bytes] = ()) -> bytes:
    """The name that a file gets.

    Args:
        name: not empty.
        reserved: names that mean something else, ASCII, in lower case.
    """
    if _is_special(name, reserved):
        return b"%%%02X%s" % (name[0], name[1:])
    return name


def unescaped(name: bytes, reserved: Collection[bytes] = ()) -> bytes:
    """The name that ``escaped`` was given; the name itself if it does not come from there."""
    if not _ESCAPED.match(name):
        return name
    plain = bytes([int(name[1:3], 16)]) + name[3:]
    return plain if _is_special(plain, reserved) else name


def _is_special(name: bytes, reserved: Collection[bytes]) -> bool:
    return (
        name.startswith(b".")
        or name.lower() in reserved
        or (name.startswith(b"%") and unescaped(name, reserved) != name)
    )

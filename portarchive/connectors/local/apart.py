"""Folders whose names meet: each gets a path of its own, and none is left out. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

Path = tuple[str, ...]


def tell_apart(named: Sequence[tuple[Path, bytes]], taken: Collection[Path] = ()) -> list[Path]:
    """The paths of folders, in the same order; the first of equal ones keeps its own.

    Args:
        named: the path that each would have, and what tells it from every other one. A later one
            gets ``~`` and eight hex digits of the SHA-256 of that.
        taken: paths of other folders.
    """
    plain = {path for path, _ in named}
    given = set(taken)
    result = []
    for path, told in named:
        own, attempt = path, 0
        while own in given or (attempt and own in plain):
            mark = hashlib.sha256(told + b"\0" * attempt).hexdigest()[:8]
            own, attempt = (*path[:-1], f"{path[-1]}~{mark}"), attempt + 1
        given.add(own)
        result.append(own)
    return result

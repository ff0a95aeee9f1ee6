"""Names and paths of files as text of an archive, which is Unicode only (RFC 7493 §2.1).

Octets of a path that do not decode are surrogate escapes (PEP 383) in a program, and have to be
written in another way. What is written here leads back to the octets. Pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

_UNDECODED: Final = re.compile("[\ud800-\udfff]")
_LOSSLESS: Final = re.compile("[%\ud800-\udfff]")
_SHOWN: Final = 20
"""Paths that a note names."""


def percent(text: str, odd: re.Pattern[str]) -> str:
    """The text with every odd character percent-encoded (RFC 3986 §2.1), octet by octet."""
    return odd.sub(lambda found: "".join(f"%{octet:02X}" for octet in os.fsencode(found[0])), text)


def scalar(text: str) -> str:
    """A name or path: as it is, or percent-encoded if it has octets that do not decode."""
    return percent(text, _LOSSLESS) if _UNDECODED.search(text) else text


def service(scheme: str, path: Path) -> str:
    """Where a source lies: ``maildir:/home/jane/Maildir``.

    If octets of it do not decode it is a URI, ``maildir:///home/jane/caf%E9``: no two are one.
    """
    text = str(path)
    return (
        f"{scheme}://{percent(text, _LOSSLESS)}" if _UNDECODED.search(text) else f"{scheme}:{text}"
    )


def left_out(code: str, paths: Iterable[Path], root: Path) -> list[dict[str, Any]]:
    """The note about what was passed over, if anything was: how many, and the first of them."""
    found: Sequence[Path] = sorted(paths)
    if not found:
        return []
    shown = [scalar(path.relative_to(root).as_posix()) for path in found[:_SHOWN]]
    return [{"code": code, "count": len(found), "paths": shown}]

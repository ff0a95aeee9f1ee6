"""stdout: lines for people, one JSON object for programs; and the words for sizes and times."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from portarchive import __version__
from portarchive.cli.safe_text import safe

REPORT_SCHEMA = "urn:portarchive:schema:report:1"


def say(line: str = "") -> None:
    """One line on stdout. What is not ours in it went through ``safe`` before."""
    sys.stdout.write(line + "\n")


def report_head(command: str) -> dict[str, Any]:
    """The members that every report begins with; ``command`` tells its kind."""
    return {
        "$schema": REPORT_SCHEMA,
        "command": command,
        "generator": f"portarchive/{__version__}",
    }


def to_json(value: Any) -> str:
    """One line of JSON in ASCII, so that it is safe on a terminal as well."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def bold(text: str) -> str:
    """The text, emphasised where a person looks at a terminal that may show colours."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        return f"\x1b[1m{text}\x1b[0m"
    return text


def octets(count: int) -> str:
    """``4.2 MB``: decimal units, as disks and providers count."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 message``, ``1,200 messages``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """``4 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def columns(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()
) -> list[str]:
    """Aligned lines, the head first. Cells are made safe here.

    Args:
        heads: one word a column; none at all for lines without a head.
        rows: as many cells each; none is cut, whatever the terminal's width.
        right: the columns that are aligned to the right.
    """
    table = [[safe(cell) for cell in row] for row in rows]
    widths = [
        max(map(width, column)) for column in zip(*([heads] if heads else []), *table, strict=True)
    ]
    rightward = set(right)

    def line(cells: Sequence[str]) -> str:
        padded = []
        for at, cell in enumerate(cells):
            blank = " " * (widths[at] - width(cell))
            padded.append(blank + cell if at in rightward else cell + blank)
        return "  ".join(padded).rstrip()

    return [*([bold(line(heads))] if heads else []), *map(line, table)]


def width(text: str) -> int:
    """How many cells of a terminal the text takes (UAX 11: wide ones two, marks none)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )

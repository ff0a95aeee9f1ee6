"""The rows of a query: a table for people, CSV, JSON and JSON lines for programs.

Everything in a row was written by strangers. On a terminal it is stripped of what a terminal could
take for a command, in whatever form it is printed.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from portarchive.cli.output import columns, to_json, width
from portarchive.cli.safe_text import safe

if TYPE_CHECKING:
    from portarchive.index.query import Column, Result

WIDEST = 60
"""Cells that a column of a table takes at most where nobody knows the width of the terminal."""
LEAST = 6
"""Cells that it takes at least on a narrow terminal."""
_NUMBERS = ("INT", "DOUBLE", "DECIMAL", "FLOAT")
_INSTANT = "TIMESTAMP WITH TIME ZONE"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(heads: Sequence[Column], rows: Sequence[Sequence[Any]], *, terminal: bool) -> list[str]:
    """Aligned lines; what is too wide is cut, and ends in ``…``.

    Args:
        heads: the columns.
        rows: of values as JSON has them.
        terminal: fit it into the width of the terminal.
    """
    kinds = [head.kind for head in heads]
    cells = [[_cell(*pair) for pair in zip(row, kinds, strict=True)] for row in rows]
    names = [safe(head.name) for head in heads]
    wanted = [
        min(WIDEST, max(width(name), *(width(row[at]) for row in cells), 0))
        if cells
        else min(WIDEST, width(name))
        for at, name in enumerate(names)
    ]
    if terminal:
        wanted = _fitted(wanted, shutil.get_terminal_size().columns - 2 * (len(wanted) - 1))
    right = {at for at, head in enumerate(heads) if is_number(head.kind)}
    body = [[cut(text, wanted[at]) for at, text in enumerate(row)] for row in cells]
    return columns([cut(name, wanted[at]) for at, name in enumerate(names)], body, right=right)


def is_number(kind: str) -> bool:
    """Whether a column of this type holds numbers."""
    return kind.startswith(_NUMBERS) or (kind.endswith("INT") and "[" not in kind)


def cut(text: str, most: int) -> str:
    """The text in so many cells of a terminal."""
    if width(text) <= most:
        return text
    out, taken = [], 0
    for sign in text:
        taken += width(sign)
        if taken > most - 1:
            break
        out.append(sign)
    return "".join(out) + "…"


def _fitted(wanted: list[int], room: int) -> list[int]:
    """Take from the widest column until all of them fit, or all are at their least."""
    wanted = list(wanted)
    while sum(wanted) > room:
        at = max(range(len(wanted)), key=lambda place: wanted[place])
        if wanted[at] <= LEAST:
            break
        wanted[at] -= 1
    return wanted


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        if kind == _INSTANT and len(value) >= 20 and value[10] == "T" and value.endswith("Z"):
            value = value[:19].replace("T", " ")
        return safe(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return safe(", ".join(value))
    return safe(to_json(value) if isinstance(value, (list, dict)) else value)


# --- for programs -------------------------------------------------------------------------------


def write_csv(result: Result, out: BinaryIO, *, exact: bool) -> None:
    """RFC 4180, in UTF-8. A list is its JSON.

    Args:
        result: is read to its end.
        out: takes octets.
        exact: leave texts as they are that a spreadsheet would take for a formula. Otherwise they
            get an apostrophe before them.
    """
    bare = out.isatty()  # stdout, or a file that is a terminal
    numbers = [is_number(column.kind) for column in result.columns]

    def cells(row: Sequence[Any], *, head: bool = False) -> Iterator[Any]:
        for at, value in enumerate(row):
            if value is None or isinstance(value, bool):
                yield {None: "", True: "true", False: "false"}[value]
                continue
            text = to_json(value) if isinstance(value, (list, dict)) else str(value)
            text = safe(text) if bare else text.replace("\0", "")
            formula = text.startswith(_FORMULA) and (head or not numbers[at])
            yield "'" + text if formula and not exact else text

    _write_lines(out, [cells([column.name for column in result.columns], head=True)])
    for batch in result.batches():
        _write_lines(out, [cells(row) for row in batch])


def _write_lines(out: BinaryIO, rows: Sequence[Iterator[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    out.write(text.getvalue().encode())


def write_json_lines(result: Result, out: BinaryIO) -> None:
    """An object a line, in ASCII. Of columns with one name the last counts."""
    names = [column.name for column in result.columns]
    for batch in result.batches():
        lines = [to_json(dict(zip(names, row, strict=True))) + "\n" for row in batch]
        out.write("".join(lines).encode())


def write_json(head: dict[str, Any], result: Result, out: BinaryIO) -> None:
    """One object, whose rows are written as they come: report.schema.json, ``query``."""
    about = [{"name": column.name, "type": column.kind} for column in result.columns]
    out.write((to_json({**head, "columns": about})[:-1] + ',"rows":[').encode())
    comma = ""
    for batch in result.batches():
        for row in batch:
            out.write(f"{comma}\n{to_json(row)}".encode())
            comma = ","
    more = "true" if result.more else "false"
    out.write(f'],"count":{result.count},"more":{more}}}\n'.encode())

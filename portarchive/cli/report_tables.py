"""Tables of the report: rows as HTML, with a bar in the row where numbers want to be compared."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from portarchive.cli.report_plot import bar
from portarchive.cli.safe_text import safe

LONGEST = 300
"""Characters of a text that the page shows."""


class Mark(str):  # noqa: SLOT000 - a text that says of itself that it is HTML
    """HTML of our own; everything else is escaped."""


def text_of(words: object) -> str:
    """A stranger's words, on one line, as text of the page."""
    line = safe(words)
    return html.escape(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Iterable[int] = (),
    codes: Iterable[int] = (),
) -> Iterator[str]:
    """A table.

    Args:
        heads: what the columns are; "" for one of bars.
        rows: cells; ``Mark`` as it is, all else escaped, None empty.
        numbers: columns that are aligned to the right.
        codes: columns in the type of machines.
    """
    right, code = set(numbers), set(codes)
    yield '<div class="wide"><table><thead><tr>'
    for at, head in enumerate(heads):
        kind = ' class="count"' if at in right else "" if head else ' class="bars"'
        name = html.escape(head) if head else '<span class="hidden">share</span>'
        yield f'<th scope="col"{kind}>{name}</th>'
    yield "</tr></thead><tbody>"
    for row in rows:
        cells = []
        for at, value in enumerate(row):
            inner = value if isinstance(value, Mark) else _cell(value, code=at in code)
            kind = ' class="count"' if at in right else ' class="bars"' if not heads[at] else ""
            cells.append(f"<td{kind}>{inner}</td>")
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def bars(values: Sequence[float], kind: str) -> list[Mark]:
    """A bar for each value, in proportion to the greatest."""
    most = max(values, default=0)
    return [Mark(bar(value, most, kind)) for value in values]


def folded_away(summary: str, inner: Iterable[str]) -> Iterator[str]:
    """What only few want to see at once."""
    yield f"<details><summary>{html.escape(summary)}</summary>"
    yield from inner
    yield "</details>"


def _cell(value: Any, *, code: bool) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    tag = "code" if code else "bdi"
    return f"<{tag}>{text_of(value)}</{tag}>"

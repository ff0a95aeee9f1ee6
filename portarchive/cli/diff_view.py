"""What a comparison says to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from portarchive.cli.output import counted
from portarchive.cli.safe_text import safe

if TYPE_CHECKING:
    from portarchive.jobs.diff.report import Differences, DiffReport

SHOWN = 10
"""Messages of one folder and kind that are named in words; ``--json`` names more."""


def summary(report: DiffReport) -> list[str]:
    """All of it."""
    return [f"A is {safe(report.a)}", f"B is {safe(report.b)}", *difference_lines(report)]


def difference_lines(report: DiffReport) -> list[str]:
    """What was found, without the heads."""
    totals = report.to_json()["totals"]
    ends = f" ({totals['line_ends']:,} in line ends only)" if totals["line_ends"] else ""
    compared = counted(totals["compared"], "message") + f" compared{ends}"
    if report.same:
        return [f"no difference: {compared}"]
    lines = [f"DIFFERENT: {compared}"]
    lines += [f"  only A has the folder {safe('/'.join(path))}" for path in report.only_folders_a]
    lines += [f"  only B has the folder {safe('/'.join(path))}" for path in report.only_folders_b]
    for folder in report.folders:
        lines += _folder(folder, exact=report.exact)
    return lines


def _folder(folder: Differences, *, exact: bool) -> Iterator[str]:
    if not folder.count and not (exact and folder.line_ends):
        return
    yield f"  {safe('/'.join(folder.a or folder.b or ()))}"
    for kind, words in (("only_a", "only in A"), ("only_b", "only in B")):
        named: list[str] = getattr(folder, kind)
        if named:
            more = folder.counts[kind] - len(named[:SHOWN])
            rest = f" and {more:,} more" if more else ""
            yield f"    {words}: {', '.join(safe(uid) for uid in named[:SHOWN])}{rest}"
    for entry in folder.octets[:SHOWN]:
        yield f"    other octets: {_both(entry)}"
    for entry in folder.flags[:SHOWN]:
        a, b = (" ".join(map(safe, entry[side])) or "-" for side in ("only_a", "only_b"))
        yield f"    flags of {_both(entry)}: A has {a}, B has {b}"
    for entry in folder.instants[:SHOWN]:
        a, b = (safe(entry[side] or "none") for side in ("instant_a", "instant_b"))
        yield f"    date of {_both(entry)}: {a} and {b}"
    if exact and folder.line_ends:
        yield f"    {counted(folder.line_ends, 'message')} with other line ends"


def _both(entry: dict[str, Any]) -> str:
    return f"{safe(entry['a'])} / {safe(entry['b'])}"

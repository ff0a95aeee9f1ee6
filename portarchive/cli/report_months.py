"""Months as columns of a plot, if they can be told apart; else quarters, years, decades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 240
"""Columns of a plot over time."""
_STEPS = ((1, "month"), (3, "quarter"), (12, "year"), (120, "decade"), (1200, "century"))
_LABELS = 12


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of equal length without a gap, from the first one with mail to the last.

    Attributes:
        step: what a span is: ``month`` … ``century``.
        names, short: of each: ``2024-01``; as it stands below the plot.
        messages, octets: of each.
        marked: those that get a label.
    """

    step: str
    names: list[str]
    short: list[str]
    messages: list[int]
    octets: list[int]
    marked: list[int]


def spans(rows: Sequence[Mapping[str, Any]]) -> Spans | None:
    """The spans for rows of year, month, messages and octets; None for none."""
    if not rows:
        return None
    numbers = [row["year"] * 12 + row["month"] - 1 for row in rows]
    first, last = min(numbers), max(numbers)
    length, step = next(
        (pair for pair in _STEPS if last // pair[0] - first // pair[0] < MOST), _STEPS[-1]
    )
    start = first // length
    count = last // length - start + 1
    messages, octets = [0] * count, [0] * count
    for number, row in zip(numbers, rows, strict=True):
        messages[number // length - start] += row["messages"]
        octets[number // length - start] += row["octets"]
    names = [_name(length, (start + at) * length) for at in range(count)]
    marked = _marked(length, start, count)
    short = [name[:4] if length > 1 and count > 1 else name for name in names]
    if length == 1 and len(marked) and count > _LABELS:
        short = [name[:4] for name in names]
    return Spans(step, names, short, messages, octets, marked)


def _name(length: int, month: int) -> str:
    year, month = divmod(month, 12)
    if length == 1:
        return f"{year:04d}-{month + 1:02d}"
    if length == 3:
        return f"{year:04d} Q{month // 3 + 1}"
    return f"{year:04d}" if length == 12 else f"{year:04d}s"


def _marked(length: int, start: int, count: int) -> list[int]:
    """All of a few; else those where a year, or a round number of years, begins."""
    if count <= _LABELS:
        return list(range(count))
    per_year = max(12 // length, 1)
    years = count / per_year
    every = per_year * next(
        (step for step in (1, 2, 5, 10, 20, 50, 100) if years / step <= _LABELS), 200
    )
    return [at for at in range(count) if (start + at) % every == 0]

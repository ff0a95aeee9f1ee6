"""Plots of the report as SVG of our own: columns over time or classes, and bars within tables.

No script, no style of its own (the page has it by class), no word of a stranger. Each has a title
and a description for those who do not see it, and the page has the numbers in a table beside it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from portarchive.cli.output import octets

WIDTH, HEIGHT = 960, 250
"""Units of a plot; it takes the width of the page."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 8, 22, 30
_LABELS = 12
_THICKEST = 64
_PREFIXES = (" ", "k", "M", "G", "T")


class Series(NamedTuple):
    """What a plot shows.

    Attributes:
        id: of its elements, unique on the page.
        title: what it is.
        values: one a column.
        names: of the columns, for those that look closer.
        labels: place of a column → what stands below it; few of them.
        unit: what is counted; "octets" are shown as kB, MB, GB.
        kind: the class of its colour.
    """

    id: str
    title: str
    values: Sequence[int]
    names: Sequence[str]
    labels: dict[int, str]
    unit: str
    kind: str


def columns_plot(series: Series) -> str:
    """A plot of columns with an axis of values and one of names."""
    top, step = _scale(max(series.values, default=0), series.unit)
    inner, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    floor = _TOP + high
    wide = inner / max(len(series.values), 1)
    named = f'aria-labelledby="{series.id}-title {series.id}-desc"'
    out = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="plot {series.kind}" {named}>',
        f'<title id="{series.id}-title">{html.escape(series.title)}</title>',
        f'<desc id="{series.id}-desc">{html.escape(_description(series))}</desc>',
        f'<text class="unit" x="{_LEFT}" y="12">{html.escape(_unit(series.unit, top))}</text>',
    ]
    for number in range(round(top / step) + 1):
        value = number * step
        y = floor - high * value / top
        out.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        out.append(
            f'<text class="tick end" x="{_LEFT - 8}" y="{y + 4:.1f}">'
            f"{_number(value, series.unit, top)}</text>"
        )
    thick = min(max(wide * 0.8, wide - 6, 0.5), _THICKEST)
    for at, value in enumerate(series.values):
        if value <= 0:
            continue
        tall = max(high * value / top, 1)
        name = f"{series.names[at]}: {_told(value, series.unit)}"
        out.append(
            f'<rect class="bar" x="{_LEFT + (at + 0.5) * wide - thick / 2:.2f}"'
            f' y="{floor - tall:.2f}" width="{thick:.2f}" height="{tall:.2f}">'
            f"<title>{html.escape(name)}</title></rect>"
        )
    for at, label in series.labels.items():
        x = _LEFT + at * wide + wide / 2
        out.append(
            f'<text class="tick middle" x="{x:.1f}" y="{HEIGHT - 10}">{html.escape(label)}</text>'
        )
    out.append(f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>')
    out.append("</svg>")
    return "".join(out)


def bar(value: float, most: float, kind: str) -> str:
    """A bar within a row of a table, which says the number itself."""
    share = 100 * value / most if most > 0 else 0
    return (
        f'<svg class="line {kind}" viewBox="0 0 100 10" preserveAspectRatio="none"'
        ' aria-hidden="true" focusable="false">'
        '<rect class="room" width="100" height="10"/>'
        f'<rect class="bar" width="{max(share, 0.6 if value else 0):.2f}" height="10"/></svg>'
    )


def few(count: int, most: int = _LABELS) -> list[int]:
    """The places of columns that get a label, evenly spread from the first on."""
    step = max(1, math.ceil(count / most))
    return list(range(0, count, step))


def _scale(most: float, unit: str) -> tuple[float, float]:
    """The end of an axis, and the step of its ticks: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1, 1
    rough = most / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    if unit != "octets":
        step = max(step, 1)
    return math.ceil(most / step) * step, step


def _prefix(top: float) -> int:
    return min(int(math.log10(max(top, 1)) // 3), len(_PREFIXES) - 1)


def _unit(unit: str, top: float) -> str:
    return f"{_PREFIXES[_prefix(top)].strip()}B" if unit == "octets" else unit


def _number(value: float, unit: str, top: float) -> str:
    return f"{value / 1000 ** _prefix(top):g}" if unit == "octets" else f"{value:,.0f}"


def _told(value: int, unit: str) -> str:
    return octets(value) if unit == "octets" else f"{value:,} {unit}"


def _description(series: Series) -> str:
    if not any(series.values):
        return "There is nothing to show."
    at = max(range(len(series.values)), key=lambda place: series.values[place])
    return (
        f"{len(series.values):,} columns from {series.names[0]} to {series.names[-1]};"
        f" the highest is {series.names[at]} with {_told(series.values[at], series.unit)}."
        " The numbers are in the table below."
    )

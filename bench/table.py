"""The table: what a row is, what every block is given, and how two contenders are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus import Mailbox
from measure import Series
from peers import Endpoint, remove

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many messages; ``--quick`` proves the harness, not the figures."""

    full: int = 100_000
    middle: int = 30_000
    small: int = 10_000
    durable: int = 12_000
    many: int = 300_000
    spread: int = 5_000
    folders: int = 50
    jmap: int = 6_000
    large_octets: int = 200 * MEGABYTE
    takeout_octets: int = 1000 * MEGABYTE


QUICK = Sizes(
    full=4_000,
    middle=1_200,
    small=400,
    durable=600,
    many=12_000,
    spread=500,
    folders=10,
    jmap=300,
    large_octets=20 * MEGABYTE,
    takeout_octets=50 * MEGABYTE,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every block needs.

    Attributes:
        endpoint: the server.
        maildir: the directory of a user's mail on that server.
        memory: a directory on tmpfs, for targets without fsync.
        disk: a directory on a real disk, for durable targets.
        tell: takes one line of progress.
    """

    endpoint: Endpoint
    maildir: Callable[[str], Path]
    memory: Path
    disk: Path
    sizes: Sizes
    rounds: int
    tell: Callable[[str], None]

    def drop(self, mailbox: Mailbox) -> None:
        """Free the memory that an account's mail takes."""
        remove(self.maildir(mailbox.user))


@dataclass(slots=True)
class Row:
    """One line of the table.

    Attributes:
        figure: what was found, in words; the reason when nothing was.
        value: the number that is held against ``bar``; None when there is none.
    """

    name: str
    title: str
    bar: float
    unit: str
    figure: str = ""
    value: float | None = None
    spread: tuple[float, float] | None = None
    holds: bool = True
    series: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.bar and self.holds else "missed"


def ratio(
    row: Row, runs: Mapping[str, Series], failed: Mapping[str, str], ours: str, other: str
) -> Row:
    """The ratio of two medians, with the least and the greatest ratio within one round."""
    row.series = {name: runs[name].as_json() for name in (ours, other) if name in runs}
    missing = [f"{name}: {failed[name]}" for name in (ours, other) if name in failed]
    if missing:
        known = [f"{name} {runs[name].spread()}" for name in (ours, other) if name in runs]
        row.figure = "; ".join(known + missing)
        return row
    pairs = zip(runs[ours].runs, runs[other].runs, strict=True)
    within = [one.wall / another.wall for one, another in pairs]
    row.value = runs[ours].median / runs[other].median
    row.spread = (min(within), max(within))
    row.figure = f"{ours} {runs[ours].spread()}; {other} {runs[other].spread()}"
    return row

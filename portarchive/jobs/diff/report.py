"""What a comparison found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NAMED = 1000
"""Messages of one folder and kind that are named; more are counted."""


@dataclass(slots=True)
class Differences:
    """One pair of folders, or one folder without a partner.

    Attributes:
        a, b: paths; None where that side has no such folder.
        compared: messages that are on both sides.
        only_a, only_b: uids (with the first words of why, if their octets could not be had).
        octets: ``{"a": uid, "b": uid}``: the same message by its identity, other octets.
        line_ends: how many differ in line ends only.
        flags: ``{"a", "b", "only_a": [...], "only_b": [...]}``.
        instants: ``{"a", "b", "instant_a", "instant_b"}``.
    """

    a: tuple[str, ...] | None
    b: tuple[str, ...] | None
    compared: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    octets: list[dict[str, Any]] = field(default_factory=list)
    line_ends: int = 0
    flags: list[dict[str, Any]] = field(default_factory=list)
    instants: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, entry: Any) -> None:
        """One difference, counted always and named while there is room."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        named = getattr(self, kind)
        if len(named) < NAMED:
            named.append(entry)

    @property
    def count(self) -> int:
        """How many differences."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """One entry of ``folders``."""
        return {
            "a": list(self.a) if self.a is not None else None,
            "b": list(self.b) if self.b is not None else None,
            "compared": self.compared,
            "line_ends": self.line_ends,
            "counts": dict(sorted(self.counts.items())),
            "only_a": self.only_a,
            "only_b": self.only_b,
            "octets": self.octets,
            "flags": self.flags,
            "instants": self.instants,
        }


@dataclass(slots=True)
class DiffReport:
    """The outcome of ``run_diff``. Folders without a partner count as a difference each."""

    a: str
    b: str
    exact: bool
    folders: list[Differences] = field(default_factory=list)
    only_folders_a: list[tuple[str, ...]] = field(default_factory=list)
    only_folders_b: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Nothing differs (line ends only, unless ``exact``, is nothing)."""
        return (
            not self.only_folders_a
            and not self.only_folders_b
            and not any(
                folder.count or (self.exact and folder.line_ends) for folder in self.folders
            )
        )

    def total(self, kind: str) -> int:
        """How many differences of one kind."""
        return sum(folder.counts.get(kind, 0) for folder in self.folders)

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints (schemas/portarchive/diff.schema.json)."""
        kinds = ("only_a", "only_b", "octets", "flags", "instants")
        return {
            "command": "diff",
            "same": self.same,
            "a": self.a,
            "b": self.b,
            "exact": self.exact,
            "totals": {
                "compared": sum(folder.compared for folder in self.folders),
                "line_ends": sum(folder.line_ends for folder in self.folders),
                **{kind: self.total(kind) for kind in kinds},
            },
            "only_folders_a": [list(path) for path in self.only_folders_a],
            "only_folders_b": [list(path) for path in self.only_folders_b],
            "folders": [folder.to_json() for folder in self.folders],
        }

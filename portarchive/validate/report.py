"""What was found: findings, their counts, and the report as data.

Owns the cap that keeps a report small whatever an archive holds, and the escaping that keeps a
stranger's words from driving a terminal. Refuses to print: people's reports are made elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from portarchive.errors import ExitCode
from portarchive.validate.codes import Severity, all_codes

KEPT = 1000
"""Findings kept of one code; counting goes on."""

Row = tuple[str, str, str, str]
"""(code, path, pointer, text) of a finding that is not told yet."""

_LONGEST = 400
_INTERNAL = "F-001"
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is so.

    Attributes:
        code: of ``docs/codes.md``.
        severity: of that code.
        clause: what the code is about, by section.
        path: the file, relative to the archive's root; "" for the archive itself.
        pointer: JSON pointer (RFC 6901) or ``line:column`` in that file, or "".
        text: what is so here. Printable, whatever the archive holds; never a message's content.
        hint: what its author can do, or "".
    """

    code: str
    severity: Severity
    clause: str
    path: str
    pointer: str
    text: str
    hint: str

    def to_dict(self) -> dict[str, str]:
        """As the JSON report has it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "clause": self.clause,
            "path": self.path,
            "pointer": self.pointer,
            "text": self.text,
            "hint": self.hint,
        }


class Aside:
    """Findings that may never be told.

    Attributes:
        rows: ``KEPT`` of each code at most.
        more: how many others there were, by code.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.more: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """One more."""
        code = row[0]
        if self._kept[code] < KEPT:
            self._kept[code] += 1
            self.rows.append(row)
        else:
            self.more[code] += 1

    def cut(self, told: Counter[str]) -> None:
        """Keep no rows beyond ``KEPT`` of each code, ``told`` included, to which they are added."""
        kept = []
        for row in self.rows:
            if told[row[0]] < KEPT:
                told[row[0]] += 1
                kept.append(row)
            else:
                self.more[row[0]] += 1
        self.rows = kept


class Report:
    """The findings of one validation.

    Attributes:
        archive: the path that was validated, as it was given.
        level: ``schema``, ``structure`` or ``deep``.
        dialect: as identified; None if nothing could be read.
        fingerprint: SHA-256 of the metadata file in hex; None if it could not be read.
        files: files of the archive.
        octets: of these, as far as known.
        messages: items of mail folders.
        folders: mail folders.
        findings: at most ``KEPT`` of each code, in the order in which they were found.
        counts: how often each code was found.
    """

    def __init__(self, archive: str, level: str) -> None:
        self.archive = archive
        self.level = level
        self.dialect: str | None = None
        self.fingerprint: str | None = None
        self.files = 0
        self.octets = 0
        self.messages = 0
        self.folders = 0
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self._aside: Aside | None = None

    def add(self, code: str, path: str = "", pointer: str = "", text: str = "") -> None:
        """Note a finding. Without ``text`` the code's own meaning stands.

        Raises:
            KeyError: there is no such code, or it is one that nothing can show.
        """
        row = all_codes()[code]
        if row.severity is None:
            raise KeyError(code)
        if self._aside is not None:
            self._aside.add((code, path, pointer, text))
            return
        self.counts[code] += 1
        if self.counts[code] <= KEPT:
            self.findings.append(
                Finding(
                    code=code,
                    severity=row.severity,
                    clause=row.clause,
                    path=printable(path),
                    pointer=printable(pointer),
                    text=printable(text or row.meaning),
                    hint=row.hint,
                )
            )

    @contextmanager
    def aside(self) -> Iterator[Aside]:
        """What is added meanwhile is kept apart, to be added later or never."""
        aside = Aside()
        self._aside = aside
        try:
            yield aside
        finally:
            self._aside = None

    def add_more(self, code: str, path: str, more: int) -> None:
        """Note findings of one file of which no more than that is known."""
        self.add(code, path)
        self.add_count(code, more - 1)

    def add_count(self, code: str, more: int) -> None:
        """Count findings that were not kept one by one."""
        self.counts[code] += more

    def count(self, severity: Severity) -> int:
        """How many findings of this severity there are in all."""
        rows = all_codes()
        return sum(n for code, n in self.counts.items() if rows[code].severity is severity)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.count(Severity.ERROR)

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """What a command returns: ``strict`` makes warnings count; a broken check is our bug."""
        if self.counts[_INTERNAL]:
            return ExitCode.BUG
        failed = not self.ok or (strict and self.count(Severity.WARNING) > 0)
        return ExitCode.FINDINGS if failed else ExitCode.OK

    def by_severity(self) -> list[Finding]:
        """The kept findings: most severe first, then by code, path and place."""
        return sorted(
            self.findings,
            key=lambda found: (_ORDER[found.severity], found.code, found.path, found.pointer),
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as data: the same archive gives the same, whatever ran in parallel."""
        return {
            "archive": printable(self.archive),
            "level": self.level,
            "dialect": self.dialect,
            "fingerprint": self.fingerprint,
            "ok": self.ok,
            "files": self.files,
            "octets": self.octets,
            "folders": self.folders,
            "messages": self.messages,
            "totals": {severity.value: self.count(severity) for severity in Severity},
            "counts": dict(sorted(self.counts.items())),
            "findings": [found.to_dict() for found in self.by_severity()],
        }


def printable(text: str) -> str:
    """The text with everything escaped that is not plainly printable, cut where it is too long."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )

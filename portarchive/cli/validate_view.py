"""A validation for people: grouped by severity and code, the first few of each, a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from portarchive.cli.output import bold, counted, octets
from portarchive.cli.safe_text import safe
from portarchive.errors import ExitCode
from portarchive.validate.codes import Code, Severity, all_codes
from portarchive.validate.report import Finding, Report

NOT_CHECKED = "not checked"
HEADS = {Severity.ERROR: "Errors", Severity.WARNING: "Warnings", Severity.NOTE: "Notes"}
_LINE_AND_COLUMN = re.compile(r"([1-9][0-9]{0,14}):([1-9][0-9]{0,14})", re.ASCII)
_DIGITS = re.compile(r"([0-9]{1,18})")
_CODE = re.compile(r"([A-Z])\s*[-_ ]?\s*0*(\d{1,3})([A-Z]?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Group:
    """All that a report holds of one code.

    Attributes:
        row: the code.
        count: how often it was found.
        findings: those that were kept, by path and place, numbers in the order of numbers.
    """

    row: Code
    count: int
    findings: list[Finding]


def grouped(report: Report) -> Iterator[tuple[Severity, list[Group]]]:
    """The groups of each severity that has any, most severe first, then by code."""
    kept: dict[str, list[Finding]] = {}
    for found in sorted(report.by_severity(), key=_in_order):
        kept.setdefault(found.code, []).append(found)
    rows = all_codes()
    for severity in Severity:
        groups = [
            Group(rows[code], count, kept.get(code, []))
            for code, count in sorted(report.counts.items())
            if count and rows[code].severity is severity
        ]
        if groups:
            yield severity, groups


def _in_order(found: Finding) -> list[tuple[int, str]]:
    """Sorts ``/items/9`` before ``/items/10``."""
    parts = _DIGITS.split(f"{found.path}\0{found.pointer}\0{found.text}")
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)]


def words_of(report: Report, *, strict: bool, limit: int, heads: bool = True) -> list[str]:
    """The lines that people read.

    Args:
        report: of one archive.
        strict: whether warnings count.
        limit: findings of each code that are shown.
        heads: whether codes and findings are shown at all, or the verdict alone.
    """
    lines: list[str] = []
    if heads:
        for severity, groups in grouped(report):
            lines.append(bold(f"{HEADS[severity]} ({report.count(severity):,})"))
            for group in groups:
                lines += _group(group, limit)
            lines.append("")
    return [*lines, subject(report), bold(verdict(report, strict=strict))]


def _group(group: Group, limit: int) -> list[str]:
    row = group.row
    times = "" if group.count == 1 else f"{group.count:,} times: "
    lines = [f"  {row.id:<6} {times}{row.meaning}{_in_brackets(row)}"]
    shown = group.findings[:limit]
    lines += [f"         {place_of(found)}{text_of(found)}" for found in shown]
    if shown and group.count > len(shown):
        lines.append(f"         and {group.count - len(shown):,} more")
    if row.hint:
        lines.append(f"         hint: {row.hint}")
    return lines


def clause_of(row: Code) -> str:
    """The clause of a code; a bare number is a section of the draft; "" for none."""
    if row.clause == "-":
        return ""
    return f"§{row.clause}" if row.clause[:1].isdigit() else row.clause


def _in_brackets(row: Code) -> str:
    clause = clause_of(row)
    return f" [{clause}]" if clause else ""


def place_of(found: Finding) -> str:
    """``path pointer``, or ``path:line:column``; the archive itself has neither."""
    path = safe(found.path) or "the archive"
    if line_and_column(found.pointer) is not None:
        return f"{path}:{found.pointer}"
    return f"{path} {safe(found.pointer)}".rstrip()


def text_of(found: Finding) -> str:
    """What the finding says beyond its code, with a colon before it; "" for nothing."""
    return "" if found.text == all_codes()[found.code].meaning else f": {safe(found.text)}"


def line_and_column(pointer: str) -> tuple[int, int] | None:
    """A pointer that is ``line:column``, both from 1; None if it is a JSON pointer or nothing."""
    match = _LINE_AND_COLUMN.fullmatch(pointer)
    return None if match is None else (int(match[1]), int(match[2]))


def subject(report: Report) -> str:
    """One line on what was looked at."""
    parts = [
        safe(report.dialect) if report.dialect else "of no dialect that is known",
        f"{counted(report.files, 'file')} ({octets(report.octets)})",
        f"{counted(report.messages, 'message')} in {counted(report.folders, 'folder')}",
        f"fingerprint {report.fingerprint or 'unknown'}",
    ]
    return f"{safe(report.archive)}: {', '.join(parts)}"


def verdict(report: Report, *, strict: bool) -> str:
    """``NOT VALID: 1 error, 2 warnings, 1 note (level deep)``."""
    totals = ", ".join(counted(report.count(severity), severity.value) for severity in Severity)
    how = f"level {report.level}" + (", strict" if strict else "")
    return f"{verdict_word(report, strict=strict)}: {totals} ({how})"


def verdict_word(report: Report, *, strict: bool) -> str:
    """``valid``, ``NOT VALID``, or neither if a check of ours broke down."""
    code = report.exit_code(strict=strict)
    if code is ExitCode.BUG:
        return "NOT DECIDED"
    return "valid" if code is ExitCode.OK else "NOT VALID"


# --- one code -------------------------------------------------------------------------------------


def explanation(row: Code) -> dict[str, Any]:
    """A code as data."""
    return {
        "code": row.id,
        "severity": None if row.severity is None else row.severity.value,
        "clause": row.clause,
        "meaning": row.meaning,
        "hint": row.hint,
        "why": row.why,
        "related": related(row),
    }


def explanation_words(row: Code) -> list[str]:
    """A code in words."""
    lines = [bold(f"{row.id}: {NOT_CHECKED if row.severity is None else row.severity.value}")]
    near = related(row)
    rows = (
        ("clause", clause_of(row)),
        ("means" if row.severity else "says", row.meaning),
        ("to do", row.hint),
        ("why", row.why),
        ("see also", ", ".join(near)),
    )
    return lines + [f"  {name:<9} {text}" for name, text in rows if text]


def related(row: Code) -> list[str]:
    """The other codes of the same number: other ways in which the same clause can fail."""
    number = row.id[:5]
    return [other for other in all_codes() if other[:5] == number and other != row.id]


def near_codes(text: str) -> list[str]:
    """Codes that somebody who typed ``text`` may have meant, at most three."""
    wanted = text.strip()[:40].upper()
    match = _CODE.match(wanted)
    if match is not None:
        number = f"{match[1]}-{int(match[2]):03}"
        exact = [code for code in all_codes() if code[:5] == number]
        if exact:
            return [c for c in exact if c == number + match[3].lower()] or exact[:3]
    by_upper = {code.upper(): code for code in all_codes()}
    return [by_upper[code] for code in get_close_matches(wanted, by_upper, n=3)]

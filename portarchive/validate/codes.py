"""Every code of the validator: what it means, how severe it is, which clause it is about.

Owns the registry; the rows lie in ``codes_draft`` (statements P-…), ``codes_gaps`` (the draft's own
inconsistencies C-…) and ``codes_own`` (our page F-…, containers Z-…, integrity M-…, messages E-…).
``docs/codes.md`` is generated from it. A text may change, a code never. ADR 0005.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Breaks a MUST, the repaired schema, or the integrity of the archive."""
    WARNING = "warning"
    """A SHOULD, or a quirk that a reader has to know about."""
    NOTE = "note"
    """Informs."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Attributes:
        id: ``P-014``, with a letter where one clause can fail in several ways.
        severity: None for a statement or inconsistency that no file can show.
        clause: of draft-ietf-mailmaint-pdparchive-02, or of another document if it names one.
        meaning: what is so if it is found; for one that is not checked, what the draft says.
        hint: what its author can do.
        why: why there is no check, or what was decided instead.
        no_case: why the public corpus can have no archive that shows it, "" if it has one.
    """

    id: str
    severity: Severity | None
    clause: str
    meaning: str
    hint: str = ""
    why: str = ""
    no_case: str = ""


def error(id_: str, clause: str, meaning: str, hint: str = "", *, no_case: str = "") -> Code:
    """A row of severity error."""
    return Code(id_, Severity.ERROR, clause, meaning, hint, no_case=no_case)


def warning(id_: str, clause: str, meaning: str, hint: str = "") -> Code:
    """A row of severity warning."""
    return Code(id_, Severity.WARNING, clause, meaning, hint)


def note(id_: str, clause: str, meaning: str, hint: str = "") -> Code:
    """A row of severity note."""
    return Code(id_, Severity.NOTE, clause, meaning, hint)


def unchecked(id_: str, clause: str, meaning: str, why: str) -> Code:
    """A row that no finding ever bears."""
    return Code(id_, None, clause, meaning, "", why)


@cache
def all_codes() -> dict[str, Code]:
    """Every row by its code, in the order of the tables."""
    # they are written in terms of this module
    from portarchive.validate import codes_draft, codes_gaps, codes_own  # noqa: PLC0415

    out: dict[str, Code] = {}
    for row in (*codes_draft.ROWS, *codes_gaps.ROWS, *codes_own.ROWS):
        if row.id in out:
            raise ValueError(f"two rows for {row.id}")
        out[row.id] = row
    return out


def explain(code: str) -> Code | None:
    """The row of a code, upper or lower case; None if there is none."""
    wanted = code.strip().upper()
    return next((row for row in all_codes().values() if row.id.upper() == wanted), None)


def checkable() -> Iterator[Code]:
    """The rows that a finding can bear."""
    return (row for row in all_codes().values() if row.severity is not None)

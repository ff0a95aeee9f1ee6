"""archive.json: its schema, its dialect, and what its members promise (draft §6.1, Table 1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any

from portarchive import schema
from portarchive.archive.dialect import METADATA_FILES, QUIRKS, identify
from portarchive.validate.checks.secrets import check_secrets
from portarchive.validate.run import Run
from portarchive.validate.schema_check import SchemaCheck, Violation, identifier, whole
from portarchive.validate.verdict import judge

_DATATYPES = {
    "MAIL": "mail",
    "CONTACTS": "contacts",
    "CALENDARS": "calendars",
    "TASKS": "tasks",
    "NOTES": "notes",
    "SIEVE": "sieve",
}
_OF_OBJECTS = {
    "Card": "CONTACTS",
    "AddressBook": "CONTACTS",
    "Calendar": "CALENDARS",
    "Event": "CALENDARS",
    "Task": "TASKS",
    "Note": "NOTES",
}
# RFC 5646 section 2.1; the irregular tags at its end fit no rule and are valid all the same.
_LANGUAGE = re.compile(
    r"(?:en-gb-oed|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)"
    r"|sgn-(?:be-fr|be-nl|ch-de))|(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+",
    re.IGNORECASE,
)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_SHORTEST, _LONGEST = 4, 64
"""Of the names that are compared: no known one is longer, and memory goes by their length."""
_MANY_NAMES = 1000
"""Members of a document that are compared with known ones: each takes a while."""
_BASE_ID = "portarchive:base_id"
_DRAFT_SCHEMA = "https://id.schemas.pub/o/DTI/PDPArchive/"


def check_metadata(run: Run, document: Any) -> None:
    """Everything about archive.json alone; sets dialect, extent and sections of the run."""
    report, path = run.report, run.metadata_file
    found = identify(document, path)
    run.dialect = report.dialect = found.dialect
    codes = {quirk.name: quirk.code for quirk in QUIRKS}
    verdict = judge(run, schema_of("archive", run.dialect), document, path, _code)
    run.verdicts[path] = verdict
    for quirk in found.quirks:
        if quirk == "version-unknown":
            if not verdict.has("/archive/version"):
                report.add("C-012", path, "/archive/version", f"read as {found.dialect}")
        elif quirk == "older-dialect":
            report.add("F-070", path, "/archive/version", f"it is in the dialect {found.dialect}")
        else:
            report.add(codes[quirk], path)
    if isinstance(document, dict):
        run.metadata = document
    check_schema_member(run, path, document, "archive")
    check_secrets(run, path, "", run.metadata)
    if path == METADATA_FILES[0] and run.listing.file(METADATA_FILES[1]) is not None:
        report.add("F-074", METADATA_FILES[1])
    dataset, archive = run.section("dataset"), run.section("archive")
    extent = dataset.get("extent")
    if isinstance(extent, str):
        run.partial = extent.upper() == "PARTIAL"
        if extent != extent.upper() and not verdict.has("/dataset/extent"):
            report.add("C-005", path, "/dataset/extent")
    if "archive_id" in archive:
        report.add("C-009", path, "/archive/archive_id")
    _check_words(run)
    _check_source(run)
    if not verdict.has(f"/dataset/{_BASE_ID}"):
        if run.partial and not dataset.get(_BASE_ID):
            report.add("C-041", path, "/dataset")
        if isinstance(extent, str) and extent.upper() == "FULL" and _BASE_ID in dataset:
            report.add("F-069", path, f"/dataset/{_BASE_ID}")
    for name in ("archive", "dataset", "datasource"):
        tell_misspelt(run, path, f"/{name}", run.section(name), _known(run.dialect, name))


@cache
def _known(of_dialect: str, section: str) -> tuple[str, ...]:
    name = of_dialect if "archive" in schema.DIALECTS[of_dialect] else "happel-01"
    sections = schema.load("archive", name).get("properties", {})
    return tuple(sections.get(section, {}).get("properties", {}))


@cache
def schema_of(name: str, dialect: str) -> SchemaCheck:
    """The check of a type in a dialect; where that does not define it, the newest one's."""
    for other in (dialect, "happel-01" if dialect.startswith("happel") else schema.CURRENT):
        try:
            return whole(name, other)
        except LookupError:
            continue
    return whole(name, schema.CURRENT)


def check_schema_member(run: Run, path: str, document: Any, name: str) -> None:
    """``$schema``: in every example of the draft, in no rule of it."""
    if not isinstance(document, dict) or run.dialect.startswith("happel"):
        return
    value = document.get("$schema")
    if "$schema" not in document:
        run.report.add("C-014", path)
    elif isinstance(value, str) and value not in {
        _DRAFT_SCHEMA + name,
        identifier(name, run.dialect),
    }:
        run.report.add("C-015", path, "/$schema")


def tell_misspelt(
    run: Run, path: str, pointer: str, value: dict[str, Any], known: Sequence[str]
) -> None:
    """C-104: a member that is not known and differs from one that is by a slip only."""
    for name in islice(value, _MANY_NAMES):
        if name in known or ":" in name or name.startswith(("$", "@")):
            continue
        if not _SHORTEST <= len(name) <= _LONGEST:
            continue
        close = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.85)
        if close and close[0] not in value:
            run.report.add("C-104", path, pointer, f"{name[:60]!a}: {close[0]!r} may be meant")


def _code(violation: Violation) -> str:
    place = violation.place
    if place == ("archive", "id") or (place == ("archive",) and violation.missing == "id"):
        return "P-002"
    return "F-030"


def _check_words(run: Run) -> None:
    report, path, dataset = run.report, run.metadata_file, run.section("dataset")
    tag, zone = dataset.get("languagetag"), dataset.get("timezone")
    if isinstance(tag, str) and not _LANGUAGE.fullmatch(tag):
        report.add("C-007", path, "/dataset/languagetag")
    if isinstance(zone, str) and not _ZONE.fullmatch(zone):
        report.add("C-008", path, "/dataset/timezone")
    types = dataset.get("datatypes")
    for index, one in enumerate(types if isinstance(types, list) else ()):
        if isinstance(one, str) and one not in _DATATYPES:
            report.add("C-006", path, f"/dataset/datatypes/{index}")


def check_datatypes(run: Run) -> None:
    """What lies in the directories of the types; attachments may lie in any."""
    report, path = run.report, run.metadata_file
    types = run.section("dataset").get("datatypes")
    if not isinstance(types, list) or run.verdict(path).touches("/dataset/datatypes"):
        return
    named = {one for one in types if isinstance(one, str)}
    for word, directory in _DATATYPES.items():
        here = any(_has_files(run, directory))
        if here and word not in {one.upper() for one in named}:
            report.add("F-044", path, "/dataset/datatypes", f"{directory}/ is here, {word} is not")
        elif word in named and not _has_any(run, word, directory):
            report.add("F-045", path, "/dataset/datatypes", f"{word}, and there is no {directory}/")


def _has_any(run: Run, word: str, directory: str) -> bool:
    """Whether there is the directory of a type, or an object of it anywhere."""
    return directory in run.listing.subdirectories[""] or any(
        _OF_OBJECTS.get(one.type) == word for one in run.objects
    )


def _has_files(run: Run, directory: str) -> Iterator[bool]:
    prefix = f"{directory}/"
    for path, files in run.listing.directories.items():
        if path == directory or path.startswith(prefix):
            yield any(not file.attached for file in files.values())


def _check_source(run: Run) -> None:
    report, path, source = run.report, run.metadata_file, run.section("datasource")
    verdict = run.verdict(path)
    missing = []
    if not verdict.has("/datasource"):
        missing = [f"datasource/{name}" for name in ("service", "account") if name not in source]
    if "datatypes" not in run.section("dataset") and not verdict.has("/dataset"):
        missing.insert(0, "dataset/datatypes")
    if missing and not run.dialect.startswith("happel"):
        report.add("C-004", path, "", f"missing: {', '.join(missing)}")
    for name in ("service", "account"):
        value = source.get(name)
        if isinstance(value, dict):
            report.add("C-003", path, f"/datasource/{name}")

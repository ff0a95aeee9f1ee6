"""Contacts, address books, calendars, events, tasks, notes: each document by itself.

Which type a document is, is told by ``@type``, else by ``$schema``, else by the directory it lies
in; every JSON document of an archive is asked, wherever it lies. What types mean to each other is
``references``' business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree import Stream
from portarchive.validate.checks import calendars, contacts
from portarchive.validate.checks.metadata import check_schema_member, schema_of
from portarchive.validate.checks.secrets import check_secrets
from portarchive.validate.ijson import Document
from portarchive.validate.ijson_places import escape
from portarchive.validate.report import Row
from portarchive.validate.run import (
    FOLDER_FILE,
    MAIL,
    MANIFEST_FILE,
    BlobLink,
    Level,
    ObjectFacts,
    Run,
    in_junk,
    is_junk,
)
from portarchive.validate.schema_check import Violation
from portarchive.validate.verdict import SOUND, Verdict, judge

TOPS = ("contacts", "calendars", "tasks", "notes")
WITHOUT_DOCUMENTS = frozenset({"blob", "sieve"})
"""Where nothing is looked into (C-095)."""
_OF_THE_ROOT = frozenset({METADATA_FILES[0], MANIFEST_FILE})


@dataclass(frozen=True, slots=True)
class _Type:
    """A type of object: its schema, and the codes of what can be wrong with it."""

    schema: str
    broken: str
    no_uid: str
    no_updated: str


_TYPES = {
    "Card": _Type("pdpa-contact", "P-016", "P-017", "P-017"),
    "AddressBook": _Type("address-book", "P-020", "P-020", "P-020"),
    "Calendar": _Type("calendar", "P-039", "P-021", "P-022"),
    "Event": _Type("event", "F-034", "P-021", "P-022"),
    "Task": _Type("task", "P-028", "P-028", "P-028"),
    "Note": _Type("note", "P-030", "P-030", "P-030"),
}
_OF_SCHEMA = {row.schema: name for name, row in _TYPES.items()} | {"contact": "Card"}
_OF_LOWER = {name.lower(): name for name in _TYPES}
_OF_CALENDARS = {top: {"Event", "Task", "Calendar"} for top in ("calendars", "tasks")}
_LONGEST = 4096
_NO_OBJECT = "it is no object"
_OF_TOP = {"contacts": "Card", "tasks": "Task", "notes": "Note"}


def is_document(path: str) -> bool:
    """Whether a file is to be read as an object, judged by its path; the metadata file is none."""
    if path[-5:].lower() != ".json":
        return False
    directory, _, name = path.rpartition("/")
    return (
        path not in _OF_THE_ROOT
        and path.partition("/")[0] not in WITHOUT_DOCUMENTS
        and name != FOLDER_FILE
        and not is_junk(name)
        and not in_junk(directory)
    )


def check_object(run: Run, path: str, stream: Stream) -> None:
    """One document. It may be an attachment that only looks like one (§6.3.7: in any folder).

    What does not say itself that it is an object is told when all blobIds are known.
    """
    sure = True
    with run.report.aside() as found:
        sure = _check(run, path, stream)
    if sure:
        tell(run, path, found.rows, found.more.items())
    elif found.rows:
        found.cut(run.held_rows)
        run.held.append((path, tuple(found.rows), tuple(found.more.items())))


def tell(run: Run, path: str, rows: Iterable[Row], more: Iterable[tuple[str, int]]) -> None:
    """What was kept aside of a document: findings, and how many others of a code."""
    for row in rows:
        run.report.add(*row)
    for code, count in more:
        run.report.add_more(code, path, count)


def _check(run: Run, path: str, stream: Stream) -> bool:
    """Whether the document says itself that it is an object of this place."""
    document = Document(stream, run.limits, run.teller(path))
    value = document.whole()
    if document.broken:
        return False
    check_secrets(run, path, "", value)
    if not isinstance(value, dict):
        _tell_unknown(run, path, _NO_OBJECT)
        return False
    name, sure = _type_of(run, path, value)
    if name is None:
        return sure
    row = _TYPES[name]
    if value.get("@type") == "ContactCard":
        value["@type"] = "Card"
    check = schema_of(row.schema, run.dialect)
    verdict = judge(run, check, value, path, partial(_code, row, name))
    check_schema_member(run, path, value, row.schema)
    if verdict is not SOUND:  # what the schema has condemned means nothing
        wrong = {member for member in value if verdict.has(f"/{escape(member)}")}
        value = {member: value[member] for member in value if member not in wrong}
    facts = ObjectFacts(path, name, _text(value, "uid"), _text(value, "id"), sure=sure)
    if run.level >= Level.STRUCTURE:
        if name in {"Card", "AddressBook"}:
            contacts.check(run, facts, value)
        else:
            calendars.check(run, facts, value, verdict)
        facts.references = [
            (member, uid)
            for member, uid in facts.references
            if not verdict.has(f"/{member}/{escape(uid)}")
        ]
    _links(run, facts, value, verdict)
    run.objects.append(facts)
    return sure


def _text(value: dict[str, Any], member: str) -> str:
    found = value.get(member)
    return found if isinstance(found, str) else ""


def _tell_unknown(run: Run, path: str, text: str) -> None:
    """A document of no type: where objects or items belong, or anywhere else."""
    top = path.partition("/")[0]
    if path in METADATA_FILES:
        return  # F-074 tells it
    if top in _OF_CALENDARS and text != _NO_OBJECT:
        run.report.add("P-024", path, "", text)
    else:
        run.report.add("F-036" if top in {*TOPS, MAIL} else "F-047", path, "", text)


def _type_of(run: Run, path: str, value: dict[str, Any]) -> tuple[str | None, bool]:
    """The type, None if it is none of ours: then that is told; and whether it is told by itself."""
    top = path.partition("/")[0]
    at_home = top in TOPS
    told = value.get("@type")
    if not at_home and "@context" in value:  # JSON-LD has types of the same names
        _tell_unknown(run, path, "it is JSON-LD")
        return None, False
    if told == "ContactCard":
        if not run.dialect.startswith("happel"):
            run.report.add("C-050", path, "/@type")
        return "Card", at_home
    if told == "Group" and top in _OF_CALENDARS:
        run.report.add("C-070", path, "/@type")
        return None, True
    reference = value.get("$schema")
    last = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else ""
    by_schema = _OF_SCHEMA.get(last)
    if isinstance(told, str):
        # what is misspelt is told by the schema of what is meant
        name = told if told in _TYPES else _OF_LOWER.get(told.lower(), by_schema)
        wrong = top in _OF_CALENDARS and told not in _OF_CALENDARS[top]
        sure = name is not None
        name = None if wrong and told not in _TYPES else name
    else:
        is_folder = path.rpartition("/")[2].lower() == FOLDER_FILE  # in letters of its own
        name = by_schema or (None if is_folder else _OF_TOP.get(top))
        wrong = top in _OF_CALENDARS and name not in _OF_CALENDARS[top]
        sure = by_schema is not None
    if name is None or wrong:
        shown = f"@type is {told[:60]!a}" if isinstance(told, str) else "@type is missing"
        _tell_unknown(run, path, shown)
        sure = False
    return name, sure and at_home


def _code(row: _Type, name: str, violation: Violation) -> str:
    place, keyword = violation.place, violation.keyword
    first = place[0] if place else ""
    member = violation.missing if not place else first
    if keyword == "const" and violation.wanted is True:
        return "C-052"
    if member == "uid":
        return row.no_uid
    if member == "updated":
        return "P-040" if keyword == "pattern" else row.no_updated
    if name == "Event" and member == "calendarIds":
        return "P-026"
    if name == "Event" and violation.missing == "start" and not place:
        return "C-073"
    if member == "sequence":
        return "P-023"
    if "links" in place:
        return "C-091" if place[-1] == "blobId" else "P-037"
    return row.broken


def _links(run: Run, facts: ObjectFacts, value: Any, verdict: Verdict) -> None:
    """Every Link of an object, wherever it is; bounded by the limit of depth."""
    stack: list[tuple[Any, str]] = [(value, "")]
    while stack:
        one, here = stack.pop()
        if isinstance(one, dict):
            links = one.get("links")
            if isinstance(links, dict):
                for key, link in links.items():
                    if isinstance(link, dict) and isinstance(link.get("blobId"), str):
                        _take_link(run, facts, f"{here}/links/{escape(key)}", link, verdict)
            inside = ((inner, f"{here}/{escape(key)}") for key, inner in one.items())
        else:
            inside = ((inner, f"{here}/{index}") for index, inner in enumerate(one))
        stack.extend(found for found in inside if isinstance(found[0], dict | list))


def _take_link(
    run: Run, facts: ObjectFacts, place: str, link: dict[str, Any], verdict: Verdict
) -> None:
    if verdict.has(f"{place}/blobId"):
        return
    size, rel = link.get("size"), link.get("rel")
    usable = type(size) is int and not verdict.has(f"{place}/size")
    facts.links.append(
        BlobLink(
            place,
            link["blobId"][:_LONGEST],
            "enclosure" if rel == "enclosure" else "",
            size if usable else None,
        )
    )
    if "href" in link and run.level >= Level.STRUCTURE:
        run.report.add("C-093", facts.path, place)

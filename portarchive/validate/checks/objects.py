"""Contacts, address books, calendars, events, tasks, notes: each document by itself.

Which type a document is, is told by ``@type``, else by ``$schema``, else by the directory it lies
in. What types mean to each other is ``references``' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portarchive.archive.tree import Stream
from portarchive.validate.checks import calendars, contacts
from portarchive.validate.checks.metadata import check_schema_member, schema_of
from portarchive.validate.ijson import Document
from portarchive.validate.ijson_places import escape
from portarchive.validate.run import BlobLink, Level, ObjectFacts, Run, in_junk, is_junk
from portarchive.validate.schema_check import Violation

TOPS = ("contacts", "calendars", "tasks", "notes")


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
_OF_CALENDARS = {top: {"Event", "Task", "Calendar"} for top in ("calendars", "tasks")}
_LONGEST = 4096
_OF_TOP = {"contacts": "Card", "tasks": "Task", "notes": "Note"}


def is_document(path: str) -> bool:
    """Whether a file is to be read as an object, judged by its path."""
    directory, _, name = path.rpartition("/")
    return (
        name.endswith(".json")
        and path.partition("/")[0] in TOPS
        and not is_junk(name)
        and not in_junk(directory)
    )


def check_object(run: Run, path: str, stream: Stream) -> None:
    """One document. It may be an attachment that only looks like one (§6.3.7: in any folder).

    What does not say itself that it is an object is told when all blobIds are known.
    """
    sure = True
    with run.report.aside() as found:
        try:
            sure = _check(run, path, stream)
        finally:
            kept = list(found)
    if sure:
        for row in kept:
            run.report.add(*row)
    elif kept:
        run.held.append((path, kept))


def _check(run: Run, path: str, stream: Stream) -> bool:
    """Whether the document says itself that it is an object of this place."""
    document = Document(stream, run.limits, run.teller(path))
    value = document.whole()
    if document.broken:
        return False
    if not isinstance(value, dict):
        run.report.add("F-036", path, "", "it is no object")
        return False
    name, sure = _type_of(run, path, value)
    if name is None:
        return sure
    row = _TYPES[name]
    if value.get("@type") == "ContactCard":
        value["@type"] = "Card"
    for violation in schema_of(row.schema, run.dialect).violations(value):
        run.report.add(_code(row, name, violation), path, violation.pointer(), violation.text)
    check_schema_member(run, path, value, row.schema)
    facts = ObjectFacts(path, name, _text(value, "uid"), _text(value, "id"), sure=sure)
    if run.level >= Level.STRUCTURE:
        if name in {"Card", "AddressBook"}:
            contacts.check(run, facts, value)
        else:
            calendars.check(run, facts, value)
    _links(run, facts, value)
    run.objects.append(facts)
    return sure


def _text(value: dict[str, Any], member: str) -> str:
    found = value.get(member)
    return found if isinstance(found, str) else ""


def _type_of(run: Run, path: str, value: dict[str, Any]) -> tuple[str | None, bool]:
    """The type, None if it is none of ours: then that is told; and whether it is told by itself."""
    top = path.partition("/")[0]
    told = value.get("@type")
    if told == "ContactCard":
        if not run.dialect.startswith("happel"):
            run.report.add("C-050", path, "/@type")
        return "Card", True
    if told == "Group":
        run.report.add("C-070", path, "/@type")
        return None, True
    reference = value.get("$schema")
    last = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else ""
    if isinstance(told, str) and told in _TYPES:
        name: str | None = told
        sure = True
    else:
        sure = not isinstance(told, str) and last in _OF_SCHEMA
        name = None if isinstance(told, str) else _OF_SCHEMA.get(last) or _OF_TOP.get(top)
    if name is None or (top in _OF_CALENDARS and name not in _OF_CALENDARS[top]):
        shown = f"@type is {told[:60]!a}" if isinstance(told, str) else "@type is missing"
        run.report.add("P-024" if top in _OF_CALENDARS else "F-036", path, "", shown)
        sure = False
    return name, sure


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


def _links(run: Run, facts: ObjectFacts, value: Any) -> None:
    """Every Link of an object, wherever it is; bounded by the limit of depth."""
    stack: list[tuple[Any, str]] = [(value, "")]
    while stack:
        one, here = stack.pop()
        if isinstance(one, dict):
            links = one.get("links")
            if isinstance(links, dict):
                for key, link in links.items():
                    if isinstance(link, dict) and isinstance(link.get("blobId"), str):
                        _take_link(run, facts, f"{here}/links/{escape(key)}", link)
            inside = ((inner, f"{here}/{escape(key)}") for key, inner in one.items())
        else:
            inside = ((inner, f"{here}/{index}") for index, inner in enumerate(one))
        stack.extend(found for found in inside if isinstance(found[0], dict | list))


def _take_link(run: Run, facts: ObjectFacts, place: str, link: dict[str, Any]) -> None:
    size, rel = link.get("size"), link.get("rel")
    facts.links.append(
        BlobLink(
            place,
            link["blobId"][:_LONGEST],
            "enclosure" if rel == "enclosure" else "",
            size if type(size) is int else None,
        )
    )
    if "href" in link and run.level >= Level.STRUCTURE:
        run.report.add("C-093", facts.path, place)

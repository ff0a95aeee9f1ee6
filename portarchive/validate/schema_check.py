"""Values against the schemas: a compiled validator says yes, jsonschema explains every no.

Owns no schema (``portarchive.schema`` does). The compiled one is forty times as fast; where it says
no, jsonschema decides, so that it can only ever cost time, and a test compares the two. What is
explained is bounded: a stranger's value may be large, and wrong in its last octet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from portarchive import schema
from portarchive.validate.ijson_places import escape

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

_MOST = 50
"""Violations explained of one value: a stranger may break a schema without end."""
_LONG = 100
"""Entries of a list or object that are explained at once."""
_NODES = 500
"""Values in a member of the top level that are explained at once."""
OF_NAMES = "propertyNames"
"""Keyword of the violations that a member's name is, whatever its value."""
_WANTED = ("limit", "types", "format", "pattern", "expected_value")
_RANKS = {"type": 0, "format": 1, "pattern": 3, "anyOf": 4, "oneOf": 4}
"""Which of several violations at one place is told: the plainest."""


class Violation(NamedTuple):
    """One place where a value breaks its schema.

    Attributes:
        keyword: of JSON Schema (``required``, ``type``, …).
        place: the way to it: member names and indexes.
        missing: the member that is required and not there, or "".
        wanted: the value of the keyword.
        text: what is wrong, without the value itself.
    """

    keyword: str
    place: tuple[str | int, ...]
    missing: str
    wanted: Any
    text: str

    def pointer(self, prefix: str = "") -> str:
        """As a JSON pointer below ``prefix``."""
        return prefix + "".join(f"/{escape(str(step))}" for step in self.place)


class SchemaCheck:
    """One schema, or a part of one, ready to judge values of bounded depth."""

    def __init__(self, reference: str) -> None:
        """``reference``: the ``$id`` of a schema of ours, with or without a JSON pointer."""
        self._reference = reference
        self._fast = jsonschema_rs.validator_for(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": reference},
            validate_formats=True,
            registry=_registry(),
            offline=True,
        )
        self.fits = self._fast.is_valid
        """Whether a value is certainly valid; False is no verdict yet."""

    def violations(self, value: Any, *, briefly: bool = False) -> list[Violation]:
        """What is wrong with a value: one violation a place, at most ``_MOST``; empty if nothing.

        ``briefly``: as the compiled validator has it, which may tell less. Of a value that this
        cannot hold, nothing is told then.
        """
        try:
            if self.fits(value):
                return []
        except ValueError:  # a number or text that Rust cannot hold
            if briefly:
                return []
        small, shortened = _cut(value)
        found = list(self._briefly(small) if briefly else self._explain(small))
        if shortened:
            found = [one for one in found if not _has(value, one)]
            found += islice(self._of_long(value, shortened, briefly=briefly), _MOST)
            if not found and not self.answer(value, unsure=True):
                found = [Violation("", (), "", None, "something in it breaks its schema")]
        return _one_a_place(found)[:_MOST]

    def answer(self, value: Any, *, unsure: bool) -> bool:
        """Whether a value fits; ``unsure``: of what the compiled validator cannot hold."""
        try:
            return self.fits(value)
        except ValueError:
            return unsure

    def _explain(self, value: Any) -> Iterator[Violation]:
        errors = _slow(self._reference).iter_errors(value)
        return (_violation(error) for error in islice(errors, _MOST))

    def _briefly(self, value: Any) -> Iterator[Violation]:
        return (_brief(error) for error in islice(self._fast.iter_errors(value), _MOST))

    def _of_long(
        self, value: Any, shortened: Iterable[str], *, briefly: bool
    ) -> Iterator[Violation]:
        """What is wrong with the entries of members that were shortened, one by one."""
        for member in shortened:
            check = _of_property(self._reference, member)
            if check is None or check.answer(value[member], unsure=False):
                continue
            for some, first in _windows(value[member], _LONG):
                if check.answer(some, unsure=False):
                    continue
                for entry, number in _windows(some, 1):
                    for one in check.violations(entry, briefly=briefly):
                        place = one.place
                        if place and isinstance(entry, list):
                            place = (first + number, *place[1:])
                        yield one._replace(place=(member, *place))


@cache
def whole(name: str, dialect: str) -> SchemaCheck:
    """The check of a data type, or of a file of ours (dialect ``schema.OWN``).

    Raises:
        LookupError: the dialect has no such type.
    """
    return _check(str(schema.load(name, dialect)["$id"]))


@cache
def entries(name: str, dialect: str, member: str) -> SchemaCheck | None:
    """The check of the entries of a list member; None if the schema says nothing of them."""
    document = schema.load(name, dialect)
    if "items" not in document.get("properties", {}).get(member, {}):
        return None
    return _check(f"{document['$id']}#/properties/{member}/items")


@cache
def members(name: str, dialect: str) -> tuple[str, ...]:
    """The members that a data type defines at its top; none if the dialect has no such type."""
    try:
        return tuple(schema.load(name, dialect).get("properties", {}))
    except LookupError:
        return ()


@cache
def identifier(name: str, dialect: str) -> str:
    """Our own ``$id`` of a data type, "" if the dialect has none."""
    try:
        return str(schema.load(name, dialect)["$id"])
    except LookupError:
        return ""


@cache
def _check(reference: str) -> SchemaCheck:
    return SchemaCheck(reference)


@cache
def _of_property(reference: str, member: str) -> SchemaCheck | None:
    """The check of one member of a data type; None if the schema says nothing of it."""
    for dialect in (*schema.DIALECTS, schema.OWN):
        for name in schema.names(dialect):
            document = schema.load(name, dialect)
            if document["$id"] == reference and member in document.get("properties", {}):
                return _check(f"{reference}#/properties/{escape(member)}")
    return None


@cache
def _slow(reference: str) -> Draft202012Validator:
    return schema.checker_of({"$ref": reference})


@cache
def _registry() -> Any:
    known: dict[str, dict[str, Any]] = {}
    for dialect in (*schema.DIALECTS, schema.OWN):
        for name in schema.names(dialect):
            document = schema.load(name, dialect)
            known[document["$id"]] = document
    return jsonschema_rs.Registry(list(known.items()))


def _cut(value: Any) -> tuple[Any, list[str]]:
    """As much of a value as is explained, and the members of an object of which that is not all.

    Of what is no object, "" stands for it.
    """
    left, is_whole = _NODES, True

    def cut(one: Any) -> Any:
        nonlocal left, is_whole
        left -= 1
        if not isinstance(one, dict | list) or not one:
            return one
        count = _LONG if left > 0 else 0
        is_whole = is_whole and len(one) <= count
        if isinstance(one, list):
            return [cut(inner) for inner in one[:count]]
        return {name: cut(inner) for name, inner in islice(one.items(), count)}

    small = {}
    shortened = []
    for name, inner in value.items() if isinstance(value, dict) else [("", value)]:
        left, is_whole = _NODES, True
        small[name] = cut(inner)
        if not is_whole:
            shortened.append(name)
    return (small if isinstance(value, dict) else small[""]), shortened


def _windows(long: Any, count: int) -> Iterator[tuple[Any, int]]:
    """The entries of a list or object, ``count`` at a time, and the number of the first."""
    if isinstance(long, list):
        for first in range(0, len(long), count):
            yield long[first : first + count], first
    elif isinstance(long, dict):
        members_ = iter(long.items())
        for first in range(0, len(long), count):
            yield dict(islice(members_, count)), first


def _has(value: Any, violation: Violation) -> bool:
    """Whether what is said to be missing was only cut off."""
    for step in violation.place if violation.missing else ():
        value = value[step]
    return bool(violation.missing) and violation.missing in value


def _one_a_place(found: list[Violation]) -> list[Violation]:
    kept: dict[tuple[Any, str], Violation] = {}
    for one in found:
        key = (one.place, one.missing)
        other = kept.get(key)
        if other is None or _RANKS.get(one.keyword, 2) < _RANKS.get(other.keyword, 2):
            kept[key] = one
    return list(kept.values())


def _violation(error: ValidationError) -> Violation:
    keyword, wanted = str(error.validator), error.validator_value
    missing = ""
    if keyword == "required":
        # the message names the member, and the member is of our schema
        missing = next((name for name in wanted if error.message.startswith(f"'{name}'")), "")
    text, place = _text(keyword, wanted, missing), tuple(error.absolute_path)
    if OF_NAMES in error.absolute_schema_path:
        keyword, place = OF_NAMES, (*place, str(error.instance))
    return Violation(keyword, place, missing, wanted, text)


def _brief(error: jsonschema_rs.ValidationError) -> Violation:
    """Of the compiled validator; it shows a name that is digits as an index."""
    keyword, told = error.kind.name, error.kind.as_dict()
    missing = str(told.get("property", "")) if keyword == "required" else ""
    wanted = next((told[name] for name in _WANTED if name in told), None)
    return Violation(
        keyword, tuple(error.instance_path), missing, wanted, _text(keyword, wanted, missing)
    )


def _text(keyword: str, wanted: Any, missing: str) -> str:
    """What is wrong, in words of ours and of the schema."""
    if keyword == "required":
        return f"{missing} is missing"
    if keyword == "type":
        return f"it must be {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
    if keyword in {"minimum", "maximum", "minLength", "maxLength", "minItems", "minProperties"}:
        return f"its {keyword} is {wanted}"
    if keyword == "format":
        return f"it is no {wanted}"
    if keyword == "const" or (keyword == "enum" and wanted is not None):
        return f"it must be {wanted!r}"
    if keyword == "pattern" and wanted is not None:
        return f"it does not match {wanted}"
    if keyword == "additionalProperties":
        return "it has a member that is not known"
    return f"it fits none of the forms that are allowed ({keyword})"

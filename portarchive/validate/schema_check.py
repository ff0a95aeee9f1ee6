"""Values against the schemas: a compiled validator says yes, jsonschema explains every no.

Owns no schema (``portarchive.schema`` does). The compiled one is forty times as fast; where it says
no, jsonschema decides, so that it can only ever cost time, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from portarchive import schema

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

_MOST = 50
"""Violations explained of one value: a stranger may break a schema without end."""


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
        return prefix + "".join(
            f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in self.place
        )


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

    def violations(self, value: Any) -> list[Violation]:
        """What is wrong with a value, at most ``_MOST`` places; empty if nothing."""
        try:
            if self.fits(value):
                return []
        except ValueError:  # a number or text that Rust cannot hold
            pass
        return [_violation(error) for error in islice(self._explain(value), _MOST)]

    def _explain(self, value: Any) -> Iterator[ValidationError]:
        yield from _slow(self._reference).iter_errors(value)


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


def _violation(error: ValidationError) -> Violation:
    keyword = str(error.validator)
    wanted = error.validator_value
    missing = ""
    if keyword == "required":
        # the message names the member, and the member is of our schema
        missing = next((name for name in wanted if error.message.startswith(f"'{name}'")), "")
        text = f"{missing} is missing"
    elif keyword == "type":
        text = f"it must be {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
    elif keyword in {"minimum", "maximum", "minLength", "maxLength", "minItems", "minProperties"}:
        text = f"its {keyword} is {wanted}"
    elif keyword == "format":
        text = f"it is no {wanted}"
    elif keyword in {"const", "enum"}:
        text = f"it must be {wanted!r}"
    elif keyword == "pattern":
        text = f"it does not match {wanted}"
    elif keyword == "additionalProperties":
        text = "it has a member that is not known"
    else:
        text = f"it fits none of the forms that are allowed ({keyword})"
    return Violation(keyword, tuple(error.absolute_path), missing, wanted, text)

"""Our own outputs against their schemas, formats asserted."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

DIRECTORY = Path(__file__).parents[2] / "schemas" / "portarchive"
_ALL = [json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.schema.json"))]
_REGISTRY = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in _ALL)


def checker(reference: str) -> Draft202012Validator:
    by_id = {schema["$id"]: schema for schema in _ALL}
    return Draft202012Validator(
        by_id.get(reference, {"$ref": reference}),
        registry=_REGISTRY,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


EVENT = checker("urn:portarchive:schema:event:1")
REPORT = checker("urn:portarchive:schema:report:1")
ENTRY = checker("urn:portarchive:schema:report:1#/$defs/entry")

"""Ours is the draft's schema and its repairs, no more and no less.

Each repair is a JSON Patch in ``schemas/pdpa/ietf-02/repairs/<type>/``. The draft's schemas with
all of them, and ours, written independently of them, must judge every value alike; and each repair
must be needed. The draft's schemas are kept in ``draft/`` without their prose (``keep_draft.py``).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import json_patch
import keep_draft
import pytest
from jsonschema import Draft202012Validator
from mutants import mutants
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from seeds import SEEDS
from witnesses import WITNESSES, WRAPPED

from portarchive import schema

ROOT = Path(__file__).parents[2]
REPAIRS = schema.path() / "pdpa/ietf-02/repairs"
TYPES = schema.names("ietf-02")
MUTANTS = 2500
DIGEST = "02e2abdcaf239d5774387623b02798c9836159311258088f376d51340e275b6e"
PUBLISHED = ROOT.parent / "shared/pdpa-draft"
"""Where a checkout of the draft's schemas and examples lies beside ours, as it does in CI."""

Repair = tuple[str, str]


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


DRAFT = {kind: read(keep_draft.KEPT / f"schemas/{kind}-schema.json") for kind in TYPES}
PATCHES: dict[Repair, list[dict[str, Any]]] = {
    (file.parent.name, file.stem): read(file) for file in sorted(REPAIRS.rglob("*.json"))
}
EXAMPLES = [read(file) for file in sorted((keep_draft.KEPT / "examples").glob("*.json"))]


@functools.cache
def repaired(kind: str, without: Repair | None = None) -> Draft202012Validator:
    """A checker for the draft's schema of that type with all repairs, or with all but one."""
    resources = []
    for each, content in DRAFT.items():
        patched = content
        for repair, patch in PATCHES.items():
            if repair[0] == each and repair != without:
                patched = json_patch.apply(patched, patch)
        patched = {**patched}
        del patched["$schema"]
        resources.append((patched["$id"], DRAFT202012.create_resource(patched)))
    registry: Registry[Any] = Registry().with_resources(resources).crawl()
    return schema.checker_of({"$ref": DRAFT[kind]["$id"]}, registry)


@functools.cache
def ours(kind: str) -> Draft202012Validator:
    return schema.checker(kind, "ietf-02")


def examples(kind: str) -> list[Any]:
    return [one for one in EXAMPLES if one["$schema"].rpartition("/")[2] == kind]


def members(node: Any) -> Iterator[str]:
    """The names of all members that a schema describes."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "properties":
                yield from value
            yield from members(value)
    elif isinstance(node, list):
        for value in node:
            yield from members(value)


@functools.cache
def tried(kind: str) -> list[tuple[Any, bool]]:
    """The draft's examples, our seeds, and mutants of both, each with our verdict."""
    whole = [*examples(kind), *SEEDS[kind]]
    names = sorted({*members(DRAFT[kind]), *members(schema.load(kind, "ietf-02"))})
    values = [*whole, *mutants(whole, names, MUTANTS, kind)]
    return [(value, ours(kind).is_valid(value)) for value in values]


# --- the draft, as it is kept -------------------------------------------------------------------


def test_what_is_kept_is_what_was_published() -> None:
    """Nobody edits the yardstick: its digest is here, and beside the original they are compared."""
    kept = {
        file.relative_to(keep_draft.KEPT).as_posix(): read(file)
        for file in sorted(keep_draft.KEPT.rglob("*.json"))
    }
    text = json.dumps(kept, sort_keys=True).encode()
    assert hashlib.sha256(text).hexdigest() == DIGEST
    assert len(kept) == 25
    if PUBLISHED.is_dir():
        assert kept == keep_draft.kept_from(PUBLISHED)


def test_what_is_left_out_decides_nothing() -> None:
    """Only annotations go; a member that bears the name of one stays."""
    whole = {
        "title": "x",
        "properties": {"title": {"type": "string", "description": "x"}, "examples": {"const": 1}},
        "$defs": {"description": {"$comment": "x", "minimum": 1}},
    }
    assert keep_draft.facts(whole) == {
        "properties": {"title": {"type": "string"}, "examples": {"const": 1}},
        "$defs": {"description": {"minimum": 1}},
    }


def test_the_draft_has_the_ten_types_and_an_example_of_nearly_each() -> None:
    assert len(TYPES) == 10
    without = {kind for kind in TYPES if not examples(kind)}
    assert without == {"contact", "link"}


# --- alike --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_examples_and_seeds_are_valid(kind: str) -> None:
    for value in [*examples(kind), *SEEDS[kind]]:
        ours(kind).validate(value)
        repaired(kind).validate(value)


@pytest.mark.parametrize("kind", TYPES)
def test_seeds_touch_every_member(kind: str) -> None:
    """A member in no seed would be tried by chance only."""

    def present(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from node
            for value in node.values():
                yield from present(value)
        elif isinstance(node, list):
            for value in node:
                yield from present(value)

    described = {*members(schema.load(kind, "ietf-02")), *members(DRAFT[kind])}
    assert described - {"portarchive:received_at_raw"} <= set(present(SEEDS[kind]))


@pytest.mark.parametrize("kind", TYPES)
def test_same_verdict_for_every_mutant(kind: str) -> None:
    verdicts = [0, 0]
    for value, verdict in tried(kind):
        assert repaired(kind).is_valid(value) == verdict, json.dumps(value)
        verdicts[verdict] += 1
    assert min(verdicts) > MUTANTS / 10, "nearly all mutants are alike: they prove nothing"


# --- each repair is needed ----------------------------------------------------------------------


@pytest.mark.parametrize("repair", PATCHES, ids="/".join)
def test_only_this_repair_turns_it(repair: Repair) -> None:
    kind, stem = repair
    needed = {repair}
    if kind == "archive" and stem not in {"10-C-014-schema-member", "40-C-003-service-and-account"}:
        needed.add((kind, WRAPPED))
    witnesses = WITNESSES["/".join(repair)]
    assert witnesses
    for value in witnesses:
        verdict = repaired(kind).is_valid(value)
        assert ours(kind).is_valid(value) == verdict
        turned_by = {
            each
            for each in PATCHES
            if each[0] == kind and repaired(kind, without=each).is_valid(value) != verdict
        }
        assert turned_by == needed, json.dumps(value)


def test_every_witness_has_its_repair() -> None:
    assert set(WITNESSES) == {"/".join(repair) for repair in PATCHES}


@pytest.mark.slow
def test_mutants_alone_find_nearly_every_missing_repair() -> None:
    """How sharp the comparison is: a schema that lacks one repair is caught by chance alone."""
    missed = {
        (kind, stem)
        for kind, stem in PATCHES
        if all(
            repaired(kind, without=(kind, stem)).is_valid(value) == verdict
            for value, verdict in tried(kind)
        )
    }
    assert len(missed) <= len(PATCHES) / 10, missed


def test_every_repair_is_argued() -> None:
    readme = (schema.path() / "README.md").read_text(encoding="utf-8")
    for kind, stem in PATCHES:
        assert f"`{kind}/{stem}`" in readme, "a repair without a reason"


def test_a_type_without_repairs_of_its_own_has_none() -> None:
    assert {kind for kind in TYPES if not any(kind == each for each, _ in PATCHES)} == {
        "pdpa-contact"
    }


# --- RFC 6902 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "patch", "after"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ([1, 2], [{"op": "remove", "path": "/0"}], [2]),
        ({"a": {"b": 1}}, [{"op": "replace", "path": "/a/b", "value": 2}], {"a": {"b": 2}}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
        ({"a/b~c": 1}, [{"op": "test", "path": "/a~1b~0c", "value": 1}], {"a/b~c": 1}),
        ({"": {"": 1}}, [{"op": "remove", "path": "//"}], {"": {}}),
        ({"a": 1}, [{"op": "add", "path": "", "value": [0]}], [0]),
    ],
)
def test_json_patch(document: Any, patch: list[dict[str, Any]], after: Any) -> None:
    before = json.dumps(document)
    assert json_patch.apply(document, patch) == after
    assert json.dumps(document) == before


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        ({}, {"op": "replace", "path": "/a", "value": 1}),
        ({}, {"op": "remove", "path": "/a"}),
        ({}, {"op": "add", "path": "/a/b", "value": 1}),
        ({"a": 1}, {"op": "add", "path": "/a/b", "value": 1}),
        ([1], {"op": "add", "path": "/2", "value": 1}),
        ([1], {"op": "remove", "path": "/1"}),
        ([1], {"op": "remove", "path": "/00"}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}),
        ({"a": [1]}, {"op": "test", "path": "/a", "value": [1, 2]}),
        ({}, {"op": "frob", "path": "/a"}),
    ],
)
def test_json_patch_that_does_not_fit(document: Any, operation: dict[str, Any]) -> None:
    with pytest.raises(json_patch.PatchFailed):
        json_patch.apply(document, [operation])

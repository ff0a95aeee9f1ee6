"""The loader of the schemas: what it finds, what it refuses, and that its checkers mean it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing.exceptions import Unresolvable

import portarchive
from portarchive import schema

ROOT = Path(__file__).parents[2]
PACKAGE = Path(portarchive.__file__).parent
EVERY = [(dialect, name) for dialect in schema.DIALECTS for name in schema.names(dialect)]
EVERY += [(schema.OWN, name) for name in schema.names(schema.OWN)]


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_every_schema_loads_and_checks(dialect: str, name: str) -> None:
    loaded = schema.load(name, dialect)
    Draft202012Validator.check_schema(loaded)
    assert loaded["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema.registry().contents(loaded["$id"])["title"] == loaded["title"]
    assert not schema.checker(name, dialect).is_valid({})


def test_every_file_is_reached() -> None:
    files = set(schema.path().rglob("*.schema.json"))
    names = {
        *(f"pdpa/{file}" for of in schema.DIALECTS.values() for file in of.values()),
        *(f"portarchive/{name}" for name in schema.names(schema.OWN)),
    }
    assert files == {schema.path() / f"{name}.schema.json" for name in names}


def test_all_dialects_of_the_draft() -> None:
    assert list(schema.DIALECTS) == [
        *("ietf-02", "ietf-01", "ietf-00", "happel-02", "happel-01", "happel-00")
    ]
    assert next(iter(schema.DIALECTS)) == schema.CURRENT
    assert schema.names()[:2] == ("archive", "folder")


def test_what_is_loaded_is_the_callers() -> None:
    schema.load("archive")["required"].clear()
    assert schema.load("archive")["required"]


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("archive", "ietf-03"),
        ("archive", ""),
        ("note", "ietf-01"),
        ("archive", "happel-00"),
        ("folder", "portarchive"),
        ("../archive", "ietf-02"),
        ("../pdpa/ietf-02/archive", "portarchive"),
    ],
)
def test_no_such_schema(name: str, dialect: str) -> None:
    with pytest.raises(LookupError):
        schema.load(name, dialect)


def test_no_such_dialect_or_definition() -> None:
    with pytest.raises(LookupError):
        schema.names("ietf-03")
    with pytest.raises(LookupError):
        schema.checker("folder", "ietf-02", "nothing")


def test_nothing_is_fetched() -> None:
    """A reference that leads outside fails; it is not looked up anywhere."""
    for address in ("https://json-schema.org/draft/2020-12/nothing", "urn:portarchive:nothing"):
        with pytest.raises(Exception) as caught:
            schema.checker_of({"$ref": address}).is_valid({})
        assert isinstance(caught.value.__cause__ or caught.value, Unresolvable)


def test_items_are_checked_one_by_one() -> None:
    one = schema.checker("folder", definition="item")
    assert one.is_valid({"uid": "1", "filename": "1.eml", "flags": []})
    assert one.is_valid({"uid": 1, "filename": "1.eml"})
    for wrong in ({"uid": "1"}, {"uid": 0, "filename": "1.eml"}, {"uid": "", "filename": "x"}):
        assert not one.is_valid(wrong)
    rest = {"name": "INBOX", "items": []}
    assert schema.checker("folder").is_valid(rest)


# --- formats and patterns are asserted, as their standards have them ----------------------------


@pytest.mark.parametrize(
    "value",
    [
        *("2026-11-24T08:00:00Z", "2026-11-24t08:00:00.123456789z", "2024-02-29T23:59:59-00:00"),
        *("2016-12-31T23:59:60Z", "1990-12-31T15:59:60-08:00", "2017-01-01T05:29:60+05:30"),
        *("0000-02-29T00:00:00Z", 20261124, None),
    ],
)
def test_is_a_date_time(value: Any) -> None:
    assert schema.is_date_time(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "2026-11-24", "2026-11-24T08:00:00", "2026-11-24 08:00:00Z", "20261124T080000Z"),
        *("2026-11-24T08:00:00Z\n", "2026-11-24T08:00:00.Z", "2026-11-24T08:00Z"),
        *("2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z"),
        *("2026-11-00T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T08:60:00Z"),
        *("2026-11-24T08:00:60Z", "2026-11-24T23:59:61Z", "2016-12-31T23:59:60+01:00"),
        *("2026-11-24T08:00:00+24:00", "2026-11-24T08:00:00+01:60", "2026-11-24T08:00:00+0100"),
        "٢٠٢٦-11-24T08:00:00Z",
    ],
)
def test_is_no_date_time(value: str) -> None:
    assert not schema.is_date_time(value)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("uri", "https://example.org/a", "https://example.org/a b"),
        ("uri", "cid:1@example.org", "no uri"),
        ("uri", "geo:48.2,16.4", "https://example.org/\n"),
        ("uri", "mailto:ines@example.org", "https://example.org/ä"),
        ("email", "ines@example.org", "ines"),
        ("date-time", "2026-11-24T08:00:00Z", "yesterday"),
        ("date", "2024-02-29", "2023-02-29"),
        ("date", "2026-11-24", "2026-11-24\n"),
        ("date", "2026-12-31", "20261231"),
    ],
)
def test_formats_are_asserted(name: str, right: str, wrong: str) -> None:
    asked = schema.checker_of({"format": name})
    assert asked.is_valid(right)
    assert not asked.is_valid(wrong)
    assert asked.is_valid(5)


def test_every_format_that_a_schema_uses_is_asserted() -> None:
    def used(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["format"]} if isinstance(node.get("format"), str) else set()
            return own.union(*map(used, node.values()))
        return set().union(*map(used, node)) if isinstance(node, list) else set()

    files = schema.path().rglob("*.schema.json")
    formats = {name for file in files for name in used(json.loads(file.read_text("utf-8")))}
    assert formats <= set(schema.formats())
    assert "date-time" in formats


def test_end_of_a_pattern_is_the_very_end() -> None:
    """Python's own ``$`` would let the newline pass, also behind a reference."""
    own = schema.checker_of({"pattern": "^(a|b)$"})
    assert own.is_valid("a")
    assert not own.is_valid("a\n")
    assert Draft202012Validator({"pattern": "^(a|b)$"}).is_valid("a\n")
    folder = {"name": "", "items": [], "special_use": "\\Sent\n"}
    assert not schema.checker("folder").is_valid(folder)
    link = {"links": {"1": {"blobId": "a\n"}}}
    (error,) = schema.checker("note").iter_errors(
        {"@type": "Note", "uid": "1", "updated": "2026-11-24T08:00:00Z", "body": "", **link}
    )
    assert list(error.absolute_path) == ["links", "1", "blobId"]
    assert error.validator == "pattern"


def test_every_pattern_has_its_dollar_at_the_end_or_nowhere() -> None:
    def patterns(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["pattern"]] if isinstance(node.get("pattern"), str) else []
            return own + [each for value in node.values() for each in patterns(value)]
        return (
            [each for value in node for each in patterns(value)] if isinstance(node, list) else []
        )

    for file in schema.path().rglob("*.schema.json"):
        for pattern in patterns(json.loads(file.read_text("utf-8"))):
            outside = pattern.replace("[!#$&'+-\\[^-z|}~]", "")
            assert "$" not in outside[:-1], f"{file.name}: {pattern}"


# --- where they lie -----------------------------------------------------------------------------


def installed(place: Path, *, schemas: bool) -> str:
    """What ``path()`` says in a copy of the package, as a wheel would unpack it."""
    shutil.copytree(PACKAGE, place / "portarchive", ignore=shutil.ignore_patterns("__pycache__"))
    if schemas:
        shutil.copytree(ROOT / "schemas", place / "portarchive/_schemas")
    script = (
        f"import sys; sys.path.insert(0, {str(place)!r})\n"
        "from portarchive import schema\nfrom portarchive.errors import SettingsError\n"
        "try: print(schema.path(), schema.checker('event').is_valid({}))\n"
        "except SettingsError as error: print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=place
    )
    return done.stdout.strip()


def test_in_a_working_tree_they_lie_beside_the_package() -> None:
    assert schema.path() == ROOT / "schemas"


def test_installed_they_lie_in_the_package(tmp_path: Path) -> None:
    assert installed(tmp_path, schemas=True) == f"{tmp_path / 'portarchive/_schemas'} False"


def test_an_installation_without_them_says_so(tmp_path: Path) -> None:
    assert installed(tmp_path, schemas=False) == "no-schemas"


def test_importing_the_loader_loads_nothing_heavy() -> None:
    script = (
        "import sys, portarchive.schema; print({'jsonschema', 'referencing'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()"


def test_a_library_that_knows_no_uris_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """jsonschema passes over a format that it has no library for; we do not."""
    checkers = dict(Draft202012Validator.FORMAT_CHECKER.checkers)
    del checkers["uri"]
    monkeypatch.setattr(Draft202012Validator.FORMAT_CHECKER, "checkers", checkers)
    schema.formats.cache_clear()
    with pytest.raises(schema.SettingsError) as caught:
        schema.checker("link")
    assert caught.value.code == "no-formats"

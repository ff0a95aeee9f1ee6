"""The JSON Schemas: where they lie, what a dialect calls what, and checkers that mean it.

Owns the way from a name and a dialect to a schema (draft 2020-12), a registry that resolves every
reference without a network, and the formats and patterns as RFC 3339 and ECMA-262 have them.
Refuses to judge: what a violated schema is worth is the validator's business, and which dialect an
archive is in is found elsewhere. The schemas themselves are argued in ``schemas/README.md``.
"""

from __future__ import annotations

import calendar
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from portarchive.errors import SettingsError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from referencing import Registry

CURRENT: Final = "ietf-02"
"""The dialect that is written: draft-ietf-mailmaint-pdparchive-02."""

OWN: Final = "portarchive"
"""In place of a dialect: the schemas of our own files, ``manifest``, ``report``, ``event``."""

_TEN = (
    *("archive", "folder", "contact", "pdpa-contact", "address-book"),
    *("calendar", "event", "task", "note", "link"),
)
_BEFORE_SCHEMAS = {
    name: f"ietf-00/{name}" for name in ("contact", "address-book", "calendar", "event", "task")
} | {"pdpa-contact": "ietf-00/contact"}

DIALECTS: Final[Mapping[str, Mapping[str, str]]] = {
    "ietf-02": {name: f"ietf-02/{name}" for name in _TEN},
    "ietf-01": {
        **{name: f"ietf-02/{name}" for name in ("archive", "folder", "address-book", "calendar")},
        **{name: f"ietf-01/{name}" for name in ("contact", "event", "task", "link")},
        "pdpa-contact": "ietf-01/contact",
    },
    "ietf-00": {
        **_BEFORE_SCHEMAS,
        "archive": "ietf-00/archive",
        "folder": "ietf-00/folder",
    },
    "happel-02": {
        **_BEFORE_SCHEMAS,
        "archive": "happel-01/archive",
        "folder": "happel-02/folder",
    },
    "happel-01": {
        **_BEFORE_SCHEMAS,
        "archive": "happel-01/archive",
        "folder": "happel-01/folder",
    },
    "happel-00": {"folder": "happel-00/folder", "task": "ietf-00/task"},
}
"""Dialect → name of a data type → schema below ``schemas/pdpa``, newest dialect first.

A name means the same thing in every dialect: ``pdpa-contact`` is a Card that is a file of its own,
``archive`` the description of the archive (``index.json`` in the happel drafts). A type that a
dialect does not define is not in it.
"""


@functools.cache
def path() -> Path:
    """The directory of the schemas: in the package when installed, beside it in a working tree.

    Raises:
        SettingsError: this installation has none.
    """
    package = Path(__file__).resolve().parent
    for place in (package / "_schemas", package.parent / "schemas"):
        if (place / "pdpa" / CURRENT / "archive.schema.json").is_file():
            return place
    raise SettingsError(
        "The schemas are not part of this installation.",
        hint="Install portarchive again, from its wheel or from its source tree.",
        code="no-schemas",
    )


def names(dialect: str = CURRENT) -> tuple[str, ...]:
    """The data types that a dialect defines, ``archive`` and ``folder`` first.

    Raises:
        LookupError: there is no such dialect.
    """
    if dialect == OWN:
        return tuple(sorted(file.name.partition(".")[0] for file in _files(OWN)))
    return tuple(sorted(_of(dialect), key=_TEN.index))


def load(name: str, dialect: str = CURRENT) -> dict[str, Any]:
    """One schema, newly read: the caller may change it.

    Args:
        name: a data type of the draft (``archive``, ``folder``, ``contact``, ``pdpa-contact``,
            ``address-book``, ``calendar``, ``event``, ``task``, ``note``, ``link``), or a file of
            ours.
        dialect: a key of ``DIALECTS``, or ``OWN``.

    Raises:
        LookupError: there is no such dialect, or it does not define that type.
        SettingsError: this installation has no schemas.
    """
    if dialect == OWN:
        if name not in names(OWN):
            raise LookupError(f"there is no schema {name!r} among our own")
        return _read(path() / OWN / f"{name}.schema.json")
    of_dialect = _of(dialect)
    if name not in of_dialect:
        raise LookupError(f"the dialect {dialect} does not define {name!r}")
    return _read(path() / "pdpa" / f"{of_dialect[name]}.schema.json")


@functools.cache
def registry() -> Registry[Any]:
    """All schemas by their ``$id``. Whatever is not among them cannot be retrieved, ever.

    The resources bear no ``$schema``: at such a member jsonschema would fall back from the checker
    that was asked for to its own.
    """
    from referencing import Registry  # noqa: PLC0415 - heavy, and few verbs need it
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415 - likewise

    resources = []
    for file in (*_files("pdpa"), *_files(OWN)):
        schema = _read(file)
        del schema["$schema"]
        resources.append((schema["$id"], DRAFT202012.create_resource(schema)))
    return Registry().with_resources(resources).crawl()


def checker(
    name: str, dialect: str = CURRENT, definition: str | None = None
) -> Draft202012Validator:
    """A validator that asserts formats and resolves references in ``registry()``.

    Args:
        name: as for ``load``.
        dialect: as for ``load``.
        definition: check against this one of the schema's ``$defs``: with ``item`` the entries of
            a ``folder.json`` are checked one by one, and the rest of it with empty lists.

    Raises:
        LookupError: as for ``load``, or there is no such definition.
        SettingsError: this installation has no schemas.
    """
    schema = load(name, dialect)
    if definition is not None and definition not in schema.get("$defs", {}):
        raise LookupError(f"the schema {name!r} of {dialect} has no definition {definition!r}")
    reference = schema["$id"] + ("" if definition is None else f"#/$defs/{definition}")
    return checker_of({"$ref": reference})


def checker_of(
    schema: Mapping[str, Any], resources: Registry[Any] | None = None
) -> Draft202012Validator:
    """The same for any schema; its references are resolved in ``resources``, or in ours."""
    from jsonschema import FormatChecker  # noqa: PLC0415 - heavy, and few verbs need it

    asserted = FormatChecker(formats=())
    for name, holds in formats().items():
        asserted.checks(name)(holds)
    known = registry() if resources is None else resources
    return _validator_class()(schema, registry=known, format_checker=asserted)


@functools.cache
def formats() -> Mapping[str, Callable[[object], bool]]:
    """The formats that our schemas use, each with what decides it; not a string: it holds.

    ``date-time`` and ``date`` are RFC 3339 §5.6, leap seconds included; ``uri`` is RFC 3986;
    ``email`` has an @.

    Raises:
        SettingsError: jsonschema lacks the library that knows URIs; it would let all pass.
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - heavy, and few verbs need it

    known = Draft202012Validator.FORMAT_CHECKER
    if "uri" not in known.checkers:
        raise SettingsError(
            "The library that checks URIs is missing.",
            hint="Install jsonschema[format-nongpl], which portarchive asks for.",
            code="no-formats",
        )

    def is_uri(value: object) -> bool:
        if not isinstance(value, str):
            return True
        return value.isascii() and value.isprintable() and bool(known.conforms(value, "uri"))

    def is_email(value: object) -> bool:
        return not isinstance(value, str) or "@" in value

    return {"date-time": is_date_time, "date": is_date, "uri": is_uri, "email": is_email}


_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


def is_date_time(value: object) -> bool:
    """Whether it is an RFC 3339 date-time (§5.6); anything but a string passes."""
    if not isinstance(value, str):
        return True
    match = _DATE_TIME.fullmatch(value)
    if match is None:
        return False
    day, *clock, sign, hours, minutes = match.groups(default="0")
    hour, minute, second = map(int, clock)
    if not is_date(day) or hour > 23 or minute > 59 or int(hours) > 23 or int(minutes) > 59:
        return False
    if second == 60:  # a leap second ends a day in UTC (§5.7)
        offset = int(sign + "1") * (int(hours) * 60 + int(minutes)) if sign in "+-" else 0
        return (hour * 60 + minute - offset) % 1440 == 1439
    return second < 60


def is_date(value: object) -> bool:
    """Whether it is an RFC 3339 full-date (§5.6); anything but a string passes."""
    if not isinstance(value, str):
        return True
    match = _DATE.fullmatch(value)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 400, month)[1]


@functools.cache
def _validator_class() -> type[Draft202012Validator]:
    """Draft 2020-12, with ``$`` at the very end only, as ECMA-262 has it and Python has not.

    And ``uniqueItems`` in one pass: the library compares each with each where they are no strings.
    """
    from jsonschema import Draft202012Validator, ValidationError  # noqa: PLC0415 - heavy, and few verbs need it
    from jsonschema.validators import extend  # noqa: PLC0415 - likewise

    def pattern(
        _validator: object, pattern: str, instance: object, _schema: object
    ) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not _compiled(pattern).search(instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    def unique_items(
        _validator: object, wanted: object, instance: object, _schema: object
    ) -> Iterator[ValidationError]:
        if wanted is True and isinstance(instance, list):
            seen = {json.dumps(one, sort_keys=True) for one in instance}
            if len(seen) < len(instance):
                yield ValidationError("it has non-unique elements")

    extended: type[Draft202012Validator] = extend(
        Draft202012Validator, {"pattern": pattern, "uniqueItems": unique_items}
    )
    return extended


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """The pattern with Python's meaning of ``$`` put right; ours have it at the end or nowhere."""
    return re.compile(pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern)


def _of(dialect: str) -> Mapping[str, str]:
    if dialect not in DIALECTS:
        raise LookupError(f"there is no dialect {dialect!r}")
    return DIALECTS[dialect]


def _files(room: str) -> list[Path]:
    return sorted((path() / room).rglob("*.schema.json"))


def _read(file: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema

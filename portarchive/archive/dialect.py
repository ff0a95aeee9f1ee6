"""Which revision of the draft an archive is written in, and the named tolerances of reading.

Owns identification and the list of quirks. Refuses to read or migrate anything: documents come in
as plain dicts, and what is odd about one is an answer, not an error (ADR 0005).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CURRENT = "ietf-02"
DIALECTS = ("happel-00", "happel-01", "happel-02", "ietf-00", "ietf-01", "ietf-02")
"""Oldest first."""

METADATA_FILES = ("archive.json", "index.json")
"""The file that describes an archive; the second in the happel dialects."""

_VERSION = re.compile(r"draft-(happel|ietf)-mailmaint-pdparchive-(\d\d)(?!\d)", re.IGNORECASE)
_MAPS = ("uids", "flags", "modseqs")


@dataclass(frozen=True, slots=True)
class Quirk:
    """A named tolerance.

    Attributes:
        name: for people and documents.
        code: of the finding that shows it each time.
        policy: how it is read; none is ever written.
    """

    name: str
    code: str
    policy: str


QUIRKS = (
    Quirk("older-dialect", "F-070", "read by the schemas of that revision"),
    Quirk("version-unknown", "C-012", "the shape of the documents decides the dialect"),
    Quirk("index-file", "F-073", "index.json is read in place of archive.json"),
    Quirk("uids-map", "F-071", "the maps uids, flags, modseqs are read as items"),
    Quirk("role-member", "F-072", "role is read as special_use"),
    Quirk("relic-maps", "C-031", "items count; the maps beside them are passed over"),
    Quirk("integer-uids", "P-014", "a number is read as its decimal digits"),
    Quirk("integer-removed", "C-024", "a number is read as its decimal digits"),
    Quirk("bare-special-use", "C-026", "read as if the backslash were there"),
    Quirk("imap-flags", "C-032", r"\Seen is read as $seen, and so on"),
    Quirk("source-objects", "C-003", "an object is shown as it is"),
    Quirk("contact-card", "C-050", "ContactCard is read as Card"),
    Quirk("calendar-group", "C-070", "passed over"),
    Quirk("reference-by-id", "C-053", "a JMAP id is followed where no uid fits"),
    Quirk("nested-root", "Z-020", "the one directory that holds archive.json is the root"),
)


@dataclass(frozen=True, slots=True)
class Identified:
    """What was found.

    Attributes:
        dialect: one of ``DIALECTS``.
        by_version: archive.version named it; otherwise the shape did.
        quirks: names of those that the metadata shows.
    """

    dialect: str
    by_version: bool
    quirks: tuple[str, ...]


def identify(metadata: Any, file: str = METADATA_FILES[0]) -> Identified:
    """The dialect of an archive.

    Args:
        metadata: the parsed archive.json or index.json, whatever it is.
        file: which of the two.
    """
    sections = metadata if isinstance(metadata, Mapping) else {}
    about = sections.get("archive")
    version = about.get("version") if isinstance(about, Mapping) else None
    found = _VERSION.search(version) if isinstance(version, str) else None
    quirks = []
    named = f"{found[1].lower()}-{found[2]}" if found else ""
    if named in DIALECTS:
        dialect = named
    else:
        quirks.append("version-unknown")
        dialect = _by_shape(sections, file)
    if file != METADATA_FILES[0]:
        quirks.append("index-file")
    if dialect != CURRENT:
        quirks.append("older-dialect")
    return Identified(dialect, named in DIALECTS, tuple(quirks))


def _by_shape(sections: Mapping[str, Any], file: str) -> str:
    if file != METADATA_FILES[0]:
        return "happel-02"
    dataset = sections.get("dataset")
    if isinstance(dataset, Mapping) and "selector" in dataset:
        return "ietf-00"
    return CURRENT


def has_maps(header: Mapping[str, Any], *, has_items: bool) -> bool:
    """Whether a folder.json is in the old shape: maps from UID in place of ``items``."""
    return not has_items and isinstance(header.get("uids"), Mapping)


def relic_maps(header: Mapping[str, Any]) -> list[str]:
    """The members of the old shape that stand beside ``items``."""
    return [name for name in _MAPS if name in header]


def items_of_maps(header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The quirk ``uids-map``: the maps as items; entries of the wrong type are left as they are."""
    flags = header.get("flags")
    of_uid = flags if isinstance(flags, Mapping) else {}
    uids = header["uids"]
    out = []
    for uid, filename in uids.items():
        item: dict[str, Any] = {"uid": uid, "filename": filename}
        if uid in of_uid:
            item["flags"] = of_uid[uid]
        out.append(item)
    return out

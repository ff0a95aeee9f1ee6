"""For each repair, values that only this repair turns from valid to invalid or the other way."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from seeds import SEEDS

WRAPPED = "90-C-001-sections-are-properties"
"""Without it nothing inside the sections of ``archive.json`` is looked at."""


def changed(kind: str, path: str, new: Any) -> Any:
    """The first seed of that kind with the member at ``path`` set, or taken out by ``...``."""
    copy = deepcopy(SEEDS[kind][0])
    *parents, last = path.split("/")
    node: Any = copy
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    if new is ...:
        del node[last]
    else:
        node[last] = new
    return copy


def _of_all(member: str, new: Any, stem: str, *kinds: str) -> dict[str, list[Any]]:
    return {f"{kind}/{stem}": [changed(kind, member, new)] for kind in kinds}


LATE = "2026-11-24T08:00:00+02:00"
FRACTION = "2026-11-24T08:00:00.5"
OWN = "com.example:own"
_TYPES = ("contact", "address-book", "calendar", "event", "task", "note")
_RULE = "recurrenceRules/0"
_LATER = {"@type": "com.example:Arrival", "place": "home"}

WITNESSES: dict[str, list[Any]] = {
    **_of_all("$schema", 1, "10-C-014-schema-member", "archive", "folder", *_TYPES),
    "archive/20-C-013-id-not-empty": [changed("archive", "archive/id", "")],
    "archive/30-C-005-extent": [changed("archive", "dataset/extent", "complete")],
    "archive/40-C-003-service-and-account": [
        changed("archive", "datasource/service", {"id": "x"}),
        changed("archive", "datasource", {"account": {"type": "imap"}}),
    ],
    "archive/80-own-members": [
        changed("archive", "archive/portarchive:manifest", {"path": "manifest.json"}),
        changed("archive", "dataset/portarchive:base_id", ""),
    ],
    f"archive/{WRAPPED}": [
        changed("archive", "archive", 5),
        changed("archive", "dataset", None),
        changed("archive", "datasource", []),
        changed("archive", "archive/timestamp", "yesterday"),
    ],
    **_of_all("timeZone", None, "56-C-113-no-time-zone", "event", "task"),
    **_of_all("alerts/1/trigger", _LATER, "57-C-114-unknown-trigger", "event", "task"),
    "calendar/57-C-114-unknown-trigger": [
        changed("calendar", "defaultAlertsWithTime/1/trigger", _LATER),
        changed("calendar", "defaultAlertsWithTime/1/trigger", {"@type": "UnknownTrigger"}),
    ],
    "calendar/58-C-115-no-colour": [changed("calendar", "color", None)],
    "folder/20-C-024-removed": [changed("folder", "removed", [7])],
    "folder/25-C-036-uid-not-empty": [
        changed("folder", "items/1/uid", ""),
        changed("folder", "removed", [""]),
    ],
    "folder/30-C-035-filename": [
        changed("folder", "items/1/filename", ""),
        changed("folder", "items/1/filename", "/etc/passwd"),
        changed("folder", "items/1/filename", "a\0.eml"),
    ],
    "folder/35-C-032-keywords-not-empty": [
        changed("folder", "items/0/flags", [""]),
        changed("folder", "flags/4", [""]),
        changed("folder", "allowed_keywords", [""]),
    ],
    "folder/40-C-026-special-use": [
        changed("folder", "special_use", "sent"),
        changed("folder", "special_use", "\\Sent \\Trash"),
    ],
    "folder/45-C-029-sort-order": [changed("folder", "sort_order", 0)],
    "folder/50-C-027-deleted-at": [changed("folder", "deleted_at", None)],
    "folder/55-C-030-mod-sequence": [
        changed("folder", "highest_modseq", 2**63),
        changed("folder", "modseqs/4", 2**63),
    ],
    "folder/80-own-members": [
        changed("folder", "items/0/portarchive:size", -1),
        changed("folder", "items/0/portarchive:received_at", "01-Nov-2026"),
        changed("folder", "portarchive:kept/0/expunged_at", ...),
        changed("folder", "portarchive:placeholder/0/portarchive:sha256", ...),
        changed("folder", "portarchive:role", "\\Sent"),
    ],
    **{
        f"{kind}/20-{code}-uid-not-empty": [changed(kind, "uid", "")]
        for kind, code in zip(
            _TYPES, ("P-017", "P-020", "P-039", "P-021", "P-028", "P-030"), strict=True
        )
    },
    **_of_all("updated", LATE, "30-C-054-updated-in-utc", *_TYPES),
    "contact/40-C-052-sets-map-to-true": [
        changed("contact", "addressBookIds", {"a": False}),
        changed("contact", "members", {"a": False}),
        changed("contact", "relatedTo", {"a": {"relation": {"friend": False}}}),
    ],
    "contact/50-C-055-rev": [changed("contact", "rev", "19961022T140000-0500")],
    "contact/60-C-074-vendor-values": [
        changed("contact", "kind", OWN),
        changed("contact", "name/components/0/kind", OWN),
    ],
    "calendar/60-C-074-vendor-values": [changed("calendar", "defaultAlertsWithTime/1/action", OWN)],
    "event/40-C-052-sets-map-to-true": [
        changed("event", "calendarIds", {"a": False}),
        changed("event", "keywords", {"a": False}),
        changed("event", "categories", {"a": False}),
        *(
            changed("event", f"participants/1/{member}", {"a": False})
            for member in ("roles", "delegatedTo", "delegatedFrom", "memberOf")
        ),
    ],
    "event/50-C-073-start": [changed("event", "start", ...)],
    "event/55-C-075-fractions": [
        changed("event", "start", FRACTION),
        changed("event", f"{_RULE}/until", FRACTION),
    ],
    "event/60-C-074-vendor-values": [
        changed("event", path, OWN)
        for path in (
            *("status", "privacy", "freeBusyStatus", "participants/1/kind"),
            *("participants/1/participationStatus", "locations/1/relativeTo", "alerts/1/action"),
        )
    ],
    "task/40-C-052-sets-map-to-true": [
        changed("task", path, {"a": False})
        for path in ("keywords", "categories", "participants/1/roles", "relatedTo/other/relation")
    ],
    "task/50-C-072-in-process": [changed("task", "progress", "in-process")],
    "task/55-C-075-fractions": [
        changed("task", path, FRACTION) for path in ("start", "due", f"{_RULE}/until")
    ],
    "task/60-C-074-vendor-values": [
        changed("task", path, OWN)
        for path in (
            *("progress", "privacy", "participants/1/kind", "participants/1/participationStatus"),
            *("locations/1/relativeTo", "alerts/1/action"),
        )
    ],
    "task/65-C-071-calendar-ids": [
        changed("task", "calendarIds", {}),
        changed("task", "calendarIds", ["a"]),
    ],
    "task/70-C-076-as-in-events": [
        *(changed("task", f"{_RULE}/{member}", ["x"]) for member in ("byHour", "byYearDay")),
        changed("task", f"{_RULE}/skip", "sideways"),
        changed("task", "participants/1/delegatedTo", {"a": False}),
    ],
    "note/50-C-081-content-type": [
        changed("note", "contentType", "Text/HTML; charset=utf-8"),
    ],
    "link/50-C-091-blob-id-is-a-name": [
        {"blobId": name} for name in ("", ".", "..", "../x", "a/b", "a\\b", "a\0", "a\n")
    ],
    "link/60-C-074-vendor-values": [changed("link", "display", OWN)],
}

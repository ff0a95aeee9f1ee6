"""The older dialects: what their texts and examples have is accepted, what breaks them is not.

The drafts before ietf-01 had no schema that parses, so there is nothing to patch: these cases are
the yardstick. They have the form of the drafts' examples.
"""

from __future__ import annotations

from typing import Any

import pytest
from seeds import BLOB, LINK, SEEDS, UTC

from portarchive import schema

BOOK = "062adcfa-105d-455c-bc60-6db68b69c3f3"
MAPS: dict[str, Any] = {
    "allowed_keywords": ["$Forwarded", "$MDNSent"],
    "last_uid": 16,
    "highest_modseq": 6371729,
    "recent_uid": 15,
    "uidvalidity": 1107190787,
    "is_subscribed": True,
    "role": "sent",
    "sort_order": 1,
    "myrights": "rwiptsldaex",
    "uids": {"1": "msg-1.eml", "15": "imported-ABC.eml"},
    "flags": {"1": ["$seen"], "15": []},
    "modseqs": {"1": 6371000},
    "comment": "One year",
}
INCREMENT: dict[str, Any] = MAPS | {"removed": [3, 15], "original_name": "a/b"}
INDEX: dict[str, Any] = {
    "archive": {
        "id": 123,
        "name": "Jane's data",
        "note": "Personal",
        "legal": "Private data",
        "timestamp": "2025-10-19-18-00",
        "version": "PDPA v1.0",
        "generator": "Example 0.9",
    },
    "dataset": {
        "extent": "FULL",
        "selector": "NONE",
        "datatypes": "MAIL",
        "langaguetag": "en-ca",
        "timezone": "America/Montreal",
    },
    "datasource": {"service": "TBD", "account": {"id": "x"}},
}
ITEMS: dict[str, Any] = {
    "name": "AVClub",
    "uid": "M6d99ac3275bb4e",
    "last_uid": 21,
    "uidvalidity": 1107190787,
    "is_subscribed": True,
    "special_use": "\\Sent",
    "sort_order": 1,
    "removed": ["3", "15"],
    "items": [{"uid": "1", "filename": "msg-1.eml", "flags": ["$seen"]}],
}
ARCHIVE: dict[str, Any] = {
    "archive": {
        "id": "b47c1b85",
        "name": "Jane's data",
        "timestamp": UTC,
        "version": "PDPA v1.0",
        "generator": "Example 0.9",
    },
    "dataset": {
        "extent": "partial",
        "selector": "2024",
        "datatypes": ["MAIL"],
        "languagetag": "en_ca",
        "timezone": "America/Montreal",
    },
    "datasource": {"account": "jane"},
}
CARD: dict[str, Any] = {
    "@type": "ContactCard",
    "uid": "22B2C7DF-9120-4969-8460-05956FE6B065",
    "updated": UTC,
    "addressBookIds": [BOOK],
}
GROUP: dict[str, Any] = {
    "@type": "ContactCard",
    "kind": "group",
    "uid": "urn:uuid:ab4310aa-fa43-11e9-8f0b-362b9e155667",
    "updated": UTC,
    "members": {"urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af": True},
}
TASK: dict[str, Any] = {
    "@type": "Task",
    "uid": "7b0f69a6",
    "updated": UTC,
    "status": "in-progress",
    "due": "2024-12-31T23:59:59Z",
}
EVENT: dict[str, Any] = {"@type": "Event", "uid": "2a", "updated": UTC, "calendarIds": {BOOK: True}}
CARD_01: dict[str, Any] = {"@type": "Card", "version": "1.0", "uid": "1", "updated": UTC}
OLD_CALENDAR: dict[str, Any] = {
    "@type": "Calendar",
    "uid": BOOK,
    "updated": UTC,
    "name": "Work",
    "myRights": {"mayRead": True},
}


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: member for name, member in value.items() if name not in names}


@pytest.mark.parametrize(
    ("dialect", "name", "value"),
    [
        ("happel-00", "folder", MAPS),
        ("happel-00", "task", TASK),
        ("happel-01", "folder", MAPS),
        ("happel-01", "folder", INCREMENT),
        ("happel-01", "archive", INDEX),
        ("happel-01", "pdpa-contact", CARD),
        ("happel-01", "calendar", OLD_CALENDAR),
        ("happel-02", "archive", INDEX),
        ("happel-02", "folder", INCREMENT | {"name": "AVClub"}),
        ("happel-02", "folder", INCREMENT | {"last_uid": "21", "recent_uid": "20"}),
        ("happel-02", "folder", without(INCREMENT, "role") | {"special_use": "sent"}),
        ("happel-02", "folder", INCREMENT | {"removed": ["3", "15"]}),
        ("ietf-00", "archive", ARCHIVE),
        ("ietf-00", "folder", ITEMS),
        ("ietf-00", "folder", without(ITEMS, "name", "special_use") | {"role": "sent"}),
        ("ietf-00", "folder", {"name": "Tasks", "items": [{"uid": "a", "filename": "b.json"}]}),
        ("ietf-00", "pdpa-contact", CARD),
        ("ietf-00", "contact", GROUP),
        ("ietf-00", "contact", CARD | {"@type": "Card", "addressBookIds": {BOOK: True}}),
        ("ietf-00", "event", EVENT),
        ("ietf-00", "task", TASK),
        ("ietf-00", "calendar", OLD_CALENDAR),
        ("ietf-01", "contact", CARD_01),
        ("ietf-01", "pdpa-contact", CARD_01),
        ("ietf-01", "link", LINK),
        ("ietf-01", "event", SEEDS["event"][0] | {"links": {"1": LINK}}),
        ("ietf-01", "task", SEEDS["task"][0] | {"links": {}}),
        ("ietf-01", "archive", SEEDS["archive"][0]),
        ("ietf-01", "folder", SEEDS["folder"][0]),
    ],
)
def test_accepts(dialect: str, name: str, value: dict[str, Any]) -> None:
    schema.checker(name, dialect).validate(value)


@pytest.mark.parametrize(
    ("dialect", "name", "value"),
    [
        *(
            (dialect, "folder", without(MAPS, member))
            for dialect in ("happel-00", "happel-01", "happel-02")
            for member in ("uids", "flags", "last_uid", "uidvalidity", "is_subscribed")
        ),
        *(
            (dialect, "folder", MAPS | change)
            for dialect in ("happel-00", "happel-01", "happel-02")
            for change in (
                {"uids": {"x": "m.eml"}},
                {"uids": {"0": "m.eml"}},
                {"uids": {"1": ""}},
                {"uids": {"1": "/etc/passwd"}},
                {"uids": {"1\n": "m.eml"}},
                {"uids": []},
                {"flags": {"1": "$seen"}},
                {"modseqs": {"1": -1}},
                {"role": "sent mail"},
                {"uidvalidity": 0},
            )
        ),
        ("happel-00", "folder", ITEMS),
        ("happel-01", "folder", MAPS | {"removed": "3"}),
        ("happel-01", "folder", MAPS | {"last_uid": "21"}),
        ("happel-02", "folder", MAPS | {"last_uid": "021"}),
        ("happel-02", "folder", MAPS | {"special_use": ""}),
        ("happel-01", "archive", without(INDEX, "dataset")),
        ("happel-01", "archive", INDEX | {"dataset": {"extent": "whole"}}),
        ("ietf-00", "archive", without(ARCHIVE, "archive")),
        ("ietf-00", "archive", ARCHIVE | {"dataset": without(ARCHIVE["dataset"], "timezone")}),
        ("ietf-00", "archive", ARCHIVE | {"dataset": ARCHIVE["dataset"] | {"selector": 1}}),
        ("ietf-00", "folder", MAPS),
        ("ietf-00", "folder", ITEMS | {"items": [{"uid": "1"}]}),
        ("ietf-00", "contact", CARD | {"addressBookIds": "a"}),
        ("ietf-00", "contact", without(CARD, "updated")),
        ("ietf-00", "event", without(EVENT, "calendarIds")),
        ("ietf-00", "event", EVENT | {"@type": "Group"}),
        ("ietf-00", "task", TASK | {"updated": "2022-11-23"}),
        ("ietf-01", "contact", CARD_01 | {"@type": "ContactCard"}),
        ("ietf-01", "contact", without(CARD_01, "version")),
        ("ietf-01", "contact", without(CARD_01, "uid")),
        ("ietf-01", "link", BLOB),
        ("ietf-01", "event", SEEDS["event"][0]),
        ("ietf-01", "task", SEEDS["task"][0] | {"links": {"1": BLOB}}),
        (
            "ietf-01",
            "task",
            SEEDS["task"][0] | {"links": {}, "locations": {"1": {"links": {"1": BLOB}}}},
        ),
        ("ietf-02", "pdpa-contact", CARD_01),
        ("ietf-02", "folder", MAPS),
    ],
)
def test_refuses(dialect: str, name: str, value: dict[str, Any]) -> None:
    assert not schema.checker(name, dialect).is_valid(value)


def test_deleted_at_means_nothing_yet_before_ietf_01() -> None:
    assert schema.checker("folder", "ietf-00").is_valid(ITEMS | {"deleted_at": 5})
    assert not schema.checker("folder", "ietf-01").is_valid(ITEMS | {"deleted_at": 5})

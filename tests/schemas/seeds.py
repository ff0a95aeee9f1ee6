"""Instances that touch every member of every data type, ours and the draft's.

They are valid with and without the repairs, so that a change of one value tells of one repair.
"""

from __future__ import annotations

from typing import Any

SHA = "0" * 64
BOOK = "062adcfa-105d-455c-bc60-6db68b69c3f3"
UTC = "2026-11-24T08:00:00Z"

LINK: dict[str, Any] = {
    "@type": "Link",
    "href": "https://example.org/plan.pdf",
    "cid": "plan@example.org",
    "contentType": "application/pdf",
    "size": 84213,
    "rel": "enclosure",
    "display": "thumbnail",
    "title": "The plan",
}
BLOB: dict[str, Any] = {"blobId": "e612afe4-2962-42f1-bcd1-073368274c24", "rel": "enclosure"}

_ALERTS: dict[str, Any] = {
    "1": {
        "@type": "Alert",
        "trigger": {"@type": "OffsetTrigger", "offset": "-PT15M", "relativeTo": "start"},
        "acknowledged": UTC,
        "action": "display",
    },
    "2": {"@type": "Alert", "trigger": {"@type": "AbsoluteTrigger", "when": UTC}},
}
_RULE: dict[str, Any] = {
    "@type": "RecurrenceRule",
    "frequency": "monthly",
    "interval": 2,
    "rscale": "gregorian",
    "skip": "forward",
    "firstDayOfWeek": "mo",
    "byDay": [{"@type": "NDay", "day": "fr", "nthOfPeriod": -1}],
    "byMonthDay": [1, -1],
    "byMonth": ["2", "5L"],
    "byYearDay": [1],
    "byWeekNo": [53],
    "byHour": [0, 23],
    "byMinute": [59],
    "bySecond": [60],
    "bySetPosition": [-1],
    "count": 3,
    "until": "2027-01-01T00:00:00",
}
_BOTH: dict[str, Any] = {
    "created": UTC,
    "updated": UTC,
    "id": "J7",
    "prodId": "-//Example//1",
    "sequence": 1,
    "title": "Board meeting",
    "description": "<p>Everything</p>",
    "descriptionContentType": "text/html",
    "start": "2026-11-24T09:00:00",
    "timeZone": "Europe/Vienna",
    "priority": 1,
    "privacy": "private",
    "color": "navy",
    "calendarIds": {BOOK: True},
    "participants": {
        "1": {
            "@type": "Participant",
            "name": "Ines Example",
            "email": "ines@example.org",
            "sendTo": {"imip": "mailto:ines@example.org"},
            "kind": "individual",
            "roles": {"attendee": True},
            "participationStatus": "tentative",
            "participationComment": "Perhaps.",
            "expectReply": True,
            "delegatedTo": {"2": True},
            "delegatedFrom": {"3": True},
            "memberOf": {"4": True},
        }
    },
    "locations": {
        "1": {
            "@type": "Location",
            "name": "The hall",
            "description": "Upstairs",
            "coordinates": "geo:48.2,16.4",
            "timeZone": "Europe/Vienna",
            "relativeTo": "end",
            "links": {"1": LINK},
        }
    },
    "virtualLocations": {
        "1": {
            "@type": "VirtualLocation",
            "name": "Call",
            "description": "Video",
            "uri": "https://example.org/call",
        }
    },
    "links": {"1": LINK, "2": BLOB},
    "keywords": {"work": True},
    "categories": {"https://example.org/board": True},
    "alerts": _ALERTS,
    "useDefaultAlerts": False,
    "recurrenceRules": [_RULE],
    "excludedRecurrenceRules": [{"frequency": "yearly"}],
    "recurrenceOverrides": {"2026-12-24T09:00:00": {"excluded": True}},
}

ITEM: dict[str, Any] = {
    "uid": "4",
    "filename": "1700000000-0000000004.eml",
    "flags": ["$seen", "\\Deleted"],
    "portarchive:received_at": "2026-11-01T12:00:00+01:00",
    "portarchive:size": 1024,
    "portarchive:sha256": SHA,
    "portarchive:email_id": "M4",
    "portarchive:thread_id": "T4",
    "portarchive:labels": ["Reise"],
    "portarchive:save_date": UTC,
}

SEEDS: dict[str, list[Any]] = {
    "archive": [
        {
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/archive",
            "archive": {
                "id": "0a4f52e3-7d0c-4be2-9a0a-2f2f5a0c9d10",
                "name": "Mail of ines@example.org",
                "note": "A note",
                "legal": "Private",
                "timestamp": UTC,
                "version": "draft-ietf-mailmaint-pdparchive-02",
                "generator": "portarchive/0.1.0",
                "portarchive:manifest": {"path": "manifest.json", "sha256": SHA, "bytes": 812},
            },
            "dataset": {
                "extent": "PARTIAL",
                "datatypes": ["MAIL"],
                "languagetag": "und",
                "timezone": "Etc/UTC",
                "description": "All mail of the account.",
                "portarchive:base_id": "0a4f52e3",
            },
            "datasource": {"service": "imaps://imap.example.org", "account": "ines"},
        }
    ],
    "folder": [
        {
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/folder",
            "name": "Versandt",
            "original_name": "Versandt?",
            "portarchive:raw_name": "VmVyc2FuZHT/",
            "uid": "F61-2b",
            "uidvalidity": 1700000000,
            "last_uid": 4,
            "recent_uid": 3,
            "is_subscribed": True,
            "highest_modseq": 9007199254740991,
            "special_use": "\\Sent",
            "portarchive:role": ["sent", "archive"],
            "portarchive:display_name": "Sent mail",
            "allowed_keywords": ["$forwarded"],
            "myrights": "lrs",
            "sort_order": 3,
            "removed": ["3"],
            "deleted_at": UTC,
            "comment": "Messages before 2020 were left out.",
            "portarchive:noselect": True,
            "portarchive:gone_at": UTC,
            "modseqs": {"4": 12},
            "flags": {"4": ["$seen"]},
            "items": [ITEM, {"uid": 5, "filename": "5.eml"}],
            "portarchive:kept": [{**ITEM, "uid": "2", "expunged_at": UTC}],
            "portarchive:placeholder": [
                {
                    "uid": "9",
                    "filename": "9~placeholder.eml",
                    "portarchive:size": 100,
                    "portarchive:sha256": SHA,
                }
            ],
        },
        {"name": "", "items": [], "portarchive:role": "inbox"},
    ],
    "contact": [
        {
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/contact",
            "@type": "Card",
            "version": "1.0",
            "uid": "22B2C7DF-9120-4969-8460-05956FE6B065",
            "id": "42",
            "created": UTC,
            "updated": UTC,
            "rev": UTC,
            "kind": "group",
            "addressBookIds": {BOOK: True},
            "name": {
                "full": "Ines Example",
                "defaultSeparator": " ",
                "isOrdered": True,
                "components": [{"kind": "given", "value": "Ines", "phonetic": "ee-nes"}],
            },
            "members": {"urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af": True},
            "relatedTo": {
                "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6": {"relation": {"friend": True}}
            },
            "notes": {"1": {"note": "Mondays", "created": UTC, "author": {"name": "Jon"}}},
        },
        {"@type": "Card", "version": "1.0"},
    ],
    "address-book": [
        {
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/address-book",
            "@type": "AddressBook",
            "uid": BOOK,
            "id": "b1",
            "updated": UTC,
            "name": "Personal",
            "description": None,
            "sortOrder": 0,
            "isDefault": True,
            "isSubscribed": False,
            "shareWith": {"p1": {"mayRead": True, "mayDelete": False}},
            "myRights": {"mayRead": True, "mayWrite": True, "mayShare": True, "mayDelete": True},
        }
    ],
    "calendar": [
        {
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/calendar",
            "@type": "Calendar",
            "uid": BOOK,
            "id": "c1",
            "updated": UTC,
            "name": "Work",
            "description": "Nine to five",
            "color": "#123456",
            "sortOrder": 2147483647,
            "isDefault": True,
            "isSubscribed": True,
            "isVisible": False,
            "includeInAvailability": "attending",
            "timeZone": None,
            "defaultAlertsWithTime": _ALERTS,
            "defaultAlertsWithoutTime": None,
            "shareWith": {"p1": {"mayReadItems": True}},
            "myRights": {
                "mayReadFreeBusy": True,
                "mayReadItems": True,
                "mayWriteAll": True,
                "mayWriteOwn": True,
                "mayUpdatePrivate": True,
                "mayRSVP": True,
                "mayShare": True,
                "mayDelete": False,
            },
        }
    ],
    "event": [
        {
            **_BOTH,
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/event",
            "@type": "Event",
            "uid": "2a358cee-6489-4f14-a57f-c104db4dc2f2",
            "duration": "PT1H",
            "status": "tentative",
            "freeBusyStatus": "busy",
        }
    ],
    "task": [
        {
            **_BOTH,
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/task",
            "@type": "Task",
            "uid": "7b0f69a6-6e3e-4f1b-85d8-c89b43d2f2a1",
            "due": "2026-12-31T23:59:59",
            "estimatedDuration": "P1D",
            "percentComplete": 100,
            "progress": "completed",
            "progressUpdated": UTC,
            "relatedTo": {"other": {"@type": "Relation", "relation": {"parent": True}}},
        }
    ],
    "note": [
        {
            "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/note",
            "@type": "Note",
            "uid": "9f1c1e3a-2b34-4b8e-8b70-5e6f2f6b9a11",
            "created": UTC,
            "updated": UTC,
            "title": "Garden",
            "body": "Poppies",
            "contentType": "text/markdown",
            "links": {"1": LINK, "2": BLOB},
        }
    ],
    "link": [LINK, BLOB],
}
SEEDS["pdpa-contact"] = SEEDS["contact"][:1]

"""What a schema says of a value: one finding a place, in bounded time, and what follows from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import portarchive
from portarchive.validate.checks.times import is_duration, is_local_time
from portarchive.validate.report import KEPT, Report
from portarchive.validate.schema_check import whole
from validating import EVENT, FOLDER, WHEN, Files, at, dumped, good, item, write

SLOW = 990_000
"""Entries that jsonschema alone would take 20 s for."""
SECONDS = 6


def report_of(files: Files, where: Path) -> Report:
    return portarchive.validate(write(files, where))


def found(report: Report, path: str) -> list[tuple[str, str]]:
    return sorted((one.code, one.pointer) for one in report.findings if one.path == path)


@pytest.mark.parametrize(
    ("spoils", "wanted"),
    [
        ({"last_uid": -1}, [("P-007c", "/last_uid")]),
        ({"removed": [*["1"] * SLOW, ""]}, [("F-031", f"/removed/{SLOW}")]),
        (
            {"last_uid": -1, "removed": ["1"] * SLOW},
            [("P-007c", "/last_uid")],
        ),
        (
            {"uidvalidity": 0, "allowed_keywords": ["$a"] * SLOW},
            [("P-008b", "/uidvalidity")],
        ),
        ({"allowed_keywords": [*["$a"] * SLOW, 5]}, [("F-031", f"/allowed_keywords/{SLOW}")]),
        ({"modseqs": {str(uid): 1 for uid in range(SLOW)} | {"x": -1}}, [("F-031", "/modseqs/x")]),
    ],
    ids=["short", "last of a list", "beside a list", "beside words", "last word", "map"],
)
def test_long_lists_cost_no_more_than_their_length(
    tmp_path: Path, spoils: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    files = good()
    files[FOLDER] = dumped(json.loads(files[FOLDER]) | spoils)
    begun = time.process_time()
    report = report_of(files, tmp_path)
    assert time.process_time() - begun < SECONDS
    of_schema = [one for one in found(report, FOLDER) if one[0] not in {"F-042", "C-031"}]
    assert of_schema == wanted


@pytest.mark.parametrize("many", [3, KEPT + 200])
def test_what_is_beyond_the_cap_is_found_and_placed_too(tmp_path: Path, many: int) -> None:
    files = good()
    event = json.loads(files[EVENT])
    for number in range(many):
        spoilt = event | {"uid": f"e{number}", "priority": 77, "calendarIds": {"cal": False}}
        files[f"calendars/{number}.json"] = dumped(spoilt)
    report = report_of(files, tmp_path)
    assert report.counts == {"F-034": many, "C-052": many, "M-001": 1}
    assert found(report, "calendars/2.json") == [
        ("C-052", "/calendarIds/cal"),
        ("F-034", "/priority"),
    ]


def test_many_bad_items_are_placed_alike(tmp_path: Path) -> None:
    files = good()
    header = json.loads(files[FOLDER])
    more = [item(uid) | {"filename": f"{uid}.eml", "flags": [""]} for uid in range(10, KEPT + 200)]
    for one in more:
        files[f"mail/INBOX/{one['filename']}"] = b"From: a\r\nDate: b\r\n\r\n"
        del one["portarchive:size"], one["portarchive:sha256"]
    files[FOLDER] = dumped(header | {"last_uid": 9999, "items": header["items"] + more})
    report = report_of(files, tmp_path)
    assert report.counts["F-032"] == len(more)
    assert report.counts["P-010b"] == report.counts["F-050"] == 0
    assert all(pointer.endswith("/flags/0") for code, pointer in found(report, FOLDER))


@pytest.mark.parametrize(
    "spoils",
    [
        {"priority": 77, "sequence": "1"},
        {"updated": "yesterday"},
        {"updated": "2026-11-03T10:00:00+02:00"},
        {"start": 5, "uid": ""},
        {"status": "perhaps", "participants": {"a": {"email": "no mail"}}},
        {"links": {"x": {"@type": "Link"}}, "alerts": {"x": {"@type": "Alert"}}},
        {"recurrenceRules": [{"frequency": "daily"}, {"interval": 0}]},
        {"@type": "Task", "calendarIds": {}},
    ],
)
def test_told_briefly_or_in_full_the_places_are_the_same(spoils: dict[str, Any]) -> None:
    check = whole("event", "ietf-02")
    value = json.loads(good()[EVENT]) | spoils
    told = [
        sorted((one.pointer(), one.keyword, one.missing) for one in check.violations(value, **how))
        for how in ({}, {"briefly": True})
    ]
    assert told[0] == told[1] != []
    places = [one[::2] for one in told[0]]
    assert len(places) == len(set(places))


def test_the_text_shows_nothing_of_the_value() -> None:
    check = whole("event", "ietf-02")
    value = json.loads(good()[EVENT]) | {
        "start": "hunter2",
        "status": "hunter2",
        "uid": ["hunter2"],
    }
    for how in ({}, {"briefly": True}):
        texts = [one.text for one in check.violations(value, **how)]
        assert len(texts) == 3
        assert "hunter2" not in "".join(texts)


def test_a_value_too_large_to_be_explained_is_not_let_pass() -> None:
    check = whole("event", "ietf-02")
    days: list[Any] = [*range(1000), "x"]
    value = json.loads(good()[EVENT]) | {
        "recurrenceRules": [{"frequency": "daily", "byMonthDay": days}]
    }
    (one,) = check.violations(value)
    assert one.pointer() == "/recurrenceRules"


def test_what_was_cut_off_is_not_said_to_be_missing() -> None:
    check = whole("event", "ietf-02")
    alert = {f"x{number}": 1 for number in range(500)} | {"@type": "Alert"}
    value = json.loads(good()[EVENT]) | {"priority": 77, "alerts": {"1": alert}}
    found_ = {(one.pointer(), one.missing) for one in check.violations(value)}
    assert found_ == {("/priority", ""), ("/alerts/1", "trigger")}


def test_maps_of_an_older_dialect_are_told_once(tmp_path: Path) -> None:
    files = good()
    document = json.loads(files[FOLDER])
    del document["items"]
    document |= {"uids": {"1": "/x.eml", "2": ""}, "flags": {"1": None, "2": [""]}}
    files[FOLDER] = dumped(document)
    report = report_of(files, tmp_path)
    wanted = [("F-031", place) for place in ("/flags/1", "/flags/2/0", "/uids/1", "/uids/2")]
    told = [one for one in found(report, FOLDER) if one[0] not in {"F-071", "F-054"}]
    assert told == wanted


@pytest.mark.parametrize(
    "text",
    ["2026-11-24T19:00:00", "0000-02-29T00:00:00", "2016-12-31T23:59:60", "2028-02-29T10:00:00.25"],
)
def test_local_times(text: str) -> None:
    assert is_local_time(text)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-29T10:00:00", "2026-11-31T10:00:00", "2026-00-10T10:00:00", "2026-11-24"),
        *("2026-11-24T24:00:00", "2026-11-24T10:60:00", "2026-11-24T10:00:61", "yesterday"),
        *("2026-11-24T10:00:00Z", "2026-11-24 10:00:00", "2026-11-24T10:00:00.0", ""),
        *("\uff12026-11-24T10:00:00", "2026-11-24T10:00:00\n", "2026-11-24T10:00:00." + "1" * 200),
    ],
)
def test_no_local_times(text: str) -> None:
    assert not is_local_time(text)


@pytest.mark.parametrize(
    "text", ["PT0S", "P1D", "P1W", "P1W2D", "PT1H30M", "P1DT0.5S", "PT1H5S", "P15DT5H0M20S"]
)
def test_durations(text: str) -> None:
    assert is_duration(text)
    assert is_duration(f"-{text}", signed=True)
    assert is_duration(f"+{text}", signed=True)
    assert not is_duration(f"-{text}")


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "1 hour", "P1Y", "P1M", "PT1D", "P1DT", "PT.5S", "pt1h", "PT1H\n", "P-1D"],
)
def test_no_durations(text: str) -> None:
    assert not is_duration(text)
    assert not is_duration(text, signed=True)


def test_overrides_are_looked_into(tmp_path: Path) -> None:
    files = good()
    override = {"2026-12-01T19:00:00": {"start": "2026-12-32T19:00:00", "duration": "long"}}
    at(EVENT, "recurrenceOverrides", override)(files)
    here = "/recurrenceOverrides/2026-12-01T19:00:00"
    wanted = [("F-035", f"{here}/duration"), ("F-035", f"{here}/start")]
    assert found(report_of(files, tmp_path), EVENT) == wanted


BAD: list[Any] = [-1, "", "x y", "/x", None, 1.5, [], [""], {"": None}]
MORE: dict[str, dict[str, Any]] = {
    FOLDER: {"special_use": "\\Sent", "removed": ["9"], "deleted_at": WHEN, "sort_order": 1},
    EVENT: {"duration": "PT1H", "sequence": 1, "recurrenceId": "2026-11-24T19:00:00"},
    "archive.json": {},
}


def places(value: Any, here: str = "") -> Iterator[str]:
    """``a/b/0`` of every value in one."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in inside:
        yield f"{here}{step}"
        if isinstance(inner, dict | list):
            yield from places(inner, f"{here}{step}/")


@pytest.mark.parametrize("document", list(MORE))
def test_one_defect_is_one_finding(tmp_path: Path, document: str) -> None:
    """But for members that are missing, each of which is told at the object that lacks it."""
    files = good()
    files[document] = dumped(json.loads(files[document]) | MORE[document])
    write(files, tmp_path)
    twice = []
    for place in places(json.loads(files[document])):
        for bad in BAD:
            spoilt = dict(files)
            at(document, place, bad)(spoilt)
            (tmp_path / document).write_bytes(spoilt[document])
            told = [
                one.code
                for one in portarchive.validate(tmp_path).findings
                if (one.path, one.pointer) == (document, f"/{place}")
                and not one.text.endswith("is missing")
            ]
            if len(told) > 1 and told.count("F-044") != len(told):  # that is one for each type
                twice.append((place, bad, told))
    assert twice == []

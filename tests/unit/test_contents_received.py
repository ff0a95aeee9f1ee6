"""When a message of anybody's archive was received: every place and spelling."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.archive import received
from portarchive.records import Received

RECEIVED = b"Received: from a by b with SMTP id 5; Tue, 3 Nov 2026 10:00:01 +0100\r\n"
OLDER = b"Received: from c by a; Mon, 2 Nov 2026 10:00:01 +0100\r\n"
DATE = b"Date: Sun, 1 Nov 2026 10:00:01 -0330\r\n"


def check(found: Received | None, text: str | None) -> None:
    if text is None:
        assert found is None
    else:
        assert found is not None
        assert found.text == text
        assert found.epoch == int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-03T10:00:01Z", "2026-11-03T10:00:01Z"),
        ("2026-11-03T10:00:01.25+05:30", "2026-11-03T10:00:01.25+05:30"),
        ("2026-11-03 10:00:01-0330", "2026-11-03T10:00:01-03:30"),
        ("1970-01-01T01:00:00+01:00", "1970-01-01T01:00:00+01:00"),
        ("1970-01-01T00:00:00+01:00", "1970-01-01T00:00:00+01:00"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
        ("1900-01-01T00:00:00+01:00", None),
        ("1969-12-31T23:59:59-01:00", "1969-12-31T23:59:59-01:00"),
        ("9999-12-31T23:59:59-01:00", None),
        ("2026-02-30T10:00:01Z", None),
        ("2026-11-03T24:00:00Z", None),
        ("2026-11-03T10:00:01", None),
        ("٢٠٢٦-11-03T10:00:01Z", None),
        ("2026-11-03T10:00:01Z\n", None),
        ("", None),
    ],
)
def test_rfc_3339(text: str, wanted: str | None) -> None:
    check(received.rfc3339(text), wanted)


def test_the_leap_second_is_the_next_minute() -> None:
    found = received.rfc3339("2016-12-31T23:59:60Z")
    after = received.rfc3339("2017-01-01T00:00:00Z")
    assert found is not None
    assert after is not None
    assert found.epoch == after.epoch


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("03-Nov-2026 10:00:01 +0100", "2026-11-03T10:00:01+01:00"),
        (" 3-nov-2026 10:00:01 -0330", "2026-11-03T10:00:01-03:30"),
        ("30-Dec-1899 00:00:00 +0000", None),
        ("03-Foo-2026 10:00:01 +0100", None),
        ("Tue, 03 Nov 2026 10:00:01 +0100 (CET)", "2026-11-03T10:00:01+01:00"),
        ("(a (b) c) Tue, 3 Nov 2026 10:00 PST", "2026-11-03T10:00:00-08:00"),
        ("Tue Nov  3 10:00:01 2026", "2026-11-03T10:00:01+00:00"),
        ("Tue, 3 Nov 26 10:00:01 -0000", "2026-11-03T10:00:01-00:00"),
        ("Tue, 3 Nov 2026 10:00:01 +9999", "2026-11-03T10:00:01+00:00"),
        ("Tue Nov  3 10:00:01 PST 2026", "2026-11-03T10:00:01-08:00"),
        ("Nov 3, 2026 9:05 GMT+0200", "2026-11-03T09:05:00+02:00"),
        ("Tuesday, 3-Nov-99 10.00.01 EDT", "1999-11-03T10:00:01-04:00"),
        ("3 November 2026 10:00:01.5 XYZ", "2026-11-03T10:00:01+00:00"),
        ("Tue,3 Nov 2026 10:00:01+1:30", "2026-11-03T10:00:01+01:30"),
        ("Mon, 1 Jan 0001 00:00:00 +0000", None),
        ("Tue, 3 Nov 2026 10:00:75 +0100", None),
        ("Tue, 33 Nov 2026 10:00:01 +0100", None),
        ("Tue, 3 Nov 2026 10 : 00 : 01 +0100", "2026-11-03T10:00:01+01:00"),
        ("Tue, 3 Nov 2026 10 :00 +0100", "2026-11-03T10:00:00+01:00"),
        ("Tue, 3 Nov 2026 10 (a) :\t00 (b): 01 +0100", "2026-11-03T10:00:01+01:00"),
        ("Tue Nov  3 10 : 00 : 01 2026", "2026-11-03T10:00:01+00:00"),
        ("Tue, 3 Nov 126 10:00:01 +0100", "2026-11-03T10:00:01+01:00"),
        ("Wed, 3 Nov 099 10:00:01 EST", "1999-11-03T10:00:01-05:00"),
        ("Tue, 3 Nov 20260 10:00:01 +0100", None),
        ("Tue, 3 Nov 2026 10 . 00 +0100", None),
        ("yesterday", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_other_spellings(text: str, wanted: str | None) -> None:
    check(received.spelled(text), wanted)


@pytest.mark.parametrize(
    ("item", "source", "text"),
    [
        ({"portarchive:received_at": "2026-11-03T10:00:01Z"}, "archive", "2026-11-03T10:00:01Z"),
        (
            {"portarchive:received_at_raw": "3-Nov-2026 10:00:01 +0000"},
            "archive",
            "2026-11-03T10:00:01+00:00",
        ),
        ({"receivedAt": "2026-11-03T10:00:01Z"}, "foreign", "2026-11-03T10:00:01Z"),
        ({"internaldate": " 3-Nov-2026 10:00:01 +0000"}, "foreign", "2026-11-03T10:00:01+00:00"),
        ({"portarchive:received_at": "nonsense"}, "none", None),
        ({"portarchive:received_at": 5, "receivedAt": ["x"]}, "none", None),
        ({}, "none", None),
    ],
)
def test_what_an_item_says(item: dict[str, Any], source: str, text: str | None) -> None:
    found, where = received.of_item(item)
    assert (where, found.text) == (source, text)


def test_the_own_spelling_stays() -> None:
    found, where = received.of_item({"portarchive:received_at_raw": "30-Dec-1899 00:00:00 +0000"})
    assert found == Received(None, None, "30-Dec-1899 00:00:00 +0000")
    assert where == "none"


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    ("header", "source", "text"),
    [
        (RECEIVED + OLDER + DATE, "received-field", "2026-11-03T10:00:01+01:00"),
        (DATE + RECEIVED, "received-field", "2026-11-03T10:00:01+01:00"),
        (b"Received: nothing\r\n" + OLDER + DATE, "received-field", "2026-11-02T10:00:01+01:00"),
        (b"Received : from a;\r\n\tTue,\r\n 3 Nov 2026 10:00:01\r\n +0100 (a;b)\r\n",
         "received-field", "2026-11-03T10:00:01+01:00"),
        (b"X-Received: a; Tue, 3 Nov 2026 10:00:01 +0100\r\n" + DATE,
         "date-field", "2026-11-01T10:00:01-03:30"),
        (b"Received: a; Mon, 1 Jan 0001 00:00:00 +0000\r\ndate: x\r\n" + DATE,
         "date-field", "2026-11-01T10:00:01-03:30"),
        (b"Subject: x\r\n\r\n" + DATE, "none", None),
        (b"\r\n" + DATE, "none", None),
        (b"", "none", None),
    ],
)  # fmt: skip
def test_what_a_header_says(header: bytes, source: str, text: str | None, end: bytes) -> None:
    found, where = received.of_header(header.replace(b"\r\n", end) + end + b"Hello.")
    assert (where, found.text) == (source, text)


def test_whole_headers_are_known() -> None:
    assert received.has_whole_header(b"A: b\n\n")
    assert received.has_whole_header(b"A: b\r\n\r\n")
    assert received.has_whole_header(b"\r\nbody")
    assert not received.has_whole_header(b"A: b\r\n\r")
    assert received.has_whole_header(b"x" * received.HEADER_LIMIT)


@given(st.binary(max_size=60) | st.text("0123456789 :;,+-()NovTueGMT\r\n").map(str.encode))
def test_no_field_is_too_broken(value: bytes) -> None:
    found = received.field_date(value)
    assert found is None or (found.epoch is not None and found.epoch >= -2_208_988_800)
    received.of_header(b"Received: a;" + value + b"\r\nDate: " + value)
    received.spelled(value.decode("latin-1"))

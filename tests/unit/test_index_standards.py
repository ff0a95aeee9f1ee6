"""What the index reads where standards are exact: quoting, comments, zones, leading zeros."""

from __future__ import annotations

import time

import pytest

from index_oracle import row_of
from portarchive.index import addresses, authentication, content, dates, status_codes
from portarchive.index.addresses import Address

ONE = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
WRONG = "List-Unsubscribe-Post: Wrong-Recipient=One-Click"


def message(*fields: str, body: str = "x") -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body.encode()


# --- Authentication-Results (RFC 8601 §2.2) -----------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (
            b'mx.org; spf=fail smtp.mailfrom="a; dmarc=pass b"@evil.example',
            [("mx.org", "spf", "fail")],
        ),
        (b'mx.org; spf=fail smtp.mailfrom="a\\"; dmarc=pass b"@evil', [("mx.org", "spf", "fail")]),
        (b'mx.org; spf=fail smtp.mailfrom="a; dmarc=pass', [("mx.org", "spf", "fail")]),
        (b'mx.org; spf=fail smtp.mailfrom="a (; dmarc=pass )"@b', [("mx.org", "spf", "fail")]),
        (
            b'mx.org; spf=fail (a " b); dkim=none (c " d); dmarc=fail',
            [("mx.org", "spf", "fail"), ("mx.org", "dkim", "none"), ("mx.org", "dmarc", "fail")],
        ),
        (b"mx.org; spf=fail (\\); dmarc=pass); dkim=none",
         [("mx.org", "spf", "fail"), ("mx.org", "dkim", "none")]),
        (b'"mx org" 1; spf=pass', [("mx org", "spf", "pass")]),
        (b"spf=pass; dkim=fail", [("", "spf", "pass"), ("", "dkim", "fail")]),
    ],
)  # fmt: skip
def test_a_quoted_semicolon_begins_no_statement(
    value: bytes, found: list[tuple[str, str, str]]
) -> None:
    assert authentication.results([value]) == found


@pytest.mark.parametrize("piece", [b'"', b"(", b")", b"\\", b'("', b"(\\", b'"(', b";("])
def test_values_of_marks_alone_take_no_time(piece: bytes) -> None:
    started = time.process_time()
    authentication.results([piece * (1 << 15)])
    row_of(
        b"List-Unsubscribe: " + piece * (1 << 15) + b"\r\nExpires: " + piece * 1000 + b"\r\n\r\n"
    )
    assert time.process_time() - started < 1


# --- one-click (RFC 8058 §3.1) ------------------------------------------------------------------

SECURE = "<https://example.org/u>"


@pytest.mark.parametrize(
    ("uris", "one_click", "wrong_recipient"),
    [
        (SECURE, True, True),
        ("<HTTPS://user@example.org:8443?u=(1)>", True, True),
        ("<https://[2001:db8::1]/u>", True, True),
        (", ".join([SECURE, *["<mailto:a@b>"] * 30, "<https://other.example/>"]), False, True),
        (", ".join([SECURE, *["<mailto:a@b>"] * 30, "<http://other.example/>"]), False, True),
        (", ".join([*["<mailto:a@b>"] * 30, SECURE]), True, True),
        (f"(<https://other.example/>) {SECURE}", True, True),
        (f"(<http://other.example/>) {SECURE}", True, True),
        (f"({SECURE})", False, False),
        ("https://example.org/u", False, False),
        ("<https:example.org>", False, False),
        ("<https:///u>", False, False),
        ("<https://?u>", False, False),
        ("<https://#@example.org/>", False, False),
        ("<https://user@/u>", False, False),
        ("<https://:443/u>", False, False),
        ("<https://exämple.org/>", False, False),
        (f"{SECURE}, <https:junk>", False, True),
    ],
)
def test_offers_need_one_uri_with_a_host(uris: str, one_click: bool, wrong_recipient: bool) -> None:
    field = f"List-Unsubscribe: {uris}"
    assert row_of(message(field, ONE))["one_click"] is one_click
    row = row_of(message(field, WRONG))
    assert row["wrong_recipient"] is wrong_recipient
    assert len(row["list_unsubscribe"]) <= 20


def test_a_uri_without_brackets_is_listed_but_no_offer() -> None:
    row = row_of(message("List-Unsubscribe: https://example.org/u", ONE))
    assert row["list_unsubscribe"] == ["https://example.org/u"]
    assert not row["one_click"]


def test_formats_of_complaints_in_lower_case() -> None:
    row = row_of(
        message("CFBL-Address: a@b; report=XARF", "CFBL-Address: c@d; Report=Arf")
    )  # fmt: skip
    assert row["cfbl_addresses"] == [("a@b", "xarf"), ("c@d", "arf")]


# --- names in the charset of the message --------------------------------------------------------

IVAN = "Иван".encode("koi8-r")


@pytest.mark.parametrize(
    "spelled",
    [
        IVAN + b" <a@b>",
        b'"' + IVAN + b'" <a@b>',
        b"a@b (" + IVAN + b")",
        b"x@y, " + IVAN + b" <a@b>",
        b'"' + IVAN + b'" <a@b>, "x, y" <x@y>',
    ],
)
def test_bare_names_are_in_the_charset_of_the_message(spelled: bytes) -> None:
    head = b"Content-Type: text/plain; charset=%s\r\nFrom: %s\r\n\r\n"
    row = row_of(head % (b"koi8-r", spelled))
    assert ("Иван", "a@b") in row["from_addresses"]
    # and not as it was the last time
    row = row_of(head % (b"windows-1251", spelled))
    assert (IVAN.decode("cp1251"), "a@b") in row["from_addresses"]


def test_names_in_utf_8_are_utf_8_whatever_the_charset() -> None:
    assert addresses.parse("Иван <a@b>".encode(), "koi8-r") == ((Address("Иван", "a@b"),), True)


# --- dates (RFC 5322 §3.3, §4.3) ----------------------------------------------------------------

NEW_YEAR = 1_704_103_200_000
"""2024-01-01T10:00:00Z, a Monday."""


@pytest.mark.parametrize(
    ("value", "at", "valid"),
    [
        ("Mon, 1 Jan 2024 10:00:00 +0000", NEW_YEAR, True),
        ("mon , 01 jan 2024 11:00 +0100", NEW_YEAR, True),
        ("Mon, 1 Jan 2024 10 : 00 +0000", NEW_YEAR, True),
        ("Mon, 1 Jan 2024 10 : 00 : 00 EST", NEW_YEAR + 5 * 3_600_000, True),
        ("1 Jan 2024 10 : 00 PDT", NEW_YEAR + 7 * 3_600_000, True),
        ("1 Jan 2024 08 : 30 -0130", NEW_YEAR, True),
        ("Mon, 1 Jan 124 10:00 +0000", NEW_YEAR, True),
        ("1 Jan 24 10:00 GMT", NEW_YEAR, True),
        ("1(a)Jan(b (c\\)))2024 10:00:00 (d) +0000 (e)", NEW_YEAR, True),
        ("1 Jan 2024 10:00:00 Z", NEW_YEAR, True),
        ("1 Jan 2024 10:00:60 +0000", NEW_YEAR + 60_000, True),
        ("Mon, 1 Jan 2024 10:00:00 +9999", NEW_YEAR, False),
        ("Mon, 1 Jan 2024 10:00:00 J", NEW_YEAR, False),
        ("Mon, 1 Jan 2024 10:00:00 CEST", NEW_YEAR, False),
        ("Tue, 1 Jan 2024 10:00:00 +0000", NEW_YEAR, False),
        ("Mon 1 Jan 2024 10:00:00 +0000", NEW_YEAR, False),
        ("Mon, 1 Jan 2024 10:00:00 +0000 (open", NEW_YEAR, False),
        ("Mon, 1 Jan 2024 10:00:00 +0000 x", NEW_YEAR, False),
        ("Mon, 1 Jan 2024 10:00:00", NEW_YEAR, False),
        ("30 Feb 2024 10:00:00 +0000", None, False),
        ("1 Jan 2024 24:00:00 +0000", None, False),
    ],
)
def test_expires_is_a_date_time_or_not(value: str, at: int | None, valid: bool) -> None:
    row = row_of(message(f"Expires: {value}"))
    assert (row["expires_at"], row["expires_valid"]) == (at, valid)
    assert ("expires-bad" in row["defects"]) is (at is None)


@pytest.mark.parametrize("value", [b"31 Dec 1969 23:59 GMT", b"31 Dec 1969 23:59:59 +0000"])
def test_what_is_before_1970_is_none_however_it_is_spelled(value: bytes) -> None:
    assert dates.parse(value) is None


def test_what_is_too_long_is_no_date_time() -> None:
    assert not dates.is_grammatical(b"1 Jan 2024 10:00 GMT" + b" " * 1000 + b"x")


# --- reports ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["5.01.1", "5.1.01", "05.1.1", "3.1.1", "1.0.0", "5.00.0"])
def test_what_is_no_status_code(code: str) -> None:
    assert status_codes.explain(code) == status_codes.NONE


@pytest.mark.parametrize(("code", "told"), [("5.0.0", (5, 0, 0)), ("4.10.100 x", (4, 10, 100))])
def test_what_is_one(code: str, told: tuple[int, int, int]) -> None:
    assert status_codes.explain(code)[:3] == told


def status(text: str) -> list[dict[str, object]]:
    kind = "Content-Type: multipart/report; report-type=delivery-status; boundary=b"
    body = f"--b\nContent-Type: message/delivery-status\n\n{text}\n--b--\n"
    return content.read(message(kind, body=body.replace("\n", "\r\n"))).delivery_status


RECIPIENT = "Final-Recipient: rfc822; a@b\nAction: failed\nStatus: 5.1.1\n"


def test_an_empty_line_within_the_group_of_the_message() -> None:
    (row,) = status(
        f"Reporting-MTA: dns; mx\n\nOriginal-Envelope-Id: e\n\nDSN-Gateway: dns; g\n\n{RECIPIENT}"
    )
    assert (row["reporting_mta"], row["original_envelope_id"], row["dsn_gateway"]) == (
        "mx", "e", "g",
    )  # fmt: skip
    assert (row["final_recipient"], row["error"]) == ("a@b", "status-groups")


def test_no_recipient_in_any_group() -> None:
    (row,) = status("Reporting-MTA: dns; mx\n\nOriginal-Envelope-Id: e\n")
    assert (row["original_envelope_id"], row["error"]) == ("e", "no-recipient")


@pytest.mark.parametrize(
    ("field", "column", "value"),
    [
        ("Reported-URI: https://x/ (seen)", "reported_uris", ["https://x/"]),
        ("Reported-URI: (a (b)) https://x/(y) (z)", "reported_uris", ["https://x/(y)"]),
        ("Reported-URI: https://x/(y)", "reported_uris", ["https://x/(y)"]),
        ("Reported-Domain: example.com (seen)", "reported_domains", ["example.com"]),
        ("Original-Rcpt-To: <a@b> (seen)", "original_rcpt_to", ["a@b"]),
        ('Original-Mail-From: <"a (b"@c>', "original_mail_from", '"a (b"@c'),
    ],
)
def test_comments_of_feedback_reports(field: str, column: str, value: object) -> None:
    kind = "Content-Type: multipart/report; report-type=feedback-report; boundary=b"
    body = f"--b\nContent-Type: message/feedback-report\n\n{field}\n--b--\n"
    (row,) = content.read(message(kind, body=body.replace("\n", "\r\n"))).feedback_reports
    assert row[column] == value

"""What the index reads in fields and parts, one standard after another."""

from __future__ import annotations

import pytest

from index_oracle import row_of
from portarchive.index import addresses, authentication, content, dates, status_codes, words
from portarchive.index.addresses import Address

HEAD = b"From: Jane <jane@example.org>\r\nDate: Tue, 3 Nov 2026 10:00:01 +0100\r\n"


def message(*fields: str, body: str = "x") -> bytes:
    return HEAD + "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body.encode()


# --- text, addresses, dates ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text", "defect"),
    [
        (b"plain", "plain", None),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße", None),
        (b"=?utf-8?B?w6Q=?= =?utf-8?B?w7Y=?=", "äö", None),
        (b"=?utf-8?B?8J+O?= =?utf-8?B?uw==?=", "🎻", None),  # one character in two words
        (b"a =?iso-8859-1*en?Q?b_c?= d", "a b c d", None),
        (b"=?gb2312?B?1tDOxA==?=", "中文", None),
        ("Grüße".encode(), "Grüße", None),
        (b"Gr\xfc\xdfe", "Grüße", "charset-guessed"),
        (b"=?x-none?Q?abc?=", "=?x-none?Q?abc?=", "charset-unknown"),
        (b"=?utf-8?Q?=FF?=", "ÿ", "encoded-word-bad"),
        (b"=?idna?Q?xn--a?=", "=?idna?Q?xn--a?=", "charset-unknown"),
        (b"\x1b[2J", "\x1b[2J", None),  # data: whoever shows it makes it harmless
    ],
)
def test_text(value: bytes, text: str, defect: str | None) -> None:
    assert words.decode(value) == (text, defect)


def test_bare_octets_are_first_taken_for_the_charset_of_the_message() -> None:
    row = row_of(
        b"Subject: \xf0\xd2\xc9\xd7\xc5\xd4\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n"
    )
    assert (row["subject"], row["subject_raw"]) == ("Привет", r"\xf0\xd2\xc9\xd7\xc5\xd4")
    assert "charset-guessed" in row["defects"]


@pytest.mark.parametrize(
    ("value", "found", "good"),
    [
        (b"a@b", [("", "a@b")], True),
        (b'"Doe, Jane" <a@b>, c@d', [("Doe, Jane", "a@b"), ("", "c@d")], True),
        (b"a@b (Jane (J) Doe)", [("Jane (J) Doe", "a@b")], True),
        (b"Group: a@b, C <c@d>;", [("", "a@b"), ("C", "c@d")], True),
        (b"undisclosed-recipients:;", [], True),
        (b"pete . g @ example . org", [("", "pete.g@example.org")], True),
        (b"<@r1,@r2:a@b>", [("", "a@b")], True),
        (b'"a b"@example.org', [("", '"a b"@example.org')], True),
        (b"Jane Doe a@b", [("Jane Doe", "a@b")], True),
        (b"Jane", [("", "Jane")], False),
        (b"Jane Doe", [("Jane Doe", "")], False),
        (b'"unclosed <a@b>', [("unclosed", "a@b")], False),
        ("Ωμέγα <ω@b>".encode(), [("Ωμέγα", "ω@b")], True),
    ],
)
def test_addresses(value: bytes, found: list[tuple[str, str]], good: bool) -> None:
    assert addresses.parse(value) == (tuple(Address(*one) for one in found), good)


def test_what_was_no_address_is_kept_as_written() -> None:
    row = row_of(b"From: Jane\r\nTo: a@b\r\nTo: c@d\r\n\r\n")
    assert (row["from_address"], row["from_raw"], row["from_domain"]) == ("jane", "Jane", None)
    assert row["to_addresses"] == (("", "a@b"), ("", "c@d"))
    assert {"address-odd", "repeated-field", "date-missing"} <= set(row["defects"])


def test_a_date_of_another_zone_is_an_instant_with_its_offset() -> None:
    row = row_of(HEAD + b"\r\n")
    assert (row["date"], row["date_offset"]) == (1_793_696_401_000, 60)
    assert row["date_raw"] == "Tue, 3 Nov 2026 10:00:01 +0100"
    assert dates.parse(b"3 Nov 26 04:00 EST") == (1_793_696_400_000, -300)
    assert dates.parse(b"Thu, 31 Dec 1969 23:59:59 +0000") is None


def test_identifiers() -> None:
    row = row_of(
        message(
            "Message-ID: <a@b>",
            "In-Reply-To: Your mail of Monday <c@d>",
            "References: <e@f>\r\n <c@d> <e@f>",
        )
    )
    assert (row["message_id"], row["in_reply_to"]) == ("a@b", ["c@d"])
    assert row["reference_ids"] == ["e@f", "c@d"]


# --- lists and offers ---------------------------------------------------------------------------

ONE = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
WRONG = "List-Unsubscribe-Post: wrong-recipient=one-click"
URI = "List-Unsubscribe: <mailto:u@example.org>, <https://example.org/u?t=1>"


@pytest.mark.parametrize(
    ("fields", "one_click", "wrong_recipient"),
    [
        ([URI, ONE], True, False),
        ([URI, WRONG], False, True),
        ([URI], False, False),
        ([ONE], False, False),
        (["List-Unsubscribe: <mailto:u@example.org>", ONE], False, False),
        (["List-Unsubscribe: <https://a/>, <https://b/>", ONE], False, False),
        (["List-Unsubscribe: <https://a/>, <http://b/>", ONE], False, False),
        (["List-Unsubscribe: <https://a/>, <https://b/>", WRONG], False, True),
        ([URI, f"{ONE}, Wrong-Recipient=One-Click"], False, True),
        ([URI, "List-Unsubscribe-Post: Something=Else"], False, False),
    ],
)
def test_one_click_and_wrong_recipient(
    fields: list[str], one_click: bool, wrong_recipient: bool
) -> None:
    row = row_of(message(*fields))
    assert (row["one_click"], row["wrong_recipient"]) == (one_click, wrong_recipient)


def test_uris_in_order_and_the_post_as_written() -> None:
    row = row_of(message("List-ID: Some list <list.example.org>", URI, ONE))
    assert row["list_unsubscribe"] == ["mailto:u@example.org", "https://example.org/u?t=1"]
    assert row["list_unsubscribe_post"] == "List-Unsubscribe=One-Click"
    assert row["list_id"] == "list.example.org"


@pytest.mark.parametrize(
    ("signatures", "covered"),
    [
        ([], False),
        (["h=From:List-Unsubscribe:List-Unsubscribe-Post"], True),
        (["h=from : list-unsubscribe :\r\n list-unsubscribe-post"], True),
        (["h=From:List-Unsubscribe", "h=From:List-Unsubscribe-Post"], False),
    ],
)
def test_cover_by_one_signature(signatures: list[str], covered: bool) -> None:
    fields = [f"DKIM-Signature: v=1; d=Example.org; {tag}; b=abc" for tag in signatures]
    row = row_of(message(URI, ONE, *fields))
    assert row["dkim_covers_list_headers"] is covered
    assert row["dkim_domains"] == (["example.org"] if signatures else [])
    assert row_of(message(*fields))["dkim_covers_list_headers"] is None


def test_complaint_addresses() -> None:
    row = row_of(
        message(
            "CFBL-Address: fbl@example.com; report=xarf",
            "CFBL-Address: <two@example.com>",
            "CFBL-Feedback-ID: 111 : 222\r\n :333 (comment)",
        )
    )
    assert row["cfbl_addresses"] == [("fbl@example.com", "xarf"), ("two@example.com", "arf")]
    assert row["cfbl_feedback_id"] == "111:222:333"


@pytest.mark.parametrize(
    ("values", "at", "count", "valid"),
    [
        ([], None, 0, None),
        (["Mon, 1 Jan 2024 10:00:00 GMT"], 1_704_103_200_000, 1, True),
        (["1 Jan 24 10:00 EST"], 1_704_121_200_000, 1, True),
        (["on 1 Jan 2024 10:00:00 +0000"], 1_704_103_200_000, 1, False),
        (["never"], None, 1, False),
        (
            ["Mon, 1 Jan 2024 10:00:00 GMT", "never", "Tue, 2 Jan 2024 10:00:00 GMT"],
            1_704_189_600_000,
            3,
            True,
        ),
    ],
)
def test_expires(values: list[str], at: int | None, count: int, valid: bool | None) -> None:
    row = row_of(message(*(f"Expires: {value}" for value in values)))
    assert (row["expires_at"], row["expires_count"], row["expires_valid"]) == (at, count, valid)
    assert row["expires_ambiguous"] is (count > 1)
    assert ("expires-bad" in row["defects"]) is ("never" in values)


def test_expires_because_is_kept() -> None:
    assert row_of(message("Expires-Because: <b>sale</b>"))["expires_because"] == "<b>sale</b>"


# --- authentication -----------------------------------------------------------------------------


def test_authentication_results() -> None:
    value = (
        b'mx.example.org 1; spf=pass (a; b=c) smtp.mailfrom=a@b; DKIM/1 = fail reason="x; y";'
        b" dmarc=none"
    )
    assert authentication.results([value, b"other.example; none"]) == [
        ("mx.example.org", "spf", "pass"),
        ("mx.example.org", "dkim", "fail"),
        ("mx.example.org", "dmarc", "none"),
    ]


# --- parts --------------------------------------------------------------------------------------

MIXED = """--b
Content-Type: multipart/alternative; boundary=bb

--bb
Content-Type: text/plain

text
--bb
Content-Type: text/html

<p>
--bb--
--b
Content-Type: image/png; name="=?utf-8?Q?=C3=A4.png?="
Content-Transfer-Encoding: base64
Content-ID: <i@x>
Content-Disposition: inline

QUJD
RA==
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename*0*=utf-8''%E2%82%AC; filename*1=" rates.pdf"
Content-Transfer-Encoding: quoted-printable

a=20b=
c
--b
Content-Type: message/rfc822

Subject: within

--b
--b--
""".replace("\n", "\r\n")


def test_parts_and_attachments() -> None:
    octets = message("Content-Type: multipart/mixed; boundary=b", body=MIXED)
    found = content.read(octets)
    named = [(part[1], part[2], part[3], part[4], part[8]) for part in found.attachments]
    assert named == [
        ("2", "ä.png", "image/png", "inline", 4),
        ("3", "€ rates.pdf", "application/pdf", "attachment", 4),
        ("4", None, "message/rfc822", "attachment", 17),
    ]
    row = row_of(octets)
    assert row["content_types"] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "image/png",
        "application/pdf", "message/rfc822",
    ]  # fmt: skip
    assert (row["attachment_count"], row["inline_count"]) == (2, 1)
    assert row["attachment_names"] == ["ä.png", "€ rates.pdf"]
    assert row["attachment_size"] == 25
    assert found.attachments[0][6] == "i@x"


# --- reports ------------------------------------------------------------------------------------

STATUS = """--b

It failed.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Original-Envelope-Id: a+2Bb
Arrival-Date: Tue, 3 Nov 2026 10:00:00 +0000

Final-Recipient: rfc822;one@example.net
Action: failed (really)
Status: 5.1.1 (no such user)
Diagnostic-Code: smtp; 550 5.1.1 <one@example.net>:
 unknown (yes)
Remote-MTA: DNS; mx.example.net

Original-Recipient: rfc822;two@example.net
Final-Recipient: rfc822; 2@example.net
Action: delayed
Status: 4.9.88
Will-Retry-Until: Wed, 4 Nov 2026 10:00:00 +0000
--b
Content-Type: text/rfc822-headers

Message-ID: <sent@example.org>
Subject: hello
--b--
"""
REPORT_TYPE = "Content-Type: multipart/report; report-type=delivery-status; boundary=b"


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_delivery_status(line_end: str) -> None:
    octets = message(REPORT_TYPE, body=STATUS.replace("\n", line_end))
    found = content.read(octets)
    one, two = found.delivery_status
    assert one["final_recipient"] == "one@example.net"
    assert (one["action"], one["status"]) == ("failed", "5.1.1 (no such user)")
    assert (one["status_class"], one["subject"], one["detail"]) == (5, 1, 1)
    assert one["detail_text"] == "bad destination mailbox address"
    assert one["diagnostic_type"] == "smtp"
    assert one["diagnostic_text"] == "550 5.1.1 <one@example.net>: unknown (yes)"
    assert (one["remote_mta"], one["reporting_mta"]) == ("mx.example.net", "mx.example.org")
    assert (one["original_envelope_id"], one["error"]) == ("a+b", None)
    assert two["original_recipient"] == "two@example.net"
    assert (two["status_class"], two["subject_text"], two["detail_text"]) == (4, None, None)
    assert two["class_text"] == "persistent transient failure"
    assert two["will_retry_until"] == 1_793_786_400_000
    assert [row["original_message_id"] for row in (one, two)] == ["sent@example.org"] * 2
    assert found.attachments == []
    assert row_of(octets)["report_type"] == "delivery-status"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("Action: failed (really)\n", "", "no-action"),
        ("Action: failed (really)", "Action: eaten", "action-unknown"),
        ("Status: 5.1.1 (no such user)", "Status: bad", "status-bad"),
        ("Reporting-MTA: dns; mx.example.org\n", "", "no-reporting-mta"),
        ("+0000\n\nFinal", "+0000\nFinal", "status-groups"),
        ("Final-Recipient: rfc822;one@example.net\n", "", "no-final-recipient"),
    ],
)
def test_a_broken_status_is_kept_and_told(old: str, new: str, error: str) -> None:
    assert old in STATUS
    octets = message(REPORT_TYPE, body=STATUS.replace(old, new, 1).replace("\n", "\r\n"))
    rows = content.read(octets).delivery_status
    assert len(rows) == 2
    assert rows[0]["error"] == error


def test_status_codes() -> None:
    assert status_codes.explain("5.7.999").subject_text == "security or policy"
    assert status_codes.explain("5.7") == status_codes.NONE
    assert status_codes.explain("2.1.5.1") == status_codes.NONE


FEEDBACK = """--b

complaint
--b
Content-Type: message/feedback-report

Feedback-Type: Abuse
User-Agent: Sorter/1.0
Version: 1
Original-Mail-From: <bounce@example.com>
Original-Rcpt-To: <jane@example.org>
Original-Rcpt-To: <joe@example.org>
Source-IP: 192.0.2.1
Incidents: 3
Reported-Domain: example.com
Reported-URI: https://example.com/
Arrival-Date: Tue, 3 Nov 2026 10:00:00 +0000
--b
Content-Type: message/rfc822

Message-ID: <sent@example.com>
CFBL-Feedback-ID: 1 : 2

redacted
--b--
"""
FEEDBACK_TYPE = "Content-Type: multipart/report; report-type=feedback-report; boundary=b"


def test_feedback_report() -> None:
    octets = message(FEEDBACK_TYPE, body=FEEDBACK.replace("\n", "\r\n"))
    (row,) = content.read(octets).feedback_reports
    assert row == {
        "ordinal": 0,
        "feedback_type": "abuse",
        "user_agent": "Sorter/1.0",
        "version": "1",
        "original_mail_from": "bounce@example.com",
        "original_rcpt_to": ["jane@example.org", "joe@example.org"],
        "original_envelope_id": None,
        "arrival_date": 1_793_700_000_000,
        "reporting_mta": None,
        "source_ip": "192.0.2.1",
        "incidents": 3,
        "authentication_results": [],
        "reported_domains": ["example.com"],
        "reported_uris": ["https://example.com/"],
        "original_message_id": "sent@example.com",
        "cfbl_feedback_id": "1:2",
        "errors": [],
    }


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("Version: 1\n", "", "no-version"),
        ("Version: 1", "Version: 1\nVersion: 1", "repeated-version"),
        ("Incidents: 3", "Received-Date: Tue, 3 Nov 2026 10:00:00 +0000", "two-arrival-dates"),
        ("message/rfc822", "text/plain", "no-original"),
    ],
)
def test_a_malformed_report_is_kept_and_told(old: str, new: str, error: str) -> None:
    octets = message(FEEDBACK_TYPE, body=FEEDBACK.replace(old, new, 1).replace("\n", "\r\n"))
    (row,) = content.read(octets).feedback_reports
    assert error in row["errors"]

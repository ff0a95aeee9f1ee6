"""Messages that break rules which a reader of headers and parts has to survive, by name."""

from __future__ import annotations

from collections.abc import Iterator

HEAD = b"From: Jane <jane@example.org>\r\nSubject: defect\r\n"


def _lines(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n"


def _field(line: bytes) -> bytes:
    return line + b"\r\n" + HEAD + b"\r\nbody\r\n"


def _mixed(*lines: bytes) -> bytes:
    head = HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + _lines(*lines)


FIELDS = (
    b"From: a@b, c@d,, ,e@f,",
    b"From: <>",
    b"From: <<a@b>>",
    b'From: "unclosed <a@b>',
    b"From: (comment (nested) a@b",
    b"From: a@b (name",
    b"From: =?utf-8?B?w6Q=?= =?utf-8?B?w7Y=?= <a@b>",
    b"From: =?utf-8?B?w6Q <a@b>",
    b"From: =?x-none?Q?abc?= <a@b>",
    b"From: =?utf-8?Q?a=ZZ=?= <a@b>",
    b"From: group: a@b, c@d; e@f",
    b"From: undisclosed-recipients:;",
    b"From: a b c d",
    b'From: "a\\"b\\\\" <a@b>',
    b"From: a . b @ c . d",
    b'From: "quoted local"@example.org',
    b"From: <@route,@other:a@b>",
    b"From: a@[192.0.2.1]",
    b"From: \xfcmlaut@example.org",
    "From: Ωμέγα <ω@example.org>".encode(),
    b"From: mailto:a@b",
    b"From: a@b> c",
    b"From: ,,,,,",
    b"From: \0<a@b>",
    b"From: " + b"(" * 5000,
    b"From: " + b'"' * 5001,
    b"From: " + b"<" * 5000,
    b"From: " + b"a@" * 5000,
    b"From: " + b"\\" * 5000,
    b"To: " + b"=?a?q?x" * 3000,
    b"Subject: =?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=",
    b"Subject: =?utf-7?Q?+2AA-?=",
    b"Subject: =?idna?Q?xn--a?=",
    b"Subject: =?unicode_escape?Q?=5Cud800?=",
    b"Subject: =?zip?B?eA==?=",
    b"Subject: =?utf-8?B?" + b"A" * 9000 + b"?=",
    b"Subject: " + b"x" * 100_000,
    b"Subject:",
    b"Subject : blank before the colon",
    b"subject: lower case",
    b"SUBJECT:no blank",
    b"Date:",
    b"Date: Thu, 31 Dec 1969 23:59:59 +0000",
    b"Date: Mon, 32 Jan 2024 10:00:00 +0000",
    b"Date: Mon, 1 Jan 99999 10:00:00 +0000",
    b"Date: Mon, 1 Jan 2024 24:00:00 +0000",
    b"Date: Mon, 1 Jan 2024 10:00:00 +9999",
    b"Date: 2024-01-01T10:00:00Z",
    b"Date: " + b"(" * 3000,
    b"Date: 1 Jan 24 10:00 EST",
    b"Message-ID: no brackets",
    b"Message-ID: <>",
    b"Message-ID: <a b\t@c>",
    b"Message-ID: <" + b"i" * 3000 + b"@x>",
    b"Message-ID: \xff\xfe",
    b"References: " + b"<r@x> " * 3000,
    b"References: <<<<<>>>>>",
    b"In-Reply-To: Your message of yesterday <a@b>",
    b"Content-Type: multipart/mixed",
    b"Content-Type: multipart/mixed; boundary",
    b'Content-Type: multipart/mixed; boundary="',
    b"Content-Type: /",
    b"Content-Type: text",
    b"Content-Type: ;;;;",
    b"Content-Type: text/plain; charset*0=a; charset*999=b; charset*x=c",
    b"Content-Type: text/plain; charset*=utf-8''%zz%",
    b"Content-Type: text/plain;" + b" a=b;" * 3000,
    b"Content-Type: text/plain;" + b" " * 60_000 + b"x",
    b"Content-Type: text/plain; name=" + b"(" * 3000,
    b"Content-Transfer-Encoding: base64",
    b'Content-Disposition: attachment; filename="=?utf-8?B?4pyT?=.txt"',
    b"List-Unsubscribe: <https://a.example/>, <",
    b"List-Unsubscribe: " + b"<https://a.example/> " * 500,
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click&Wrong-Recipient=One-Click",
    b"Expires: never",
    b"Expires: Mon, 1 Jan 2024 10:00:00 GMT\r\nExpires: Mon, 1 Jan 2025 10:00:00 GMT",
    b"DKIM-Signature: h=" + b":a" * 5000 + b"; d=x",
    b"DKIM-Signature: ;;;==;h",
    b"Authentication-Results: ;;;;",
    b"Authentication-Results: " + b"(" * 3000,
    b'Authentication-Results: mx.example.org; spf="',
    b"CFBL-Address: ;report=arf",
    b": a field without a name",
    b"=?utf-8?Q?Sub?=: x",
    b"X\x00Y: z",
)
"""Each is put before a header that is fine."""

PARTS: dict[str, bytes] = {
    "a part without empty line": _mixed(b"--b", b"Content-Type: text/plain", b"--b--"),
    "an empty part": _mixed(b"--b", b"--b", b"--b--"),
    "a boundary that begins another": _mixed(b"--bb", b"", b"no", b"--b", b"", b"yes", b"--b--"),
    "blanks behind a boundary": _mixed(b"--b  \t", b"", b"one", b"--b-- ", b"after"),
    "text behind a boundary": _mixed(b"--b x", b"", b"one", b"--b--x"),
    "the end first": _mixed(b"--b--", b"", b"--b", b"", b"x"),
    "a boundary within a line": _mixed(b"x --b", b"--b", b"", b"y --b--", b"--b--"),
    "base64 without padding": _mixed(
        b"--b",
        b"Content-Type: image/png",
        b"Content-Transfer-Encoding: base64",
        b"",
        b"QUJDR",
        b"--b--",
    ),
    "a file name with a path": _mixed(
        b"--b",
        b'Content-Disposition: attachment; filename="..\\..\\etc/passwd"',
        b"",
        b"x",
        b"--b--",
    ),
    "a file name of controls": _mixed(
        b"--b",
        b"Content-Disposition: attachment; filename*=utf-8''%1b%5b2J%00",
        b"",
        b"x",
        b"--b--",
    ),
    "a digest": (
        HEAD
        + b"Content-Type: multipart/digest; boundary=b\r\n\r\n"
        + b"--b\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n"
    ),
    "a report without its part": (
        HEAD + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\nit failed\r\n--b--\r\n"
    ),
    "a status part of rubbish": _mixed(
        b"--b", b"Content-Type: message/delivery-status", b"", b"\xff\x00", b"", b"=;", b"--b--"
    ),
    "a feedback report of rubbish": _mixed(
        b"--b",
        b"Content-Type: message/feedback-report",
        b"",
        b"Incidents: 99999999999999",
        b"--b--",
    ),
    "two thousand parts": _mixed(*[b"--b", b"", b"x"] * 2000, b"--b--"),
    "CR alone between parts": _mixed(b"--b", b"", b"one", b"--b--").replace(b"\r\n", b"\r"),
    "a header of a million empty names": b":\n" * 1_000_000,
    "a header of line ends and blanks": b" \n" * 100_000 + b"\n",
}


def every() -> Iterator[tuple[str, bytes]]:
    """All of them."""
    for number, line in enumerate(FIELDS):
        yield f"field {number}: {line[:30]!r}", _field(line)
    yield from PARTS.items()

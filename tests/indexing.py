"""Archives to be indexed and asked, small ones, with mail that is worth asking for."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from exporting import export
from portarchive.archive.contents import open_contents
from portarchive.connectors.memory import MemorySource
from portarchive.index.build import build
from portarchive.index.place import locate

HOSTILE = "Evil\x1b[31m\u202e<script>alert(1)</script>'\"&"
TEXT = "Dear Jane,\r\n\r\nthe harpsichord\r\nbuzzes. Stra\u00dfe, \u00e9t\u00e9.\r\n"


def mail(
    subject: str, sender: str = "Jane <jane@example.org>", body: str = "x\r\n", **more: str
) -> bytes:
    """A message; ``more`` are further fields, with ``_`` for ``-``."""
    fields = {
        "From": sender,
        "To": "Ida Lindqvist <ida@example.net>",
        "Date": "Mon, 1 Jan 2024 10:00:00 +0000",
        "Subject": subject,
        "Message-ID": f"<{zlib.crc32(subject.encode())}@example.org>",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{head}\r\n{body}".encode()


def with_attachment(subject: str) -> bytes:
    body = (
        "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        "<p>A <b>quiet</b>\r\n word &amp; more<script>hidden()</script></p>\r\n"
        "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment;"
        ' filename="Rechnung \u00dc.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n'
        "--b--\r\n"
    )
    return mail(
        subject, "Karin <karin@example.net>", body, Content_Type='multipart/mixed; boundary="b"'
    )


BOUNCE = mail(
    "Undelivered",
    "MAILER-DAEMON@example.org",
    "--r\r\n\r\nIt did not arrive.\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\n"
    "Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; gone@example.com\r\n"
    "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n--r--\r\n",
    Content_Type='multipart/report; report-type=delivery-status; boundary="r"',
)


def account() -> MemorySource:
    """Nine messages and one that is kept."""
    found = MemorySource()
    found.create_folder("Work", roles=("archive",))
    found.create_folder("Work/2019")
    found.create_folder((HOSTILE,))
    at = "2024-0{}-15T12:00:00+01:00"
    found.add(mail("A harpsichord that buzzes", body=TEXT), flags=["$seen"], received=at.format(1))
    found.add(with_attachment("Rechnung f\u00fcr M\u00e4rz"), received=at.format(2))
    found.add(
        mail(
            "News", "Shop <news@shop.example>", List_Unsubscribe="<https://shop.example/u>",
            List_Unsubscribe_Post="List-Unsubscribe=One-Click", List_Id="<news.shop.example>",
            Expires="Mon, 1 Jan 2024 00:00:00 +0000",
        ),
        received=at.format(3),
    )  # fmt: skip
    found.add(BOUNCE, flags=["$seen"], received=at.format(4))
    found.add(mail("Twice", body="same\r\n"), "Work", flags=["$flagged"], received=at.format(5))
    found.add(mail("Twice", body="same\r\n"), "Work/2019", received=at.format(5))
    found.add(
        mail(HOSTILE, f'"{HOSTILE[:4]}=cmd" <evil@example.com>'),
        [(HOSTILE,)],
        received=at.format(6),
    )
    found.add(mail("=HYPERLINK(1)", body="y" * 5000), "Work", received=at.format(7))
    found.add(mail("gone", Date=""), received="1999-12-31T23:59:59+00:00")
    return found


def archive(path: Path, **options: Any) -> Path:
    """It, exported; the message ``gone`` was deleted before the second run."""
    source = account()
    export(source, path, **options)
    source.expunge("INBOX", 5)
    export(source, path, **options)
    return path


def indexed(path: Path) -> Path:
    """The same with its index; gives the directory of the index."""
    archive(path)
    with open_contents(path) as contents:
        place = locate(path, contents)
        build(contents, place, jobs=1)
    return place

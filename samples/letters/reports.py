"""What machines report: bounces, receipts, complaints, absences. Jane looks after a list."""

from __future__ import annotations

from compose import Letter, Part, attachment, crlf, letter, multipart, text
from letters.people import JANE, MARGARET, SECRETARY

DAEMON = "Mail Delivery System <MAILER-DAEMON@mail.example.org>"
FOLDER = "Postmaster"
LETTER_HEAD = """
From: Jane Lindqvist (Swift Watch) <secretary@swifts.example.net>
To: Swift Watch <swifts@lists.example.net>
Subject: Swift letter for October
Date: Thu, 1 Oct 2026 18:00:00 +0200
Message-ID: <20261001180000.0C70BE12@swifts.example.net>
CFBL-Address: complaints@swifts.example.net; report=arf
CFBL-Feedback-ID: letter:2026-10:0117
"""


def letters() -> list[Letter]:
    return [*delivery(), *receipts(), *complaints()]


def report(kind: str, words: str, status: str, status_type: str, third: Part, **how: str) -> Part:
    """RFC 6522: the text for people, the fields for programs, the message it is about."""
    parts = (text(words), Part((f"Content-Type: {status_type}",), crlf(status).encode()), third)
    return multipart("report", *parts, params=f" report-type={kind};", **how)


def headers_only() -> Part:
    return Part(("Content-Type: text/rfc822-headers",), crlf(LETTER_HEAD).encode())


def whole(words: str) -> Part:
    return Part(("Content-Type: message/rfc822",), crlf(LETTER_HEAD + "\n" + words).encode())


def delivery() -> list[Letter]:
    failed = letter(
        "bounce-failed",
        DAEMON,
        "swifts-bounces@lists.example.net",
        "Undelivered Mail Returned to Sender",
        "2026-10-01T18:00:09+02:00",
        report(
            "delivery-status",
            """
            This is the mail system at host mail.example.org.

            <uwe@example.com>: unknown user. Uwe moved in August and took his
            address with him.

            <birgit@example.net>: the mailbox is full. We shall go on trying.
            """,
            """
            Reporting-MTA: dns; mail.example.org
            X-Postfix-Queue-ID: 4F1C9
            Arrival-Date: Thu, 1 Oct 2026 18:00:00 +0200

            Original-Recipient: rfc822;uwe@example.com
            Final-Recipient: rfc822; uwe@example.com
            Action: failed
            Status: 5.1.1
            Remote-MTA: dns; mx.example.com
            Diagnostic-Code: smtp; 550 5.1.1 <uwe@example.com>: Recipient address
                rejected: User unknown in virtual mailbox table

            Final-Recipient: RFC822; birgit@example.net
            Action: delayed (and it may well stay so)
            Status: 4.2.2
            Remote-MTA: dns; mx.example.net
            Diagnostic-Code: smtp; 452 4.2.2 mailbox full, 1,204 unread
            Will-Retry-Until: Tue, 6 Oct 2026 18:00:00 +0200
            """,
            "message/delivery-status",
            headers_only(),
            boundary="4F1C9.1790870409/mail.example.org",
        ),
        folder=FOLDER,
        flags=r"\Seen",
        extra=("Auto-Submitted: auto-replied",),
    )
    late = letter(
        "bounce-late-failed",
        DAEMON,
        "swifts-bounces@lists.example.net",
        "Undelivered Mail Returned to Sender",
        "2026-10-06T18:01:00+02:00",
        report(
            "delivery-status",
            "<birgit@example.net>: gave up after five days. The mailbox is still full.",
            """
            Reporting-MTA: dns; mail.example.org

            Final-Recipient: rfc822; birgit@example.net
            Action: failed
            Status: 4.4.7
            Diagnostic-Code: X-Postfix; delivery temporarily suspended
            """,
            "message/delivery-status",
            whole("Dear friends,\n\nthey have gone. The sky is quiet, and rather large.\n\nJane\n"),
        ),
        folder=FOLDER,
        flags="todo",
    )
    broken = letter(
        "bounce-broken",
        DAEMON,
        "swifts-bounces@lists.example.net",
        "failure notice",
        "2026-10-02T03:00:00-07:00",
        Part(
            ('Content-Type: multipart/report; report-type="delivery-status"; boundary=X',),
            b"--X\r\n\r\nHi. This is the program. I could not deliver it and I do not know why.\r\n"
            b"--X\r\nContent-Type: message/delivery-status\r\n\r\n"
            b"Reporting-MTA: dns; relay.example.com\r\nFinal-Recipient: rfc822; carla@example.com\r\n"
            b"Action: exploded\r\nStatus: 5.99.1234\r\n--X--\r\n",
        ),
        folder=FOLDER,
        flags=r"\Seen",
        received="2026-10-02T03:00:19-07:00",
    )
    relayed = letter(
        "bounce-international",
        DAEMON,
        JANE,
        "Delivered: your letter to Ioannis",
        "2026-07-09T09:00:00+03:00",
        report(
            "delivery-status",
            "It is there. You asked to be told.",
            """
            Reporting-MTA: dns; mx.example.org

            Final-Recipient: utf-8; ιωάννης@example.org
            Action: delivered
            Status: 2.0.0
            """,
            "message/global-delivery-status",
            Part(
                ("Content-Type: message/global-headers",),
                crlf("Subject: Ένα κλειδόχορδο\nTo: ιωάννης@example.org").encode(),
            ),
        ),
        folder=FOLDER,
        flags=r"\Seen",
        received="2026-07-09T09:00:02+03:00",
    )
    return [unsigned_path(failed), unsigned_path(late), broken, unsigned_path(relayed)]


def unsigned_path(bounce: Letter) -> Letter:
    """A bounce has the empty reverse-path (RFC 5321 section 4.5.5)."""
    octets = bounce.octets.replace(
        b"Return-Path: <MAILER-DAEMON@mail.example.org>", b"Return-Path: <>", 1
    )
    return Letter(bounce.slug, octets, bounce.places, bounce.message_id, bounce.references)


def receipts() -> list[Letter]:
    request = letter(
        "receipt-request",
        "Office of Monuments <office@town.example.org>",
        JANE,
        "Permit 88/2026: twelve nest boxes, north side",
        "2026-10-14T09:00:00+02:00",
        text(
            """
            The permit is granted. Please confirm that you have read this. The boxes
            are to be grey. It has been discussed which grey.
            """
        ),
        folder="Swifts/Committee",
        flags=r"\Seen $MDNSent",
        extra=("Disposition-Notification-To: office@town.example.org",),
    )
    receipt = letter(
        "receipt-displayed",
        MARGARET,
        SECRETARY,
        "Read: Swift letter for October",
        "2026-10-02T07:30:00+02:00",
        report(
            "disposition-notification",
            "Margaret has displayed your letter. Whether she has read it is not known.",
            """
            Reporting-UA: margarets-tablet; Postbox 7
            Original-Recipient: rfc822;margaret@example.org
            Final-Recipient: rfc822;margaret@example.org
            Original-Message-ID: <20261001180000.0C70BE12@swifts.example.net>
            Disposition: manual-action/MDN-sent-manually; displayed
            """,
            "message/disposition-notification",
            headers_only(),
        ),
        folder=FOLDER,
        flags=r"\Seen",
    )
    away = letter(
        "away-henrik",
        "Henrik Aas <henrik.aas@example.net>",
        SECRETARY,
        "Automatic reply: Swift letter for October",
        "2026-10-01T18:00:04+02:00",
        text(
            """
            I am in Gibraltar, where they pass over. Back on the 9th.

            In urgent cases please count for me, but count properly.
            """
        ),
        folder=FOLDER,
        flags=r"\Seen $notify",
        extra=("Auto-Submitted: auto-replied", "X-Auto-Response-Suppress: All", "Precedence: bulk"),
    )
    own = letter(
        "away-jane",
        JANE,
        "Octavia Bell <o.bell@example.com>",
        "Automatic reply: Friday?",
        "2026-06-30T12:00:01+02:00",
        text(
            "We are on a roof until Friday, counting. The lathe cannot read.\n\nLindqvist & Ferreira"
        ),
        folder="Sent",
        flags=r"\Seen $autosent",
        extra=("Auto-Submitted: auto-replied",),
    )
    return [request, receipt, away, own]


def complaints() -> list[Letter]:
    abuse = letter(
        "complaint-abuse",
        "Feedback Loop <fbl@provider.example.com>",
        "complaints@swifts.example.net",
        "Complaint about message from 192.0.2.25",
        "2026-10-03T11:11:11+00:00",
        report(
            "feedback-report",
            """
            This is an email abuse report for a message received from IP address
            192.0.2.25 on Thu, 1 Oct 2026 18:00:31 +0200. A user pressed the button.
            """,
            """
            Feedback-Type: abuse
            User-Agent: ExampleFBL/2.4
            Version: 1
            Original-Mail-From: <swifts-bounces@lists.example.net>
            Original-Rcpt-To: <redacted@provider.example.com>
            Arrival-Date: Thu, 1 Oct 2026 18:00:31 +0200
            Reporting-MTA: dns; mx.provider.example.com
            Source-IP: 192.0.2.25
            Reported-Domain: swifts.example.net
            Reported-URI: https://swifts.example.net/letters/2026-10
            Authentication-Results: mx.provider.example.com;
             spf=pass smtp.mailfrom=lists.example.net
            Incidents: 1
            """,
            "message/feedback-report",
            whole("Dear friends,\n\nthey have gone. The sky is quiet, and rather large.\n\nJane\n"),
        ),
        folder=FOLDER,
        flags=r"\Seen \Flagged $MailFlagBit1",
        received="2026-10-03T11:11:14+00:00",
    )
    sorry = letter(
        "complaint-not-spam",
        "Feedback Loop <fbl@provider.example.com>",
        "complaints@swifts.example.net",
        "Correction: not spam, message from 192.0.2.25",
        "2026-10-03T11:12:40+00:00",
        report(
            "feedback-report",
            "The same user has pressed the other button.",
            """
            Feedback-Type: not-spam
            User-Agent: ExampleFBL/2.4
            Version: 1
            Source-IP: 192.0.2.25
            X-Remark: the buttons lie close together
            """,
            "message/feedback-report",
            headers_only(),
        ),
        folder=FOLDER,
        flags=r"\Seen",
        received="2026-10-03T11:12:41+00:00",
    )
    auth = letter(
        "complaint-auth-failure",
        "postmaster@provider.example.com",
        "complaints@swifts.example.net",
        "FW: swifts Digest, Vol 19, Issue 40",
        "2026-10-09T13:30:00+00:00",
        report(
            "feedback-report",
            "A message that names your domain failed our checks. A list had changed it.",
            """
            Feedback-Type: auth-failure
            User-Agent: ExampleDMARC/1.0
            Version: 1
            Auth-Failure: dkim
            Delivery-Result: delivered
            Received-Date: Fri, 9 Oct 2026 12:00:20 +0000
            Arrival-Date: Fri, 9 Oct 2026 12:00:20 +0000
            Source-IP: 2001:db8::42
            """,
            "message/feedback-report",
            headers_only(),
        ),
        folder=FOLDER,
        received="2026-10-09T10:00:30-03:30",
    )
    dmarc = letter(
        "complaint-statistics",
        "noreply@provider.example.com",
        "complaints@swifts.example.net",
        "Report Domain: swifts.example.net Submitter: provider.example.com",
        "2026-10-04T00:10:00+00:00",
        multipart(
            "mixed",
            text("One day, four messages, all as they should be."),
            attachment(
                b'<?xml version="1.0"?>\r\n<feedback><report_metadata><org_name>provider.example.com</org_name>'
                b"<report_id>20261003.4</report_id></report_metadata><record><row><source_ip>192.0.2.25</source_ip>"
                b"<count>4</count></row></record></feedback>\r\n",
                "text/xml",
                "attachment;\n filename=provider.example.com!swifts.example.net!1790985600!1791071999.xml",
            ),
        ),
        folder=FOLDER,
        flags=r"\Seen",
        received="2026-10-04T00:10:07+00:00",
    )
    return [abuse, sorry, auth, dmarc]

# ruff: noqa: RUF001 - typography as newsletters have it
"""Newsletters, offers that have expired, junk, the bin, and the provider's own mail."""

from __future__ import annotations

import base64
import hashlib

from compose import Letter, Part, html, letter, multipart, text, word
from letters.people import JANE

MUSEUM_LIST = (
    "List-Id: Museum of Sound <letter.museum.example.org>",
    "List-Unsubscribe: <https://museum.example.org/u/7Qk2>,\n <mailto:leave@museum.example.org?subject=7Qk2>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)


def letters() -> list[Letter]:
    return [*newsletters(), *expiring(), *unwanted(), *household()]


def signed_list(part: Part, domain: str, *more: str) -> str:
    """A DKIM-Signature field as senders add it (RFC 6376). Its body hash is right; the signature is not one."""
    digest = base64.b64encode(hashlib.sha256(part.body).digest()).decode()
    seal = base64.b64encode(hashlib.sha512(part.body).digest()).decode()
    covered = ":".join(("from", "to", "subject", "date", "message-id", *more))
    return (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d={domain}; s=letters;\n"
        f"\th={covered};\n\tbh={digest};\n\tb={seal[:70]}\n\t {seal[70:]}"
    )


def newsletters() -> list[Letter]:
    part = multipart(
        "alternative",
        text(
            """
            THE MUSEUM OF SOUND, NOVEMBER

            Thursday: the unfretted clavichord of 1784 goes on loan. We asked it how it
            felt. It said something, but too softly.

            Sunday, 11 h: how a bell is tuned, and what is done with the other bells.

            You get this because you left your address in the guest book in 2024, under
            "the gong could be louder".
            """
        ),
        html(
            """
            <html><head><style>h1{font:small-caps 24px serif}</style></head><body>
            <h1>The Museum of Sound, November</h1>
            <p><b>Thursday:</b> the unfretted clavichord of 1784 goes on loan. We asked it how it felt.
            It said something, but too softly.</p>
            <p><b>Sunday, 11 h:</b> how a bell is tuned, and what is done with the other bells.</p>
            <img src="https://museum.example.org/pixel/7Qk2.gif" width="1" height="1" alt="">
            <p><a href="https://museum.example.org/u/7Qk2">no more letters</a></p>
            </body></html>
            """
        ),
    )
    museum = letter(
        "museum-november",
        '"The Museum of Sound" <letter@museum.example.org>',
        JANE,
        word("November: a bell, and the other bells 🔔"),
        "2026-11-01T08:00:00+01:00",
        part,
        folder="Newsletters",
        flags=r"\Seen $canunsubscribe",
        extra=(
            signed_list(part, "museum.example.org", "list-unsubscribe", "list-unsubscribe-post"),
            *MUSEUM_LIST,
        ),
    )
    tea = letter(
        "tea-weekly",
        '"Leaf by Leaf" <hello@tea.example.com>',
        "jane+tea@example.org",
        word("This week: a tea that has been to sea – and back"),
        "2026-11-12T05:45:00+00:00",
        html(
            """
            <html><body><p>It went out as cargo and came back as ballast. Notes of rope.</p>
            <p><small>Leaf by Leaf, 1 Example Quay. You bought a kettle once.</small></p></body></html>
            """
        ),
        folder="Newsletters",
        flags=r"$canunsubscribe $unsubscribed $maskedemail",
        received="2026-11-12T05:45:31+00:00",
        extra=(
            "List-Id: <weekly.tea.example.com>",
            "List-Unsubscribe: <https://tea.example.com/out?c=91b3&w=46>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "CFBL-Address: fbl@tea.example.com; report=arf",
            "CFBL-Feedback-ID: 46:91b3: weekly",
            "Feedback-ID: 46:weekly:tea",
        ),
    )
    rail = letter(
        "rail-wrong-recipient",
        '"Northern Rail" <tickets@rail.example.com>',
        "jane@example.org",
        "Your season ticket, Mr Janne Lindkvist",
        "2026-10-31T06:30:00+01:00",
        text(
            """
            Dear Mr Lindkvist,

            your season ticket Malmo - Lund is ready. It is valid from tomorrow.

            Not Mr Lindkvist? Then somebody has mistyped an address. Tell us with one
            click, and we stop writing to you and start looking for him.
            """
        ),
        folder="Newsletters",
        flags=r"\Seen",
        extra=(
            "List-Unsubscribe: <https://rail.example.com/not-me/5f0d2c?account=88121>",
            "List-Unsubscribe-Post: Wrong-Recipient=One-Click",
        ),
    )
    strings = letter(
        "strings-digest",
        "early-strings@lists.example.org",
        "early-strings@lists.example.org",
        "[early-strings] what is brown, and rings",
        "2026-09-05T21:00:00-04:00",
        text(
            """
            Brass. Thank you for the forty-one answers. The list rules ask me to sum
            them up: it is brass, nine of you are poets, and one of you is a dealer.
            """,
            params="; format=flowed; delsp=yes",
        ),
        folder="newsletters",
        flags=r"\Seen \Answered",
        received="2026-09-05T21:00:50-04:00",
        extra=(
            "List-Id: <early-strings.lists.example.org>",
            "List-Unsubscribe: <mailto:early-strings-off@lists.example.org>",
        ),
    )
    return [museum, tea, rail, strings]


def expiring() -> list[Letter]:
    """The Expires header field (RFC 10080): past, future, malformed, twice."""
    past = letter(
        "offer-plums",
        '"Orchard at the Mill" <orchard@example.com>',
        JANE,
        "Plums, until Friday",
        "2026-09-14T10:00:00+02:00",
        text(
            "Four kilos for the price of three, as they are falling faster than we can weigh.\n\nThe mill"
        ),
        folder="Newsletters",
        flags=r"\Seen",
        extra=("Expires: Fri, 18 Sep 2026 18:00:00 +0200",),
    )
    future = letter(
        "offer-organ",
        '"St Mary, concerts" <concerts@stmary.example.org>',
        JANE,
        word("Early birds: the whole of the Art of Fugue, twelve evenings", "utf-8", "Q"),
        "2026-11-10T09:00:00+01:00",
        text(
            """
            Whoever books before Christmas sits by the heating. The last fugue stops in
            the middle, as it does; we shall then all go home quietly.
            """
        ),
        folder="Newsletters",
        flags=r"\Flagged $MailFlagBit2 $Important",
        extra=("Expires: Thu, 24 Dec 2026 12:00:00 +0100 (Christmas Eve, noon)",),
    )
    malformed = letter(
        "offer-shop",
        "shop@hardware.example.net",
        JANE,
        "white glue, half price",
        "2026-11-18T08:00:00+01:00",
        text("We know that you said no. Half price."),
        folder="newsletters",
        extra=("Expires: when it is gone", "Expires-Because: shelf"),
    )
    twice = letter(
        "offer-library",
        "library@town.example.org",
        JANE,
        "Kept for you: The Care of Quills",
        "2026-11-13T12:00:00+01:00",
        text(
            "We keep the book for ten days. In fact for two weeks, but please do not tell anybody."
        ),
        folder="INBOX",
        flags=r"\Seen todo",
        extra=("Expires: 23 Nov 26 18:00 GMT", "Expires: Fri, 27 Nov 2026 18:00:00 +0100"),
    )
    return [past, future, malformed, twice]


def unwanted() -> list[Letter]:
    prince = letter(
        "junk-inheritance",
        "Barrister Mr. Harold Hum <hum@chambers.example.net>",
        "undisclosed-recipients:;",
        "DEAR BENEFICIARY OF A TUNING FORK",
        "2026-11-11T03:33:33+00:00",
        text(
            """
            I am barrister to a late client who left one (1) TUNING FORK OF SOLID GOLD and
            no next of kin. It sounds at 440 and weighs the same. Kindly send the costs
            of shipment, viz. 900, and the name of your bank, and of your cat.
            """
        ),
        folder="Junk",
        flags="$Junk Junk",
        received="2026-11-11T03:33:40+00:00",
        extra=("X-Spam-Flag: YES", "X-Spam-Score: 14.4"),
    )
    phish = letter(
        "junk-phishing",
        '"jane@example.org Helpdesk" <helpdesk@examp1e.example.com>',
        JANE,
        word("⚠️ Уour mailbox is 99% full"),
        "2026-11-15T02:00:00+00:00",
        html(
            """
            <p>Dear jane@example.org, your mailbox will be <b>stopped</b>.</p>
            <p><a href="https://login.example.com.mailbox-check.example.net/?u=jane">https://mail.example.org/</a></p>
            """
        ),
        folder="Junk",
        flags=r"\Seen $Junk $Phishing",
        received="2026-11-15T02:00:03+00:00",
    )
    pills = letter(
        "junk-no-date",
        "L0wer Pr1ces <x@example.net>",
        JANE,
        "rosin rosin rosin",
        "2026-11-17T01:00:00+00:00",
        text("R0SIN 4 Y0UR B0W, n0 prescripti0n"),
        folder="Junk",
        flags="$Junk",
        received="2026-11-17T01:00:59+12:45",
    )
    deleted = letter(
        "trash-webinar",
        '"Growth Academy" <academy@example.com>',
        JANE,
        "Jane, scale your harpsichord business",
        "2026-11-09T07:00:00+01:00",
        text("Five steps to ten times the harpsichords. Step one is not to build them by hand."),
        folder="Trash",
        flags=r"\Seen \Deleted",
    )
    coupon = letter(
        "trash-coupon",
        "coupons@hardware.example.net",
        JANE,
        "10% off everything but screws",
        "2026-11-10T07:00:00+01:00",
        text("Screws excepted. You know why."),
        folder="Trash",
        flags=r"\Deleted",
        extra=("Expires: Tue, 10 Nov 2026 20:00:00 +0100",),
    )
    return [prince, phish, without_date(pills), deleted, coupon]


def without_date(junk: Letter) -> Letter:
    """Junk that does not say when it was written."""
    octets = junk.octets.replace(b"Date: Tue, 17 Nov 2026 01:00:00 +0000\r\n", b"", 1)
    return Letter(junk.slug, octets, junk.places, junk.message_id, junk.references)


def household() -> list[Letter]:
    welcome = letter(
        "welcome",
        "Example Mail <postmaster@example.org>",
        "jane@example.org",
        "Welcome, and where the things are",
        "2019-07-30T21:00:00+02:00",
        multipart(
            "alternative",
            text(
                """
                Welcome to Example Mail.

                Your old mail has come along and lies in "Old post". The folders have the
                names that they had; where a name was not possible we have kept it anyway.

                Nobody here reads your mail. We could not keep up with the Swedish.
                """
            ),
            html(
                """
                <p>Welcome to <b>Example Mail</b>.</p>
                <p>Your old mail has come along and lies in &#8220;Old post&#8221;. The folders have the names
                that they had; where a name was not possible we have kept it anyway.</p>
                <p>Nobody here reads your mail. We could not keep up with the Swedish.</p>
                """,
                "us-ascii",
                "7bit",
            ),
        ),
        folder="INBOX",
        flags=r"\Seen $istrusted",
    )
    dentist = letter(
        "dentist",
        '"Dr. Kowalski, dentist" <practice@teeth.example.org>',
        JANE,
        "Your appointment on 2 December, 08:15",
        "2026-11-18T16:00:00+01:00",
        text(
            """
            Please do not bring the tuning fork this time. The hygienist still talks
            about it.
            """
        ),
        folder="INBOX",
        flags=r"\Seen $notify",
    )
    neighbour = letter(
        "neighbour-latin1-name",
        "Fru Ödegård, nästgårds <odegard@example.com>",
        JANE,
        "Er katt",
        "2026-11-22T18:20:00+01:00",
        text(
            """
            Er katt sitter hos oss igen och tittar på klockan. Hon har fått fisk. Vi har
            sagt att hon får stanna till nyheterna.
            """,
            "utf-8",
            "8bit",
        ),
        folder="INBOX",
        flags="",
    )
    return [welcome, dentist, neighbour]

"""The club: Swift Watch counts the swifts of the old town and talks about it on a list.

Jane is its secretary, and looks after the list.
"""

from __future__ import annotations

from compose import Letter, Part, attachment, html, letter, message, multipart, place, text, word
from letters.people import HENRIK, JANE, MARGARET, PIOTR, PRIYA, SECRETARY, SWIFTS, WOLFGANG
from things import SWIFT, event, png, zipped

CLUB = "Swifts"
COMMITTEE = "Swifts/Committee"
LIST = (
    "Sender: swifts-bounces@lists.example.net",
    "List-Id: Counting swifts in the old town <swifts.lists.example.net>",
    "List-Post: <mailto:swifts@lists.example.net>",
    "List-Help: <mailto:swifts-request@lists.example.net?subject=help>",
    "List-Unsubscribe: <mailto:swifts-leave@lists.example.net>",
    "Precedence: list",
)
MEETING = (
    "UID:committee-autumn@swifts.example.net",
    "DTSTAMP:20261012T180000Z",
    "DTSTART;TZID=Europe/Berlin:20261103T193000",
    "DTEND;TZID=Europe/Berlin:20261103T213000",
    "RRULE:FREQ=MONTHLY;BYDAY=1TU;COUNT=5",
    "SUMMARY:Committee\\, upstairs at the bakery",
    "ORGANIZER;CN=Margaret Oyelaran:mailto:margaret@example.org",
)
BERLIN = (
    "BEGIN:VTIMEZONE",
    "TZID:Europe/Berlin",
    "BEGIN:STANDARD",
    "DTSTART:19961027T030000",
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
    "TZOFFSETFROM:+0200",
    "TZOFFSETTO:+0100",
    "END:STANDARD",
    "BEGIN:DAYLIGHT",
    "DTSTART:19810329T020000",
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
    "TZOFFSETFROM:+0100",
    "TZOFFSETTO:+0200",
    "END:DAYLIGHT",
    "END:VTIMEZONE",
)


def letters() -> list[Letter]:
    return [*count(), *binoculars(), *committee(), *conference()]


def count() -> list[Letter]:
    call = letter(
        "count-1-call",
        SECRETARY,
        SWIFTS,
        "[swifts] The count is on Sunday",
        "2026-06-24T19:00:00+02:00",
        text(
            """
            Dear counters,

            Sunday, 28 June, from half past eight until you can no longer tell a swift
            from a bat. Same roofs as last year. Please bring a pencil; last year's
            totals from the fire station were written in mustard.

            Rule 3, because it is asked every year: a swift that you see twice is one
            swift. How you know is between you and the swift.

            Jane, secretary
            """
        ),
        folder="Sent",
        flags=r"\Seen $followed",
    )
    henrik = letter(
        "count-2-henrik",
        HENRIK,
        SWIFTS,
        "Re: [swifts] The count is on Sunday",
        "2026-06-24T20:11:00+02:00",
        text(
            """
            > a swift that you see twice is one swift.

            I object. A swift that I see twice is two sightings, and the form says
            "sightings". I have raised this in 2019, 2021 and 2024.

            I will be on the fire station with mustard.

            Henrik
            """
        ),
        folder=CLUB,
        flags=r"\Seen $followed",
        extra=LIST,
        reply=call,
    )
    piotr = letter(
        "count-3-piotr",
        PIOTR,
        SWIFTS,
        word("Odp: [swifts] The count is on Sunday (wieża)", "iso-8859-2", "Q"),
        "2026-06-25T07:40:13+02:00",
        text(
            """
            Dzień dobry,

            I have the key of the church tower (wieża) again. Jeżyki już są. The priest
            asks that nobody rings "to see whether they fly". We all know who he means.

            Piotr
            """,
            "iso-8859-2",
            "quoted-printable",
        ),
        folder=CLUB,
        flags=r"\Seen $followed",
        extra=LIST,
        reply=henrik,
    )
    wolfgang = letter(
        "count-4-wolfgang",
        WOLFGANG,
        SWIFTS,
        word("AW: [swifts] The count is on Sunday", "utf-8", "Q"),
        "2026-06-25T08:02:00+02:00",
        Part(
            (
                "Content-Type: text/plain; charset=x-unknown",
                "Content-Transfer-Encoding: quoted-printable",
            ),
            b"It was me. I rang ONCE, in 2017, for the noon.=20\r\n\r\n"
            b"My program now writes =C4 and =D6 as it likes and ends lines with an equals sign=\r\n"
            b" when it is tired=. I counted 61 in the test yesterday, =3D 61 =ZZ or 16.\r\n\r\nGr=FC=DFe\r\nWolfgang\r\n",
        ),
        folder=CLUB,
        flags=r"\Seen $followed",
        extra=LIST,
        reply=piotr,
    )
    margaret = letter(
        "count-5-margaret",
        MARGARET,
        SWIFTS,
        "Re: [swifts] The count is on Sunday",
        "2026-06-28T23:05:40+02:00",
        multipart(
            "alternative",
            text(
                """
                214 over the town hall, and then a hobby came through and they went up like
                smoke. I have counted for nineteen years and I have never heard them stop
                screaming all at once. It lasted perhaps four seconds.

                214, or nought, depending on the second.

                Margaret
                """,
                params="; format=flowed",
            ),
            html(
                """
                <p>214 over the town hall, and then a hobby came through and they went up like
                smoke. I have counted for nineteen years and I have never heard them stop
                screaming all at once. It lasted perhaps four seconds.</p>
                <p>214, or nought, depending on the second.</p><p>Margaret</p>
                """
            ),
        ),
        folder=CLUB,
        flags=r"\Seen \Answered \Flagged $MailFlagBit0 $MailFlagBit1 $followed",
        extra=LIST,
        reply=wolfgang,
    )
    results = letter(
        "count-6-results",
        SECRETARY,
        SWIFTS,
        "[swifts] The count: 1,306",
        "2026-07-01T21:00:00+02:00",
        multipart(
            "mixed",
            text(
                """
                One thousand three hundred and six, Henrik's second sightings taken off.
                The table is attached. Thank you all, also the priest.

                Jane
                """
            ),
            attachment(
                zipped(
                    count_2026__csv="roof,counter,swifts\r\nfire station,Henrik,312\r\nchurch tower,Piotr,455\r\n"
                    "town hall,Margaret,214\r\nbakery,Priya,264\r\nown garden,Wolfgang,61\r\n",
                    README__txt="Henrik counted 388. See rule 3.\r\n",
                ),
                "application/zip; name=count-2026.zip",
                "attachment; filename=count-2026.zip",
            ),
            attachment(png(SWIFT), "image/png", 'attachment; filename="a swift.png"'),
        ),
        folder="Swifts/Counts: how many?",
        flags=r"\Seen $hasattachment $followed",
        extra=LIST,
        reply=margaret,
    )
    return [call, henrik, piotr, wolfgang, margaret, results]


def binoculars() -> list[Letter]:
    """A thread that Jane has muted, as one does."""
    first = letter(
        "binoculars-1",
        WOLFGANG,
        SWIFTS,
        "[swifts] Which binoculars?",
        "2026-07-20T10:00:00+02:00",
        text("8x42 or 10x42? I only want a short answer.\n\nWolfgang"),
        folder='Swifts/He said "never again"',
        flags=r"\Seen $muted",
        extra=LIST,
    )
    second = letter(
        "binoculars-2",
        HENRIK,
        SWIFTS,
        "Re: [swifts] Which binoculars?",
        "2026-07-20T10:04:00+02:00",
        text(
            """
            > I only want a short answer.

            There is no short answer. First: what is your exit pupil? (7 pages follow)

            1. On the exit pupil
            2. On the grip of birds and of people
            3. Why I sold the 10x
            4. Why I bought it back
            """
        ),
        folder='Swifts/He said "never again"',
        flags=r"\Seen $muted",
        extra=LIST,
        reply=first,
    )
    third = letter(
        "binoculars-3",
        PRIYA,
        SWIFTS,
        "Re: [swifts] Which binoculars?",
        "2026-07-20T10:06:00+02:00",
        text(
            """
            >>> 8x42 or 10x42?
            >> There is no short answer.
            > what is your exit pupil?

            Eyes, Wolfgang. They come in pairs, they are waterproof, and you have
            already paid for them.

            Priya
            """
        ),
        folder='Swifts/He said "never again"',
        flags=r"$muted",
        extra=LIST,
        reply=second,
    )
    return [first, second, third]


def committee() -> list[Letter]:
    minutes = letter(
        "committee-minutes",
        MARGARET,
        f"{JANE}, {HENRIK}, {PIOTR},\n {PRIYA}",
        "Minutes, 6 October (one page, promised)",
        "2026-10-07T22:15:00+02:00",
        text(
            """
            Present: all. Absent: nobody. Cake: plum.

            1. Nest boxes. Twelve more for the school, if the roofer is kind.
            2. Henrik's motion that "sighting" be defined. Lost, 4 to 1. Henrik asks
               that it be minuted that he will be back.
            3. The list. Jane reports that mail to two members bounces and that somebody
               has reported our monthly letter as junk. She will find out who and be nice.
            4. Any other business. The bakery asks us to leave by half past nine.

            M.O.
            """
        ),
        folder=COMMITTEE,
        flags=r"\Seen",
        also=(place("INBOX", "2026-10-07T22:15:31+02:00", r"\Seen \Flagged $Important"),),
    )
    meeting = letter(
        "committee-meeting",
        MARGARET,
        JANE,
        "Invitation: Committee, upstairs at the bakery",
        "2026-10-12T20:00:00+02:00",
        multipart(
            "mixed",
            multipart(
                "alternative",
                text("First Tuesdays until March, half past seven. Bring the bounces."),
                text(
                    event(
                        "REQUEST",
                        *MEETING,
                        "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:jane@example.org",
                        before=BERLIN,
                    ),
                    "utf-8",
                    "7bit",
                    subtype="calendar",
                    params="; method=REQUEST",
                ),
            ),
            attachment(
                event("REQUEST", *MEETING, before=BERLIN).replace("\n", "\r\n").encode(),
                'application/ics; name="invite.ics"',
                'attachment; filename="invite.ics"',
            ),
        ),
        folder=COMMITTEE,
        flags=r"\Seen \Answered $hasattachment",
    )
    coming = letter(
        "committee-jane-comes",
        JANE,
        MARGARET,
        "Accepted: Committee, upstairs at the bakery",
        "2026-10-12T20:20:00+02:00",
        text(
            event("REPLY", *MEETING, "ATTENDEE;PARTSTAT=ACCEPTED:mailto:jane@example.org"),
            "utf-8",
            "7bit",
            subtype="calendar",
            params="; method=REPLY",
        ),
        folder="Sent",
        flags=r"\Seen",
        reply=meeting,
    )
    return [minutes, meeting, coming]


def conference() -> list[Letter]:
    counters = ", ".join(f"roof{n:02d}@counters.example.net" for n in range(1, 61))
    everybody = letter(
        "conference-long-to",
        PRIYA,
        counters,
        "CON: the conference of counters, programme",
        "2026-09-01T12:00:00+02:00",
        text(
            """
            Sorry for the sixty addresses. The program offered "to" and "to".

            09:00 Swifts. 10:30 Coffee. 11:00 More swifts. 13:00 A walk, to look up.
            """
        ),
        folder="Swifts/CON",
        flags=r"\Seen",
        extra=(
            "X-Distribution: bulk",
            "References: "
            + " ".join(
                f"<con.{n:03d}.{n * 7919 % 1000:03d}@counters.example.net>" for n in range(40)
            ),
        ),
    )
    digest_parts = tuple(
        Part((), message_octets(who, subject, words))
        for who, subject, words in (
            (HENRIK, "Sighting", "I have looked it up. A sighting is the act of sighting.\n"),
            (PIOTR, "Re: Sighting", "Then I sight.\n"),
            (MARGARET, "Re: Sighting", "Gentlemen.\n"),
        )
    )
    digest = letter(
        "list-digest",
        "swifts-request@lists.example.net",
        SWIFTS,
        "swifts Digest, Vol 19, Issue 40",
        "2026-10-09T12:00:00+00:00",
        multipart(
            "mixed", text("Today's topics:\n\n   1. Sighting"), multipart("digest", *digest_parts)
        ),
        folder=CLUB,
        flags=r"\Seen $hasnoattachment",
        extra=LIST,
    )
    moderation = letter(
        "list-moderation",
        "swifts-bounces@lists.example.net",
        "swifts-owner@lists.example.net",
        "1 swifts moderator request waiting",
        "2026-10-10T06:00:01+00:00",
        multipart(
            "mixed",
            text(
                """
                As list owner, your decision is wanted on this post:

                    From:    bats@example.com
                    Subject: what about us
                    Reason:  Post by non-member
                """
            ),
            message(
                message_octets(
                    "bats@example.com", "what about us", "We were here first, and at night.\n"
                )
            ),
        ),
        folder="Postmaster",
        flags="todo",
        extra=("Auto-Submitted: auto-generated", "X-List-Administrivia: yes"),
    )
    return [everybody, digest, moderation]


def message_octets(sender: str, subject: str, words: str) -> bytes:
    ident = f"{len(sender)}.{len(words)}.{len(subject)}"
    head = f"From: {sender}\nTo: {SWIFTS}\nSubject: {subject}\nMessage-ID: <{ident}@lists.example.net>\n"
    return (
        (head + "Date: Fri, 9 Oct 2026 11:00:00 +0000\n\n" + words).replace("\n", "\r\n").encode()
    )

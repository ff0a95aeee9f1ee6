# ruff: noqa: RUF001 - letters in the scripts and with the signs of their writers
"""The family: a grandmother in Visby, a daughter in Bergen, a father-in-law in Aveiro."""

from __future__ import annotations

from compose import Letter, Part, attachment, crlf, html, letter, multipart, place, text, word
from letters.people import DUARTE, ELIAS, IDA, JANE, PRIYA, SOLVEIG, TOMAS
from things import SWIFT, event, png

GRANDMOTHER = "Släkt/Mormor/Brev på svenska"
PARTY = (
    "UID:solveig-80@calendar.example.org",
    "DTSTAMP:20260412T080000Z",
    "DTSTART:20260829T130000Z",
    "DTEND:20260829T210000Z",
    "SUMMARY:Solveig 80 år",
    "LOCATION:The garden in Visby\\, or the barn if it rains",
    "ORGANIZER;CN=Jane Lindqvist:mailto:jane@example.org",
)


def letters() -> list[Letter]:
    return [*grandmother(), *daughter(), *party(), *others()]


def grandmother() -> list[Letter]:
    first = letter(
        "visby-snow",
        SOLVEIG,
        JANE,
        word("Snön, och mattan på vinden", "iso-8859-1", "Q"),
        "2026-01-18T16:41:00+01:00",
        text(
            """
            Kära Jane,

            i går kom det så mycket snö att grinden inte gick att öppna. Grannens
            pojke grävde fram den och ville inte ha betalt, så han fick sju semlor
            i stället. Han åt tre på trappan.

            Jag har städat på vinden och hittat mattan från farmors kök. Möss har
            ätit ett hörn, men mönstret är helt. Vill du ha den till verkstaden?
            Golvet där är alltid så kallt när jag är på besök.

            Skriv när du orkar. Det är roligare att få brev än att ringa.

            Mamma
            """,
            "iso-8859-1",
            "quoted-printable",
        ),
        folder=GRANDMOTHER,
        flags=r"\Seen \Answered",
    )
    answer = letter(
        "visby-snow-answer",
        JANE,
        SOLVEIG,
        word("Re: Snön, och mattan på vinden", "utf-8", "Q"),
        "2026-01-19T21:05:33+01:00",
        text(
            """
            Kära mamma,

            ja tack, gärna mattan! Tomás säger att hörnet kan vändas in under
            bänken, så får mössen ha haft rätt.

            > Han åt tre på trappan.

            Anställ honom.

            Kram
            Jane
            """,
            "utf-8",
            "8bit",
        ),
        folder="Sent",
        flags=r"\Seen",
        reply=first,
    )
    second = letter(
        "visby-carpet",
        SOLVEIG,
        JANE,
        word("Re: Snön, och mattan på vinden", "iso-8859-1", "Q"),
        "2026-01-22T10:12:09+01:00",
        text(
            """
            Mattan är på väg. Posten ville veta värdet. Jag skrev "ovärderlig" och
            det fick man inte, så jag skrev 40 kronor.

            Pojken heter Åke och kommer tillbaka på lördag. Han har frågat om det
            är semlor då också.

            Mamma
            """,
            "iso-8859-1",
            "8bit",
        ),
        folder=GRANDMOTHER,
        flags=r"\Seen \Flagged $MailFlagBit0 $MailFlagBit2",
        reply=answer,
    )
    bare = letter(
        "visby-telephone",
        SOLVEIG,
        JANE,
        "Ring",
        "2026-03-08T19:02:00+01:00",
        Part(
            (),
            crlf(
                "Inget har hänt. Jag vill bara veta hur man tar bort en bild\nur ett brev. Mamma"
            ).encode("iso-8859-1"),
        ),
        folder="Släkt/Mormor",
        flags=r"\Seen",
    )
    return [first, answer, second, bare]


def daughter() -> list[Letter]:
    exam = letter(
        "ida-exam",
        IDA,
        f"{JANE}, {TOMAS}",
        word("BESTÅTT 🎉🎉 (passed!!)"),
        "2026-06-12T14:20:11+02:00",
        text(
            """
            I PASSED FLUID DYNAMICS 🎉🌊 with a B, and the examiner asked about the
            harpsichord in my presentation!! I had used the air around a moving jack
            as the example and he wanted to know whether the plectrum is delrin or
            quill 🪶. I said my mother would disown me if I said delrin.

            The whole corridor is going to the fjord tonight. It is 13 degrees.
            Yes I have a towel 🧖‍♀️.

            Love you both ❤️ tell mormor, she will not answer her phone

            i
            """,
            "utf-8",
            "8bit",
        ),
        folder="INBOX",
        flags=r"\Seen \Answered \Flagged $MailFlagBit1 $istrusted",
    )
    proud = letter(
        "ida-exam-answer",
        JANE,
        IDA,
        word("Re: BESTÅTT 🎉🎉 (passed!!)"),
        "2026-06-12T15:01:58+02:00",
        text(
            """
            Ida! We stopped the lathe and had coffee at three, which never happens.

            For the record: I would not disown you for delrin. I would sigh. Your
            father says that he has used it twice and nobody died.

            Mormor has been told. She asked what a fluid is, and then explained it to
            me. Come home for the birthday and bring the presentation.

            M.
            """
        ),
        folder="Sent",
        flags=r"\Seen",
        reply=exam,
    )
    photo = letter(
        "ida-swift-photo",
        IDA,
        JANE,
        "your bird, over the boat house",
        "2026-06-20T22:47:30+02:00",
        multipart(
            "related",
            html(
                """
                <html><body>
                <p>They <b>do</b> nest here, under the tiles of the rowing club. Counted eleven
                pairs, but they cheat and come twice.</p>
                <p><img src="cid:swift.1@example.net" alt="a swift, from below" width="48" height="24"></p>
                <p>Sent from the jetty</p>
                </body></html>
                """
            ),
            attachment(
                png(SWIFT),
                'image/png; name="swift.png"',
                'inline; filename="swift.png"',
                "Content-ID: <swift.1@example.net>",
            ),
            params=' type="text/html";',
        ),
        folder="INBOX",
        flags=r"\Seen $hasattachment",
        received="2026-06-21T02:17:44+05:30",
    )
    rent = letter(
        "ida-rent",
        IDA,
        JANE,
        "rent, and a small disaster",
        "2026-11-02T09:30:00+01:00",
        text(
            """
            The washing machine in the cellar has eaten the deposit of the whole floor,
            i.e. it flooded. Nobody is hurt, unless you count my concert shoes.

            Could you lend me 90 until the 15th? I will tune the club piano at
            Christmas for nothing, you know what that is worth.

            i
            """,
            params="; format=flowed",
        ),
        folder="INBOX",
        flags=r"\Flagged todo",
    )
    return [exam, proud, photo, rent]


def party() -> list[Letter]:
    attendees = tuple(
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{who}"
        for who in ("ida@example.net", "elias@example.com", "duarte.ferreira@example.net")
    )
    invitation = letter(
        "party-invitation",
        JANE,
        f"{IDA}, {ELIAS},\n {DUARTE}",
        word("Invitation: Solveig 80 år, 29 August"),
        "2026-04-12T10:00:00+02:00",
        multipart(
            "alternative",
            text(
                """
                Dear all,

                Mamma will be eighty on the 29th of August and has forbidden a party.
                She has also sent me a list of who sits where. Please come to Visby.

                No presents, she says; what she wants is a loud dinner.

                Jane
                """
            ),
            text(
                event("REQUEST", *PARTY, *attendees, "SEQUENCE:0"),
                "utf-8",
                "8bit",
                subtype="calendar",
                params="; method=REQUEST",
            ),
        ),
        folder="Sent",
        flags=r"\Seen",
    )
    accepted = letter(
        "party-ida-accepts",
        IDA,
        JANE,
        word("Accepted: Solveig 80 år"),
        "2026-04-12T10:44:21+02:00",
        multipart(
            "alternative",
            text('Ida Lindqvist has accepted this invitation. "OBVIOUSLY."'),
            text(
                event(
                    "REPLY",
                    *PARTY,
                    "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ida@example.net",
                    "COMMENT:OBVIOUSLY.",
                ),
                "utf-8",
                "base64",
                subtype="calendar",
                params="; method=REPLY",
            ),
        ),
        folder="Släkt",
        flags=r"\Seen",
        reply=invitation,
    )
    perhaps = letter(
        "party-elias-tentative",
        ELIAS,
        JANE,
        word("Tentative: Solveig 80 år", "iso-8859-1", "Q"),
        "2026-04-14T23:58:02-08:00",
        text(
            event(
                "REPLY",
                *PARTY,
                "ATTENDEE;PARTSTAT=TENTATIVE:mailto:elias@example.com",
                "COMMENT:If the ferry company lets me off the boat",
            ),
            "utf-8",
            "quoted-printable",
            subtype="calendar",
            params='; method="REPLY"; name="reply.ics"',
        ),
        folder="Släkt",
        flags=r"\Seen \Flagged $MailFlagBit1 $MailFlagBit0",
        received="2026-04-14T23:58:40-08:00",
        reply=invitation,
    )
    duarte = letter(
        "party-duarte",
        DUARTE,
        f"{JANE}, {TOMAS}",
        word("Os 80 anos da Solveig – e o vinho", "windows-1252"),
        "2026-04-15T18:30:00+01:00",
        text(
            """
            Queridos filhos,

            claro que vou. O vosso calendário não quis falar comigo – carreguei em
            “Sim” e apareceu “Talvez” – por isso respondo como as pessoas.

            Levo seis garrafas da adega do Zé (a 7 € cada, um roubo…). A companhia
            aérea diz que o vinho não voa; o Zé diz que o vinho voa melhor do que a
            companhia. Vamos ver.

            Um abraço do vosso
            Duarte
            """,
            "windows-1252",
            "quoted-printable",
        ),
        folder="Släkt",
        flags=r"\Seen \Answered",
        reply=invitation,
    )
    return [invitation, accepted, perhaps, duarte]


def others() -> list[Letter]:
    errands = letter(
        "tomas-errands",
        TOMAS,
        JANE,
        "on your way back",
        "2026-11-17T16:12:45+01:00",
        text(
            """
            Could you stop at the hardware shop? We need a handful of brass screws,\x20
            the small ones, and a bottle of hide glue. Not the white glue. He will\x20
            offer you the white glue.\x20

            > and did the museum ring?\x20
            >> they wanted to ring on Monday\x20

            No. But the man with the virginal did, twice.\x20
            --\x20
            T.
            """,
            params="; format=flowed; delsp=no",
        ),
        folder="INBOX",
        flags=r"\Seen",
    )
    empty = letter(
        "tomas-no-body",
        TOMAS,
        JANE,
        "Milk, and an A string. That is all.",
        "2026-11-19T12:03:10+01:00",
        Part(("Content-Type: text/plain; charset=us-ascii",), b""),
        folder="INBOX",
        flags=r"\Seen $hasnoattachment",
    )
    raw = letter(
        "elias-raw-header",
        "Elias Lindqvist <elias@example.com>",
        JANE,
        "Hälsning från sjön".encode("iso-8859-1"),
        "2014-02-09T08:15:00+01:00",
        text(
            """
            Hej från Göteborgs hamn. Datorn ombord är från förra århundradet och
            skriver å, ä och ö som den vill, även i ärendet. Jag mår bra. Vi lastar
            papper ut och bananer hem.

            Elias
            """,
            "iso-8859-1",
            "8bit",
        ),
        folder="Släkt",
        flags=r"\Seen $imported",
        received="2014-02-09T08:16:02+01:00",
        extra=("X-Mailer: ShipMail 2.11 (DOS)",),
    )
    diwali = letter(
        "priya-diwali",
        PRIYA,
        JANE,
        word("शुभ दीपावली, जेन!"),
        "2026-11-08T11:00:00+05:30",
        text(
            """
            प्रिय जेन,

            दीपावली की हार्दिक शुभकामनाएँ! हमारी छत पर इस बार बारह दीये हैं और दो
            अबाबीलें, जो इतनी ठंड में यहाँ क्यों हैं, यह आप ही बता सकती हैं।

            (They are house martins, I looked. But the sentence was better with swifts.)

            प्रिया
            """,
            "utf-8",
            "base64",
        ),
        folder="INBOX",
        flags=r"\Seen \Answered",
        received="2026-11-08T11:00:21+05:30",
    )
    old = letter(
        "tomas-1999",
        "tomas@example.org",
        "jane@example.org",
        "the first one",
        "1999-01-04T09:05:00-05:00",
        text(
            """
            So this is electronic mail. The university says that it will replace the
            letter. I have written to you on paper as well, to be safe; tell me
            which arrives first.

            I found a spinet in a barn in Vermont. There was a hen in it.
            """
        ),
        folder="Old post/C:\\MAIL\\1999",
        flags=r"\Seen \Flagged $imported",
        received="1999-01-04T09:09:30-05:00",
    )
    return [errands, empty, raw, diwali, two_digit_year(old), wedding()]


def two_digit_year(old: Letter) -> Letter:
    """A date as mailers wrote it then (RFC 5322 section 4.3: obs-year, obs-zone)."""
    dated = old.octets.replace(
        b"Date: Mon, 4 Jan 1999 09:05:00 -0500", b"Date: Mon, 4 Jan 99 09:05:00 EST"
    )
    return Letter(old.slug, dated, old.places, old.message_id, old.references)


def wedding() -> Letter:
    return letter(
        "wedding-hall",
        f"{word('Hamngården', 'iso-8859-15', 'Q')} <hall@example.com>",
        JANE,
        word("Bröllop 23 juni, offert", "iso-8859-15", "Q"),
        "2012-03-01T13:00:00+01:00",
        text(
            """
            Hej Jane!

            Salen den 23 juni kostar 450 € med städning och 300 € utan. De flesta
            väljer utan och ångrar sig klockan tre på natten.

            Klavecinen får stå inne från torsdagen. Ingen ställer glas på den, det
            har jag sagt till personalen, och jag säger det till gästerna också.

            Vänligen
            Birgitta, Hamngården
            """,
            "iso-8859-15",
            "quoted-printable",
        ),
        folder="Old post/C:\\MAIL\\1999",
        flags=r"\Seen \Answered",
        received="2012-03-01T12:01:15+00:00",
        also=(place("Archive", "2019-07-30T23:11:05+02:00", r"\Seen $imported"),),
    )

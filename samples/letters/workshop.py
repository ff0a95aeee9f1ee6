# ruff: noqa: RUF001 - letters in the scripts and with the signs of their writers
"""The workshop: Jane and Tomás restore harpsichords and clavichords for people everywhere."""

from __future__ import annotations

from compose import Letter, Part, attachment, html, letter, message, multipart, text, word
from letters.people import BRANDT, HAN, JANE, KARIN, MUSEUM, NOAM, TOMAS
from letters.signed import AGREEMENT, SIGNATURE
from things import ROSE, fork, pdf, png, zipped

CLIENTS = "Workshop/Clients"
MOLLER = "Workshop/Clients/Møller, Århus"
INVOICES = "Workshop/Offers & invoices 100%"


def letters() -> list[Letter]:
    return [*moller(), *clients(), *papers(), *drafts(), *notes()]


def moller() -> list[Letter]:
    """A restoration from the first question to the note that Jane leaves for herself."""
    question = letter(
        "moller-1-question",
        KARIN,
        JANE,
        "A harpsichord that buzzes",
        "2026-02-03T20:14:50+01:00",
        text(
            """
            Dear Ms Lindqvist,

            I have inherited a harpsichord from an uncle. It is painted green, it has
            two rows of keys, and on the F above middle C it buzzes like a fly in a
            jar. There is a paper rose in the soundboard with the letters I and R and
            an angel. My uncle called it "the Dane", I do not know why; the lid says
            something in Latin about music and labour.

            A piano tuner has looked at it and said that it is beyond him, and that it
            would be a crime to let it be within anybody.

            May I bring you a picture? I live near Århus and have a friend with a van.

            Yours
            Karin Møller
            """,
            "utf-8",
            "8bit",
        ),
        folder=MOLLER,
        flags=r"\Seen \Answered",
    )
    picture = letter(
        "moller-2-answer",
        JANE,
        KARIN,
        "Re: A harpsichord that buzzes",
        "2026-02-04T08:40:12+01:00",
        text(
            """
            Dear Ms Moeller,

            > on the F above middle C it buzzes like a fly in a jar

            That is the best fault to have. It is nearly always a loose bar under the
            soundboard, a dead fly, or a pencil. I once took out a wedding ring.

            Please do not turn it over, and do not let the friend with the van turn it
            over either. Send a picture of the rose first. If I and R are what I hope
            (Ioannes Ruckers) or what I expect (a very good copy from 1962), we shall
            see it from the way the petals are cut.

            With kind regards
            Jane Lindqvist
            """
        ),
        folder="Sent",
        flags=r"\Seen",
        reply=question,
    )
    rose = letter(
        "moller-3-rose",
        KARIN,
        JANE,
        "Re: A harpsichord that buzzes",
        "2026-02-04T21:30:00+01:00",
        multipart(
            "mixed",
            text(
                """
                Here is the rose, as well as I could with the lamp in the other hand.
                I counted the petals, there are eight and the angel has lost a foot.

                (I have NOT turned it over.)

                Karin
                """
            ),
            attachment(
                png(ROSE),
                "image/png",
                "attachment;\n filename*=utf-8''roset%20%E2%80%93%20n%C3%A6rbillede.png",
            ),
        ),
        folder=MOLLER,
        flags=r"\Seen \Answered \Flagged $MailFlagBit2 $hasattachment $hasmemo $followed",
        reply=picture,
    )
    estimate = letter(
        "moller-4-estimate",
        JANE,
        KARIN,
        word("Re: A harpsichord that buzzes – estimate", "utf-8", "Q"),
        "2026-02-06T17:55:00+01:00",
        multipart(
            "mixed",
            text(
                """
                Dear Karin,

                the angel with one foot settles it: that is the mark of a workshop in
                Bremen which made eleven of these between 1959 and 1964. It is not worth
                a castle, but it is worth mending, and it will sing.

                The estimate is attached. The buzz costs nothing if it is a fly.

                Jane
                """
            ),
            attachment(
                pdf(
                    "Lindqvist & Ferreira, restorers of early keyboards",
                    "Estimate 2026-07 for Karin M\xf8ller, \xc5rhus",
                    "",
                    "Removing the cause of a buzz (fly) .......... 0",
                    "Removing the cause of a buzz (bar) ........ 180",
                    "122 new plectra, quill .................... 610",
                    "Voicing, regulation, tuning ............... 450",
                    "One foot for one angel .................... free",
                ),
                'application/pdf; name="estimate-2026-07.pdf"',
                'attachment; filename="estimate-2026-07.pdf"',
            ),
        ),
        folder="Sent",
        flags=r"\Seen $hasattachment waiting-for-parts",
        reply=rose,
    )
    yes = letter(
        "moller-5-yes",
        KARIN,
        JANE,
        word("SV: A harpsichord that buzzes – estimate", "windows-1252", "Q"),
        "2026-02-09T07:02:31+01:00",
        text(
            """
            Yes to everything, also to the foot.

            We come on the 14th. The friend with the van is called Bent and talks, he
            has been a ship's cook and will tell you about it.

            It was a fly, by the way. It got out by itself yesterday evening, in the
            warm, and sat on the lid. I had not the heart.

            Karin
            """
        ),
        folder=MOLLER,
        flags=r"\Seen \Flagged $MailFlagBit0 $MailFlagBit1",
        reply=estimate,
    )
    memo = letter(
        "moller-6-memo",
        JANE,
        JANE,
        "Re: A harpsichord that buzzes",
        "2026-02-14T19:20:00+01:00",
        text(
            """
            Note to self. Serial number under the wrestplank: 7. Bremen 1961. The book
            says number 7 was lost at sea. Ask Bent, carefully, what he cooked and
            where.
            """
        ),
        folder="Memos",
        flags=r"\Seen $memo",
        reply=rose,
    )
    return [question, picture, rose, estimate, yes, memo]


def clients() -> list[Letter]:
    inquiry = letter(
        "virginal-inquiry",
        "Octavia Bell <o.bell@example.com>",
        TOMAS,
        "the virginal, again",
        "2026-11-16T11:22:00+00:00",
        text(
            """
            Dear Mr Ferreira,

            I rang twice and spoke to a lathe. The virginal is ready to be fetched from
            our side; your side said "Friday" in June.

            Octavia Bell
            """
        ),
        folder=CLIENTS,
        flags=r"\Seen $Forwarded",
        received="2026-11-16T11:22:09+00:00",
    )
    forwarded = letter(
        "virginal-forward",
        TOMAS,
        JANE,
        "Fwd: the virginal, again",
        "2026-11-16T13:01:00+01:00",
        multipart(
            "mixed",
            text("Did you say Friday? I never say Friday.\n\nT."),
            message(inquiry.octets),
            boundary="----=_Part_7_1880.1795430460",
            preamble="This is a message in several parts.\n",
        ),
        folder="INBOX",
        flags=r"\Flagged $MailFlagBit1 $MailFlagBit2 $Important",
    )
    loan = letter(
        "museum-loan-signed",
        MUSEUM,
        JANE,
        "Loan agreement 2026/114 (signed)",
        "2026-11-24T09:00:00+01:00",
        multipart(
            "signed",
            AGREEMENT,
            attachment(
                SIGNATURE,
                'application/pkcs7-signature; name="smime.p7s"',
                'attachment; filename="smime.p7s"',
                "Content-Description: S/MIME signature",
            ),
            params=' protocol="application/pkcs7-signature";\n micalg=sha-256;',
        ),
        folder=CLIENTS,
        flags=r"\Seen $istrusted $hasattachment",
    )
    pitch = letter(
        "choir-pitch",
        NOAM,
        JANE,
        "is this your 415?",
        "2026-09-10T10:10:10+03:00",
        multipart(
            "mixed",
            text(
                "We recorded the note that the choir took home. The altos say it has sunk.\n\nNoam"
            ),
            attachment(fork(), "audio/wav", 'attachment; filename="a 415 (altos).wav"'),
        ),
        folder=CLIENTS,
        flags=r"\Seen $hasattachment",
        received="2026-09-10T10:10:55+03:00",
    )
    greek = letter(
        "ioannis-smtputf8",
        "Ιωάννης Παππάς <ιωάννης@example.org>",
        "Jane Lindqvist <jane@example.org>, Εργαστήριο <εργαστήριο@example.net>",
        "Ένα κλειδόχορδο χωρίς χορδές",
        "2026-07-07T12:00:00+03:00",
        text(
            """
            Αγαπητή κυρία Lindqvist,

            έχω ένα κλειδόχορδο χωρίς χορδές. Ο προηγούμενος ιδιοκτήτης το είχε για
            ψωμιέρα. Μυρίζει ακόμα κανέλα. Γίνεται;

            (My address works with letters like these, the post office says. If you can
            read this, it is true.)

            Ιωάννης
            """,
            "utf-8",
            "8bit",
        ),
        folder=CLIENTS,
        flags=r"\Seen \Answered $label1",
        received="2026-07-07T12:00:31+03:00",
    )
    korean = letter(
        "jimin-lessons",
        HAN,
        JANE,
        word("클라비코드 배우기", "euc-kr"),
        "2026-08-03T09:30:00+09:00",
        text(
            """
            안녕하세요, 제인 선생님.

            서울에서 피아노를 가르치고 있습니다. 옆집에 아기가 태어나서 클라비코드를
            배우고 싶습니다. 아주 작은 소리로 연습할 수 있다고 들었습니다.

            한지민
            """,
            "euc-kr",
            "base64",
        ),
        folder=CLIENTS,
        flags=r"\Seen",
        received="2026-08-03T09:30:45+09:00",
    )
    return [inquiry, forwarded, loan, pitch, greek, korean]


def papers() -> list[Letter]:
    """Tax, parcels, the scanner, the bank: what a small firm gets."""
    tax = letter(
        "tax-quarter",
        BRANDT,
        JANE,
        word("Umsatzsteuer 3. Quartal – es fehlt noch etwas", "windows-1252", "Q"),
        "2026-10-08T08:30:00+02:00",
        multipart(
            "mixed",
            text(
                """
                Sehr geehrte Frau Lindqvist,

                anbei die Buchungen des Quartals. Es fehlen die Belege für „Federkiele,
                Rabe, 40 Stück“ und „Kaffee, Bahnhof, mit Bent“. Letzteren würde ich
                gern verstehen, bevor es das Finanzamt möchte.

                Mit freundlichen Grüßen
                Jürgen Brandt
                """,
                "windows-1252",
                "quoted-printable",
            ),
            attachment(
                zipped(
                    buchungen__csv="datum;text;betrag\r\n2026-07-02;Federkiele, Rabe;-48,00\r\n2026-08-11;Kaffee mit Bent;-7,40\r\n",
                    liesmich__txt="Alle Angaben in Euro.\r\n",
                ),
                "application/zip;\n name==?windows-1252?Q?3=2E_Quartal_=96_Buchungen=2Ezip?=",
                "attachment;\n filename==?windows-1252?Q?3=2E_Quartal_=96_Buchungen=2Ezip?=",
            ),
        ),
        folder=INVOICES,
        flags=r"\Seen \Flagged Steuer2026 todo $hasattachment",
    )
    scan = letter(
        "scanner-no-message-id",
        "scanner@example.org",
        "jane@example.org",
        "Scan 0000000042",
        "2026-10-09T17:03:00+02:00",
        multipart(
            "mixed",
            text("Device: WORKSHOP-MFP\nPages: 1\nToner: low"),
            attachment(
                pdf(
                    "Receipt",
                    "40 quills, raven, left wing",
                    "48,00 EUR",
                    "paid, and a feather for the cat",
                ),
                "application/pdf",
                "attachment; filename=SCAN0042.PDF",
            ),
        ),
        folder=INVOICES,
        flags=r"\Seen Steuer2026",
        with_id=False,
    )
    parcel = letter(
        "parcel-broken-mime",
        "Parcels <no-reply@parcels.example.net>",
        JANE,
        "Your carpet is on its way",
        "2026-01-23T04:00:00+00:00",
        Part(
            ('Content-Type: multipart/mixed; boundary="PARCEL"',),
            b"--PARCEL\r\nContent-Type: text/plain\r\n\r\nYour item CARPET (40 SEK) has left VISBY and will be"
            b" delivered between 08:00 and 20:00 on a day.\r\n\r\n"
            b"--PARCEL\r\nContent-Type: image/gif; name=label.gif\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            b"R0lGODlhAQABAIAAAAAAAP///yH5BAE@@@ this label could not be printed @@@\r\n"
            b"--PARCEL\r\nContent-Type multipart/alternative; boundary=PARCEL\r\n\r\nTrack it from our ",
        ),
        folder=INVOICES,
        flags=r"\Seen",
    )
    reminder = letter(
        "invoice-reminder-html",
        '"Hansa Timber" <accounts@timber.example.com>',
        JANE,
        word("Zahlungserinnerung / reminder – limewood"),
        "2026-11-20T06:00:00+01:00",
        html(
            """
            <!DOCTYPE html>
            <html><body style="font-family:sans-serif">
            <h1>Second reminder</h1>
            <p>Invoice <b>HT-3391</b>, two boards of limewood, <b>212,50&nbsp;&euro;</b>.</p>
            <p>If you have paid already, please see this reminder as a sign that our accountant is
            on holiday and the machine is not.</p>
            <table><tr><td>due</td><td>2026-11-06</td></tr><tr><td>now</td><td>kindly</td></tr></table>
            </body></html>
            """
        ),
        folder="INBOX",
        flags="$Important todo $new",
        extra=("X-Priority: 1 (Highest)", "Importance: high", "Auto-Submitted: auto-generated"),
    )
    return [tax, scan, parcel, reminder]


def drafts() -> list[Letter]:
    bell = letter(
        "draft-to-octavia",
        JANE,
        "Octavia Bell <o.bell@example.com>",
        "Friday",
        "2026-11-21T22:30:00+01:00",
        text(
            """
            Dear Ms Bell,

            you are right, and so, in a narrow sense, are we, since we did not say
            which

            [no. Start again tomorrow. Apologise in the first line.]
            """
        ),
        folder="Drafts",
        flags=r"\Seen \Draft",
    )
    nobody = letter(
        "draft-to-nobody",
        JANE,
        "",
        "",
        "2026-11-22T07:10:00+01:00",
        text(
            """
            Things that buzz: bars, flies, pencils, rings, Tomás before coffee, a loose
            hinge, the window, the neighbour's lathe, and in one case the customer.
            """,
            "utf-8",
            "8bit",
        ),
        folder="Drafts",
        flags=r"\Draft",
    )
    return [bell, nobody]


def notes() -> list[Letter]:
    idea = letter(
        "idea-paper-clavichord",
        JANE,
        JANE,
        word("🎹 a clavichord in a suitcase"),
        "2026-03-30T00:40:00+02:00",
        text(
            """
            Four octaves, pull the keys to 13 mm. Strings in the lid. The soundboard
            is the suitcase. Nobody may sit on it, put that in three languages.
            Customs will ask. Weight: a cat.
            """,
            params="; format=flowed",
        ),
        folder="🎹 Ideas",
        flags=r"\Seen \Flagged $MailFlagBit0 $MailFlagBit1 $MailFlagBit2",
        received="2026-03-30T00:40:03+02:00",
    )
    glue = letter(
        "idea-glue",
        TOMAS,
        JANE,
        "glue clock",
        "2026-04-01T08:00:00+02:00",
        text(
            """
            A clock that shows how long the glue still holds open. One hand. No numbers.
            Read the date before you answer.
            """
        ),
        folder="🎹 Ideas",
        flags=r"\Seen",
    )
    return [idea, glue]

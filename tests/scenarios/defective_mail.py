"""Messages that break rules, each in its own way: none of them may be touched on its way.

``CORPUS`` is name → octets. Nothing here is well-formed mail; some of it is not mail at all.
"""

from __future__ import annotations

HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: defect\r\n"
PLAIN = HEAD + b"\r\n"


def _mime(kind: bytes, body: bytes, *more: bytes) -> bytes:
    fields = b"".join(field + b"\r\n" for field in more)
    return HEAD + b"MIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\n" + fields + b"\r\n" + body


def _nested(depth: int) -> bytes:
    body = b"innermost\r\n"
    for level in range(depth):
        mark = b"b%d" % level
        body = b"--%s\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n%s\r\n--%s--\r\n" % (
            mark, level - 1, body, mark,
        )  # fmt: skip
    return _mime(b"multipart/mixed; boundary=b%d" % (depth - 1), body)


CORPUS: dict[str, bytes] = {
    # --- almost nothing
    "empty": b"",
    "one octet": b"x",
    "one NUL": b"\0",
    "one CRLF": b"\r\n",
    "one CR": b"\r",
    "one LF": b"\n",
    "only CRLFs": b"\r\n" * 500,
    "only LFs": b"\n" * 500,
    "only CRs": b"\r" * 500,
    "LF before CR": b"\n\r" * 50,
    "header only": HEAD,
    "header only with an empty line": PLAIN,
    "header without a last line end": HEAD[:-2],
    "no header": b"just a line\r\nand another\r\n",
    "an empty line first": b"\r\n" + PLAIN + b"body\r\n",
    "no line end at the end": PLAIN + b"no line end",
    "half a line end at the end": PLAIN + b"half\r",
    "a parenthesis at the end": PLAIN + b"end)",
    "a parenthesis and a line end": b")\r\n",
    # --- line ends
    "bare LF throughout": PLAIN.replace(b"\r\n", b"\n") + b"a\nb\nc\n",
    "bare CR throughout": PLAIN.replace(b"\r\n", b"\r") + b"a\rb\rc\r",
    "bare LF in the body": PLAIN + b"a\nb\r\nc\n",
    "bare CR in the body": PLAIN + b"a\rb\r\nc\r",
    "bare LF in the header": HEAD + b"X-A: one\nX-B: two\r\n\r\nbody\r\n",
    "CR CR LF": PLAIN + b"a\r\r\nb\r\r\n",
    "mixed line ends": PLAIN + b"a\r\nb\nc\rd\n\re\r\r\n\n",
    # --- octets
    "NUL in the body": PLAIN + b"a\0b\0\0\r\n",
    "NUL in the header": HEAD + b"X-Nul: a\0b\r\n\r\nbody\r\n",
    "every octet": PLAIN + bytes(range(256)) * 4 + b"\r\n",
    "8-bit header in Latin-1": b"Subject: Gr\xfc\xdfe\r\nFrom: M\xfcller <m@x.org>\r\n\r\nx\r\n",
    "8-bit header in UTF-8": "Subject: Grüße 🎻\r\nFrom: Ωμέγα <o@x.org>\r\n\r\nx\r\n".encode(),
    "8-bit header in KOI8-R": b"Subject: \xf0\xd2\xc9\xd7\xc5\xd4\r\n\r\n\xcd\xc9\xd2\r\n",
    "8-bit header in GB18030": "Subject: 你好\r\n\r\n世界\r\n".encode("gb18030"),
    "8-bit field name": b"S\xfcbject: x\r\n\r\nbody\r\n",
    "UTF-8 that breaks off": b"Subject: \xf0\x9f\x8e\r\n\r\n\xe2\x82\r\n",
    "overlong UTF-8": b"Subject: \xc0\xaf\xe0\x80\xaf\r\n\r\n\xed\xa0\x80\r\n",
    "UTF-16 text, little": "\ufeffSubject: x\r\n\r\nbody\r\n".encode("utf-16-le"),
    "UTF-16 text, big": "\ufeffSubject: x\r\n\r\nbody\r\n".encode("utf-16-be"),
    "UTF-32 text": "Subject: x\r\n\r\nbody\r\n".encode("utf-32"),
    "a byte order mark first": b"\xef\xbb\xbf" + PLAIN + b"body\r\n",
    "escape sequences": PLAIN + b"\x1b[2J\x1b]0;title\x07\x1b[31mred\r\n",
    "ISO-2022-JP unfinished": PLAIN + b"\x1b$B$3$s$K$A\r\n",
    "Ctrl-Z in the middle": PLAIN + b"before\r\n\x1a\r\nafter\r\n",
    # --- lengths
    "a line of 1 MiB": PLAIN + b"x" * (1 << 20) + b"\r\n",
    "a header line of 1 MiB": HEAD + b"X-Long: " + b"y" * (1 << 20) + b"\r\n\r\nbody\r\n",
    "a line of 999 octets": PLAIN + b"z" * 999 + b"\r\n",
    "a header of 100 kB": HEAD + b"X-Many: value of a field\r\n" * 4000 + b"\r\nbody\r\n",
    "a huge Received chain": b"".join(
        b"Received: from h%d.example.net (h%d.example.net [192.0.2.%d])\r\n"
        b"\tby h%d.example.net with ESMTP id %08d;\r\n\tMon, 01 Jan 2024 00:00:00 +0000\r\n"
        % (n, n, n % 256, n + 1, n)
        for n in range(1500)
    )
    + PLAIN
    + b"body\r\n",
    "a fold of ten thousand lines": HEAD + b"X-Fold: a\r\n" + b" b\r\n" * 10_000 + b"\r\nbody\r\n",
    "a field name of 5 kB": b"X-" + b"n" * 5000 + b": x\r\n\r\nbody\r\n",
    "300 kB, just above what is kept in memory": PLAIN + b"m" * 62 + b"\r\n" * 150_000,
    "3 MiB": PLAIN + (b"l" * 76 + b"\r\n") * 40_000,
    # --- headers
    "a field without a colon": b"Subject without colon\r\n" + PLAIN + b"body\r\n",
    "a field of blanks": HEAD + b"   \r\n\t\r\n\r\nbody\r\n",
    "a blank before the colon": b"Subject : x\r\nFrom\t: y\r\n\r\nbody\r\n",
    "a continuation first": b" continued from nothing\r\n" + PLAIN + b"body\r\n",
    "an mbox line first": b"From jane@example.org Mon Jan  1 00:00:00 2024\r\n" + PLAIN + b"x\r\n",
    "mbox lines in the body": PLAIN + b"From here on\r\n>From there\r\n>>From everywhere\r\n",
    "dots alone": PLAIN + b".\r\n..\r\n.\r\nafter\r\n",
    "encoded words that lie": b"Subject: =?utf-9?Q?=ZZ?= =?us-ascii?B?!!!?= =?x?\r\n\r\nbody\r\n",
    "dates that are none": b"Date: 31 Feb 2024 25:61:61 -9999\r\nDate: yesterday\r\n\r\nbody\r\n",
    "every field twice": HEAD + HEAD + b"\r\nbody\r\n",
    "addresses without end": b"To: " + b"a <b@c>, " * 2000 + b"\r\n\r\nbody\r\n",
    "Message-ID over several lines": b"Message-ID:\r\n <a\r\n b@c>\r\n\r\nbody\r\n",
    "Message-ID with an injection": b'Message-ID: <"\\"{5}\r\n.@x>\r\n\r\nA1 DELETE INBOX\r\n',
    # --- MIME
    "a boundary that never comes": _mime(b"multipart/mixed; boundary=never", b"no part at all\r\n"),
    "a boundary that never ends": _mime(
        b"multipart/mixed; boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nopen\r\n"
    ),
    "no boundary at all": _mime(b"multipart/mixed", b"--b\r\n\r\npart\r\n--b--\r\n"),
    "an empty boundary": _mime(b'multipart/mixed; boundary=""', b"--\r\n\r\npart\r\n----\r\n"),
    "nested two hundred deep": _nested(200),
    "a message in itself": _mime(b"message/rfc822", PLAIN + b"inside\r\n"),
    "base64 with rubbish": _mime(
        b"application/pdf",
        b"JVB*ERi0#x\r\n====\r\n\xff\xfe\r\n",
        b"Content-Transfer-Encoding: base64",
    ),
    "quoted-printable with rubbish": _mime(
        b"text/plain", b"=ZZ =\r\n=E\r\n=", b"Content-Transfer-Encoding: quoted-printable"
    ),
    "an unknown encoding": _mime(b"text/plain", b"x\r\n", b"Content-Transfer-Encoding: rot13"),
    "binary in a part": _mime(
        b"application/octet-stream", bytes(range(256)), b"Content-Transfer-Encoding: binary"
    ),
    "uuencode": PLAIN + b"begin 644 file\r\n#0V%T\r\n`\r\nend\r\n",
    "partial that has no rest": _mime(b'message/partial; id="x"; number=3; total=2', b"rest\r\n"),
    # --- what looks like the server talking
    "responses of a server": PLAIN
    + b"* 1 FETCH (UID 1 BODY[] {5}\r\nhello)\r\n* 2 EXPUNGE\r\n* BYE no\r\n"
    + b"* OK [UIDVALIDITY 9] x\r\n"
    + b"A1 OK done\r\np1 OK done\r\np2 NO failed\r\np3 BAD what\r\n+ go ahead\r\n",
    "many tagged answers": PLAIN + b"".join(b"p%d OK done\r\n" % n for n in range(200)),
    "X-Spam-Flag: NO": b"X-Spam-Flag: NO\r\nX-Spam-Status: No, score=-1\r\n" + PLAIN + b"NO\r\n",
    "literals": PLAIN + b"{5}\r\n{5+}\r\n~{5}\r\n{4294967295}\r\nBODY[] {12}\r\n",
    "ends like a literal": PLAIN + b"BODY[] {100}",
    "ends like a literal with CRLF": PLAIN + b"BODY[] {100}\r\n",
    "the end of a FETCH": PLAIN + b")\r\np1 OK done\r\n",
    "flags of a FETCH": PLAIN
    + b' FLAGS (\\Seen) UID 99 INTERNALDATE "01-Jan-2000 00:00:00 +0000")\r\n',
    "a placeholder that is quoted": PLAIN
    + b"Subject: Retrieval using the IMAP4 protocol failed for the following message: 7\r\n",
}

"""More messages that break rules, made by rule: kinds of damage done to kinds of mail.

``MALFORMED`` is name → octets: those of ``defective_mail`` and these, every one different.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from defective_mail import CORPUS, HEAD

_SEED = 9051

PLAIN = HEAD + b"Message-ID: <plain@example.org>\r\n\r\nA line.\r\n.\r\nFrom here on, more.\r\n"
NESTED = (
    HEAD
    + b"Message-ID: <nested@example.org>\r\nMIME-Version: 1.0\r\n"
    + b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\n'
    + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "Grüße, 世界\r\n".encode()
    + b"--=_b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk\r\n--=_b--\r\n"
)
NAMELESS = b"Subject: nobody sent this\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nNothing.\r\n"

KINDS = {"plain": PLAIN, "nested": NESTED, "nameless": NAMELESS}


def _middle(octets: bytes, put: bytes) -> bytes:
    at = octets.rindex(b"\r\n", 0, -2) + 2
    return octets[:at] + put + octets[at:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "LF for every line end": lambda o: o.replace(b"\r\n", b"\n"),
    "CR for every line end": lambda o: o.replace(b"\r\n", b"\r"),
    "LF CR for every line end": lambda o: o.replace(b"\r\n", b"\n\r"),
    "CR CR LF for every line end": lambda o: o.replace(b"\r\n", b"\r\r\n"),
    "CR CR CR LF once": lambda o: _middle(o, b"three\r\r\r\n"),
    "LF in the header only": lambda o: o.replace(b"\r\n", b"\n", 2),
    "LF in the body only": lambda o: _middle(o, b"one\ntwo\n"),
    "CR alone in a line": lambda o: _middle(o, b"one\rtwo\r\n"),
    "a CR at the very end": lambda o: o + b"\r",
    "two CRs at the very end": lambda o: o + b"\r\r",
    "an LF more at the end": lambda o: o + b"\n",
    "no last line end": lambda o: o[:-2],
    "no last LF": lambda o: o[:-1],
    "many empty lines at the end": lambda o: o + b"\r\n" * 200,
    "a NUL in the header": lambda o: o.replace(b"Subject: ", b"Subject: \0", 1),
    "a NUL in the body": lambda o: _middle(o, b"a\0b\0\r\n"),
    "a NUL at the very end": lambda o: o + b"\0",
    "Latin-1 in the header": lambda o: o.replace(b"Subject: ", b"Subject: \xe4\xf6\xfc ", 1),
    "UTF-8 in the header": lambda o: o.replace(b"Subject: ", "Subject: ☃ ".encode(), 1),
    "binary in the body": lambda o: _middle(o, bytes(range(1, 256)) + b"\r\n"),
    "a line of 20,000 octets": lambda o: _middle(o, b"x" * 20_000 + b"\r\n"),
    "a header line of 20,000 octets": lambda o: b"X-Long: " + b"y" * 20_000 + b"\r\n" + o,
    "an mbox line first": lambda o: b"From jane@example.org Mon Jan  1 00:00:00 2024\r\n" + o,
    "a quoted mbox line first": lambda o: b">From jane Mon Jan  1 00:00:00 2024\r\n" + o,
    "what looks like the next message of an mbox": lambda o: (
        o + b"\r\nFrom eve@example.org Tue Feb 13 09:00:00 2024\r\nSubject: stolen\r\n\r\nx\r\n"
    ),
    "From lines, quoted and not": lambda o: _middle(o, b"From a\r\n>From b\r\n>>>From c\r\n"),
    "dots": lambda o: _middle(o, b".\r\n..\r\n.hidden\r\n"),
    "cut in the header": lambda o: o[: o.index(b"\r\n\r\n") - 7],
    "cut in the middle of the body": lambda o: o[: -max(5, len(o) // 5)],
    "no header": lambda o: o.partition(b"\r\n\r\n")[2],
    "an empty line first": lambda o: b"\r\n" + o,
    "a field without a colon first": lambda o: b"Not a field\r\n" + o,
    "a continuation first": lambda o: b"\tof nothing\r\n" + o,
    "each field twice": lambda o: o.partition(b"\r\n\r\n")[0] + b"\r\n" + o,
    "UTF-16": lambda o: o.decode("latin-1").encode("utf-16"),
    "upside down": lambda o: o[::-1],
    "Status fields of an mbox": lambda o: b"Status: RO\r\nX-Status: F\r\nX-Keywords: x\r\n" + o,
}


def _random(number: int) -> bytes:
    """Octets by chance; half of them below a header."""
    chance = random.Random(_SEED + number)
    octets = chance.randbytes(chance.randrange(1, 5000))
    if number % 3 == 1:
        octets = bytes(chance.choice(b"\r\n\0aF:> \xff") for _ in range(500))
    return HEAD + b"\r\n" + octets if number % 2 else octets


def _made() -> dict[str, bytes]:
    made = {
        f"{kind}: {damage}": do(octets)
        for damage, do in DAMAGES.items()
        for kind, octets in KINDS.items()
    }
    return made | {f"random {number}": _random(number) for number in range(24)}


MALFORMED: dict[str, bytes] = {**CORPUS, **_made()}

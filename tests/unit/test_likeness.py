"""Likeness of single messages."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from portarchive.likeness import likeness, likeness_of
from portarchive.placing import LineEnds

HEAD = b"Message-ID: <a@example.org>\r\nDate: Tue, 3 Nov 2026 10:00:01 +0000\r\nFrom: Jane\r\n"
PLAIN = HEAD + b"Subject: one\r\n two\r\n\r\nHello.\r\n"


def test_fields() -> None:
    found = likeness_of(PLAIN)
    assert found.message_id == b"<a@example.org>"
    assert found.sent == b"Tue, 3 Nov 2026 10:00:01 +0000"
    assert found.sender == b"Jane"
    assert found.subject == b"one two"
    assert found.has_header
    assert found.plain


@pytest.mark.parametrize(
    ("octets", "ends"),
    [
        (b"", LineEnds.NONE),
        (b"no end", LineEnds.NONE),
        (b"a\rb", LineEnds.NONE),
        (b"a\r\n", LineEnds.CRLF),
        (b"a\r\nb\rc\r\n", LineEnds.CRLF),
        (b"a\n", LineEnds.LF),
        (b"a\nb\rc\n", LineEnds.LF),
        (b"a\r\nb\n", LineEnds.MIXED),
        (b"a\r\r\n", LineEnds.MIXED),
        (b"a\r\r\nb\r\n", LineEnds.MIXED),
    ],
)
def test_line_ends(octets: bytes, ends: LineEnds) -> None:
    assert likeness_of(octets).line_ends is ends


@pytest.mark.parametrize(
    "octets",
    [
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN + b"\0",
        PLAIN + b"\xe9",
        PLAIN.replace(b"Jane", b"J\xe4ne"),
        PLAIN + b"x" * 999 + b"\r\n",
        PLAIN.replace(b"Hello.\r\n", b"Hello.\n"),
        b"\r\n" + PLAIN,
        b"",
    ],
)
def test_what_is_not_plain(octets: bytes) -> None:
    assert not likeness_of(octets).plain


def test_a_line_of_998_octets_is_plain() -> None:
    found = likeness_of(PLAIN + b"x" * 998 + b"\r\n")
    assert found.plain
    assert found.longest_line == 998


def test_the_first_field_of_a_name_counts() -> None:
    found = likeness_of(b"Message-ID :\r\n\t<1>\r\nmessage-id: <2>\r\nMessage-IDs: <3>\r\n\r\n")
    assert found.message_id == b"<1>"
    assert likeness_of(b"Subject: a\r\n\r\nMessage-ID: <b>\r\n").message_id == b""


def test_the_body_begins_after_the_first_empty_line() -> None:
    one, other = likeness_of(b"A: b\n\nbody\r\n\r\n"), likeness_of(b"A: b\r\n\r\nbody")
    assert one.body_sha256 == other.body_sha256
    assert likeness_of(b"A: b").body_sha256 == likeness_of(b"").body_sha256
    assert likeness_of(b"\r\nbody").body_sha256 == one.body_sha256
    assert likeness_of(b"\n\nbody").body_sha256 != one.body_sha256


def test_a_large_message_takes_little_memory() -> None:
    """A header without end, then a body that is one line, then nothing but line ends."""
    size = 48 << 20

    def chunks() -> Iterator[bytes]:
        piece = b"X-Long: " + b"y" * (1 << 18)
        yield b"Subject: s\r\n"
        for _ in range(size // 3 // len(piece)):
            yield piece + b"\r\n"
        yield b"\r\n"
        for _ in range(size // 3 // (1 << 18)):
            yield b"z" * (1 << 18)
        for _ in range(size // 3 // (1 << 18)):
            yield b"\r\n" * (1 << 17)

    tracemalloc.start()
    try:
        found = likeness(chunks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    assert found.subject == b"s"
    assert found.line_ends is LineEnds.CRLF
    assert found.longest_line == (size // 3 // (1 << 18)) << 18


def test_a_large_one_is_what_it_is_whole() -> None:
    octets = PLAIN + b"line\r\n" * 400_000
    pieces = [octets[at : at + 65_537] for at in range(0, len(octets), 65_537)]
    assert likeness(pieces) == likeness_of(octets) == likeness([octets])

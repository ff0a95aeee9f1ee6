"""Likeness: the fast way, the streaming way and a slow reading of the definition are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive import likeness as module
from portarchive.likeness import converted, likeness, likeness_of, surely_plain
from portarchive.placing import LineEnds

PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"a", b":", b"\0", b"\xe9", b"word",
    b"Message-ID: <a@b>", b"message-id :\r\n <c@d>", b"Date: now", b"From: x  <y>", b"Subject:\tz",
    b"Subjects: no", b"x" * 70,
]  # fmt: skip
MESSAGES = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
LINES = st.lists(
    st.lists(st.sampled_from([b"a", b" ", b"\xe9", b"\0", b"Date: x"]), max_size=4).map(b"".join),
    max_size=12,
)


def cut(octets: bytes, places: list[int]) -> Iterator[bytes]:
    at = 0
    for place in sorted(places):
        yield octets[at:place]
        at = max(at, place)
    yield octets[at:]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is a large one, and headers are cut early."""
    monkeypatch.setattr(module, "_WHOLE", 0)
    monkeypatch.setattr(module, "_HEADER", 64)


def by_definition(octets: bytes) -> dict[str, object]:
    """Line by line, as the docstring says."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+\Z", octets)
    ended = [line for line in lines if line.endswith(b"\n")]
    crlf = [line for line in ended if line.endswith(b"\r\n")]
    if not ended:
        ends = LineEnds.NONE
    elif b"\r\r\n" in octets or 0 < len(crlf) < len(ended):
        ends = LineEnds.MIXED
    else:
        ends = LineEnds.CRLF if crlf else LineEnds.LF
    header: list[bytes] = []
    body: list[bytes] = []
    into = header
    for line in lines:
        into.append(line)
        if line in {b"\n", b"\r\n"}:
            into = body

    def canonical(some: list[bytes]) -> bytes:
        text = b"".join(some)
        return text.replace(b"\n", b"\r\n") if ends is LineEnds.LF else text

    bodies = re.split(rb"\r\n|\r|\n", b"".join(body))
    while bodies and not bodies[-1]:
        bodies.pop()
    text = b"".join(header)[:64]
    contents = [re.sub(rb"\r?\n\Z", b"", line) for line in lines]

    def field(name: bytes) -> bytes:
        at = re.search(rb"(?:\A|\n)" + name + rb"[ \t]*:((?:[^\n]|\n[ \t])*)", text, re.IGNORECASE)
        return at[1] if at else b""

    return {
        "size": len(octets),
        "sha256": sha256(octets).digest(),
        "canonical_size": len(canonical(lines)),
        "canonical_sha256": sha256(canonical(lines)).digest(),
        "header_sha256": sha256(re.sub(rb"\r\n|\r|\n", b"\r\n", b"".join(header))).digest(),
        "body_sha256": sha256(b"\r\n".join(bodies)).digest(),
        "line_ends": ends,
        "longest_line": max(map(len, contents), default=0),
        "eight_bit_header": any(octet > 127 for octet in b"".join(header)),
        "eight_bit_body": any(octet > 127 for octet in b"".join(body)),
        "nul": 0 in octets,
        "has_header": re.match(rb"[\x21-\x39\x3b-\x7e]+[ \t]*:", text) is not None,
        "message_id": re.sub(rb"[\r\n]", b"", field(b"message-id")).strip(),
        "sent": b" ".join(field(b"date").split()),
        "sender": b" ".join(field(b"from").split()),
        "subject": b" ".join(field(b"subject").split()),
    }


@given(MESSAGES)
def test_is_what_the_definition_says(octets: bytes) -> None:
    assert likeness_of(octets)._asdict() == by_definition(octets)


@given(MESSAGES, st.lists(st.integers(0, 120), max_size=8))
def test_chunked_is_whole(octets: bytes, places: list[int]) -> None:
    assert likeness(cut(octets, places)) == likeness_of(octets)


@given(MESSAGES)
def test_octet_by_octet_is_whole(octets: bytes) -> None:
    assert likeness(octets[at : at + 1] for at in range(len(octets))) == likeness_of(octets)


HEADS = st.sampled_from([b"", b"a: b\r\n", b"a : b\r\n\r\n", b"\r\n", b" a: b\r\n", b"a: b\n"])
LONG = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"x", b"\0", b"\xe9"]) | st.integers(990, 1001).map(
        lambda count: b"x" * count + b"\r\n"
    ),
    max_size=6,
).map(b"".join)  # fmt: skip


@given(st.tuples(HEADS, LONG | MESSAGES).map(b"".join))
def test_surely_plain_is_plain(octets: bytes) -> None:
    found = likeness_of(octets)
    if surely_plain(octets):
        assert found.plain
        assert found.canonical_sha256 == found.sha256 == sha256(octets).digest()
    else:  # a CR alone is the one thing that it does not go into
        assert not found.plain or re.search(rb"\r(?!\n)", octets)


@given(LINES, st.booleans(), st.lists(st.integers(0, 120), max_size=8))
def test_there_and_back(lines: list[bytes], ended: bool, places: list[int]) -> None:
    crlf = b"\r\n".join(lines) + (b"\r\n" if ended else b"")
    lf = crlf.replace(b"\r\n", b"\n")
    assert b"".join(converted(cut(crlf, places), LineEnds.LF)) == lf
    assert b"".join(converted(cut(lf, places), LineEnds.CRLF)) == crlf
    # what has those line ends already stays
    assert b"".join(converted(cut(crlf, places), LineEnds.CRLF)) == crlf
    assert b"".join(converted(cut(lf, places), LineEnds.LF)) == lf
    one, other = likeness_of(crlf), likeness_of(lf)
    assert one.canonical_sha256 == other.canonical_sha256
    assert one.canonical_size == other.canonical_size
    assert one.header_sha256 == other.header_sha256


@given(MESSAGES, MESSAGES)
def test_a_header_alone_is_the_header_of_the_whole(text: bytes, body: bytes) -> None:
    """Whatever line ends the body has; a target shows headers apart."""
    lines = [line for line in text.replace(b"\r", b"").split(b"\n") if line]
    header = b"\r\n".join([*lines, b"", b""] if lines else [b"", b""])
    alone = likeness_of(header)
    for end in (b"\r\n", b"\n"):
        whole = likeness_of(header.replace(b"\r\n", end) + body)
        assert whole.header_sha256 == alone.header_sha256


@given(MESSAGES)
def test_uniform_ones_convert_and_come_back(octets: bytes) -> None:
    """Whatever else is in them: CR alone does not stand in the way."""
    ends = likeness_of(octets).line_ends
    if ends in {LineEnds.CRLF, LineEnds.LF, LineEnds.NONE}:
        back = LineEnds.LF if ends is LineEnds.LF else LineEnds.CRLF
        other = LineEnds.CRLF if ends is LineEnds.LF else LineEnds.LF
        there = b"".join(converted([octets], other))
        assert b"".join(converted([there], back)) == octets
        if ends is not LineEnds.NONE:
            assert likeness_of(there).line_ends is other
            assert likeness_of(there).canonical_sha256 == likeness_of(octets).canonical_sha256


@given(MESSAGES, st.sampled_from([b"\r\n", b"\n", b"\r"]), st.integers(0, 4))
def test_body_without_line_ends_and_what_is_empty_at_its_end(
    text: bytes, end: bytes, count: int
) -> None:
    head = b"Subject: x\r\n\r\n"
    body = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    other = body.rstrip(b"\n").replace(b"\n", end) + end * count
    assert likeness_of(head + body).body_sha256 == likeness_of(head + other).body_sha256
    assert likeness_of(head + body + b"x").body_sha256 != likeness_of(head + other).body_sha256

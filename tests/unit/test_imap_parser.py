"""The grammar, in the spellings that servers use and in those that they should not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.connectors.imap.parser import BODY_LINE, ITEMS_LINE, fetch_items, tokens
from portarchive.connectors.imap.responses import (
    Data,
    Fetch,
    Numbered,
    classify,
    literal_size,
    parse_status,
    printable,
)
from portarchive.errors import ServerMisbehaved


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"  a  b ", [b"a", b"b"]),
        (b'NIL nil "NIL"', [None, None, b"NIL"]),
        (b'(a (b "c d") ()) e', [[b"a", [b"b", b"c d"], []], b"e"]),
        (rb'"a\"b\\c" \Seen', [b'a"b\\c', b"\\Seen"]),
        (b"BODY[HEADER.FIELDS (MESSAGE-ID)] x", [b"BODY[HEADER.FIELDS (MESSAGE-ID)]", b"x"]),
        (b"BODY[]<0> 1", [b"BODY[]<0>", b"1"]),
        (b"(a b", [[b"a", b"b"]]),
        (b"a)) b", [b"a", b"b"]),
        (b'"open', [b"open"]),
        (b"-1 2279 \xc3\xa4", [b"-1", b"2279", b"\xc3\xa4"]),
        (b"flag]x $F", [b"flag]x", b"$F"]),
        (b'a"b"c $A"b (d"e "f"g) "h"', [b'a"b"c', b'$A"b', [b'd"e', b"f", b"g"], b"h"]),
    ],
)
def test_tokens(text: bytes, expected: list[object]) -> None:
    assert tokens([text]) == expected


ODD_KEYWORDS = ['$A"b', 'a"b"c', "x]y", "]", "{3}", "a{3}", '"open', '"', "NIL", "[x", "%", "a\\b"]


@pytest.mark.parametrize("odd", ODD_KEYWORDS)
def test_flags_are_cut_at_white_space_alone(odd: str) -> None:
    """Whatever stands beside the list is read as ever, in either place."""
    raw = odd.encode()
    flags = [rb"\Seen", raw, b"k"]
    listed = b" ".join(flags)
    for line in (
        b'* 3 FETCH (UID 7 FLAGS (%s) INTERNALDATE "a date" RFC822.SIZE 9)' % listed,
        b'* 3 FETCH (RFC822.SIZE 9 INTERNALDATE "a date" UID 7 flags (%s))' % listed,
        b'* 7 UIDFETCH (INTERNALDATE "a date" RFC822.SIZE 9 FLAGS(%s))' % listed,
    ):
        found = classify([line])
        assert isinstance(found, Fetch)
        assert found.uid == 7
        assert found.items[b"FLAGS"] == flags
        assert (found.items[b"INTERNALDATE"], found.items[b"RFC822.SIZE"]) == (b"a date", b"9")
    parts = [b"* 3 FETCH (UID 7 FLAGS (%s) BODY[] {4}" % listed, b'( " ', b" RFC822.SIZE 9)"]
    body = classify(parts)
    assert isinstance(body, Fetch)
    assert (body.items[b"FLAGS"], body.items[b"BODY[]"]) == (flags, b'( " ')
    assert body.items[b"RFC822.SIZE"] == b"9"


def test_flags_as_literals_and_in_parentheses_harm_nothing_else() -> None:
    found = classify([b"* 3 FETCH (FLAGS (a {3}", b"b)c", b" d) UID 7)"])
    assert isinstance(found, Fetch)
    assert found.items == {b"FLAGS": [b"a", b"b)c", b"d"], b"UID": b"7"}
    found = classify([b"* 3 FETCH (FLAGS (a (b) c) UID 7)"])
    assert isinstance(found, Fetch)
    assert found.uid == 7


def test_literals_are_never_looked_into() -> None:
    assert tokens([b"a {5}", b'( " )', b" b {0}", b"", b""]) == [b"a", b'( " )', b"b", b""]
    assert tokens([b"x ~{3+}", b"{9}", b")"]) == [b"x", b"{9}"]


@given(st.binary(max_size=300))
def test_nothing_makes_it_fail(text: bytes) -> None:
    tokens([text])
    fetch_items(tokens([text]))
    fetch_items(tokens([text], fetch=True))
    parse_status(text)
    classify([b"* " + text])
    printable(text)


def test_nesting_is_bounded() -> None:
    tokens([b"(" * 100_000])


def test_fetch_items_with_junk() -> None:
    data = tokens([b"(JUNK UID 5 FLAGS () RFC822.SIZE -1 X (a b) BODY[]<0> NIL)"])
    items = fetch_items(data)
    assert items[b"UID"] == b"5" and items[b"FLAGS"] == [] and items[b"BODY[]"] is None
    assert items[b"X"] == [b"a", b"b"]
    assert fetch_items(tokens([b"UID 5 FLAGS (a)"]))[b"UID"] == b"5"


def test_body_line_takes_any_order() -> None:
    orders = [
        (
            b'* 12 FETCH (UID 5 FLAGS (\\Seen a]) INTERNALDATE " 1-Jan-2001 01:02:03 +0100" '
            b"RFC822.SIZE 9 BODY[] {9}\r\n"
        ),
        (
            b"* 12 FETCH (RFC822.SIZE 9 MODSEQ (12345678901234567890) INTERNALDATE "
            b'" 1-Jan-2001 01:02:03 +0100" FLAGS (\\Seen a]) UID 5 SAVEDATE NIL THREADID NIL '
            b"EMAILID (M-1_x) BODY[] {9}\r\n"
        ),
    ]
    for line in orders:
        found = BODY_LINE.match(line + b"x")
        assert found is not None and found.end() == len(line)
        assert found["uid"] == b"5" and found["flags"] == b"\\Seen a]" and found["length"] == b"9"
        assert found["date"] == b" 1-Jan-2001 01:02:03 +0100"


@pytest.mark.parametrize(
    "line",
    [
        b"* 12 FETCH (UID 5 FLAGS (\\Seen) BODY[] {9}\r",
        b'* 12 FETCH (UID 5 FLAGS ("x) BODY[] {9}\r\n") BODY[] {1}\r\n',
        b"* 12 FETCH (UID 5 BODY[HEADER] {9}\r\n",
        b"* 12 FETCH (UID 5 BODY[] NIL)\r\n",
        b" * 12 FETCH (UID 5 BODY[] {9}\r\n",
    ],
)
def test_body_line_takes_nothing_else(line: bytes) -> None:
    assert BODY_LINE.match(line) is None


def test_items_line() -> None:
    found = ITEMS_LINE.match(b"* 3 UIDFETCH (UID 7 FLAGS (a b) EMAILID (x))\r\nmore")
    assert found is not None
    assert found.groups() == (b"3", b"7", b"a b", None, None, None, b"x", None)
    assert ITEMS_LINE.match(b"* 3 FETCH (UID 7 BODY[] {3}\r\n") is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"* OK", (None, b"OK", b"", b"", b"")),
        (b"* OK [ALERT]", (None, b"OK", b"ALERT", b"", b"")),
        (b"* ok [UIDNEXT 5] next", (None, b"OK", b"UIDNEXT", b"5", b"next")),
        (b'a1 NO [X "]"] text]', (b"a1", b"NO", b"X", b'"]"', b"text]")),
        (b"a1 BAD", (b"a1", b"BAD", b"", b"", b"")),
        (
            b"* OK [PERMANENTFLAGS (\\Seen a]b \\*)] x",
            (None, b"OK", b"PERMANENTFLAGS", b"(\\Seen a]b \\*)", b"x"),
        ),
        (b"* BYE [broken", (None, b"BYE", b"", b"", b"[broken")),
    ],
)
def test_status(line: bytes, expected: tuple[object, ...]) -> None:
    assert parse_status(line) == expected


def test_classes() -> None:
    assert classify([b"* 23 EXISTS"]) == Numbered(b"EXISTS", 23)
    assert classify([b"* 7 UIDFETCH (FLAGS ())"]) == Fetch(7, {b"FLAGS": [], b"UID": b"7"})
    assert classify([b"* SEARCH"]) == Data(b"SEARCH", [b""])
    assert classify([b"* LIST (a) NIL {3}", b"x y", b""]) == Data(
        b"LIST", [b"(a) NIL {3}", b"x y", b""]
    )


def test_insane_literals_are_refused() -> None:
    assert literal_size(b"a {4294967296}") == 1 << 32
    with pytest.raises(ServerMisbehaved):
        literal_size(b"a {4294967297}")
    assert literal_size(b"a {x}") is None and literal_size(b"a") is None


def test_words_for_people() -> None:
    assert printable(b"a\x1b[31m\r\nb\xff") == "a [31m b\ufffd"
    status = parse_status(b"a1 NO [ALERT] \x07beep")
    assert status is not None and status.words == "[ALERT] beep"

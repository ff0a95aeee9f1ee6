"""Nothing of what others wrote reaches a terminal as a command."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.cli.output import columns, counted, duration, octets, to_json, width
from portarchive.cli.safe_text import safe, safe_lines, without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("INBOX", "INBOX"),
        ("Ärger 受信箱 🇬🇧", "Ärger 受信箱 🇬🇧"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cx", "x"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("a\x1b", "a"),
        ("a\x1b[", "a"),
        ("a\x1bcb", "ab"),
        ("a\r\nb\tc\x0bd\u2028e", "a b c d e"),
        ("a\x00\x08\x7fb", "ab"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("\u2066a\u2069\u200f\u061cb", "ab"),
        ("a\u200b\ufeffb", "ab"),
        ("a\udc80b", "a\ufffdb"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_examples(text, shown):
    assert safe(text) == shown


@given(st.text(st.characters(exclude_categories=[]), max_size=40))
def test_no_control_of_any_kind_is_left(text):
    shown = safe(text)
    for sign in shown:
        assert unicodedata.category(sign) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(sign) not in {
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        }  # fmt: skip
    assert safe(shown) == shown
    shown.encode()


def test_lines_stay_lines():
    assert safe_lines("one\ntwo\x07") == "one\ntwo"


def test_passwords_in_urls():
    assert without_passwords("no: imaps://jane:s3c@ret@h x") == "no: imaps://jane:***@h x"
    assert without_passwords("imaps://jane@h:993") == "imaps://jane@h:993"


@given(st.text(st.characters(exclude_categories=[])))
def test_json_is_ascii(text):
    assert to_json({"x": text}).isascii()


def test_columns_are_aligned_whatever_is_in_them():
    lines = columns(
        ("NAME", "N"), [("受信箱", "1"), ("e\u0301", "22"), ("\x1b[1mplain", "333")], right=(1,)
    )
    assert lines == ["NAME      N", "受信箱    1", "e\u0301        22", "plain   333"]
    assert {width(line) for line in lines} == {11}


def test_words_for_numbers():
    assert [octets(n) for n in (0, 999, 1000, 4_200_000, 10**13)] == [
        "0 B", "999 B", "1.0 kB", "4.2 MB", "10.0 TB",
    ]  # fmt: skip
    assert counted(1, "message") == "1 message"
    assert counted(1200, "message") == "1,200 messages"
    assert [duration(s) for s in (0.4, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]

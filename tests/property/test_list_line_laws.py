"""Any line of LIST: the mailbox that it is about, or none; never another one."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from portarchive.connectors.imap import list_lines
from portarchive.connectors.imap.parser import LITERAL_AT_END

_OCTETS = st.lists(
    st.sampled_from([b" ", b'"', b"\\", b"(", b")", b"{", b"}", b"3", b"/", b"a", b"B", b"NIL",
                     b"\xc3\xa9", b"\xff", b"\t", b"%", b"*", b"+", b"~", b"[", b"]", b"CHILDINFO",
                     b"OLDNAME", b"&", b"\x1b"]),
    min_size=1, max_size=12,
).map(b"".join)  # fmt: skip
_HEADS = st.sampled_from(
    [b'() "/" ', b'(\\HasNoChildren) "." ', b"(\\A \\B) NIL ", b'() "\\\\" ', b'() "\\"" ']
)
_TAILS = st.sampled_from([b"", b" ", b' ("CHILDINFO" ("SUBSCRIBED"))', b' ("OLDNAME" ({2}\r\na)))'])


def parts_of(line: bytes) -> list[bytes]:
    """The line as the connection gives it: cut at its literals."""
    parts = []
    while True:
        text, crlf, rest = line.partition(b"\r\n")
        parts.append(text)
        found = LITERAL_AT_END.search(text)
        if not crlf or found is None:
            return parts
        parts.append(rest[: int(found[1])])
        line = rest[int(found[1]) :]


def quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def literal(name: bytes) -> bytes:
    return b"{%d}\r\n%s" % (len(name), name)


@given(_OCTETS, _HEADS, _TAILS, st.sampled_from([quoted, literal]))
def test_what_is_written_by_the_grammar_is_listed(name, head, tail, write) -> None:
    entry = list_lines.listed(parts_of(head + write(name) + tail))
    assert entry is not None
    assert entry.wire == name


@given(_OCTETS, _HEADS, _TAILS)
@example(b"Foo Bar", b'() "/" ', b"")
@example(b"Foo (old (mail))", b'() "/" ', b"")
@example(b'a"b', b'() "/" ', b"")
def test_without_quotes_it_is_listed_or_not_understood(name, head, tail) -> None:
    """What could not be told from another name by anybody is left out of the question."""
    parts = parts_of(head + name + tail)
    entry = list_lines.listed(parts)
    if by_the_grammar(name + tail) or name.strip(b" \t") != name:
        return
    assert entry is None or entry.wire == name


@given(_OCTETS, _HEADS, _TAILS)
@example(b'a"b', b'() "/" ', b"")
@example(b'a" (b (c))', b'() "/" ', b"")
@example(b"a\\b", b'() "/" ', b"")
def test_without_escapes_it_is_listed_or_not_understood(name, head, tail) -> None:
    sent = b'"' + name + b'"'
    entry = list_lines.listed(parts_of(head + sent + tail))
    if by_the_grammar(sent + tail):
        return
    assert entry is None or entry.wire == name


def by_the_grammar(text: bytes) -> bool:
    """Whether it is a quoted name or a literal, and extended data of a known kind or nothing.

    Such a line means what it says, whatever the server meant by it.
    """
    known = rb'( (\("?(CHILDINFO|OLDNAME)"? \(.*\)\)|\(.*\)))?[ \t]*'
    name = rb'("([^"\\]|\\["\\])*"|~?\{\d+\+?\}\r\n.*)'
    bare = rb'[^\x00-\x20\x7f()"]+ \((CHILDINFO|OLDNAME) .*\)'
    return (
        re.fullmatch(name + known, text, re.DOTALL) is not None
        or re.fullmatch(bare + rb"[ \t]*", text, re.DOTALL) is not None
    )


@given(st.one_of(_OCTETS, st.binary(max_size=60)).filter(lambda octets: b"\n" not in octets))
@example(b'() "/" ')
@example(b'() "/" {5}')
@example(b"(" * 500)
def test_any_octets_are_a_line_or_none(octets) -> None:
    parts = parts_of(octets)
    entry = list_lines.listed(parts)
    counted = list_lines.counted(parts)
    line = list_lines.whole(parts)
    guess = list_lines.guess(line)
    assert entry is None or (guess is not None) or not entry.wire
    for found in (entry, guess):
        if found is not None and found.wire:
            assert found.wire in line or b"\\" in line
            assert len(found.delimiter) <= 1
    assert counted is None or isinstance(counted[1], list)

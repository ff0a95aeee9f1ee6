"""The lines of an account file: words, comments, faults, paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.access.account_file import AccountLine, clashes, parse, place
from portarchive.errors import SettingsError


def words(text):
    accounts, faults = parse(text.encode())
    assert faults == []
    return [list(account.words) for account in accounts]


def test_lines_have_numbers_and_blank_ones_do_not_count():
    text = "# mine\n\n  \t\nimaps://a@h one\r\n\n   # more\nimaps://b@h two"
    assert parse(text.encode()) == (
        [AccountLine(4, ("imaps://a@h", "one")), AccountLine(7, ("imaps://b@h", "two"))],
        [],
    )
    assert parse(b"") == parse(b"\n\n") == parse(b"# nothing") == ([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        ("  a\t b  ", ["a", "b"]),
        ("a 'two words'", ["a", "two words"]),
        ('a "two words" x', ["a", "two words", "x"]),
        ("a two\\ words", ["a", "two words"]),
        ("a ''", ["a", ""]),
        ("a 'it'\\''s'", ["a", "it's"]),
        ("a b # c", ["a", "b"]),
        ("a b #c 'unclosed", ["a", "b"]),
        ("a mail#1", ["a", "mail#1"]),
        ("a '#1' b", ["a", "#1", "b"]),
        ("a \\#1", ["a", "#1"]),
        ("a $HOME/`x` *?;|&>", ["a", "$HOME/`x`", "*?;|&>"]),
        ("a Zwölf\u00a0Bäume", ["a", "Zwölf\u00a0Bäume"]),
        ("\ufeffa b", ["a", "b"]),
        ("a --password-command 'pass show \"mail a\"'", ["a", "--password-command"]),
    ],
)
def test_words(text, expected):
    (found,) = words(text)
    assert found[: len(expected)] == expected
    if len(found) > len(expected):
        assert found[len(expected) :] == ['pass show "mail a"']


@pytest.mark.parametrize(
    "line",
    [b"a 'b", b'a "b', b"a b\\", b"a \xff", b"a b\0", b"a \x1b[31m", b"a b\x85\xe2", b"a\rb"],
)
def test_faults_name_the_line_and_not_what_it_says(line):
    accounts, (fault,) = parse(b"# one\nimaps://x@h two\n" + line + b"\nimaps://y@h four\n")
    assert [account.number for account in accounts] == [2, 4]
    assert fault.number == 3
    assert fault.hint
    assert fault.text.startswith("the line ")
    assert len(fault.text) < 80


@given(st.binary(max_size=200))
def test_every_line_is_an_account_a_fault_or_nothing(octets):
    accounts, faults = parse(octets)
    numbers = [account.number for account in accounts] + [fault.number for fault in faults]
    assert len(numbers) == len(set(numbers))
    assert all(1 <= number <= octets.count(b"\n") + 1 for number in numbers)
    assert all(account.words for account in accounts)


@given(st.lists(st.text("ab #'\"\\$ä", max_size=6), min_size=1, max_size=4))
def test_what_is_quoted_comes_back(expected):
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in expected)
    assert words(quoted + " # 'end") == [expected]


def test_places(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    base = Path("etc/lists")
    assert place("mail/jane", base) == Path("etc/lists/mail/jane")
    assert place("/mail/jane", base) == Path("/mail/jane")
    assert place("~/mail", base) == tmp_path / "mail"
    assert place("./~/mail", base) == Path("etc/lists/~/mail")
    with pytest.raises(SettingsError) as caught:
        place("~no-such-user-here/mail", base)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/a", "/b", "/ab"], []),
        (["/a", "/b", "/a"], [(3, "is the same as that of line 1")]),
        (["/a", "/a", "/a"], [(2, "same as that of line 1"), (3, "same as that of line 1")]),
        (["/a", "/a/b/c"], [(2, "lies in that of line 1")]),
        (["/a/b/c", "/x", "/a"], [(3, "holds that of line 1")]),
    ],
)
def test_clashes(paths, expected):
    found = clashes((number, Path(path)) for number, path in enumerate(paths, 1))
    assert [fault.number for fault in found] == [number for number, _ in expected]
    for fault, (_, text) in zip(found, expected, strict=True):
        assert text in fault.text
        assert fault.hint

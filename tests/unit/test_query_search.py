"""Searches: the grammar, what each field means, and words that are only in the text of messages."""

from __future__ import annotations

import shutil
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing import archive, indexed
from portarchive.archive.contents import open_contents
from portarchive.errors import SettingsError, UnsafePath
from portarchive.index import search_text
from portarchive.index.query import Session
from portarchive.index.search import COLUMNS, Search, item_of
from portarchive.index.search_sql import Compiler
from portarchive.index.search_syntax import FIELDS, Either, Every, Not, Term, parse, terms_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return indexed(tmp_path_factory.mktemp("search") / "mail")


@pytest.fixture(scope="module")
def find(place):
    """Runs a search; gives places as ``folder:uid``, the newest first."""
    with Session(place) as session, open_contents(place.parent) as contents:

        def run(*words, bodies=False):
            typed = [
                part for one in words for part in ([one] if set(one) & set("\"'") else one.split())
            ]
            job = Search(parse(typed), bodies=bodies)
            found = [f"{one.folder}:{one.uid}" for one in job.run(session, contents)]
            return [one if not one.startswith("Evil") else "Evil:1" for one in found]

        yield run


def word(text):
    return Term("", text)


@pytest.mark.parametrize(
    ("words", "node"),
    [
        (["a"], word("a")),
        (["a", "b"], Every((word("a"), word("b")))),
        (["a b"], word("a b")),
        (['"a  b" c'], Every((word("a b"), word("c")))),
        (["from:jane", "-subject:x"], Every((Term("from", "jane"), Not(Term("subject", "x"))))),
        (["from:jane subject:x"], Every((Term("from", "jane"), Term("subject", "x")))),
        (["subject:big deal"], Term("subject", "big deal")),
        (["-subject:big deal"], Not(Term("subject", "big deal"))),
        (['subject:"big deal"'], Term("subject", "big deal")),
        (["a", "OR", "b", "c"], Either((word("a"), Every((word("b"), word("c")))))),
        (["(a OR b)", "-c"], Every((Either((word("a"), word("b"))), Not(word("c"))))),
        (["-(a b)"], Not(Every((word("a"), word("b"))))),
        (["a or b"], word("a or b")),
        (["FROM:Jane"], Term("from", "Jane")),
        (["in:Work"], Term("folder", "Work")),
        (["http://example.org/x"], word("http://example.org/x")),
        (["10:30"], word("10:30")),
        (["a-b"], word("a-b")),
        (['"form:jane"'], word("form:jane")),
        (['"open'], word("open")),
    ],
)
def test_grammar(words, node):
    assert parse(words) == node


@pytest.mark.parametrize(
    "words",
    [[], [""], ["("], [")"], ["a", "OR"], ["OR", "a"], ["()"], ["-"], ["from:"], ["form:x"],
     ['""'], ["(" * 60 + "a" + ")" * 60], ["a "] * 101, ["a )"]],
)  # fmt: skip
def test_what_is_no_search_is_one_line(words):
    with pytest.raises(SettingsError) as raised:
        parse(words)
    assert raised.value.code == "bad-search"
    assert raised.value.hint
    assert "\n" not in str(raised.value)


def test_a_field_that_is_misspelled_is_named():
    with pytest.raises(SettingsError) as raised:
        parse(["form:jane"])
    assert "did you mean from:" in (raised.value.hint or "")


@given(st.lists(st.text(max_size=30), max_size=5))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_search_or_one_line(words):
    try:
        node = parse(words)
    except SettingsError as error:
        assert error.code == "bad-search"
        return
    assert all(term.value and term.field in {"", *FIELDS} for term in terms_of(node))


OF_A_KIND = {
    "before",
    "after",
    "since",
    "on",
    "expires-before",
    "expires-after",
    "has",
    "is",
    "larger",
    "smaller",
}
ALL = ["Work:2", "Evil:1", "Work:1", "Work/2019:1", "INBOX:4", "INBOX:3", "INBOX:2", "INBOX:1",
       "INBOX:5"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("harpsichord", ["INBOX:1"]),
        ("HARPSICHORD buzzes", ["INBOX:1"]),
        ("marz", ["INBOX:2"]),
        ("MÄRZ", ["INBOX:2"]),
        ("rechnung.pdf", []),
        ("filename:rechnung", ["INBOX:2"]),
        ("filename:U.pdf", ["INBOX:2"]),
        ("from:karin", ["INBOX:2"]),
        ("from:karin OR from:shop", ["INBOX:3", "INBOX:2"]),
        ("-from:jane -from:evil", ["INBOX:4", "INBOX:3", "INBOX:2"]),
        ("to:ida -folder:INBOX", ["Work:2", "Evil:1", "Work:1", "Work/2019:1"]),
        ("cc:ida", []),
        ("subject:twice", ["Work:1", "Work/2019:1"]),
        ("folder:work", ["Work:2", "Work:1", "Work/2019:1"]),
        ("folder:2019", ["Work/2019:1"]),
        ("folder:Work/2*", ["Work/2019:1"]),
        ("folder:evil*", ["Evil:1"]),
        ("role:archive", ["Work:2", "Work:1"]),
        ("has:attachment", ["INBOX:2"]),
        ("has:one-click", ["INBOX:3"]),
        ("has:list", ["INBOX:3"]),
        ("list:news.shop", ["INBOX:3"]),
        ("is:unread folder:INBOX -is:kept", ["INBOX:3", "INBOX:2"]),
        ("is:read", ["INBOX:4", "INBOX:1"]),
        ("is:flagged", ["Work:1"]),
        ("keyword:$FLAGGED", ["Work:1"]),
        ("keyword:\\Flagged", ["Work:1"]),
        ("colour:red", ["Work:1"]),
        ("is:kept", ["INBOX:5"]),
        ("is:expired", ["INBOX:3"]),
        ("is:not-expired folder:INBOX", ["INBOX:4", "INBOX:2", "INBOX:1", "INBOX:5"]),
        ("expires-before:2999", ["INBOX:3"]),
        ("expires-before:1971", []),
        ("expires-after:1971", ["INBOX:3"]),
        ("expires-after:2999", []),
        ("-expires-after:1971 folder:INBOX", ["INBOX:4", "INBOX:2", "INBOX:1", "INBOX:5"]),
        ("folder:201?", ["Work/2019:1"]),
        ("is:bounce", ["INBOX:4"]),
        ("before:2000", ["INBOX:5"]),
        ("before:2024-02-15", ["INBOX:1", "INBOX:5"]),
        ("since:2024-06-15", ["Work:2", "Evil:1"]),
        ("after:2024-06-15", ["Work:2"]),
        ("after:2024-06", ["Work:2"]),
        ("on:2024-06-15", ["Evil:1"]),
        ("on:2024-04", ["INBOX:4"]),
        ("larger:4k", ["Work:2"]),
        ("smaller:150", ["INBOX:5"]),
        ("type:application/pdf", ["INBOX:2"]),
        ("type:message", ["INBOX:4"]),
        ("buzzes OR (twice -is:flagged)", ["Work/2019:1", "INBOX:1"]),
        ("-(from:jane OR from:evil)", ["INBOX:4", "INBOX:3", "INBOX:2"]),
        ("id:nothing@example.org", []),
        ("';--", []),
        ("%", []),
        ("since:0d", []),
        ("-nothing", ALL),
    ],
)
def test_fields(find, words, found):
    assert find(words) == found


@pytest.mark.parametrize(
    ("words", "header", "body"),
    [
        ("strasse", [], ["INBOX:1"]),
        ("ete", [], ["INBOX:1"]),
        ('"the harpsichord buzzes"', [], ["INBOX:1"]),
        ('"quiet word & more"', [], ["INBOX:2"]),
        ("hidden", [], []),
        ("body:harpsichord", ["INBOX:1"], ["INBOX:1"]),
        ("body:rechnung", [], []),
        ("-body:harpsichord from:jane -is:kept -folder:Work", [], []),
        ("harpsichord strasse", [], ["INBOX:1"]),
        ("strasse -from:jane", [], []),
        ("same", [], ["Work:1", "Work/2019:1"]),
        ("same OR karin", ["INBOX:2"], ["Work:1", "Work/2019:1", "INBOX:2"]),
        ("-strasse from:jane -is:kept folder:INBOX", ["INBOX:1"], []),
    ],
)
def test_words_in_the_text(find, words, header, body):
    assert find(words) == header
    assert find(words, bodies=True) == body


def test_only_messages_in_doubt_are_read(place):
    with Session(place) as session, open_contents(place.parent) as contents:
        for words, read in (("from:karin", 0), ("nothing from:karin", 1), ("nothing", 9)):
            job = Search(parse([words]), bodies=True)
            list(job.run(session, contents))
            assert job.read == read, words


@pytest.mark.parametrize(
    "words",
    ["is:new", "has:x", "larger:much", "smaller:-1", "before:soon", "on:2024-13",
     "since:2024-02-30", "after:9999", "before:0", "expires-before:soon", "since:99999y"],
)  # fmt: skip
def test_a_value_that_is_none_is_one_line(find, words):
    with pytest.raises(SettingsError) as raised:
        find(words)
    assert raised.value.code == "bad-search"
    assert raised.value.hint


@pytest.mark.parametrize(
    ("value", "first"),
    [("today", "2024-03-31"), ("yesterday", "2024-03-30"), ("7d", "2024-03-24"),
     ("2w", "2024-03-17"), ("1m", "2024-02-29"), ("1y", "2023-03-31")],
)  # fmt: skip
def test_spans_that_count_from_today(value, first):
    compiler = Compiler(today=date(2024, 3, 31))
    compiler.condition(Term("since", value))
    assert compiler.parameters == {"p1": f"{first} 00:00:00+00"}


def test_words_never_become_sql():
    compiler = Compiler()
    evil = "x' OR 1=1; COPY --"
    for field in sorted(FIELDS - OF_A_KIND):
        assert "COPY" not in compiler.condition(Term(field, evil))


def test_a_forged_index_leads_to_no_file_outside():
    row = dict.fromkeys(COLUMNS)
    for member in ("../../etc/passwd", "/etc/passwd", "mail/../../x", "archive.json", "mail", ""):
        with pytest.raises(UnsafePath):
            item_of([{**row, "member": member}[name] for name in COLUMNS])


def test_a_message_that_cannot_be_read_is_counted(tmp_path):
    path = archive(tmp_path / "mail")
    place = indexed(tmp_path / "other")
    shutil.rmtree(path / "mail/INBOX")
    (path / "mail/INBOX").mkdir()
    (path / "mail/INBOX/folder.json").write_bytes(
        (place.parent / "mail/INBOX/folder.json").read_bytes()
    )
    with Session(place) as session, open_contents(path) as contents:
        job = Search(parse(["strasse"]), bodies=True)
        assert list(job.run(session, contents)) == []
        assert job.unreadable == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<p>a</p><p>b</p>", "a\nb"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<style>p{}</style><script>x()</script>a<!-- b -->c", "a c"),
        ("<script>never closed", ""),
        ("a <script never closed", "a"),
        ('<style media="a">p{}</style >b', "b"),
        ("a &#" + "1" * 5000 + "; b", "a \ufffd b"),
        ("&#x1F600; &#0000000065;", "\U0001f600 A"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
        ("a <b>b</b> c", "a b c"),
        ("no marks", "no marks"),
        ("<" * 2000, "<" * 2000),
    ],
)
def test_html_without_its_marks(text, words):
    assert search_text.without_marks(text) == words


@given(st.binary(max_size=2000))
@settings(max_examples=300, deadline=None)
def test_any_octets_have_a_text(octets):
    assert isinstance(search_text.body_of(octets), str)


@pytest.mark.parametrize(
    "body",
    ["a" + "\u0301\u0323" * 200_000, "<br " * 200_000, "<script>" * 100_000, "<!--" * 200_000,
     *(f"<{name} " * 100_000 for name in ("script", "style", "head", "title", "template")),
     "<script>" + "</script " * 100_000, "&#" + "1" * 800_000, "&#1" * 300_000,
     "<br> \n" * 150_000, "&" * 800_000, "<" * 800_000],
)  # fmt: skip
def test_no_text_takes_for_ever(body):
    kind = "html" if body[0] in "<&" else "plain"
    octets = f"Content-Type: text/{kind}; charset=utf-8\r\n\r\n{body}".encode()
    begun = time.process_time()
    search_text.body_of(octets)
    assert time.process_time() - begun < 60, "far under a second where nothing is quadratic"

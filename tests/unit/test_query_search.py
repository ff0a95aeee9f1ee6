"""Searches: the grammar, what each field means, and words that are only in the text of messages."""

from __future__ import annotations

import shutil
import time
import unicodedata
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporting import export
from indexing import archive, indexed, mail
from portarchive.archive.contents import open_contents
from portarchive.connectors.memory import MemorySource
from portarchive.errors import SettingsError, UnsafePath
from portarchive.index import folding, search_text
from portarchive.index.build import build
from portarchive.index.place import locate
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
        (["label:Work"], Term("keyword", "Work")),
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
    "colour",
    "role",
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
        ("color:gray", []),
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
    ["is:new", "has:x", "colour:pink", "color:gr", "role:imbox",
     "larger:much", "smaller:-1", "before:soon", "on:2024-13",
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


# --- case, accents, and signs that are others in another dress ----------------------------------


def odd_account():
    """Mail whose senders write in many ways; the subject tells the message."""
    found = MemorySource()
    found.create_folder("C:\\MAIL\\1999")
    found.create_folder("[Gmail]/Odd?")
    at = "2024-01-15T12:00:00+00:00"
    for number, text in enumerate(WRITTEN, 1):
        body = f"In der {text}.\r\n"
        found.add(mail(f"{number} {text}", body=body), received=at)
    found.add(mail("lf", Sender="Wirt\u00df <bounce@relay.example>"), received=at)
    found.add(mail("rt", Reply_To="Answers <answers@help.example>"), received=at)
    found.add(mail("dos"), "C:\\MAIL\\1999", received=at, flags=["$Custom", "seen"])
    found.add(mail("brackets"), "[Gmail]/Odd?", received=at, flags=["$seen", "$Forwarded"])
    return found


WRITTEN = (
    "STRA\u1e9eE", "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3", "\uff21\uff42\uff23", "\ufb01sh",
    "co\u00adop", "\U0001d405\U0001d42b\U0001d41e\U0001d41e", "\u0130stanbul", "a\u00a0b",
)  # fmt: skip


@pytest.fixture(scope="module")
def find_odd(tmp_path_factory):
    path = tmp_path_factory.mktemp("odd") / "mail"
    export(odd_account(), path)
    with open_contents(path) as contents:
        place = locate(path, contents)
        build(contents, place, jobs=1)
        with Session(place) as session:

            def run(*words, bodies=False):
                found = Search(parse(words), bodies=bodies).run(session, contents)
                return sorted((one.subject or "").split()[0] for one in found)

            yield run


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("strasse", "1"), ("stra\u00dfe", "1"), ("STRA\u1e9eE", "1"),
        ("\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c3", "2"),
        ("\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "2"),
        ("abc", "3"), ("\uff21\uff22\uff23", "3"), ("fish", "4"), ("\ufb01sh", "4"),
        ("coop", "5"), ("co\u00adop", "5"), ("free", "6"), ("istanbul", "7"), ("a b", "8"),
        ("a\u00a0b", "8"),
    ],
)  # fmt: skip
def test_case_accents_and_dress_do_not_count(find_odd, word, number):
    assert find_odd(f'subject:"{word}"') == [number]
    assert find_odd(f'"{word}"') == [number]
    assert find_odd(f'body:"{word}"') == [number]
    assert find_odd(f'"{word}"', bodies=True) == [number]


def test_the_index_and_the_text_are_compared_alike(place):
    """Letters and digits of many scripts: what finds one in a header finds it in a text."""
    ranges = (0x41, 0x530), (0x1E00, 0x2000), (0xFB00, 0xFB07), (0xFF10, 0xFF9E), (0x1D400, 0x1D800)
    signs = [chr(number) for first, end in ranges for number in range(first, end)]
    signs = [sign for sign in signs if unicodedata.category(sign)[0] in "LN"]
    compiler = Compiler()
    folded_text = compiler.folded("x")
    sql = f"select {folded_text} from (select unnest($signs) as x)"
    with Session(place) as session:
        rows = session.all(sql, {**compiler.parameters, "signs": signs})
    other = {
        sign: (told, folding.folded(sign))
        for sign, (told,) in zip(signs, rows, strict=True)
        if told != folding.folded(sign)
    }
    # signs that stand for several, and small ones raised: docs/query.md promises none of them
    kinds = {
        sign: (unicodedata.normalize(kind, sign) for kind in ("NFD", "NFKD")) for sign in other
    }
    assert all(one != compatible for one, compatible in kinds.values())
    assert len(other) < 100


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("relay.example", ["lf"]),
        ("wirtss", ["lf"]),
        ("answers", ["rt"]),
        ("folder:C:\\MAIL\\1999", ["dos"]),
        ("folder:c:\\mail*", ["dos"]),
        ("folder:[gmail]", ["brackets"]),
        ("folder:MAIL\\\\1999", []),
        ("keyword:custom", ["dos"]),
        ("keyword:$custom", ["dos"]),
        ("keyword:seen", ["brackets", "dos"]),
        ("keyword:$seen", ["brackets"]),
        ("keyword:Forwarded", ["brackets"]),
        ("label:custom", ["dos"]),
    ],
)
def test_where_words_are_looked_for(find_odd, words, found):
    assert find_odd(words) == found


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

"""Where messages of an mbox file begin and end, and what is remembered of them."""

from __future__ import annotations

import hashlib
import mailbox
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.connectors.mbox import postmark, scan
from portarchive.connectors.mbox.index import Index, Row
from portarchive.connectors.mbox.quoting import unquoted, unquoted_pieces
from portarchive.connectors.mbox.scan import Scanner
from portarchive.errors import ConnectionLost

DATE = b"Sat Jan  3 01:05:34 2015"
EPOCH = 1420247134


class Scanned:
    """A file, indexed."""

    def __init__(self, path: Path, *, rd: bool = True) -> None:
        self.fd = os.open(path, os.O_RDONLY)
        self.rd = rd
        self.scanner = Scanner(self.fd, rd=rd)
        self.scanner.extend(os.fstat(self.fd).st_size)

    @property
    def index(self) -> Index:
        return self.scanner.index

    def messages(self) -> list[bytes]:
        raw = [
            os.pread(self.fd, length, start)
            for start, length in zip(self.index.starts, self.index.lengths, strict=True)
        ]
        return [unquoted(each) if self.rd else each for each in raw]

    def flags(self, number: int = 0) -> tuple[str, ...]:
        return self.index.facts[self.index.fact_numbers[number]].flags


@pytest.fixture
def of(tmp_path):
    """``of(octets)``: a file with them, indexed."""
    opened: list[Scanned] = []

    def make(octets: bytes, **options) -> Scanned:
        path = tmp_path / f"box{len(opened)}"
        path.write_bytes(octets)
        opened.append(Scanned(path, **options))
        return opened[-1]

    yield make
    for scanned in opened:
        os.close(scanned.fd)


# --- postmarks


@pytest.mark.parametrize(
    ("line", "epoch"),
    [
        (b"From jane@example.org Sat Jan  3 01:05:34 2015", EPOCH),
        (b"From MAILER-DAEMON Sat Jan 3 01:05:34 2015", EPOCH),
        (b"From - Sat Jan 03 01:05:34 2015\r", EPOCH),
        (b"From 1490000000000000001@xxx Sat Jan 03 01:05:34 +0000 2015", EPOCH),
        (b"From jane Sat Jan  3 03:05:34 +0200 2015", EPOCH),
        (b"From jane Fri Jan  2 20:05:34 EST 2015", EPOCH),
        (b"From jane Sat Jan  3 01:05:34 2015 +0000", EPOCH),
        (b"From jane Sat Jan  3 01:05:34 GMT 2015 remote from host", EPOCH),
        (b"From jane Sat Jan  3 01:05 2015", EPOCH - 34),
        (b'From "jane doe"@example.org Sat Jan  3 01:05:34 2015', EPOCH),
        (b"From jane Sat, 3 Jan 2015 01:05:34 +0000", EPOCH),
        (b"From jane Thu Jan  1 00:00:00 1970", 0),
        (b"From here on it is text", None),
        (b"From ", None),
        (b"From Saturday on, Jan 3 will do", None),
        (b"From jane Sat Foo  3 01:05:34 2015", None),
        (b"From jane Sat Feb 30 01:05:34 2015", None),
        (b"From jane Sat Jan  3 25:05:34 2015", None),
    ],
)
def test_a_postmark_is_told_by_its_date(line, epoch):
    assert postmark.instant(line) == epoch


def test_gmails_number_is_in_the_postmark():
    assert postmark.gmail_id(b"From 1490000000000000001@xxx Sat Jan 03") == 1490000000000000001
    assert postmark.gmail_id(b"From 99999999999999999999@xxx Sat Jan 03") == 0
    assert postmark.gmail_id(b"From jane@xxx Sat Jan 03") == 0


# --- where messages end


def test_text_that_begins_with_from_does_not_split(of):
    """Scenario 46: an empty line before it and a date in it, or it is text."""
    text = (
        b"From a " + DATE + b"\nSubject: 1\n\n"
        b"From the beginning\n\nFrom now on: text\n\nFrom jane Sat Foo 3\n"
        b"no empty line before:\nFrom b " + DATE + b"\nend\n\n"
        b"From c " + DATE + b"\nSubject: 2\n\nx\n\n"
    )
    box = of(text)
    assert len(box.messages()) == 2
    assert box.messages()[0].endswith(b"end\n")
    assert box.messages()[1] == b"Subject: 2\n\nx\n"
    assert box.scanner.counts == {}


def test_a_postmark_without_an_empty_line_is_worth_a_note(of):
    one = b"From a " + DATE + b"\nSubject: 1\n\nx\n"
    box = of(one + b"From b " + DATE + b"\nSubject: 2\n\ny\n\n" + one)
    assert len(box.messages()) == 2
    assert box.scanner.counts == {"postmark-without-empty-line": 1}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_writer_that_leaves_the_empty_line_out(of, end):
    """It never has one, but where a message ends with one; such a file is not one message."""
    texts = [b"Subject: 1\n\nx\n", b"Subject: 2\n\n>From y\n", b"Subject: 3\n\nz\n", b"S: 4\n\n"]
    box = of(b"".join(b"From a " + DATE + b"\n" + text for text in texts).replace(b"\n", end))
    expected = [text.replace(b"\n", end).replace(b">From", b"From") for text in texts]
    assert box.messages() == [*expected[:3], expected[3][: -len(end)]]
    assert box.scanner.counts == {"split-without-empty-line": 3, "mboxrd-unquoted": 1}


def test_postmarks_without_a_date(of):
    """In a file of such they count; among others they are worth a note."""
    text = b"".join(b"From jane\nSubject: %d\n\nx\n\n" % number for number in range(3))
    box = of(text + b"From here on: it is no header\n\nFrom there:\n\n")
    assert len(box.messages()) == 3
    assert box.scanner.counts == {"split-without-date": 2, "no-date": 3}
    box = of(b"From a " + DATE + b"\nSubject: 0\n\nx\n\n" + text)
    assert len(box.messages()) == 1
    assert box.scanner.counts == {"postmark-without-date": 3}


def test_lines_of_postmarks_are_no_messages(of):
    box = of(b"From a " + DATE + b"\nSubject: 1\n\nx\n" + (b"From b " + DATE + b"\n") * 50 + b"\n")
    assert len(box.messages()) == 1
    assert box.scanner.counts == {}


def test_a_file_grows_and_is_not_what_it_seemed(tmp_path):
    path = tmp_path / "box"
    one = b"From a " + DATE + b"\nSubject: 1\n\nx\n"
    path.write_bytes(one)
    box = Scanned(path)
    path.write_bytes(one + one)
    with pytest.raises(ConnectionLost):
        box.scanner.extend(path.stat().st_size)
    os.close(box.fd)
    box = Scanned(path)
    assert len(box.index) == 2
    path.write_bytes(one * 4)
    box.scanner.extend(path.stat().st_size)
    assert len(box.index) == 4
    assert box.scanner.counts == {"split-without-empty-line": 3}
    os.close(box.fd)


def test_doubts_are_counted_once(tmp_path):
    """Those of the last message too, which is read anew when the file has grown."""
    path = tmp_path / "box"
    one = b"From a " + DATE + b"\nSubject: 1\n\nx\n\n"
    doubtful = one[:-1] + b"From b " + DATE + b"\nSubject: 2\n\ny\n\n"
    path.write_bytes(one + one + doubtful)
    box = Scanned(path)
    path.write_bytes(one + one + doubtful + one)
    box.scanner.extend(path.stat().st_size)
    assert len(box.index) == 4
    assert box.scanner.counts == {"postmark-without-empty-line": 1}
    os.close(box.fd)


@pytest.mark.parametrize("bare", [b"From \n", b"From - \n", b"From \r\n"])
def test_a_postmark_with_nothing_in_it_counts_before_a_header(of, bare):
    box = of(bare + b"Subject: 1\n\nx\n\n" + bare + b"Subject: 2\n\n\n" + bare + b"not a header\n")
    assert [message[:10] for message in box.messages()] == [b"Subject: 1", b"Subject: 2"]


@pytest.mark.parametrize(
    ("tail", "last"),
    [
        (b"body\n\n", b"Subject: 1\n\nbody\n"),
        (b"body\n", b"Subject: 1\n\nbody\n"),
        (b"body", b"Subject: 1\n\nbody"),
        (b"body\n\n\n", b"Subject: 1\n\nbody\n\n"),
        (b"body\r\n\r\n", b"Subject: 1\n\nbody\r\n"),
    ],
)
def test_the_last_empty_line_is_not_the_messages(of, tail, last):
    assert of(b"From a " + DATE + b"\nSubject: 1\n\n" + tail).messages() == [last]


def test_crlf(of):
    one = b"Subject: 1\r\n\r\nFrom x\r\n>From y\r\n"
    text = b"From a " + DATE + b"\r\n" + one + b"\r\nFrom b " + DATE + b"\r\n" + one + b"\r\n"
    expected = b"Subject: 1\r\n\r\nFrom x\r\nFrom y\r\n"
    assert of(text).messages() == [expected, expected]


def test_odd_files(of):
    assert of(b"").messages() == []
    assert of(b"\n\n\r\n").messages() == []
    assert of(b"\n\nFrom a " + DATE + b"\nS: 1\n\nx\n\n").messages() == [b"S: 1\n\nx\n"]
    assert of(b"From a " + DATE + b"\n").messages() == [b""]
    assert of(b"From a " + DATE + b"\n\nFrom b " + DATE + b"\n\n").messages() == [b"", b""]
    assert of(b"From a\nS: 1\n\nx\n").messages() == [b"S: 1\n\nx\n"]


def test_content_length_counts_if_it_leads_to_a_postmark(of):
    inner = b"text\n\nFrom b " + DATE + b"\nS: inner\n\nquoted by nobody\n"
    head = b"From a " + DATE + b"\nContent-Length: %d\nS: outer\n\n"
    after = b"\nFrom c " + DATE + b"\nS: next\n\nx\n\n"
    right = of(head % len(inner) + inner + after)
    assert [len(each) for each in right.messages()] == [
        len(inner) + len(b"Content-Length: %d\nS: outer\n\n" % len(inner)),
        len(b"S: next\n\nx\n"),
    ]
    for wrong in (len(inner) - 3, len(inner) + 2, 0, 10**9):
        assert len(of(head % wrong + inner + after).messages()) == 3
    at_end = of(head % len(inner) + inner + b"\n")
    assert len(at_end.messages()) == 1


def test_content_length_leads_to_a_postmark_without_an_empty_line(of):
    body = b"no end"
    text = b"From a " + DATE + b"\nContent-Length: 6\n\n" + body + b"\nFrom b " + DATE + b"\n\nx\n"
    assert of(text).messages() == [b"Content-Length: 6\n\nno end", b"\nx\n"]


LINE = st.sampled_from(
    [b"From x", b">From y", b">>From z", b"", b"text", b"From jane " + DATE, b"> quote",
     b"Subject: s", b"Status: RO", b"a" * 60, b"Content-Length: 12", b">Frompage"]
)  # fmt: skip
MESSAGE = st.lists(LINE, max_size=12).map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(st.lists(MESSAGE, max_size=8), st.sampled_from([1100, 1500, 1 << 20]))
def test_what_was_written_is_read(tmp_path_factory, messages, block):
    """mboxrd loses nothing; whatever the blocks in which the file is read."""
    path = tmp_path_factory.mktemp("rd") / "box"
    messages = [re.sub(rb"(?im)^content-length:.*\n", b"", each) for each in messages]
    path.write_bytes(
        b"".join(
            b"From a %s\n%s\n" % (DATE, re.sub(rb"(?m)^(>*From )", rb">\1", each))
            for each in messages
        )
    )
    kept, scan.BLOCK = scan.BLOCK, block
    try:
        box = Scanned(path)
    finally:
        scan.BLOCK = kept
    assert box.messages() == messages
    assert list(box.index.sizes) == [len(each) for each in messages]
    os.close(box.fd)


def test_what_pythons_mailbox_writes_is_read(tmp_path):
    """It quotes as mboxo does: text that begins with ``>From `` cannot be told from quoted."""
    path = tmp_path / "box"
    made = mailbox.mbox(path)
    texts = [b"Subject: %d\n\nFrom here\nto there\n" % number for number in range(30)]
    for text in texts:
        made.add(text)
    made.flush()
    made.close()
    box = Scanned(path)
    assert box.messages() == texts
    assert box.scanner.counts["mboxrd-unquoted"] == 30
    os.close(box.fd)
    as_it_is = Scanned(path, rd=False)
    assert as_it_is.messages() == [text.replace(b"From here", b">From here") for text in texts]
    os.close(as_it_is.fd)


# --- quoting


@given(st.lists(LINE, max_size=20), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_in_pieces_it_is_the_same(lines, sizes):
    text = b"\n".join(lines)
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    assert b"".join(unquoted_pieces(pieces)) == unquoted(text)


def test_a_line_without_end_is_not_held_in_memory():
    pieces = [b">From a\n", *([b"x" * 50_000] * 40), b"\n>From b\n"]
    out = list(unquoted_pieces(pieces))
    assert b"".join(out) == b"From a\n" + b"x" * 2_000_000 + b"\nFrom b\n"
    assert max(map(len, out)) <= 200_000


# --- identity, flags, dates


def test_the_uid_is_the_digest_and_equal_ones_are_numbered(of):
    one = b"From a " + DATE + b"\nSubject: 1\n\nx\n\n"
    box = of(one * 3 + one.replace(b"x", b"y"))
    digits = hashlib.sha256(b"Subject: 1\n\nx\n").hexdigest()[:32]
    assert [box.index.uid(number) for number in range(3)] == [digits, f"{digits}-2", f"{digits}-3"]
    assert box.index.find(f"{digits}-3") == 2
    assert box.index.find(digits[::-1]) is None


def test_a_flag_does_not_change_the_uid(of):
    plain = of(b"From a " + DATE + b"\nSubject: 1\nX: y\n\nx\n\n")
    marked = of(
        b"From a " + DATE + b"\nX-Mozilla-Status: 0001\nSubject: 1\nStatus: RO\nX-Status: AF\n"
        b"X-Keywords: work\n  more\nX-Mozilla-Keys: $label1\nX-UID: 12\nX: y\n\nx\n\n"
    )
    assert marked.index.uid(0) == plain.index.uid(0)
    assert marked.flags() == ("$seen", "$answered", "$flagged", "work", "more", "$label1")
    assert marked.messages()[0].startswith(b"X-Mozilla-Status: 0001\n")


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        (b"Status: RO", ("$seen",)),
        (b"Status: O", ()),
        (b"status: r\nX-STATUS: D", ("\\Deleted",)),
        (b"X-Status: ATFD", ("$answered", "$flagged", "$draft", "\\Deleted")),
        (b"X-Keywords: a B  $Forwarded\r\n\t c", ("a", "B", "$Forwarded", "c")),
        (b"X-Mozilla-Status: 0009", ("$seen", "\\Deleted")),
        (b"X-Mozilla-Status: 1007", ("$seen", "$answered", "$flagged", "$Forwarded")),
        (b"X-Mozilla-Status: zz", ()),
        (b"X-Mozilla-Status2: 00200000", ("\\Deleted",)),
        (b"X-Mozilla-Status2: 08800000", ("$MDNSent", "$label4")),
        (b"X-Mozilla-Keys: $label2 NonJunk ", ("$label2", "NonJunk")),
        (b"X-My-Status: R\nReply-Status: D", ()),
        (b"Subject: x\n\nStatus: RO", ()),
    ],
)
def test_flags_of_the_header(of, fields, flags):
    assert of(b"From a " + DATE + b"\n" + fields + b"\n\nx\n\n").flags() == flags


INTERNAL = (
    b"From MAILER-DAEMON " + DATE + b"\nDate: 03 Jan 2015 01:05:34 +0000\n"
    b"From: Mail System Internal Data <MAILER-DAEMON@host>\n"
    b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    b"X-IMAP: 1 2\nStatus: RO\n\nThis text is part of the internal format\n\n"
)


def test_what_uw_imap_keeps_of_a_folder_is_kept_and_noted(of):
    real = b"From a " + DATE + b"\nSubject: 1\n\nx\n\n"
    box = of(INTERNAL + real)
    assert [message[:8] for message in box.messages()] == [b"Date: 03", b"Subject:"]
    assert box.scanner.counts == {"folder-internal-data": 1}


@pytest.mark.parametrize(
    "forged",
    [
        INTERNAL,
        INTERNAL.replace(b"INTERNAL DATA\n", b"INTERNAL DATA invoice\n"),
        INTERNAL.replace(b"Mail System Internal Data", b"Mallory"),
    ],
)
def test_nobody_keeps_mail_out_by_looking_like_it(of, forged):
    real = b"From a " + DATE + b"\nSubject: 1\n\nx\n\n"
    box = of(real + forged if forged == INTERNAL else forged + real)
    assert len(box.messages()) == 2
    assert box.scanner.counts == {}


@pytest.mark.parametrize(
    ("head", "epoch", "counts"),
    [
        (b"From a Thu Jan  1 00:00:00 1970\nDate: Sat, 3 Jan 2015 01:05:34 +0000\n", EPOCH,
         {"date-from-header": 1}),
        ((b"From a Thu Jan  1 00:00:00 2970\nReceived: by x;\n Sat, 03 Jan 2015 02:05:34 +0100\n"
          b"Received: by y; Fri, 2 Jan 2015 00:00:00 +0000\n"), EPOCH, {"date-from-header": 1}),
        (b"From a Thu Jan  1 00:00:00 1970\nDate: yesterday\n", -1, {"no-date": 1}),
        (b"From a " + DATE + b"\nDate: Fri, 2 Jan 2015 00:00:00 +0000\n", EPOCH, {}),
    ],
)  # fmt: skip
def test_the_date_is_the_postmarks_or_the_headers(of, head, epoch, counts):
    box = of(head + b"\nx\n\n")
    assert list(box.index.epochs) == [epoch]
    assert box.scanner.counts == counts


# --- while others write


def test_what_is_appended_is_read_on_from_the_last_message(tmp_path):
    path = tmp_path / "box"
    whole = b"From a " + DATE + b"\nSubject: 1\n\nx\n\n"
    half = b"From b " + DATE + b"\nSubject: 2\n\nhalf"
    path.write_bytes(whole + half)
    box = Scanned(path)
    assert box.messages()[1] == b"Subject: 2\n\nhalf"
    with path.open("ab") as file:
        file.write(b" and the rest\n\n" + whole)
    assert box.scanner.postmarks_after(path.stat().st_size) == 1
    box.scanner.extend(path.stat().st_size)
    assert box.messages() == [
        b"Subject: 1\n\nx\n", b"Subject: 2\n\nhalf and the rest\n", b"Subject: 1\n\nx\n",
    ]  # fmt: skip
    assert box.index.uid(2).endswith("-2")
    os.close(box.fd)


def test_a_file_cut_short_is_no_crash(tmp_path):
    path = tmp_path / "box"
    path.write_bytes((b"From a " + DATE + b"\nSubject: 1\n\n" + b"x\n" * 1000 + b"\n") * 3)
    box = Scanned(path)
    path.write_bytes(b"From a " + DATE + b"\nS")
    with pytest.raises(ConnectionLost):
        box.scanner.extend(10_000)
    os.close(box.fd)


def test_an_index_forgets_its_last_row():
    index = Index()
    rows = [Row(number, 1, 1, b"%016d" % (number // 2), 0, 0) for number in range(4)]
    for row in rows:
        index.append(row)
    uids = [index.uid(number) for number in range(4)]
    index.settle()
    index.pop()
    index.append(rows[3])
    index.pop()
    index.pop()
    for row in rows[2:]:
        index.append(row)
    assert [index.uid(number) for number in range(4)] == uids
    assert [uid[32:] for uid in uids] == ["", "-2", "", "-2"]


def test_a_large_message_is_measured_in_pieces(of):
    large = b"Subject: 1\nStatus: RO\n\n" + b">From x\n" * 400_000
    box = of(b"From a " + DATE + b"\n" + large + b"\nFrom b " + DATE + b"\nS: 2\n\n\n")
    expected = large.replace(b">From", b"From")
    assert list(box.index.sizes) == [len(expected), 6]
    bare = expected.replace(b"Status: RO\n", b"")
    assert box.index.uid(0) == hashlib.sha256(bare).hexdigest()[:32]


# --- two processes


def told(box: Scanned) -> tuple:
    index = box.index
    rows = range(len(index))
    return (
        [index.uid(number) for number in rows],
        list(index.starts), list(index.lengths), list(index.sizes), list(index.epochs),
        [index.facts[number] for number in index.fact_numbers],
        list(index.threads), list(index.gmail_ids), box.scanner.counts, box.scanner.takeout,
    )  # fmt: skip


def many(number: int) -> bytes:
    status = b"Status: R\n" if number % 3 else b"X-Keywords: k%d\n" % (number % 5)
    date = DATE if number % 7 else b"Thu Jan  1 00:00:00 1970"
    return b"From a %s\n%sSubject: %d\n\n>From x\n%s\n\n" % (date, status, number % 40, b"y" * 90)


@pytest.mark.parametrize("takeout", [False, True])
def test_two_processes_find_what_one_finds(tmp_path, monkeypatch, takeout):
    path = tmp_path / "box"
    text = b"".join(many(number) for number in range(200))
    if takeout:
        text = re.sub(
            rb"From a ([^\n]*)\n",
            rb"From 1490000000000000001@xxx \1\nX-GM-THRID: 7\nX-Gmail-Labels: Inbox,Work\n",
            text,
        )
    path.write_bytes(text)
    alone = Scanned(path)
    monkeypatch.setattr(scan, "TOGETHER", 0)
    absorbed = []
    absorb = Index.absorb
    monkeypatch.setattr(Index, "absorb", lambda *a: absorbed.append(1) or absorb(*a))
    both = Scanned(path)
    assert absorbed == [1]
    assert told(both) == told(alone)
    assert both.scanner.takeout is takeout
    monkeypatch.setattr(scan, "TOGETHER", 1 << 40)
    with path.open("ab") as file:
        file.write(many(3) + many(400))
    for box in (alone, both):
        box.scanner.extend(path.stat().st_size)
    assert told(both) == told(alone)
    assert len(both.index) == 202
    for box in (alone, both):
        os.close(box.fd)


def test_halves_that_do_not_meet_are_found_by_one(tmp_path, monkeypatch):
    """A message that reaches over the middle by its Content-Length, with postmarks in it."""
    path = tmp_path / "box"
    inner = b"".join(many(number) for number in range(60))
    head = b"From a " + DATE + b"\nContent-Length: %d\n\n" % len(inner)
    path.write_bytes(many(1) * 3 + head + inner + b"\n" + many(2) * 3)
    alone = Scanned(path)
    assert len(alone.index) == 7
    monkeypatch.setattr(scan, "TOGETHER", 0)
    both = Scanned(path)
    assert told(both) == told(alone)
    for box in (alone, both):
        os.close(box.fd)


def test_without_a_second_process_one_does_it(tmp_path, monkeypatch):
    path = tmp_path / "box"
    path.write_bytes(b"".join(many(number) for number in range(50)))
    alone = Scanned(path)
    monkeypatch.setattr(scan, "TOGETHER", 0)
    for command in ("/nonexistent", "/bin/false"):
        monkeypatch.setattr("sys.executable", command)
        both = Scanned(path)
        assert told(both) == told(alone)
        os.close(both.fd)
    os.close(alone.fd)

"""What of an archive becomes part of a command, and what a refusal means: pure parts of APPEND."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.connectors.imap import append_form, append_verdict, convert, mailbox_rules
from portarchive.connectors.imap.append_flight import (
    AHEAD_MAX,
    MULTIPLE,
    OCTETS,
    Flight,
    Load,
    Mode,
    ShortError,
    Window,
)
from portarchive.connectors.imap.append_refusals import Known
from portarchive.connectors.imap.append_windows import Gatherer, Suspects, Ways
from portarchive.connectors.imap.known_changes import ALTERATIONS, Server, recognise
from portarchive.connectors.imap.mailbox_rules import UnsendableNameError
from portarchive.connectors.imap.names import Literal, Prefix, decode_name
from portarchive.connectors.imap.responses import parse_status
from portarchive.errors import RateLimited, TokenExpired
from portarchive.placing import Alteration, Parcel, Spot
from portarchive.records import Received

NOW = Received(None, None)
DATE = re.compile(
    rb'"(?: \d|\d\d)-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4}'
    rb' \d\d:\d\d:\d\d [+-]\d{4}"'
)


def parcel(key=1, octets=b"Subject: x\r\n\r\n", folder="INBOX", flags=(), received=NOW, **named):
    spot = Spot(folder, tuple(flags), received)
    return Parcel(key, (spot,), len(octets), octets, lambda: iter([octets]), **named)


def status(line: str):
    found = parse_status(line.encode())
    assert found is not None
    return found


# --- flags --------------------------------------------------------------------------------------


def test_flags_are_system_flags_and_atoms_each_once() -> None:
    flags = ("$seen", "\\Deleted", "$Forwarded", "$forwarded", "\\Seen")
    assert append_form.flag_list(flags) == rb"(\Seen \Deleted $Forwarded)"


@pytest.mark.parametrize(
    "flag",
    ["\\Bogus", "a b (c", "$x) {3+}\r\n", "\\Recent", "$recent", "\\*", "", "ä", "a]b", 'q"', "%",
     "*", "(", "{5}", "a\0b", "\ud800"],
)  # fmt: skip
def test_what_is_no_flag_is_left_out(flag: str) -> None:
    assert append_form.flag_list((flag, "kept")) == b"(kept)"


@given(st.lists(st.text(max_size=12), max_size=6))
def test_no_flag_leaves_the_parentheses(flags: list[str]) -> None:
    listed = append_form.flag_list(tuple(flags))
    assert re.fullmatch(rb"\((?:\\?[^\x00-\x20(){%*\"\\\]\x7f-\xff]+ ?)*\)", listed)


def test_more_flags_than_a_line_may_hold_are_refused() -> None:
    many = tuple(f"keyword-{number:05}" for number in range(1_000))
    assert append_form.head(many, NOW) is None
    gatherer = gathered([parcel(flags=many)])
    assert [outcome.code for _, outcome in gatherer.refused] == ["keyword"]
    assert not gatherer.full


# --- dates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "epoch", "sent"),
    [
        ("2024-02-01T03:04:05+05:00", 1706738645, b'" 1-Feb-2024 03:04:05 +0500"'),
        ("2024-01-31T22:04:05Z", 1706738645, b'"31-Jan-2024 22:04:05 +0000"'),
        ("2024-01-31T22:04:05-00:00", 1706738645, b'"31-Jan-2024 22:04:05 -0000"'),
        ("2024-01-31T18:34:05-03:30", 1706738645, b'"31-Jan-2024 18:34:05 -0330"'),
        (None, 0, b'" 1-Jan-1970 00:00:00 +0000"'),
        ("nonsense +99:99", 0, b'" 1-Jan-1970 00:00:00 +0000"'),
        ('2024 +05:0"', 0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (None, -2_209_161_600, b'"30-Dec-1899 00:00:00 +0000"'),
        (None, -62_135_596_800, b'" 1-Jan-0001 00:00:00 +0000"'),
        ("x-05:00", -62_135_596_800, b'" 1-Jan-0001 00:00:00 +0000"'),
        (None, 253_402_300_799, b'"31-Dec-9999 23:59:59 +0000"'),
        (None, 253_402_300_800, None),
        (None, -62_135_596_801, None),
        (None, 10**30, None),
        (None, None, None),
    ],
)
def test_a_date_is_made_of_a_number(text, epoch, sent) -> None:
    assert append_form.date_time(Received(text, epoch)) == sent


def moment(epoch: int, minutes: int) -> dt.datetime:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (start + dt.timedelta(seconds=epoch)).astimezone(zone)


@given(
    st.integers(24 * 3600, 253_402_200_000),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_date_comes_back_as_it_was(epoch: int, minutes: int) -> None:
    whole = moment(epoch, minutes)
    sent = append_form.date_time(Received(whole.isoformat(), epoch))
    assert sent is not None
    assert DATE.fullmatch(sent)
    back = convert.received(sent.strip(b'"'))
    assert (back.epoch, back.text) == (epoch, whole.isoformat())


@given(
    st.integers(-62_135_000_000, -1),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_date_before_1970_comes_back_too(epoch: int, minutes: int) -> None:
    whole = moment(epoch, minutes)
    sent = append_form.date_time(Received(whole.isoformat(), epoch))
    assert sent is not None
    raw = convert.received(sent.strip(b'"')).raw
    assert append_form.early(raw) == Received(whole.isoformat(), epoch, raw)


@pytest.mark.parametrize(
    "raw", [None, "", "x", "31-Feb-1950 00:00:00 +0000", "01-Xyz-1950 00:00:00 +0000",
            "01-Jan-0000 00:00:00 +0000", "01-Jan-1950 00:00:00 +9900"],
)  # fmt: skip
def test_what_is_no_date_is_none(raw) -> None:
    assert append_form.early(raw) is None


@given(st.text(max_size=30) | st.none(), st.integers(-(10**14), 10**14) | st.none())
def test_no_text_becomes_part_of_a_date(text: str | None, epoch: int | None) -> None:
    sent = append_form.date_time(Received(text, epoch))
    assert sent is None or DATE.fullmatch(sent)


# --- commands -----------------------------------------------------------------------------------


def window(*parcels, mode=Mode.AHEAD, name=b'"INBOX"'):
    loads = [Load(one, append_form.head(one.spots[0].flags, NOW) or b"", False) for one in parcels]
    return Window("INBOX", name, loads, mode)


def test_a_command_that_does_not_wait_is_one_piece() -> None:
    flight = Flight(window(parcel(octets=b"abc", flags=["$seen"]), parcel(octets=b"de")))
    ((piece, waits),) = flight.pieces
    assert not waits
    assert piece == flight.tag + b' APPEND "INBOX" (\\Seen) {3+}\r\nabc () {2+}\r\nde\r\n'


def test_a_command_that_waits_pauses_before_each_literal() -> None:
    flight = Flight(window(parcel(octets=b"abc"), parcel(octets=b"de"), mode=Mode.WAITING))
    assert list(flight.pieces) == [
        (flight.tag + b' APPEND "INBOX" () {3}\r\n', True),
        (b"abc () {2}\r\n", True),
        (b"de\r\n", False),
    ]


def test_a_name_of_8_bit_octets_goes_as_a_literal_that_waits() -> None:
    name = Literal("Ä".encode())
    flight = Flight(window(parcel(octets=b"abc"), mode=Mode.WAITING, name=name))
    assert list(flight.pieces) == [
        (flight.tag + b" APPEND {2}\r\n", True),
        ("Ä".encode() + b" () {3}\r\n", True),
        (b"abc\r\n", False),
    ]
    with pytest.raises(TypeError):
        next(Flight(window(parcel(), name=name)).pieces)


@pytest.mark.parametrize("chunks", [[b"abc", b"d"], [b"abcdef"], []])
def test_a_message_of_another_size_than_announced_is_not_passed_off(chunks) -> None:
    short = Parcel(7, (Spot("INBOX", (), NOW),), 5, None, lambda: iter(chunks))
    pieces = Flight(window(short, mode=Mode.WAITING)).pieces
    with pytest.raises(ShortError) as caught:
        list(pieces)
    assert caught.value.outcome.code == "bad-message"


def test_utf8_headers_are_marked_where_that_is_enabled() -> None:
    octets = "Subject: ä\r\n\r\nx\r\n".encode()
    latin = "Subject: ä\r\n\r\nx\r\n".encode("latin-1")
    body = b"Subject: a\r\n\r\n\xc3\xa4\r\n"
    gatherer = Gatherer(ways(utf8=True), Suspects())
    for number, one in enumerate((octets, latin, body)):
        gatherer.add(parcel(number, one))
    gatherer.flush()
    (only,) = gatherer.full
    assert [load.utf8 for load in only.loads] == [True, False, False]
    ((piece, _),) = Flight(only).pieces
    assert b" () UTF8 (~{%d+}\r\n%s) () {" % (len(octets), octets) in piece


# --- windows ------------------------------------------------------------------------------------


def ways(**named):
    values = {"ahead": AHEAD_MAX, "multiple": MULTIPLE, "utf8": False, "limit": None, "limits": {}}
    return Ways(**(values | named))


def gathered(parcels, suspects=None, **named) -> Gatherer:
    gatherer = Gatherer(ways(**named), suspects or Suspects())
    for one in parcels:
        gatherer.add(one)
    gatherer.flush()
    return gatherer


def sizes(gatherer: Gatherer):
    return [(entry.folder_id, len(entry.loads), entry.mode) for entry in gatherer.full]


def test_windows_hold_a_hundred_messages_of_one_mailbox() -> None:
    parcels = [parcel(key, folder="a" if key < 250 else "b") for key in range(300)]
    ahead = Mode.AHEAD
    assert sizes(gathered(parcels)) == [
        ("a", 100, ahead), ("a", 100, ahead), ("a", 50, ahead), ("b", 50, ahead),
    ]  # fmt: skip


def test_windows_hold_no_more_octets_than_they_may() -> None:
    octets = b"x" * (OCTETS // 5)
    counts = [len(entry.loads) for entry in gathered(parcel(n, octets) for n in range(11)).full]
    assert counts == [5, 5, 1]


def test_without_multiappend_every_message_has_its_command() -> None:
    assert len(gathered([parcel(n) for n in range(5)], multiple=1).full) == 5


def test_what_is_large_odd_or_suspected_does_not_go_ahead() -> None:
    suspects = Suspects()
    suspects.lost(4, accused=True)
    streamed = Parcel(2, (Spot("INBOX", (), NOW),), 10, None, lambda: iter([b"x" * 10]))
    parcels = [
        parcel(1, b"x" * (AHEAD_MAX + 1)),
        streamed,
        parcel(3, careful=True),
        parcel(4),
        parcel(5, received=Received(None, -1)),
        parcel(6, received=Received(None, 1 << 32)),
        parcel(7, received=Received(None, 0)),
    ]
    modes = {
        load.parcel.key: entry.mode for entry in gathered(parcels, suspects).full
        for load in entry.loads
    }  # fmt: skip
    assert modes == {
        1: Mode.WAITING, 2: Mode.WAITING, 3: Mode.ALONE, 4: Mode.ALONE, 5: Mode.ALONE,
        6: Mode.ALONE, 7: Mode.AHEAD,
    }  # fmt: skip


FINE = b"Subject: a\r\n\r\nx\r\n"


def test_what_a_strict_server_refuses_takes_no_window_along() -> None:
    """A refused window is sent again in halves: a bare LF in each would be the end of windows."""
    parcels = [parcel(n, b"Subject: a\n\nx\r\n" if n % 10 == 3 else FINE) for n in range(220)]
    counts = Counter(len(entry.loads) for entry in gathered(parcels, strict=True).full)
    assert counts == {1: 22, 100: 1, 98: 1}
    assert {entry.mode for entry in gathered(parcels, strict=True).full} == {Mode.AHEAD}
    assert [len(entry.loads) for entry in gathered(parcels).full] == [100, 100, 20]


def test_what_was_refused_once_goes_alone() -> None:
    known = Known()
    known.add(FINE)
    gatherer = Gatherer(ways(), Suspects(), known)
    for number in range(100):
        gatherer.add(parcel(number, FINE if number in {5, 50} else b"%d" % number))
    gatherer.flush()
    assert [len(entry.loads) for entry in gatherer.full] == [1, 1, 98]


def test_literal_minus_lets_small_ones_go_ahead() -> None:
    kinds = frozenset({"LITERAL-", "MULTIAPPEND"})
    minus = Ways.of(kinds, utf8=False, limit=None, limits={})
    gatherer = Gatherer(minus, Suspects())
    for key in range(6):
        gatherer.add(parcel(key, b"x" * (4096 + key % 2)))
    gatherer.flush()
    assert sorted(sizes(gatherer)) == [("INBOX", 3, Mode.AHEAD), ("INBOX", 3, Mode.WAITING)]


@pytest.mark.parametrize(
    ("capabilities", "ahead", "multiple"),
    [
        ({"LITERAL+", "MULTIAPPEND"}, AHEAD_MAX, MULTIPLE),
        ({"LITERAL+"}, AHEAD_MAX, 1),
        ({"IMAP4REV2", "MULTIAPPEND", "SAVELIMIT=20"}, 4096, 20),
        ({"MULTIAPPEND", "MESSAGELIMIT=7", "SAVELIMIT=20"}, 0, 7),
        ({"MULTIAPPEND", "SAVELIMIT=0", "MESSAGELIMIT=x"}, 0, MULTIPLE),
        (set(), 0, 1),
    ],
)
def test_what_the_server_takes(capabilities, ahead, multiple) -> None:
    found = Ways.of(frozenset(capabilities), utf8=False, limit=None, limits={})
    assert (found.ahead, found.multiple) == (ahead, multiple)


def test_what_no_server_takes_is_not_sent() -> None:
    parcels = [
        parcel(1, b""),
        parcel(2, b"x" * 101),
        parcel(3, b"x" * 51, folder="small"),
        parcel(4, folder="a\r\nx DELETE INBOX"),
    ]
    gatherer = gathered(parcels, limit=100, limits={"small": 50})
    assert not gatherer.full
    codes = {one.key: outcome.code for one, outcome in gatherer.refused}
    assert codes == {1: "bad-message", 2: "too-big", 3: "too-big", 4: "folder-gone"}


def test_a_message_is_suspected_at_once_or_after_two_losses() -> None:
    suspects = Suspects()
    suspects.lost(1, accused=False)
    assert 1 not in suspects
    suspects.lost(1, accused=False)
    assert 1 in suspects
    suspects.cleared(1)
    assert 1 not in suspects


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("a1 NO [TOOBIG] no", "too-big"),
        ("a1 NO Message size exceeds fixed maximum message size", "too-big"),
        ("a1 NO [LIMIT] Too many identical emails", "limit"),
        ("a1 NO Too many identical emails", "limit"),
        ("a1 NO [OVERQUOTA] Quota exceeded", "over-quota"),
        ("a1 NO Mailbox is full", "over-quota"),
        ("a1 NO [TRYCREATE] Mailbox does not exist", "folder-gone"),
        ("a1 NO [NONEXISTENT] gone", "folder-gone"),
        ("a1 NO [CANNOT] Keyword length too long", "keyword"),
        ("a1 BAD Error in IMAP command APPEND: Invalid system flag \\NOTJUNK", "keyword"),
        ("a1 NO Too many user flags in mailbox", "keyword"),
        ("a1 BAD Invalid date-time in Append command", "date"),
        ("a1 NO Message contains bare newlines", "bad-message"),
        ("a1 NO Message contains NUL characters", "bad-message"),
        ("a1 NO Message contains invalid header", "bad-message"),
        ("a1 NO Can't save a zero byte message", "bad-message"),
        ("a1 BAD what", "bad-message"),
        ("a1 NO [NOPERM] You may not", "refused"),
        ("a1 NO no", "refused"),
    ],
)
def test_a_refusal_has_a_code(line: str, code: str) -> None:
    found = append_verdict.refused(status(line), flags=True)
    assert found.code == code
    assert found.text == status(line).words


def test_without_flags_no_flag_is_to_blame() -> None:
    assert append_verdict.refused(status("a1 NO bad flag"), flags=False).code == "refused"


def test_patience_is_asked_for_by_code_or_words() -> None:
    waiting = append_verdict.patience(
        status("a1 NO Request is throttled. Suggested Backoff Time: 1500 milliseconds")
    )
    assert isinstance(waiting, RateLimited)
    assert waiting.retry_after == 1.5
    for line in ("a1 NO [THROTTLED] x", "a1 NO [UNAVAILABLE] x", "a1 NO [INUSE] x"):
        assert isinstance(append_verdict.patience(status(line)), RateLimited)
    assert isinstance(append_verdict.patience(status("a1 NO [EXPIRED] x")), TokenExpired)
    assert append_verdict.patience(status("a1 NO [LIMIT] Too many identical")) is None
    assert append_verdict.patience(status("a1 NO [OVERQUOTA] full")) is None


@pytest.mark.parametrize(
    ("text", "count", "uids"),
    [
        ("[APPENDUID 5 7] x", 1, ["7"]),
        ("[APPENDUID 5 7:9] x", 3, ["7", "8", "9"]),
        ("[APPENDUID 5 9,3:4] x", 3, ["9", "3", "4"]),
        ("[APPENDUID 5 7:9] x", 2, ["", ""]),
        ("[APPENDUID 5 7] x", 2, ["", ""]),
        ("[APPENDUID 6 7] x", 1, [""]),
        ("[APPENDUID 5 1:4294967295] x", 2, ["", ""]),
        ("[APPENDUID 5 9:7] x", 3, ["", "", ""]),
        ("[APPENDUID 5 0] x", 1, [""]),
        ("[APPENDUID 5 x] x", 1, [""]),
        ("[APPENDUID 5] x", 1, [""]),
        ("done", 1, [""]),
    ],
)
def test_uids_are_believed_if_they_are_as_many_as_were_sent(text, count, uids) -> None:
    assert append_verdict.uids(status(f"a1 OK {text}"), count, 5) == uids


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "prefix", "separator", "wire"),
    [
        (("Work", "2024"), b"", "/", b"Work/2024"),
        (("Work", "2024"), b"INBOX.", ".", b"INBOX.Work.2024"),
        (("Inbox",), b"INBOX.", ".", b"INBOX"),
        (("INBOX", "sub"), b"INBOX.", ".", b"INBOX.INBOX.sub"),
        (("Ärger & Co",), b"", "/", b"&AMQ-rger &- Co"),
        (('a "quoted" {5+}',), b"", "/", b'a "quoted" {5+}'),
    ],
)
def test_a_path_becomes_a_name(path, prefix, separator, wire) -> None:
    assert mailbox_rules.wire_name(path, prefix, separator, utf8=False) == wire


def test_a_name_goes_as_utf_8_where_that_is_enabled() -> None:
    assert mailbox_rules.wire_name(("Ärger",), b"", "/", utf8=True) == "Ärger".encode()


@pytest.mark.parametrize(
    "path", [(), ("",), ("a", ""), ("a/b",), ("a\r\nb",), ("a\0b",), ("a\ud800b",), ("a\nb",)]
)
@pytest.mark.parametrize("utf8", [False, True])
def test_what_can_be_no_name_is_refused(path, utf8) -> None:
    with pytest.raises(UnsendableNameError):
        mailbox_rules.wire_name(path, b"", "/", utf8=utf8)


def test_a_flat_server_has_no_paths() -> None:
    with pytest.raises(UnsendableNameError):
        mailbox_rules.wire_name(("a", "b"), b"", "", utf8=False)
    assert mailbox_rules.wire_name(("a/b",), b"", "", utf8=False) == b"a/b"


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4), st.booleans())
def test_a_name_can_be_read_back(path: list[str], utf8: bool) -> None:
    try:
        wire = mailbox_rules.wire_name(path, b"", "/", utf8=utf8)
    except UnsendableNameError:
        return
    assert not set(wire) & set(b"\0\r\n")
    if wire != b"INBOX":
        assert [decode_name(part, utf8=utf8)[0] for part in wire.split(b"/")] == path


def test_rules_of_servers() -> None:
    dovecot = mailbox_rules.rules(Server.DOVECOT, ".", "jane")
    assert "/" in dovecot.forbidden
    assert "." not in dovecot.forbidden
    cyrus = mailbox_rules.rules(Server.CYRUS, "/", "jane")
    assert set('!"%;<>\\^`{|}') <= set(cyrus.forbidden)
    assert cyrus.max_path is not None
    gmail = mailbox_rules.rules(Server.GMAIL, "/", "jane")
    assert gmail.trims and gmail.fold_case and "^" in gmail.forbidden
    assert not mailbox_rules.rules(Server.OTHER, "/", "jane").fold_case
    assert mailbox_rules.personal([Prefix("other", b"x/", b"/")]) is None
    assert mailbox_rules.attribute("sent") == b"\\Sent"
    assert mailbox_rules.attribute("memos") == b"Memos"
    assert mailbox_rules.attribute("inbox") is mailbox_rules.attribute(None) is None


# --- servers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "capabilities", "host", "kind"),
    [
        ({"name": "Dovecot"}, {"ENABLE"}, "x", Server.DOVECOT),
        ({"name": "Cyrus IMAPD"}, {"ENABLE"}, "x", Server.CYRUS),
        ({"name": "GImap"}, {"X-GM-EXT-1"}, "imap.gmail.com", Server.GMAIL),
        ({}, set(), "outlook.office365.com", Server.EXCHANGE),
        ({"name": "Microsoft.Exchange.Imap4.Imap4Server"}, set(), "x", Server.EXCHANGE),
        ({}, {"APPENDLIMIT=1000000000", "OBJECTID", "MULTIAPPEND", "BINARY"}, "x", Server.PYMAP),
        ({}, {"APPENDLIMIT=1000000000", "OBJECTID", "MULTIAPPEND"}, "x", Server.OTHER),
        ({"name": "Scripted"}, set(), "x", Server.OTHER),
    ],
)
def test_servers_are_recognised(server, capabilities, host, kind) -> None:
    assert recognise(server, capabilities, host) is kind


def test_the_list_of_known_changes_is_closed() -> None:
    assert set(ALTERATIONS) == set(Server)
    assert all(Alteration.EMPTY in found for found in ALTERATIONS.values())
    keeping = {kind for kind, found in ALTERATIONS.items() if Alteration.OFFSET not in found}
    assert keeping == {Server.PYMAP}

"""The rules of UIDBATCHES, PARTIAL, windows and limits, one by one, on a strict server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from portarchive.connectors.imap import ImapSettings, listing, planner
from portarchive.connectors.imap.examine import examine
from portarchive.connectors.imap.planner import parse_batches
from portarchive.connectors.imap.responses import Data, parse_status, working
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import UidSet
from portarchive.errors import FolderUnavailable
from portarchive.progress import Event, Notice, Working
from servers.scripted import CAPABILITIES, Refuse, ScriptedServer

BASE = ("IMAP4rev1", "ENABLE", "ESEARCH")


class Password:
    kind = "password"
    mechanism: str | None = None

    def reveal(self) -> str:
        return "pass"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(capabilities=BASE) as running:
        yield running
        running.check()


class Line:
    """A session on a server, and what it was told."""

    def __init__(self, server: ScriptedServer, *more: str) -> None:
        server.capabilities += more
        self.server = server
        self.told: list[Event] = []
        self.session = Session(
            ImapSettings(
                host="localhost",
                port=server.port,
                user="jane",
                secret=Password(),
                tls="none",
                timeout=20.0,
                observer=self.told.append,
            )
        )
        self.box = examine(self.session, b"INBOX")

    def uids(self) -> UidSet:
        return planner.all_uids(self.session, self.session.capabilities)

    def said(self, start: str) -> list[str]:
        return self.server.said(start)


@pytest.fixture
def line(request: pytest.FixtureRequest, server: ScriptedServer) -> Iterator[Any]:
    """Makes a ``Line`` once the mailbox is filled."""
    made: list[Line] = []

    def connect(*more: str) -> Line:
        made.append(Line(server, *more))
        return made[-1]

    yield connect
    for each in made:
        each.session.close()


def fill(server: ScriptedServer, count: int, *, gaps: bool = True) -> UidSet:
    inbox = server.mailbox("INBOX")
    inbox.add_many(count, lambda uid: b"a: b\r\n\r\n")
    if gaps:
        for uid in range(7, count, 13):
            del inbox.mails[uid]
    return UidSet(inbox.mails)


# --- which way ----------------------------------------------------------------------------------

WAYS = {
    "batches": (("UIDBATCHES", "PARTIAL"), "UIDBATCHES 5000"),
    "pages": (("PARTIAL",), "UID SEARCH RETURN (PARTIAL -1:-5000) ALL"),
    "windows": ((), "UID SEARCH RETURN (ALL) UID 1:"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("more", [(), ("UIDONLY",), ("MESSAGELIMIT=1000",), ("SAVELIMIT=500",)])
@pytest.mark.parametrize("plain", [False, True])
def test_each_way_finds_the_same(server, line, way, more, plain) -> None:
    if plain and way != "pages":
        server.capabilities.remove("ESEARCH")
    every = fill(server, 23_000)
    found = line(*WAYS[way][0], *more)
    assert found.uids() == every
    first = WAYS[way][1]
    if "MESSAGELIMIT=1000" in more:
        first = first.replace("5000", "1000")
    if plain and way != "pages":
        first = first.replace(" RETURN (ALL)", "")
    asked = [said for said in server.commands if said.startswith(("UIDBATCHES", "UID SEARCH"))]
    assert asked[0].startswith(first)
    assert len(asked) >= 5
    assert not server.said("UID FETCH")


def test_a_small_mailbox_takes_one_search(server, line) -> None:
    every = fill(server, 5_000)
    found = line("UIDBATCHES", "PARTIAL")
    assert found.uids() == every
    assert server.said("UID SEARCH") == ["UID SEARCH RETURN (ALL) ALL"]
    assert not server.said("UIDBATCHES")


def test_without_uidnext_one_search_asks_for_all(server, line) -> None:
    server.mailbox("INBOX").uidnext = None
    every = fill(server, 12_000)
    assert line().uids() == every
    assert server.said("UID SEARCH") == ["UID SEARCH RETURN (ALL) ALL"]


def test_what_searches_leave_out_is_listed_by_fetch(server, line) -> None:
    every = fill(server, 12_000)
    server.mailbox("INBOX").unsearchable = {1, 5_001, 12_000}
    assert line("UIDBATCHES").uids() == every
    assert server.said("UID FETCH") == ["UID FETCH 1:* (UID)"]


def test_three_hundred_thousand_each_way(server, line) -> None:
    every = fill(server, 300_000)
    found = line("UIDBATCHES")
    assert found.uids() == every
    assert server.said("UIDBATCHES") == [
        "UIDBATCHES 5000 1:20", "UIDBATCHES 5000 20:39", "UIDBATCHES 5000 39:58",
    ]  # fmt: skip
    for more in (["PARTIAL"], []):
        server.capabilities = [*BASE, *more]
        again = Line(server)
        assert again.uids() == every
        again.session.close()
    server.capabilities = ["IMAP4rev1"]
    server.mailbox("INBOX").uidnext = None
    last = Line(server)
    assert last.uids() == every
    last.session.close()


# --- UIDBATCHES: sizes --------------------------------------------------------------------------


def test_batches_are_as_large_as_a_limit_allows_but_never_below_500(server, line) -> None:
    every = fill(server, 3_500)
    found = line("UIDBATCHES", "MESSAGELIMIT=200")
    assert found.uids() == every
    assert server.said("UIDBATCHES") == ["UIDBATCHES 500"]


def test_toofew_asks_for_larger_ones(server, line) -> None:
    server.least_batch = 20_000
    every = fill(server, 30_000)
    assert line("UIDBATCHES").uids() == every
    assert server.said("UIDBATCHES") == ["UIDBATCHES 5000", "UIDBATCHES 10000", "UIDBATCHES 20000"]


def test_toofew_for_everything_gives_way(server, line) -> None:
    server.least_batch = 1_000_000
    every = fill(server, 12_000)
    found = line("UIDBATCHES", "PARTIAL")
    assert found.uids() == every
    assert server.said("UIDBATCHES")[-1] == "UIDBATCHES 80000"
    assert server.said("UID SEARCH RETURN (PARTIAL")
    assert [type(event) for event in found.told] == [Notice]
    assert found.told[0].code == "listing-refused"


def test_toomany_is_asked_in_slices_and_then_in_smaller_ones(server, line) -> None:
    server.most_batched = 40_000
    every = fill(server, 90_000)
    assert line("UIDBATCHES").uids() == every
    said = server.said("UIDBATCHES")
    assert said[:3] == ["UIDBATCHES 5000", "UIDBATCHES 5000 1:20", "UIDBATCHES 5000 1:10"]
    assert said[3:] == [f"UIDBATCHES 5000 {low}:{low + 4}" for low in (1, 5, 9, 13)]


def test_over_a_hundred_thousand_are_never_asked_for_at_once(server, line) -> None:
    every = fill(server, 130_000)
    assert line("UIDBATCHES").uids() == every
    assert server.said("UIDBATCHES") == ["UIDBATCHES 5000 1:20", "UIDBATCHES 5000 20:39"]


@pytest.mark.parametrize("fill_rate", [0.9, 0.5, 0.01])
def test_batches_that_are_less_than_full_are_taken(server, line, fill_rate) -> None:
    server.fill = fill_rate
    every = fill(server, 12_000)
    assert line("UIDBATCHES").uids() == every
    assert len(server.said("UIDBATCHES")) == 1


# --- UIDBATCHES: refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("[LIMIT] Asked for already", "NO"),
        ("[CLIENTBUG] Invalid batch range", "BAD"),
        ("unknown command", "BAD"),
        ("[SERVERBUG] sorry", "NO"),
    ],
)
@pytest.mark.parametrize("count", [12_000, 120_000])
def test_a_refusal_gives_way_and_is_said(server, line, text, status, count) -> None:
    every = fill(server, count, gaps=False)

    def refuse(_: object) -> None:
        raise Refuse(text, status)

    server.on("UIDBATCHES", refuse)
    found = line("UIDBATCHES")
    assert found.uids() == every
    assert len(server.said("UIDBATCHES")) == 1
    (notice,) = found.told
    assert isinstance(notice, Notice)
    assert text.rpartition("] ")[2] in notice.text
    assert notice.severity == "note"


def test_a_refusal_in_the_middle_of_slices_is_not_asked_again(server, line) -> None:
    every = fill(server, 200_000, gaps=False)

    def refuse(_: object) -> None:
        raise Refuse("[TOOMANY] not these")

    server.on("UIDBATCHES", refuse, when=lambda event: "20:39" in event.line)
    assert line("UIDBATCHES").uids() == every
    assert len(server.said("UIDBATCHES")) == 2


# --- UIDBATCHES: asking again -------------------------------------------------------------------


def test_it_is_not_asked_again_while_the_mailbox_is_open(server, line) -> None:
    every = fill(server, 12_000)
    found = line("UIDBATCHES")
    assert found.uids() == every
    assert found.uids() == every
    assert len(server.said("UIDBATCHES")) == 1


@pytest.mark.parametrize(("changes", "times"), [(2_500, 1), (2_501, 2)])
@pytest.mark.parametrize("change", ["arrive", "expunge"])
def test_more_than_half_a_batch_of_changes_permits_it(server, line, change, changes, times) -> None:
    fill(server, 12_000, gaps=False)
    found = line("UIDBATCHES")
    found.uids()
    inbox = server.mailbox("INBOX")
    if change == "arrive":
        for _ in range(changes):
            inbox.add(b"a: b\r\n\r\n")
    else:
        inbox.expunge(*range(1, changes + 1))
    found.session.run(b"NOOP")
    assert found.uids() == UidSet(inbox.mails)
    assert len(server.said("UIDBATCHES")) == times


def test_another_mailbox_in_between_permits_it(server, line) -> None:
    every = fill(server, 12_000)
    server.add_mailbox("Other")
    found = line("UIDBATCHES")
    found.uids()
    examine(found.session, b"Other")
    examine(found.session, b"INBOX")
    assert found.uids() == every
    assert len(server.said("UIDBATCHES")) == 2


@pytest.mark.parametrize(("gone", "times"), [(10, 2), (3_000, 5)])
def test_a_boundary_that_moved_is_seen_in_the_overlap(server, line, gone, times) -> None:
    """Asked for anew only if that is permitted; else the next way lists all that is there."""
    fill(server, 130_000, gaps=False)
    inbox = server.mailbox("INBOX")

    def expunge(event: Any) -> None:
        inbox.expunge(*range(129_000 - gone, 129_000))
        event.session.announce()

    server.on("UIDBATCHES", expunge, when=lambda event: "20:39" in event.line, times=1)
    assert line("UIDBATCHES").uids() == UidSet(inbox.mails)
    assert len(server.said("UIDBATCHES")) == (2 if times == 2 else 4)


# --- UIDBATCHES: answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (b'(TAG "A1") 215295:99696,99695:20351,7829:1',
         [(99696, 215295), (20351, 99695), (1, 7829)]),
        (b'(TAG "A1")', []),
        (b'(TAG "A1") 5', [(5, 5)]),
        (b'(TAG "A1") 1:5', [(1, 5)]),
        (b'(TAG "A2") 9:5', None),
        (b'(TAG "A1") 9:5,7:1', None),
        (b'(TAG "A1") 5:1,9:6', None),
        (b'(TAG "A1") 9:0', None),
        (b'(TAG "A1") 9:*', None),
        (b'(TAG "A1") 4294967296:1', None),
        (b'(TAG "A1") 9:5:1', None),
        (b'(TAG "A1") 9:5 4:1', None),
        (b'(TAG "A1") (9:5)', None),
        (b"9:5", [(5, 9)]),
    ],
)  # fmt: skip
def test_answers(text: bytes, ranges: list[tuple[int, int]] | None) -> None:
    assert parse_batches(Data(b"UIDBATCHES", [text]), b"A1") == ranges


@pytest.mark.parametrize("said", ["UIDBATCHES 9:5,3:8", "SEARCH", 'UIDBATCHES (TAG "p999") 9:1'])
def test_an_answer_that_makes_no_sense_gives_way(server, line, said) -> None:
    every = fill(server, 12_000)

    def answer(event: Any) -> bool:
        event.untagged(said)
        event.tagged("OK", "done")
        return True

    server.on("UIDBATCHES", answer)
    assert line("UIDBATCHES").uids() == every


def test_no_batches_for_a_mailbox_that_has_messages_lists_them_all_the_same(server, line) -> None:
    every = fill(server, 12_000)

    def answer(event: Any) -> bool:
        event.untagged(f'UIDBATCHES (TAG "{event.tag}")')
        event.tagged("OK", "done")
        return True

    server.on("UIDBATCHES", answer)
    assert line("UIDBATCHES").uids() == every


# --- PARTIAL ------------------------------------------------------------------------------------


def test_a_page_that_shrinks_moves_nothing(server, line) -> None:
    """The newest are expunged between two pages: positions would skip, UIDs do not."""
    fill(server, 12_000, gaps=False)
    inbox = server.mailbox("INBOX")
    gone = iter([range(11_900, 12_001)])

    def expunge(event: Any) -> None:
        inbox.expunge(*next(gone, ()))
        event.session.announce()

    found = line("PARTIAL")
    server.on("UID SEARCH", expunge, when=lambda event: "UID 1:" in event.line)
    assert set(range(1, 11_900)) <= set(found.uids())


def test_partial_refused_beyond_the_limit_asks_for_less(server, line) -> None:
    """The limit that is enforced may be lower than the one that is announced."""
    every = fill(server, 12_000)

    def refuse(event: Any) -> None:
        if "PARTIAL -1:-5000" in event.line:
            raise Refuse("[MESSAGELIMIT 1000] FETCH exceeds the maximum")

    server.on("UID SEARCH", refuse)
    assert line("PARTIAL").uids() == every
    assert len(server.said("UID SEARCH RETURN (PARTIAL -1:-1000)")) >= 11


@pytest.mark.parametrize(("text", "status"), [("what", "BAD"), ("[SERVERBUG] no", "NO")])
def test_partial_refused_gives_way(server, line, text, status) -> None:
    every = fill(server, 12_000)

    def refuse(event: Any) -> None:
        if "PARTIAL" in event.line:
            raise Refuse(text, status)

    server.on("UID SEARCH", refuse)
    assert line("PARTIAL").uids() == every


# --- MESSAGELIMIT -------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("esearch", [True, False])
def test_a_limit_that_nobody_announced_cuts_nothing_off(server, line, apart, esearch) -> None:
    """The server enforces 1,000; we do not know of it and ask for 5,000."""
    if not esearch:
        server.capabilities.remove("ESEARCH")
    server.limit_apart = apart
    every = fill(server, 3_500)
    found = line()
    server.capabilities.append("MESSAGELIMIT=1000")
    assert found.uids() == every
    rows = list(listing.describe(found.session, every, listing.DESCRIBE))
    assert UidSet(row.uid for row in rows) == every
    assert all(row.date and row.size is not None for row in rows)
    assert listing.fetched_uids(found.session) == every
    assert found.session.in_flight == 0


def test_a_limit_that_makes_no_headway_ends(server, line) -> None:
    fill(server, 100)

    def answer(event: Any) -> bool:
        event.tagged("OK", "[MESSAGELIMIT 10 101] nothing")
        return True

    found = line()
    server.on("UID FETCH", answer)
    server.on("UID SEARCH", answer)
    rows = list(listing.describe(found.session, UidSet(range(1, 101)), listing.FLAGS))
    assert len(rows) == 100
    assert len(found.uids()) == 0


# --- INPROGRESS ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (b"[INPROGRESS] hang on", Working(None, None)),
        (b'[INPROGRESS ("p1" NIL NIL)] hang on', Working(None, None)),
        (b"[INPROGRESS (NIL 175 NIL)] so far", Working(175, None)),
        (b'[INPROGRESS ("p1" 175 1000)] some', Working(175, 1000)),
        (b'[INPROGRESS ("p1" 0 1)] some', Working(0, 1)),
        (b'[INPROGRESS ("p1" 175 0)] goal of 0', None),
        (b'[INPROGRESS ("p1" -1 10)] negative', None),
        (b'[INPROGRESS ("p1" 11 10)] beyond', None),
        (b'[INPROGRESS ("p1" 1 4294967296)] too large', None),
        (b'[INPROGRESS ("p1" 4294967296 NIL)] too large', None),
        (b'[INPROGRESS ("p1" NIL 10)] no progress', None),
        (b'[INPROGRESS ("p1" 1)] too few', None),
        (b'[INPROGRESS "p1"] no list', None),
        (b'[INPROGRESS ("p1" x 10)] no number', None),
        (b"[ALERT] another", None),
    ],
)
def test_inprogress(text: bytes, event: Working | None) -> None:
    status = parse_status(b"* OK " + text)
    assert status is not None
    assert working(status) == event


def test_inprogress_reaches_the_observer_and_keeps_the_connection(server) -> None:
    every = fill(server, 10)
    told: list[Event] = []
    wanted = ImapSettings(
        host="localhost", port=server.port, user="jane", secret=Password(), tls="none",
        timeout=3.0, observer=told.append,
    )  # fmt: skip
    session = Session(wanted)
    examine(session, b"INBOX")

    said: list[Working] = []

    def slowly(event: Any) -> None:
        """Very often, for longer than the time-out: a machine that lags lags for less."""
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            said.append(Working(len(said), 4_000))
            event.untagged(f'OK [INPROGRESS ("{event.tag}" {said[-1].done} 4000)] at it')
            event.untagged('OK [INPROGRESS ("x" 9 0)] nonsense')
            event.session.flush()
            time.sleep(0.05)

    server.on("UID SEARCH", slowly)
    assert planner.all_uids(session, session.capabilities) == every
    assert len(said) > 1
    assert told == said
    session.close()


# --- UIDONLY ------------------------------------------------------------------------------------


def test_uidonly_is_enabled_and_no_sequence_number_is_sent(server, line) -> None:
    every = fill(server, 7_000)
    found = line("UIDONLY", "CONDSTORE", "QRESYNC")
    assert found.session.uid_only
    assert found.uids() == every
    server.mailbox("INBOX").unsearchable = {1}
    assert found.uids() == every
    server.mailbox("INBOX").expunge(2, 3)
    server.mailbox("INBOX").set_flags(4, ["\\Seen"])
    found.session.run(b"NOOP")
    assert found.box.exists == len(every) - 2
    assert not [said for said in server.commands if "*" in said]


def test_a_server_that_refuses_uidonly_is_asked_for_the_rest(server, line) -> None:
    def refuse(event: Any) -> None:
        if "UIDONLY" in event.line:
            raise Refuse("no such extension", "BAD")

    server.on("ENABLE", refuse)
    found = line("UIDONLY", "QRESYNC", "CONDSTORE")
    assert found.session.enabled == {"QRESYNC"}
    assert not found.session.uid_only


def test_all_that_is_sent_is_short(server, line) -> None:
    """Scattered UIDs of ten digits: no command line over 8 kB."""
    inbox = server.mailbox("INBOX")
    inbox.next_uid = 4_000_000_000
    inbox.add_many(40_000, lambda uid: b"a: b\r\n\r\n")
    inbox.mails = {uid: mail for uid, mail in inbox.mails.items() if uid % 2}
    found = line("UIDBATCHES")
    every = found.uids()
    assert every == UidSet(inbox.mails)
    list(listing.describe(found.session, every, listing.FLAGS))
    assert max(map(len, server.commands)) < 8_000


def test_the_capabilities_are_those_after_the_login(server, line) -> None:  # UB-8
    assert set(CAPABILITIES) - set(line(*CAPABILITIES).session.capabilities) == {"IMAP4rev1"}


# --- servers that make it up ----------------------------------------------------------------------


def lie(text: str) -> Any:
    """Answers a search with this in place of what there is."""

    def answer(event: Any) -> bool:
        event.untagged(text.format(tag=event.tag))
        event.tagged("OK", "done")
        return True

    return answer


EVERY_UID = 'ESEARCH (TAG "{tag}") UID ALL 1:4294967295'


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ((), EVERY_UID),
        ((), 'ESEARCH (TAG "{tag}") UID ALL 1:12000'),
        ((), "SEARCH " + " ".join(map(str, range(1, 12_000)))),
        (("PARTIAL",), 'ESEARCH (TAG "{tag}") UID PARTIAL (-1:-5000 1:4294967295)'),
        (("UIDBATCHES",), EVERY_UID),
    ],
)
@pytest.mark.parametrize("count", [3, 6_000])
def test_searches_that_name_far_too_many_are_not_believed(server, line, more, text, count) -> None:
    every = fill(server, count)
    server.on("UID SEARCH", lie(text))
    found = line(*more)
    assert found.uids() == every
    assert "UID FETCH 1:* (UID)" in server.commands
    assert len(server.commands) < 20
    assert planner.arrived(found.session, found.session.capabilities, 3) == every.within(3, count)
    assert found.session.in_flight == 0


def test_a_few_too_many_may_have_arrived(server, line) -> None:
    """What FETCH does not name is missing then, and said so; it is not gone."""
    fill(server, 3, gaps=False)
    server.on("UID SEARCH", lie('ESEARCH (TAG "{tag}") UID ALL 1:9'))
    assert line().uids() == UidSet(range(1, 10))


def test_far_too_many_and_no_fetch_is_no_listing_at_all(server, line) -> None:
    fill(server, 3)
    server.on("UID SEARCH", lie(EVERY_UID))

    def refuse(_: object) -> None:
        raise Refuse("[CANNOT] no")

    found = line()
    server.on("UID FETCH", refuse)
    with pytest.raises(FolderUnavailable):
        found.uids()


@pytest.mark.parametrize("uidnext", [None, -1, 4_294_967_295])
@pytest.mark.parametrize("more", [(), ("PARTIAL",), ("UIDBATCHES",), ("MESSAGELIMIT=1",)])
def test_two_thousand_million_messages_take_no_more_commands(server, line, uidnext, more) -> None:
    every = fill(server, 3)
    inbox = server.mailbox("INBOX")
    inbox.exists, inbox.uidnext = 2**31, uidnext
    assert line(*more).uids() == every
    assert len(server.commands) < 25


def test_as_many_windows_as_20_million_messages_take(server, line, monkeypatch) -> None:
    monkeypatch.setattr(planner, "MOST_PARTS", 4)
    every = fill(server, 20_000, gaps=False)
    found = line()
    assert found.uids() == every
    assert len(server.said("UID SEARCH")) == 4
    server.mailbox("INBOX").add(b"a: b\r\n\r\n")
    again = Line(server)
    assert len(again.uids()) == 20_001
    assert server.said("UID SEARCH")[4:] == ["UID SEARCH RETURN (ALL) ALL"]
    again.session.close()


@pytest.mark.parametrize("way", ["PARTIAL", "UIDBATCHES"])
def test_pages_and_batches_without_end_are_given_up(server, line, monkeypatch, way) -> None:
    monkeypatch.setattr(planner, "MOST_PARTS", 40)
    every = fill(server, 12_000, gaps=False)
    server.mailbox("INBOX").exists = 4_000_000_000
    low = [4_294_967_295]

    def pages(event: Any) -> bool:
        if "PARTIAL" not in event.line:
            return False
        event.untagged(
            f'ESEARCH (TAG "{event.tag}") UID PARTIAL (-1:-5000 {low[0] - 4999}:{low[0]})'
        )
        event.tagged("OK", "done")
        low[0] -= 5000
        return True

    def batches(event: Any) -> bool:
        first = int(event.line.split()[2].partition(":")[0])
        ranges = [
            f"{low[0] - 5000 * at}:{low[0] - 5000 * at - 4999}" for at in range(first, first + 20)
        ]
        event.untagged(f'UIDBATCHES (TAG "{event.tag}") {",".join(ranges)}')
        event.tagged("OK", "done")
        return True

    server.on("UID SEARCH", pages) if way == "PARTIAL" else server.on("UIDBATCHES", batches)
    assert line(way).uids() == every
    assert (
        2 <= len(server.said("UIDBATCHES" if way == "UIDBATCHES" else "UID SEARCH RETURN (P")) <= 41
    )

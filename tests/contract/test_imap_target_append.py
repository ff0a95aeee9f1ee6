"""APPEND in bad weather: refusals, limits, lost connections, servers that lose their way."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from contract.target_facts import NOON, OCTETS, Sending, mail, parcel, refused
from portarchive.connectors.imap import ImapSettings, ImapTarget, append_settle, open_target
from portarchive.connectors.imap.append_refusals import will_be_refused
from portarchive.errors import ConnectionLost, RateLimited, TokenExpired
from portarchive.keywords import ROLES
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Parcel,
    Placed,
    Present,
    Refused,
    Spot,
    Unsure,
)
from portarchive.records import Received
from servers.daemon import Account
from servers.scripted import CAPABILITIES, Drop, Refuse, ScriptedServer
from servers.scripted_append import Arrival

FULL = (*CAPABILITIES, "MULTIAPPEND", "CREATE-SPECIAL-USE")


class Password:
    kind = "password"
    mechanism = None

    def reveal(self) -> str:
        return "pass"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(capabilities=FULL) as server:
        server.writable = True
        yield server
        server.check()


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_settle, "QUIET", 0.0)


_opened: list[ImapTarget] = []


@pytest.fixture(autouse=True)
def _close_targets() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def opened(server: ScriptedServer, **changes: Any) -> ImapTarget:
    values: dict[str, Any] = {"host": "localhost", "port": server.port, "user": "jane"}
    values |= {"secret": Password(), "tls": "none", "timeout": 10.0}
    made = open_target(ImapSettings(**(values | changes)))
    _opened.append(made)
    return made


def run(goal: ImapTarget, parcels) -> Sending:
    return Sending().run(goal, parcels)


def plain(count: int, **named: Any) -> list[Parcel]:
    return [parcel(number, mail(number), "INBOX", **named) for number in range(count)]


def stored(server: ScriptedServer) -> Counter[int]:
    return Counter(int(found.octets.split()[1]) for found in server.appended)


def refuse(server: ScriptedServer, bad: set[int], text: str, status: str = "NO") -> None:
    def judge(arrival: Arrival) -> None:
        if int(arrival.octets.split()[1]) in bad:
            raise Refuse(text, status)

    server.judges.append(judge)


# --- what is sent -------------------------------------------------------------------------------


def test_a_thousand_messages_are_ten_commands_each_with_its_uid(server) -> None:
    sending = run(opened(server), plain(1_000))
    assert sending.error is None
    assert server.append_sizes == [100] * 10
    uids = [sending.outcomes[number].uids[0] for number in range(1_000)]
    assert uids == [("INBOX", str(number + 1)) for number in range(1_000)]


def test_nothing_of_an_archive_but_flags_and_dates_is_in_a_command(server) -> None:
    flags = ("$seen", "\\Bogus", "a b (c", "$x) {3+}\r\n", "\\Recent", "kept")
    run(opened(server), plain(1, flags=flags, received=Received("x\r\n", 1706738645)))
    (found,) = server.appended
    assert found.flags == ["\\Seen", "kept"]
    assert found.date == '"31-Jan-2024 22:04:05 +0000"'
    assert [line for line in server.commands if line.startswith("APPEND")] == [
        'APPEND "INBOX" (\\Seen kept) "31-Jan-2024 22:04:05 +0000" {50+}'
    ]


@pytest.mark.parametrize(
    ("without", "also", "commands"),
    [
        ((), (), 3),
        (("MULTIAPPEND",), (), 300),
        (("LITERAL+",), (), 3),
        (("LITERAL+",), ("LITERAL-",), 3),
        (("LITERAL+", "MULTIAPPEND"), (), 300),
        ((), ("SAVELIMIT=30",), 10),
    ],
)
def test_what_the_server_offers_is_used(server, without, also, commands) -> None:
    server.capabilities = [word for word in server.capabilities if word not in without] + [*also]
    sending = run(opened(server), plain(300))
    assert sending.error is None
    assert len(server.append_sizes) == commands
    assert stored(server) == dict.fromkeys(range(300), 1)


def test_a_large_message_is_streamed_and_asked_for_first(server) -> None:
    size = 40 << 20
    held = []

    def chunks() -> Iterator[bytes]:
        for _ in range(size >> 16):
            held.append(time.monotonic())
            yield b"x" * (1 << 16)

    big = Parcel(1, (Spot("INBOX", (), NOON),), size, None, chunks)
    sending = run(opened(server), [*plain(1), big])
    assert sending.error is None
    assert [len(found.octets) for found in server.appended] == [len(mail(0)), size]
    assert f"{{{size}}}" in server.said("APPEND")[1]
    assert f"{{{size}+}}" not in server.said("APPEND")[1]


def test_a_large_message_that_is_not_wanted_is_not_sent(server) -> None:
    def consent(line: bytes, size: int) -> None:
        if size > 1_000_000:
            raise Refuse("[TOOBIG] no")

    server.consent = consent
    read = []
    big = Parcel(5, (Spot("INBOX", (), NOON),), 5_000_000, None, lambda: iter(read.append(1) or []))
    sending = run(opened(server), [*plain(2), big, parcel(9, mail(9), "INBOX")])
    assert sending.error is None
    assert refused(sending.outcomes[5]) == "too-big"
    assert not read
    assert stored(server) == {0: 1, 1: 1, 9: 1}


def test_names_that_are_8_bit_go_as_literals(server) -> None:
    server.add_mailbox("Ärger".encode())
    goal = opened(server)
    key = next(folder.folder_id for folder in goal.folders() if folder.path != ("INBOX",))
    sending = run(goal, [parcel(number, mail(number), key) for number in range(3)])
    assert sending.error is None
    assert len(server.mailbox("Ärger".encode()).mails) == 3


def test_utf8_headers_are_marked_where_utf8_is_accepted(server) -> None:
    server.capabilities.append("UTF8=ACCEPT")
    octets = "Subject: 1 ä\r\n\r\nx\r\n".encode()
    sending = run(opened(server), [parcel(0, mail(0), "INBOX"), parcel(1, octets, "INBOX")])
    assert sending.error is None
    assert [(found.octets, found.utf8) for found in server.appended] == [
        (mail(0), False), (octets, True),
    ]  # fmt: skip


def test_several_connections_share_the_work(server) -> None:
    everybody = threading.Event()
    seen: set[int] = set()

    def after(arrivals: list[Arrival]) -> None:
        """No answer before each connection has had a part."""
        seen.add(arrivals[0].session.number)
        if len(seen) == 3:
            everybody.set()
        everybody.wait(60)

    server.after_append.append(after)
    sending = run(opened(server, connections=3), plain(2_500))
    assert sending.error is None
    assert stored(server) == dict.fromkeys(range(2_500), 1)
    assert len({found.session.number for found in server.appended}) == 3


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("without", [(), ("LITERAL+",), ("MULTIAPPEND",)])
def test_bad_messages_are_bisected_out(server, without) -> None:
    server.capabilities = [word for word in server.capabilities if word not in without]
    refuse(server, {3, 57, 58, 199}, "Message contains NUL characters")
    sending = run(opened(server), plain(200))
    assert sending.error is None
    bad = sending.keys(Refused)
    assert sorted(bad) == [3, 57, 58, 199]
    assert {refused(sending.outcomes[key]) for key in bad} == {"bad-message"}
    assert stored(server) == dict.fromkeys(set(range(200)) - {3, 57, 58, 199}, 1)
    assert len(server.append_sizes) <= 200
    assert server.logins == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [("[TOOBIG] x", "too-big"), ("[LIMIT] Too many identical emails", "limit"),
     ("[OVERQUOTA] x", "over-quota"), ("no such keyword", "keyword"), ("bad date", "date")],
)  # fmt: skip
def test_one_refused_message_is_named_and_the_others_go_on(server, text, code) -> None:
    refuse(server, {11}, text)
    sending = run(opened(server), plain(100, flags=["kept"]))
    assert refused(sending.outcomes[11]) == code
    assert sending.outcomes[11].text == text
    assert len(sending.keys(Placed)) == 99


def test_an_account_that_is_full_is_not_asked_for_every_message(server) -> None:
    server.room = 250
    sending = run(opened(server), plain(1_000))
    assert sending.error is None
    placed_ones = sending.keys(Placed)
    assert len(placed_ones) == 250
    assert {refused(sending.outcomes[key]) for key in sending.keys(Refused)} == {"over-quota"}
    assert len(sending.keys(Refused)) == 750
    singles = sum(size == 1 for size in server.append_sizes)
    assert singles <= 30
    assert server.append_octets < 3 * sum(len(mail(n)) for n in range(1_000))


def test_a_mailbox_that_is_gone_costs_one_command_a_window(server) -> None:
    parcels = [parcel(number, mail(number), "gone") for number in range(200)]
    sending = run(opened(server), parcels)
    assert {refused(outcome) for outcome in sending.outcomes.values()} == {"folder-gone"}
    assert len(server.append_sizes) == 2


def test_sizes_over_the_limit_are_refused_before_they_are_sent(server) -> None:
    server.capabilities.append("APPENDLIMIT=2000")
    parcels = [parcel(0, mail(0), "INBOX"), parcel(1, mail(1, b"x" * 2_000), "INBOX")]
    goal = opened(server)
    assert goal.capabilities.append_limit == 2000
    sending = run(goal, [*parcels, parcel(2, b"", "INBOX")])
    assert refused(sending.outcomes[1]) == "too-big"
    assert refused(sending.outcomes[2]) == "bad-message"
    assert stored(server) == {0: 1}
    assert server.append_sizes == [1]


def test_a_mailbox_may_have_a_limit_of_its_own(server) -> None:
    server.capabilities.append("APPENDLIMIT")
    server.mailbox("INBOX").append_limit = 100
    goal = opened(server)
    assert goal.capabilities.append_limit is None
    (look,) = goal.existing(["INBOX"])
    assert isinstance(look, FolderLook)
    assert look.append_limit == 100
    sending = run(goal, [parcel(1, mail(1, b"x" * 200), "INBOX")])
    assert refused(sending.outcomes[1]) == "too-big"
    assert not server.append_sizes


# --- patience -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("[THROTTLED] slow", None),
        ("[UNAVAILABLE] later", None),
        ("Request is throttled. Suggested Backoff Time: 2500 milliseconds", 2.5),
    ],
)
def test_patience_ends_the_call_with_everything_accounted_for(server, text, seconds) -> None:
    refuse(server, {150}, text)
    sending = run(opened(server), plain(1_000))
    assert isinstance(sending.error, RateLimited)
    assert sending.error.retry_after == seconds
    assert set(sending.keys(Placed)) == set(stored(server))
    assert set(sending.keys(Unsure)) == set(sending.taken) - set(stored(server))
    assert len(sending.taken) < 1_000


def test_a_token_that_expires_is_told(server) -> None:
    refuse(server, {5}, "[EXPIRED] token expired")
    assert isinstance(run(opened(server), plain(10)).error, TokenExpired)


# --- connections that end -----------------------------------------------------------------------


def resumed(goal: ImapTarget, sending: Sending, parcels: list[Parcel]) -> Sending:
    """Look what is there, and place the rest, as a job does; nothing is marked as careful."""
    goal.reconnect()
    found = [event for event in goal.existing(["INBOX"]) if isinstance(event, Present)]
    there = {int(b"".join(outcome.chunks()).split()[1]) for _, outcome in goal.fetch(found)}
    assert set(sending.keys(Placed)) <= there
    return run(goal, [each for each in parcels if each.key not in there])


def test_bad_in_mid_flight_closes_the_connection_and_repeats_with_care(server) -> None:
    refuse(server, {250}, "what is this", "BAD")
    parcels = plain(1_000)
    goal = opened(server)
    sending = run(goal, parcels)
    assert isinstance(sending.error, ConnectionLost)
    assert {*sending.keys(Placed), *sending.keys(Unsure)} == set(sending.taken)
    assert 250 in sending.keys(Unsure)
    sizes, unsure = len(server.append_sizes), set(sending.keys(Unsure))
    again = resumed(goal, sending, parcels)
    assert again.error is None
    assert again.keys(Refused) == [250]
    assert refused(again.outcomes[250]) == "bad-message"
    assert stored(server) == dict.fromkeys(set(range(1_000)) - {250}, 1)
    careful = [line for line in server.said("APPEND")[sizes:] if not line.endswith("+}")]
    assert 0 < len(careful) <= len(unsure)


@pytest.mark.parametrize("line", [b"* BAD what is this\r\n", b"x7 OK who\r\n", b"* BYE tired\r\n"])
def test_an_answer_out_of_place_ends_the_connection(server, line) -> None:
    def after(arrivals: list[Arrival]) -> None:
        if len(server.append_sizes) == 3:
            arrivals[0].session.send(line)

    server.after_append.append(after)
    goal, parcels = opened(server), plain(800)
    sending = run(goal, parcels)
    assert isinstance(sending.error, ConnectionLost)
    assert len(sending.keys(Placed)) == 200
    again = resumed(goal, sending, parcels)
    assert again.error is None
    assert stored(server) == dict.fromkeys(range(800), 1)


def test_a_flood_of_answers_does_not_block_both_sides(server) -> None:
    """A server that takes the text of messages for commands answers each line of it."""

    def judge(arrival: Arrival) -> None:
        for _ in range(200_000):
            arrival.session.send(b"x BAD Error in IMAP command: Unknown command\r\n")

    server.judges.append(judge)
    body = b"x DELETE INBOX\r\n" * 60_000
    parcels = [parcel(number, mail(number, body), "INBOX") for number in range(20)]
    sending = run(opened(server), parcels)
    assert isinstance(sending.error, ConnectionLost)
    assert "silent" not in sending.error.text, "both sides waited until the time was out"
    assert not sending.keys(Placed)


def test_bad_to_one_that_waits_is_its_own_fault_alone(server) -> None:
    refuse(server, {2}, "bad date", "BAD")
    sending = run(opened(server), plain(5, careful=True))
    assert sending.error is None
    assert refused(sending.outcomes[2]) == "date"
    assert len(sending.keys(Placed)) == 4
    assert server.logins == 1
    assert all(line.endswith("}") and not line.endswith("+}") for line in server.said("APPEND"))


def test_odd_dates_go_alone(server) -> None:
    odd = parcel(7, mail(7), "INBOX", received=Received(None, -2_209_161_600))
    sending = run(opened(server), [*plain(3), odd, *[parcel(8, mail(8), "INBOX")]])
    assert sending.error is None
    lines = server.said("APPEND")
    assert [line.endswith("+}") for line in lines] == [True, False, True]
    assert "30-Dec-1899 00:00:00 +0000" in lines[1]


@pytest.mark.parametrize("at", [0, 1, 5, 9])
@pytest.mark.parametrize("stored_first", [False, True])
def test_a_connection_that_breaks_leaves_nothing_doubtful_untold(server, at, stored_first) -> None:
    breaks = iter([True])

    def drop(found: Any) -> None:
        if len(server.append_sizes) == at + 1 and next(breaks, False):
            raise Drop

    (server.after_append if stored_first else server.judges).append(drop)
    goal, parcels = opened(server), plain(1_000)
    sending = run(goal, parcels)
    assert isinstance(sending.error, ConnectionLost)
    assert set(sending.keys(Placed)) == set(range(100 * at))
    again = resumed(goal, sending, parcels)
    assert again.error is None
    assert stored(server) == dict.fromkeys(range(1_000), 1)


def test_one_that_breaks_each_connection_is_sent_alone_in_the_end(server) -> None:
    def judge(arrival: Arrival) -> None:
        if arrival.octets == mail(42):
            raise Drop

    server.judges.append(judge)
    goal, parcels = opened(server), plain(200)
    sending = run(goal, parcels)
    for _ in range(3):
        sending = resumed(goal, sending, parcels)
    assert sending.keys(Unsure) == [42] or sending.taken.keys() == {42}
    left = [each for each in parcels if each.key != 42]
    goal.reconnect()
    rest = run(goal, [each for each in left if each.key not in stored(server)])
    assert rest.error is None
    assert stored(server) == dict.fromkeys(set(range(200)) - {42}, 1)


def test_another_connection_finishes_what_it_has_begun(server) -> None:
    breaks = iter([True])

    def after(arrivals: list[Arrival]) -> None:
        time.sleep(0.02)
        if len(server.append_sizes) >= 8 and next(breaks, False):
            raise Drop

    server.after_append.append(after)
    goal, parcels = opened(server, connections=2), plain(3_000)
    sending = run(goal, parcels)
    assert isinstance(sending.error, ConnectionLost)
    assert set(sending.keys(Placed)) <= set(stored(server))
    assert len(set(stored(server)) - set(sending.keys(Placed))) == 100
    again = resumed(goal, sending, parcels)
    assert again.error is None
    assert stored(server) == dict.fromkeys(range(3_000), 1)


def test_a_silent_server_is_given_up(server) -> None:
    release = threading.Event()
    server.judges.append(lambda arrival: release.wait(60))
    goal = opened(server)
    goal._pool.settings = replace(goal._pool.settings, timeout=0.5)  # not for the login
    try:
        sending = run(goal, plain(3))
    finally:
        release.set()
    assert isinstance(sending.error, ConnectionLost)
    assert sorted(sending.keys(Unsure)) == [0, 1, 2]


def test_a_message_that_is_shorter_than_announced_is_named(server) -> None:
    short = Parcel(1, (Spot("INBOX", (), NOON),), 100, None, lambda: iter([b"x" * 60]))
    goal = opened(server)
    sending = run(goal, [*plain(1), short])
    assert isinstance(sending.error, ConnectionLost)
    assert refused(sending.outcomes[1]) == "bad-message"
    goal.reconnect()
    assert run(goal, [parcel(3, mail(3), "INBOX")]).error is None
    assert set(stored(server)) <= {0, 3}


def test_an_abandoned_call_leaves_nothing_half_said(server) -> None:
    goal = opened(server)
    placing = goal.place(plain(1_000))
    next(placing)
    placing.close()
    assert run(goal, [parcel(5_000, mail(5_000), "INBOX")]).error is None


# --- mailboxes ----------------------------------------------------------------------------------


def test_mailboxes_are_made_with_prefix_role_and_subscription() -> None:
    with ScriptedServer(capabilities=FULL, delimiter=".", prefix="INBOX.") as server:
        server.writable = True
        goal = opened(server)
        wishes = [
            FolderWish(("Work", "2024"), subscribe=True),
            FolderWish(("Sent",), role="sent"),
            FolderWish(("Memos",), role="memos"),
            FolderWish(("x DELETE INBOX",)),
            FolderWish(("a.b",)),
            FolderWish(("Inbox",)),
        ]
        answers = dict(goal.ensure(wishes))
        ready = [answers[wish] for wish in wishes]
        assert [type(each) for each in ready] == [FolderReady] * 4 + [Refused, FolderReady]
        assert [each.folder.folder_id for each in ready if isinstance(each, FolderReady)] == [
            "INBOX.Work.2024", "INBOX.Sent", "INBOX.Memos", "INBOX.x DELETE INBOX", "INBOX",
        ]  # fmt: skip
        assert [each.folder.path for each in ready[:2]] == [("Work", "2024"), ("Sent",)]
        assert ready[0].folder.subscribed is True
        assert ready[1].folder.roles == ("sent",)
        assert ready[1].lost == ()
        assert ready[2].lost == ("role: [USEATTR] Not this use",)
        assert not ready[5].created
        assert 'CREATE "INBOX.Sent" (USE (\\Sent))' in server.commands
        assert goal.capabilities.names.separator == "."
        server.check()


def test_what_exists_meanwhile_is_ready(server) -> None:
    goal = opened(server)
    goal.folders()
    server.add_mailbox("Box", subscribed=False)
    ((_, answer),) = goal.ensure([FolderWish(("Box",), role="sent")])
    assert isinstance(answer, FolderReady)
    assert not answer.created
    assert answer.lost == ("role: this server gives none",)


def test_a_parent_without_mail_is_made_a_mailbox(server) -> None:
    server.add_mailbox("Work", attributes=["\\NoSelect"])

    def allow(event) -> bool:
        server.mailbox("Work").attributes = ()
        event.tagged("OK", "made")
        return True

    server.on("CREATE", allow)
    goal = opened(server)
    work = next(folder for folder in goal.folders() if folder.path == ("Work",))
    assert not work.selectable
    ((_, answer),) = goal.ensure([FolderWish(("Work",), folder_id=work.folder_id)])
    assert isinstance(answer, FolderReady)
    assert answer.created


def test_a_server_that_makes_something_else_is_not_believed(server) -> None:
    server.on("CREATE", lambda event: event.tagged("OK", "made") or True)
    ((_, answer),) = opened(server).ensure([FolderWish(("Box",))])
    assert answer == Refused("refused", "the server does not list it")


# --- what is there ------------------------------------------------------------------------------


def test_what_select_says_is_told(server) -> None:
    box = server.add_mailbox("Box")
    box.permanent_flags = r"\Seen $Forwarded"
    looks = {
        event.folder_id: event
        for event in opened(server).existing(["INBOX", "Box", "none"])
        if isinstance(event, FolderLook)
    }
    assert looks["INBOX"].new_keywords
    assert looks["Box"].keywords == ("$seen", "$Forwarded")
    assert not looks["Box"].new_keywords
    assert server.said("SELECT")
    assert not server.said("EXAMINE")
    assert not server.said("CLOSE")


@pytest.mark.parametrize("also", [[], ["MESSAGELIMIT=50"], ["UIDONLY"]])
def test_many_messages_in_many_mailboxes_are_all_named(server, also) -> None:
    server.capabilities += also
    for number in range(30):
        server.add_mailbox(f"box {number}").add_many(number * 7, mail)
    goal = opened(server)
    keys = [f"box {number}" for number in range(30)]
    counts: Counter[str] = Counter()
    order = []
    for event in goal.existing(keys):
        if isinstance(event, Present):
            assert order[-1] == event.folder_id
            counts[event.folder_id] += 1
        elif isinstance(event, FolderLook):
            order.append(event.folder_id)
    assert order == keys
    assert counts == {f"box {number}": number * 7 for number in range(1, 30)}


def test_what_one_fetch_leaves_out_is_looked_for(server) -> None:
    box = server.mailbox("INBOX")
    box.add_many(100, mail)
    server.add_mailbox("later").add_many(3, mail)
    from servers.scripted import Skip

    def skip(delivery) -> None:
        raise Skip

    server.on_message(skip, folder="INBOX", uids=range(40, 60), body=False, times=20)
    found = [e for e in opened(server).existing(["INBOX", "later"]) if isinstance(e, Present)]
    assert sorted(int(e.uid) for e in found if e.folder_id == "INBOX") == list(range(1, 101))
    assert len(found) == 103
    assert [e.folder_id for e in found[-3:]] == ["later"] * 3


def test_the_connection_may_be_used_for_something_else_between_mailboxes(server) -> None:
    for number in range(12):
        server.add_mailbox(f"box {number}").add_many(3, mail)
    goal = opened(server)
    seen: list[Present] = []
    batch: list[Present] = []
    for event in goal.existing([f"box {number}" for number in range(12)]):
        if isinstance(event, Present):
            batch.append(event)
            if len(batch) == 3:
                assert len(list(goal.headers(batch))) == 3
                seen += batch
                batch = []
    assert len(seen) == 36


def test_headers_over_a_megabyte_are_an_outcome(server) -> None:
    box = server.mailbox("INBOX")
    box.add(b"X: " + b"y" * (2 << 20) + b"\r\n\r\nbody")
    box.add(mail(1, b"z" * (2 << 20)))
    box.add(mail(2))
    goal = opened(server)
    found = [event for event in goal.existing(["INBOX"]) if isinstance(event, Present)]
    headers = {present.uid: header for present, header in goal.headers(found)}
    assert headers["1"].code == "no-data"
    assert headers["2"] == mail(1)[: -len("hello\r\n")]
    assert headers["3"] == mail(2)[: -len("hello\r\n")]
    assert "$seen" not in {flag for event in found for flag in event.flags}


# --- what real servers take ---------------------------------------------------------------------


@pytest.fixture(params=["dovecot", "cyrus"])
def user(request: pytest.FixtureRequest) -> Account:
    """Somebody of a real server, whom nobody used before."""
    found = request.getfixturevalue(f"{request.param}_user")
    assert isinstance(found, Account)
    return found


def of(user: Account, **changes: Any) -> ImapTarget:
    return opened(user.server, user=user.user, **changes)


def test_every_role_that_is_given_is_of_a_mailbox_that_takes_mail(user: Account) -> None:
    """By USE, or, as Dovecot does, by name."""
    target = of(user)
    roles = sorted(set(ROLES) - {"inbox"})
    made = [
        answer for _, answer in target.ensure([FolderWish((r.title(),), role=r) for r in roles])
    ]
    assert all(isinstance(answer, FolderReady) for answer in made), made
    given = {role for answer in made for role in answer.folder.roles}
    assert given >= {"archive", "drafts", "junk", "sent", "trash"} | target.capabilities.roles
    ids = [answer.folder.folder_id for answer in made]
    sending = run(target, [parcel(key, mail(key), folder) for key, folder in enumerate(ids)])
    assert sending.error is None
    assert sending.keys(Placed) == list(range(len(roles))), sending.outcomes


def test_a_mailbox_that_takes_no_mail_is_none_here(cyrus_user: Account) -> None:
    """Cyrus stores nothing in one that is for snoozed messages; a user of JMAP may have one."""
    with cyrus_user.server.connect(cyrus_user.user) as client:
        assert client.xatom("CREATE", "Later", "(USE (\\Snoozed))")[0] == "OK"
        assert client.append("Later", None, None, mail(1))[0] == "NO", "then it could be taken"
    target = of(cyrus_user)
    assert "snoozed" not in target.capabilities.roles
    (later,) = [folder for folder in target.folders() if folder.path == ("Later",)]
    assert (later.roles, later.selectable) == ((), False)
    wishes = [FolderWish(("Later",), role="snoozed"), FolderWish(("Later 2",), role="snoozed")]
    (_, first), (_, second) = target.ensure(wishes)
    assert isinstance(first, Refused)
    assert isinstance(second, FolderReady)
    assert second.lost == ("role: this server gives none",)
    assert run(target, [parcel(1, mail(1), second.folder.folder_id)]).keys(Placed) == [1]


ODD = {
    **{name: octets for name, octets in OCTETS.items() if octets and "8-bit" not in name},
    "a line in the header": b"Subject: a\r\nno field\r\n\r\nx\r\n",
    "a folded line": b"Subject: a\r\n b\r\n\tc\r\n\r\nx\r\n",
    "a blank before the colon": b"Subject : a\r\n\r\nx\r\n",
    "a postmark": b"From jane Mon Jan  1 00:00:00 2024\r\nSubject: a\r\n\r\nx\r\n",
    "a colon first": b": a\r\n\r\nx\r\n",
    "no field in the body": b"Subject: a\r\n\r\nno field\r\n: a\r\n",
    "a control in a name": b"Sub\x01ject: a\r\n\r\nx\r\n",
    "no end of the header": b"Subject: a\r\n",
    "no line end": b"Subject: a",
}


def test_what_cyrus_refuses_is_known_beforehand(cyrus_user: Account) -> None:
    """A wrong guess costs time; each of these is asked for by a closed list."""
    target = of(cyrus_user)
    kinds = list(ODD)
    sending = run(target, [parcel(key, ODD[kind], "INBOX") for key, kind in enumerate(kinds)])
    assert sending.error is None
    refusals = {kinds[key] for key in sending.keys(Refused)}
    assert refusals == {kind for kind, octets in ODD.items() if will_be_refused(octets)}
    assert {"LF", "NUL", "no field", "a line in the header"} <= refusals


def test_an_account_is_known_however_it_is_called(user: Account) -> None:
    keys = set(of(user).whereabouts().keys)
    for host in ("127.0.0.1", "LOCALHOST"):
        assert keys & set(of(user, host=host).whereabouts().keys)
    other = user.server.account(f"{user.user}x")
    assert not keys & set(of(other).whereabouts().keys)


def test_an_account_is_known_by_its_inbox_whoever_logs_in(cyrus_user: Account) -> None:
    (inbox,) = [key for key in of(cyrus_user).whereabouts().keys if key.startswith("inbox ")]
    client = cyrus_user.server.connect(cyrus_user.user)
    try:
        _, data = client.status("INBOX", "(MAILBOXID)")
    finally:
        client.logout()
    assert inbox.removeprefix("inbox ").encode() in data[0]

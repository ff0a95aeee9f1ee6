"""The IMAP source keeps the contract of ``connectors.base.Source``, in good and in bad weather."""

from __future__ import annotations

import base64
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from portarchive.connectors.base import Outcome, Source, Wanted
from portarchive.connectors.imap import ImapSettings, ImapSource
from portarchive.connectors.imap import open_source as open_unwatched
from portarchive.demo.server import demo_server
from portarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    RateLimited,
    TokenExpired,
    Unreachable,
)
from portarchive.records import (
    Failure,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Removal,
    Vanished,
)
from servers import scripted_faults as faults
from servers.cyrus import Cyrus
from servers.daemon import Account
from servers.dovecot import Dovecot
from servers.scripted import PLAIN_CAPABILITIES, Cut, Delivery, Refuse, ScriptedServer

MESSAGE = b"From: a@example.org\r\nMessage-ID: <%d@example.org>\r\nSubject: n\r\n\r\nbody %d\r\n"


class Password:
    kind = "password"
    mechanism: str | None = None

    def __init__(self, text: str = "pass", mechanism: str | None = None) -> None:
        self.text = text
        self.mechanism = mechanism

    def reveal(self) -> str:
        return self.text


class Token(Password):
    kind = "token"


def settings(server: Any, user: str = "jane", **changes: Any) -> ImapSettings:
    values = {"host": "localhost", "port": server.port, "user": user, "secret": Password()}
    values |= {"tls": "none", "timeout": 20.0}
    return ImapSettings(**(values | changes))


_opened: list[ImapSource] = []


def open_source(wanted: ImapSettings) -> ImapSource:
    """The same, closed at the end of the test whatever happens."""
    source = open_unwatched(wanted)
    _opened.append(source)
    return source


@pytest.fixture(autouse=True)
def _close_sources() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@dataclass
class Visit:
    """What a job would see of one folder."""

    opened: FolderOpened | None = None
    last: int = 0
    refs: dict[str, MessageRef] = field(default_factory=dict)
    got: dict[str, Outcome] = field(default_factory=dict)
    octets: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    done: FolderDone | None = None
    failed: FolderFailed | None = None


def run(
    source: ImapSource,
    *,
    tokens: Mapping[str, Mapping[str, Any]] | None = None,
    relist: Collection[str] = (),
    describe: bool = False,
    fetch: bool = True,
    patient: bool = True,
    folders: Sequence[Folder] | None = None,
) -> dict[str, Visit]:
    """Drive the source as a job does; ``patient``: reconnect and ask again for what is missing."""
    listed = source.folders() if folders is None else folders
    wanted = Wanted(folders=listed, tokens=tokens or {}, relist=relist, describe=describe)
    visits: dict[str, Visit] = {}
    named: dict[str, MessageRef] = {}
    for event in source.changes(wanted):
        if isinstance(event, FolderOpened):
            visits[event.folder.folder_id] = Visit(opened=event)
        elif isinstance(event, MessageRef):
            place = event.placements[0]
            visit = visits[place.folder_id]
            assert int(place.uid) > visit.last, "ascending"
            visit.last = int(place.uid)
            visit.refs[place.uid] = event
            named[f"{place.folder_id}\0{place.uid}"] = event
        elif isinstance(event, Removal):
            visits[event.folder_id].removed += event.uids
        elif isinstance(event, FetchPoint):
            assert named, "a fetch point only if something was named"
            if fetch:
                _fetch(source, list(named.values()), visits, patient=patient)
            named.clear()
        elif isinstance(event, FolderDone):
            visits[event.folder_id].done = event
        else:
            visits.setdefault(event.folder_id, Visit()).failed = event
    assert not named, "everything named is followed by a fetch point"
    return visits


def _fetch(
    source: ImapSource, refs: list[MessageRef], visits: dict[str, Visit], *, patient: bool
) -> None:
    waiting = {ref.placements[0]: ref for ref in refs}
    keys = {(place.folder_id, place.uid): place for place in waiting}
    for _ in range(20):
        try:
            for ref, outcome in source.fetch(list(waiting.values())):
                place = ref.placements[0]
                visit = visits[place.folder_id]
                if not isinstance(outcome, Failure | Vanished):
                    octets = b"".join(outcome.chunks())
                    assert len(octets) == outcome.size
                    assert outcome.octets in {None, octets}
                    visit.octets[place.uid] = octets
                assert place.uid not in visit.got, "each exactly once"
                visit.got[place.uid] = outcome
                visit.refs[place.uid] = ref
                del waiting[keys[place.folder_id, place.uid]]
            break
        except (ConnectionLost, RateLimited, TokenExpired):
            if not patient:
                raise
            source.reconnect()
    assert not waiting, "each exactly once"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running
        running.check()


@pytest.fixture
def plain() -> Iterator[ScriptedServer]:
    with ScriptedServer(capabilities=PLAIN_CAPABILITIES) as running:
        yield running
        running.check()


def fill(server: ScriptedServer, count: int, folder: str = "INBOX") -> None:
    box = server.mailbox(folder)
    for number in range(count):
        box.add(MESSAGE % (number, number))


# --- a good day ---------------------------------------------------------------------------------


def test_it_is_a_source(server: ScriptedServer) -> None:
    source = open_source(settings(server))
    assert isinstance(source, Source)
    identity = source.identity()
    assert (identity.protocol, identity.account) == ("imap", "jane")
    assert identity.service == f"imap://localhost:{server.port}"
    assert identity.server == {"name": "Scripted", "version": "1"}
    assert identity.namespaces == {
        "personal": [{"prefix": "", "delimiter": "/"}], "other": None, "shared": None,
    }  # fmt: skip
    source.close()
    source.close()


@pytest.mark.parametrize("connections", [1, 3])
def test_all_of_a_folder_once(server: ScriptedServer, connections: int) -> None:
    fill(server, 1203)
    server.mailbox("INBOX").expunge(4, 5, 77)
    source = open_source(settings(server, connections=connections))
    visit = run(source)["INBOX"]
    source.close()
    assert visit.opened is not None and visit.done is not None
    assert visit.opened.complete and visit.opened.counts == {"exists": 1200, "status": 1200}
    assert visit.done.listed == 1200 == len(visit.octets)
    assert visit.octets["9"] == MESSAGE % (8, 8)
    place = visit.refs["9"].placements[0]
    assert place.flags == () and place.received is not None
    assert place.received.text == "2024-02-01T03:04:05+00:00"
    assert visit.refs["9"].size == len(visit.octets["9"])
    assert not visit.done.notes and not visit.done.arrived_later
    assert server.bodies == 1200
    assert server.logins == connections
    if connections == 1:
        assert len(server.said("UID FETCH")) >= 3


def test_unchanged_is_one_round_trip(server: ScriptedServer) -> None:
    fill(server, 5)
    server.add_mailbox("Work/2024")
    source = open_source(settings(server))
    first = run(source)
    tokens = {key: visit.done.token for key, visit in first.items() if visit.done}
    before = len(server.commands)
    again = run(source, tokens=tokens)
    assert [line.split()[0] for line in server.commands[before:]] == ["UNSELECT", "LIST"]
    for key, visit in again.items():
        assert visit.opened is not None and not visit.opened.complete
        assert visit.done is not None and visit.done.token == tokens[key]
        assert not visit.refs and not visit.removed
    source.close()


@pytest.mark.parametrize(
    "without", [(), ("QRESYNC",), ("QRESYNC", "CONDSTORE"), ("LIST-STATUS", "ESEARCH", "QRESYNC")]
)
def test_changes_since_the_last_run(without: tuple[str, ...]) -> None:
    with ScriptedServer() as server:
        server.capabilities = [
            name for name in server.capabilities if name not in (*without, "OBJECTID")
        ]
        fill(server, 20)
        inbox = server.mailbox("INBOX")
        source = open_source(settings(server))
        token = run(source)["INBOX"].done
        assert token is not None
        inbox.expunge(3, 4)
        inbox.set_flags(7, ["\\Flagged", "work"])
        inbox.add(b"Subject: new\r\n\r\nnew\r\n")
        visit = run(source, tokens={"INBOX": token.token}, fetch=False)["INBOX"]
        assert visit.opened is not None
        assert visit.refs["7"].placements[0].flags == ("$flagged", "work")
        assert "21" in visit.refs
        if "QRESYNC" not in without:
            assert not visit.opened.complete
            assert visit.removed == ["3", "4"]
            assert set(visit.refs) == {"7", "21"}
        else:
            assert visit.opened.complete
            assert set(map(int, visit.refs)) == {*range(1, 22)} - {3, 4}
        source.close()
        server.check()


def test_condstore_without_loss_is_a_delta(server: ScriptedServer) -> None:
    server.capabilities.remove("QRESYNC")
    server.capabilities.remove("OBJECTID")
    fill(server, 20)
    source = open_source(settings(server))
    done = run(source)["INBOX"].done
    assert done is not None
    server.mailbox("INBOX").add(b"Subject: new\r\n\r\nnew\r\n")
    server.mailbox("INBOX").set_flags(2, ["\\Seen"])
    visit = run(source, tokens={"INBOX": done.token})["INBOX"]
    assert visit.opened is not None and not visit.opened.complete
    assert set(visit.refs) == {"2", "21"} and not visit.removed
    source.close()


def test_relist_and_describe(server: ScriptedServer) -> None:
    fill(server, 3)
    server.mailbox("INBOX").set_flags(2, ["\\Seen"])
    source = open_source(settings(server))
    visit = run(source, describe=True)["INBOX"]
    assert visit.done is not None
    done = visit.done
    visit = run(source, describe=True, tokens={"INBOX": done.token}, relist=["INBOX"], fetch=False)[
        "INBOX"
    ]
    assert visit.opened is not None and visit.opened.complete
    place = visit.refs["2"].placements[0]
    assert place.flags == ("$seen",) and place.received is not None and place.received.epoch
    assert visit.refs["2"].size == len(MESSAGE % (1, 1))
    source.close()


def test_uidvalidity_change_is_identified(server: ScriptedServer) -> None:
    fill(server, 3)
    server.mailbox("INBOX").add(b"Subject: none\r\n\r\nx\r\n")
    source = open_source(settings(server))
    done = run(source)["INBOX"].done
    assert done is not None
    server.mailbox("INBOX").reset_uidvalidity(77)
    visit = run(source, tokens={"INBOX": done.token}, fetch=False)["INBOX"]
    assert visit.opened is not None and visit.opened.complete and visit.opened.uidvalidity == 77
    refs = list(visit.refs.values())
    assert [ref.message_id for ref in refs] == [
        b"<0@example.org>", b"<1@example.org>", b"<2@example.org>", b"",
    ]  # fmt: skip
    assert all(ref.size and ref.placements[0].received for ref in refs)
    source.close()


def test_object_ids(server: ScriptedServer) -> None:
    server.mailbox("INBOX").add(b"a: b\r\n\r\n", email_id="M1", thread_id="T1")
    server.add_mailbox("Copy", mailbox_id="F-2").add(b"a: b\r\n\r\n", email_id="M1")
    source = open_source(settings(server))
    assert source.capabilities.object_ids
    visits = run(source, fetch=False)
    refs = [*visits["INBOX"].refs.values(), *visits["Copy"].refs.values()]
    assert {ref.email_id for ref in refs} == {"M1"}
    assert visits["Copy"].opened is not None and visits["Copy"].opened.folder.uid == "F-2"
    both = MessageRef((refs[0].placements[0], refs[1].placements[0]))
    server.mailbox("INBOX").expunge(1)
    ((ref, outcome),) = source.fetch([both])
    assert not isinstance(outcome, Failure | Vanished) and outcome.octets == b"a: b\r\n\r\n"
    assert [place.folder_id for place in ref.placements] == ["INBOX", "Copy"]
    source.close()


# --- scenarios of bad days ----------------------------------------------------------------------


def test_a_refused_message_stands_alone(server: ScriptedServer) -> None:  # 2
    fill(server, 100)
    bad = {3, 20, 21, 22, 60, 99, 100}
    faults.refuse_uids(server, "INBOX", bad)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    failed = {int(uid): got for uid, got in visit.got.items() if isinstance(got, Failure)}
    assert set(failed) == bad and len(visit.octets) == 93
    assert {got.code for got in failed.values()} == {"server-refused"}
    assert failed[3].text == "[SERVERBUG] Internal error"
    source.close()


def test_batch_limit_is_learnt(server: ScriptedServer) -> None:  # 30
    fill(server, 700)
    faults.batch_limit(server, 50)
    source = open_source(settings(server))
    visit = run(source, patient=False)["INBOX"]
    assert len(visit.octets) == 700
    assert len(server.said("UID FETCH")) < 60
    source.close()


def test_wrong_size_and_date(server: ScriptedServer) -> None:  # 3, 4
    box = server.mailbox("INBOX")
    box.add(b"a: b\r\n\r\n", size=19189)
    box.add(b"a: b\r\n\r\nx", date='"30-Dec-1899 00:00:00 +0000"', size=0)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert visit.octets == {"1": b"a: b\r\n\r\n", "2": b"a: b\r\n\r\nx"}
    assert visit.refs["1"].size == 19189 and visit.refs["2"].size == 0
    received = visit.refs["2"].placements[0].received
    assert received == (None, None, "30-Dec-1899 00:00:00 +0000")
    source.close()


def test_placeholder(server: ScriptedServer) -> None:  # 5
    fill(server, 3)
    faults.placeholder(server, "INBOX", [2])
    server.mailbox("INBOX").add(b"Subject: Fwd\r\n\r\n" + faults.PLACEHOLDER)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    got = visit.got["2"]
    assert isinstance(got, Failure)
    assert (got.code, got.body) == ("placeholder", faults.PLACEHOLDER)
    assert set(visit.octets) == {"1", "3", "4"}
    source.close()


def test_no_data_nil_and_vanished(server: ScriptedServer) -> None:  # 6
    fill(server, 10)
    faults.no_data(server, "INBOX", [4])
    server.mailbox("INBOX").mails[6].octets = None
    faults.expunge_during(server, "INBOX", [9], after=2)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    codes = {uid: got.code for uid, got in visit.got.items() if isinstance(got, Failure)}
    assert codes == {"4": "no-data", "6": "nil-body"}
    assert len(visit.octets) in {7, 8} and len(visit.got) == 10
    assert all(uid == "9" for uid, got in visit.got.items() if isinstance(got, Vanished))
    source.close()


def test_vanished_before_the_fetch(server: ScriptedServer) -> None:
    fill(server, 4)
    source = open_source(settings(server))
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    server.mailbox("INBOX").expunge(2, 3)
    got = dict(source.fetch(refs))
    kinds = [type(outcome).__name__ for ref, outcome in sorted(got.items())]
    assert kinds == ["WholeBody", "Vanished", "Vanished", "WholeBody"]
    source.close()


def test_empty_message(server: ScriptedServer) -> None:
    server.mailbox("INBOX").add(b"")
    source = open_source(settings(server))
    assert run(source)["INBOX"].octets == {"1": b""}
    source.close()


def test_suspected_cap(server: ScriptedServer) -> None:  # 7
    server.mailbox("INBOX").add_many(10_050, lambda uid: b"a: b\r\n\r\n")
    server.mailbox("INBOX").cap = 10_000
    source = open_source(settings(server))
    visit = run(source, fetch=False)["INBOX"]
    assert visit.done is not None
    assert [note["code"] for note in visit.done.notes] == ["suspected-cap"]
    source.close()


def test_counts_that_disagree(server: ScriptedServer) -> None:
    fill(server, 10)
    server.mailbox("INBOX").unsearchable = {3, 4}
    server.mailbox("INBOX").status_messages = 24
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert len(visit.octets) == 10  # what SEARCH does not name, FETCH does
    assert visit.done is not None
    assert visit.done.notes == (
        {"code": "count-mismatch", "exists": 10, "listed": 10, "status": 24},
    )
    source.close()


def test_a_folder_that_fails_does_not_stop_the_others(server: ScriptedServer) -> None:  # 11
    for name in ("A", "B", "C"):
        server.add_mailbox(name)
        fill(server, 2, name)
    faults.examine_no(server, "B")
    source = open_source(settings(server))
    visits = run(source)
    assert visits["B"].failed == FolderFailed(
        "B", "folder-unavailable", "[SERVERBUG] Mailbox is damaged"
    )
    assert len(visits["A"].octets) == len(visits["C"].octets) == 2
    source.close()


@pytest.mark.parametrize("in_literal", [None, 20])
def test_dropped_connections(server: ScriptedServer, in_literal: int | None) -> None:  # 18
    fill(server, 1000)
    faults.drop_after(server, 300, in_literal=in_literal, times=3)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert len(visit.octets) == 1000
    assert server.bodies < 1000 + 4 * 3 + 1
    source.close()


def test_one_of_three_connections_dies(server: ScriptedServer) -> None:
    fill(server, 1000)
    faults.drop_after(server, 300, in_literal=20, times=2)
    source = open_source(settings(server, connections=3))
    assert len(run(source, patient=False)["INBOX"].octets) == 1000
    source.close()


def test_a_message_that_kills_connections(server: ScriptedServer) -> None:
    fill(server, 30)

    def poison(_: Delivery) -> None:
        raise Cut(5)

    server.on_message(poison, uids=[17])
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    got = visit.got["17"]
    assert isinstance(got, Failure) and got.code == "cut"
    assert len(visit.octets) == 29
    source.close()


def test_a_large_message_is_cut(server: ScriptedServer) -> None:
    octets = b"Subject: x\r\n\r\n" + bytes(range(32, 112)) * 40_000
    server.mailbox("INBOX").add(octets)
    server.mailbox("INBOX").add(b"a: b\r\n\r\n")

    def cut(_: Delivery) -> None:
        raise Cut(2_000_000)

    server.on_message(cut, uids=[1], times=1)
    source = open_source(settings(server))
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    pairs = source.fetch(refs)
    _, body = next(pairs)
    assert not isinstance(body, Failure | Vanished) and body.octets is None
    assert body.size == len(octets)
    with pytest.raises(ConnectionLost):
        b"".join(body.chunks())
    pairs.close()  # type: ignore[attr-defined]  # a generator
    got = {
        ref.placements[0].uid: b"".join(body.chunks())
        for ref, body in source.fetch(refs)
        if not isinstance(body, Failure | Vanished)
    }
    assert got == {"1": octets, "2": b"a: b\r\n\r\n"}
    source.close()


@pytest.mark.parametrize("uid_last", [False, True])
def test_a_large_message_that_nobody_reads(server: ScriptedServer, uid_last: bool) -> None:
    server.uid_last = uid_last
    server.mailbox("INBOX").add(b"a" * 3_000_000)
    server.mailbox("INBOX").add(b"a: b\r\n\r\n")
    source = open_source(settings(server))
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    sizes = [
        body.size for _, body in source.fetch(refs) if not isinstance(body, Failure | Vanished)
    ]
    assert sizes == [3_000_000, 8]
    source.close()


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_uid_after_the_body(server: ScriptedServer, size: int) -> None:
    server.uid_last = True
    server.mailbox("INBOX").add(b"a" * size)
    server.mailbox("INBOX").add(b"b" * size)
    source = open_source(settings(server))
    assert run(source)["INBOX"].octets == {"1": b"a" * size, "2": b"b" * size}
    source.close()


def test_throttling(server: ScriptedServer) -> None:  # 28
    fill(server, 10)
    source = open_source(settings(server))
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    faults.throttle(server, milliseconds=299_961)
    with pytest.raises(RateLimited) as caught:
        list(source.fetch(refs))
    assert caught.value.retry_after == 299.961
    assert len(list(source.fetch(refs))) == 10
    source.close()


def test_token_expires(server: ScriptedServer) -> None:  # 29
    fill(server, 600)
    secret = Token("old")
    faults.expire_token(server, "old", "new", after=300)
    source = open_source(settings(server, secret=secret))
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    got = {}
    with pytest.raises(TokenExpired):
        for ref, _ in source.fetch(refs):
            got[ref.placements[0].uid] = True
    secret.text = "new"
    source.reconnect()
    rest = [ref for ref in refs if ref.placements[0].uid not in got]
    assert len(rest) == 300
    assert len(list(source.fetch(rest))) == 300
    source.close()


def test_traps_in_literals(server: ScriptedServer) -> None:  # 42
    for _ in range(5):
        server.mailbox("INBOX").add(faults.TRAP)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert list(visit.octets.values()) == [faults.TRAP] * 5
    assert visit.done is not None and visit.done.listed == 5
    source.close()


def test_list_return_bad(server: ScriptedServer) -> None:  # 43
    server.add_mailbox("Sent", attributes=["\\Sent"])
    faults.list_return_bad(server)
    source = open_source(settings(server))
    folders = {folder.folder_id: folder for folder in source.folders()}
    assert folders["Sent"].roles == ("sent",) and folders["INBOX"].roles == ("inbox",)
    assert folders["Sent"].messages == 0 and folders["Sent"].subscribed
    source.close()


def test_no_date(server: ScriptedServer) -> None:  # 44
    fill(server, 12)
    for uid in (2, 3, 4, 5, 6):
        server.mailbox("INBOX").mails[uid].date = None
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert len(visit.octets) == 12
    assert [uid for uid, ref in visit.refs.items() if "no-date" in ref.notes] == list("23456")
    assert visit.refs["2"].placements[0].received == (None, None, None)
    source.close()


def test_oddities_and_chatter(server: ScriptedServer) -> None:  # 45
    fill(server, 40)
    faults.oddities(server)
    faults.chatter(server)
    source = open_source(settings(server))
    assert len(run(source, describe=True)["INBOX"].octets) == 40
    source.close()


def test_seen_set_by_server(server: ScriptedServer) -> None:  # 37
    fill(server, 8)
    server.mailbox("INBOX").set_flags(1, ["\\Seen"])
    faults.marks_seen(server)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert visit.done is not None
    assert [note["code"] for note in visit.done.notes] == ["seen-set-by-server"]
    source.close()


def test_mail_that_arrives_meanwhile(server: ScriptedServer) -> None:
    fill(server, 4)
    faults.arrive_during(server, "INBOX", [b"a: 1\r\n\r\n", b"a: 2\r\n\r\n"], after=1)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert visit.done is not None and visit.done.listed == 6
    assert visit.octets["6"] == b"a: 2\r\n\r\n"
    assert visit.done.token["uidnext"] == 5  # of before: the next run will see them
    source.close()


def test_uidvalidity_zero_and_reset_in_the_middle(server: ScriptedServer) -> None:  # 27
    fill(server, 3)
    server.mailbox("INBOX").uidvalidity = 0
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert visit.opened is not None and visit.opened.uidvalidity is None
    assert [note["code"] for note in visit.opened.notes] == ["uidvalidity-zero"]
    server.mailbox("INBOX").uidvalidity = 9
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    server.mailbox("INBOX").reset_uidvalidity(10)
    source.reconnect()
    codes = {got.code for _, got in source.fetch(refs) if isinstance(got, Failure)}
    assert codes == {"uidvalidity-changed"}
    source.close()


def test_names(server: ScriptedServer) -> None:  # 39
    wires = [b"&AMQ-rger", b"A/&-/B", "Größe".encode(), b"\xff\xfe", b'quo"te\\d', b"123", b"&bad"]
    for wire in wires:
        server.add_mailbox(wire)
        server.find(wire).add(b"a: b\r\n\r\n")
    source = open_source(settings(server))
    folders = {folder.path: folder for folder in source.folders()}
    assert ("Ärger",) in folders and ("A", "&", "B") in folders and ("Größe",) in folders
    assert folders["\udcff\udcfe",].raw_name == b"\xff\xfe"
    assert folders["&bad",].raw_name == b"&bad"
    visits = run(source)
    assert all(len(visit.octets) == 1 for key, visit in visits.items() if key != "INBOX")
    source.close()


def test_a_hundred_thousand_uids_without_esearch(plain: ScriptedServer) -> None:  # 31
    box = plain.mailbox("INBOX")
    box.add_many(200_000, lambda uid: b"a: b\r\n\r\n")
    source = open_source(settings(plain))
    visit = run(source, fetch=False)["INBOX"]
    assert visit.done is not None and visit.done.listed == 200_000
    refs = list(visit.refs.values())[::150]
    assert len(list(source.fetch(refs))) == len(refs)
    source.close()


def test_an_abandoned_fetch_heals_itself(server: ScriptedServer) -> None:
    fill(server, 2000)
    source = open_source(settings(server))
    refs = list(run(source, fetch=False)["INBOX"].refs.values())
    pairs = source.fetch(refs)
    next(pairs)
    pairs.close()  # type: ignore[attr-defined]  # a generator
    assert len(list(source.fetch(refs[:10]))) == 10
    assert server.logins == 2
    source.close()


# --- getting in ---------------------------------------------------------------------------------


def test_refused_login_never_shows_the_password(server: ScriptedServer) -> None:
    def echo(event: Any) -> None:
        raise Refuse("[AUTHENTICATIONFAILED] I do not like swordfish")

    server.on("AUTHENTICATE", echo)
    server.on("LOGIN", echo)
    for mechanism in (None, "LOGIN"):
        with pytest.raises(AuthenticationFailed) as caught:
            open_source(settings(server, secret=Password("swordfish", mechanism)))
        assert "swordfish" not in f"{caught.value} {caught.value.hint}"
        assert "AUTHENTICATIONFAILED" in caught.value.text


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2", None])
def test_tokens(server: ScriptedServer, mechanism: str | None) -> None:
    server.tokens["t1"] = "jane"
    open_source(settings(server, secret=Token("t1", mechanism))).close()
    with pytest.raises(AuthenticationFailed):
        open_source(settings(server, secret=Token("wrong", mechanism)))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_password_beyond_ascii(server: ScriptedServer, mechanism: str) -> None:
    server.passwords = {"jänè": 'pä"ss\\wörd'}
    secret = Password('pä"ss\\wörd', mechanism)
    open_source(settings(server, user="jänè", secret=secret)).close()


def test_unavailable_login_is_worth_waiting_for(server: ScriptedServer) -> None:
    faults.unavailable(server, command="AUTHENTICATE")
    with pytest.raises(RateLimited):
        open_source(settings(server))


def test_starttls_is_required() -> None:
    with ScriptedServer(tls="starttls") as server:
        wanted = settings(server, tls="starttls", ca_file=server.ca_file)
        source = open_source(wanted)
        assert run(source)["INBOX"].done is not None
        source.close()
        with pytest.raises(Unreachable, match="not trusted") as caught:
            open_source(settings(server, tls="starttls"))
        assert caught.value.hint is not None and "--ca-file" in caught.value.hint
        server.check()
    with ScriptedServer() as server, pytest.raises(Unreachable, match="no STARTTLS"):
        open_source(settings(server, tls="starttls"))


def test_wrong_certificate() -> None:
    with ScriptedServer(tls="implicit", certificate_for="other.example") as server:
        with pytest.raises(Unreachable, match="not trusted"):
            open_source(settings(server, tls="implicit", ca_file=server.ca_file))
        assert not server.logins


def test_unreachable(server: ScriptedServer, dovecot: Dovecot) -> None:
    with pytest.raises(Unreachable, match="does not speak TLS"):
        open_source(settings(dovecot, tls="implicit"))
    with pytest.raises(Unreachable) as caught:
        open_source(settings(dovecot, port=dovecot.tls_port, timeout=0.5))
    assert caught.value.hint is not None and "imaps://" in caught.value.hint
    with pytest.raises(Unreachable, match="no host"):
        open_source(settings(server, host="no-such-host.invalid"))
    with pytest.raises(Unreachable, match="refuses connections"):
        open_source(settings(server, port=1))
    server.greeting = b"220 mail.example.org ESMTP\r\n"
    with pytest.raises(Unreachable, match="does not speak IMAP"):
        open_source(settings(server))
    server.greeting = b"* BYE Too many connections from you\r\n"
    with pytest.raises(RateLimited):
        open_source(settings(server))


# --- real servers -------------------------------------------------------------------------------


def test_dovecot(dovecot: Dovecot, dovecot_user: Account) -> None:
    user = dovecot_user.user
    for number in range(30):
        dovecot_user.append("INBOX", MESSAGE % (number, number))
    dovecot_user.append("Work/Ärger", b"Subject: x\r\n\r\n" + b"y" * 3_000_000 + b"\r\n")
    secure = {"host": "localhost", "port": dovecot.tls_port, "tls": "implicit"}
    source = open_source(settings(dovecot, user, ca_file=dovecot.ca_file, **secure))
    visits = run(source)
    assert len(visits["INBOX"].octets) == 30
    assert len(visits["Work/&AMQ-rger"].octets["1"]) == 3_000_016
    tokens = {key: visit.done.token for key, visit in visits.items() if visit.done}
    again = run(source, tokens=tokens)
    del again["Work"]  # holds no mail, is always named whole
    assert all(visit.opened and not visit.opened.complete for visit in again.values())
    dovecot.add_flags(user, "INBOX", [5], ["\\Flagged"])
    dovecot.expunge(user, "INBOX", [6, 7])
    dovecot_user.append("INBOX", MESSAGE % (99, 99))
    visit = run(source, tokens=tokens)["INBOX"]
    assert visit.opened is not None and not visit.opened.complete
    assert visit.removed == ["6", "7"] and set(visit.refs) == {"5", "31"}
    assert visit.refs["5"].placements[0].flags == ("$flagged",)
    source.close()


def test_cyrus(cyrus_user: Account, cyrus: Cyrus) -> None:
    user = cyrus_user.user
    for number in range(20):
        cyrus_user.append("INBOX", MESSAGE % (number, number))
    cyrus_user.append("Work.x/Ärger", MESSAGE % (3, 3), ["\\Flagged", "$Forwarded"])
    secure = {"host": "localhost", "port": cyrus.tls_port, "tls": "implicit"}
    source = open_source(settings(cyrus, user, ca_file=cyrus.ca_file, **secure))
    assert source.capabilities.object_ids and source.capabilities.removals
    visits = {key: visit for key, visit in run(source).items() if visit.opened}
    inbox = visits["INBOX"]
    assert len(inbox.octets) == 20
    assert all(ref.email_id and ref.placements[0].received for ref in inbox.refs.values())
    work = next(visit for key, visit in visits.items() if key.startswith("Work.x/"))
    assert work.opened is not None and work.opened.folder.path == ("Work.x", "Ärger")
    assert work.opened.folder.uid
    assert work.refs["1"].email_id == inbox.refs["4"].email_id  # the same octets
    assert work.refs["1"].placements[0].flags == ("$flagged", "$Forwarded")
    tokens = {key: visit.done.token for key, visit in visits.items() if visit.done}
    again = run(source, tokens=tokens)
    assert not any(visit.refs or visit.removed for visit in again.values())
    cyrus.expunge(user, "INBOX", [2, 3])
    cyrus.add_flags(user, "INBOX", [7], ["\\Answered"])
    cyrus_user.append("INBOX", MESSAGE % (99, 99))
    visit = run(source, tokens=tokens)["INBOX"]
    assert visit.opened is not None and not visit.opened.complete
    assert visit.removed == ["2", "3"] and set(visit.refs) == {"7", "21"}
    assert visit.refs["7"].placements[0].flags == ("$answered",)
    source.close()


def test_dovecot_uidvalidity_and_loss_during_the_run(
    dovecot: Dovecot, dovecot_user: Account
) -> None:
    user = dovecot_user.user
    messages = [(MESSAGE % (number, number), (), None) for number in range(1500)]
    dovecot.populate(user, {"INBOX": messages})
    source = open_source(settings(dovecot, user, connections=2))
    first = run(source)["INBOX"]
    assert len(first.octets) == 1500 and first.done is not None
    source.close()
    dovecot.reset_uidvalidity(user, "INBOX", renumber_from=5001)
    source = open_source(settings(dovecot, user, connections=2))
    again = run(source, tokens={"INBOX": first.done.token}, fetch=False)["INBOX"]
    assert again.opened is not None and again.opened.complete
    assert [ref.message_id for ref in again.refs.values()][-1] == b"<1499@example.org>"
    refs = list(again.refs.values())
    dovecot.expunge(user, "INBOX", [int(refs[-1].placements[0].uid)])
    kinds = {ref.placements[0].uid: type(got).__name__ for ref, got in source.fetch(refs)}
    assert kinds.popitem()[1] == "Vanished" or "Vanished" in kinds.values()
    assert len(kinds) == 1499
    source.close()


def test_starttls_with_dovecot(dovecot: Dovecot, dovecot_user: Account) -> None:
    dovecot_user.append("INBOX", MESSAGE % (1, 1))
    dovecot.tokens["sesame"] = dovecot_user.user
    secure = {"tls": "starttls", "ca_file": dovecot.ca_file}
    for secret in (Token("sesame"), Token("sesame", "XOAUTH2"), Password(mechanism="LOGIN")):
        source = open_source(settings(dovecot, dovecot_user.user, secret=secret, **secure))
        assert len(run(source)["INBOX"].octets) == 1
        source.reconnect()
        source.close()
    with pytest.raises(AuthenticationFailed) as caught:
        open_source(settings(dovecot, dovecot_user.user, secret=Token("wrong"), **secure))
    assert "wrong" not in str(caught.value)


def test_pymap_with_the_samples() -> None:
    with demo_server() as demo:
        wanted = {"host": demo.host, "port": demo.port, "user": demo.user, "tls": "none"}
        source = open_source(ImapSettings(secret=Password(demo.password), **wanted))
        visits = run(source)
        for folder in demo.mailbox.folders:
            visit = next(
                visit
                for visit in visits.values()
                if visit.opened is not None and "/".join(visit.opened.folder.path) == folder.name
            )
            expected = [message.octets() for message in folder.messages]
            assert list(visit.octets.values()) == expected
        assert sum(len(visit.octets) for visit in visits.values()) == demo.mailbox.placements
        source.close()


def test_three_connections_over_tls(dovecot: Dovecot, dovecot_user: Account) -> None:
    messages = [(MESSAGE % (number, number), (), None) for number in range(2000)]
    messages[700] = (b"Subject: x\r\n\r\n" + b"y" * 4_000_000 + b"\r\n", (), None)
    dovecot.populate(dovecot_user.user, {"INBOX": messages})
    secure = {"port": dovecot.tls_port, "tls": "implicit", "ca_file": dovecot.ca_file}
    source = open_source(settings(dovecot, dovecot_user.user, connections=3, **secure))
    got = run(source, patient=False)["INBOX"].octets
    assert [got[str(uid + 1)] for uid in range(2000)] == [octets for octets, _, _ in messages]
    source.close()


def test_message_limit_of_a_search(server: ScriptedServer) -> None:  # RFC 9738
    server.capabilities.remove("OBJECTID")
    fill(server, 35)

    def limited(event: Any) -> bool:
        high = int(event.line.rpartition(":")[2]) if "UID 1:" in event.line else 35
        low = max(1, high - 9)
        event.untagged("SEARCH " + " ".join(str(uid) for uid in range(low, high + 1)))
        event.tagged("OK", f"[MESSAGELIMIT 10 {low}] partly" if low > 1 else "all")
        return True

    server.on("UID SEARCH", limited)
    source = open_source(settings(server))
    visit = run(source)["INBOX"]
    assert len(visit.octets) == 35
    assert len(server.said("UID SEARCH")) == 4
    source.close()


def test_no_secret_and_no_mail_in_any_log(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    fill(server, 3)
    server.passwords = {"jane": "swordfish"}
    with caplog.at_level(logging.DEBUG):
        for mechanism in ("PLAIN", "LOGIN"):
            source = open_source(settings(server, secret=Password("swordfish", mechanism)))
            assert len(run(source)["INBOX"].octets) == 3
            source.close()
    assert "swordfish" not in caplog.text and "body 1" not in caplog.text
    assert base64.b64encode(b"\0jane\0swordfish").decode() not in caplog.text


def test_a_mailbox_that_cannot_be_named(server: ScriptedServer) -> None:
    def evil(event: Any) -> None:
        event.send(b'* LIST () "/" {12}\r\nx\r\na DELETE \r\n')

    server.on("LIST", evil, times=1)
    source = open_source(settings(server))
    visits = run(source)
    failed = next(visit.failed for visit in visits.values() if visit.failed)
    assert failed is not None and failed.code == "folder-unavailable"
    assert not server.said("DELETE")
    source.close()

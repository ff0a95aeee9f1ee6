"""The JMAP source against a server that forgets, fails and lies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.mirror import Mirror
from portarchive.connectors.base import Wanted
from portarchive.connectors.jmap import JmapSource, changes, fetch, open_source
from portarchive.connectors.retry import RetryingSource
from portarchive.errors import ConnectionLost, ServerMisbehaved, Unreachable
from portarchive.progress import silent
from portarchive.records import (
    Failure,
    FetchPoint,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Vanished,
)
from servers.jmap_faults import Drop, Error, MethodFailedError, Status
from servers.jmap_methods import Methods
from servers.jmap_server import FakeJmap

INBOX = ("INBOX",)
WORK = ("Work",)


def mail(number: int, size: int = 0) -> bytes:
    return b"Subject: %d\r\n\r\n%s\r\n" % (number, b"x" * size)


@pytest.fixture
def server() -> Iterator[FakeJmap]:
    with FakeJmap() as running:
        yield running


@pytest.fixture
def source(server: FakeJmap) -> Iterator[JmapSource]:
    opened = open_source(server.settings())
    yield opened
    opened.close()


def fill(server: FakeJmap, count: int, path=INBOX) -> list[str]:
    return [server.store.add(path, mail(number)) for number in range(count)]


def events(source: JmapSource, **more) -> list:
    return list(source.changes(Wanted(**({"folders": source.folders(), "tokens": {}} | more))))


def refs_of(source: JmapSource) -> list[MessageRef]:
    return [event for event in events(source) if isinstance(event, MessageRef)]


def outcomes(source: JmapSource, refs) -> dict[str, object]:
    found = {}
    for ref, outcome in source.fetch(refs):
        assert ref.email_id not in found
        whole = not isinstance(outcome, Failure | Vanished)
        found[ref.email_id] = b"".join(outcome.chunks()) if whole else outcome
    return found


# --- what it costs ------------------------------------------------------------------------------


def test_an_account_standing_still_costs_two_requests_and_no_octets(server: FakeJmap) -> None:
    fill(server, 5)
    fill(server, 5, WORK)
    mirror = Mirror()
    first = open_source(server.settings())
    mirror.run(first)
    first.close()
    server.requests.clear()
    server.calls.clear()
    later = open_source(server.settings())
    mirror.run(later)
    later.close()
    assert dict(server.requests) == {"session": 1, "api": 1}
    assert dict(server.calls) == {"Email/get": 1, "Mailbox/get": 1}
    assert mirror.fetched == 0
    assert len(mirror.contents()) == 10


def test_a_change_costs_one_more_request_each_for_what_and_whether_that_was_all(
    server: FakeJmap, source: JmapSource
) -> None:
    ids = fill(server, 5)
    mirror = Mirror()
    mirror.run(source)
    server.requests.clear()
    server.store.mails[ids[0]].keywords = {"$seen"}
    server.store.touch(server.store.mails[ids[0]])
    mirror.run(source)
    assert server.requests["api"] == 4  # the survey, the changes, the Email, the last look
    assert mirror.flags["INBOX", ids[0]] == ("$seen",)


def test_many_messages_come_in_few_answers(server: FakeJmap, source: JmapSource) -> None:
    ids = fill(server, 450)
    refs = refs_of(source)
    before = server.requests["api"]
    assert len(outcomes(source, refs)) == len(ids)
    assert server.requests["api"] - before <= 3
    assert server.requests["download"] == 0


def test_no_listing_is_held_in_memory(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "WINDOW", 10)
    fill(server, 35)
    points, count, most = [], 0, 0
    for event in events(source):
        count = 0 if isinstance(event, FetchPoint) else count + isinstance(event, MessageRef)
        most = max(most, count)
        points += [event.more] if isinstance(event, FetchPoint) else []
    assert points == [True, True, True, False]
    assert most == 10


# --- what changed -------------------------------------------------------------------------------


def test_a_state_that_the_server_forgot_means_a_whole_listing(
    server: FakeJmap, source: JmapSource
) -> None:
    ids = fill(server, 4)
    mirror = Mirror()
    mirror.run(source)
    server.store.destroy(ids[0])
    fill(server, 1)
    server.store.forgets = 1000
    mirror.run(source)
    assert all(event.complete for event in mirror.of(FolderOpened))
    assert mirror.fetched == 1
    assert len(mirror.contents()) == 4


@pytest.mark.parametrize("kind", ["cannotCalculateChanges", "invalidArguments"])
def test_a_server_that_never_knows_what_changed(server: FakeJmap, kind: str) -> None:
    server.on("Email/changes", Error(kind), times=1000)
    fill(server, 3)
    source = open_source(server.settings())
    mirror = Mirror()
    mirror.run(source)
    fill(server, 1, WORK)
    mirror.run(source)
    assert len(mirror.contents()) == 4
    assert mirror.fetched == 1
    source.close()


def test_more_changes_that_never_come_do_not_go_on_for_ever(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 2)
    mirror = Mirror()
    mirror.run(source)
    fill(server, 1)
    real = server.store.changes
    monkeypatch.setattr(
        server.store,
        "changes",
        lambda kind, since, most: real(kind, since, most)
        and {
            "oldState": since, "newState": since, "hasMoreChanges": True,
            "created": [], "updated": [], "destroyed": [],
        },
    )  # fmt: skip
    mirror.run(source)
    assert len(mirror.contents()) == 3


def test_a_message_moved_between_two_runs_is_named_where_it_is(
    server: FakeJmap, source: JmapSource
) -> None:
    (uid,) = fill(server, 1)
    box = server.store.create(WORK)
    mirror = Mirror()
    mirror.run(source)
    server.store.change_boxes(server.store.mails[uid], {box})
    mirror.run(source)
    assert set(mirror.contents()) == {("Work", uid)}


def test_an_account_that_never_stands_still_is_left_to_the_next_run(
    server: FakeJmap, source: JmapSource
) -> None:
    fill(server, 1)
    mirror = Mirror()
    mirror.run(source, at=lambda event: isinstance(event, FetchPoint) and fill(server, 1))
    (done,) = mirror.of(FolderDone)
    assert done.arrived_later == 1
    mirror.run(source)
    assert mirror.fetched == 1
    assert len(mirror.contents()) == len(server.store.mails)


def test_folders_with_different_tokens_are_read_from_each(
    server: FakeJmap, source: JmapSource
) -> None:
    fill(server, 2)
    fill(server, 2, WORK)
    mirror = Mirror()
    mirror.run(source)
    old = mirror.tokens["Work"]
    fill(server, 1, WORK)
    fill(server, 1)
    mirror.run(source)
    mirror.tokens["Work"] = old
    fill(server, 1, WORK)
    mirror.run(source)
    assert len(mirror.contents()) == 7


def test_a_page_whose_last_message_goes_away(server: FakeJmap, source: JmapSource) -> None:
    """Two of three pages are there when the end of the second is destroyed: it begins anew."""
    server.page = 3
    ids = fill(server, 10)
    real = server.store.mails
    asked = []

    class Listed(dict):
        def values(self):
            asked.append(1)
            if len(asked) == 3:
                server.store.destroy(ids[5])
            return super().values()

    server.store.mails = Listed(real)
    folders = source.folders()
    asked.clear()
    found = [event for event in events(source, folders=folders) if isinstance(event, MessageRef)]
    assert sorted(ref.email_id for ref in found) == sorted({*ids} - {ids[5]})


@pytest.mark.parametrize("kind", ["anchorNotFound", "invalidArguments"])
def test_a_server_that_knows_no_anchors(server: FakeJmap, source: JmapSource, kind: str) -> None:
    server.page = 3
    ids = fill(server, 10)
    page = Methods._page

    def without(self, arguments, found):
        if arguments.get("anchor") is not None:
            raise MethodFailedError(kind)
        return page(self, arguments, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Methods, "_page", without)
        assert sorted(ref.email_id for ref in refs_of(source)) == sorted(ids)


def test_a_server_that_gives_the_same_page_for_ever(server: FakeJmap, source: JmapSource) -> None:
    fill(server, 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Methods, "_page", lambda self, _, found: {"ids": found[:3], "position": 0})
        with pytest.raises(ServerMisbehaved, match="again and again"):
            refs_of(source)


def test_a_message_that_the_server_cannot_describe_costs_its_folder_only(server: FakeJmap) -> None:
    bad = fill(server, 3)[1]
    fill(server, 4, WORK)
    get = Methods.email_get

    def failing(self, arguments):
        if bad in arguments["ids"]:
            raise MethodFailedError("serverFail")
        return get(self, arguments)

    source = RetryingSource(
        open_source(server.settings()), observer=silent, sleep=lambda seconds: None
    )
    mirror = Mirror()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Methods, "email_get", failing)
        mirror.run(source)
    assert set(mirror.failed_folders) == {"INBOX"}
    assert mirror.failed_folders["INBOX"].code == "server-refused"
    assert len(mirror.contents()) == 4
    source.close()


def test_a_mailbox_that_may_not_be_read_fails_alone(server: FakeJmap, source: JmapSource) -> None:
    fill(server, 2)
    fill(server, 2, WORK)
    server.store.box_at(WORK).rights["mayReadItems"] = False
    found = events(source)
    (failed,) = [event for event in found if isinstance(event, FolderFailed)]
    assert failed.folder_id == server.store.box_at(WORK).box_id
    assert sum(isinstance(event, FolderDone) for event in found) == 1


def test_more_mailboxes_than_a_server_gives_at_once() -> None:
    with FakeJmap(maxObjectsInGet=4) as server:
        server.page = 3
        for number in range(11):
            server.store.create((f"Box {number}",))
        source = open_source(server.settings())
        assert len(source.folders()) == 12
        source.close()


# --- octets -------------------------------------------------------------------------------------


def test_one_bad_message_does_not_cost_the_others(server: FakeJmap, source: JmapSource) -> None:
    """A batch is cut in two until the bad one is alone; a download is tried for that."""
    ids = fill(server, 40)
    refs = refs_of(source)
    bad = server.store.mails[ids[17]].blob_id
    real = fetch.blobs.fetch

    server.on("Blob/get", Error("serverFail"))
    assert len(outcomes(source, refs)) == 40

    def poisoned(session, blob_ids, capability):
        if bad in blob_ids:
            server.on("Blob/get", Error("serverFail"))
        return real(session, blob_ids, capability)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch.blobs, "fetch", poisoned)
        patch.setattr(fetch, "AHEAD", 1)
        found = outcomes(source, refs)
        assert {type(each) for each in found.values()} == {bytes}
        assert server.requests["download"] == 1
        server.on("download", Status(500))
        with pytest.raises(ConnectionLost):
            outcomes(source, refs)
        server.on("download", Status(404))
        found = outcomes(source, refs)
    failed = {uid: each for uid, each in found.items() if isinstance(each, Failure)}
    assert list(failed) == [ids[17]]
    assert failed[ids[17]].code == "no-data"


def test_octets_that_are_not_whole_are_fetched_alone(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(server, 4)
    refs = refs_of(source)
    real = fetch.blobs._decoded
    answers = iter([b"short", None])
    monkeypatch.setattr(fetch.blobs, "_decoded", lambda data: next(answers, real(data)))
    found = outcomes(source, refs)
    assert found == {uid: mail(number) for number, uid in enumerate(ids)}
    assert server.requests["download"] == 2


@pytest.mark.parametrize("kind", ["unknownMethod", "accountNotSupportedByMethod"])
def test_a_method_that_is_announced_and_is_not_there(
    server: FakeJmap, source: JmapSource, kind: str
) -> None:
    fill(server, 6)
    server.on("Blob/get", Error(kind), times=99)
    refs = refs_of(source)
    assert len(outcomes(source, refs)) == 6
    assert len(outcomes(source, refs)) == 6
    assert server.calls["Blob/get"] == 1
    assert server.requests["download"] == 12


def test_a_server_without_the_method_is_asked_for_downloads_within_its_limit() -> None:
    with FakeJmap(blobs=None, maxConcurrentRequests=2) as server:
        fill(server, 30)
        source = open_source(server.settings(connections=16))
        assert len(outcomes(source, refs_of(source))) == 30
        source.close()


def test_downloads_on_a_foreign_host_are_not_needed_with_the_method(server: FakeJmap) -> None:
    """As Fastmail has it: large messages come in pieces then."""
    server.edit_session = lambda found: found | {"downloadUrl": "https://cdn.example/{blobId}"}
    large = mail(1, 3 << 20)
    uid = server.store.add(INBOX, large)
    small = server.store.add(INBOX, mail(2))
    source = open_source(server.settings())
    refs = refs_of(source)
    for ref, body in source.fetch(refs):
        if ref.email_id == uid:
            chunks = list(body.chunks())
            assert (body.octets, body.size) == (None, len(large))
            assert len(chunks) == 4
            assert b"".join(chunks) == large
        else:
            assert (ref.email_id, body.octets) == (small, mail(2))
    source.close()


def test_octets_only_on_a_foreign_host_are_told_before_the_work_starts() -> None:
    with FakeJmap(blobs=None) as server:
        server.edit_session = lambda found: found | {"downloadUrl": "https://cdn.example/{blobId}"}
        with pytest.raises(Unreachable) as caught:
            open_source(server.settings())
        assert "allow-host=cdn.example" in (caught.value.hint or "")


def test_a_message_of_which_the_server_has_no_octets(server: FakeJmap, source: JmapSource) -> None:
    small, large = server.store.add(INBOX, mail(1)), server.store.add(INBOX, mail(2, 2 << 20))
    refs = refs_of(source)
    blobs = {uid: server.store.mails[uid].blob_id for uid in (small, large)}
    kept = {blob_id: server.store.blobs[blob_id] for blob_id in blobs.values()}
    real = server.store.blobs

    class Gone(dict):
        def get(self, key, default=None):
            return None if key in kept else super().get(key, default)

    server.store.blobs = Gone(real)
    found = outcomes(source, refs)
    assert {each.code for each in found.values()} == {"no-data"}


def test_a_message_that_moved_away_is_gone_from_where_it_was_named(
    server: FakeJmap, source: JmapSource
) -> None:
    (uid,) = fill(server, 1)
    refs = refs_of(source)
    server.store.change_boxes(server.store.mails[uid], {server.store.create(WORK)})
    assert outcomes(source, refs) == {uid: Vanished()}


def test_an_unavailable_server_is_waited_for_and_nothing_is_lost(server: FakeJmap) -> None:
    fill(server, 60)
    fill(server, 1, WORK)
    server.store.add(INBOX, mail(99, 2 << 20))
    inner = open_source(server.settings())
    waits: list[float] = []
    source = RetryingSource(inner, observer=silent, sleep=waits.append)
    for where, skip in (("Email/query", 0), ("Email/get", 4), ("Blob/get", 0), ("Mailbox/get", 1)):
        server.on(where, Error("serverUnavailable"), skip=skip)
    server.on("api", Status(429, headers={"Retry-After": "7"}), skip=3)
    server.on("api", Drop("after"), skip=6)
    server.on("download", Drop("before"))
    mirror = Mirror()
    mirror.run(source)
    assert len(mirror.contents()) == 62
    assert mirror.failed == {}
    assert any(6 < seconds <= 7 for seconds in waits)
    source.close()


@pytest.mark.parametrize("found", [{"list": 7}, {"list": [], "state": 7}, {"list": []}])
def test_an_answer_that_makes_no_sense(server: FakeJmap, source: JmapSource, found) -> None:
    server.on(
        "api",
        Status(200, {"methodResponses": [["Email/get", found, "0"], ["Mailbox/get", {}, "1"]]}),
    )
    with pytest.raises(ServerMisbehaved):
        source.folders()


def test_shared_accounts_are_named_and_chosen(server: FakeJmap) -> None:
    def shared(found):
        team = found["accounts"][server.account] | {"name": "Team", "isPersonal": False}
        return found | {"accounts": {**found["accounts"], "t-1": team}}

    server.edit_session = shared
    told = []
    own = open_source(server.settings(observer=told.append))
    assert own.identity().account == "jane"
    assert ["Team" in notice.text for notice in told] == [True]
    team = open_source(server.settings(account="team"))
    assert team.identity().account == "Team (t-1)"
    assert team.session.account_id == "t-1"
    own.close()
    team.close()

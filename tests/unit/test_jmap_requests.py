"""Limits of a JMAP server, its errors about a whole request, breaks, and mailboxes to be made.

The server is the fake one: it fails the test when an announced limit is exceeded.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contract.target_facts import Sending, mail, parcel, placed, refused
from contract.target_ground import BOX, OTHER, ids, made
from contract.test_jmap_target import SMALL
from portarchive.connectors.jmap import JmapTarget, open_target, settle
from portarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectorError,
    RateLimited,
    TokenExpired,
    Unreachable,
)
from portarchive.placing import FolderReady, FolderWish, Parcel, Placed, Unsure
from servers.jmap_faults import LIMIT, Drop, Error, Partly, Status
from servers.jmap_methods import Methods
from servers.jmap_server import FakeJmap, Secret

WAYS = ("standard", "cyrus", None)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch) -> None:
    monkeypatch.setattr(settle, "QUIET", 0.0)


@pytest.fixture(params=WAYS, ids=str)
def server(request) -> Iterator[FakeJmap]:
    with FakeJmap(blobs=request.param) as server:
        yield server


@pytest.fixture
def target(server) -> Iterator[JmapTarget]:
    target = open_target(server.settings())
    yield target
    target.close()


@pytest.fixture
def box(target) -> str:
    return made(target, BOX)


def held(server: FakeJmap, path=BOX) -> list[int]:
    """The numbers of the messages in a mailbox."""
    return sorted(int(octets.split(b"\r\n")[0][9:]) for octets in server.store.octets(path))


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["maxSizeRequest", "maxCallsInRequest", "maxObjectsInSet",
                                  "maxObjectsInGet", "maxConcurrentRequests",
                                  "maxConcurrentUpload"])  # fmt: skip
@pytest.mark.parametrize("announced", [True, False])
def test_limits_are_kept_or_found(name, announced) -> None:
    """Failures 30, 32; the fake server complains of each announced limit that is exceeded."""
    with FakeJmap(**({name: SMALL[name]} if announced else {})) as server:
        server.real[name] = SMALL[name]
        server.store.add(("Old",), mail(5000))
        target = open_target(server.settings())
        box = made(target, BOX)
        sent = [parcel(n, mail(n, b"x" * 100 * (n % 9)), box) for n in range(150)]
        assert len(placed(target, [*sent, parcel(150, mail(150, b"y" * 2_000_000), box)])) == 151
        looks = [each for each in target.existing([box]) if hasattr(each, "uid")]
        assert len(looks) == 151
        assert sum(1 for _ in target.fetch(looks)) == 151
        target.close()


def test_a_limit_is_found_once() -> None:
    with FakeJmap() as server:
        server.real["maxObjectsInSet"] = 10
        target = open_target(server.settings())
        box = made(target, BOX)
        placed(target, [parcel(n, mail(n), box) for n in range(600)])
        assert server.calls["Email/import"] < 200
        target.close()


def test_messages_that_fit_no_request_go_by_upload() -> None:
    with FakeJmap(maxSizeRequest=20_000) as server:
        target = open_target(server.settings())
        box = made(target, BOX)
        placed(target, [parcel(n, mail(n, b"x" * 5_000 * n), box) for n in range(8)])
        assert server.requests["upload"] == 5
        target.close()


def test_blobs_over_the_limit_of_blobs_go_by_upload() -> None:
    with FakeJmap(maxSizeBlobSet=1000) as server:
        target = open_target(server.settings())
        box = made(target, BOX)
        placed(target, [parcel(n, mail(n, b"x" * 200 * n), box) for n in range(8)])
        assert server.requests["upload"] == 3
        server.announced.clear()
        server.real["maxSizeBlobSet"] = 500
        placed(target, [parcel(n, mail(n, b"y" * 200), box) for n in range(8, 12)])
        target.close()


@pytest.mark.parametrize("how", ["announced", "413", "limit"])
def test_a_message_over_the_limit_of_uploads_is_too_big(how) -> None:
    size = 2_000_000
    with FakeJmap(**({"maxSizeUpload": size} if how == "announced" else {})) as server:
        server.real["maxSizeUpload"] = size
        if how == "limit":
            server.on("upload", Status(400, {"type": LIMIT, "limit": "maxSizeUpload"}))
        target = open_target(server.settings())
        box = made(target, BOX)
        big = parcel(1, mail(1, b"x" * size), box, streamed=True)
        sending = Sending().run(target, [parcel(0, mail(0), box), big, parcel(2, mail(2), box)])
        assert refused(sending.outcomes[1]) == "too-big"
        assert sending.keys(Placed) == [0, 2]
        assert server.requests["upload"] == (0 if how == "announced" else 1)
        target.close()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status(507), "over-quota"),
        (Status(403, {"type": "urn:ietf:params:jmap:error:overQuota"}), "over-quota"),
        (Status(403), "refused"),
        (Status(400, b"\xff<html>"), "refused"),
        (Status(404), "refused"),
    ],
    ids=str,
)
def test_an_upload_that_is_refused_is_about_one_message(server, target, box, status, code) -> None:
    server.on("upload", status)
    big = parcel(1, mail(1, b"x" * 2_000_000), box)
    sending = Sending().run(target, [big])
    assert sending.error is None
    assert refused(sending.outcomes[1]) == code
    placed(target, [parcel(n, mail(n), box) for n in (0, 2)])


def test_a_large_message_is_streamed() -> None:
    """200 MB: never more of it is read than a connection holds."""
    size, chunk = 200_000_000, b"0123456789abcde\r\n" * 61_681
    with FakeJmap(maxSizeUpload=1 << 30) as server:
        target = open_target(server.settings())
        box = made(target, BOX)
        ahead = produced = 0

        def chunks() -> Iterator[bytes]:
            nonlocal ahead, produced
            head = mail(1)
            for part in itertools.chain([head], itertools.repeat(chunk)):
                part = part[: size - produced]  # noqa: PLW2901 - the last one
                produced += len(part)
                ahead = max(ahead, produced - server.received)
                yield part
                if produced == size:
                    return

        big = Parcel(1, parcel(1, b"", box).spots, size, None, chunks)
        found = placed(target, [big])
        assert found[1].email_id is not None
        (email,) = server.store.mails.values()
        assert server.store.blobs[email.blob_id].size == server.received == size
        assert ahead < 32_000_000
        target.close()


# --- errors of a whole method, of a whole request -------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["serverFail", "requestTooLarge", "invalidArguments", "stateMismatch", "newError\x1b"]
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_method_that_fails_is_asked_for_less(server, target, box, kind, times) -> None:
    server.on("Email/import", Error(kind), times=times)
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(40)])
    assert sending.error is None
    assert len(sending.keys(Placed)) == 40
    assert held(server) == list(range(40))


def test_one_message_that_fails_its_method_is_found(server, target, box) -> None:
    """It is alone at last; the others are placed."""
    server.poison = lambda octets: octets.startswith(b"Subject: 13\r\n")
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(40)])
    assert sending.error is None
    assert refused(sending.outcomes[13]) == "refused"
    assert held(server) == [n for n in range(40) if n != 13]


@pytest.mark.parametrize("kind", ["accountReadOnly", "accountNotFound", "forbidden"])
def test_what_is_about_no_message_ends_the_run(server, target, box, kind) -> None:
    server.on("Email/import", Error(kind, {"description": "no"}), times=99)
    sending = Sending().run(target, (parcel(n, mail(n), box) for n in range(1000)))
    assert isinstance(sending.error, ConnectorError)
    assert not isinstance(sending.error, ConnectionLost | RateLimited)
    assert len(sending.keys(Unsure)) == len(sending.taken) < 300


def test_a_server_that_did_a_part_leaves_it_to_be_looked_at(server, target, box) -> None:
    server.on("Email/import", Partly(7))
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(20)])
    assert isinstance(sending.error, ConnectionLost)
    assert len(sending.keys(Unsure)) == 20
    assert held(server) == list(range(7))


def test_a_method_for_blobs_that_is_not_there_after_all() -> None:
    with FakeJmap() as server:
        target = open_target(server.settings())
        server.on("Blob/upload", Error("unknownMethod"), times=99)
        box = made(target, BOX)
        placed(target, [parcel(n, mail(n), box) for n in range(120)])
        assert server.calls["Blob/upload"] <= 4
        assert server.requests["upload"] == 120
        target.close()


@pytest.mark.parametrize("kind", ["serverFail", "requestTooLarge"])
def test_blobs_that_cannot_be_made_at_once(kind) -> None:
    with FakeJmap() as server:
        target = open_target(server.settings())
        server.on("Blob/upload", Error(kind), times=2)
        box = made(target, BOX)
        placed(target, [parcel(n, mail(n), box) for n in range(50)])
        assert server.requests["upload"] == 0
        target.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status(429, {}, {"Retry-After": "7"}), RateLimited),
        (Status(503, b"<html>", {"Retry-After": "7"}), RateLimited),
        (Status(400, {"type": LIMIT, "limit": "requests per hour"}), RateLimited),
        (Status(500), ConnectionLost),
        (Status(502, b"\xff"), ConnectionLost),
        (Status(401), AuthenticationFailed),
    ],
    ids=str,
)
def test_a_request_that_is_refused_leaves_all_of_it_unsure(
    server, target, box, status, kind
) -> None:
    server.on("api", status)
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(5)])
    assert isinstance(sending.error, kind)
    assert set(map(type, sending.outcomes.values())) == {Unsure}
    if status.headers:
        assert isinstance(sending.error, RateLimited)
        assert sending.error.retry_after == 7
    assert server.secret.text not in f"{sending.error!r} {sending.error.hint}"
    target.reconnect()
    assert len(placed(target, [parcel(n, mail(n), box) for n in range(5)])) == 5


def test_a_rate_of_messages_is_patience_not_refusal(server, target, box) -> None:
    """SetError rateLimit (RFC 8620 section 5.3)."""
    error = {"type": "rateLimit", "description": "too many"}
    server.verdict = lambda octets, _: None if len(server.store.mails) < 30 else error
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(40)])
    assert isinstance(sending.error, RateLimited)
    assert len(sending.keys(Placed)) == 30
    assert len(sending.keys(Unsure)) == 10


def test_a_token_that_expires_within_the_run(server) -> None:
    server.secret = Secret("t0ken-one", "token")
    server.accepts = "Bearer t0ken-one"
    target = open_target(server.settings())
    box = made(target, BOX)
    placed(target, [parcel(1, mail(1), box)])
    server.accepts = "Bearer t0ken-two"
    sending = Sending().run(target, [parcel(2, mail(2), box)])
    assert isinstance(sending.error, TokenExpired)
    server.secret.text = "t0ken-two"
    target.reconnect()
    placed(target, [parcel(2, mail(2), box)])
    assert held(server) == [1, 2]
    target.close()


def test_an_account_that_can_only_be_read(server) -> None:
    def read_only(found: dict) -> dict:
        found["accounts"][server.account]["isReadOnly"] = True
        return found

    server.edit_session = read_only
    with pytest.raises(Unreachable) as raised:
        open_target(server.settings())
    assert raised.value.code == "read-only-account"
    assert raised.value.hint


# --- breaks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("where", ["api", "Email/import", "upload"])
def test_a_break_leaves_it_open_whether_it_was_done(server, target, box, when, where) -> None:
    server.on(where, Drop(when))
    big = parcel(99, mail(99, b"x" * 2_000_000), box)
    sending = Sending().run(target, [big, *(parcel(n, mail(n), box) for n in range(8))])
    assert isinstance(sending.error, ConnectionLost)
    target.reconnect()
    there = set(held(server))
    assert set(sending.keys(Placed)) <= there
    unsure = set(sending.keys(Unsure))
    assert set(sending.keys(Placed)) | unsure == {99, *range(8)}
    left = [n for n in sorted(unsure) if n not in there]
    placed(
        target, [parcel(n, mail(n) if n != 99 else mail(99, b"x" * 2_000_000), box) for n in left]
    )
    assert held(server) == [*range(8), 99]


def test_what_the_server_goes_on_with_is_waited_for(server, monkeypatch) -> None:
    """It has the request, and the connection breaks; who looks at once sees nothing of it."""
    target = open_target(server.settings(timeout=2.0))
    box = made(target, BOX)
    asked, strike = itertools.count(), server.strike
    clock = Clock(lambda: len(held(server)) == 5)

    def strike_late(where: str) -> Any:
        if where == "api" and next(asked) == 0:
            assert clock.later.wait(60)
        return strike(where)

    server.strike = strike_late
    monkeypatch.setattr(settle, "QUIET", 0.5)
    monkeypatch.setattr(settle, "time", clock)
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(5)])
    assert len(sending.keys(Unsure)) == 5
    target.reconnect()
    there = [each for each in target.existing([box]) if hasattr(each, "uid")]
    assert len(there) == 5
    assert clock.now >= 0.3 + 0.5
    target.close()


class Clock:
    """Time that passes by sleeping alone; with the third sleep the server is done."""

    def __init__(self, done: Callable[[], bool]) -> None:
        self.now, self.later, self._done, self._slept = 0.0, threading.Event(), done, 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._slept += 1
        if self._slept == 3:
            assert not self._done()
            self.later.set()
            end = time.monotonic() + 60
            while not self._done():
                assert time.monotonic() < end
                time.sleep(0.01)


# --- mailboxes ------------------------------------------------------------------------------------


def test_many_mailboxes_in_few_requests(server, target) -> None:
    """Failure 53."""
    wishes = [FolderWish((f"{n // 20}", f"{n}"), subscribe=True) for n in range(400)]
    answers = list(target.ensure(wishes))
    assert all(isinstance(answer, FolderReady) and answer.created for _, answer in answers)
    assert server.calls["Mailbox/set"] <= 6
    assert {wish.path for wish in wishes} <= set(ids(target))


@pytest.mark.parametrize("kind", ["requestTooLarge", "serverFail"])
def test_mailboxes_that_are_too_many_at_once(server, target, kind) -> None:
    server.on("Mailbox/set", Error(kind), times=3)
    answers = list(target.ensure([FolderWish((f"{n}",), subscribe=True) for n in range(40)]))
    assert all(isinstance(answer, FolderReady) and answer.created for _, answer in answers)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"type": "overQuota"}, "over-quota"),
        ({"type": "forbidden"}, "refused"),
        (
            {"type": "invalidProperties", "properties": ["name"], "description": "\x1b[1m"},
            "refused",
        ),
        ({"odd": 1}, "refused"),
    ],
)
def test_a_mailbox_that_is_refused_takes_those_below_it_along(server, target, error, code) -> None:
    server.box_verdict = lambda wanted: error if wanted["name"] == "Bad" else None
    wishes = [FolderWish(("Bad", "Below")), FolderWish(("Good",)), FolderWish(("Bad",))]
    answers = dict(target.ensure(wishes))
    assert refused(answers[wishes[0]]) == refused(answers[wishes[2]]) == code
    assert isinstance(answers[wishes[1]], FolderReady)


def test_a_role_that_is_taken_and_a_subscription_that_is_not_kept(server, target) -> None:
    """KW-10."""
    server.store.create(("Sent",), role="sent")
    server.box_verdict = lambda wanted: (
        {"type": "invalidProperties", "properties": ["isSubscribed"], "description": "no"}
        if "isSubscribed" in wanted
        else None
    )
    ((_, answer),) = target.ensure([FolderWish(("Gesendet",), role="sent", subscribe=True)])
    assert isinstance(answer, FolderReady)
    assert answer.created
    assert {each.split(":")[0] for each in answer.lost} == {"role", "subscription"}
    assert not answer.folder.roles
    assert answer.folder.path == ("Gesendet",)


def test_a_mailbox_that_vanishes_within_the_import(server, target, box, monkeypatch) -> None:
    """Cyrus goes on importing into a mailbox that it has deleted: the target looks."""
    other = made(target, OTHER)
    monkeypatch.setattr(Methods, "_email_error", lambda self, wanted: None)
    del server.store.boxes[box]
    spots = [(box,), (other,), (box, other)]
    sending = Sending().run(target, [parcel(n, mail(n), *each) for n, each in enumerate(spots)])
    assert refused(sending.outcomes[0]) == "folder-gone"
    assert isinstance(sending.outcomes[1], Placed)
    assert isinstance(sending.outcomes[2], Placed)
    assert [folder_id for folder_id, _ in sending.outcomes[2].uids] == [other]

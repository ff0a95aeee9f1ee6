"""A JMAP server that bears less than it says, repeats secrets, floods, and answers anything at all.

Whatever it does is one of our errors or an outcome: no traceback, no memory that grows, no secret
in a report, and nothing believed that was not said.
"""

from __future__ import annotations

import base64
import gc
import json
import logging
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exporting
from contract.target_facts import Sending, mail, parcel, placed, refused
from contract.target_ground import BOX, OTHER, made
from importing import account, archived, letter, place
from portarchive.archive.contents import open_contents
from portarchive.connectors.base import Wanted
from portarchive.connectors.jmap import (
    JmapSettings,
    JmapSource,
    gate,
    open_source,
    open_target,
    settle,
)
from portarchive.connectors.jmap import session as jmap_session
from portarchive.connectors.jmap.gate import Gate
from portarchive.connectors.jmap.origin import Guard
from portarchive.connectors.jmap.replies import LimitReached
from portarchive.connectors.jmap.session import Session
from portarchive.errors import (
    ConnectionLost,
    ConnectorError,
    PortArchiveError,
    RateLimited,
    ServerMisbehaved,
    Unreachable,
)
from portarchive.placing import FolderReady, FolderWish, Merged, Placed, Refused
from portarchive.records import Failure, MessageRef, Vanished
from servers.jmap_faults import LIMIT, Error, Slow, Status
from servers.jmap_server import FakeJmap, Secret
from servers.jmap_store import Store

CONCURRENT = "maxConcurrentRequests"
INBOX = ("INBOX",)
FLOOD = 1 << 30
BUSY = {
    "problem": Status(400, {"type": LIMIT, "limit": CONCURRENT}),
    "429": Status(429, {"type": LIMIT, "limit": CONCURRENT}),
    "503": Status(503, b"<html>too much</html>"),
}


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch) -> None:
    monkeypatch.setattr(settle, "QUIET", 0.0)


def refs_of(source: JmapSource) -> list[MessageRef]:
    found = source.changes(Wanted(folders=source.folders(), tokens={}))
    return [event for event in found if isinstance(event, MessageRef)]


def fetched(source: JmapSource, refs: list[MessageRef]) -> dict[str, Any]:
    """Octets or outcome by Email id; a large message's octets are read."""
    found: dict[str, Any] = {}
    for ref, outcome in source.fetch(refs):
        whole = not isinstance(outcome, Failure | Vanished)
        found[str(ref.email_id)] = b"".join(outcome.chunks()) if whole else outcome
    return found


# --- as many at once as it bears ------------------------------------------------------------------


@pytest.mark.parametrize("busy", BUSY.values(), ids=BUSY)
def test_downloads_are_as_many_as_a_server_bears(tmp_path: Path, busy: Status) -> None:
    """It says 10 and bears 2: everything comes, and it is asked for fewer from then on."""
    with FakeJmap(blobs=None, maxConcurrentRequests=10) as server:
        server.real[CONCURRENT], server.busy, server.pace = 2, busy, 0.06
        sent = [mail(n) for n in range(30)] + [mail(n, b"x" * (2 << 20)) for n in (98, 99)]
        for octets in sent:
            server.store.add(INBOX, octets)
        source = open_source(server.settings(connections=10))
        report = exporting.export(source, tmp_path / "a", retry=False)
        assert not report.to_json()["totals"].get("failed")
        with open_contents(tmp_path / "a") as contents:
            (folder,) = contents.folders()
            sizes = sorted(item.size for item in contents.items(folder))
        assert sizes == sorted(map(len, sent))
        too_many = server.refused[CONCURRENT]
        assert 1 <= too_many <= 20, "each of ten is refused once or twice, not for ever"
        assert source.session.limits.max_concurrent_requests <= 2
        found = fetched(source, refs_of(source))
        assert sorted(found.values()) == sorted(sent)
        assert server.refused[CONCURRENT] == too_many, "it was learnt"
        source.close()


def test_downloads_count_until_they_are_read() -> None:
    """The fake server complains of the third at once; who reads slowly holds a place."""
    with FakeJmap(blobs=None, maxConcurrentRequests=2) as server:
        blobs = [server.store.keep(mail(n, b"x" * (4 << 20))) for n in range(3)]
        session = Session(server.settings())
        first, second = session.download(blobs[0]), session.download(blobs[1])
        done: list[int] = []

        def read(blob_id: str) -> None:
            octets = b"".join(session.download(blob_id).chunks())
            done.append(len(octets))

        other = threading.Thread(target=read, args=(blobs[2],), daemon=True)
        other.start()
        time.sleep(0.1)
        assert not done
        size = len(b"".join(first.chunks()))
        first.close()
        first.close()  # the place is given back once
        other.join(30)
        assert done == [size]
        assert len(b"".join(second.chunks())) == done[0]
        session.close()


def test_one_at_a_time_is_no_wait_for_oneself() -> None:
    """A thread with a body half read may ask for something: nobody else could end its waiting."""
    with FakeJmap(maxConcurrentRequests=1) as server:
        blob_id = server.store.keep(mail(1, b"x" * (8 << 20)))
        session = Session(server.settings())
        reply = session.download(blob_id)
        server.announced.clear()  # it is one too many
        assert session.ask("Mailbox/get", {"ids": None})["list"]
        reply.close()
        session.close()


def test_a_place_that_nobody_gives_back_stops_nobody_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(gate, "LONGEST", 0.05)
    narrow = Gate(1)
    forgetful = threading.Thread(target=narrow.enter)
    forgetful.start()
    forgetful.join()
    began = time.monotonic()
    with narrow:
        assert narrow.crowded
    assert 0.04 < time.monotonic() - began < 5


def test_patience_is_asked_for_where_fewer_at_once_would_not_help() -> None:
    with FakeJmap(blobs=None) as server:
        blob_id = server.store.keep(mail(1))
        session = Session(server.settings())
        server.on("download", Status(429, headers={"Retry-After": "2"}))
        with pytest.raises(RateLimited) as alone:
            session.download(blob_id)
        assert alone.value.retry_after == 2
        other = session.download(server.store.keep(mail(2, b"x" * (4 << 20))))
        server.on("download", Status(503, headers={"Retry-After": "60"}))
        with pytest.raises(RateLimited) as long:
            session.download(blob_id)
        assert long.value.retry_after == 60
        assert session.limits.max_concurrent_requests == 4
        server.on("download", Status(503, headers={"Retry-After": "1"}))
        assert b"".join(session.download(blob_id).chunks()) == mail(1)
        assert session.limits.max_concurrent_requests == 1
        other.close()
        session.close()


def test_a_server_that_never_bears_a_download_is_named(monkeypatch) -> None:
    monkeypatch.setattr("portarchive.connectors.jmap.session._BUSY_TRIES", 3)
    with FakeJmap(blobs=None) as server:
        session = Session(server.settings())
        server.on("download", BUSY["problem"], times=99)
        with pytest.raises(RateLimited, match="fewer downloads"):
            session.download("x")
        assert server.requests["download"] == 3
        session.close()


# --- limits that change, and that are found -------------------------------------------------------


LESS = {"maxObjectsInGet": 5, "maxCallsInRequest": 2, CONCURRENT: 1, "maxConcurrentUpload": 1}


def test_a_reconnect_takes_the_limits_that_are_announced_then() -> None:
    """The fake server complains of everything that is more."""
    with FakeJmap(blobs=None) as server:
        ids = [server.store.add(INBOX, mail(n)) for n in range(12)]
        session = Session(server.settings())
        limits = session.limits
        limits.shrink("maxObjectsInSet", 20)
        server.announced |= LESS
        server.drop_all()
        session.reconnect()
        assert session.limits is limits, "whoever cuts by them has hold of them"
        assert (limits.max_objects_in_get, limits.max_calls_in_request) == (5, 2)
        assert (limits.max_concurrent_requests, limits.max_concurrent_upload) == (1, 1)
        assert limits.max_objects_in_set == 10, "what was found before is not forgotten"
        assert sum(len(found) for found, _ in session.get("Email", ids, ["id"])) == 12
        server.pace = 0.05
        blob = server.store.keep(mail(99))

        def read() -> None:
            b"".join(session.download(blob).chunks())

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not server.refused[CONCURRENT]
        server.announced |= {"maxObjectsInGet": 400}
        session.reconnect()
        assert limits.max_objects_in_get == 5
        session.close()


def test_an_answer_of_another_session_state_has_the_limits_looked_at(monkeypatch) -> None:
    """Once a state, so that one that is never that of the session object costs one request."""
    monkeypatch.setattr(jmap_session, "SELDOM", 0.0)
    with FakeJmap() as server:
        session = Session(server.settings())
        session.ask("Mailbox/get", {"ids": None})
        assert server.requests["session"] == 1
        server.state = "s2"
        session.ask("Mailbox/get", {"ids": None})
        server.announced |= LESS  # said by nobody until the state is another one
        assert server.requests["session"] == 2
        server.state = "s3"
        session.ask("Mailbox/get", {"ids": None})
        assert session.limits.max_objects_in_get == 5
        assert server.requests["session"] == 3
        server.edit_session = lambda found: {**found, "state": "never"}
        server.state = "s4"
        for _ in range(3):
            session.ask("Mailbox/get", {"ids": None})
        assert server.requests["session"] == 4
        session.close()


def test_a_session_state_that_is_another_one_each_time_is_seldom_looked_at() -> None:
    with FakeJmap() as server:
        session = Session(server.settings())
        for number in range(5):
            server.state = f"s{number + 10}"
            session.ask("Mailbox/get", {"ids": None})
        assert server.requests["session"] == 1
        session.close()


def test_a_session_object_that_is_none_any_more_spoils_no_answer(monkeypatch) -> None:
    monkeypatch.setattr(jmap_session, "SELDOM", 0.0)
    with FakeJmap() as server:
        session = Session(server.settings())
        server.state = "s2"
        server.edit_session = lambda found: {**found, "apiUrl": None}
        assert session.ask("Mailbox/get", {"ids": None})["list"]
        assert session.limits.max_objects_in_get == 500
        session.close()


def test_the_size_that_was_refused_is_not_sent_again() -> None:
    """It says 50 MB and takes 20,000 octets: what is as large as what it refused stays here."""
    with FakeJmap(blobs=None) as server:
        server.real["maxSizeUpload"] = 20_000
        session = Session(server.settings())
        for size in (40_000, 40_000, 60_000, 30_000, 35_000):
            with pytest.raises(LimitReached, match="maxSizeUpload"):
                session.upload(b"x" * size)
        assert server.received == 40_000 + 30_000
        assert session.upload(b"x" * 20_000).size == 20_000, "no more is refused than the server's"
        session.reconnect()
        with pytest.raises(LimitReached):
            session.upload(b"x" * 30_000)
        assert server.received == 40_000 + 30_000 + 20_000
        session.close()


def test_those_that_wait_for_their_upload_are_not_sent_either() -> None:
    with FakeJmap(blobs=None, maxConcurrentUpload=1) as server:
        server.real["maxSizeUpload"] = 20_000
        server.on("upload", Slow(0.2), times=9)
        session = Session(server.settings())
        refusals: list[str] = []

        def send() -> None:
            with pytest.raises(LimitReached):
                session.upload(b"x" * 30_000)
            refusals.append("too large")

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(refusals) == 4
        assert server.requests["upload"] == 1
        session.close()


# --- more octets than there are -------------------------------------------------------------------


@pytest.mark.parametrize("blobs", [None, "standard"])
@pytest.mark.parametrize("endless", [False, True], ids=["announced", "endless"])
@pytest.mark.parametrize("size", [1_000, 2 << 20], ids=["small", "large"])
def test_a_gigabyte_in_place_of_a_message(blobs, endless, size, tmp_path) -> None:
    """Memory stays, the archive does not swell, the message is named, the others come."""
    with FakeJmap(blobs=blobs) as server:
        ids = [server.store.add(INBOX, mail(n, b"x" * size)) for n in range(3)]
        server.endless = endless
        bad = server.store.mails[ids[1]].blob_id
        server.floods[bad] = FLOOD
        if blobs:  # it does not give it among others
            server.store.blobs = _Without(server.store.blobs, bad)
        source = open_source(server.settings())
        tracemalloc.start()
        try:
            report = exporting.export(source, tmp_path / "a")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 24 << 20
        assert server.flooded < 128 << 20
        written = sum(each.stat().st_size for each in tmp_path.rglob("*") if each.is_file())
        assert written < 4 * size + (1 << 20)
        (folder,) = report.to_json()["folders"]
        (failed,) = folder["failed"]
        streamed = size > 1_000 and endless
        assert failed["code"] == ("cut" if streamed else "server-misbehaved")
        with open_contents(tmp_path / "a") as contents:
            (box,) = contents.folders()
            assert [item.size for item in contents.items(box)] == [len(mail(0, b"x" * size))] * 2
        source.close()


class _Without(dict):
    """Blobs, one of which only ``floods`` has: its size is known."""

    def __init__(self, blobs: dict[str, Any], missing: str) -> None:
        super().__init__(blobs)
        self._missing = missing

    def get(self, key: str, default: Any = None) -> Any:
        return default if key == self._missing else super().get(key, default)


def test_a_message_in_pieces_is_no_longer_than_it_is(tmp_path: Path) -> None:
    """A blob that is longer than the message was not cut to fit and taken for whole."""
    with FakeJmap() as server:
        server.edit_session = lambda found: found | {"downloadUrl": "https://cdn.example/{blobId}"}
        server.store.add(INBOX, mail(1, b"x" * (2 << 20)))

        def longer(found: dict[str, Any]) -> Any:
            for _, told, _ in found["methodResponses"]:
                for each in told.get("list", []):
                    if "receivedAt" in each:
                        each["size"] -= 1_000
            return found

        server.edit_answer = longer
        source = open_source(server.settings())
        ((_, body),) = source.fetch(refs_of(source))
        with pytest.raises(ConnectionLost, match="more octets"):
            b"".join(body.chunks())
        source.close()


# --- secrets that come back -----------------------------------------------------------------------


SECRETS = {
    "password": Secret("pl4nted \u00e4 p\u00e4ssw\u00f6rd"),
    "password of signs": Secret("pl4\tnted\x1b p\x7f\n"),
    "token": Secret("pl4nted-t0ken-AbC", "token"),
    "a word of JMAP": Secret("keywords"),
}


def credential(secret: Secret) -> str:
    """What goes out in ``Authorization``."""
    if secret.kind == "token":
        return f"Bearer {secret.text}"
    return f"Basic {base64.b64encode(f'jane:{secret.text}'.encode()).decode()}"


def tellings(secret: Secret) -> list[str]:
    """How a server may repeat it: plain, as it was sent, and where a long text is cut short."""
    sent = credential(secret).split(" ")[1]
    return [
        f"no {secret.text} here", f"got Authorization: {credential(secret)}",
        f"got {sent.rstrip('=')}", "x" * 195 + secret.text, "y" * 190 + sent,
    ]  # fmt: skip


def assert_hidden(text: str, secret: Secret) -> None:
    """Neither the secret nor the beginning of it, nor it with its signs replaced."""
    sent = credential(secret).split(" ")[1]
    pieces = {secret.text, secret.text[:7], sent, sent[:12], sent.rstrip("=")}
    pieces |= {"".join(c if c.isprintable() else "?" for c in secret.text)}
    for piece in pieces - {""}:
        assert piece not in text, (piece, text)


@pytest.fixture(params=SECRETS)
def secret(request) -> Secret:
    return SECRETS[request.param]


@pytest.fixture
def echoing(secret: Secret) -> Iterator[FakeJmap]:
    with FakeJmap() as server:
        server.secret, server.accepts = secret, credential(secret)
        yield server


def told(outcome: object) -> str:
    """All words of an outcome or an error, escapes resolved."""
    return (
        " ".join(map(str, vars(outcome).values()))
        if hasattr(outcome, "__dict__")
        else str(
            [str(each) for each in outcome]  # type: ignore[attr-defined]  # a NamedTuple
        )
    )


def test_what_is_said_of_one_message_has_no_secret(echoing: FakeJmap, secret: Secret) -> None:
    target = open_target(echoing.settings())
    box, other = made(target, BOX), made(target, OTHER)
    placed(target, [parcel(99, mail(99), box)])
    for words in tellings(secret):
        error = {
            "type": words, "description": words, "properties": [words, f"keywords/{words}", 7],
        }  # fmt: skip
        echoing.verdict = echoing.box_verdict = echoing.update_verdict = lambda _a, _b=0, e=error: e
        (new, joined) = (
            Sending()
            .run(target, [parcel(0, mail(0), box), parcel(99, mail(99), other)])
            .outcomes.values()
        )
        echoing.verdict = lambda _octets, _wanted: None
        (merged,) = Sending().run(target, [parcel(99, mail(99), other)]).outcomes.values()
        ((_, folder),) = target.ensure([FolderWish(("New",))])
        ((_, kept),) = target.ensure([FolderWish(BOX, folder_id=box, subscribe=False)])
        for outcome in (new, joined, merged, folder):
            assert isinstance(outcome, Refused)
            if secret.text != "keywords":
                assert_hidden(outcome.text, secret)
        assert isinstance(kept, FolderReady)
        echoing.store.boxes[box].subscribed = True
    target.close()


def test_a_subscription_that_is_refused_with_the_secret(echoing: FakeJmap, secret: Secret) -> None:
    target = open_target(echoing.settings())
    box = made(target, BOX)
    for words in tellings(secret):

        def refusing(found: dict[str, Any], words: str = words) -> Any:
            for _, answer, _ in found["methodResponses"]:
                if answer.pop("updated", None):
                    answer["notUpdated"] = {box: {"type": "forbidden", "description": words}}
            return found

        echoing.edit_answer = refusing
        was = echoing.store.boxes[box].subscribed
        ((_, ready),) = target.ensure([FolderWish(BOX, folder_id=box, subscribe=not was)])
        assert isinstance(ready, FolderReady)
        (lost,) = ready.lost
        assert lost.startswith("subscription: ")
        assert_hidden(lost.replace("keywords", ""), secret)
    target.close()


@pytest.mark.parametrize("where", ["method", "problem", "status line", "rate", "upload"])
def test_no_error_has_the_secret(echoing: FakeJmap, secret: Secret, where: str) -> None:
    target = open_target(echoing.settings())
    box = made(target, BOX)
    for words in tellings(secret):
        line = "".join(c for c in words if c.isprintable() and c.isascii())
        octets, reason = mail(1), None
        problem = {"type": words, "detail": words, "title": words, "limit": words}
        if where == "method":
            more = {"description": words, "arguments": [words]}
            echoing.on("Email/import", Error(words, more), times=9)
        elif where == "problem":
            echoing.on("api", Status(400, problem))
        elif where == "status line":
            reason = line
            echoing.on("api", Status(500, problem, {"X-Said": line}, reason))
        elif where == "rate":
            echoing.on("api", Status(429, problem, reason=line))
        else:
            octets = mail(1, b"x" * (2 << 20))
            echoing.on("upload", Status(400, problem, reason=line))
        sending = Sending().run(target, [parcel(1, octets, box)])
        assert (sending.error is None) == (where in {"method", "upload"})
        echoing._faults.clear()
        for each in (*sending.outcomes.values(), sending.error):
            if each is not None and secret.text != "keywords":
                assert_hidden(told(each), secret)
                assert_hidden(repr(getattr(each, "hint", "")), secret)
    target.close()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_login_that_is_refused_does_not_repeat_it(
    echoing: FakeJmap, secret: Secret, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for words in tellings(secret):
        line = "".join(c for c in words if c.isprintable() and c.isascii())
        headers = {"X-Said": line, f"broken {line}": "", "Retry-After": line}
        problem = {"detail": words, "title": words}
        for found in (problem, line.encode()):
            echoing.on("session", Status(status, found, headers, line))
            with pytest.raises(ConnectorError) as raised:
                Session(echoing.settings())
            assert_hidden(f"{raised.value} {raised.value.hint}", secret)
    for record in caplog.records:
        assert_hidden(record.getMessage(), secret)


def test_no_report_has_the_secret(tmp_path: Path) -> None:
    """The whole way: an import whose every refusal repeats the password, and its report."""
    archive = archived(tmp_path / "archive", account(INBOX=[letter("a"), letter("b")], Work=[]))
    with FakeJmap() as server:
        password = server.secret.text
        basic = server.accepts.split(" ")[1]
        words = f"{password} {basic}"
        server.verdict = lambda _octets, _wanted: {"type": "forbidden", "description": words}
        server.box_verdict = lambda _wanted: {"type": words, "description": words}
        heard: list[str] = []
        target = open_target(server.settings())
        report = place(archive, target, tmp_path / "state", lambda event: heard.append(repr(event)))
        target.close()
    text = json.dumps(report.to_json(), ensure_ascii=False) + repr(heard)
    text += "".join(
        each.read_text("utf-8", "replace")
        for each in (tmp_path / "state").rglob("*")
        if each.is_file()
    )
    assert "forbidden" in text
    assert password not in text
    assert basic not in text


def test_a_secret_that_is_a_word_of_the_protocol_changes_no_meaning(tmp_path: Path) -> None:
    for word, error, code in (
        ("keywords", {"type": "invalidProperties", "properties": ["keywords/x"]}, "keyword"),
        ("over", {"type": "overQuota"}, "over-quota"),
        ("existing", {"type": "alreadyExists", "existingId": "M0"}, "refused"),
    ):
        with FakeJmap() as server:
            server.secret = Secret(word)
            server.accepts = credential(server.secret)
            target = open_target(server.settings())
            box = made(target, BOX)
            server.verdict = lambda _octets, _wanted, e=error: e
            (outcome,) = Sending().run(target, [parcel(0, mail(0), box)]).outcomes.values()
            assert refused(outcome) == code
            target.close()


# --- what was not said ----------------------------------------------------------------------------


def leaving_out(method: str, members: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """The first object of an answer is named neither as done nor as refused."""

    def edit(found: dict[str, Any]) -> Any:
        for name, answer, _ in found["methodResponses"]:
            if name == method:
                for member in members:
                    if answer.get(member):
                        answer[member].pop(next(iter(answer[member])))
        return found

    return edit


@pytest.mark.parametrize("blobs", ["standard", "cyrus", None])
def test_a_message_that_is_neither_imported_nor_refused_is_not_believed(blobs) -> None:
    with FakeJmap(blobs=blobs) as server:
        target = open_target(server.settings())
        box = made(target, BOX)
        server.edit_answer = leaving_out("Email/import", ("created",))
        sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(4)])
        assert refused(sending.outcomes[0]) == "refused"
        assert sending.keys(Placed) == [1, 2, 3]
        target.close()


@pytest.mark.parametrize("done", [True, False])
def test_a_message_that_is_neither_joined_nor_refused_is_not_believed(done: bool) -> None:
    """Whether it was done or not: the server did not say so."""
    with FakeJmap() as server:
        target = open_target(server.settings())
        box, other = made(target, BOX), made(target, OTHER)
        placed(target, [parcel(n, mail(n), box) for n in range(4)])
        if not done:
            server.update_verdict = lambda _patch: {"type": "forbidden"}
        server.edit_answer = leaving_out("Email/set", ("updated", "notUpdated"))
        sending = Sending().run(target, [parcel(n, mail(n), other) for n in range(4)])
        assert refused(sending.outcomes[0]) == "refused"
        assert sending.keys(Merged) == ([1, 2, 3] if done else [])
        target.close()


@pytest.mark.parametrize("left", ["said nothing", "said and not done"])
def test_a_mailbox_that_is_neither_made_nor_refused_is_looked_for(left: str) -> None:
    """What is there afterwards counts, not what was said."""
    with FakeJmap() as server:
        target = open_target(server.settings())
        if left == "said nothing":
            server.edit_answer = leaving_out("Mailbox/set", ("created",))
            ((_, answer),) = target.ensure([FolderWish(("New",))])
            assert isinstance(answer, FolderReady)
        else:
            server.box_verdict = lambda _wanted: {"type": "forbidden"}

            def lying(found: dict[str, Any]) -> Any:
                for name, each, _ in found["methodResponses"]:
                    if name == "Mailbox/set":
                        each["created"], each["notCreated"] = {"m0": {"id": "b77"}}, None
                return found

            server.edit_answer = lying
            ((_, answer),) = target.ensure([FolderWish(("New",))])
            assert refused(answer) == "refused"
        target.close()


def test_a_subscription_that_is_neither_kept_nor_refused_is_named() -> None:
    with FakeJmap() as server:
        target = open_target(server.settings())
        box = made(target, BOX)
        was = server.store.boxes[box].subscribed
        server.edit_answer = leaving_out("Mailbox/set", ("updated",))
        ((_, answer),) = target.ensure([FolderWish(BOX, folder_id=box, subscribe=not was)])
        assert isinstance(answer, FolderReady)
        assert answer.lost
        target.close()


# --- anything at all ------------------------------------------------------------------------------


def deep(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


HOSTILE = (
    None, True, False, [], {}, [[]], [{}], {"": []}, [None], "", "\ud800", "x\udfff", "\x00",
    "\x1b[31m",
    "9" * 5000, 10**4000, -1, 0, 1, 1 << 64, 1e308, float("inf"), float("nan"), "-1", "1e9999",
    deep(400), {"type": []}, {"type": None, "description": {}}, {"id": []}, {"id": "\ud800"},
    ["\ud800"], "a" * 300, "../../etc", {"e0": None}, {"m0": []},
)  # fmt: skip
JUNK = st.sampled_from(HOSTILE) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
HOW = settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def places_of(found: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value that something stands at: its container and its key."""
    each = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in list(each):
        yield found, key
        if isinstance(value, dict | list):
            yield from places_of(value)


class Spoiler:
    """Puts junk in one place of each answer from a number on; or leaves out what is there."""

    def __init__(self, data: st.DataObject) -> None:
        self._seeds = data.draw(
            st.lists(st.tuples(st.integers(0, 4000), JUNK, st.booleans()), min_size=1, max_size=3)
        )
        self._skip = data.draw(st.integers(0, 6))
        self._lock = threading.Lock()

    def __call__(self, found: Any) -> Any:
        with self._lock:
            self._skip -= 1
            if self._skip >= 0 or not self._seeds:
                return found
            seed, junk, gone = self._seeds.pop()
        everywhere = [(found, None), *places_of(found)]
        container, key = everywhere[seed % len(everywhere)]
        if key is None:
            return junk
        if gone:
            del container[key]
        else:
            container[key] = junk
        return found


KINDS = {"blobs": "standard", "pieces": "standard", "downloads": None}
"""Ways to the octets; ``pieces``: large ones too, since downloads lead to a foreign host."""


@pytest.fixture(scope="module", params=KINDS)
def hostile(request) -> Iterator[FakeJmap]:
    running = FakeJmap(blobs=KINDS[request.param], user=request.param)
    with running as server:
        yield server
        server.complaints.clear()  # it told limits that are none


def filled() -> Store:
    store = Store()
    for number in range(4):
        store.add(INBOX, mail(number), ["$seen", "label"])
    store.add(("Work", "2019"), mail(8))
    store.add(("Work",), mail(9, b"x" * (1 << 20)))
    return store


def reset(server: FakeJmap) -> None:
    server.store = filled()
    server._faults.clear()
    for name in ("edit_session", "edit_answer", "edit_upload"):
        setattr(server, name, lambda found: found)
    if server.user == "pieces":
        server.edit_session = lambda found: found | {"downloadUrl": "https://cdn.example/{blobId}"}


def spoil(server: FakeJmap, member: str, spoiler: Callable[[Any], Any]) -> None:
    """One more thing that is made of an answer."""
    before = getattr(server, member)
    setattr(server, member, lambda found: spoiler(before(found)))


def exported(server: FakeJmap) -> None:
    """Twice from the same server: what it told the first time is sent back to it."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            source = open_source(server.settings())
        except PortArchiveError as error:
            assert error.text
            return
        try:
            for _ in range(2):
                exporting.export(source, Path(directory) / "a", fsync=False)
        except PortArchiveError as error:
            assert error.text
        finally:
            source.close()


def tried(server: FakeJmap) -> None:
    """All that a target does."""
    try:
        target = open_target(server.settings())
    except PortArchiveError as error:
        assert error.text
        return
    try:
        target.identity()
        wishes = [FolderWish(BOX, role="archive", subscribe=True), FolderWish(("Work", "New"))]
        answers = [answer for _, answer in target.ensure(wishes)]
        ready = (each.folder.folder_id for each in answers if isinstance(each, FolderReady))
        box = next(ready, "b1")
        sent = [parcel(n, mail(n), box, flags=["$seen", "x"]) for n in range(6)]
        sent.append(parcel(77, mail(77, b"y" * (1 << 20)), box))
        for outcome in Sending().run(target, sent).outcomes.values():
            if isinstance(outcome, Refused):
                assert refused(outcome)
                assert outcome.text.isprintable()
        target.reconnect()
        looks = [each for each in target.existing([box]) if hasattr(each, "uid")]
        for _, outcome in target.headers(looks[:5]):
            assert isinstance(outcome, bytes | Failure | Vanished)
    except PortArchiveError as error:
        assert error.text
    finally:
        target.close()


@HOW
@given(data=st.data(), member=st.sampled_from(["edit_answer", "edit_session"]))
def test_an_export_from_a_server_that_answers_anything(hostile: FakeJmap, data, member) -> None:
    reset(hostile)
    spoil(hostile, member, Spoiler(data))
    exported(hostile)


@HOW
@given(data=st.data(), member=st.sampled_from(["edit_answer", "edit_session", "edit_upload"]))
def test_placing_on_a_server_that_answers_anything(hostile: FakeJmap, data, member) -> None:
    reset(hostile)
    spoil(hostile, member, Spoiler(data))
    tried(hostile)


READ = (
    "methodResponses", "list", "notFound", "state", "newState", "ids", "total", "position",
    "hasMoreChanges", "created", "updated", "destroyed", "id", "blobId", "threadId", "mailboxIds",
    "keywords", "size", "receivedAt", "name", "parentId", "role", "myRights", "sortOrder",
    "isSubscribed", "totalEmails", "data:asBase64", "isTruncated", "capabilities", "accounts",
    "primaryAccounts", "username", "apiUrl", "downloadUrl", "accountCapabilities", "isPersonal",
    "maxObjectsInGet", "maxConcurrentRequests", "urn:ietf:params:jmap:mail",
    "urn:ietf:params:jmap:core",
)  # fmt: skip
WRITTEN = (
    "list", "notFound", "state", "created", "updated", "notCreated", "notUpdated", "id", "blobId",
    "size", "e0", "m0", "b0", "type", "existingId", "uploadUrl", "isReadOnly", "accounts",
    "urn:ietf:params:jmap:mail",
)  # fmt: skip


def each_named(found: Any, member: str, junk: Any) -> Any:
    """All of this name in an answer are junk, or have a key that is."""
    for container, key in list(places_of(found)):
        if key != member:
            continue
        if junk is KEYS and isinstance(container[key], dict):
            container[key] = {f"{name}\udfff": each for name, each in container[key].items()}
        elif junk is not KEYS:
            container[key] = junk
    return found


KEYS = object()
WORST = (None, [], 7, "", "\ud800", [7], [[]], {"e0": [], "b0": []}, "#b0", deep(400), KEYS)


def everywhere(server: FakeJmap, member: str, junk: Any) -> FakeJmap:
    reset(server)
    for where in ("edit_answer", "edit_session", "edit_upload"):
        spoil(server, where, lambda found: each_named(found, member, junk))
    return server


@pytest.mark.parametrize("hostile", ["pieces"], indirect=True)
@pytest.mark.parametrize("member", READ)
def test_one_member_that_is_anything_is_read(hostile: FakeJmap, member: str) -> None:
    for junk in WORST:
        exported(everywhere(hostile, member, junk))


@pytest.mark.parametrize("hostile", ["blobs", "downloads"], indirect=True)
@pytest.mark.parametrize("member", WRITTEN)
def test_one_member_that_is_anything_is_written(hostile: FakeJmap, member: str) -> None:
    for junk in WORST:
        tried(everywhere(hostile, member, junk))


@pytest.mark.parametrize("junk", [7, None, [], {}, [[]], {"data:asBase64": 7}], ids=str)
def test_pieces_that_are_anything(junk: Any) -> None:
    with FakeJmap(user="pieces") as server:
        reset(server)

        def spoiled(found: dict[str, Any]) -> Any:
            for name, told, _ in found["methodResponses"]:
                if name == "Blob/get":
                    told["list"] = [junk]
            return found

        source = open_source(server.settings())
        (large,) = (ref for ref in refs_of(source) if (ref.size or 0) >= 1 << 20)
        server.edit_answer = spoiled
        with pytest.raises(ConnectionLost):
            fetched(source, [large])
        source.close()


@pytest.mark.parametrize("told", [{"blobId": "#b0"}, {"blobId": ""}, {"blobId": "\ud800"},
                                  {"size": -1}, {"size": True}, {"size": 1e9}])  # fmt: skip
def test_an_upload_of_which_nonsense_is_told(told: dict[str, Any]) -> None:
    """``#b0`` would be a reference to another blob of the same request (RFC 8620 section 5.3)."""
    with FakeJmap(blobs=None) as server:
        server.edit_upload = lambda found: found | told
        session = Session(server.settings())
        with pytest.raises(ServerMisbehaved, match="upload"):
            session.upload(b"x")
        session.close()


def test_names_that_no_text_can_hold_are_passed_over(tmp_path: Path) -> None:
    """A capability and an account beside the right ones are in no archive, and not in the way."""
    with FakeJmap() as server:
        reset(server)

        def more(found: dict[str, Any]) -> Any:
            found["accounts"]["t\ud800"] = found["accounts"][server.account] | {"name": "Team"}
            found["capabilities"]["urn:\udfff"] = found["capabilities"]["urn:\x1b[1m"] = {}
            return found

        server.edit_session = more
        source = open_source(server.settings())
        assert all(each.isprintable() for each in source.identity().capabilities)
        exporting.export(source, tmp_path / "a")
        source.close()
        with pytest.raises(PortArchiveError, match="no mail account"):
            open_source(server.settings(account="Team"))


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Content-Type", "Location", "Content-Encoding", "X-A"]),
    st.sampled_from(
        [
            "-1", "1e9999", "0", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "NaN", "gzip", "\xb2",
            "Wed, 09 Feb 99999999 22:23:32 GMT", "Feb  3  0000 00:00:00", "text/html", "http://[",
            "application/json",
        ]
    )
    | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
    max_size=3,
)  # fmt: skip


@HOW
@given(
    where=st.sampled_from(["session", "api", "upload", "download"]),
    status=st.sampled_from([200, 201, 301, 304, 400, 401, 403, 404, 413, 429, 500, 503, 507]),
    member=st.sampled_from(["type", "limit", "status", "detail", "title", None]),
    junk=JUNK, headers=HEADERS,
)  # fmt: skip
def test_a_refusal_that_says_anything(hostile, where, status, member, junk, headers) -> None:
    reset(hostile)
    hostile.edit_session = lambda found: found | {"capabilities": {
        uri: told for uri, told in found["capabilities"].items() if "blob" not in uri
    }}  # fmt: skip
    problem: Any = {"type": LIMIT, "limit": "maxSizeRequest", "status": status, "detail": "no"}
    problem = junk if member is None else problem | {member: junk}
    session = None
    try:
        if where != "session":
            session = Session(hostile.settings())
        hostile.on(where, Status(status, problem, headers))
        if session is None:
            session = Session(hostile.settings())
        elif where == "api":
            session.call([("Email/get", {"ids": []}), ("Mailbox/get", {"ids": None})])
        elif where == "upload":
            assert session.upload(b"x").blob_id
        else:
            b"".join(session.download("x").chunks())
    except ConnectorError as error:
        assert error.text.isprintable()
        if isinstance(error, RateLimited):
            assert error.retry_after is None or error.retry_after >= 0
    finally:
        if session is not None:
            session.close()


def test_nobody_waits_for_the_body_of_a_redirect() -> None:
    with FakeJmap(blobs=None) as server:
        redirect = {"Location": "/.well-known/jmap", "Content-Length": "999999999"}
        server.on("session", Status(301, {}, redirect))
        session = Session(server.settings())
        session.close()


@pytest.mark.parametrize("location", ["http://[", "//[", "http://\xb2:x/"])
def test_a_redirect_to_nowhere_is_closed(location: str) -> None:
    with FakeJmap(blobs=None) as server:
        server.on("session", Status(301, {}, {"Location": location, "Content-Encoding": "gzip"}))
        with pytest.raises(PortArchiveError):
            Session(server.settings())
    gc.collect()


@pytest.mark.parametrize("where", ["session", "api", "upload", "download"])
@pytest.mark.parametrize("length", ["9" * 5000, "9" * 17, "-1", "\xb2", "5,6"])
def test_a_length_that_is_none(where: str, length: str) -> None:
    """The connection is closed by nobody: a reader that believes it waits until its timeout."""
    with FakeJmap(blobs=None) as server:
        session = Session(server.settings(timeout=0.3))
        server.on(where, Status(200, {}, {"Content-Length": length}))
        with pytest.raises(ConnectorError):
            match where:
                case "session":
                    session.reconnect()
                case "api":
                    session.call([("Email/get", {"ids": []})])
                case "upload":
                    session.upload(b"x")
                case _:
                    b"".join(session.download("x").chunks())
        session.close()


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("-1", None, None),
        ("1e9999", None, None),
        ("9" * 5000, None, None),
        ("\xb2", None, None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9, 1e12),
        ("Wed, 09 Feb 99999999 22:23:32 GMT", None, None),
    ],
)
def test_patience_of_any_length(text, least, most) -> None:
    with FakeJmap() as server:
        session = Session(server.settings())
        server.on("api", Status(429, headers={"Retry-After": text}))
        with pytest.raises(RateLimited) as raised:
            session.call([("Email/get", {"ids": []})])
        if least is None:
            assert raised.value.retry_after is None
        else:
            assert raised.value.retry_after is not None
            assert least <= raised.value.retry_after <= most
        session.close()


@pytest.mark.parametrize("junk", [[], {}, None, 7, "\ud800", deep(400)], ids=lambda j: str(j)[:9])
def test_a_parent_that_is_none(junk: Any) -> None:
    with FakeJmap() as server:
        server.store = filled()

        def spoil(found: dict[str, Any]) -> Any:
            for name, told, _ in found["methodResponses"]:
                for each in told["list"] if name == "Mailbox/get" else ():
                    each["parentId"] = junk
            return found

        server.edit_answer = spoil
        source = open_source(server.settings())
        assert sorted(folder.path for folder in source.folders()) == [
            ("2019",), ("INBOX",), ("Work",)
        ]  # fmt: skip
        source.close()


# --- no password in clear text --------------------------------------------------------------------


ELSEWHERE = "http://192.0.2.2:80/api"
ALLOWED = ("192.0.2.2",)


@pytest.mark.parametrize("member", ["apiUrl", "downloadUrl", "uploadUrl", "Location"])
def test_from_this_machine_no_password_goes_to_another_one_in_clear_text(member: str) -> None:
    """To be allowed to see the password is not to be sent it without TLS."""
    with FakeJmap(blobs=None) as server:
        if member == "Location":
            server.on("session", Status(302, headers={"Location": ELSEWHERE}), times=9)
        server.edit_session = lambda found: {**found, member: ELSEWHERE}
        with pytest.raises(Unreachable) as caught:
            session = Session(server.settings(allow_hosts=ALLOWED))
            session.check_download()
            session.check_upload()
        assert caught.value.code == "insecure-url"
        assert "clear text" in caught.value.text
        assert caught.value.hint
        assert not server.requests["api"]


@pytest.mark.parametrize(
    ("host", "tls", "url", "fits"),
    [
        ("127.0.0.1", False, ELSEWHERE, False),
        ("127.0.0.1", False, "https://192.0.2.2/api", True),
        ("127.0.0.1", False, "http://[::1]/api", True),
        ("mail.example", False, ELSEWHERE, True),  # plain http off this machine was insisted on
        ("mail.example", False, "http://api.mail.example/", True),
        ("localhost", False, "http://sub.localhost/", True),
        ("mail.example", True, ELSEWHERE, False),
        ("mail.example", True, "http://127.0.0.1/api", False),
    ],
)
def test_who_may_be_asked_without_tls(host: str, tls: bool, url: str, fits: bool) -> None:
    settings = JmapSettings(
        host=host, port=80, tls=tls, user="jane", secret=Secret("x"),
        allow_hosts=(*ALLOWED, "::1", "127.0.0.1", "sub.localhost"),
    )  # fmt: skip
    base = f"{'https' if tls else 'http'}://{host}/"
    if fits:
        assert Guard(settings).resolve(url, base, "apiUrl") == url
        return
    with pytest.raises(Unreachable) as caught:
        Guard(settings).resolve(url, base, "apiUrl")
    assert caught.value.code == "insecure-url"

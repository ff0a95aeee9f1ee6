"""The session of the JMAP connector against a server that has bad days."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from portarchive.connectors.jmap import JmapSettings
from portarchive.connectors.jmap.replies import LimitReached, MethodError, MethodRefused
from portarchive.connectors.jmap.resource import BLOB, CORE, CYRUS_BLOB, MAIL
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.transport import HttpRefused
from portarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    PortArchiveError,
    RateLimited,
    ServerMisbehaved,
    SettingsError,
    TokenExpired,
    Unreachable,
)
from servers.cyrus import Cyrus
from servers.jmap_faults import LIMIT, Drop, Error, Status
from servers.jmap_server import PASSWORD, FakeJmap, Secret

INBOX = ("INBOX",)


@pytest.fixture
def server() -> Iterator[FakeJmap]:
    with FakeJmap() as running:
        yield running


@pytest.fixture
def session(server: FakeJmap) -> Iterator[Session]:
    opened = Session(server.settings())
    yield opened
    opened.close()


def echoes(count: int) -> list[tuple[str, dict[str, int]]]:
    return [("Mailbox/get", {"ids": []}) for _ in range(count)]


def fill(server: FakeJmap, count: int) -> list[str]:
    return [server.store.add(INBOX, b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(count)]


# --- finding it and getting in ------------------------------------------------------------------


def test_it_finds_the_account(session: Session, server: FakeJmap) -> None:
    assert session.account_id == server.account
    assert session.blob_capability == BLOB
    assert session.limits.max_objects_in_get == 500
    assert session.can_download
    assert session.requests == 1
    session.reconnect()
    assert server.requests["session"] == 2


def test_a_wrong_password_is_one_clear_line(server: FakeJmap) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        Session(server.settings(secret=Secret("wr0ng-secret")))
    assert "wr0ng-secret" not in caught.value.text
    assert "app password" in (caught.value.hint or "")


def test_what_a_server_repeats_of_the_secret_is_not_passed_on(server: FakeJmap) -> None:
    basic = server.accepts.partition(" ")[2]
    words = f"no \x1b[31m{PASSWORD} and {basic}"
    server.on("session", Status(403, {"detail": words}))
    with pytest.raises(AuthenticationFailed) as caught:
        Session(server.settings())
    assert PASSWORD not in caught.value.text
    assert basic not in caught.value.text
    assert caught.value.text.isprintable()


def test_a_token_that_expires_is_asked_for_again(server: FakeJmap) -> None:
    server.secret, server.accepts = Secret("one", "token"), "Bearer one"
    session = Session(server.settings())
    server.accepts, server.secret.text = "Bearer two", "two"
    with pytest.raises(TokenExpired):
        session.call(echoes(1))
    session.reconnect()
    session.call(echoes(1))
    assert server.authorizations[-1] == "Bearer two"
    session.close()


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "caf\u00e9", "x\r\nX-Injected: y"])
def test_a_token_that_is_none_is_not_sent(server: FakeJmap, token: str) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        Session(server.settings(secret=Secret(token, "token")))
    assert token not in caught.value.text
    assert not server.authorizations


def test_a_password_may_have_any_characters(server: FakeJmap) -> None:
    with pytest.raises(AuthenticationFailed):
        Session(server.settings(secret=Secret("p\u00e4ss:w\u00f6rd\n\U0001f48c"), user="j\u00e4ne"))
    (sent,) = server.authorizations
    assert sent.startswith("Basic ")


def test_redirects_are_followed_on_the_same_host(server: FakeJmap) -> None:
    server.on("session", Status(301, headers={"Location": "/.well-known/jmap"}), times=2)
    session = Session(server.settings())
    assert session.requests == 3
    session.reconnect()
    assert session.requests == 1
    session.close()


@pytest.mark.parametrize(
    ("location", "error", "code"),
    [
        ("http://localhost:1/", Unreachable, "foreign-host"),
        ("ftp://127.0.0.1/", ServerMisbehaved, "server-misbehaved"),
        ("", ServerMisbehaved, "server-misbehaved"),
        ("/.well-known/jmap", ServerMisbehaved, "server-misbehaved"),
    ],
)
def test_redirects_that_are_not_followed(server: FakeJmap, location, error, code) -> None:
    server.on("session", Status(302, headers={"Location": location}), times=99)
    with pytest.raises(error) as caught:
        Session(server.settings())
    assert caught.value.code == code


def test_the_api_of_a_foreign_host_is_not_asked_unless_the_user_named_it(server: FakeJmap) -> None:
    def elsewhere(found):
        return found | {"apiUrl": f"http://localhost:{server.port}/api"}

    server.edit_session = elsewhere
    with pytest.raises(Unreachable) as caught:
        Session(server.settings())
    assert caught.value.code == "foreign-host"
    assert "allow-host=localhost" in (caught.value.hint or "")
    assert not server.requests["api"]
    session = Session(server.settings(allow_hosts=("localhost",)))
    session.call(echoes(1))
    assert server.requests["api"] == 1
    session.close()


@pytest.mark.parametrize(
    "found",
    [
        b"", b"{", b"[]", b"7", b'"x"', b"null", b"[" * 100_000, b'{"capabilities":{}}',
        b'{"capabilities":{"x":{}},"apiUrl":7}', b"<html>hello</html>", b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_no_session_object(server: FakeJmap, found: bytes) -> None:
    server.on("session", Status(200, found))
    with pytest.raises(ServerMisbehaved):
        Session(server.settings())


def test_no_jmap_there(server: FakeJmap) -> None:
    server.on("session", Status(404))
    with pytest.raises(Unreachable) as caught:
        Session(server.settings())
    assert "404" in caught.value.text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"port": 1}, "refuses connections"),
        ({"host": "no-such-host.invalid"}, "no host"),
        ({"tls": True}, "TLS"),
    ],
)
def test_what_cannot_be_reached(server: FakeJmap, more, words: str) -> None:
    with pytest.raises(Unreachable, match=words):
        Session(server.settings(**more))


def test_an_account_of_another_name(server: FakeJmap) -> None:
    assert Session(server.settings(account="JANE")).account_id == server.account
    with pytest.raises(SettingsError) as caught:
        Session(server.settings(account="nobody"))
    assert "jane" in (caught.value.hint or "")


@pytest.fixture(scope="module")
def tls_cyrus() -> Iterator[Cyrus]:
    with Cyrus() as running:
        running.account("jane")
        yield running


def test_tls_with_a_trusted_certificate_only(tls_cyrus: Cyrus) -> None:
    settings = JmapSettings(
        host="localhost", port=tls_cyrus.https_port, user="jane", secret=Secret(tls_cyrus.password)
    )
    with pytest.raises(Unreachable) as caught:
        Session(settings)
    assert "--ca-file" in (caught.value.hint or "")
    session = Session(replace(settings, ca_file=tls_cyrus.ca_file))
    assert session.resource.url.startswith("https://localhost:")
    assert session.blob_capability == CYRUS_BLOB
    assert session.ask("Mailbox/get", {"ids": None})["list"]
    session.close()


# --- methods ------------------------------------------------------------------------------------


def test_calls_are_split_by_the_limit_and_answered_in_order() -> None:
    with FakeJmap(maxCallsInRequest=3) as server:
        session = Session(server.settings())
        ids = fill(server, 7)
        answers = session.call([("Email/get", {"ids": [each]}) for each in ids])
        assert [each["list"][0]["id"] for each in answers] == ids
        assert server.requests["api"] == 3
        session.close()


@pytest.mark.parametrize("limit", ["maxCallsInRequest", "maxSizeRequest", "maxObjectsInGet"])
@pytest.mark.parametrize("real", [1, 2, 5])
def test_a_smaller_real_limit_is_found_and_remembered(limit: str, real: int) -> None:
    with FakeJmap() as server:
        session = Session(server.settings())
        ids = fill(server, 12)
        server.real[limit] = 220 + 30 * real if limit == "maxSizeRequest" else real
        found = [each["id"] for part, _ in session.get("Email", ids, ["size"]) for each in part]
        assert found == ids
        answers = session.call([("Email/get", {"ids": [each]}) for each in ids])
        assert [each["list"][0]["id"] for each in answers] == ids
        before = server.requests["api"]
        assert len(list(session.get("Email", ids, ["size"]))) == server.requests["api"] - before
        session.close()


def test_a_call_that_is_too_large_alone_is_an_error_of_its_own() -> None:
    with FakeJmap(maxSizeRequest=400) as server:
        session = Session(server.settings())
        ids = fill(server, 2)
        one, large, two = session.call(
            [
                ("Email/get", {"ids": ids[:1]}), ("Email/get", {"ids": ["x" * 400]}),
                ("Email/get", {"ids": ids[1:]}),
            ]
        )  # fmt: skip
        assert isinstance(large, MethodError)
        assert large.type == "requestTooLarge"
        assert one["list"][0]["id"] == ids[0]
        assert two["list"][0]["id"] == ids[1]
        session.close()


def test_linked_calls_go_together_or_not_at_all() -> None:
    calls = [
        ("Email/query", {}),
        (
            "Email/get",
            {
                "#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"},
                "properties": ["size"],
            },
        ),
    ]
    with FakeJmap() as server:
        session = Session(server.settings())
        ids = fill(server, 3)
        _, answer = session.call(calls)
        assert [each["id"] for each in answer["list"]] == ids
        server.real["maxCallsInRequest"] = 1
        with pytest.raises(LimitReached):
            session.call(calls)
        session.close()


def test_too_many_requests_at_once_are_made_fewer(server: FakeJmap, session: Session) -> None:
    busy = Status(400, {"type": LIMIT, "limit": "maxConcurrentRequests"})
    server.on("api", busy, times=2)
    assert session.call(echoes(1))
    assert server.requests["api"] == 3


def test_objects_that_are_not_there(server: FakeJmap, session: Session) -> None:
    ids = fill(server, 2)
    ((found, missing),) = session.get("Email", [ids[1], "nope", ids[0]], ["size"])
    assert [each["id"] for each in found] == [ids[1], ids[0]]
    assert missing == ["nope"]
    assert list(session.get("Email", [], ["size"])) == []


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (Status(401), AuthenticationFailed),
        (Status(429), RateLimited),
        (Status(503), RateLimited),
        (Status(500), ConnectionLost),
        (Status(502, b"<html>"), ConnectionLost),
        (Status(400, {"type": LIMIT, "limit": "maxRequestsPerHour"}), RateLimited),
        (Status(400, {"type": "urn:ietf:params:jmap:error:notJSON"}), ServerMisbehaved),
        (Status(400, b"[" * 1000), ServerMisbehaved),
        (Status(404), ServerMisbehaved),
        (Status(200, b"not json"), ServerMisbehaved),
        (Status(200, {"methodResponses": 7}), ServerMisbehaved),
        (Status(200, {"methodResponses": [["x", {}]]}), ServerMisbehaved),
        (Status(200, {"methodResponses": [["x", 7, "0"]]}), ServerMisbehaved),
        (Status(200, {"methodResponses": [["x", {}, "17"]]}), ServerMisbehaved),
        (Status(200, []), ServerMisbehaved),
        (Status(302, headers={"Location": "/elsewhere"}), ServerMisbehaved),
        (Drop("before"), ConnectionLost),
        (Drop("after"), ConnectionLost),
    ],
)
def test_what_goes_wrong_with_a_request(server: FakeJmap, session: Session, action, error) -> None:
    session.call(echoes(1))
    server.on("api", action)
    with pytest.raises(error) as caught:
        session.call(echoes(1))
    assert PASSWORD not in caught.value.text
    session.call(echoes(1))


@pytest.mark.parametrize(
    ("field", "seconds"),
    [("17", 17.0), ("soon", None), ("-3", None), ("99999999999", None), ("", None)],
)
def test_the_servers_own_idea_of_patience(
    server: FakeJmap, session: Session, field, seconds
) -> None:
    server.on("api", Status(429, headers={"Retry-After": field}))
    with pytest.raises(RateLimited) as caught:
        session.call(echoes(1))
    assert caught.value.retry_after == seconds


def test_patience_as_a_date(server: FakeJmap, session: Session) -> None:
    at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    server.on("api", Status(503, headers={"Retry-After": at}))
    with pytest.raises(RateLimited) as caught:
        session.call(echoes(1))
    assert caught.value.retry_after == pytest.approx(3600, abs=60)


def test_silence_is_a_connection_lost(server: FakeJmap) -> None:
    session = Session(server.settings(timeout=1.0))
    over = threading.Event()
    server.strike = lambda _: over.wait(60) and None
    with pytest.raises(ConnectionLost):
        session.call(echoes(1))
    over.set()
    session.close()


def test_errors_of_methods_are_answers(server: FakeJmap, session: Session) -> None:
    server.on("Email/get", Error("serverFail", {"description": "sorry\x07"}))
    calls = [("Email/get", {"ids": []}), ("Foo/bar", {}), ("Mailbox/get", {"ids": []})]
    failed, unknown, fine = session.call(calls)
    assert isinstance(failed, MethodError)
    assert (failed.type, failed.description) == ("serverFail", "sorry?")
    assert isinstance(unknown, MethodError)
    assert unknown.type == "unknownMethod"
    assert fine["list"] == []
    with pytest.raises(MethodRefused, match="unknownMethod"):
        session.ask("Foo/bar", {})


# --- octets -------------------------------------------------------------------------------------


def test_up_and_down(server: FakeJmap, session: Session) -> None:
    octets = bytes(range(256)) * 1000
    uploaded = session.upload(octets)
    assert uploaded.size == len(octets)
    reply = session.download(uploaded.blob_id)
    assert reply.length == len(octets)
    assert b"".join(reply.chunks()) == octets
    assert session.upload(b"").size == 0
    with pytest.raises(HttpRefused) as caught:
        session.download("no/such?blob")
    assert caught.value.status == 404


def test_an_upload_is_no_larger_than_it_may_be(server: FakeJmap, session: Session) -> None:
    server.real["maxSizeUpload"] = 10
    with pytest.raises(LimitReached):
        session.upload(b"x" * 11)
    session.limits.max_size_upload = 5
    with pytest.raises(LimitReached):
        session.upload(b"x" * 6)
    assert server.requests["upload"] == 1


def test_downloads_from_a_foreign_host(server: FakeJmap) -> None:
    server.edit_session = lambda found: found | {"downloadUrl": "https://cdn.example/{blobId}"}
    session = Session(server.settings())
    assert not session.can_download
    with pytest.raises(Unreachable) as caught:
        session.download("x")
    assert caught.value.code == "foreign-host"
    session.close()


# --- what must not be seen ----------------------------------------------------------------------


def test_no_secret_and_no_body_in_any_log(
    server: FakeJmap, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = Session(server.settings())
    uploaded = session.upload(b"Subject: pl4nted-subject\r\n\r\n")
    b"".join(session.download(uploaded.blob_id).chunks())
    session.call([("Blob/get", {"ids": [uploaded.blob_id]})], using=(MAIL, BLOB))
    session.call([("Core/echo", {"pl4nted-argument": 1})], using=(CORE, MAIL))
    server.on("api", Status(500, {"detail": "pl4nted-words"}))
    with pytest.raises(PortArchiveError):
        session.call(echoes(1))
    session.close()
    for record in caplog.records:
        for planted in (PASSWORD, server.accepts, "pl4nted", uploaded.blob_id):
            assert planted not in record.getMessage()
